//! The events of every step of a journal against the published contract.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::domain::stock::{Pool, Quantity};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};
use crate::messaging::domain_event::KINDS;
use crate::persistence::outbox::{OutboxPayload, PoolLevel};

const STEPS: &[(&str, OrderStatus)] = &[
    ("order_placed", OrderStatus::PendingPayment),
    ("order_failed", OrderStatus::Failed),
    ("payment_started", OrderStatus::PendingPayment),
    ("payment_attempt_closed", OrderStatus::PendingPayment),
    ("payment_captured", OrderStatus::Paid),
    ("surplus_payment_captured", OrderStatus::Paid),
    ("late_payment_recorded", OrderStatus::Cancelled),
    ("stock_retaken", OrderStatus::Paid),
    ("closing_started", OrderStatus::Closing),
    ("order_cancelled", OrderStatus::Cancelled),
    ("order_shipped", OrderStatus::Shipped),
    ("order_completed", OrderStatus::Completed),
    ("refund_requested", OrderStatus::Refunding),
    ("refund_reported", OrderStatus::Refunded),
    ("review_requested", OrderStatus::Paid),
    ("review_cleared", OrderStatus::Paid),
];

fn row(steps: &[(&str, OrderStatus)], levels: Vec<PoolLevel>) -> OutboxRow {
    let order_no: OrderNo = "01HF7YAT00000000000000000A".parse().unwrap();
    let event = |(index, (step, status)): (usize, &(&str, OrderStatus))| FeedEvent {
        order_no,
        buyer: BuyerId(7),
        version: index as u32 + 1,
        status: *status,
        event: (*step).to_owned(),
        at_ms: 1_700_000_000_000,
        product: ProductId(3),
        quantity: Quantity::ONE,
        total: Money::from_fen(9_900),
        pay_deadline_ms: 1_700_001_800_000,
    };
    OutboxRow {
        commit_no: 12,
        payload: OutboxPayload { events: steps.iter().enumerate().map(event).collect(), levels, traceparent: None },
    }
}

fn level(before: i64, after: i64) -> PoolLevel {
    PoolLevel { product: ProductId(3), pool: Pool::from(5), before, after }
}

/// The part of JSON Schema that the contract uses; an unknown keyword is an error, so that none is ignored silently.
fn violation(schema: &Value, root: &Value, value: &Value) -> Option<String> {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    for (keyword, rule) in schema.as_object().unwrap() {
        let is_broken = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => false,
            "type" => match rule.as_str().unwrap() {
                "object" => !value.is_object(),
                "array" => !value.is_array(),
                "string" => !value.is_string(),
                "integer" => !value.is_i64(),
                other => panic!("type {other}"),
            },
            "const" => rule != value,
            "enum" => !rule.as_array().unwrap().contains(value),
            "minimum" => value.as_i64() < rule.as_i64(),
            "minLength" => value.as_str().map(|text| text.len() as u64) < rule.as_u64(),
            "minItems" => value.as_array().map(|items| items.len() as u64) < rule.as_u64(),
            "required" => rule.as_array().unwrap().iter().any(|name| value.get(name.as_str().unwrap()).is_none()),
            "properties" => {
                let broken = rule.as_object().unwrap().iter().find_map(|(name, rule)| {
                    violation(rule, root, value.get(name)?).map(|found| format!("{name}: {found}"))
                });
                if broken.is_some() {
                    return broken;
                }
                false
            }
            "items" => {
                let broken = value.as_array().unwrap().iter().find_map(|item| violation(rule, root, item));
                if broken.is_some() {
                    return broken;
                }
                false
            }
            "oneOf" => rule.as_array().unwrap().iter().filter(|one| violation(one, root, value).is_none()).count() != 1,
            other => panic!("keyword {other}"),
        };
        if is_broken {
            return Some(format!("{value} breaks {keyword} {rule}"));
        }
    }
    None
}

fn contract() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_event_keeps_the_published_contract() {
    let contract = contract();
    let mut told = BTreeSet::new();
    for message in messages(&row(STEPS, vec![level(11, 10)]), 10) {
        let value = serde_json::to_value(&message).unwrap();
        assert_eq!(violation(&contract, &contract, &value), None);
        assert_eq!(serde_json::from_value::<EventMessage>(value).unwrap(), message);
        told.insert(message.kind);
    }
    assert_eq!(told, KINDS.iter().map(|kind| (*kind).to_owned()).collect(), "every kind can happen");
    let listed: BTreeSet<&str> =
        contract["properties"]["kind"]["enum"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    assert_eq!(listed, KINDS.iter().copied().collect());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/EVENTS.md")).unwrap();
    let unnamed: Vec<_> = KINDS.iter().filter(|kind| !page.contains(&format!("`{kind}`"))).collect();
    assert!(unnamed.is_empty(), "not in docs/EVENTS.md: {unnamed:?}");
}

#[test]
fn the_contract_notices_what_breaks_it() {
    let contract = contract();
    let good = serde_json::to_value(&messages(&row(&STEPS[..1], Vec::new()), 10)[0]).unwrap();
    for (pointer, wrong) in [
        ("/version", Value::from(2)),
        ("/kind", Value::from("order.teleported")),
        ("/events", Value::from(Vec::<Value>::new())),
        ("/events/0/order_no", Value::Null),
        ("/events/0/quantity", Value::from(0)),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = wrong;
        assert!(violation(&contract, &contract, &bad).is_some(), "{pointer}");
    }
}

#[test]
fn the_orders_of_a_commit_are_created_in_one_message() {
    let steps = vec![("order_placed", OrderStatus::PendingPayment); 256];
    let messages = messages(&row(&steps, Vec::new()), 10);
    assert_eq!((messages.len(), messages[0].events.len()), (1, 256));
    let ids: BTreeSet<String> = messages[0].events.iter().map(|event| format!("{event:?}")).collect();
    assert_eq!(ids.len(), 256, "each has its own id");
}

#[test]
fn stock_is_low_once_on_the_way_down() {
    let low = |before, after| messages(&row(&[], vec![level(before, after)]), 10).len();
    assert_eq!((low(12, 11), low(11, 10), low(10, 9), low(9, 20), low(300, 0)), (0, 1, 0, 0, 1));
}
