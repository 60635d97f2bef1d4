//! What the server tells about itself: log lines on standard error, traces over OTLP, metrics for Prometheus.
//!
//! No secret, token, password or personal datum goes into a line, a span or a label; ids do.

pub mod catalogue;
pub mod logs;
pub mod metrics;
mod traces;

pub use logs::{LogFilter, Telemetry, TelemetryError};
pub use metrics::Metrics;
