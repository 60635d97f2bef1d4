//! How many requests are let in, and the one handle through which the limits in force are read and changed.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::networks::Network;
use super::{Environment, Settings};

/// How many requests are let in. A rate is what a bucket is refilled with per second, a burst what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Whatever one address asks for: per second.
    pub address_per_second: u32,
    /// Whatever one address asks for: at once.
    pub address_burst: u32,
    /// Calls of one user, or of one address where nobody is signed in: per second.
    pub api_per_second: u32,
    /// Calls of one user, or of one address where nobody is signed in: at once.
    pub api_burst: u32,
    /// Flash-sale claims of one user: refilled per second.
    pub seckill_per_second: u32,
    /// Flash-sale claims of one user: at once.
    pub seckill_burst: u32,
    /// Sign-ins, registrations and renewals from one address: per second.
    pub login_per_second: u32,
    /// Sign-ins, registrations and renewals from one address: at once.
    pub login_burst: u32,
    /// Tries to sign in to one account in any minute.
    pub sign_ins_per_minute: u32,
    /// Tries to register under one name in any minute.
    pub registrations_per_minute: u32,
    /// A node whose requests wait longer than this before work on them begins turns buyers away; 0: never.
    pub queue_wait_max_ms: u64,
    /// Clients that the limits of addresses and calls never apply to. Unset: the loopback outside production.
    pub exempt: Option<Vec<Network>>,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            address_per_second: 1_000,
            address_burst: 2_000,
            api_per_second: 100,
            api_burst: 200,
            seckill_per_second: 5,
            seckill_burst: 10,
            login_per_second: 10,
            login_burst: 20,
            sign_ins_per_minute: 10,
            registrations_per_minute: 10,
            queue_wait_max_ms: 2_000,
            exempt: None,
        }
    }
}

impl LimitSettings {
    /// Key, value and expectation of each burst that is below its rate.
    pub(super) fn lacks(&self) -> impl Iterator<Item = (&'static str, u32, &'static str)> {
        let pairs = [
            ("limits.address_burst", self.address_burst, self.address_per_second, "at least limits.address_per_second"),
            ("limits.api_burst", self.api_burst, self.api_per_second, "at least limits.api_per_second"),
            ("limits.seckill_burst", self.seckill_burst, self.seckill_per_second, "at least limits.seckill_per_second"),
            ("limits.login_burst", self.login_burst, self.login_per_second, "at least limits.login_per_second"),
        ];
        pairs.into_iter().filter(|(_, burst, rate, _)| burst < rate).map(|(key, burst, _, what)| (key, burst, what))
    }
}

/// A waiting room in front of each sale that more want to enter than it can take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WaitingRoomSettings {
    /// Buyers that each sale takes in a second, over all nodes, unless an administrator said otherwise of it; who comes beyond
    /// that waits. 0: no waiting rooms.
    pub admissions_per_second: u32,
    /// Buyers who may wait for one sale; one more is answered "busy".
    pub waiting_max: u32,
    /// Whose turn has come must buy within this time, or queue again.
    pub turn_ms: u64,
}

impl Default for WaitingRoomSettings {
    fn default() -> Self {
        Self { admissions_per_second: 0, waiting_max: 100_000, turn_ms: 60_000 }
    }
}

/// The limits in force: what of the settings may change while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitTerms {
    /// How many requests are let in.
    pub limits: LimitSettings,
    /// In front of sales.
    pub waiting_room: WaitingRoomSettings,
    /// Whose word on the client's address is taken.
    pub trusted_proxies: Vec<Network>,
    exempt: Vec<Network>,
}

impl LimitTerms {
    /// What the settings say, with what depends on the environment filled in.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let exempt = settings.limits.exempt.clone().unwrap_or_else(|| match settings.environment {
            Environment::Development => Network::loopback().to_vec(),
            Environment::Production => Vec::new(),
        });
        Self {
            limits: settings.limits.clone(),
            waiting_room: settings.waiting_room.clone(),
            trusted_proxies: settings.http.trusted_proxies.clone(),
            exempt,
        }
    }

    /// True if the limits of addresses and calls do not apply to this client.
    #[must_use]
    pub fn is_exempt(&self, client: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(client))
    }

    /// True if this peer is a proxy of ours.
    #[must_use]
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

/// The limits in force, for all that hold them; clones are the same. Nobody keeps a copy for longer than a request or
/// a round of a loop, so that a change holds everywhere at once.
#[derive(Clone, Debug)]
pub struct LiveLimits(Arc<RwLock<Arc<LimitTerms>>>);

impl LiveLimits {
    /// What the settings say.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(LimitTerms::of(settings)))))
    }

    /// What holds now.
    #[must_use]
    pub fn now(&self) -> Arc<LimitTerms> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on what these settings say holds, for everybody. Answers what held before.
    pub fn replace(&self, settings: &Settings) -> Arc<LimitTerms> {
        let terms = Arc::new(LimitTerms::of(settings));
        std::mem::replace(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), terms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_exempt_outside_production_unless_the_settings_say_otherwise() {
        let mut settings = Settings::default();
        let (here, there) = ("127.0.0.1".parse().unwrap(), "203.0.113.9".parse().unwrap());
        assert!(LimitTerms::of(&settings).is_exempt(here) && !LimitTerms::of(&settings).is_exempt(there));
        settings.environment = Environment::Production;
        assert!(!LimitTerms::of(&settings).is_exempt(here));
        settings.limits.exempt = Some(vec!["203.0.113.0/24".parse().unwrap()]);
        assert!(LimitTerms::of(&settings).is_exempt(there) && !LimitTerms::of(&settings).is_exempt(here));
    }

    #[test]
    fn a_change_holds_for_every_clone_at_once() {
        let mut settings = Settings::default();
        let live = LiveLimits::of(&settings);
        let held_elsewhere = live.clone();
        settings.limits.seckill_per_second = 7;
        assert_eq!(live.replace(&settings).limits.seckill_per_second, 5);
        assert_eq!(held_elsewhere.now().limits.seckill_per_second, 7);
    }
}
