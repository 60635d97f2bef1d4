//! Which alerts stand on this node. Pure bookkeeping: whoever looks says what is wrong now, the board says what is news.
//!
//! **Invariant**: an alert is told when it appears, at most once in `repeat_after_ms` while it lasts, and once when it is
//! over. A kind that could not be looked at keeps its alerts as they are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Alerts that ended and are still shown.
const ENDED_KEPT: usize = 50;
/// Alerts that stand at the same time; more are only counted.
const OPEN_MAX: usize = 500;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// An actor died too often, or an administrator keeps it down.
    Quarantine,
    /// Many messages were not handled within a minute.
    DeadLetters,
    /// Tickets were given up.
    DeadTickets,
    /// Orders wait for a human.
    NeedsReview,
    /// The ledger in Redis does not agree with the database.
    Drift,
    /// Few units are left.
    LowStock,
    /// A payment gateway is left alone.
    CircuitOpen,
    /// What happened is told late.
    OutboxLag,
    /// Accepted orders are written late.
    QueueLag,
    /// Unpaid orders outlive their deadline.
    DeadlineLag,
    /// What is owed to gateways or the ledger is done late.
    EffectLag,
}

impl AlertKind {
    /// Its word in logs, metrics and the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quarantine => "quarantine",
            Self::DeadLetters => "dead_letters",
            Self::DeadTickets => "dead_tickets",
            Self::NeedsReview => "needs_review",
            Self::Drift => "drift",
            Self::LowStock => "low_stock",
            Self::CircuitOpen => "circuit_open",
            Self::OutboxLag => "outbox_lag",
            Self::QueueLag => "queue_lag",
            Self::DeadlineLag => "deadline_lag",
            Self::EffectLag => "effect_lag",
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Quarantine | Self::DeadTickets | Self::Drift | Self::CircuitOpen | Self::QueueLag => {
                Severity::Critical
            }
            _ => Severity::Warning,
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look today.
    Warning,
    /// Somebody should look now.
    Critical,
}

/// Something that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What.
    pub kind: AlertKind,
    /// With what, e.g. `product 7, sale 3`: tells alerts of one kind apart.
    pub subject: String,
    /// For people.
    pub text: String,
    /// What the subject and the text tell, by name: for who words it in another language. Always an object.
    pub facts: Value,
}

/// An alert that stands or stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What.
    pub kind: AlertKind,
    /// With what.
    pub subject: String,
    /// How bad.
    pub severity: Severity,
    /// For people, as last seen.
    pub text: String,
    /// What the subject and the text tell, by name, as last seen.
    pub facts: Value,
    /// Since when, in milliseconds since 1970.
    pub raised_at_ms: i64,
    /// When it was last told.
    pub told_at_ms: i64,
    /// How often it was told.
    pub told: u32,
    /// Until when; `None` while it stands.
    pub resolved_at_ms: Option<i64>,
}

/// Why an alert is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TellingKind {
    /// It is new.
    Raised,
    /// It lasts.
    Repeated,
    /// It is over.
    Resolved,
}

/// News of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Telling {
    /// Why it is told.
    pub state: TellingKind,
    /// The alert as it is now.
    #[serde(flatten)]
    pub alert: Alert,
}

/// The alerts of one node; clones are the same board.
#[derive(Clone, Debug)]
pub struct AlertBoard {
    state: Arc<Mutex<State>>,
    changes: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<(AlertKind, String), Alert>,
    ended: VecDeque<Alert>,
}

impl Default for AlertBoard {
    fn default() -> Self {
        Self { state: Arc::default(), changes: Arc::new(watch::channel(0).0) }
    }
}

impl AlertBoard {
    /// Takes note of what was `found` of the kinds that were `looked_at`; answers what is to be told.
    pub fn settle(
        &self,
        looked_at: &[AlertKind],
        found: Vec<Condition>,
        now_ms: i64,
        repeat_after_ms: i64,
    ) -> Vec<Telling> {
        let mut state = self.state();
        let mut tellings = Vec::new();
        let mut standing = Vec::with_capacity(found.len());
        for Condition { kind, subject, text, facts } in found {
            standing.push((kind, subject.clone()));
            let is_full = state.open.len() >= OPEN_MAX;
            let known = state.open.get_mut(&(kind, subject.clone()));
            let (why, alert) = match known {
                None if is_full => continue,
                None => {
                    let severity = kind.severity();
                    let (raised_at_ms, told_at_ms) = (now_ms, now_ms);
                    let alert = Alert {
                        kind,
                        subject: subject.clone(),
                        severity,
                        text,
                        facts,
                        raised_at_ms,
                        told_at_ms,
                        told: 1,
                        resolved_at_ms: None,
                    };
                    state.open.insert((kind, subject), alert.clone());
                    (TellingKind::Raised, alert)
                }
                Some(alert) => {
                    (alert.text, alert.facts) = (text, facts);
                    // A clock that went back repeats nothing earlier than it would have.
                    if now_ms.saturating_sub(alert.told_at_ms) < repeat_after_ms {
                        continue;
                    }
                    (alert.told_at_ms, alert.told) = (now_ms, alert.told.saturating_add(1));
                    (TellingKind::Repeated, alert.clone())
                }
            };
            tellings.push(Telling { state: why, alert });
        }
        let is_over = |(kind, subject): &(AlertKind, String)| {
            looked_at.contains(kind) && !standing.iter().any(|known| known.0 == *kind && known.1 == *subject)
        };
        let over: Vec<(AlertKind, String)> = state.open.keys().filter(|key| is_over(key)).cloned().collect();
        for mut alert in over.iter().filter_map(|key| state.open.remove(key)).collect::<Vec<_>>() {
            alert.resolved_at_ms = Some(now_ms);
            if state.ended.len() >= ENDED_KEPT {
                state.ended.pop_front();
            }
            state.ended.push_back(alert.clone());
            tellings.push(Telling { state: TellingKind::Resolved, alert });
        }
        drop(state);
        if !tellings.is_empty() {
            self.changes.send_modify(|count| *count = count.wrapping_add(1));
        }
        tellings
    }

    /// Takes alerts of these kinds off without a word: another node looks after them now.
    pub fn hand_over(&self, kinds: &[AlertKind]) {
        self.state().open.retain(|(kind, _), _| !kinds.contains(kind));
    }

    /// The alerts that stand, by kind and subject.
    #[must_use]
    pub fn open(&self) -> Vec<Alert> {
        self.state().open.values().cloned().collect()
    }

    /// `{"open": […], "ended": […]}`, the latest ended first.
    #[must_use]
    pub fn shown(&self) -> Value {
        let state = self.state();
        let ended: Vec<&Alert> = state.ended.iter().rev().collect();
        json!({"open": state.open.values().collect::<Vec<_>>(), "ended": ended})
    }

    /// Changes with every piece of news.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [AlertKind; 2] = [AlertKind::LowStock, AlertKind::Drift];

    fn low(subject: &str, text: &str) -> Condition {
        let facts = json!({ "name": text });
        Condition { kind: AlertKind::LowStock, subject: subject.to_owned(), text: text.to_owned(), facts }
    }

    fn told(tellings: &[Telling]) -> Vec<(TellingKind, &str)> {
        tellings.iter().map(|telling| (telling.state, telling.alert.subject.as_str())).collect()
    }

    #[test]
    fn an_alert_is_told_once_then_repeated_then_resolved() {
        let board = AlertBoard::default();
        let settle = |found: Vec<Condition>, now_ms| board.settle(&KINDS, found, now_ms, 1_000);
        assert_eq!(told(&settle(vec![low("a", "5 left")], 0)), [(TellingKind::Raised, "a")]);
        assert_eq!(settle(vec![low("a", "4 left")], 999), []);
        let again = settle(vec![low("a", "3 left"), low("b", "1 left")], 1_000);
        assert_eq!(told(&again), [(TellingKind::Repeated, "a"), (TellingKind::Raised, "b")]);
        assert_eq!((again[0].alert.text.as_str(), again[0].alert.told), ("3 left", 2));
        assert_eq!(again[0].alert.facts, json!({ "name": "3 left" }));
        let over = settle(vec![low("b", "1 left")], 1_500);
        assert_eq!((told(&over), over[0].alert.resolved_at_ms), (vec![(TellingKind::Resolved, "a")], Some(1_500)));
        assert_eq!(settle(vec![low("b", "1 left")], 1_600), []);
        assert_eq!(told(&settle(vec![low("a", "2 left"), low("b", "1 left")], 1_700)), [(TellingKind::Raised, "a")]);
        assert_eq!(board.open().len(), 2);
        assert_eq!(board.shown()["ended"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn what_could_not_be_looked_at_stands() {
        let board = AlertBoard::default();
        board.settle(&KINDS, vec![low("a", "")], 0, 1_000);
        assert_eq!(board.settle(&[AlertKind::Drift], Vec::new(), 10, 1_000), []);
        assert_eq!(board.open().len(), 1);
        board.hand_over(&[AlertKind::LowStock]);
        assert_eq!(board.open().len(), 0);
        assert_eq!(board.shown()["ended"], json!([]), "handed over is not over");
    }

    #[test]
    fn the_board_is_bounded() {
        let board = AlertBoard::default();
        let many = |from: usize| (from..from + OPEN_MAX + 5).map(|n| low(&n.to_string(), "")).collect::<Vec<_>>();
        assert_eq!(board.settle(&KINDS, many(0), 0, 1_000).len(), OPEN_MAX);
        board.settle(&KINDS, Vec::new(), 1, 1_000);
        assert_eq!(board.shown()["ended"].as_array().map(Vec::len), Some(ENDED_KEPT));
    }
}
