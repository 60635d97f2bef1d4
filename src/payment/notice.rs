//! Notifications: what arrives at our door, what it says once it is believed, and what is answered.
//!
//! Gateways repeat a notification until it is answered with success, and never promise that it comes at all. So the
//! order is: verify, store, answer; act afterwards. A refused one changes nothing.

use super::facts::{RefundReport, Trade};

/// The largest notification that is looked at, bytes.
pub const NOTICE_BYTES_MAX: usize = 64 * 1024;

/// A notification as it arrived.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RawNotice {
    /// Header names (any case) and values.
    pub headers: Vec<(String, String)>,
    /// The body, byte by byte.
    pub body: Vec<u8>,
}

impl RawNotice {
    /// The header's value. None if it is there twice: nobody could say which of the two was signed.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() { None } else { value }
    }
}

impl std::fmt::Debug for RawNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawNotice({} headers, {} bytes)", self.headers.len(), self.body.len())
    }
}

/// A notification that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The same in every delivery, different for every event: the key of the inbox. At most 128 characters.
    pub id: String,
    /// What it says.
    pub event: NoticeEvent,
}

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoticeEvent {
    /// Something about a charge.
    Trade(Trade),
    /// Something about a refund.
    Refund(RefundReport),
    /// Genuine, but nothing we know; to be stored and answered with success.
    Other(String),
}

/// Why a notification is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeRejection {
    /// Too large, or not what this gateway sends.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Too far from our clock.
    #[error("stale by {0} s")]
    Stale(i64),
    /// Signed with a key that nobody vouches for.
    #[error("unknown key {0}")]
    UnknownKey(String),
    /// A test of the platform whether signatures are verified.
    #[error("a signature probe")]
    Probe,
    /// The signature is missing or wrong.
    #[error("forged")]
    Forged,
    /// The sealed part does not open with our key.
    #[error("the sealed part cannot be opened")]
    Sealed,
    /// This gateway sends none.
    #[error("no notifications are expected here")]
    Unexpected,
}

impl NoticeRejection {
    /// One word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Stale(_) => "stale",
            Self::UnknownKey(_) => "unknown_key",
            Self::Probe => "probe",
            Self::Forged => "forged",
            Self::Sealed => "sealed",
            Self::Unexpected => "unexpected",
        }
    }
}

/// What is answered to a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeAnswer {
    /// HTTP status.
    pub status: u16,
    /// None without a body.
    pub content_type: Option<&'static str>,
    /// Body.
    pub body: &'static str,
}
