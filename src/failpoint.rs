//! Named points at which a test kills, panics or delays this process. Nothing of it is in a deployed build.
//!
//! With the cargo feature `failpoints`, `RUSHMALL_FAILPOINTS="ledger.reserve.committed=kill@3"` (several separated by
//! `;`) or `arm` sets what happens at a point: `kill` (SIGKILL to itself), `panic`, `delay(ms)`, optionally only at
//! the `@n`-th visit. docs/RELIABILITY.md lists the points and the tests that visit each.

/// Marks a point on the purchase or saga path; does nothing unless the feature is on and the point is armed.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn reach(_point: &'static str) {}

#[cfg(feature = "failpoints")]
pub use armed::{arm, reach, visits};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Action {
        Kill,
        Panic,
        Delay(u64),
    }

    #[derive(Default)]
    struct Points {
        armed: HashMap<String, (Action, u64)>,
        visits: HashMap<&'static str, u64>,
    }

    static POINTS: LazyLock<Mutex<Points>> = LazyLock::new(|| {
        let mut points = Points::default();
        let spec = std::env::var("RUSHMALL_FAILPOINTS").unwrap_or_default();
        for entry in spec.split(';').filter(|entry| !entry.is_empty()) {
            if let Some((name, armed)) = parse(entry) {
                points.armed.insert(name, armed);
            }
        }
        Mutex::new(points)
    });

    fn parse(entry: &str) -> Option<(String, (Action, u64))> {
        let (name, action) = entry.split_once('=')?;
        let (action, visit) = action.split_once('@').unwrap_or((action, "1"));
        let action = match action {
            "kill" => Action::Kill,
            "panic" => Action::Panic,
            _ => Action::Delay(action.strip_prefix("delay(")?.strip_suffix(')')?.parse().ok()?),
        };
        Some((name.to_owned(), (action, visit.parse().ok()?)))
    }

    /// Arms a point while the process runs: `arm("inventory.claim=panic")`; the visit count starts anew. False if the
    /// text cannot be read.
    pub fn arm(entry: &str) -> bool {
        let Some((name, armed)) = parse(entry) else { return false };
        let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
        points.visits.retain(|visited, _| *visited != name);
        points.armed.insert(name, armed);
        true
    }

    /// How often each point was visited.
    pub fn visits() -> HashMap<&'static str, u64> {
        POINTS.lock().unwrap_or_else(PoisonError::into_inner).visits.clone()
    }

    /// Marks a point on the purchase or saga path.
    #[expect(clippy::panic, clippy::disallowed_methods, reason = "failing here is the purpose")]
    pub fn reach(point: &'static str) {
        let action = {
            let mut points = POINTS.lock().unwrap_or_else(PoisonError::into_inner);
            let visits = points.visits.entry(point).or_default();
            *visits += 1;
            let visit = *visits;
            points.armed.get(point).filter(|(_, at)| visit == *at).map(|(action, _)| *action)
        };
        match action {
            None => {}
            Some(Action::Delay(ms)) => {
                tracing::warn!(point, ms, "lingering at a failpoint");
                std::thread::sleep(std::time::Duration::from_millis(ms));
            }
            Some(Action::Panic) => panic!("failpoint {point}"),
            Some(Action::Kill) => {
                let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
                std::process::abort();
            }
        }
    }
}
