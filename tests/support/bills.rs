//! What tests of the reconciliation ask an administrator to do.

use std::time::{Duration, Instant};

use rushmall::domain::reconciliation::BillDay;
use serde_json::Value;

use super::client::Person;

const COMPARED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Person {
    /// Waits until the run of a gateway's day has come to an end; the run and its differences.
    pub async fn compared(&self, channel: &str, day: BillDay) -> Value {
        let until = Instant::now() + COMPARED_WITHIN;
        let path = format!("/api/admin/reconciliation/{channel}-{day}?page_size=100");
        loop {
            let answer = self.get(&path).await;
            let is_over = |run: &Value| {
                let is_due = run["state"] == "waiting" && run["error"] == "";
                !is_due && run["state"] != "running"
            };
            if answer.is_accepted() && is_over(&answer.data["run"]) {
                return answer.data;
            }
            assert!(Instant::now() < until, "not compared: {answer:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
