//! WeChat Pay v3: JSON over HTTPS, every message signed with RSA, resources sealed with AES-256-GCM.

pub mod signing;

#[cfg(test)]
mod signing_tests;
