//! Who else speaks, and up to which number each was heard: how a lost message is noticed.
//!
//! A sender numbers its messages 1, 2, … in each of its lives; its heartbeat repeats the last number. So a number that
//! is skipped shows at the next message or heartbeat, and a sender that falls silent without taking leave is assumed to
//! have said something last that nobody heard.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A sender silent for so long is gone; heartbeats come every second.
pub(super) const SILENT_MAX: Duration = Duration::from_secs(5);

/// What one envelope says of its sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Number of the message, or of the last one before a heartbeat.
    pub number: u64,
    /// It has messages in it.
    pub has_messages: bool,
    /// The sender takes leave.
    pub is_leaving: bool,
}

/// What to do with an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is missing before it.
    InOrder,
    /// Something before it was not heard.
    AfterGap,
    /// It was heard already, or belongs before what was heard.
    Known,
}

#[derive(Debug)]
struct Sender {
    number: u64,
    heard_at: Instant,
}

/// The senders heard since this line was opened.
#[derive(Debug, Default)]
pub(super) struct Roster {
    senders: HashMap<String, Sender>,
}

impl Roster {
    pub fn note(&mut self, life: &str, mark: Mark, now: Instant) -> Verdict {
        if !self.senders.contains_key(life) {
            self.senders.insert(life.to_owned(), Sender { number: 0, heard_at: now });
        }
        let Some(sender) = self.senders.get_mut(life) else { return Verdict::AfterGap };
        sender.heard_at = now;
        let expected = if mark.has_messages { sender.number + 1 } else { sender.number };
        let verdict = match mark.number.cmp(&expected) {
            std::cmp::Ordering::Less => Verdict::Known,
            std::cmp::Ordering::Equal => Verdict::InOrder,
            std::cmp::Ordering::Greater => Verdict::AfterGap,
        };
        sender.number = sender.number.max(mark.number);
        if mark.is_leaving {
            self.senders.remove(life);
        }
        verdict
    }

    /// Forgets senders that fell silent; true if there were any.
    pub fn forget_silent(&mut self, now: Instant) -> bool {
        let before = self.senders.len();
        self.senders.retain(|_, sender| now.saturating_duration_since(sender.heard_at) < SILENT_MAX);
        self.senders.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn message(number: u64) -> Mark {
        Mark { number, has_messages: true, is_leaving: false }
    }

    const fn beat(number: u64) -> Mark {
        Mark { number, has_messages: false, is_leaving: false }
    }

    #[test]
    fn a_skipped_number_is_noticed_once_and_a_repeated_one_ignored() {
        let (mut roster, now) = (Roster::default(), crate::clock::monotonic());
        let mut note = |mark| roster.note("a", mark, now);
        assert_eq!(note(beat(0)), Verdict::InOrder);
        assert_eq!(note(message(1)), Verdict::InOrder);
        assert_eq!(note(message(3)), Verdict::AfterGap);
        assert_eq!(note(message(2)), Verdict::Known);
        assert_eq!(note(message(4)), Verdict::InOrder);
        assert_eq!(note(message(4)), Verdict::Known);
    }

    #[test]
    fn a_lost_last_message_is_noticed_by_the_heartbeat() {
        let (mut roster, now) = (Roster::default(), crate::clock::monotonic());
        assert_eq!(roster.note("a", message(1), now), Verdict::InOrder);
        assert_eq!(roster.note("a", beat(1), now), Verdict::InOrder);
        assert_eq!(roster.note("a", beat(2), now), Verdict::AfterGap);
        assert_eq!(roster.note("a", beat(2), now), Verdict::InOrder);
    }

    #[test]
    fn whoever_falls_silent_may_have_said_something_and_whoever_takes_leave_has_not() {
        let (mut roster, now) = (Roster::default(), crate::clock::monotonic());
        roster.note("killed", message(1), now);
        roster.note("stopped", message(1), now);
        roster.note("stopped", Mark { number: 1, has_messages: false, is_leaving: true }, now);
        assert!(!roster.forget_silent(now + SILENT_MAX / 2));
        assert!(roster.forget_silent(now + SILENT_MAX));
        assert!(!roster.forget_silent(now + SILENT_MAX * 2));
    }

    #[test]
    fn a_sender_met_in_the_middle_of_its_life_may_have_been_missed_before() {
        let (mut roster, now) = (Roster::default(), crate::clock::monotonic());
        assert_eq!(roster.note("a", beat(7), now), Verdict::AfterGap);
        assert_eq!(roster.note("b", message(1), now), Verdict::InOrder);
    }
}
