//! WeChat Pay v2: XML, signed with the shared key in both directions. No mutual TLS is asked for here: whoever wants a
//! refund must sign, and that is all the sandbox can check.

mod answer;
mod bill;
mod messages;
mod orders;
mod refunds;
mod routes;

pub(super) use messages::{payment_fields, refund_notice_fields};
pub(super) use routes::routes;
