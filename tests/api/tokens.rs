//! Access and refresh tokens, good, forged and revoked: t23.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rushmall::config::AuthSettings;
use rushmall::domain::{BuyerId, Role};
use rushmall::http::auth::{Subject, Tokens};
use serde_json::{Value, json};

use crate::support::client::{Answer, Person};
use crate::support::shop::TestShop;
use crate::support::wire::{Heard, Wire};

const EXPIRED: i64 = 10_005;
const INVALID: i64 = 10_006;
const SIGNED_OUT: u16 = 4_401;

async fn enter(shop: &TestShop, name: &str) -> (Person, Value) {
    let body = json!({ "username": name, "password": format!("{name}-2026") });
    let data = shop.visitor().post("/api/user/register", &body).await.accepted();
    let token = data["token"].as_str().expect("a token");
    (shop.visitor().signed_in(data["user"]["id"].as_i64().expect("an id"), name, token), data)
}

async fn profile(of: &Person, token: &str) -> Answer {
    of.signed_in(of.user_id, "somebody", token).get("/api/user/profile").await
}

async fn refresh(shop: &TestShop, token: &Value) -> Answer {
    shop.visitor().post("/api/auth/refresh-token", &json!({ "refresh_token": token })).await
}

fn part(claims: &Value) -> String {
    URL_SAFE_NO_PAD.encode(claims.to_string())
}

#[tokio::test]
async fn a_token_that_was_changed_in_any_part_is_refused() {
    let shop = TestShop::open().await;
    let (ann, data) = enter(&shop, "ann").await;
    let parts: Vec<&str> = ann.token.split('.').collect();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).expect("base64")).expect("claims are JSON");
    for name in ["sub", "user_id", "username", "role", "sid", "exp", "iat", "iss", "typ"] {
        assert!(!claims[name].is_null(), "{name} is missing in {claims}");
    }
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        part(&changed)
    };
    let none = part(&json!({ "alg": "none", "typ": "JWT" }));
    let none_upper = part(&json!({ "alg": "NONE", "typ": "JWT" }));
    let rs = part(&json!({ "alg": "RS256", "typ": "JWT" }));
    let forged = [
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{none_upper}.{}.", with("role", json!("admin"))),
        format!("{rs}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], with("user_id", json!(1)), parts[2]),
        format!("{}.{}.{}", parts[0], with("exp", json!(i64::MAX)), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}x", parts[0], parts[1], parts[2]),
        ann.token.replace('.', ".."),
        "x".to_owned(),
        "null".to_owned(),
        "x".repeat(4_000),
        data["refresh_token"].as_str().expect("a token").to_owned(),
    ];
    for token in &forged {
        let answer = profile(&ann, token).await;
        assert_eq!((answer.status, answer.code), (401, INVALID), "{token}: {answer:?}");
        // a public page does not pretend that a bad token was none
        let answer = ann.signed_in(0, "somebody", token).get("/api/cart").await;
        assert_eq!(answer.status, 401, "{token}: {answer:?}");
    }
    let basic = shop.visitor().request(reqwest::Method::GET, "/api/user/profile").header("authorization", "Basic YTpi");
    crate::support::client::send(basic, "basic".to_owned()).await.with_status(401);
    profile(&ann, &ann.token).await.accepted();
}

#[tokio::test]
async fn a_token_of_another_shop_or_another_issuer_is_refused() {
    let shop = TestShop::open().await;
    let (ann, _) = enter(&shop, "ann").await;
    let sid = ann.get("/api/auth/sessions").await.accepted()[0]["sid"].as_str().expect("a session").to_owned();
    let subject = Subject { buyer: BuyerId(ann.user_id), username: "ann".to_owned(), role: Role::Admin, sid };
    let foreign = Tokens::new(b"another shop's key, 32 bytes long", &AuthSettings::default());
    let token = foreign.mint(&subject, shop.clock.now_ms()).expect("signed");
    profile(&ann, &token).await.with_status(401).rejected(INVALID);
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over_and_a_fresh_one_goes_on() {
    let shop = TestShop::with(|settings| {
        (settings.auth.access_token_s, settings.auth.refresh_token_s) = (900, 86_400);
    })
    .await;
    let (ann, data) = enter(&shop, "ann").await;
    assert_eq!(data["expires_in"], 900);
    shop.travel(901_000);
    profile(&ann, &ann.token).await.with_status(401).rejected(EXPIRED);
    let renewed = refresh(&shop, &data["refresh_token"]).await.accepted();
    profile(&ann, renewed["token"].as_str().expect("a token")).await.accepted();
    shop.travel(86_401_000);
    let late = refresh(&shop, &renewed["refresh_token"]).await.with_status(401);
    assert!([EXPIRED, INVALID].contains(&late.code), "{late:?}");
}

#[tokio::test]
async fn t23_a_refresh_token_is_no_access_token_and_an_access_token_no_refresh_token() {
    let shop = TestShop::open().await;
    let (ann, data) = enter(&shop, "ann").await;
    profile(&ann, data["refresh_token"].as_str().expect("a token")).await.with_status(401).rejected(INVALID);
    refresh(&shop, &json!(ann.token)).await.with_status(401).rejected(INVALID);
    for nonsense in [json!("x"), json!("x".repeat(43))] {
        refresh(&shop, &nonsense).await.with_status(401).rejected(INVALID);
    }
    for absent in [json!(""), Value::Null, json!("x".repeat(5_000))] {
        let answer = refresh(&shop, &absent).await;
        assert_eq!((answer.status, answer.code), (400, 10_009), "{answer:?}");
    }
}

#[tokio::test]
async fn t23_a_refresh_token_used_twice_ends_its_family_and_no_other() {
    let shop = TestShop::open().await;
    let (ann, data) = enter(&shop, "ann").await;
    let phone = shop.visitor().log_in("ann", "ann-2026").await;
    let first = refresh(&shop, &data["refresh_token"]).await.accepted();
    let second = refresh(&shop, &first["refresh_token"]).await.accepted();
    let newest = second["token"].as_str().expect("a token").to_owned();
    profile(&ann, &newest).await.accepted();
    // a thief comes with the first one
    refresh(&shop, &data["refresh_token"]).await.with_status(401).rejected(INVALID);
    for dead in [&ann.token, &newest] {
        profile(&ann, dead).await.with_status(401).rejected(INVALID);
    }
    refresh(&shop, &second["refresh_token"]).await.with_status(401).rejected(INVALID);
    phone.get("/api/user/profile").await.accepted();
}

#[tokio::test]
async fn t23_one_refresh_token_traded_in_by_many_at_once_gives_at_most_one_family() {
    let shop = TestShop::open().await;
    let (_, data) = enter(&shop, "ann").await;
    let answers = futures::future::join_all((0..6).map(|_| refresh(&shop, &data["refresh_token"]))).await;
    assert!(answers.iter().filter(|answer| answer.is_accepted()).count() <= 1, "{answers:?}");
    // reuse was seen: whatever was handed out is over
    for answer in answers.iter().filter(|answer| answer.is_accepted()) {
        refresh(&shop, &answer.data["refresh_token"]).await.with_status(401).rejected(INVALID);
    }
}

#[tokio::test]
async fn t23_logout_ends_token_refresh_token_and_open_sockets_at_once() {
    let shop = TestShop::open().await;
    let (ann, data) = enter(&shop, "ann").await;
    let phone = shop.visitor().log_in("ann", "ann-2026").await;
    let (mut wire, mut phones) = (Wire::open(&ann).await, Wire::open(&phone).await);
    wire.frame("welcome").await;
    phones.frame("welcome").await;
    let unused = ann.post("/api/ws/ticket", &json!({})).await.accepted();
    ann.post("/api/auth/logout", &json!({})).await.accepted();
    profile(&ann, &ann.token).await.with_status(401).rejected(INVALID);
    refresh(&shop, &data["refresh_token"]).await.with_status(401).rejected(INVALID);
    assert_eq!(wire.closing().await, Heard::Closed(SIGNED_OUT));
    let ticket = unused["ticket"].as_str().expect("a ticket");
    assert_eq!(Wire::try_ticket(&shop.address, ticket).await.err(), Some(401));
    // the other device stays, until all are signed out
    phone.get("/api/user/profile").await.accepted();
    phone.post("/api/auth/logout", &json!({ "all": true })).await.accepted();
    assert_eq!(phones.closing().await, Heard::Closed(SIGNED_OUT));
    phone.get("/api/user/profile").await.with_status(401);
}

#[tokio::test]
async fn t23_a_password_change_ends_every_session_and_socket_at_once() {
    let shop = TestShop::open().await;
    let (ann, data) = enter(&shop, "ann").await;
    let phone = shop.visitor().log_in("ann", "ann-2026").await;
    let mut wire = Wire::open(&phone).await;
    wire.frame("welcome").await;
    let wrong = json!({ "old_password": "wrong-2026", "new_password": "fresh-2026" });
    ann.post("/api/auth/change-password", &wrong).await.rejected(10_004);
    phone.get("/api/user/profile").await.accepted();
    let change = json!({ "old_password": "ann-2026", "new_password": "fresh-2026" });
    ann.post("/api/auth/change-password", &change).await.accepted();
    assert_eq!(wire.closing().await, Heard::Closed(SIGNED_OUT));
    for person in [&ann, &phone] {
        person.get("/api/user/profile").await.with_status(401).rejected(INVALID);
        assert_eq!(Wire::try_open(person).await.err(), Some(401));
    }
    refresh(&shop, &data["refresh_token"]).await.with_status(401).rejected(INVALID);
    let old = json!({ "username": "ann", "password": "ann-2026" });
    shop.visitor().post("/api/user/login", &old).await.rejected(10_004);
    shop.visitor().log_in("ann", "fresh-2026").await.get("/api/user/profile").await.accepted();
}

#[tokio::test]
async fn a_session_survives_a_restart_and_a_revoked_one_does_not() {
    let mut shop = TestShop::open().await;
    let (ann, _) = enter(&shop, "ann").await;
    let (eve, _) = enter(&shop, "eve").await;
    eve.post("/api/auth/logout", &json!({})).await.accepted();
    shop.restart().await;
    profile(&ann, &ann.token).await.accepted();
    profile(&eve, &eve.token).await.with_status(401).rejected(INVALID);
}
