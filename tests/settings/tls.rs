//! The server speaks TLS by itself: its certificate, one that replaces it while connections last, and ones that are refused.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use crate::support::binary::Binary;

const HOST: &str = "shop.example";
const WITHIN: Duration = Duration::from_secs(30);

/// A server with a certificate for [`HOST`], ended with the test.
struct Secured {
    binary: Binary,
    child: Option<Child>,
    dir: TempDir,
}

impl Drop for Secured {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Secured {
    fn prepare() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut binary = Binary::on(dir.path().join("data"), dir.path().join("test.log"));
        binary.set("RUSHMALL__HTTP__TLS_CERTIFICATE_FILE", &dir.path().join("shop.crt").display().to_string());
        binary.set("RUSHMALL__HTTP__TLS_KEY_FILE", &dir.path().join("shop.key").display().to_string());
        binary.set("RUSHMALL__HTTP__DRAIN_GRACE_MS", "0");
        Self { binary, child: None, dir }
    }

    /// Puts a new certificate in place; its PEM.
    fn certify(&self) -> String {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        put(&self.dir.path().join("shop.crt"), &cert.pem());
        put(&self.dir.path().join("shop.key"), &signing_key.serialize_pem());
        cert.pem()
    }

    fn start(&mut self) -> SocketAddr {
        let (child, opened) = self.binary.serve();
        self.child = Some(child);
        opened.recv_timeout(WITHIN).unwrap_or_else(|_| panic!("it did not open:\n{}", self.binary.log_text()))
    }

    /// Sends SIGHUP and waits for `told` in the log, once more than before.
    async fn hang_up(&self, told: &str) {
        let before = self.binary.log_text().matches(told).count();
        let id = self.child.as_ref().expect("a process").id();
        signal::kill(Pid::from_raw(i32::try_from(id).expect("an id")), Signal::SIGHUP).expect("it is ours");
        let until = Instant::now() + WITHIN;
        while self.binary.log_text().matches(told).count() == before {
            assert!(Instant::now() < until, "{told} was not told:\n{}", self.binary.log_text());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn put(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

/// A client that trusts this certificate alone.
fn trusting(certificate: &str, address: SocketAddr) -> reqwest::Client {
    let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).resolve(HOST, address);
    builder.tls_certs_only([trusted]).build().expect("a client")
}

async fn status(client: &reqwest::Client, address: SocketAddr) -> Result<u16, reqwest::Error> {
    let answer = client.get(format!("https://{HOST}:{}/version", address.port())).send().await?;
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    let status = answer.status().as_u16();
    answer.bytes().await?;
    Ok(status)
}

#[tokio::test]
async fn the_server_speaks_tls_and_takes_a_new_certificate_by_sighup() {
    let mut server = Secured::prepare();
    let first = server.certify();
    let address = server.start();
    let says_so = crate::stage::until(async || server.binary.log_text().contains("is open at https://")).await;
    assert!(says_so, "the banner: {}", server.binary.log_text());
    let old_friend = trusting(&first, address);
    // asked at each step: a connection on which nothing is said is closed after a while
    let stays = async || status(&old_friend, address).await.expect("an open connection goes on");
    assert_eq!(stays().await, 200);
    let in_the_clear = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = in_the_clear.get(format!("http://{address}/version")).send().await;
    assert!(answer.is_err(), "nothing in the clear");

    // a key that is not the certificate's changes nothing
    let key = std::fs::read_to_string(server.dir.path().join("shop.key")).expect("a key");
    server.certify();
    let second_key = std::fs::read_to_string(server.dir.path().join("shop.key")).expect("a key");
    put(&server.dir.path().join("shop.key"), &key);
    server.hang_up("the old ones stay in force").await;
    assert_eq!(stays().await, 200);
    assert!(server.binary.log_text().contains("shop.key is not the key of the certificate in"));
    assert_eq!(status(&trusting(&first, address), address).await.expect("the old one is shown"), 200);
    assert_eq!(stays().await, 200);

    put(&server.dir.path().join("shop.key"), &second_key);
    let second = std::fs::read_to_string(server.dir.path().join("shop.crt")).expect("a certificate");
    server.hang_up("built anew from its files").await;
    assert_eq!(stays().await, 200);
    assert_eq!(status(&trusting(&second, address), address).await.expect("the new one is shown"), 200);
    assert_eq!(stays().await, 200);
    assert!(status(&trusting(&first, address), address).await.is_err(), "to whoever connects now");
    assert_eq!(stays().await, 200);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_shown_is_refused_at_the_start_by_its_file() {
    let server = Secured::prepare();
    let refused = |told: &str| {
        let ended = server.binary.command(&["serve", "--port", "0", "--no-demo"]).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains(told), "{told} is not in: {said}");
    };
    refused("http.tls_certificate_file: ");
    refused("shop.crt cannot be read: No such file or directory");
    server.certify();
    put(&server.dir.path().join("shop.key"), "no key");
    refused("shop.key holds no private key in PEM");
}
