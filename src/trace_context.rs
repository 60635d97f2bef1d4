//! Hands a trace on where it leaves the process's memory, as W3C `traceparent`: in a message to whoever consumes it, in
//! the outbox to whoever tells the commit.
//!
//! Inside the process the current span carries it. A message to an actor takes it along (actors/kit/parcel.rs), but only
//! the handler itself runs in it: a future that the handler returns says so with `in_current_span`.

use std::collections::HashMap;

use opentelemetry::global;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const HEADER: &str = "traceparent";

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
