//! Parcels that a merchant must refuse, or take with care: instead of the true one when a fault says so. An endpoint that
//! acknowledges one was fooled, and the list of notifications says so.

use serde_json::{Value, json};

use super::envelope::{Manner, Parcel, Twist, parcel};
use crate::domain::Money;
use crate::payment::crypto::CryptoError;
use crate::payment::sandbox::faults::FaultKind;
use crate::payment::sandbox::ledger::Notice;
use crate::payment::sandbox::rules::Wire;
use crate::payment::sandbox::state::Sandbox;
use crate::payment::wechat_v3::signing::{PROBE_PREFIX, SERIAL, SIGNATURE};

const STALE_MS: i64 = 600_000;

/// The parcel that `kind` puts in place of the true one; `None` if the kind leaves it alone.
pub(super) fn instead(sandbox: &Sandbox, notice: &Notice, kind: FaultKind) -> Option<Result<Parcel, CryptoError>> {
    let plain = Twist::default();
    let made = match kind {
        FaultKind::Forge => make(sandbox, notice, Twist { is_foreign: true, ..plain }),
        FaultKind::Stale => make(sandbox, notice, Twist { aged_ms: STALE_MS, ..plain }),
        FaultKind::BrokenTag => make(sandbox, notice, Twist { is_torn: true, ..plain }),
        FaultKind::Probe => {
            make(sandbox, notice, Twist { is_foreign: true, ..plain }).map(|parcel| probe(notice, parcel))
        }
        FaultKind::UnknownSerial => make(sandbox, notice, plain).map(|parcel| {
            let nobody = "5F".repeat(20);
            with_header(parcel, SERIAL, &nobody)
        }),
        FaultKind::WrongAmount { by_fen } => make(sandbox, &dearer(notice, by_fen), plain),
        FaultKind::UnknownOrder => make(sandbox, &unknown(notice), plain),
        _ => return None,
    };
    Some(made)
}

fn make(sandbox: &Sandbox, notice: &Notice, twist: Twist) -> Result<Parcel, CryptoError> {
    parcel(&sandbox.keys, notice, Manner::of(sandbox), twist)
}

/// The prefix and a length that no signature has.
fn probe(notice: &Notice, parcel: Parcel) -> Parcel {
    if notice.wire == Wire::V3 {
        let value = format!("{PROBE_PREFIX}{}", "p".repeat(301));
        return with_header(parcel, SIGNATURE, &value);
    }
    parcel
}

fn with_header(mut parcel: Parcel, name: &str, value: &str) -> Parcel {
    for header in parcel.headers.iter_mut().filter(|header| header.0 == name) {
        value.clone_into(&mut header.1);
    }
    parcel
}

/// Well signed, but of another sum.
fn dearer(notice: &Notice, by_fen: i64) -> Notice {
    let mut notice = notice.clone();
    for path in ["/amount/total", "/amount/payer_total", "/amount/refund"] {
        if let Some(value) = notice.facts.pointer_mut(path) {
            *value = json!(value.as_i64().unwrap_or_default() + by_fen);
        }
    }
    for name in ["total_fee", "cash_fee", "refund_fee"] {
        change(&mut notice.facts, name, |fen| Some((fen.parse::<i64>().ok()? + by_fen).to_string()));
    }
    for name in ["total_amount", "receipt_amount", "buyer_pay_amount", "refund_fee"] {
        if notice.wire == Wire::Alipay {
            change(&mut notice.facts, name, |yuan| {
                let fen = yuan.parse::<Money>().ok()?.fen() + by_fen;
                Some(Money::from_fen(fen).to_string())
            });
        }
    }
    notice
}

fn change(facts: &mut Value, name: &str, to: impl FnOnce(&str) -> Option<String>) {
    if let Some(value) = facts.get_mut(name)
        && let Some(changed) = value.as_str().and_then(to)
    {
        *value = json!(changed);
    }
}

/// Well signed, but of a trade that the merchant never created.
fn unknown(notice: &Notice) -> Notice {
    let mut notice = notice.clone();
    let number = format!("NOBODYS{}", &crate::random::token().replace(['-', '_'], "0")[..16]);
    notice.facts["out_trade_no"] = json!(number);
    notice
}
