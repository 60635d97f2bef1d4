//! Money: what buyers, gateways and time ask of the payments of an order.

mod desk;
mod effects;
mod inbox;
mod schedule;

pub use desk::{ChargeOpened, PayRefusal, PaymentDesk};
pub use effects::Progress;
