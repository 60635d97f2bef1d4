//! Alipay's OpenAPI gateway: one path, a method by name, parameters from query and form together.

mod answer;
mod bill;
mod messages;
mod refunds;
mod request;
mod routes;
mod trades;

pub(super) use messages::notice_params;
pub(super) use routes::routes;
