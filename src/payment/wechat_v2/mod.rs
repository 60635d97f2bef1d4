//! WeChat Pay v2: XML over HTTPS, signed with a shared key (MD5 or HMAC-SHA256). For merchants that still have it.

mod bill;
mod client;
pub mod faults;
mod gateway;
mod notice;
pub mod signing;
pub mod xml;

pub use client::{Merchant, WechatV2};

#[cfg(test)]
mod signing_tests;
#[cfg(test)]
mod tests;
