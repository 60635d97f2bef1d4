//! The limiter of a cluster: one key a subject, `limit:{class}:{digest}`, gone when its window has passed.
//!
//! While Redis is away every node counts for itself, from nothing: a subject then gets at most the limit on each node.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use redis::{RedisError, Script};

use super::{Limit, MemoryLimiter, RateLimiter, Subject, TooMany};
use crate::clock::Clock;
use crate::redis_link::RedisLink;

static ADMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/limit_admit.lua")));

/// Counts in Redis, for all nodes.
pub struct RedisLimiter {
    link: RedisLink,
    local: MemoryLimiter,
    contact: Contact,
}

impl RedisLimiter {
    /// Counts on `link`; by `clock` while that is away.
    #[must_use]
    pub fn new(link: RedisLink, clock: Clock) -> Self {
        Self { link, local: MemoryLimiter::new(clock), contact: Contact::default() }
    }
}

#[async_trait(?Send)]
impl RateLimiter for RedisLimiter {
    async fn admit(&self, subject: Subject<'_>, limit: Limit) -> Result<(), TooMany> {
        let key = self.link.key(&format!("limit:{}:{}", subject.class.name(), hex::encode(subject.digest())));
        let mut counting = ADMIT.prepare_invoke();
        counting.key(key).arg(limit.events_max.max(1)).arg(limit.window_ms);
        match self.contact.note(self.link.script::<u64>(&counting).await) {
            Some(0) => Ok(()),
            Some(retry_after_ms) => Err(TooMany { retry_after_ms }),
            None => self.local.count(subject, limit),
        }
    }
}

/// Whether Redis answered last time: told once when it goes and once when it is back.
#[derive(Debug, Default)]
pub(super) struct Contact {
    is_lost: AtomicBool,
}

impl Contact {
    pub(super) fn note<T>(&self, answer: Result<T, RedisError>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if self.is_lost.swap(false, Ordering::Relaxed) {
                    tracing::info!("limits hold over all nodes again");
                }
                Some(answer)
            }
            Err(error) => {
                if !self.is_lost.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "limits hold on each node alone while redis is away");
                }
                None
            }
        }
    }
}
