//! The real binary with secrets, good and bad: t24, t29.

use std::process::{Command, Output};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::counting::text;
use crate::support::client::Person;
use crate::support::ground::Ground;
use crate::support::process::ShopProcess;
use crate::support::wire::Wire;

fn serve_in_production(secret: Option<&str>) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rushmall"));
    command.args(["serve", "--port", "0", "--data-dir"]).arg(dir.path());
    command.env("RUSHMALL__ENVIRONMENT", "production").env_remove("RUSHMALL__AUTH__JWT_SECRET");
    if let Some(secret) = secret {
        command.env("RUSHMALL__AUTH__JWT_SECRET", secret);
    }
    command.output().expect("the binary runs")
}

#[test]
fn t24_production_with_a_bad_secret_does_not_start() {
    let repeated = "a".repeat(64);
    for secret in [
        None,
        Some(""),
        Some("short"),
        Some("0123456789abcdef0123456789abcde"),
        Some("gomall-jwt-secret-key-gomall-jwt-secret-key"),
        Some("please-change-me-please-change-me-please"),
        Some(repeated.as_str()),
    ] {
        let ended = serve_in_production(secret);
        let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.status.code(), Some(2), "{secret:?}: {said}");
        assert!(said.contains("jwt_secret"), "{secret:?}: {said}");
        if let Some(secret) = secret.filter(|secret| !secret.is_empty()) {
            assert!(!said.contains(secret), "the secret is printed: {said}");
        }
    }
}

#[tokio::test]
async fn t24_production_with_a_good_secret_starts_without_play_money_or_rehearsals() {
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__ENVIRONMENT", "production");
    shop.set("RUSHMALL__AUTH__JWT_SECRET", "wq7Zr0VtXk3nPdLs9yHb2mUeFg6cJa4TiOx1");
    // Nodes must share the key of the signed heads, so in production a cluster does not make one up.
    let keys = tempfile::tempdir().expect("a directory");
    let head_key = keys.path().join("audit.key");
    std::fs::write(&head_key, "5f1d0c7be2a94638b0d6f37a1c8e4295d1b7a60e3f9c48257ae0b4c9d8136f72\n").expect("a key");
    shop.set("RUSHMALL__AUDIT__KEY_FILE", &head_key.display().to_string());
    shop.start().await;
    let admin = shop.admin().await;
    let made = admin.post("/api/admin/rehearsal/buyers", &json!({ "count": 1, "prefix": "nobody" })).await;
    assert_eq!((made.status, made.code), (404, 404), "{made:?}");
    let product = admin.make_product("real", 5.0, 3).await;
    let ann = shop.register("ann").await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.pay(&order_no).await.rejected(40_008);
    assert_eq!(ann.order_status(&order_no).await, 1);
    shop.assert_clean().await;
}

#[tokio::test]
async fn t29_the_log_of_a_full_life_has_no_password_token_or_secret() {
    let secret = "Hk8sQ2vN5xR1tY7uW3zB6cM9pL4jD0fG";
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__TELEMETRY__LOG", "trace");
    shop.set("RUSHMALL__AUTH__JWT_SECRET", secret);
    shop.start().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("logged", 5).await;
    let mut hidden = vec![secret.to_owned(), "boss-of-the-shop".to_owned(), admin.token.clone()];

    let visitor = shop.visitor();
    let password = "correct-horse-battery";
    let registered = visitor.post("/api/user/register", &json!({ "username": "ann", "password": password })).await;
    let signed_in = registered.accepted();
    let wrong = json!({ "username": "ann", "password": "wrong-horse-battery" });
    visitor.post("/api/user/login", &wrong).await.rejected(10_004);
    hidden.extend([password.to_owned(), "wrong-horse-battery".to_owned()]);
    let ann = visitor.signed_in(signed_in["user"]["id"].as_i64().expect("an id"), "ann", &text(&signed_in, "token"));
    hidden.extend([ann.token.clone(), text(&signed_in, "refresh_token")]);
    let refresh = json!({ "refresh_token": signed_in["refresh_token"] });
    let renewed = visitor.post("/api/auth/refresh-token", &refresh).await.accepted();
    hidden.extend([text(&renewed, "token"), text(&renewed, "refresh_token")]);

    let ticket = text(&ann.post("/api/ws/ticket", &json!({})).await.accepted(), "ticket");
    let mut wire = Wire::try_ticket(&shop.address, &ticket).await.expect("the ticket is good");
    wire.frame("welcome").await;
    hidden.push(ticket);
    let order_no = ann.buy_once(&product, "logged-key").await.order_no();
    ann.pay(&order_no).await.accepted();
    // refused in every way, so that whatever logs refusals has its chance
    let forged = format!("{}x", ann.token);
    hidden.push(forged.clone());
    ann.signed_in(1, "x", &forged).get("/api/user/profile").await.with_status(401);
    let broken = format!("{{\"username\":\"ann\",\"password\":\"{password}\"");
    visitor.send_raw(Method::POST, "/api/user/login", "application/json", broken).await.with_status(400);
    let in_url = format!("/api/user/profile?token={}", ann.token);
    visitor.get(&in_url).await.with_status(401);
    let change = json!({ "old_password": password, "new_password": "another-horse-battery" });
    ann.post("/api/auth/change-password", &change).await.accepted();
    hidden.push("another-horse-battery".to_owned());
    visitor.post("/api/auth/refresh-token", &refresh).await.with_status(401); // reuse is logged
    drop(wire);
    shop.assert_clean().await;
    shop.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(shop.wait_for_end(Duration::from_secs(20)).await.is_some_and(|status| status.success()));

    let log = shop.log_text();
    assert!(log.lines().count() > 20, "nothing was logged: {log}");
    for word in &hidden {
        let line = log.lines().find(|line| line.contains(word.as_str()));
        assert_eq!(line, None, "{word} stands in the log");
    }
    let key = std::fs::metadata(shop.data_dir().join("jwt.key"));
    assert!(key.is_err(), "a key was generated although one was given");
}

#[tokio::test]
async fn a_generated_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    // nodes of a cluster are given their key
    let mut shop = ShopProcess::prepare_on(Ground::embedded());
    shop.start().await;
    let kept = std::fs::metadata(shop.data_dir().join("jwt.key")).expect("the key is kept");
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    // and is the same after a restart: nobody is signed out by it
    let ann: Person = shop.register("ann").await;
    shop.kill_and_restart().await;
    ann.get("/api/user/profile").await.accepted();
}
