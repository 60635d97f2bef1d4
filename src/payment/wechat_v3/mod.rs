//! WeChat Pay v3: JSON over HTTPS, every message signed with RSA, resources sealed with AES-256-GCM.

pub mod bill;
mod client;
pub mod faults;
mod gateway;
mod keys;
pub mod messages;
mod notice;
pub mod signing;

pub use client::{Merchant, WechatV3};
pub(in crate::payment) use gateway::refund_state;

#[cfg(test)]
mod signing_tests;
#[cfg(test)]
mod tests;
