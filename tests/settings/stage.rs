//! A shop that reads a settings file, and the file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::client::Person;
use crate::support::process::ShopProcess;

const TOLD_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process and its file.
pub struct Configured {
    pub shop: ShopProcess,
    file: PathBuf,
}

impl Configured {
    /// Puts `text` into the file of a shop that does not run yet.
    pub fn prepare(mut shop: ShopProcess, text: &str) -> Self {
        let file = shop.data_dir().join("shop.toml");
        shop.set("RUSHMALL_CONFIG", &file.display().to_string());
        for name in ["SECKILL_PER_SECOND", "SECKILL_BURST", "SIGN_INS_PER_MINUTE"] {
            shop.unset(&format!("RUSHMALL__LIMITS__{name}")); // a variable is above the file
        }
        shop.set("RUSHMALL__PAYMENT__SANDBOX", "false"); // its keys take long to make
        let configured = Self { shop, file };
        configured.write(text);
        configured
    }

    /// The same, running.
    pub async fn open(text: &str) -> Self {
        let mut configured = Self::prepare(ShopProcess::prepare(), text);
        configured.shop.start().await;
        configured
    }

    /// The file says this from now on.
    pub fn write(&self, text: &str) {
        std::fs::write(&self.file, text).expect("the file is written");
    }

    /// Sends SIGHUP and waits until it was worked off.
    pub async fn hang_up(&self) {
        let ends = |log: &str| log.matches("SIGHUP worked off").count();
        let before = ends(&self.shop.log_text());
        self.shop.signal(Signal::SIGHUP);
        let until = Instant::now() + TOLD_WITHIN;
        while ends(&self.shop.log_text()) == before {
            assert!(Instant::now() < until, "nothing came of SIGHUP:\n{}", self.shop.log_text());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The row of `key` in `GET /api/admin/settings` of the first node.
    pub async fn setting(&self, admin: &Person, key: &str) -> Value {
        let shown = admin.get("/api/admin/settings").await.accepted();
        row(&shown["nodes"][0], key)
    }
}

/// The row of `key` of one node.
pub fn row(node: &Value, key: &str) -> Value {
    let rows = node["settings"].as_array().unwrap_or_else(|| panic!("no settings in {node}"));
    rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {node}")).clone()
}

/// Looks until it is so; false if it never was.
pub async fn until(is_so: impl AsyncFn() -> bool) -> bool {
    let until = Instant::now() + TOLD_WITHIN;
    while Instant::now() < until {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    false
}
