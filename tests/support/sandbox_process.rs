//! The sandbox gateway as a process of its own, as somebody who does not run the shop starts it: killed, and started
//! again on its port and its books.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rushmall::payment::sandbox::Merchant;
use tempfile::TempDir;

use super::gateway::{Gateway, lend_keys};
use super::process::free_port;

/// Retries that take 15 s there come within a test.
const TIME_SCALE: &str = "100";

/// See the file's header.
pub struct SandboxProcess {
    pub url: String,
    pub merchant: Merchant,
    port: u16,
    dir: TempDir,
    child: Option<Child>,
}

impl SandboxProcess {
    /// A new one, which runs.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory for the sandbox");
        lend_keys(dir.path());
        let port = free_port();
        let child = Some(serve(&data_dir(dir.path()), port));
        let merchant =
            std::fs::read_to_string(data_dir(dir.path()).join("merchant/merchant.json")).expect("a merchant");
        let merchant = serde_json::from_str(&merchant).expect("a merchant that can be read");
        Self { url: format!("http://127.0.0.1:{port}"), merchant, port, dir, child }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a process runs");
        child.kill().expect("the process is ours");
        child.wait().expect("the process is ours");
    }

    /// Starts it again on the same port and data.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "one process at a time");
        self.child = Some(serve(&self.dir(), self.port));
    }

    /// Its control.
    pub fn gateway(&self) -> Gateway {
        Gateway::at(&format!("{}/control", self.url))
    }

    /// `merchant/` and `platform/` lie there.
    pub fn dir(&self) -> PathBuf {
        data_dir(self.dir.path())
    }

    /// A file that the merchant was given.
    pub fn merchant_file(&self, name: &str) -> String {
        self.dir().join("merchant").join(name).display().to_string()
    }

    /// The settings that make a shop its merchant, on all three wires and in both of v3's modes; the gateway tells what happens
    /// to paths below `notify_base_url`.
    pub fn account(&self, notify_base_url: &str) -> Vec<(String, String)> {
        let (wechat, alipay) = (&self.merchant.wechat, &self.merchant.alipay);
        let settings = [
            ("NOTIFY_BASE_URL", notify_base_url.to_owned()),
            ("WECHAT_V3__ENABLED", "true".to_owned()),
            ("WECHAT_V3__BASE_URL", wechat.base_url.clone()),
            ("WECHAT_V3__MCHID", wechat.mchid.clone()),
            ("WECHAT_V3__APPID", wechat.appid.clone()),
            ("WECHAT_V3__SERIAL", wechat.certificate_serial.clone()),
            ("WECHAT_V3__PRIVATE_KEY_FILE", self.merchant_file(&wechat.private_key_file)),
            ("WECHAT_V3__API_V3_KEY", wechat.api_v3_key.clone()),
            ("WECHAT_V3__PUBLIC_KEY_ID", wechat.public_key_id.clone()),
            ("WECHAT_V3__PUBLIC_KEY_FILE", self.merchant_file(&wechat.public_key_file)),
            ("WECHAT_V3__FETCH_CERTIFICATES", "true".to_owned()),
            ("WECHAT_V2__ENABLED", "true".to_owned()),
            ("WECHAT_V2__BASE_URL", wechat.base_url.clone()),
            ("WECHAT_V2__MCHID", wechat.mchid.clone()),
            ("WECHAT_V2__APPID", wechat.appid.clone()),
            ("WECHAT_V2__API_KEY", wechat.api_v2_key.clone()),
            ("ALIPAY__ENABLED", "true".to_owned()),
            ("ALIPAY__GATEWAY_URL", alipay.gateway_url.clone()),
            ("ALIPAY__APP_ID", alipay.app_id.clone()),
            ("ALIPAY__SELLER_ID", alipay.seller_id.clone()),
            ("ALIPAY__PRIVATE_KEY_FILE", self.merchant_file(&alipay.private_key_file)),
            ("ALIPAY__PUBLIC_KEY_FILE", self.merchant_file(&alipay.alipay_public_key_file)),
        ];
        settings.map(|(name, value)| (format!("RUSHMALL__PAYMENT__{name}"), value)).to_vec()
    }
}

fn data_dir(dir: &Path) -> PathBuf {
    dir.join("sandbox")
}

/// Starts a process and waits until it is open.
fn serve(data_dir: &Path, port: u16) -> Child {
    let log_path = data_dir.join("test.log");
    let log: File = OpenOptions::new().create(true).append(true).open(&log_path).expect("the log opens");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rushmall"))
        .args(["sandbox-pay", "--time-scale", TIME_SCALE, "--port", &port.to_string(), "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let is_open = lines.any(|line| line.is_ok_and(|line| line.contains("is open at ")));
    std::thread::spawn(move || lines.for_each(drop));
    assert!(is_open, "the sandbox did not open:\n{}", std::fs::read_to_string(&log_path).unwrap_or_default());
    child
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            self.dir.disable_cleanup(true); // for looking at it
            eprintln!("sandbox: {}", self.dir.path().display());
        }
    }
}
