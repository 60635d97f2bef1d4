//! Alipay OpenAPI: forms over HTTPS, signed with RSA; answers are JSON whose inner text is signed as it stands.

mod bill;
mod bill_rows;
mod client;
pub mod faults;
mod gateway;
mod notice;
pub mod signing;
mod unzip;

pub use client::{Alipay, CertificateNumbers, Merchant};

#[cfg(test)]
mod signing_tests;
#[cfg(test)]
mod tests;
