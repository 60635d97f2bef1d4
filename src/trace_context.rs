//! Hands a trace on where it leaves the process's memory, as W3C `traceparent`: in a message to whoever consumes it, in
//! the outbox to whoever tells the commit.
//!
//! Inside the process the current span carries it. A message to an actor takes it along (actors/kit/parcel.rs), but only
//! the handler itself runs in it: a future that the handler returns says so with `in_current_span`.

use std::collections::HashMap;
use std::fmt::Display;

use opentelemetry::global;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Target of the spans that only traces show: log lines name the request they belong to, and that is enough. Where no
/// trace is exported nobody wants them, and they cost nothing.
pub const DETAIL: &str = "rushmall::trace";

const HEADER: &str = "traceparent";
/// Most requests that the span of shared work names: exporters cut spans with many links.
const NAMED_MAX: usize = 32;

/// The `traceparent` of the current span; `None` where no trace is exported.
#[must_use]
pub fn current() -> Option<String> {
    let mut carrier = HashMap::new();
    let context = tracing::Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    carrier.remove(HEADER)
}

/// A message to an actor, as a part of what is under way, from the ask to the answer. `is` names what the key is:
/// `user_id`, `product_id`, `order_no`. The current span itself where there is none, or nobody wants to know.
#[must_use]
pub fn ask(kind: &'static str, (is, key): (&'static str, &dyn Display), message: &'static str) -> Span {
    let asking = Span::current();
    if asking.is_disabled() {
        return asking;
    }
    let span = tracing::info_span!(
        target: DETAIL,
        "ask",
        "otel.name" = %format_args!("{kind} {message}"),
        actor = kind,
        message,
        user_id = Empty,
        product_id = Empty,
        order_no = Empty,
    );
    span.record(is, tracing::field::display(key));
    if span.is_disabled() { asking } else { span }
}

/// A call to what lies outside the process (`redis`, `sql`, a gateway), as a part of what is under way; none where
/// nothing is, so that sweeps, which look several times a second, do not fill the collector.
#[must_use]
pub fn call(system: &'static str, operation: &str) -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: DETAIL,
        "call",
        "otel.name" = %format_args!("{system} {operation}"),
        "otel.kind" = "client",
        system,
        operation,
    )
}

/// One call of the ledger for many claims, as a part of the first one's request, under its numbers.
#[must_use]
pub fn reserve(first: &Span, claims: usize, (user_id, product_id, order_no): (i64, i64, &dyn Display)) -> Span {
    if first.is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: DETAIL,
        parent: first,
        "reserve",
        "otel.name" = "ledger reserve",
        claims,
        user_id,
        product_id,
        order_no = %order_no,
    )
}

/// A message that is put into a queue, as a part of what is under way.
#[must_use]
pub fn publish(queue: &str) -> Span {
    if Span::current().is_disabled() {
        return Span::none();
    }
    tracing::info_span!(
        target: DETAIL,
        "publish",
        "otel.name" = %format_args!("rabbitmq publish {queue}"),
        "otel.kind" = "producer",
        system = "rabbitmq",
        queue,
    )
}

/// Makes `span` a part of the publisher's trace.
pub fn follow(span: &tracing::Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent else { return };
    // lines that are written in it name the trace as well
    span.record("trace_id", traceparent.split('-').nth(1));
    let carrier = HashMap::from([(HEADER.to_owned(), traceparent.to_owned())]);
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
    let _no_exporter = span.set_parent(context);
}

/// The span to work in for several requests at once, given by their spans: the first one's. The others are linked to it,
/// so that each of their traces leads to the work, and it to the first of them. Nothing is linked where no trace is
/// exported.
pub fn shared<'a>(mut requests: impl Iterator<Item = &'a Span>) -> Span {
    let Some(first) = requests.next() else { return Span::none() };
    let work = first.context().span().span_context().clone();
    if work.is_valid() && work.is_sampled() {
        for (place, other) in requests.enumerate() {
            other.add_link(work.clone());
            if place < NAMED_MAX {
                first.add_link(other.context().span().span_context().clone());
            }
        }
    }
    first.clone()
}
