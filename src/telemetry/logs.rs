//! Starts logs and traces together: both are layers of one `tracing` subscriber. The filter of the lines can be changed
//! while the server runs; traces are whole whatever it says.

use std::io::IsTerminal as _;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::traces;
use crate::config::{LogFormat, TelemetrySettings};
use crate::trace_context;

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
    /// This process writes no log any more.
    #[error("logs have ended")]
    Ended,
}

/// Which lines are written; clones are the same.
#[derive(Clone, Debug)]
pub struct LogFilter(reload::Handle<EnvFilter, Registry>);

impl LogFilter {
    /// Replaces the filter, e.g. by `info,rushmall=debug`, until the next restart.
    ///
    /// # Errors
    /// [`TelemetryError::Filter`]; the old filter stays.
    pub fn set(&self, filter: &str) -> Result<(), TelemetryError> {
        let parsed = parse(filter)?;
        self.0.reload(parsed).map_err(|_| TelemetryError::Ended)
    }
}

/// Logs and traces of this process; keep it until the end, then call [`Telemetry::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    filter: LogFilter,
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
            .with(lines(settings.log_format).with_filter(filter))
            .with(tracer.as_ref().map(traces::layer))
            .try_init()
            .map_err(|_| TelemetryError::Started)?;
        Ok(Self { filter: LogFilter(handle), tracer })
    }

    /// Which lines are written, to be changed while the process runs.
    #[must_use]
    pub fn filter(&self) -> LogFilter {
        self.filter.clone()
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

/// What lines show: never the spans that are there for traces alone.
fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let wrong = |source| TelemetryError::Filter { filter: filter.to_owned(), source };
    let no_detail = format!("{}=off", trace_context::DETAIL).parse().map_err(wrong)?;
    Ok(EnvFilter::try_new(filter).map_err(wrong)?.add_directive(no_detail))
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // A line that cannot be written is lost. Reported on standard error as well, it would end whatever was being done.
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
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
        telemetry.filter().set("debug").unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert!(telemetry.filter().set("rushmall=loud").unwrap_err().to_string().contains("rushmall=loud"));
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        telemetry.filter().set("off").unwrap();
        telemetry.shutdown().await;
    }
}
