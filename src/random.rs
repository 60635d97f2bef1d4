//! The only place that draws randomness: order numbers, tokens, passwords and jitter all come from the system's
//! random source.

use std::sync::Mutex;

use crate::clock::Clock;
use crate::domain::OrderNo;
use crate::domain::ids::OrderNoSequence;

/// `N` random bytes.
///
/// # Panics
/// If the operating system has no randomness to give, which no server can work without.
#[must_use]
#[expect(clippy::expect_used, reason = "nothing safe can be done without randomness")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).expect("the system's random source works");
    bytes
}

/// A URL-safe token of 256 random bits.
#[must_use]
pub fn token() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A number in `0..bound` (`bound` at least 1), close enough to uniform for jitter.
#[must_use]
pub fn below(bound: u64) -> u64 {
    u64::from_le_bytes(bytes()) % bound.max(1)
}

/// Makes the order numbers of this node; one per process.
#[derive(Debug)]
pub struct OrderNumbers {
    clock: Clock,
    sequence: Mutex<OrderNoSequence>,
}

impl OrderNumbers {
    /// Numbers for node `slot` (0..16).
    #[must_use]
    pub const fn new(clock: Clock, slot: u8) -> Self {
        Self { clock, sequence: Mutex::new(OrderNoSequence::new(slot)) }
    }

    /// A number that no order had before.
    #[must_use]
    pub fn next(&self) -> OrderNo {
        let (now_ms, random) = (self.clock.now_ms(), u128::from_le_bytes(bytes()));
        let mut sequence = self.sequence.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sequence.next(now_ms, random)
    }
}
