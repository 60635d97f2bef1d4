//! Money in fen (1/100 yuan), as a whole number from the wire to the database.
//!
//! A binary float cannot hold 19.99, so none is ever made. Inside (database, journal, events, tickets) an amount is
//! an integer of fen, [`Money`]; on the wire (api.md) it is [`Yuan`], a JSON number read by its decimal digits and
//! written with exactly two. More than two decimals are refused instead of rounded.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The largest amount the shop handles: 99,999,999.99 yuan (8 digits before the point).
pub const FEN_MAX: i64 = 9_999_999_999;

/// An amount of CNY in fen; serialized as that integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

/// The same amount on the wire: yuan as a JSON number with exactly two decimals out, at most two in (api.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Yuan(pub Money);

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a plain decimal number.
    #[error("not a decimal amount")]
    NotANumber,
    /// More than two digits after the point.
    #[error("more than two decimals")]
    TooManyDecimals,
    /// Beyond [`FEN_MAX`] in either direction.
    #[error("amount out of range")]
    OutOfRange,
}

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount of `fen`; no bound is applied, arithmetic on amounts read from the store must not fail.
    #[must_use]
    pub const fn from_fen(fen: i64) -> Self {
        Self(fen)
    }

    /// The amount in fen.
    #[must_use]
    pub const fn fen(self) -> i64 {
        self.0
    }

    /// `self * units`, or `None` beyond [`FEN_MAX`].
    #[must_use]
    pub fn times(self, units: i64) -> Option<Self> {
        self.0.checked_mul(units).filter(|fen| fen.abs() <= FEN_MAX).map(Self)
    }

    /// `self + other`, saturating at the bounds of `i64` (unreachable below [`FEN_MAX`] per term).
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// `self - other`; may be negative.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// True above zero.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", fen / 100, fen % 100)
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads `12`, `12.3`, `12.30`, `-1.5`. Trailing zeros past the second decimal are accepted (`1.500`), an
    /// exponent is not.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "00"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(MoneyError::NotANumber);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 2 {
            return Err(MoneyError::TooManyDecimals);
        }
        let yuan: i64 = whole.parse().map_err(|_| MoneyError::OutOfRange)?;
        let fen: i64 = format!("{fraction:0<2}").parse().map_err(|_| MoneyError::NotANumber)?;
        let total = yuan.checked_mul(100).and_then(|f| f.checked_add(fen)).ok_or(MoneyError::OutOfRange)?;
        if total > FEN_MAX {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self(if negative { -total } else { total }))
    }
}

impl Serialize for Yuan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Yuan {
    /// Reads a JSON number or a string of one, digit by digit. Only from JSON text: not through `serde_json::Value`,
    /// `flatten` or a tagged enum, which would have made a float of it already.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().trim_matches('"').parse().map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_times_19_99_is_59_97() {
        let Yuan(price) = serde_json::from_str("19.99").unwrap();
        assert_eq!(serde_json::to_string(&Yuan(price.times(3).unwrap())).unwrap(), "59.97");
    }

    #[test]
    fn a_tenth_and_a_fifth_are_three_tenths() {
        let sum: Money = ["0.1", "0.2"].iter().map(|t| t.parse::<Money>().unwrap()).sum();
        assert_eq!(sum, Money::from_fen(30));
    }

    #[test]
    fn amounts_are_read_by_their_digits() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("12", Ok(1200)),
            ("12.3", Ok(1230)),
            ("12.34", Ok(1234)),
            ("12.3400", Ok(1234)),
            ("-0.05", Ok(-5)),
            ("12.345", Err(MoneyError::TooManyDecimals)),
            ("1e3", Err(MoneyError::NotANumber)),
            ("", Err(MoneyError::NotANumber)),
            (".5", Err(MoneyError::NotANumber)),
            ("5.", Err(MoneyError::NotANumber)),
            ("NaN", Err(MoneyError::NotANumber)),
            ("99999999.99", Ok(FEN_MAX)),
            ("100000000", Err(MoneyError::OutOfRange)),
            ("9999999999999999999999", Err(MoneyError::OutOfRange)),
        ] {
            assert_eq!(text.parse::<Money>().map(Money::fen), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn json_keeps_every_fen(fen in -FEN_MAX..=FEN_MAX) {
            let text = serde_json::to_string(&Yuan(Money::from_fen(fen))).unwrap();
            prop_assert_eq!(serde_json::from_str::<Yuan>(&text).unwrap().0.fen(), fen);
            prop_assert_eq!(text.split_once('.').unwrap().1.len(), 2);
        }
    }
}
