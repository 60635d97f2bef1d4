//! WeChat Pay v2: XML over HTTPS, signed with a shared key (MD5 or HMAC-SHA256). For merchants that still have it.

pub mod signing;
pub mod xml;

#[cfg(test)]
mod signing_tests;
