//! Whose pages may read answers and open sockets of a shop in production, and what its own pages may load.

use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::stage::Configured;
use crate::support::client::Person;
use crate::support::gateway::lend_keys;
use crate::support::process::ShopProcess;

const SECRET: &str = "q8Zr1xV0mJ3yKp7Tn5Lw9Bd2Gh6Sf4Ca";
const FRIEND: &str = "https://club.example";
const STRANGER: &str = "https://evil.example";

async fn in_production(origins: &str) -> Configured {
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__ENVIRONMENT", "production");
    shop.set("RUSHMALL__AUTH__JWT_SECRET", SECRET);
    let mut configured = Configured::prepare(shop, origins);
    configured.shop.start().await;
    configured
}

/// The handshake's status: 101 if the socket opened.
async fn handshake(who: &Person, path: &str, origins: &[&str]) -> u16 {
    let url = format!("{}{path}", who.address.base().replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("a WebSocket URL");
    if !who.token.is_empty() {
        let token = format!("Bearer {}", who.token).parse().expect("a header value");
        request.headers_mut().insert("authorization", token);
    }
    for origin in origins {
        request.headers_mut().append("origin", origin.parse().expect("a header value"));
    }
    match connect_async(request).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("no answer to the handshake: {error}"),
    }
}

#[tokio::test]
async fn sockets_open_for_programs_own_pages_and_listed_ones_alone() {
    let configured = in_production(&format!("[http]\nallowed_origins = [\"{FRIEND}\"]\n")).await;
    let shop = &configured.shop;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    let own = shop.address.base();
    for (who, path) in [(&ann, "/ws"), (&admin, "/ws/admin")] {
        for origins in [&[][..], &[own.as_str()], &[FRIEND]] {
            assert_eq!(handshake(who, path, origins).await, 101, "{path} {origins:?}");
        }
        let (longer, doubled) = (format!("{FRIEND}.evil.example"), [FRIEND, STRANGER]);
        for origins in [&[STRANGER][..], &["null"], &[""], &["http://club.example"], &[&longer], &doubled] {
            assert_eq!(handshake(who, path, origins).await, 403, "{path} {origins:?}");
        }
    }
    // a page from elsewhere does not use up a ticket either
    let ticket = ann.post("/api/ws/ticket", &json!({})).await.accepted()["ticket"].as_str().expect("one").to_owned();
    let path = format!("/ws?ticket={ticket}");
    assert_eq!(handshake(&shop.visitor(), &path, &[STRANGER]).await, 403);
    assert_eq!(handshake(&shop.visitor(), &path, &[&own]).await, 101);
    // the list may change live
    configured.write(&format!("[http]\nallowed_origins = [\"{STRANGER}\"]\n"));
    configured.hang_up().await;
    assert_eq!(handshake(&ann, "/ws", &[STRANGER]).await, 101);
    assert_eq!(handshake(&ann, "/ws", &[FRIEND]).await, 403);
}

#[tokio::test]
async fn production_shares_no_answer_with_pages_that_nobody_named() {
    let shared = async |shop: &ShopProcess, method: Method, origin: &str| {
        let request = shop.visitor().request(method, "/api/product").header("origin", origin);
        let answer = request.header("access-control-request-method", "POST").send().await.expect("an answer");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        answer.headers().get("access-control-allow-origin").map(|value| value.to_str().expect("text").to_owned())
    };
    let unsaid = in_production("").await;
    for method in [Method::GET, Method::OPTIONS] {
        assert_eq!(shared(&unsaid.shop, method, STRANGER).await, None);
    }
    drop(unsaid);
    let named = in_production(&format!("[http]\nallowed_origins = [\"{FRIEND}\"]\n")).await;
    for method in [Method::GET, Method::OPTIONS] {
        assert_eq!(shared(&named.shop, method.clone(), FRIEND).await.as_deref(), Some(FRIEND));
        assert_eq!(shared(&named.shop, method, STRANGER).await, None);
    }
    named.write("[http]\nallowed_origins = [\"*\"]\n");
    named.hang_up().await;
    assert_eq!(shared(&named.shop, Method::GET, STRANGER).await.as_deref(), Some("*"), "said");
}

#[tokio::test]
async fn every_page_carries_a_policy_and_none_may_be_framed() {
    let mut configured = Configured::prepare(ShopProcess::prepare(), "");
    configured.shop.unset("RUSHMALL__PAYMENT__SANDBOX");
    lend_keys(configured.shop.data_dir());
    configured.shop.start().await;
    let shop = &configured.shop;
    for path in ["/", "/swagger/", "/swagger/index.html", "/sandbox/cashier/none", "/sandbox/control"] {
        let request = shop.visitor().request(Method::GET, path).header("accept", "text/html");
        let page = request.send().await.expect("an answer");
        let kind = page.headers()["content-type"].to_str().expect("text").to_owned();
        assert!(kind.starts_with("text/html"), "{path} is {kind}");
        let policy = page.headers()["content-security-policy"].to_str().expect("text");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert_eq!(page.headers()["x-frame-options"], "DENY", "{path}");
        assert!(!page.headers().contains_key("strict-transport-security"), "{path}: not over TLS");
    }
    // an idle shop hears SIGHUP as well, and goes on
    shop.signal(Signal::SIGHUP);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(shop.visitor().get("/ready").await.status, 200);
}
