//! WeChat Pay v3: JSON, every request verified, every answer signed.

mod answer;
mod bills;
mod call;
mod certificates;
mod messages;
mod orders;
mod refunds;
mod routes;

pub(super) use answer::spoil;
pub(super) use messages::{refund_notice, trade_type, transaction};
pub(super) use orders::{code_url, is_trade_no};
pub(super) use routes::routes;
