//! What happened to an order's money, one fact for each payment that came and each refund that ended: the leaves of the
//! transparency log.
//!
//! The canonical form of a fact, and the bytes that are hashed, is this structure as JSON without spaces, in the order of
//! its fields. `event_hash` is the hash of the journal's event, which covers the whole history of the order up to it: who
//! rewrites an earlier event changes the leaf. A later version of this form has another `v`; what was logged stays as it was.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Event, RefundState};
use crate::domain::money::Money;

/// The form described above.
const VERSION: u8 = 1;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyFact {
    /// 1: the form of the fact.
    pub v: u8,
    /// Of which order.
    pub order_no: String,
    /// The event's number in the order's journal.
    pub seq: i32,
    /// `payment_captured`, `surplus_payment_captured`, `late_payment_recorded` or `refund_reported`.
    pub kind: String,
    /// The payment attempt, or the number of the refund in the order.
    pub number: u16,
    /// What came, or was to go back, in fen.
    pub amount_fen: i64,
    /// `captured`, `succeeded` (the buyer has it back) or `closed` (the refund ended without that).
    pub state: String,
    /// The gateway's own number; empty if it said none.
    pub gateway_no: String,
    /// When the shop recorded it, in milliseconds since 1970.
    pub at_ms: i64,
    /// The event's hash in the journal, 64 hex digits.
    pub event_hash: String,
}

/// An event of a journal with what its row says.
#[derive(Clone, Copy, Debug)]
pub struct JournalEvent<'a> {
    /// Its number.
    pub seq: i32,
    /// What happened.
    pub event: &'a Event,
    /// When.
    pub at_ms: i64,
    /// Its hash.
    pub hash: &'a str,
}

impl Event {
    /// True if the event is a leaf of the transparency log.
    #[must_use]
    pub const fn is_money_fact(&self) -> bool {
        matches!(
            self,
            Self::PaymentCaptured { .. }
                | Self::SurplusPaymentCaptured { .. }
                | Self::LatePaymentRecorded { .. }
                | Self::RefundReported { state: RefundState::Closed | RefundState::Succeeded, .. }
        )
    }
}

/// The facts in a journal, which is given from its first event on.
pub fn money_facts<'a>(order_no: &str, journal: impl IntoIterator<Item = JournalEvent<'a>>) -> Vec<MoneyFact> {
    let mut asked: HashMap<u16, Money> = HashMap::new();
    let mut facts = Vec::new();
    for entry in journal {
        let (number, amount, state, gateway_no) = match entry.event {
            Event::PaymentCaptured { attempt, amount, transaction_id }
            | Event::SurplusPaymentCaptured { attempt, amount, transaction_id }
            | Event::LatePaymentRecorded { attempt, amount, transaction_id } => {
                (*attempt, *amount, "captured", transaction_id)
            }
            Event::RefundReported { refund, state: RefundState::Succeeded, gateway_no } => {
                (*refund, asked.get(refund).copied().unwrap_or(Money::ZERO), "succeeded", gateway_no)
            }
            Event::RefundReported { refund, state: RefundState::Closed, gateway_no } => {
                (*refund, asked.get(refund).copied().unwrap_or(Money::ZERO), "closed", gateway_no)
            }
            Event::RefundRequested { refund, amount, .. } => {
                asked.insert(*refund, *amount);
                continue;
            }
            _ => continue,
        };
        facts.push(MoneyFact {
            v: VERSION,
            order_no: order_no.to_owned(),
            seq: entry.seq,
            kind: entry.event.kind().to_owned(),
            number,
            amount_fen: amount.fen(),
            state: state.to_owned(),
            gateway_no: gateway_no.clone(),
            at_ms: entry.at_ms,
            event_hash: entry.hash.to_owned(),
        });
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::RefundPurpose;

    fn journal(events: &[Event]) -> Vec<MoneyFact> {
        let row = |(seq, event)| JournalEvent { seq, event, at_ms: 1_000 + i64::from(seq), hash: "abc" };
        money_facts("01J", (1..).zip(events).map(row))
    }

    fn refund(state: RefundState) -> [Event; 2] {
        let requested = Event::RefundRequested {
            refund: 2,
            attempt: 1,
            amount: Money::from_fen(500),
            purpose: RefundPurpose::Order,
            reason: String::new(),
            request: String::new(),
        };
        [requested, Event::RefundReported { refund: 2, state, gateway_no: "r\n9".to_owned() }]
    }

    #[test]
    fn the_canonical_form_stands_for_ever() {
        let paid =
            Event::PaymentCaptured { attempt: 1, amount: Money::from_fen(1_999), transaction_id: "t\"1".to_owned() };
        let form = serde_json::to_string(&journal(&[paid])[0]).unwrap();
        let expected = concat!(
            r#"{"v":1,"order_no":"01J","seq":1,"kind":"payment_captured","number":1,"amount_fen":1999,"#,
            r#""state":"captured","gateway_no":"t\"1","at_ms":1001,"event_hash":"abc"}"#
        );
        assert_eq!(form, expected);
        let form = serde_json::to_string(&journal(&refund(RefundState::Succeeded))[0]).unwrap();
        let expected = concat!(
            r#"{"v":1,"order_no":"01J","seq":2,"kind":"refund_reported","number":2,"amount_fen":500,"#,
            r#""state":"succeeded","gateway_no":"r\n9","at_ms":1002,"event_hash":"abc"}"#
        );
        assert_eq!(form, expected);
    }

    #[test]
    fn a_refund_is_a_fact_once_it_has_ended() {
        for (state, is_fact) in [
            (RefundState::Processing, false),
            (RefundState::Abnormal, false),
            (RefundState::Closed, true),
            (RefundState::Succeeded, true),
        ] {
            let events = refund(state);
            assert_eq!(events[1].is_money_fact(), is_fact);
            assert_eq!(journal(&events).len(), usize::from(is_fact), "{state:?}");
        }
    }
}
