//! Identities: who buys, what, in which sale, and the order number that names a purchase everywhere.
//!
//! An [`OrderNo`] is a ULID (48 bits of milliseconds, 80 more bits). Its first 12 bits after the time are a node
//! slot and a sequence, the other 68 are random: so numbers are unique, ordered in time and not guessable, and a
//! positive integer `id` for old clients is a projection of the number ([`OrderNo::id`]) that nobody has to store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// A registered user, as a positive integer given by the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BuyerId(pub i64);

/// A product, as a positive integer given by the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProductId(pub i64);

/// A flash sale of one product, as a positive integer given by the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SaleId(pub i64);

macro_rules! written_as_number {
    // Three newtypes, two identical lines each: a trait would be longer than the macro.
    ($($id:ident),*) => {$(
        impl FromStr for $id {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }


        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
written_as_number!(BuyerId, ProductId, SaleId);

/// 2024-01-01T00:00:00Z: [`OrderNo::id`] counts milliseconds from here, so that it stays below 2^53 until 2093.
const ID_EPOCH_MS: u64 = 1_704_067_200_000;
const RANDOM_BITS: u32 = 68;
const SEQUENCE_BITS: u32 = 8;
const SLOT_BITS: u32 = 4;

/// The number of a ticket and of the order it becomes: 26 characters of Crockford base 32, valid as
/// `out_trade_no` at WeChat Pay (6..32 of `[0-9A-Za-z_\-|*]`) and Alipay (up to 64 letters, digits, underscores).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNo(Ulid);

/// The text is not 26 characters of Crockford base 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an order number")]
pub struct OrderNoError;

impl OrderNo {
    /// A text that sorts behind every number made before `now_ms`, and before every number made since: the first ten
    /// letters of those made in that millisecond.
    #[must_use]
    pub fn time_prefix(now_ms: i64) -> String {
        let mut text = Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), 0).to_string();
        text.truncate(10);
        text
    }

    /// When it was made, in milliseconds since 1970, by the clock of the node that made it.
    #[must_use]
    pub fn made_at_ms(self) -> i64 {
        i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX)
    }

    /// The integer that old clients know as `id`: milliseconds since 2024, node slot, sequence; below 2^53, and
    /// unique as far as node slots are. Never used to look an order up.
    #[must_use]
    pub fn id(self) -> i64 {
        let tail_bits = SLOT_BITS + SEQUENCE_BITS;
        let since_epoch_ms = self.0.timestamp_ms().saturating_sub(ID_EPOCH_MS) & ((1 << 41) - 1);
        let slot_and_sequence = (self.0.random() >> RANDOM_BITS) as u64 & ((1 << tail_bits) - 1);
        i64::try_from((since_epoch_ms << tail_bits) | slot_and_sequence).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for OrderNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OrderNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OrderNo {
    type Err = OrderNoError;

    fn from_str(text: &str) -> Result<Self, OrderNoError> {
        Ulid::from_string(text).map(Self).map_err(|_| OrderNoError)
    }
}

impl Serialize for OrderNo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OrderNo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Makes the order numbers of one node: strictly increasing, 256 a millisecond before it borrows from the next.
#[derive(Debug)]
pub struct OrderNoSequence {
    slot: u8,
    last_ms: u64,
    sequence: u16,
}

impl OrderNoSequence {
    /// A sequence for node `slot` (0..16; higher bits are ignored).
    #[must_use]
    pub const fn new(slot: u8) -> Self {
        Self { slot: slot & 0x0f, last_ms: 0, sequence: 0 }
    }

    /// The next number at `now_ms`; `random` must come from the system's random source. A clock that steps back
    /// does not break the order: time never runs backwards here.
    pub fn next(&mut self, now_ms: i64, random: u128) -> OrderNo {
        let now_ms = u64::try_from(now_ms).unwrap_or(0);
        if now_ms > self.last_ms {
            (self.last_ms, self.sequence) = (now_ms, 0);
        } else if self.sequence == 255 {
            (self.last_ms, self.sequence) = (self.last_ms + 1, 0);
        } else {
            self.sequence += 1;
        }
        let slot_and_sequence = (u128::from(self.slot) << SEQUENCE_BITS) | u128::from(self.sequence);
        let random = random & ((1 << RANDOM_BITS) - 1);
        OrderNo(Ulid::from_parts(self.last_ms, (slot_and_sequence << RANDOM_BITS) | random))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW_MS: i64 = 1_795_000_000_000;

    #[test]
    fn t21_a_hundred_thousand_numbers_of_one_second_differ_and_ascend() {
        let mut sequence = OrderNoSequence::new(3);
        let numbers: Vec<OrderNo> = (0..100_000_u128)
            .map(|i| sequence.next(NOW_MS + i as i64 / 100, i.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(numbers.windows(2).all(|pair| pair[0].id() < pair[1].id()));
        assert_eq!(numbers.iter().map(|n| n.id()).collect::<HashSet<_>>().len(), numbers.len());
    }

    #[test]
    fn the_prefix_of_a_millisecond_parts_the_numbers_before_it_from_the_rest() {
        let mut sequence = OrderNoSequence::new(15);
        let numbers = [NOW_MS - 1, NOW_MS, NOW_MS + 1].map(|now_ms| sequence.next(now_ms, u128::MAX).to_string());
        let prefix = OrderNo::time_prefix(NOW_MS);
        assert!(numbers[0] < prefix && prefix < numbers[1] && prefix < numbers[2]);
        assert_eq!(OrderNo::time_prefix(0), "0000000000");
    }

    #[test]
    fn a_number_is_text_and_back() {
        let number = OrderNoSequence::new(15).next(NOW_MS, u128::MAX);
        assert_eq!(number.to_string().len(), 26);
        assert_eq!(number.to_string().parse(), Ok(number));
        assert!(number.id() > 0 && number.id() < 1 << 53);
        assert!("".parse::<OrderNo>().is_err() && "01ARZ3NDEKTSV4RRFFQ69G5FAU!".parse::<OrderNo>().is_err());
    }

    #[test]
    fn a_clock_that_steps_back_does_not_repeat_a_number() {
        let mut sequence = OrderNoSequence::new(0);
        let before = sequence.next(NOW_MS, 7);
        assert!(sequence.next(NOW_MS - 3_600_000, 7) > before);
    }
}
