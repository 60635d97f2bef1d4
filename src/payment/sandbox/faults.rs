//! Misbehaviour on request: what gateways and networks do at the worst moment, chosen by channel, operation and count.
//!
//! Faults are settings of the ledger: they outlive a kill, and a count that was used up stays used up.

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::ledger::{Ledger, LedgerError, read_setting, write_setting};
use super::rules::Wire;
use crate::random;

const SETTING: &str = "faults";
/// The most faults that stand at a time.
pub(super) const FAULTS_MAX: usize = 200;

/// What is being done when a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    /// A trade is created.
    Create,
    /// A trade is queried.
    Query,
    /// A trade is closed.
    Close,
    /// A refund is asked for.
    Refund,
    /// A refund is queried.
    RefundQuery,
    /// Platform certificates are fetched.
    Certificates,
    /// A bill is fetched.
    Bill,
    /// A notification is delivered.
    Notify,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum FaultKind {
    /// The answer or the delivery comes `ms` late.
    Delay { ms: u64 },
    /// Requests: the provider's "system error", nothing done.
    SystemError,
    /// Requests: a bare HTTP 500 of some proxy, nothing done.
    ServerError,
    /// Requests: too many, nothing done.
    RateLimit,
    /// Requests: nothing done and no answer for `ms`, then a broken connection.
    Hang {
        #[serde(default = "half_a_minute")]
        ms: u64,
    },
    /// Requests: done, and then no answer for `ms`.
    CommitThenHang {
        #[serde(default = "half_a_minute")]
        ms: u64,
    },
    /// Requests: done, and the answer's signature is wrong.
    BadAnswerSignature,
    /// Requests: done, and the answer was signed ten minutes ago (v3).
    StaleAnswer,
    /// Close: said to be done and not done. A refund at Alipay: 10000, `fund_change` N, and nothing moved.
    NoEffect,
    /// Query: said to be closed, and it can still be paid.
    SaysClosed,
    /// Deliveries: `times` more copies at the same moment.
    Duplicate { times: u8 },
    /// Deliveries: held back until another notification went out, at most `ms`.
    Reorder {
        #[serde(default = "five_seconds")]
        ms: u64,
    },
    /// Deliveries: counted as tried, never sent.
    Drop,
    /// Deliveries: after an acknowledgement the same bytes again, `after_ms` later.
    Replay {
        #[serde(default)]
        after_ms: u64,
    },
    /// Deliveries: instead of the true one, one that is signed by a stranger.
    Forge,
    /// Deliveries: instead of the true one, a signature probe (v3; a nonsense signature elsewhere).
    Probe,
    /// Deliveries: instead of the true one, one that was signed ten minutes ago (v3).
    Stale,
    /// Deliveries: instead of the true one, one under a serial number that nobody knows (v3).
    UnknownSerial,
    /// Deliveries: instead of the true one, one of a broken resource (v3, refunds of v2; a changed field elsewhere).
    BrokenTag,
    /// Deliveries: instead of the true one, a well-signed one with `by_fen` more.
    WrongAmount {
        #[serde(default = "one_fen")]
        by_fen: i64,
    },
    /// Deliveries: instead of the true one, a well-signed one of a trade that the merchant never created.
    UnknownOrder,
}

const fn half_a_minute() -> u64 {
    30_000
}

const fn five_seconds() -> u64 {
    5_000
}

const fn one_fen() -> i64 {
    1
}

/// A fault that waits for its occasion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fault {
    /// Given by the sandbox.
    #[serde(default)]
    pub(super) id: u64,
    /// What goes wrong.
    #[serde(flatten)]
    pub(super) kind: FaultKind,
    /// On which channel; `None`: on all.
    #[serde(default)]
    pub(super) channel: Option<Wire>,
    /// At what; `None`: at everything that the kind fits.
    #[serde(default)]
    pub(super) operation: Option<Operation>,
    /// For which trade; `None`: for all.
    #[serde(default)]
    pub(super) out_trade_no: Option<String>,
    /// How often still; `None`: until it is removed.
    #[serde(default)]
    pub(super) count: Option<u32>,
    /// How often of a hundred occasions; `None`: always.
    #[serde(default)]
    pub(super) percent: Option<u8>,
    /// How often it struck.
    #[serde(default)]
    pub(super) hits: u64,
}

impl FaultKind {
    /// True if the kind can go wrong at `operation`.
    pub(super) const fn fits(self, operation: Operation) -> bool {
        let is_delivery = matches!(operation, Operation::Notify);
        match self {
            Self::Delay { .. } => true,
            Self::SaysClosed => matches!(operation, Operation::Query),
            Self::NoEffect => matches!(operation, Operation::Close | Operation::Refund),
            Self::SystemError
            | Self::ServerError
            | Self::RateLimit
            | Self::Hang { .. }
            | Self::CommitThenHang { .. }
            | Self::BadAnswerSignature
            | Self::StaleAnswer => !is_delivery,
            _ => is_delivery,
        }
    }
}

impl Fault {
    fn strikes(&self, wire: Wire, operation: Operation, out_trade_no: &str) -> bool {
        self.kind.fits(operation)
            && !(self.kind == FaultKind::NoEffect && operation == Operation::Refund && wire != Wire::Alipay)
            && self.channel.is_none_or(|channel| channel == wire)
            && self.operation.is_none_or(|wanted| wanted == operation)
            && self.out_trade_no.as_deref().is_none_or(|wanted| wanted == out_trade_no)
            && self.count != Some(0)
            && self.percent.is_none_or(|percent| random::below(100) < u64::from(percent))
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Standing {
    last_id: u64,
    faults: Vec<Fault>,
}

/// The faults that stand.
#[derive(Debug)]
pub(super) struct Faults {
    ledger: Ledger,
    standing: Mutex<Standing>,
}

impl Faults {
    pub(super) async fn open(ledger: &Ledger) -> Result<Self, LedgerError> {
        let standing = read_setting(ledger.reader(), SETTING).await?.unwrap_or_default();
        Ok(Self { ledger: ledger.clone(), standing: Mutex::new(standing) })
    }

    /// What goes wrong now, in the order in which the faults were set; counts it.
    pub(super) async fn strike(
        &self,
        wire: Wire,
        operation: Operation,
        out_trade_no: &str,
    ) -> Result<Vec<FaultKind>, LedgerError> {
        let mut standing = self.standing.lock().await;
        let mut struck = Vec::new();
        for fault in &mut standing.faults {
            if fault.strikes(wire, operation, out_trade_no) {
                fault.hits += 1;
                fault.count = fault.count.map(|left| left - 1);
                struck.push(fault.kind);
            }
        }
        if !struck.is_empty() {
            self.save(&standing).await?;
        }
        Ok(struck)
    }

    /// All, used up ones included.
    pub(super) async fn list(&self) -> Vec<Fault> {
        self.standing.lock().await.faults.clone()
    }

    /// Sets a fault; `None` if too many stand.
    pub(super) async fn add(&self, mut fault: Fault) -> Result<Option<Fault>, LedgerError> {
        let mut standing = self.standing.lock().await;
        if standing.faults.len() >= FAULTS_MAX {
            return Ok(None);
        }
        standing.last_id += 1;
        fault.id = standing.last_id;
        fault.hits = 0;
        standing.faults.push(fault.clone());
        self.save(&standing).await?;
        Ok(Some(fault))
    }

    /// Removes one fault, or all; how many went.
    pub(super) async fn remove(&self, id: Option<u64>) -> Result<usize, LedgerError> {
        let mut standing = self.standing.lock().await;
        let before = standing.faults.len();
        standing.faults.retain(|fault| id.is_some_and(|id| fault.id != id));
        self.save(&standing).await?;
        Ok(before - standing.faults.len())
    }

    async fn save(&self, standing: &Standing) -> Result<(), LedgerError> {
        let change = self.ledger.begin().await?;
        write_setting(&change, SETTING, standing).await?;
        Ok(change.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        let (channel, operation, out_trade_no, count) = (None, None, None, None);
        Fault { id: 0, kind, channel, operation, out_trade_no, count, percent: None, hits: 0 }
    }

    #[actix_rt::test]
    async fn a_fault_strikes_within_its_scope_as_often_as_it_says_and_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&dir.path().join("sandbox.db")).await.unwrap();
        let faults = Faults::open(&ledger).await.unwrap();
        let storm = Fault {
            channel: Some(Wire::V3),
            operation: Some(Operation::Close),
            count: Some(2),
            ..fault(FaultKind::SystemError)
        };
        faults.add(storm).await.unwrap().unwrap();
        let hits = async |faults: &Faults, wire, operation| faults.strike(wire, operation, "A").await.unwrap().len();
        assert_eq!(hits(&faults, Wire::V2, Operation::Close).await, 0);
        assert_eq!(hits(&faults, Wire::V3, Operation::Query).await, 0);
        assert_eq!(hits(&faults, Wire::V3, Operation::Close).await, 1);
        let faults = Faults::open(&ledger).await.unwrap();
        assert_eq!(hits(&faults, Wire::V3, Operation::Close).await, 1);
        assert_eq!(hits(&faults, Wire::V3, Operation::Close).await, 0);
        assert_eq!(faults.list().await[0].hits, 2);
        assert_eq!(faults.remove(None).await.unwrap(), 1);
    }

    #[test]
    fn kinds_strike_only_where_they_make_sense() {
        assert!(FaultKind::Drop.fits(Operation::Notify) && !FaultKind::Drop.fits(Operation::Query));
        assert!(FaultKind::RateLimit.fits(Operation::Query) && !FaultKind::RateLimit.fits(Operation::Notify));
        assert!(FaultKind::NoEffect.fits(Operation::Close) && !FaultKind::NoEffect.fits(Operation::Query));
        assert!(FaultKind::Delay { ms: 1 }.fits(Operation::Notify) && FaultKind::Delay { ms: 1 }.fits(Operation::Bill));
    }

    #[test]
    fn faults_are_read_with_their_defaults() {
        let read: Fault = serde_json::from_str(r#"{"kind":"hang","channel":"wechat_v3","count":3}"#).unwrap();
        assert_eq!(read, Fault { channel: Some(Wire::V3), count: Some(3), ..fault(FaultKind::Hang { ms: 30_000 }) });
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"explode"}"#).is_err());
    }
}
