//! Domain events as other systems see them.

use std::collections::BTreeSet;

use futures::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use rushmall::config::AmqpSettings;
use rushmall::messaging::domain_event::{DomainEvent, EventMessage};

use crate::bench::{PATIENCE, amqp_url, channel, clean, settings};
use crate::shop::open;

/// Reads the stream from its beginning until each of `kinds` was there.
pub async fn expect_in_log(channel: &Channel, amqp: &AmqpSettings, kinds: &[&str]) {
    let mut missing: BTreeSet<&str> = kinds.iter().copied().collect();
    channel.basic_qos(100, BasicQosOptions::default()).await.expect("prefetch");
    let mut from_first = FieldTable::default();
    from_first.insert("x-stream-offset".into(), AMQPValue::LongString("first".into()));
    let log = format!("{}.events.log", amqp.prefix);
    let options = BasicConsumeOptions::default();
    let mut log = channel.basic_consume(log.into(), "replay".into(), options, from_first).await.expect("replaying");
    while !missing.is_empty() {
        let next = tokio::time::timeout(PATIENCE, log.next()).await.unwrap_or_else(|_| panic!("{missing:?} not kept"));
        let message = next.expect("open").expect("a message");
        missing.remove(message.routing_key.as_str());
        message.acker.ack(BasicAckOptions::default()).await.expect("acknowledged");
    }
}

/// Listens to the kinds of a pattern from now on, with a queue of its own; no acknowledgements.
pub async fn listen(channel: &Channel, amqp: &AmqpSettings, pattern: &str) -> Consumer {
    let declared = channel.queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default()).await;
    let own = declared.expect("a queue").name().clone();
    let (exchange, bind) = (format!("{}.events", amqp.prefix), QueueBindOptions::default());
    let bound = channel.queue_bind(own.clone(), exchange.into(), pattern.into(), bind, FieldTable::default()).await;
    bound.expect("bound");
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(own, "listener".into(), options, FieldTable::default()).await.expect("listening")
}

#[tokio::test]
async fn an_order_is_told_from_its_creation_to_its_refund_and_kept_for_replay() {
    let Some(url) = amqp_url() else { return };
    let amqp = settings(&url);
    let shop = open(&amqp).await;
    let (_connection, channel) = channel(&url).await;
    let mut messages = listen(&channel, &amqp, "order.#").await;

    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("told", 11).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    ann.pay(&order_no).await.accepted();
    admin.refund(&order_no).await.accepted();

    let mut told = Vec::new();
    while !told.contains(&"order.refunded".to_owned()) {
        let next = tokio::time::timeout(PATIENCE, messages.next()).await.expect("an event in time");
        let message = next.expect("open").expect("a message");
        let event: EventMessage = serde_json::from_slice(&message.data).expect("the contract");
        assert_eq!((event.kind.as_str(), event.version), (message.routing_key.as_str(), 1));
        let DomainEvent::Order(fact) = &event.events[0] else { panic!("of an order") };
        assert_eq!((&fact.order_no, fact.quantity), (&order_no, 1));
        if !told.contains(&event.kind) {
            told.push(event.kind); // what is told again is left out
        }
    }
    assert_eq!(told, ["order.created", "order.paid", "order.refunding", "order.refunded"]);

    let kinds = ["order.created", "stock.low", "payment.started", "payment.captured", "order.paid", "order.refunded"];
    expect_in_log(&channel, &amqp, &kinds).await;
    shop.close().await;
    clean(&amqp).await;
}
