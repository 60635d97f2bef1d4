//! What an administrator and SIGHUP pull to have the settings read anew on this node. What is behind it sees files,
//! gateways and logs (`app/reload.rs`), which actors do not: it is put in place when the node is open.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadOutcome {
    /// Everything that differed is in effect.
    Applied,
    /// Nothing differed.
    Unchanged,
    /// Nothing was put in effect.
    Refused,
}

impl ReloadOutcome {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
        }
    }
}

/// A key that changed; secrets are masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedSetting {
    /// E.g. `limits.seckill_per_second`.
    pub key: String,
    /// Before.
    pub from: String,
    /// From now on.
    pub to: String,
    /// The file or variable that says so.
    pub origin: String,
}

/// What reading the settings anew came to on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// How it ended.
    pub outcome: ReloadOutcome,
    /// Keys that changed.
    pub changed: Vec<ChangedSetting>,
    /// What was built anew from files that the settings name, e.g. `payment.wechat_v3`.
    pub renewed: Vec<String>,
    /// Why it was refused, a line each: place, key, what was found, what was expected.
    pub problems: Vec<String>,
}

impl Reloaded {
    /// Nothing was put in effect, because of these.
    #[must_use]
    pub const fn refused(problems: Vec<String>) -> Self {
        Self { outcome: ReloadOutcome::Refused, changed: Vec::new(), renewed: Vec::new(), problems }
    }
}

/// The settings of this node, to be shown and to be read anew.
#[expect(missing_debug_implementations, reason = "holds closures")]
pub struct SettingsLever {
    /// The settings in effect, secrets masked.
    pub show: Box<dyn Fn() -> Value + Send + Sync>,
    /// Reads them anew; all or nothing of what differs is put in effect.
    pub reload: Box<dyn Fn() -> BoxFuture<'static, Reloaded> + Send + Sync>,
}
