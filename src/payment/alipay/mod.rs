//! Alipay OpenAPI: forms over HTTPS, signed with RSA; answers are JSON whose inner text is signed as it stands.

pub mod signing;

#[cfg(test)]
mod signing_tests;
