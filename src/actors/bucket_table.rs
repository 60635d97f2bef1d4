//! Token buckets of many, in bounded memory.
//!
//! A bucket that is full again is as good as a new one and is forgotten when room is needed. Where even that leaves no
//! room (more clients at once than the table holds), newcomers share one of a few buckets by their number: so a full
//! table lets in no more than those few buckets do, and shuts nobody out who already has a bucket of his own.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::token_bucket::{Rate, Standing, TokenBucket};

/// Parts that are locked apart.
const SHARDS: usize = 16;
/// Buckets in each part: 65,536 clients that were active within the time that fills a bucket, some 4 MB.
const BUCKETS_PER_SHARD: usize = 4_096;
/// Buckets that are shared in each part by whoever finds no room.
const CROWD_BUCKETS: usize = 16;
/// Least time between two looks for full buckets in one part.
const SWEEP_EVERY_MS: i64 = 100;

/// Buckets by number of the client.
pub struct BucketTable {
    shards: Vec<Mutex<Shard>>,
    /// Keyed at random, so that nobody can aim at a part.
    hasher: std::hash::RandomState,
}

#[derive(Default)]
struct Shard {
    own: HashMap<i64, TokenBucket>,
    crowd: Vec<TokenBucket>,
    swept_at_ms: i64,
}

impl std::fmt::Debug for BucketTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketTable").finish_non_exhaustive()
    }
}

impl Default for BucketTable {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: std::hash::RandomState::new() }
    }
}

impl BucketTable {
    /// Takes one token of this client, whose bucket is filled with `rate`.
    pub fn take(&self, client: i64, rate: Rate, now_ms: i64) -> Standing {
        let hash = self.hasher.hash_one(client);
        let mut shard = self.shard(hash);
        if let Some(bucket) = shard.own.get_mut(&client) {
            return bucket.take(rate, now_ms);
        }
        if shard.has_room(rate, now_ms) {
            return shard.own.entry(client).or_insert_with(|| TokenBucket::full(rate, now_ms)).take(rate, now_ms);
        }
        shard.of_the_crowd(hash, rate, now_ms).take(rate, now_ms)
    }

    /// Lets nothing of this client in before `until_ms`; a client without a bucket of his own is told next time.
    pub fn close(&self, client: i64, until_ms: i64) {
        if let Some(bucket) = self.shard(self.hasher.hash_one(client)).own.get_mut(&client) {
            bucket.close(until_ms);
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let place = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn has_room(&mut self, rate: Rate, now_ms: i64) -> bool {
        let is_due = !(0..SWEEP_EVERY_MS).contains(&(now_ms - self.swept_at_ms));
        if self.own.len() >= BUCKETS_PER_SHARD && is_due {
            self.swept_at_ms = now_ms;
            self.own.retain(|_, bucket| !bucket.is_full(rate, now_ms));
        }
        self.own.len() < BUCKETS_PER_SHARD
    }

    fn of_the_crowd(&mut self, hash: u64, rate: Rate, now_ms: i64) -> &mut TokenBucket {
        if self.crowd.is_empty() {
            self.crowd = vec![TokenBucket::full(rate, now_ms); CROWD_BUCKETS];
        }
        &mut self.crowd[usize::try_from(hash & 0xffff_ffff).unwrap_or(0) % CROWD_BUCKETS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 1, burst: 2 };
    const HELD_MAX: usize = SHARDS * BUCKETS_PER_SHARD;

    fn let_in(table: &BucketTable, clients: std::ops::Range<i64>, now_ms: i64) -> usize {
        clients.filter(|client| table.take(*client, RATE, now_ms).is_let_in).count()
    }

    #[test]
    fn a_full_table_neither_opens_the_door_nor_shuts_out_whom_it_knows() {
        let table = BucketTable::default();
        assert!(table.take(-1, RATE, 0).is_let_in);
        let flood = let_in(&table, 0..4 * i64::try_from(HELD_MAX).unwrap(), 0);
        assert!(flood <= HELD_MAX + SHARDS * CROWD_BUCKETS * 2, "{flood} of a flood were let in");
        assert!(table.shards.iter().all(|shard| shard.lock().unwrap().own.len() <= BUCKETS_PER_SHARD));
        assert!(table.take(-1, RATE, 0).is_let_in, "his second token");
        assert!(!table.take(-1, RATE, 0).is_let_in, "he was not forgotten");
        // one a second and crowd bucket, whoever they pretend to be
        let later = let_in(&table, 10_000_000..10_100_000, 500);
        assert!(later <= SHARDS * CROWD_BUCKETS, "{later}");
    }

    #[test]
    fn whoever_was_quiet_makes_room() {
        let table = BucketTable::default();
        let_in(&table, 0..2 * i64::try_from(HELD_MAX).unwrap(), 0);
        let newcomers = let_in(&table, 10_000_000..10_001_000, 3_000);
        assert_eq!(newcomers, 1_000);
    }

    #[test]
    fn a_closed_client_is_held_up_and_no_other() {
        let table = BucketTable::default();
        assert!(table.take(7, RATE, 0).is_let_in);
        table.close(7, 1_000);
        assert!(!table.take(7, RATE, 500).is_let_in);
        assert!(table.take(8, RATE, 500).is_let_in);
    }
}
