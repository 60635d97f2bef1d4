//! The numbers that the gateway gives, in the providers' shapes. Random enough never to collide.

use crate::payment::times;
use crate::random;

use super::rules::Provider;

const CODE_LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const CODE_LENGTH: usize = 22;

/// Number of a transaction: 28 digits.
pub(super) fn transaction_id(provider: Provider, now_ms: i64) -> String {
    let day = &times::compact(now_ms)[..8];
    match provider {
        Provider::Wechat => format!("42{day}{}", digits()),
        Provider::Alipay => format!("{day}22{}", digits()),
    }
}

/// Number of a refund: 28 digits.
pub(super) fn refund_id(now_ms: i64) -> String {
    format!("50{}{}", &times::compact(now_ms)[..8], digits())
}

/// Id of a notification: a UUID of version 4, 36 characters.
pub(super) fn notice_id() -> String {
    let mut bytes = random::bytes::<16>();
    bytes[6] = 0x40 | (bytes[6] & 0x0F);
    bytes[8] = 0x80 | (bytes[8] & 0x3F);
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// What a buyer scans: not to be guessed.
pub(super) fn code() -> String {
    let letter = |byte: &u8| char::from(CODE_LETTERS[usize::from(*byte) % CODE_LETTERS.len()]);
    random::bytes::<CODE_LENGTH>().iter().map(letter).collect()
}

/// A buyer that nobody named: an open id (WeChat Pay) or a buyer id (Alipay).
pub(super) fn payer(provider: Provider) -> String {
    match provider {
        Provider::Wechat => format!("o{}", &code()[..20]),
        Provider::Alipay => format!("2088{}", &digits()[..12]),
    }
}

/// 18 digits.
fn digits() -> String {
    format!("{:018}", random::below(1_000_000_000_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_providers_shapes() {
        let now_ms = 1_795_312_000_000;
        let wechat = transaction_id(Provider::Wechat, now_ms);
        assert!(wechat.starts_with("4220261122") && wechat.len() == 28, "{wechat}");
        let alipay = transaction_id(Provider::Alipay, now_ms);
        assert!(alipay.starts_with("2026112222") && alipay.len() == 28, "{alipay}");
        assert_eq!((refund_id(now_ms).len(), notice_id().len(), code().len()), (28, 36, 22));
        assert_ne!(code(), code());
    }
}
