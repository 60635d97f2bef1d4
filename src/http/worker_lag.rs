//! How late a worker is: what a request waited in its worker's queue before anybody looked at it.
//!
//! Each worker thread has a task that wants to run every 50 ms. As late as it runs, so late are requests: both wait for
//! their turn on the same loop. A purchase that already waited too long is refused before work is done on it.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::clock;

/// How often the task wants to run.
const EVERY: Duration = Duration::from_millis(50);

thread_local! {
    static LAG: OnceCell<Rc<Lag>> = const { OnceCell::new() };
}

struct Lag {
    ran_at: Cell<Instant>,
    /// By how much it was late then.
    late: Cell<Duration>,
}

impl Lag {
    fn now(&self) -> Duration {
        let overdue = self.ran_at.get().elapsed().saturating_sub(EVERY);
        overdue.max(self.late.get())
    }

    async fn watch(self: Rc<Self>) {
        loop {
            actix_rt::time::sleep(EVERY).await;
            self.late.set(self.ran_at.get().elapsed().saturating_sub(EVERY));
            self.ran_at.set(clock::monotonic());
        }
    }
}

/// How late this thread is, at most 50 ms after the fact. The first call on a thread begins the watch; must be called
/// inside an actix system.
#[must_use]
pub fn of_this_worker() -> Duration {
    LAG.with(|lag| {
        let watched = lag.get_or_init(|| {
            let lag = Rc::new(Lag { ran_at: Cell::new(clock::monotonic()), late: Cell::new(Duration::ZERO) });
            actix_rt::spawn(Rc::clone(&lag).watch());
            lag
        });
        watched.now()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "to hold its thread up is what the test is about")]
    #[actix_rt::test]
    async fn a_thread_that_was_held_up_is_late_until_it_has_caught_up() {
        assert!(of_this_worker() < Duration::from_secs(1));
        actix_rt::time::sleep(2 * EVERY).await;
        std::thread::sleep(Duration::from_millis(1_500));
        assert!(of_this_worker() >= Duration::from_secs(1), "before its task ran");
        tokio::task::yield_now().await;
        assert!(of_this_worker() >= Duration::from_secs(1), "and for a moment after");
        let until = clock::monotonic() + Duration::from_secs(20);
        while of_this_worker() > Duration::from_millis(500) {
            assert!(clock::monotonic() < until, "late for ever");
            actix_rt::time::sleep(EVERY).await;
        }
    }
}
