//! What is wrong at this moment, kind by kind. Each kind is looked at by itself: a store that does not answer hides none of
//! the others.
//!
//! What belongs to one node (its actors, its letters, its gateways' guards) every node looks at; what belongs to the shop
//! only the live node with the lowest slot. If two nodes take themselves for that one, an alert comes twice.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::board::{AlertKind, Condition};
use super::watch::AlertWatch;
use crate::actors::kit::ActorState;
use crate::domain::ProductId;
use crate::domain::stock::Pool;
use crate::persistence::drift::{self, Verdict};
use crate::persistence::{StoreError, effects, lags};

/// Alerts of one kind in one look.
const OF_A_KIND_MAX: usize = 50;
const MINUTE_MS: i64 = 60_000;
/// Rows of a product that are named in one alert.
const DIFFERENCES_TOLD: usize = 3;

/// What every node looks at.
pub(super) const OF_A_NODE: [AlertKind; 3] = [AlertKind::Quarantine, AlertKind::DeadLetters, AlertKind::CircuitOpen];
/// What one node looks at for all.
pub(super) const OF_THE_SHOP: [AlertKind; 8] = [
    AlertKind::DeadTickets,
    AlertKind::NeedsReview,
    AlertKind::LowStock,
    AlertKind::OutboxLag,
    AlertKind::QueueLag,
    AlertKind::DeadlineLag,
    AlertKind::EffectLag,
    AlertKind::Drift,
];

/// What was looked at, and what was found.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Kinds whose alerts may end.
    pub kinds: Vec<AlertKind>,
    /// What is wrong.
    pub found: Vec<Condition>,
}

/// Something that is wrong, of the kind that is looked for.
struct Found {
    /// What it is about; empty: the shop.
    subject: String,
    text: String,
    facts: Value,
}

impl Look {
    fn saw(&mut self, kind: AlertKind, found: impl IntoIterator<Item = Found>) {
        self.kinds.push(kind);
        self.saw_some(kind, found);
    }

    /// Of what could not all be looked at: alerts may begin, and none ends.
    fn saw_some(&mut self, kind: AlertKind, found: impl IntoIterator<Item = Found>) {
        let found = found.into_iter().take(OF_A_KIND_MAX);
        self.found.extend(found.map(|Found { subject, text, facts }| Condition { kind, subject, text, facts }));
    }

    /// A question that was not answered leaves its alerts as they are.
    fn asked(&mut self, kind: AlertKind, answer: Result<impl IntoIterator<Item = Found>, StoreError>) {
        match answer {
            Ok(found) => self.saw(kind, found),
            Err(error) => tracing::warn!(kind = kind.word(), %error, "no look for this alert"),
        }
    }
}

/// How many letters there were when, for the count of a minute.
#[derive(Debug, Default)]
pub(super) struct LetterCount(VecDeque<(i64, u64)>);

impl LetterCount {
    /// Letters of the last minute, given how many there ever were.
    pub fn of_last_minute(&mut self, total: u64, now_ms: i64) -> u64 {
        self.0.push_back((now_ms, total));
        while self.0.len() > 1 && self.0.front().is_some_and(|(at_ms, _)| now_ms - at_ms > MINUTE_MS) {
            self.0.pop_front();
        }
        self.0.front().map_or(0, |(_, before)| total.saturating_sub(*before))
    }
}

/// Too many of something in the shop, worded by `text`.
fn over(count: u64, bound: u64, text: impl FnOnce(u64) -> String) -> Option<Found> {
    (count >= bound).then(|| Found { subject: String::new(), text: text(count), facts: json!({ "count": count }) })
}

fn running_low(low: lags::LowPool) -> Found {
    let lags::LowPool { product, name, pool, free } = low;
    let sale = match pool {
        Pool::Free => None,
        Pool::Sale(sale) => Some(sale),
    };
    Found {
        subject: format!("product {product}, {pool}"),
        text: format!("{free} left of {name}"),
        facts: json!({ "product_id": product, "sale_id": sale, "name": name, "free": free }),
    }
}

impl AlertWatch {
    /// What is wrong with this node.
    pub(super) fn look_at_node(&self, letters: &mut LetterCount, look: &mut Look) {
        let settings = self.settings.now();
        let node = &settings.node.name;
        let quarantined = self.controls.kinds.list(None, Some(ActorState::Quarantined));
        look.saw(
            AlertKind::Quarantine,
            quarantined.into_iter().map(|actor| {
                let (kind, key, why) = (actor.kind, actor.key, actor.last_error.unwrap_or_default());
                Found {
                    subject: format!("{kind} {key} on {node}"),
                    text: format!("kept down: {why}"),
                    facts: json!({ "actor_kind": kind, "key": key, "node": node, "why": why }),
                }
            }),
        );
        let count = letters.of_last_minute(self.controls.host.dead_letters().total(), self.clock.now_ms());
        let many = (count >= settings.alerts.dead_letters_per_minute).then(|| Found {
            subject: format!("actors on {node}"),
            text: format!("{count} messages were not handled within a minute"),
            facts: json!({ "count": count, "node": node }),
        });
        look.saw(AlertKind::DeadLetters, many);
        let tripped = self.gateways.tripped().map(|wire| Found {
            subject: format!("{wire} on {node}"),
            text: "the gateway failed and is left alone for a while".to_owned(),
            facts: json!({ "gateway": wire.to_string(), "node": node }),
        });
        look.saw(AlertKind::CircuitOpen, tripped.collect::<Vec<_>>());
    }

    /// What is wrong with the shop, but for the comparison with the ledger.
    pub(super) async fn look_at_shop(&self, look: &mut Look) {
        let settings = self.settings.now();
        let (db, alerts, now_ms) = (&self.db, &settings.alerts, self.clock.now_ms());
        let dead = lags::dead_tickets(db).await;
        let text = |count| format!("{count} tickets were given up and wait for an administrator");
        look.asked(AlertKind::DeadTickets, dead.map(|count| over(count, alerts.dead_tickets, text)));
        let reviews = lags::reviews(db).await;
        let text = |count| format!("{count} orders wait for a human");
        look.asked(AlertKind::NeedsReview, reviews.map(|count| over(count, alerts.reviews, text)));
        let low = lags::low_pools(db, settings.orders.low_stock_units, now_ms, OF_A_KIND_MAX as u64).await;
        look.asked(AlertKind::LowStock, low.map(|pools| pools.into_iter().map(running_low)));
        let oldest = lags::oldest_untold_ms(db).await;
        let age_ms = |oldest: Option<i64>| oldest.map_or(0, |at_ms| now_ms.saturating_sub(at_ms));
        let late = |age_ms: i64| {
            (age_ms > alerts.outbox_lag_ms).then(|| Found {
                subject: String::new(),
                text: format!("a commit was not told for {age_ms} ms"),
                facts: json!({ "age_ms": age_ms }),
            })
        };
        look.asked(AlertKind::OutboxLag, oldest.map(|oldest| late(age_ms(oldest))));
        let overdue = lags::overdue_orders(db, now_ms - alerts.deadline_lag_ms).await;
        let text = |count| format!("{count} unpaid orders outlived their deadline");
        look.asked(AlertKind::DeadlineLag, overdue.map(|count| over(count, 1, text)));
        let owed = effects::overdue(db, now_ms - alerts.effect_lag_ms).await;
        let text = |count| format!("{count} effects on gateways or the ledger are overdue");
        look.asked(AlertKind::EffectLag, owed.map(|count| over(count, 1, text)));
        match self.queue.depth().await {
            Ok(depth) => {
                let text = |depth| format!("{depth} batches of tickets wait for an order writer");
                look.saw(AlertKind::QueueLag, over(depth, alerts.queue_messages, text));
            }
            Err(error) => tracing::debug!(%error, "the order queue cannot say how much waits"),
        }
    }

    /// What the ledger in Redis and the database disagree about, among the busiest products of this node.
    pub(super) async fn look_for_drift(&self, look: &mut Look) {
        if !self.ledger.is_shared() {
            return look.saw(AlertKind::Drift, None);
        }
        let (mut found, mut is_unclear) = (Vec::new(), false);
        for product in self.busy_products() {
            match drift::look_for_a_while(&self.db, &*self.ledger, product, &self.clock).await {
                Ok(Verdict::Differs { told }) => {
                    let text = told.into_iter().take(DIFFERENCES_TOLD).collect::<Vec<_>>().join("; ");
                    let facts = json!({ "product_id": product, "differences": text });
                    found.push(Found { subject: format!("product {product}"), text, facts });
                }
                Ok(Verdict::Moving) => is_unclear = true, // what was wrong with it before may be wrong still
                Ok(Verdict::Lost | Verdict::Agrees { .. }) => {}
                Err(error) => return tracing::warn!(%product, %error, "ledger not compared with the database"),
            }
        }
        if is_unclear { look.saw_some(AlertKind::Drift, found) } else { look.saw(AlertKind::Drift, found) }
    }

    fn busy_products(&self) -> Vec<ProductId> {
        let mut vitals = self.controls.kinds.list(Some("inventory"), None);
        vitals.sort_by_key(|actor| std::cmp::Reverse(actor.handled));
        let products = vitals.iter().take(self.settings.now().alerts.drift_products);
        products.filter_map(|actor| actor.key.parse().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_counted_over_one_minute() {
        let mut letters = LetterCount::default();
        assert_eq!(letters.of_last_minute(7, 0), 0, "what was before is not news");
        assert_eq!(letters.of_last_minute(9, 30_000), 2);
        assert_eq!(letters.of_last_minute(10, 60_000), 3);
        assert_eq!(letters.of_last_minute(10, 60_001), 1);
        assert_eq!(letters.of_last_minute(10, 130_000), 0);
    }
}
