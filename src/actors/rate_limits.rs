//! The limits at the shop's door: of an address for all it asks, of a user (or an address where nobody is signed in) for
//! calls, of an address for sign-ins. Flash-sale claims have their bucket in the user's session actor.
//!
//! A request is let in by a bucket of this node alone; nobody is asked. On a cluster what was let in is noted and added
//! up over all nodes in the background ([`SharedCounts`]), and whoever is over the limit there finds his buckets closed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::background::Stop;
use super::bucket_table::BucketTable;
use super::token_bucket::{Rate, Standing};
use crate::clock::{self, Clock};
use crate::config::{LimitSettings, LiveLimits};
use crate::domain::BuyerId;
use crate::persistence::StoreError;
use crate::persistence::limits::{ClickLimit, SharedCounts};
use crate::redis_link::RedisLink;

/// Pause between two rounds in which counts are shared.
const SHARE_EVERY: Duration = Duration::from_millis(100);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorClass {
    /// Whatever one address asks for.
    Address,
    /// Calls of one user.
    User,
    /// Calls of one address where nobody is signed in.
    Visitor,
    /// Sign-ins, registrations and renewals from one address.
    Login,
}

impl DoorClass {
    const ALL: [Self; 4] = [Self::Address, Self::User, Self::Visitor, Self::Login];

    /// As it stands in keys and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::User => "user",
            Self::Visitor => "visitor",
            Self::Login => "login",
        }
    }

    fn rate(self, limits: &LimitSettings) -> Rate {
        let (per_second, burst) = match self {
            Self::Address => (limits.address_per_second, limits.address_burst),
            Self::User | Self::Visitor => (limits.api_per_second, limits.api_burst),
            Self::Login => (limits.login_per_second, limits.login_burst),
        };
        Rate { per_second, burst }
    }
}

/// The buckets of this node.
#[derive(Debug)]
pub struct RateLimits {
    clock: Clock,
    limits: LiveLimits,
    doors: [Door; 4],
}

#[derive(Debug)]
struct Door {
    class: DoorClass,
    buckets: BucketTable,
    shared: Option<SharedCounts>,
}

impl RateLimits {
    /// Nobody has asked for anything yet; counts are shared through `redis` if there is one.
    #[must_use]
    pub fn new(clock: Clock, limits: LiveLimits, redis: Option<&RedisLink>) -> Self {
        let terms = limits.now();
        let doors = DoorClass::ALL.map(|class| {
            let limit = shared_limit(class, &terms.limits);
            let shared = redis.map(|link| SharedCounts::new(link.clone(), class.name(), limit));
            Door { class, buckets: BucketTable::default(), shared }
        });
        Self { clock, limits, doors }
    }

    /// One more request from an address.
    pub fn of_address(&self, class: DoorClass, address: IpAddr) -> Standing {
        self.take(class, number_of(address))
    }

    /// One more call of a user.
    pub fn of_user(&self, user: BuyerId) -> Standing {
        self.take(DoorClass::User, user.0)
    }

    fn take(&self, class: DoorClass, client: i64) -> Standing {
        let door = &self.doors[class as usize];
        let standing = door.buckets.take(client, class.rate(&self.limits.now().limits), self.clock.now_ms());
        if !standing.is_let_in {
            metrics::counter!("rushmall_held_up_total", "class" => class.name()).increment(1);
        } else if let Some(shared) = &door.shared {
            shared.note(client);
        }
        standing
    }

    /// Tells the other nodes what was let in here, and holds up those who are over the limit everywhere, until `stop`.
    ///
    /// # Errors
    /// None: without Redis the buckets hold on their own.
    pub async fn share(self: Arc<Self>, mut stop: Stop) -> Result<(), StoreError> {
        let mut turned_at: [Instant; 4] = std::array::from_fn(|_| clock::monotonic());
        while !stop.is_set() {
            stop.sleep(SHARE_EVERY).await;
            for (door, turned_at) in self.doors.iter().zip(&mut turned_at) {
                let Some(shared) = &door.shared else { continue };
                if turned_at.elapsed() >= Duration::from_millis(shared.limit().window_ms) {
                    shared.forget_old();
                    *turned_at = clock::monotonic();
                }
            }
            self.share_once().await;
        }
        Ok(())
    }

    /// One round of it.
    pub async fn share_once(&self) {
        for door in &self.doors {
            let Some(shared) = &door.shared else { continue };
            shared.hold(shared_limit(door.class, &self.limits.now().limits));
            for over in shared.share().await {
                door.buckets.close(over.subject, self.clock.now_ms() + over.for_ms);
            }
        }
    }
}

fn shared_limit(class: DoorClass, limits: &LimitSettings) -> ClickLimit {
    let rate = class.rate(limits);
    ClickLimit::of_bucket(rate.per_second, rate.burst)
}

/// A client is an IPv4 address or an IPv6 network of 64 bits, since a household is given that many.
fn number_of(address: IpAddr) -> i64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => i64::from(v4.to_bits()),
        IpAddr::V6(v6) => i64::from_be_bytes(v6.octets().first_chunk::<8>().copied().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_an_ipv4_client_its_address() {
        assert_eq!(number_of(address("2001:db8:1:2::3")), number_of(address("2001:db8:1:2:ffff::9")));
        assert_ne!(number_of(address("2001:db8:1:2::3")), number_of(address("2001:db8:1:3::3")));
        assert_eq!(number_of(address("::ffff:10.0.0.1")), number_of(address("10.0.0.1")));
        assert_ne!(number_of(address("10.0.0.1")), number_of(address("10.0.0.2")));
    }

    #[test]
    fn classes_and_clients_do_not_pay_for_each_other_and_a_change_holds_at_once() {
        let mut settings = Settings::default();
        (settings.limits.login_per_second, settings.limits.login_burst) = (1, 3);
        let live = LiveLimits::of(&settings);
        let doors = RateLimits::new(Clock::default(), live.clone(), None);
        let (one, other) = (address("203.0.113.1"), address("203.0.113.2"));
        let passed = |from| (0..10).filter(|_| doors.of_address(DoorClass::Login, from).is_let_in).count();
        assert_eq!((passed(one), passed(other)), (3, 3));
        assert!(doors.of_address(DoorClass::Address, one).is_let_in);
        assert!(doors.of_user(BuyerId(1)).is_let_in);
        (settings.limits.api_per_second, settings.limits.api_burst) = (1, 2);
        live.replace(&settings);
        let standing = doors.of_user(BuyerId(1));
        assert_eq!((standing.rate, standing.remaining), (Rate { per_second: 1, burst: 2 }, 1));
    }
}
