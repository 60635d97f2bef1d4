//! What every wire checks or cuts before it sends, and reads in the same way from what it receives.

use super::error::PaymentError;
use super::gateway::{NewCharge, RefundOrder};
use crate::domain::Money;

/// Descriptions of goods, bytes (WeChat Pay v2; the others take more).
pub const DESCRIPTION_BYTES_MAX: usize = 127;
/// Reasons of refunds, bytes.
pub const REASON_BYTES_MAX: usize = 80;
/// Where notifications go, bytes.
const NOTIFY_URL_BYTES_MAX: usize = 255;

/// The longest beginning of `text` within so many bytes that ends with a whole character.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Checks what no gateway would accept.
///
/// # Errors
/// [`PaymentError::Unacceptable`].
pub fn check_charge(charge: &NewCharge) -> Result<(), PaymentError> {
    if !charge.amount.is_positive() {
        return Err(PaymentError::Unacceptable("an amount below 1 fen"));
    }
    if charge.description.trim().is_empty() {
        return Err(PaymentError::Unacceptable("no description"));
    }
    check_notify_url(&charge.notify_url)
}

/// Checks what no gateway would accept.
///
/// # Errors
/// [`PaymentError::Unacceptable`].
pub fn check_refund(refund: &RefundOrder) -> Result<(), PaymentError> {
    if !refund.amount.is_positive() || refund.amount > refund.total {
        return Err(PaymentError::Unacceptable("a refund below 1 fen or above the payment"));
    }
    check_notify_url(&refund.notify_url)
}

/// Settings decide whether plain http is allowed; here it must be a URL that the wires can carry.
fn check_notify_url(url: &str) -> Result<(), PaymentError> {
    let is_url = url.starts_with("https://") || url.starts_with("http://");
    if is_url && url.len() <= NOTIFY_URL_BYTES_MAX && !url.contains(['?', '#', ' ']) {
        Ok(())
    } else {
        Err(PaymentError::Unacceptable("the address for notifications"))
    }
}

/// An amount in fen as digits; negative ones are no amounts.
#[must_use]
pub fn fen(text: &str) -> Option<Money> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain).map(Money::from_fen)
}

/// An amount in yuan (`0.01`), by its digits; negative ones are no amounts.
#[must_use]
pub fn yuan(text: &str) -> Option<Money> {
    text.parse::<Money>().ok().filter(|amount| *amount >= Money::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 5), "abc");
        assert_eq!(cut("手机壳", 7), "手机");
        assert_eq!(cut("手", 2), "");
    }

    #[test]
    fn amounts_are_read_by_their_digits() {
        assert_eq!(fen("100"), Some(Money::from_fen(100)));
        assert_eq!(yuan("0.01"), Some(Money::from_fen(1)));
        assert_eq!(yuan("88"), Some(Money::from_fen(8_800)));
        for wrong in ["", "-1", "+1", "1e2", "1.001"] {
            assert_eq!(yuan(wrong), None, "{wrong}");
            assert_eq!(fen(wrong), None, "{wrong}");
        }
    }
}
