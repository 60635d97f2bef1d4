//! Whether buyers are sent to this node. Balancers ask `/ready` at intervals: a node whose actors stopped at the moment it was
//! drained refused whoever was sent to it until the next look. So it says so first, and drains when they have looked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Clones are the same door.
#[derive(Clone)]
pub(super) struct Door {
    grace: Duration,
    is_shut: Arc<watch::Sender<bool>>,
}

/// What becomes of the work that waits for a shut door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    /// It is done once balancers have had their time, unless the door is opened before.
    Later,
    /// Balancers have had their time, or need none: the caller does it.
    Now,
}

impl Door {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, is_shut: Arc::new(watch::Sender::new(false)) }
    }

    pub(super) fn is_shut(&self) -> bool {
        *self.is_shut.borrow()
    }

    /// Shuts it; asked of a shut door nobody waits any longer.
    pub(super) fn shut(&self, then: impl FnOnce() + Send + 'static) -> Shut {
        let was_open = self.set(true);
        if !was_open || self.grace.is_zero() {
            return Shut::Now;
        }
        let (grace, mut changes) = (self.grace, self.is_shut.subscribe());
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(grace) => then(),
                _ = changes.changed() => {}
            }
        });
        Shut::Later
    }

    pub(super) fn shut_at_once(&self) {
        self.set(true);
    }

    pub(super) fn open(&self) {
        self.set(false);
    }

    /// True if that changed something.
    fn set(&self, shut: bool) -> bool {
        self.is_shut.send_if_modified(|is_shut| std::mem::replace(is_shut, shut) != shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const GRACE: Duration = Duration::from_millis(30);

    fn telling(tell: &mpsc::UnboundedSender<u8>, name: u8) -> impl FnOnce() + Send + 'static {
        let tell = tell.clone();
        move || tell.send(name).unwrap()
    }

    #[tokio::test]
    async fn work_waits_until_balancers_have_looked() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let door = Door::new(GRACE);
        assert_eq!(door.shut(telling(&tell, 1)), Shut::Later);
        assert!(door.is_shut());
        assert!(told.try_recv().is_err());
        assert_eq!(door.shut(telling(&tell, 2)), Shut::Now, "asked again it is not put off");
        assert_eq!(told.recv().await, Some(1));
    }

    #[tokio::test]
    async fn a_door_that_was_opened_in_time_stops_nothing() {
        let (tell, mut told) = mpsc::unbounded_channel();
        let door = Door::new(GRACE);
        door.shut(telling(&tell, 1));
        door.open();
        assert!(!door.is_shut());
        assert_eq!(door.shut(telling(&tell, 2)), Shut::Later);
        drop(tell);
        assert_eq!((told.recv().await, told.recv().await), (Some(2), None), "the first work is never done");
    }

    #[tokio::test]
    async fn without_a_grace_nothing_waits() {
        let (tell, mut told) = mpsc::unbounded_channel();
        assert_eq!(Door::new(Duration::ZERO).shut(telling(&tell, 1)), Shut::Now);
        drop(tell);
        assert_eq!(told.recv().await, None, "the caller does it");
    }
}
