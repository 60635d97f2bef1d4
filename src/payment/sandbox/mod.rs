//! A payment gateway to develop and test against: WeChat Pay v3 and v2 and Alipay over HTTP, with real signatures.
//!
//! Official SDKs are pointed at it by their base URL and the files under `merchant/`; docs/SANDBOX.md says how. It has
//! books of its own (`ledger`), decides by pure rules (`rules`), and on request misbehaves in every way that gateways
//! do (`faults`, driven by `control`). Reading order: `rules`, `ledger`, `desk` (each business step in one commit),
//! the three wires (`v3`, `v2`, `alipay`), `notify`, `control`.

mod alipay;
mod bills;
mod cashier;
mod control;
mod desk;
mod error;
mod faults;
mod keys;
mod knobs;
mod ledger;
mod notify;
mod numbers;
mod rules;
mod server;
mod service;
mod state;
mod travel;
mod v2;
mod v3;
mod wire;

pub use error::SandboxError;
pub use keys::{AlipayAccount, KeyError, Merchant, WechatAccount};
pub use ledger::LedgerError;
pub use server::Server;
pub use service::{Background, scope, start_background};
pub use state::{Options, Sandbox};

/// Directory of a sandbox that is mounted in a shop, below the shop's own.
pub const MOUNTED: &str = "sandbox";
