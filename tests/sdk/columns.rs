//! The columns of the matrix, and how their processes are run.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shop::{SdkOrder, SdkShop};
use crate::support::sandbox_process::SandboxProcess;

/// Names the directory that `scripts/sdks` prints.
const SDKS: &str = "RUSHMALL_TEST_SDKS";
/// Longest that one column may take.
const COLUMN_WITHIN: Duration = Duration::from_secs(180);

/// What a column speaks; each has rows of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    V3,
    V2,
    Alipay,
}

impl Wire {
    /// How the shop names the channel.
    pub fn channel(self) -> &'static str {
        match self {
            Self::V3 | Self::V2 => "wechat",
            Self::Alipay => "alipay",
        }
    }
}

/// An SDK in one of its modes.
pub struct Column {
    pub wire: Wire,
    pub sdk: &'static str,
    /// As the matrix names it.
    pub mode: &'static str,
    /// As the counterpart understands it.
    mode_key: &'static str,
    script: &'static str,
    /// Its numbers begin with this.
    prefix: &'static str,
}

const PY_V3: Column =
    Column { wire: Wire::V3, sdk: "wechatpayv3", mode: "", mode_key: "", script: "python/wechat_v3.py", prefix: "" };
const NODE_V3: Column = Column { sdk: "wechatpay-axios-plugin", script: "node/wechat_v3.mjs", ..PY_V3 };
const NODE_V2: Column = Column { wire: Wire::V2, script: "node/wechat_v2.mjs", ..NODE_V3 };
const PY_ALIPAY: Column =
    Column { wire: Wire::Alipay, sdk: "python-alipay-sdk", script: "python/alipay_gateway.py", ..PY_V3 };
const NODE_ALIPAY: Column = Column { sdk: "alipay-sdk", script: "node/alipay.mjs", ..PY_ALIPAY };

/// From left to right.
pub static COLUMNS: [Column; 10] = [
    Column { mode: "public key", mode_key: "public_key", prefix: "PyV3Key_", ..PY_V3 },
    Column { mode: "certificate", mode_key: "certificate", prefix: "PyV3Cert_", ..PY_V3 },
    Column { mode: "public key", mode_key: "public_key", prefix: "NodeV3Key_", ..NODE_V3 },
    Column { mode: "certificate", mode_key: "certificate", prefix: "NodeV3Cert_", ..NODE_V3 },
    Column { mode: "MD5", mode_key: "MD5", prefix: "NodeV2Md5_", ..NODE_V2 },
    Column { mode: "HMAC-SHA256", mode_key: "HMAC-SHA256", prefix: "NodeV2Hmac_", ..NODE_V2 },
    Column { mode: "key", mode_key: "key", prefix: "PyAliKey_", ..PY_ALIPAY },
    Column { mode: "certificate", mode_key: "certificate", prefix: "PyAliCert_", ..PY_ALIPAY },
    Column { mode: "key", mode_key: "key", prefix: "NodeAliKey_", ..NODE_ALIPAY },
    Column { mode: "certificate", mode_key: "certificate", prefix: "NodeAliCert_", ..NODE_ALIPAY },
];

/// What a counterpart prints of a cell; one of the three is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub row: String,
    pub seen: Option<String>,
    pub limit: Option<String>,
    pub failed: Option<String>,
}

/// The installed SDKs.
pub struct Sdks {
    dir: PathBuf,
    /// Node looks for packages beside its scripts: they are copied to where the packages are linked.
    node: TempDir,
}

impl Sdks {
    pub fn installed() -> Self {
        let dir = std::env::var_os(SDKS).unwrap_or_else(|| panic!("{SDKS} is not set: run `make test-sdk`"));
        let (dir, node) = (PathBuf::from(dir), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(dir.join("node_modules"), node.path().join("node_modules")).unwrap();
        for script in fs::read_dir(scripts().join("node")).unwrap() {
            let script = script.unwrap();
            fs::copy(script.path(), node.path().join(script.file_name())).unwrap();
        }
        Self { dir, node }
    }

    /// What a counterpart is told.
    pub fn task(&self, column: &Column, sandbox: &SandboxProcess, shop: &SdkShop, order: &SdkOrder) -> Value {
        json!({
            "mode": column.mode_key, "prefix": column.prefix, "url": sandbox.url, "dir": sandbox.dir(),
            "shop": { "url": shop.url(), "out_trade_no": order.out_trade_no, "total_fen": order.total_fen },
        })
    }

    /// Runs a column to its end; the lines that it printed.
    pub async fn run(&self, column: &Column, task: &Value) -> Vec<Line> {
        let (complaints, answers) = (self.node.path().join("stderr"), self.node.path().join("stdout"));
        let mut child = self
            .command(column)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("no_proxy", "127.0.0.1,localhost")
            .stdin(Stdio::piped())
            .stdout(File::create(&answers).unwrap())
            .stderr(File::create(&complaints).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not run: {error}", column.script));
        write!(child.stdin.take().unwrap(), "{task}").unwrap();
        let until = Instant::now() + COLUMN_WITHIN;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > until => break None,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        if status.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let lines = fs::read_to_string(&answers).unwrap();
        let lines: Vec<Line> = lines.lines().map(|line| serde_json::from_str(line).expect("a cell")).collect();
        let is_well = status.is_some_and(|status| status.success()) && lines.iter().all(|line| line.failed.is_none());
        if !is_well {
            let told = fs::read_to_string(&complaints).unwrap();
            eprintln!("---- {} {}: {status:?} ----\n{told}", column.sdk, column.mode);
        }
        lines
    }

    fn command(&self, column: &Column) -> Command {
        let path = scripts().join(column.script);
        if column.script.starts_with("python/") {
            let mut command = Command::new(self.dir.join("venv/bin/python"));
            command.arg(path).env("PYTHONDONTWRITEBYTECODE", "1");
            command
        } else {
            let mut command = Command::new("node");
            command.arg(self.node.path().join(path.file_name().unwrap()));
            command
        }
    }
}

fn scripts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk"))
}
