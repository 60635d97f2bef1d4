//! Money at the gateways: WeChat Pay v3 and v2, Alipay, and a simulated one, behind one trait.
//!
//! A floor of its own: no store, no actors. It turns a charge or refund that the shop has already numbered and stored
//! into signed requests, and answers and notifications into checked facts. Wire rules are in each wire's files.

pub mod addresses;
pub mod alipay;
pub mod crypto;
pub mod error;
pub mod facts;
mod fields;
pub mod gateway;
pub mod guard;
pub mod keyring;
pub mod link;
pub mod notice;
pub mod numbers;
pub mod sandbox;
pub mod setup;
pub mod simulated;
pub mod times;
mod wechat_bill;
pub mod wechat_v2;
pub mod wechat_v3;

pub use error::{Action, Doubt, PaymentError};
pub use facts::{BillLine, BillRefund, Mismatch, PayerId, RefundReport, RefundState, Trade, TradeState};
pub use gateway::{Charge, JsapiCall, NewCharge, PaymentGateway, RefundOrder, TradeType, Wire};
pub use notice::{Notice, NoticeAnswer, NoticeEvent, NoticeRejection, RawNotice};
pub use numbers::{NumberError, PaymentNo, RefundNo};

#[cfg(test)]
mod test_peer;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vector_tests;
