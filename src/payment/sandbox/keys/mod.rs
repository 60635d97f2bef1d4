//! Keys and certificates of both sides, made at the first start.
//!
//! `merchant/` is what a merchant gets (his own private keys and the platform's public ones), `platform/` what only the
//! gateway holds. `merchant.json` is written last: without it the directory is made anew.

mod authority;
mod files;
mod merchant;
mod platform;
mod ring;

pub use files::KeyError;
pub use merchant::{AlipayAccount, Merchant, WechatAccount};
pub use platform::PlatformCertificate;
pub use ring::Keys;
