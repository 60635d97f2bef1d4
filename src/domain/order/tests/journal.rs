//! R63: the text of every event, as it lies in journals already. A line here is never edited, only added.

use super::fixture::{Saga, order_no, paid, placed_event};
use crate::domain::money::Money;
use crate::domain::order::{
    CancelReason, Command, CompletedBy, Effect, Event, FailReason, PayChannel, RefundPurpose, RefundState,
    ReviewReason, replay,
};

const TEN_YUAN: Money = Money::from_fen(1_000);

fn golden() -> Vec<(Event, &'static str)> {
    let transaction_id = || "tx-9".to_owned();
    vec![
        (
            placed_event(),
            r#"{"kind":"order_placed","order_no":"01KX8Y5S00G0000000000000ZZ","buyer":7,"product":42,"pool":3,"quantity":3,"total":5997,"pay_deadline_ms":1795000900000}"#,
        ),
        (Event::OrderFailed { reason: FailReason::SoldOut }, r#"{"kind":"order_failed","reason":"sold_out"}"#),
        (
            Event::PaymentStarted { attempt: 1, channel: PayChannel::Wechat, terms: None },
            r#"{"kind":"payment_started","attempt":1,"channel":"wechat"}"#,
        ),
        (Event::PaymentAttemptClosed { attempt: 2 }, r#"{"kind":"payment_attempt_closed","attempt":2}"#),
        (
            Event::PaymentCaptured { attempt: 1, amount: TEN_YUAN, transaction_id: transaction_id() },
            r#"{"kind":"payment_captured","attempt":1,"amount":1000,"transaction_id":"tx-9"}"#,
        ),
        (
            Event::SurplusPaymentCaptured { attempt: 1, amount: TEN_YUAN, transaction_id: transaction_id() },
            r#"{"kind":"surplus_payment_captured","attempt":1,"amount":1000,"transaction_id":"tx-9"}"#,
        ),
        (
            Event::LatePaymentRecorded { attempt: 1, amount: TEN_YUAN, transaction_id: transaction_id() },
            r#"{"kind":"late_payment_recorded","attempt":1,"amount":1000,"transaction_id":"tx-9"}"#,
        ),
        (Event::StockRetaken, r#"{"kind":"stock_retaken"}"#),
        (
            Event::ClosingStarted { reason: CancelReason::PayDeadline },
            r#"{"kind":"closing_started","reason":"pay_deadline"}"#,
        ),
        (Event::OrderCancelled { reason: CancelReason::Buyer }, r#"{"kind":"order_cancelled","reason":"buyer"}"#),
        (
            Event::OrderShipped { carrier: "SF".to_owned(), tracking_no: "SF1".to_owned() },
            r#"{"kind":"order_shipped","carrier":"SF","tracking_no":"SF1"}"#,
        ),
        (Event::OrderCompleted { by: CompletedBy::Timeout }, r#"{"kind":"order_completed","by":"timeout"}"#),
        (
            Event::RefundRequested {
                refund: 1,
                attempt: 2,
                amount: TEN_YUAN,
                purpose: RefundPurpose::Surplus,
                reason: "twice".to_owned(),
                request: String::new(),
            },
            r#"{"kind":"refund_requested","refund":1,"attempt":2,"amount":1000,"purpose":"surplus","reason":"twice"}"#,
        ),
        (
            Event::RefundRequested {
                refund: 2,
                attempt: 1,
                amount: TEN_YUAN,
                purpose: RefundPurpose::Order,
                reason: "scratched".to_owned(),
                request: "01KX8Y5S00G0000000000000ZY".to_owned(),
            },
            r#"{"kind":"refund_requested","refund":2,"attempt":1,"amount":1000,"purpose":"order","reason":"scratched","request":"01KX8Y5S00G0000000000000ZY"}"#,
        ),
        (
            Event::RefundReported { refund: 1, state: RefundState::Succeeded, gateway_no: String::new() },
            r#"{"kind":"refund_reported","refund":1,"state":"succeeded"}"#,
        ),
        (
            Event::ReviewRequested { reason: ReviewReason::RefundClosed },
            r#"{"kind":"review_requested","reason":"refund_closed"}"#,
        ),
        (Event::ReviewCleared { note: "ok".to_owned() }, r#"{"kind":"review_cleared","note":"ok"}"#),
    ]
}

#[test]
fn r63_every_event_keeps_its_text() {
    for (event, text) in golden() {
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::from_str::<Event>(text).unwrap(), event);
        let kind = serde_json::from_str::<serde_json::Value>(text).unwrap()["kind"].clone();
        assert_eq!(kind, event.kind());
    }
}

#[test]
fn r63_every_kind_has_a_text() {
    let mut kinds: Vec<_> = golden().iter().map(|(event, _)| event.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 16, "one line for each variant of Event");
}

#[test]
fn r63_every_word_in_an_event_keeps_its_text() {
    use serde_json::to_value;
    let words = |values: &[serde_json::Value]| values.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(" ");
    let channels = [PayChannel::Alipay, PayChannel::Wechat, PayChannel::Card, PayChannel::Simulated];
    assert_eq!(words(&channels.map(|c| to_value(c).unwrap())), "alipay wechat card simulated");
    let states = [RefundState::Processing, RefundState::Abnormal, RefundState::Closed, RefundState::Succeeded];
    assert_eq!(words(&states.map(|s| to_value(s).unwrap())), "processing abnormal closed succeeded");
    let reasons = [CancelReason::Buyer, CancelReason::Administrator, CancelReason::PayDeadline];
    assert_eq!(words(&reasons.map(|r| to_value(r).unwrap())), "buyer administrator pay_deadline");
    let reviews = [
        ReviewReason::AmountMismatch,
        ReviewReason::RefundClosed,
        ReviewReason::RefundAbnormal,
        ReviewReason::EffectExhausted,
        ReviewReason::RefundRefused,
        ReviewReason::BillDiffers,
        ReviewReason::GatewayUndecided,
    ];
    let review_words = "amount_mismatch refund_closed refund_abnormal effect_exhausted refund_refused bill_differs \
                        gateway_undecided";
    assert_eq!(words(&reviews.map(|r| to_value(r).unwrap())), review_words);
    let fails = [FailReason::SoldOut, FailReason::Poisoned, FailReason::OverLimit].map(|f| to_value(f).unwrap());
    assert_eq!(words(&fails), "sold_out poisoned over_limit");
    assert_eq!(words(&[CompletedBy::Buyer, CompletedBy::Timeout].map(|b| to_value(b).unwrap())), "buyer timeout");
    assert_eq!(words(&[RefundPurpose::Order, RefundPurpose::Surplus].map(|p| to_value(p).unwrap())), "order surplus");
}

#[test]
fn r63_every_effect_keeps_its_text() {
    for (effect, text) in [
        (Effect::ClosePayment { attempt: 1 }, r#"{"kind":"close_payment","attempt":1}"#),
        (Effect::SendRefund { refund: 2 }, r#"{"kind":"send_refund","refund":2}"#),
        (Effect::ReleaseStock, r#"{"kind":"release_stock"}"#),
        (Effect::RetakeStock, r#"{"kind":"retake_stock"}"#),
        (Effect::ReleaseRetakenStock, r#"{"kind":"release_retaken_stock"}"#),
    ] {
        assert_eq!(serde_json::to_string(&effect).unwrap(), text);
        assert_eq!(serde_json::from_str::<Effect>(text).unwrap(), effect);
        assert!(text.contains(effect.kind()));
    }
}

#[test]
fn a_journal_replays_to_the_order_that_wrote_it() {
    let mut saga = Saga::paid_late();
    saga.does(Command::ConfirmStockRetaken).unwrap();
    saga.ignores(paid(1));
    let stored = saga.journal.iter().map(|(event, at_ms)| (event, *at_ms));
    assert_eq!(replay(stored), Some(saga.order.clone()));
    assert_eq!((saga.order.version as usize, saga.order.order_no), (saga.journal.len(), order_no()));
}

#[test]
fn a_journal_that_does_not_begin_with_the_order_is_no_order() {
    assert_eq!(replay([]), None);
    assert_eq!(replay([(&Event::StockRetaken, 0)]), None);
}
