//! One trace from the buyer's click to the order at the other end of the queue and to what other systems are told.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use futures::StreamExt;
use futures::future::join_all;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use reqwest::Method;
use rushmall::random;
use serde_json::{Value, json};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::bench::{PATIENCE, amqp_url, channel, clean, settings};
use crate::events::listen;
use crate::shop::open;
use crate::support::client::{Answer, Person};
use crate::support::shop::log;

/// All that ended in this process, also of other tests: look by trace.
static SPANS: Mutex<Vec<SpanData>> = Mutex::new(Vec::new());
static RECORDING: LazyLock<()> = LazyLock::new(record);

#[derive(Debug)]
struct Memory;

impl SpanExporter for Memory {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        SPANS.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        Ok(())
    }
}

fn record() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = SdkTracerProvider::builder().with_simple_exporter(Memory).build().tracer("test");
    let ours = Targets::new().with_target("rushmall", tracing::Level::INFO);
    let started = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours))
        .with(log())
        .try_init();
    started.expect("nobody listened before");
}

/// Records spans from now on. Comes before the first shop of this process.
pub fn record_spans() {
    LazyLock::force(&RECORDING);
}

/// A trace that somebody outside has begun.
struct Trace {
    id: String,
    header: String,
}

impl Trace {
    fn begin() -> Self {
        let (id, span) = (hex::encode(random::bytes::<16>()), hex::encode(random::bytes::<8>()));
        Self { header: format!("00-{id}-{span}-01"), id }
    }

    /// `who` asks as a part of it.
    async fn post(&self, who: &Person, path: &str, body: &Value) -> Answer {
        who.ask(Method::POST, path, Some(body), &[("traceparent", &self.header)]).await
    }

    /// The span of this name, once it has ended.
    async fn span(&self, name: &str) -> SpanData {
        span_of(&self.id, name).await
    }
}

/// The span of this name in that trace, once it has ended.
async fn span_of(trace: &str, name: &str) -> SpanData {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(span) = ended(|span| span.name == *name && trace_of(span) == trace).pop() {
            return span;
        }
        let known = ended(|span| trace_of(span) == trace);
        let known: Vec<String> = known.iter().map(|span| span.name.to_string()).collect();
        assert!(Instant::now() < until, "no span {name} in the trace, which has {known:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// True if `span` is a part of `whole`, at any depth; those between have ended when `whole` has.
fn is_below(whole: &SpanData, span: &SpanData) -> bool {
    let known = ended(|other| trace_of(other) == trace_of(span));
    let parent = |span: &SpanData| known.iter().find(|other| other.span_context.span_id() == span.parent_span_id);
    let above = std::iter::successors(parent(span), |span| parent(span));
    above.into_iter().any(|other| other.span_context.span_id() == whole.span_context.span_id())
}

fn trace_of(span: &SpanData) -> String {
    span.span_context.trace_id().to_string()
}

/// Those that ended and fit.
fn ended(fits: impl Fn(&SpanData) -> bool) -> Vec<SpanData> {
    SPANS.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|span| fits(span)).cloned().collect()
}

#[tokio::test]
async fn the_order_writer_and_other_systems_continue_the_buyers_trace() {
    let Some(url) = amqp_url() else { return };
    let (click, payment) = (Trace::begin(), Trace::begin());
    let amqp = settings(&url);
    let shop = open(&amqp).await;
    let (_connection, channel) = channel(&url).await;
    let mut messages = listen(&channel, &amqp, "order.*").await;

    let (product, _) = shop.admin().await.make_sale("traced", 3).await;
    let ann = shop.register("ann").await;
    let body = json!({"product_id": product.id, "quantity": 1});
    let order_no = click.post(&ann, "/api/seckill", &body).await.order_no();
    let (request, writing) = (click.span("request").await, click.span("write_orders").await);
    let until = Instant::now() + PATIENCE;
    while !is_below(&request, &writing) {
        assert!(Instant::now() < until, "the click has not led to the order");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    shop.at_rest().await;
    payment.post(&ann, &format!("/api/order/{order_no}/pay"), &json!({"pay_type": 9})).await.accepted();
    for (kind, trace) in [("order.created", &click), ("order.paid", &payment)] {
        let next = tokio::time::timeout(PATIENCE, messages.next()).await.expect("an event in time");
        let message = next.expect("open").expect("a message");
        let headers = message.properties.headers().as_ref().expect("headers");
        let header = headers.inner().get("traceparent").and_then(|value| value.as_long_string());
        let header = header.map(ToString::to_string).unwrap_or_default();
        assert_eq!(message.routing_key.as_str(), kind);
        assert_eq!(header.split('-').nth(1), Some(trace.id.as_str()), "{kind}: {header:?}");
    }
    shop.close().await;
    clean(&amqp).await;
}

#[tokio::test]
async fn orders_are_written_in_the_trace_of_a_buyer_who_has_one_of_them() {
    let Some(url) = amqp_url() else { return };
    let amqp = settings(&url);
    let shop = open(&amqp).await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("traced together", 200).await;
    let (early, late) = (admin.make_buyers(40, "early").await, admin.make_buyers(40, "late").await);
    for buyer in &early {
        buyer.buy(&product).await.order_no();
    }
    // batches of claims in which most are refused: one unit a buyer
    let body = json!({"product_id": product.id, "quantity": 1});
    let clicks = early.iter().zip(&late).flat_map(|(again, first)| [again, again, first]);
    let clicks = clicks.map(|who| async {
        let trace = Trace::begin();
        (trace.post(who, "/api/seckill", &body).await.is_accepted(), trace.id)
    });
    let answers = join_all(clicks).await;
    shop.at_rest().await;
    let (accepted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(is_accepted, _)| *is_accepted);
    assert_eq!((accepted.len(), refused.len()), (40, 80));
    let written = || -> Vec<String> { ended(|span| span.name == "write_orders").iter().map(trace_of).collect() };
    let until = Instant::now() + PATIENCE;
    for (_, trace) in &accepted {
        span_of(trace, "request").await; // the last of them to end
        let links: Vec<_> = ended(|span| trace_of(span) == *trace).into_iter().map(|span| span.links).collect();
        let leads = links.iter().flat_map(|links| links.iter()).map(|link| link.span_context.trace_id().to_string());
        let leads: Vec<String> = leads.chain([trace.clone()]).collect();
        while !written().iter().any(|written| leads.contains(written)) {
            assert!(Instant::now() < until, "{trace} does not lead to its order: {links:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(links.iter().all(|links| links.len() <= 2 * 32 + 2), "{links:?}");
    }
    let written = written();
    assert!(accepted.iter().any(|(_, trace)| written.contains(trace)), "no order in any buyer's trace");
    let linked = ended(|span| refused.iter().any(|(_, trace)| trace_of(span) == *trace) && !span.links.is_empty());
    assert!(linked.is_empty(), "{} who got none lead to others' orders", linked.len());
    let strange: Vec<_> = refused.iter().filter(|(_, trace)| written.contains(trace)).collect();
    assert!(strange.is_empty(), "orders in the traces of {} who got none", strange.len());
    shop.close().await;
    clean(&amqp).await;
}
