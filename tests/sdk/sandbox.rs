//! The sandbox gateway as a process of its own, as somebody who does not run the shop starts it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rushmall::payment::sandbox::Merchant;
use tempfile::TempDir;

/// Retries that take 15 s there come within a test.
const TIME_SCALE: &str = "100";

/// See the file's header.
pub struct SandboxProcess {
    pub url: String,
    pub merchant: Merchant,
    dir: TempDir,
    child: Child,
}

impl SandboxProcess {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_rushmall"))
            .args(["sandbox-pay", "--port", "0", "--time-scale", TIME_SCALE, "--data-dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let open = lines.find_map(|line| line.ok()?.split_once("is open at ").map(|(_, url)| url.trim().to_owned()));
        std::thread::spawn(move || lines.for_each(drop));
        let merchant = std::fs::read_to_string(dir.path().join("merchant/merchant.json")).unwrap();
        Self { url: open.expect("it opens"), merchant: serde_json::from_str(&merchant).unwrap(), dir, child }
    }

    /// `merchant/` and `platform/` lie there.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file that the merchant was given.
    pub fn merchant_file(&self, name: &str) -> String {
        self.dir().join("merchant").join(name).display().to_string()
    }
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
