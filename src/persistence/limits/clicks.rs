//! What was let in of one subject (flash-sale clicks of a user, requests from an address), added up over all nodes.
//!
//! A request is let in by a token bucket of its node and noted here; nothing is asked. In the background a node sends what it
//! has noted, one script a shard, and learns who is over the limit; their buckets are closed until the window has passed.
//! A subject's only request is not sent before a second one comes, so the crowd that clicks once costs nothing.
//!
//! **Bound**: in a window, a subject that is spread over n nodes is let in at most the limit + n * (1 + what one bucket lets
//! in between two rounds) times. Balancers keep a product at one node, so n is 1 for whoever clicks one product. One
//! node alone never reaches the limit: it is what its bucket allows. What could not be sent is not sent later.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use redis::Script;

use super::redis_limiter::Contact;
use crate::domain::BuyerId;
use crate::redis_link::RedisLink;

static ADD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/limit_clicks.lua")));

/// Parts of the keys, each on a slot of its own in a Redis Cluster; a single server needs one.
const SHARDS: u8 = 16;
/// Users noted in each shard of this node; what is beyond is not shared.
const USERS_MAX: usize = 8_192;
/// Users in one script, which holds up everything else in Redis while it runs.
const USERS_A_CALL: usize = 512;

/// What all nodes together let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClickLimit {
    /// Clicks in a window.
    pub clicks_max: u64,
    /// Its length.
    pub window_ms: u64,
}

impl ClickLimit {
    /// What a bucket that is refilled `per_second` up to `burst` allows at most in the time that fills it, at least
    /// a second.
    #[must_use]
    pub fn of_bucket(per_second: u32, burst: u32) -> Self {
        let (per_second, burst) = (u64::from(per_second.max(1)), u64::from(burst.max(1)));
        let window_ms = (burst * 1_000).div_ceil(per_second).max(1_000);
        Self { clicks_max: burst + (per_second * window_ms).div_ceil(1_000), window_ms }
    }
}

/// Who was let in too often over all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// Who.
    pub subject: i64,
    /// His buckets stay closed for so long.
    pub for_ms: i64,
}

/// A user who clicked too often over all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdrawn {
    /// Who.
    pub buyer: BuyerId,
    /// His buckets stay closed for so long.
    pub for_ms: i64,
}

/// Notes flash-sale clicks and shares them.
#[derive(Debug)]
pub struct SharedClicks(SharedCounts);

impl SharedClicks {
    /// Clicks on `link`.
    #[must_use]
    pub fn new(link: RedisLink, limit: ClickLimit) -> Self {
        Self(SharedCounts::new(link, "clicks", limit))
    }

    /// The counts behind it.
    #[must_use]
    pub const fn counts(&self) -> &SharedCounts {
        &self.0
    }

    /// Notes a click that was let in.
    pub fn note(&self, buyer: BuyerId) {
        self.0.note(buyer.0);
    }

    /// A window has passed: single clicks of the one before are forgotten.
    pub fn forget_old(&self) {
        self.0.forget_old();
    }

    /// Sends what was noted; answers who is over the limit.
    pub async fn share(&self) -> Vec<Overdrawn> {
        let over = self.0.share().await.into_iter();
        over.map(|Over { subject, for_ms }| Overdrawn { buyer: BuyerId(subject), for_ms }).collect()
    }
}

/// Notes what was let in of each subject, and shares it.
pub struct SharedCounts {
    link: RedisLink,
    name: &'static str,
    limit: Mutex<ClickLimit>,
    shards: Vec<Mutex<Noted>>,
    contact: Contact,
}

impl std::fmt::Debug for SharedCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedCounts").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Noted {
    /// Subjects with one request, in this window and in the last.
    once: HashSet<i64>,
    once_before: HashSet<i64>,
    /// Subjects with more, to be sent.
    more: HashMap<i64, u32>,
}

impl SharedCounts {
    /// Counts on `link` under `name`.
    #[must_use]
    pub fn new(link: RedisLink, name: &'static str, limit: ClickLimit) -> Self {
        let count = if link.is_cluster() { SHARDS } else { 1 };
        Self {
            link,
            name,
            limit: Mutex::new(limit),
            shards: (0..count).map(|_| Mutex::default()).collect(),
            contact: Contact::default(),
        }
    }

    /// What all nodes together let in.
    #[must_use]
    pub fn limit(&self) -> ClickLimit {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this limit holds.
    pub fn hold(&self, limit: ClickLimit) {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    }

    /// Notes one more that was let in.
    pub fn note(&self, subject: i64) {
        let shard = usize::try_from(subject.unsigned_abs()).unwrap_or(0) % self.shards.len();
        let mut noted = self.lock(shard);
        if let Some(clicks) = noted.more.get_mut(&subject) {
            *clicks += 1;
        } else if noted.once.remove(&subject) || noted.once_before.remove(&subject) {
            noted.more.insert(subject, 2);
        } else if noted.once.len() + noted.more.len() < USERS_MAX {
            noted.once.insert(subject);
        }
    }

    /// A window has passed: single requests of the one before are forgotten.
    pub fn forget_old(&self) {
        for shard in 0..self.shards.len() {
            let mut noted = self.lock(shard);
            noted.once_before = std::mem::take(&mut noted.once);
        }
    }

    /// Sends what was noted; answers who is over the limit.
    pub async fn share(&self) -> Vec<Over> {
        let mut overdrawn = Vec::new();
        for shard in 0..self.shards.len() {
            let noted: Vec<(i64, u32)> = std::mem::take(&mut self.lock(shard).more).into_iter().collect();
            for users in noted.chunks(USERS_A_CALL) {
                let Some(over) = self.send(shard, users).await else { return overdrawn };
                overdrawn.extend(over);
            }
        }
        overdrawn
    }

    async fn send(&self, shard: usize, users: &[(i64, u32)]) -> Option<Vec<Over>> {
        let mut adding = ADD.prepare_invoke();
        for parity in 0..2 {
            adding.key(self.link.key(&format!("{}:{{{shard}}}:{parity}", self.name)));
        }
        let limit = self.limit();
        adding.arg(limit.window_ms).arg(limit.clicks_max);
        for (subject, count) in users {
            adding.arg(*subject).arg(*count);
        }
        let reply: Vec<i64> = self.contact.note(self.link.script(&adding).await)?;
        let (for_ms, over) = reply.split_first()?;
        Some(over.iter().map(|subject| Over { subject: *subject, for_ms: *for_ms }).collect())
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Noted> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
