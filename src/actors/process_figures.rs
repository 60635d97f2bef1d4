//! What a node's pulse tells of its process: the figures of `/metrics`, and how long answers took.
//!
//! What is counted as it happens lies in the recorder. What has to be looked up in stores is looked up by whoever serves
//! `/metrics` (http/figures.rs), who is rung here by every pulse: no pulse waits for a store, it tells what the look of a
//! moment ago found. Nobody watches: nobody looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

/// Figures in a pulse.
const FIGURES_MAX: usize = 700;
/// Routes whose times to the answer are told with their buckets: what buyers wait for in a sale.
const TIMED: [(&str, &str); 3] = [("POST", "/api/seckill"), ("POST", "/api/order"), ("POST", "/api/order/checkout")];
const TIMES: &str = "rushmall_http_request_seconds_bucket{";

/// The figures of this process; clones are the same.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "holds the metrics recorder")]
pub struct ProcessFigures(Arc<Shared>);

#[derive(Default)]
struct Shared {
    recorder: OnceLock<PrometheusHandle>,
    looked_up: Mutex<String>,
    asked: Notify,
}

/// What a pulse tells.
#[derive(Debug)]
pub struct Told {
    /// By name and labels, without buckets.
    pub figures: Value,
    /// By route: bounds of the buckets in seconds, and how many answers there were within each since the start.
    pub latency: Value,
}

impl ProcessFigures {
    /// Where they are recorded; the first call counts.
    pub fn record_in(&self, recorder: PrometheusHandle) {
        let _ = self.0.recorder.set(recorder);
    }

    /// Returns when a pulse has told what may be old by now.
    pub async fn asked(&self) {
        self.0.asked.notified().await;
    }

    /// Takes lines in Prometheus' text format that are not recorded.
    pub fn take(&self, lines: &str) {
        lines.clone_into(&mut self.0.looked_up.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is known now; `None` where nothing is recorded.
    #[must_use]
    pub fn tell(&self) -> Option<Told> {
        let recorder = self.0.recorder.get()?;
        // first: of too many figures the last are left out
        let text = self.0.looked_up.lock().unwrap_or_else(PoisonError::into_inner).clone() + &recorder.render();
        self.0.asked.notify_one();
        Some(Told { figures: figures(&text), latency: latency(&text) })
    }
}

/// The figures of Prometheus' text format without the buckets of histograms, by name and labels.
fn figures(text: &str) -> Value {
    let lines = text.lines().filter(|line| line.starts_with("rushmall_") && !line.contains("_bucket{"));
    let figures = lines.filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), json!(value.parse::<f64>().ok()?)))
    });
    Value::Object(figures.take(FIGURES_MAX).collect::<Map<String, Value>>())
}

/// Of each timed route that was asked: answers by bucket, over all classes of status, each alone and not with those below.
fn latency(text: &str) -> Value {
    let mut routes: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with(TIMES)) {
        let Some((labels, value)) = line.rsplit_once(' ') else { continue };
        let has = |name: &str, value: &str| labels.contains(&format!("{name}=\"{value}\""));
        let Some(route) = TIMED.iter().position(|(method, route)| has("method", method) && has("route", route)) else {
            continue;
        };
        let bound = labels.split_once("le=\"").and_then(|(_, rest)| rest.split('"').next());
        let Some((bound, count)) = bound.and_then(|bound| Some((bound.parse().ok()?, value.parse::<f64>().ok()?)))
        else {
            continue;
        };
        let buckets = routes.entry(route).or_default();
        match buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, sum)) => *sum += count,
            None => buckets.push((bound, count)),
        }
    }
    let shown = routes.into_iter().filter_map(|(route, mut buckets)| {
        let (method, route) = TIMED.get(route)?;
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let below = std::iter::once(0.0).chain(buckets.iter().map(|(_, count)| *count));
        let counts: Vec<f64> = buckets.iter().zip(below).map(|((_, count), below)| count - below).collect();
        let bounds: Vec<f64> = buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
        Some(json!({"method": method, "route": route, "bounds_s": bounds, "counts": counts}))
    });
    Value::Array(shown.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_without_buckets_and_comments() {
        let text = "# TYPE rushmall_test_a counter\nrushmall_test_a{kind=\"x y\"} 2\nrushmall_test_b_bucket{le=\"1\"} 3\nrushmall_test_b_sum 0.5\nother 1\n";
        assert_eq!(figures(text), json!({"rushmall_test_a{kind=\"x y\"}": 2.0, "rushmall_test_b_sum": 0.5}));
    }

    #[test]
    fn times_are_told_by_route_over_all_classes_of_status() {
        let bucket = |method: &str, route: &str, status: &str, le: &str, count: u32| {
            format!("{TIMES}method=\"{method}\",route=\"{route}\",status=\"{status}\",le=\"{le}\"}} {count}\n")
        };
        let text = [
            bucket("POST", "/api/seckill", "2xx", "0.008", 3),
            bucket("POST", "/api/seckill", "2xx", "0.1", 5),
            bucket("POST", "/api/seckill", "2xx", "+Inf", 6),
            bucket("POST", "/api/seckill", "5xx", "0.008", 0),
            bucket("POST", "/api/seckill", "5xx", "0.1", 1),
            bucket("POST", "/api/seckill", "5xx", "+Inf", 1),
            bucket("GET", "/api/seckill", "2xx", "0.008", 9),
            bucket("POST", "/api/seckill/init", "2xx", "0.008", 9),
        ]
        .concat();
        let seckill =
            json!({"method": "POST", "route": "/api/seckill", "bounds_s": [0.008, 0.1], "counts": [3.0, 3.0, 1.0]});
        assert_eq!(latency(&text), json!([seckill]));
    }

    #[test]
    fn nothing_is_told_before_there_is_a_recorder() {
        assert!(ProcessFigures::default().tell().is_none());
    }
}
