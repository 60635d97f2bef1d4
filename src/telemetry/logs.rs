//! Starts logs and traces together: both are layers of one `tracing` subscriber, behind one filter that can be
//! changed while the server runs.

use std::io::IsTerminal as _;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::traces;
use crate::config::{LogFormat, TelemetrySettings};

/// Logs or traces could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not a `tracing` filter.
    #[error("\"{filter}\" is not a log filter")]
    Filter {
        /// The text.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The OTLP exporter could not be built.
    #[error("cannot send traces to {endpoint}")]
    Exporter {
        /// Where to.
        endpoint: String,
        /// Why.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Another subscriber is installed in this process already.
    #[error("logs were started before")]
    Started,
}

/// Logs and traces of this process; keep it until the end, then call [`Telemetry::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    tracer: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts log lines on standard error and, if an endpoint is set, traces. Must run inside a tokio runtime, which
    /// the exporter uses. `node` names this process in traces.
    ///
    /// # Errors
    /// [`TelemetryError`] if the filter or the endpoint cannot be used, or if called twice.
    pub fn start(settings: &TelemetrySettings, node: &str) -> Result<Self, TelemetryError> {
        let (filter, handle) = reload::Layer::new(parse(&settings.log)?);
        let tracer = traces::provider(&settings.otlp_endpoint, node)?;
        tracing_subscriber::registry()
            .with(filter)
            .with(lines(settings.log_format))
            .with(tracer.as_ref().map(traces::layer))
            .try_init()
            .map_err(|_| TelemetryError::Started)?;
        Ok(Self { filter: handle, tracer })
    }

    /// Replaces the filter, e.g. by `info,rushmall=debug`, until the next restart.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`]; the old filter stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), TelemetryError> {
        let parsed = parse(filter)?;
        self.filter.reload(parsed).map_err(|_| TelemetryError::Started)
    }

    /// Sends the spans that wait. The exporter's flush blocks and would starve the runtime that must carry it, so it
    /// runs on a thread of its own.
    pub async fn shutdown(self) {
        let Some(tracer) = self.tracer else { return };
        match tokio::task::spawn_blocking(move || tracer.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "last traces were not sent"),
            Err(error) => tracing::warn!(%error, "sending the last traces failed"),
        }
    }
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Pretty => layer.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn the_filter_can_be_changed_and_a_wrong_one_is_refused() {
        let settings = TelemetrySettings { log: "warn".to_owned(), ..TelemetrySettings::default() };
        let telemetry = Telemetry::start(&settings, "test").unwrap();
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        telemetry.set_filter("debug").unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert!(telemetry.set_filter("rushmall=loud").unwrap_err().to_string().contains("rushmall=loud"));
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        telemetry.set_filter("off").unwrap();
        telemetry.shutdown().await;
    }
}
