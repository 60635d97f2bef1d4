//! Where a gateway is: WeChat Pay has a second address for the time that its first does not answer.
//!
//! Requests go to the first. One that got no answer there lets all that follow begin at the second for [`DETOUR_MS`]; one
//! that reached nobody left nothing behind and goes to the other itself, at once. That is safe because both are doors
//! of one gateway and what the shop asks twice bears the same number. Only the origin is exchanged: signatures are over
//! path and query. A restart begins at the first.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::Url;

use super::error::PaymentError;
use crate::clock::Clock;

/// The first address is left alone for so long after it did not answer.
pub const DETOUR_MS: i64 = 60_000;

/// One gateway's addresses.
#[derive(Debug)]
pub struct Addresses {
    first: Url,
    second: Option<Url>,
    clock: Clock,
    /// Requests begin at the second until then.
    detour_until_ms: AtomicI64,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    /// At first.
    pub to: Url,
    /// If nobody is reached there.
    pub or_to: Option<Url>,
}

impl Addresses {
    /// A gateway with one address.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`] if it is no URL.
    pub fn new(base_url: &str, clock: Clock) -> Result<Self, PaymentError> {
        Ok(Self { first: parse(base_url)?, second: None, clock, detour_until_ms: AtomicI64::new(0) })
    }

    /// The same with a second address, of which the origin counts.
    ///
    /// # Errors
    /// [`PaymentError::Unconfigured`] if it is no URL.
    pub fn with_second(self, backup_url: &str) -> Result<Self, PaymentError> {
        Ok(Self { second: Some(parse(backup_url)?), ..self })
    }

    /// The first, as configured.
    #[must_use]
    pub const fn first(&self) -> &Url {
        &self.first
    }

    /// True if `url` lies at one of them.
    #[must_use]
    pub fn hold(&self, url: &Url) -> bool {
        std::iter::once(&self.first).chain(&self.second).any(|own| own.origin() == url.origin())
    }

    /// The way of a request to `url`; it is its own if it does not lie at the first address or there is no other.
    #[must_use]
    pub fn way(&self, url: &Url) -> Way {
        let is_first = url.origin() == self.first.origin();
        match self.second.as_ref().and_then(|second| at_origin_of(second, url)) {
            Some(elsewhere) if is_first && self.is_on_detour() => Way { to: elsewhere, or_to: Some(url.clone()) },
            Some(elsewhere) if is_first => Way { to: url.clone(), or_to: Some(elsewhere) },
            _ => Way { to: url.clone(), or_to: None },
        }
    }

    /// A request to `url` got no answer.
    pub fn was_silent(&self, url: &Url) {
        let is_at = |own: &Url| own.origin() == url.origin();
        let until_ms = match &self.second {
            Some(second) if is_at(second) => 0,
            Some(_) if is_at(&self.first) => self.clock.now_ms().saturating_add(DETOUR_MS),
            _ => return,
        };
        self.detour_until_ms.store(until_ms, Ordering::Relaxed);
    }

    fn is_on_detour(&self) -> bool {
        // a clock that was set back must not lengthen it
        let left_ms = self.detour_until_ms.load(Ordering::Relaxed).saturating_sub(self.clock.now_ms());
        (1..=DETOUR_MS).contains(&left_ms)
    }
}

fn parse(url: &str) -> Result<Url, PaymentError> {
    Url::parse(url).map_err(|_| PaymentError::Unconfigured("a URL of the gateway"))
}

fn at_origin_of(other: &Url, url: &Url) -> Option<Url> {
    let mut moved = other.clone();
    moved.set_path(url.path());
    moved.set_query(url.query());
    (moved.origin() != url.origin()).then_some(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn addresses(clock: &Clock) -> Addresses {
        Addresses::new("https://api.example.cn", clock.clone())
            .unwrap()
            .with_second("https://api2.example.cn/")
            .unwrap()
    }

    #[test]
    fn a_request_keeps_its_path_and_query_at_the_other_address() {
        let addresses = addresses(&Clock::default());
        let asked = url("https://api.example.cn/v3/pay/out-trade-no/01%7C2?mchid=19");
        let way = addresses.way(&asked);
        assert_eq!(way.to, asked);
        assert_eq!(way.or_to, Some(url("https://api2.example.cn/v3/pay/out-trade-no/01%7C2?mchid=19")));
    }

    #[test]
    fn after_silence_the_second_comes_first_for_a_while() {
        let clock = Clock::default();
        let addresses = addresses(&clock);
        let (first, second) = (url("https://api.example.cn/x"), url("https://api2.example.cn/x"));
        addresses.was_silent(&first);
        let detour = Way { to: second.clone(), or_to: Some(first.clone()) };
        assert_eq!(addresses.way(&first), detour);
        clock.travel(DETOUR_MS - 5_000);
        assert_eq!(addresses.way(&first), detour);
        clock.travel(5_000);
        assert_eq!(addresses.way(&first).to, first, "its time is over");
        addresses.was_silent(&first);
        addresses.was_silent(&second);
        assert_eq!(addresses.way(&first).to, first, "the second is no better");
        addresses.was_silent(&first);
        clock.travel(-DETOUR_MS);
        assert_eq!(addresses.way(&first).to, first, "the clock was set back");
    }

    #[test]
    fn one_address_and_what_lies_elsewhere_have_one_way() {
        let clock = Clock::default();
        let elsewhere = url("https://bills.example.cn/x");
        assert_eq!(addresses(&clock).way(&elsewhere), Way { to: elsewhere.clone(), or_to: None });
        let alone = Addresses::new("https://api.example.cn", clock).unwrap();
        let own = url("https://api.example.cn/x");
        alone.was_silent(&own);
        assert_eq!(alone.way(&own), Way { to: own.clone(), or_to: None });
        assert!(alone.hold(&own) && !alone.hold(&url("https://api2.example.cn/x")));
        assert!(addresses(&Clock::default()).hold(&url("https://api2.example.cn/x")));
    }
}
