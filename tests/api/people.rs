//! Registering, signing in, profiles, devices.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::ground::is_cluster;
use crate::support::shop::TestShop;

#[tokio::test]
async fn a_name_is_registered_once_however_many_try_at_once() {
    let shop = TestShop::open().await;
    let visitor = shop.visitor();
    let body = json!({ "username": "popular", "password": "secret-2026" });
    let answers = join_all((0..8).map(|_| visitor.post("/api/user/register", &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_accepted()).count(), 1, "{answers:?}");
    for answer in answers.into_iter().filter(|answer| !answer.is_accepted()) {
        assert_eq!(answer.with_status(200).rejected(10_002)["field"], "username");
    }
}

#[tokio::test]
async fn a_name_and_a_password_have_bounds_and_an_unknown_name_is_answered_like_a_wrong_password() {
    let shop = TestShop::open().await;
    let (visitor, before) = (shop.visitor(), shop.books.footprint().await);
    for (username, password) in [
        ("ab", "secret-2026"),
        (&"x".repeat(51) as &str, "secret-2026"),
        ("with space", "secret-2026"),
        ("<script>", "secret-2026"),
        ("fine", "short"),
        ("fine", &"x".repeat(73)),
        ("", ""),
    ] {
        let answer = visitor.post("/api/user/register", &json!({ "username": username, "password": password })).await;
        assert_eq!((answer.status, answer.code), (400, 10_009), "{username} {password}: {answer:?}");
    }
    assert_eq!(shop.books.footprint().await, before);
    shop.register("ann").await;
    let wrong = json!({ "username": "ann", "password": "wrong-2026" });
    let unknown = json!({ "username": "nobody", "password": "wrong-2026" });
    let (wrong, unknown) =
        (visitor.post("/api/user/login", &wrong).await, visitor.post("/api/user/login", &unknown).await);
    assert_eq!((wrong.status, wrong.code, &wrong.message), (200, 10_004, &unknown.message));
    assert_eq!((unknown.status, unknown.code), (wrong.status, wrong.code));
}

#[tokio::test]
async fn one_signs_in_by_name_mobile_number_or_email() {
    let shop = TestShop::open().await;
    let visitor = shop.visitor();
    let body = json!({ "mobile": "13912345678", "email": "Ann@Example.com", "password": "secret-2026" });
    let made = visitor.post("/api/user/register", &body).await.accepted();
    assert_eq!(made["user"]["username"], "13912345678");
    for (name, login) in
        [("username", "13912345678"), ("mobile", "13912345678"), ("phone", "13912345678"), ("email", "ann@example.com")]
    {
        let signed_in = visitor.post("/api/user/login", &json!({ name: login, "password": "secret-2026" })).await;
        assert_eq!(signed_in.accepted()["user"]["id"], made["user"]["id"], "{name}");
    }
    let taken = json!({ "username": "other", "email": "ann@example.com", "password": "secret-2026" });
    assert_eq!(visitor.post("/api/user/register", &taken).await.rejected(10_002)["field"], "email");
}

#[tokio::test]
async fn devices_are_listed_and_signed_out_one_by_one() {
    let shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    let phone = shop.visitor().log_in("ann", "ann-2026").await;
    let devices = ann.get("/api/auth/sessions").await.accepted();
    let devices = devices.as_array().expect("devices").clone();
    assert_eq!(devices.len(), 2);
    let other = devices.iter().find(|device| device["current"] == false).expect("the phone");
    let path = format!("/api/auth/sessions/{}", other["sid"].as_str().expect("a session"));
    shop.register("eve").await.delete(&path).await.with_status(404);
    phone.get("/api/user/profile").await.accepted();
    ann.delete(&path).await.accepted();
    phone.get("/api/user/profile").await.with_status(401).rejected(10_006);
    ann.get("/api/user/profile").await.accepted();
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("kept", 3).await;
    let ann = shop.register("ann").await;
    ann.buy(&product).await.order_no();
    let path = format!("/api/admin/users/{}", ann.user_id);
    admin.put(&path, &json!({ "status": 0 })).await.accepted();
    for answer in [ann.get("/api/user/profile").await, ann.buy(&product).await] {
        assert!([401, 403].contains(&answer.status), "{answer:?}");
    }
    let login = json!({ "username": "ann", "password": "ann-2026" });
    shop.visitor().post("/api/user/login", &login).await.rejected(10_003);
    admin.put(&path, &json!({ "status": 1 })).await.accepted();
    let back = shop.visitor().log_in("ann", "ann-2026").await;
    assert_eq!(back.orders().await.len(), 1);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_profile_changes_field_by_field() {
    let shop = TestShop::open().await;
    let ann = shop.register("ann").await;
    ann.put("/api/user/profile", &json!({ "email": "a@b.cn", "nickname": "安安" })).await.accepted();
    let seen = ann.put("/api/user/profile", &json!({ "phone": "13800000000", "email": "" })).await.accepted();
    assert_eq!(
        (seen["email"].as_str(), seen["phone"].as_str(), seen["nickname"].as_str(), seen["username"].as_str()),
        (Some("a@b.cn"), Some("13800000000"), Some("安安"), Some("ann"))
    );
    for bad in [json!({ "email": "x" }), json!({ "phone": "123" }), json!({ "nickname": "n".repeat(51) })] {
        let answer = ann.put("/api/user/profile", &bad).await;
        assert_eq!((answer.status, answer.code), (400, 10_009), "{bad}: {answer:?}");
    }
    assert!(!seen.to_string().contains("password"), "{seen}");
    ann.ask(Method::GET, "/api/user/profile", None, &[("authorization", "Basic YW5uOmFubg==")]).await;
}

#[tokio::test]
async fn t22_passwords_of_one_account_and_registrations_of_one_name_are_tried_so_often_a_minute() {
    let shop = TestShop::with(|settings| {
        (settings.limits.sign_ins_per_minute, settings.limits.registrations_per_minute) = (3, 2);
    })
    .await;
    let (visitor, ann) = (shop.visitor(), shop.register("ann").await);
    ann.put("/api/user/profile", &json!({ "email": "ann@example.com" })).await.accepted();
    let body = |login: &str, password: &str| json!({ "username": login, "password": password });
    let since = Instant::now();
    for login in ["ann", "ann@example.com", "ann"] {
        visitor.post("/api/user/login", &body(login, "wrong-2026")).await.rejected(10_004);
    }
    // by whatever name, from whatever address, also with the right password, also behind a token
    let claimed = [("X-Forwarded-For", "10.1.2.3")];
    let right = body("ann@example.com", "ann-2026");
    let change = json!({ "old_password": "wrong-2026", "new_password": "other-2026" });
    for answer in [
        visitor.ask(Method::POST, "/api/user/login", Some(&right), &claimed).await,
        ann.post("/api/auth/change-password", &change).await,
    ] {
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        let told = answer.with_status(429).rejected(429)["retry_after_ms"].as_u64().map(Duration::from_millis);
        let (least, most) = (Duration::from_millis(59_990).saturating_sub(since.elapsed()), Duration::from_secs(60));
        assert!(told.is_some_and(|told| (least..=most).contains(&told)), "{told:?}");
    }
    shop.admin().await; // another account
    visitor.post("/api/user/register", &body("ANN", "ann-2026")).await;
    visitor.post("/api/user/register", &body("Ann", "ann-2026")).await.with_status(429).rejected(429);
    if is_cluster() {
        // its windows go by Redis' clock, which no test moves
        tokio::time::sleep(Duration::from_secs(60)).await;
    } else {
        shop.travel(60_000);
    }
    visitor.post("/api/user/login", &right).await.accepted();
}
