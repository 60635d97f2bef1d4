//! Our numbers of payments and refunds, as every gateway accepts them.

use std::fmt;
use std::str::FromStr;

/// Our number of one attempt to collect money (`{order_no}_{attempt}`): 6 to 32 of `[0-9A-Za-z_]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentNo(String);

/// Our number of one return of money (`{order_no}_r{n}`): 1 to 64 of `[0-9A-Za-z_]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefundNo(String);

/// The text is no number that all gateways accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number of a payment or refund")]
pub struct NumberError;

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl FromStr for PaymentNo {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        if (6..=32).contains(&text.len()) && is_plain(text) { Ok(Self(text.to_owned())) } else { Err(NumberError) }
    }
}

impl FromStr for RefundNo {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        if (1..=64).contains(&text.len()) && is_plain(text) { Ok(Self(text.to_owned())) } else { Err(NumberError) }
    }
}

impl PaymentNo {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RefundNo {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RefundNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
