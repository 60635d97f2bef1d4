//! Tells the systems that the operator named, by signed HTTP POSTs, what the outbox holds: at least once, each target by
//! itself, the events of an order in their order.
//!
//! | step | durable after it | repeated by |
//! |---|---|---|
//! | a commit leaves the outbox | a delivery for each target that wants its events, once | whoever carries the commit again |
//! | the event is posted | the same | whoever finds the lease ended |
//! | the target says 2xx | nothing | nobody |
//!
//! A target that does not take an event is tried again with growing pauses until its time is over; then the delivery is dead,
//! and waits for an administrator. Nothing of it is kept in memory, so a target that is away for a day costs rows and
//! nothing else. Addresses come from the settings alone, redirects are not followed, answers are not read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Url, redirect};
use tokio::sync::Notify;

use super::announcer;
use super::background::{Stop, work_off};
use crate::clock::Clock;
use crate::config::{Secret, Settings};
use crate::messaging::domain_event::{DomainEvent, EventMessage};
use crate::payment::crypto::hmac_sha256_hex_lower;
use crate::persistence::outbox::OutboxRow;
use crate::persistence::webhook_targets::{self, LastHeard};
use crate::persistence::webhooks::{self, Delivery, NewDelivery, Standing};
use crate::persistence::{Db, Lease, StoreError};
use crate::random;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Another node's after this; longer than a post may take.
const LEASE_SPARE_MS: i64 = 20_000;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before the second try, doubled up to the maximum; up to a fifth is added at random.
const PAUSE_FIRST_MS: i64 = 2_000;
const PAUSE_MAX_MS: i64 = 600_000;
/// How a target answered is noted at most so often, of either kind: deliveries need not wait for it.
const NOTED_EVERY_MS: i64 = 1_000;
const USER_AGENT: &str = concat!("RushMall/", env!("CARGO_PKG_VERSION"));
const SIGNATURE_VERSION: &str = "v1";

/// Who is told of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    name: String,
    url: String,
    secret: Secret,
    events: Vec<String>,
}

/// A target as administrators are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetStanding {
    /// What waits for it, over all nodes.
    pub standing: Standing,
    /// Host, and the port if it is not the usual one, by the settings of this node: the rest of a URL may hold a secret.
    pub host: String,
    /// Kinds of events that it is told, by the settings of this node.
    pub events: Vec<String>,
    /// How it answered, over all nodes.
    pub last_heard: LastHeard,
}

/// When this node noted last that a target took something, and that it did not.
type Noted = Arc<Mutex<HashMap<String, [i64; 2]>>>;

/// Why the targets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A secret cannot be read.
    #[error("the secret of webhook target {target}: {error}")]
    Secret {
        /// Of which target.
        target: String,
        /// Why.
        error: std::io::Error,
    },
    /// There is no TLS.
    #[error("no client for webhooks: {0}")]
    Client(#[from] reqwest::Error),
}

/// All targets; clones are the same.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Their names and places stay as they were at the start.
    targets: Arc<RwLock<Arc<[Target]>>>,
    http: Client,
    db: Db,
    clock: Clock,
    slot: u8,
    in_flight_max: usize,
    give_up_after_ms: i64,
    lease_ms: i64,
    bell: Arc<Notify>,
    noted: Noted,
}

impl Webhooks {
    /// The targets of the settings.
    ///
    /// # Errors
    /// [`WebhookError`] if a secret cannot be read, or TLS cannot be used.
    pub fn open(settings: &Settings, db: Db, clock: Clock) -> Result<Self, WebhookError> {
        let wanted = &settings.webhooks;
        let targets = Target::all_of(settings)?;
        let timeout = Duration::from_millis(wanted.request_timeout_ms);
        let http = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .pool_max_idle_per_host(wanted.in_flight_max)
            .build()?;
        Ok(Self {
            targets: Arc::new(RwLock::new(targets)),
            http,
            db,
            clock,
            slot: settings.node.slot,
            in_flight_max: wanted.in_flight_max,
            give_up_after_ms: wanted.give_up_after_ms,
            lease_ms: i64::try_from(wanted.request_timeout_ms).unwrap_or(i64::MAX).saturating_add(LEASE_SPARE_MS),
            bell: Arc::default(),
            noted: Arc::default(),
        })
    }

    /// Puts other addresses, secrets and events behind the same names, for all clones at once; true if any differs. Posts on
    /// their way end as they began.
    pub fn renew(&self, targets: Arc<[Target]>) -> bool {
        let mut here = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        debug_assert!(here.iter().map(|target| &target.name).eq(targets.iter().map(|target| &target.name)));
        let differs = *here != targets;
        *here = targets;
        differs
    }

    fn targets(&self) -> Arc<[Target]> {
        Arc::clone(&self.targets.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The names of the targets.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.targets().iter().map(|target| target.name.clone()).collect()
    }

    /// Owes what these commits mean to the targets; stock is low at `low_stock_units` and below. They may leave the outbox
    /// then.
    ///
    /// # Errors
    /// [`StoreError`]: they must not, yet.
    pub async fn owe(&self, rows: &[OutboxRow], low_stock_units: i64) -> Result<(), StoreError> {
        let targets = self.targets();
        if targets.is_empty() {
            return Ok(());
        }
        let messages = rows.iter().flat_map(|row| announcer::messages(row, low_stock_units));
        let owed: Vec<NewDelivery> = messages.flat_map(|message| deliveries(&targets, &message)).collect();
        webhooks::owe(&self.db, &owed, self.clock.now_ms()).await?;
        if !owed.is_empty() {
            self.bell.notify_waiters();
        }
        Ok(())
    }

    /// Posts what is owed to the target in this place until `stop`; returns at once if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be used; the supervisor starts it again.
    pub async fn deliver_to(self, place: usize, stop: Stop) -> Result<(), StoreError> {
        let Some(name) = self.names().get(place).cloned() else { return Ok(()) };
        let claim = async |room: usize| {
            let lease = Lease { slot: self.slot, ms: self.lease_ms };
            webhooks::claim_due(&self.db, &name, self.clock.now_ms(), lease, room as u64).await
        };
        let work = async |delivery: Delivery| match self.targets().get(place) {
            Some(target) => self.deliver(target, &delivery).await,
            None => Ok(()),
        };
        let pause = async || {
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        };
        work_off(self.in_flight_max, stop, claim, work, pause).await
    }

    /// How many targets there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.targets().len()
    }

    /// How it stands with every target.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standings(&self) -> Result<Vec<TargetStanding>, StoreError> {
        let (targets, mut heard) = (self.targets(), webhook_targets::all(&self.db).await?);
        let mut standings = Vec::new();
        for target in targets.iter() {
            standings.push(TargetStanding {
                standing: webhooks::standing(&self.db, &target.name).await?,
                host: target.host(),
                events: target.events.clone(),
                last_heard: heard.remove(&target.name).unwrap_or_default(),
            });
        }
        Ok(standings)
    }

    /// Looks for what an administrator had told again.
    pub fn ring(&self) {
        self.bell.notify_waiters();
    }

    async fn deliver(&self, target: &Target, delivery: &Delivery) -> Result<(), StoreError> {
        let Delivery { id, kind, attempts, .. } = delivery;
        let Err(error) = self.post(target, delivery).await else {
            metrics::counter!("rushmall_webhooks_delivered_total", "target" => target.name.clone()).increment(1);
            webhooks::delivered(&self.db, id).await?;
            self.bell.notify_waiters(); // the next event of the same order may go
            self.note(target, None).await;
            return Ok(());
        };
        metrics::counter!("rushmall_webhooks_failed_total", "target" => target.name.clone()).increment(1);
        let now_ms = self.clock.now_ms();
        let is_over = now_ms.saturating_sub(delivery.created_at_ms) >= self.give_up_after_ms;
        if is_over {
            tracing::error!(target_name = target.name, kind, id, error, "webhook given up");
            metrics::counter!("rushmall_webhooks_dead_total", "target" => target.name.clone()).increment(1);
        } else if attempts.is_power_of_two() {
            tracing::warn!(target_name = target.name, kind, id, attempts, error, "webhook not taken, later again");
        }
        let next_due_ms = (!is_over).then(|| now_ms.saturating_add(pause_ms(*attempts)));
        webhooks::not_taken(&self.db, id, &error, next_due_ms).await?;
        self.note(target, Some(&error)).await;
        Ok(())
    }

    /// Notes how a target answered, for administrators. Nobody depends on it: a note that fails is left out.
    async fn note(&self, target: &Target, error: Option<&str>) {
        let now_ms = self.clock.now_ms();
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let last_ms = &mut noted.entry(target.name.clone()).or_default()[usize::from(error.is_some())];
            if (*last_ms..last_ms.saturating_add(NOTED_EVERY_MS)).contains(&now_ms) {
                return;
            }
            *last_ms = now_ms;
        }
        let noting = match error {
            None => webhook_targets::took(&self.db, &target.name, now_ms).await,
            Some(error) => webhook_targets::refused(&self.db, &target.name, now_ms, error).await,
        };
        if let Err(error) = noting {
            tracing::debug!(target_name = target.name, %error, "not noted how a webhook target answered");
        }
    }

    async fn post(&self, target: &Target, delivery: &Delivery) -> Result<(), String> {
        let timestamp = self.clock.now_ms() / 1_000;
        let signature = signature(&target.secret, timestamp, &delivery.body);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("rushmall-event", delivery.kind.as_str()),
            ("rushmall-delivery", delivery.event_id.as_str()),
            ("rushmall-timestamp", &timestamp.to_string()),
            ("rushmall-signature", &signature),
        ] {
            headers.insert(name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
        }
        let posted = self.http.post(&target.url).headers(headers).body(delivery.body.clone()).send().await;
        match posted {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("HTTP {}", answer.status().as_u16())),
            Err(error) if error.is_timeout() => Err("no answer in time".to_owned()),
            Err(error) if error.is_connect() => Err("no connection".to_owned()),
            Err(error) => Err(error.without_url().to_string()),
        }
    }
}

/// What an event means to those who want it.
fn deliveries(targets: &[Target], message: &EventMessage) -> Vec<NewDelivery> {
    let wanting: Vec<&Target> = targets.iter().filter(|target| target.wants(&message.kind)).collect();
    if wanting.is_empty() {
        return Vec::new();
    }
    let mut owed = Vec::new();
    for event in &message.events {
        let alone = EventMessage { events: vec![event.clone()], ..message.clone() };
        let Ok(body) = serde_json::to_string(&alone) else { continue }; // texts and numbers always can
        let (event_id, order_no, place) = match event {
            DomainEvent::Order(fact) => (&fact.id, fact.order_no.as_str(), place(&message.kind, fact.order_version)),
            DomainEvent::Stock(fact) => (&fact.id, "", 0),
        };
        owed.extend(wanting.iter().map(|target| NewDelivery {
            target: target.name.clone(),
            event_id: event_id.clone(),
            kind: message.kind.clone(),
            order_no: order_no.to_owned(),
            place,
            body: body.clone(),
        }));
    }
    owed
}

impl Target {
    /// The targets of the settings, with their secrets.
    ///
    /// # Errors
    /// [`WebhookError::Secret`].
    pub fn all_of(settings: &Settings) -> Result<Arc<[Self]>, WebhookError> {
        let targets = settings.webhooks.targets.iter().map(|target| {
            let secret = target.read_secret();
            let secret = secret.map_err(|error| WebhookError::Secret { target: target.name.clone(), error })?;
            Ok(Self { name: target.name.clone(), url: target.url.clone(), secret, events: target.events.clone() })
        });
        targets.collect()
    }

    fn host(&self) -> String {
        let url = Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
        match host {
            Some((host, Some(port))) => format!("{host}:{port}"),
            Some((host, None)) => host.to_owned(),
            None => String::new(),
        }
    }

    fn wants(&self, kind: &str) -> bool {
        self.events.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => wanted == kind,
        })
    }
}

/// Of one step of an order the money's side comes first.
fn place(kind: &str, order_version: u32) -> i64 {
    i64::from(order_version) * 2 + i64::from(kind.starts_with("order."))
}

/// What the target compares with: HMAC-SHA256 of time and body, so that neither can be exchanged.
fn signature(secret: &Secret, timestamp: i64, body: &str) -> String {
    let signed = hmac_sha256_hex_lower(secret.0.as_bytes(), format!("{timestamp}.{body}").as_bytes());
    format!("{SIGNATURE_VERSION}={signed}")
}

fn pause_ms(attempts: u32) -> i64 {
    let exponent = attempts.saturating_sub(1).min(20);
    let pause_ms = PAUSE_FIRST_MS.saturating_mul(1 << exponent).min(PAUSE_MAX_MS);
    pause_ms + random::below(pause_ms.unsigned_abs() / 5) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(events: &[&str]) -> Target {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        Target { name: "t".to_owned(), url: String::new(), secret: Secret::default(), events }
    }

    #[test]
    fn a_target_hears_the_kinds_that_it_names() {
        assert!(target(&["*"]).wants("stock.low"));
        assert!(target(&["payment.late", "order.*"]).wants("order.paid"));
        assert!(!target(&["order.*"]).wants("payment.captured"));
        assert!(!target(&["order.paid"]).wants("order.paid_twice"));
    }

    #[test]
    fn of_a_url_only_the_host_is_told() {
        for (url, host) in [
            ("https://hooks.example/T0/B0/secret?token=secret", "hooks.example"),
            ("https://user:secret@hooks.example:8443/#secret", "hooks.example:8443"),
            ("http://[::1]:9000/x", "[::1]:9000"),
            ("secret", ""),
        ] {
            assert_eq!(Target { url: url.to_owned(), ..target(&[]) }.host(), host);
        }
    }

    #[test]
    fn pauses_grow_to_ten_minutes_and_differ() {
        assert!((2_000..2_400).contains(&pause_ms(1)));
        assert!((4_000..4_800).contains(&pause_ms(2)));
        assert!((600_000..720_000).contains(&pause_ms(30)));
        assert!((0..20).map(|_| pause_ms(30)).collect::<std::collections::BTreeSet<_>>().len() > 1);
    }

    #[test]
    fn the_signature_is_that_of_openssl() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac 'sixteen bytes or more'
        let secret = Secret("sixteen bytes or more".to_owned());
        assert_eq!(
            signature(&secret, 1_700_000_000, "{}"),
            "v1=834f8431afc144ede4a5697b3d170426f2664047ea35e41fe421e24c13612f7e"
        );
    }

    #[test]
    fn the_moneys_side_of_a_step_comes_first_and_steps_ascend() {
        assert!(place("payment.captured", 3) < place("order.paid", 3));
        assert!(place("order.paid", 3) < place("payment.refund_requested", 4));
    }
}
