//! Hands a trace on where it leaves the process's memory, as W3C `traceparent`: in a message to whoever consumes it, in
//! the outbox to whoever tells the commit.
//!
//! Inside the process the current span carries it. A message to an actor takes it along (actors/kit/parcel.rs), but only
//! the handler itself runs in it: a future that the handler returns says so with `in_current_span`.

use std::collections::HashMap;

use opentelemetry::global;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

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

/// Makes `span` a part of the publisher's trace.
pub fn follow(span: &tracing::Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent else { return };
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
