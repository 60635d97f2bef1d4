//! A RabbitMQ of the test's own, to be killed and put under alarm.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Stopped and removed when dropped.
pub struct PrivateBroker {
    dir: TempDir,
    pub url: String,
}

fn services(arguments: &[&str]) -> Output {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
    let output = Command::new(script).args(arguments).output().expect("scripts/services runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl PrivateBroker {
    /// Starts it; takes some seconds.
    pub async fn start() -> Self {
        let starting = tokio::task::spawn_blocking(|| {
            let dir = tempfile::tempdir().expect("a directory");
            let output = services(&["start", "--dir", dir.path().to_str().expect("a path"), "rabbitmq"]);
            let lines = String::from_utf8(output.stdout).expect("text");
            let url = lines.lines().find_map(|line| line.strip_prefix("RUSHMALL_TEST_AMQP_URL="));
            let url = url.unwrap_or_else(|| panic!("no url in {lines}")).trim_matches('\'').to_owned();
            Self { dir, url }
        });
        starting.await.expect("started")
    }

    async fn order(&self, command: &'static str) {
        let dir = self.dir.path().to_str().expect("a path").to_owned();
        let running = tokio::task::spawn_blocking(move || services(&[command, "--dir", &dir, "rabbitmq"]));
        running.await.expect(command);
    }

    /// SIGKILL.
    pub async fn kill(&self) {
        self.order("kill").await;
    }

    /// The same port, the same data.
    pub async fn restart(&self) {
        self.order("restart").await;
    }

    /// Raises the memory alarm, or lowers it.
    pub async fn alarm(&self, is_raised: bool) {
        let home = self.dir.path().join("rabbitmq");
        let epmd = std::fs::read_to_string(home.join("port.epmd")).expect("the port of epmd");
        let share = if is_raised { "0.000001" } else { "0.6" };
        let setting = tokio::task::spawn_blocking(move || {
            Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl")
                .args(["-n", "rushmall@localhost", "set_vm_memory_high_watermark", share])
                .env("HOME", &home)
                .env("RABBITMQ_CONF_ENV_FILE", home.join("rabbitmq-env.conf"))
                .env("ERL_EPMD_PORT", epmd.trim())
                .output()
        });
        let output = setting.await.expect("ran").expect("rabbitmqctl runs");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
}

impl Drop for PrivateBroker {
    fn drop(&mut self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let _ = Command::new(script).args(["stop", "--remove", "--dir"]).arg(self.dir.path()).output();
    }
}
