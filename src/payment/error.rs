//! What a failed call means for whoever made it: one [`Action`] for every error code of every gateway.

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It will not work however often it is tried: give this attempt up, tell an administrator.
    Permanent,
    /// Nobody knows whether it happened: the same call with the same parameters again, or a query.
    Ask,
    /// It did not happen and may work later: the same call after a pause.
    BackOff,
    /// The money came: query, and take it as paid.
    AlreadyPaid,
    /// The charge is closed: a new one needs a new number; a close is done.
    Closed,
    /// The gateway does not know the number. Of a charge at Alipay: not scanned so far.
    NotFound,
    /// The merchant's account cannot cover the refund: try slowly, tell an administrator.
    ShortOfFunds,
    /// Keys, certificates or settings are wrong: nothing works until a person mends them.
    Configuration,
}

/// Why the outcome of a call is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke after the request may have been sent.
    #[error("the connection broke")]
    Broken,
    /// An answer that nobody can have meant: not readable, or too large.
    #[error("the answer is unreadable")]
    Unreadable,
    /// An answer of success without a valid signature: it may be forged.
    #[error("the answer is not believed: {0}")]
    Unbelieved(String),
    /// The gateway itself does not know: HTTP 5xx or an error code that says so.
    #[error("the gateway is in trouble: {0}")]
    Trouble(String),
}

/// Why a call did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// It may have happened.
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(Doubt),
    /// The request was never sent: no connection.
    #[error("the gateway cannot be reached")]
    Unreachable,
    /// Not sent, because the gateway failed repeatedly a short time ago.
    #[error("calls are held back for {retry_after_ms} ms more")]
    HeldBack {
        /// How long to wait at least.
        retry_after_ms: u64,
    },
    /// The gateway said no.
    #[error("declined with {code}: {message}")]
    Declined {
        /// What it means.
        action: Action,
        /// The gateway's own code.
        code: String,
        /// The gateway's own words, cut to 200 characters.
        message: String,
    },
    /// Not sent, because no gateway would accept it (a field out of bounds, a way to pay that this wire has not).
    #[error("not sent: {0}")]
    Unacceptable(&'static str),
    /// Not sent, because a key or certificate is missing or unusable.
    #[error("not sent, the settings lack: {0}")]
    Unconfigured(&'static str),
}

/// Longest text of a gateway that is kept, characters.
const MESSAGE_LETTERS_MAX: usize = 200;

impl PaymentError {
    /// What to do next.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::OutcomeUnknown(_) => Action::Ask,
            Self::Unreachable | Self::HeldBack { .. } => Action::BackOff,
            Self::Declined { action, .. } => *action,
            Self::Unacceptable(_) => Action::Permanent,
            Self::Unconfigured(_) => Action::Configuration,
        }
    }

    /// True if the same call may succeed later without anybody's help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self.action(), Action::Ask | Action::BackOff | Action::ShortOfFunds)
    }

    /// True if it may have happened.
    #[must_use]
    pub const fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown(_))
    }

    /// A refusal with the gateway's code and words. A code that says the gateway does not know is no refusal.
    pub(super) fn declined(action: Action, code: &str, message: &str) -> Self {
        let message = message.chars().take(MESSAGE_LETTERS_MAX).collect();
        Self::Declined { action, code: code.chars().take(MESSAGE_LETTERS_MAX).collect(), message }
    }

    pub(super) fn trouble(what: impl Into<String>) -> Self {
        Self::OutcomeUnknown(Doubt::Trouble(what.into()))
    }

    pub(super) fn unbelieved(why: impl std::fmt::Display) -> Self {
        Self::OutcomeUnknown(Doubt::Unbelieved(why.to_string()))
    }

    pub(super) const fn unreadable() -> Self {
        Self::OutcomeUnknown(Doubt::Unreadable)
    }
}

impl From<super::crypto::CryptoError> for PaymentError {
    fn from(_: super::crypto::CryptoError) -> Self {
        Self::Unconfigured("a key that can sign")
    }
}
