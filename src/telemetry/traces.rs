//! Traces over OTLP gRPC (Jaeger, Tempo, any collector), if an endpoint is set.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use super::logs::TelemetryError;

/// Longest that one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The provider that sends to `endpoint`; `None` if it is empty. W3C `traceparent` becomes the way to hand a trace
/// on, with or without an endpoint.
pub(super) fn provider(endpoint: &str, node: &str) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    if endpoint.is_empty() {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint: endpoint.to_owned(), source })?;
    let resource = Resource::builder()
        .with_service_name("rushmall")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", node.to_owned()))
        .build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    opentelemetry::global::set_tracer_provider(provider.clone());
    Ok(Some(provider))
}

/// The layer that turns `tracing` spans into OTLP spans.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    // spans of the shop, not of the libraries under it
    let ours = Targets::new().with_target("rushmall", Level::INFO);
    tracing_opentelemetry::layer().with_tracer(provider.tracer("rushmall")).with_filter(ours).boxed()
}
