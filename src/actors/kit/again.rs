//! Whether the message that an actor is on is asked again from the dead letters, by somebody who has just begun to wait.
//!
//! A message may say since when its caller waits, so that what waited too long is turned away before work is done. A dead
//! letter's caller left long ago; whoever asks again wants it handled.

use std::cell::Cell;
use std::time::Instant;

use crate::clock;

thread_local! {
    static ASKED_AGAIN: Cell<bool> = const { Cell::new(false) };
}

/// Lasts as long as the handler runs.
pub(super) struct Handling;

impl Handling {
    pub fn begin(asked_again: bool) -> Self {
        ASKED_AGAIN.set(asked_again);
        Self
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        ASKED_AGAIN.set(false);
    }
}

/// Since when somebody waits for the message that is being handled and came at `arrived`. To be called in the handler itself,
/// not in what it awaits.
#[must_use]
pub fn waiting_since(arrived: Instant) -> Instant {
    if ASKED_AGAIN.get() { clock::monotonic() } else { arrived }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_that_is_asked_again_waits_anew() {
        let arrived = clock::monotonic();
        assert_eq!(waiting_since(arrived), arrived);
        let handling = Handling::begin(true);
        assert!(waiting_since(arrived) > arrived);
        drop(handling);
        assert_eq!(waiting_since(arrived), arrived);
    }
}
