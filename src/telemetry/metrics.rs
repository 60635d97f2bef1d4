//! Metrics for Prometheus: `metrics::counter!` and its kin everywhere, rendered by `GET /metrics`.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::catalogue;

/// Without it, histograms keep every sample until the next scrape.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Bounds of histograms of seconds: fine around the goals (8 and 25 ms), coarse above.
const SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Bounds of histograms of counts, e.g. tickets in a batch.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

static INSTALLED: OnceLock<Metrics> = OnceLock::new();

/// The metrics of this process; clones share them.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder at the first call; later calls (tests with several apps) answer the same one.
    #[must_use]
    pub fn install() -> Self {
        INSTALLED.get_or_init(Self::build).clone()
    }

    fn build() -> Self {
        let builder = PrometheusBuilder::new();
        let builder =
            [("_seconds", SECONDS), ("_claims", COUNTS)].into_iter().fold(builder, |builder, (suffix, bounds)| {
                // refused only for an empty list of bounds
                builder.set_buckets_for_metric(Matcher::Suffix(suffix.to_owned()), bounds).unwrap_or_default()
            });
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed, ours stays empty");
        }
        catalogue::describe();
        Self { handle }
    }

    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// For those who render it themselves.
    #[must_use]
    pub fn handle(&self) -> PrometheusHandle {
        self.handle.clone()
    }

    /// Folds samples into their histograms every few seconds; never ends, so spawn it and drop it at shutdown.
    pub async fn upkeep(self) {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            ticks.tick().await;
            self.handle.run_upkeep();
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_and_installing_twice_is_one_recorder() {
        let first = Metrics::install();
        metrics::counter!("rushmall_test_total", "kind" => "x").increment(2);
        metrics::histogram!("rushmall_test_seconds").record(0.003);
        let text = Metrics::install().render();
        assert!(text.contains("rushmall_test_total{kind=\"x\"} 2"), "{text}");
        assert!(text.contains("rushmall_test_seconds_bucket{le=\"0.004\"} 1"), "{text}");
        assert!(!first.render().is_empty());
    }
}
