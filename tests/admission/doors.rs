//! The limits at the door: t22.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use rushmall::config::Settings;
use serde_json::json;

use crate::support::client::{Answer, Person};
use crate::support::process::ShopProcess;
use crate::support::shop::TestShop;

const TOO_MANY: i64 = 429;
const BUSY: i64 = 60_011;
const PATIENCE: Duration = Duration::from_secs(30);

/// Behind a proxy on this machine, which says where its clients are.
fn behind_a_proxy(settings: &mut Settings) {
    settings.http.trusted_proxies = vec!["127.0.0.1".parse().expect("an address")];
    settings.limits.exempt = Some(Vec::new());
}

async fn from(who: &Person, address: &str, path: &str) -> Answer {
    who.ask(Method::GET, path, None, &[("X-Forwarded-For", address)]).await
}

fn figure(answer: &Answer, name: &str) -> Option<u64> {
    answer.headers.get(name)?.to_str().ok()?.parse().ok()
}

async fn let_in(who: &Person, address: &str, tries: usize) -> usize {
    let answers = join_all((0..tries).map(|_| from(who, address, "/api/product"))).await;
    answers.iter().filter(|answer| answer.is_accepted()).count()
}

#[tokio::test]
async fn t22_one_address_asks_so_often_and_a_spoofed_hop_does_not_help() {
    let shop = TestShop::with(|settings| {
        behind_a_proxy(settings);
        (settings.limits.api_per_second, settings.limits.api_burst) = (1, 5);
    })
    .await;
    let visitor = shop.visitor();
    let since = Instant::now();
    // the rightmost hop is what our proxy saw; what stands left of it the client has written
    let tries = (0..20).map(|n| format!("10.9.9.{n}, 203.0.113.9"));
    let answers = join_all(tries.map(async |hops| from(&visitor, &hops, "/api/product").await)).await;
    let passed = answers.iter().filter(|answer| answer.is_accepted()).count();
    let refilled = since.elapsed().as_secs() as usize + 1;
    assert!((5..=5 + refilled).contains(&passed), "{passed} in {:?}", since.elapsed());
    for answer in answers.iter().filter(|answer| !answer.is_accepted()) {
        assert_eq!((answer.status, answer.code), (429, TOO_MANY), "{answer:?}");
        assert_eq!((figure(answer, "ratelimit-limit"), figure(answer, "ratelimit-remaining")), (Some(5), Some(0)));
        assert_eq!(answer.headers["ratelimit-policy"], "5;w=5");
        assert!(figure(answer, "retry-after").is_some_and(|seconds| (1..=2).contains(&seconds)), "{answer:?}");
    }
    assert!(let_in(&visitor, "203.0.113.10", 3).await == 3, "another address pays for nobody");
    // a household of IPv6 is one client
    let since = Instant::now();
    let houses = ["2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:1:9::"].map(|address| let_in(&visitor, address, 4));
    let passed = join_all(houses).await.into_iter().sum::<usize>();
    let refilled = since.elapsed().as_secs() as usize + 1;
    assert!(passed <= 5 + refilled, "{passed} in {:?}", since.elapsed());
    assert_eq!(from(&visitor, "203.0.113.9", "/health").await.status, 200, "a balancer is never turned away");
}

#[tokio::test]
async fn t22_without_a_trusted_proxy_the_peer_is_the_client() {
    let shop = TestShop::with(|settings| {
        settings.limits.exempt = Some(Vec::new());
        (settings.limits.api_per_second, settings.limits.api_burst) = (1, 5);
    })
    .await;
    let visitor = shop.visitor();
    let tries = (0..20).map(|n| format!("203.0.113.{n}"));
    let answers = join_all(tries.map(async |address| from(&visitor, &address, "/api/product").await)).await;
    let passed = answers.iter().filter(|answer| answer.is_accepted()).count();
    assert!((5..12).contains(&passed), "{passed}");
}

#[tokio::test]
async fn t22_users_behind_one_address_have_a_limit_each() {
    let shop = TestShop::with(|settings| {
        behind_a_proxy(settings);
        (settings.limits.api_per_second, settings.limits.api_burst) = (1, 5);
    })
    .await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let hers = join_all((0..20).map(|n| async move { format!("203.0.113.{n}") })).await;
    let passed = join_all(hers.iter().map(async |address| from(&ann, address, "/api/order").await)).await;
    let passed = passed.iter().filter(|answer| answer.is_accepted()).count();
    assert!((5..12).contains(&passed), "from however many addresses: {passed}");
    let his = from(&bob, "203.0.113.1", "/api/order").await;
    assert_eq!((figure(&his, "ratelimit-limit"), figure(&his, "ratelimit-remaining")), (Some(5), Some(4)));
    his.accepted();
    // whoever shows nonsense for a token is a visitor
    let liar = bob.signed_in(bob.user_id, "bob", "nonsense");
    let answers = join_all((0..20).map(|_| from(&liar, "198.51.100.1", "/api/order"))).await;
    assert!(answers.iter().filter(|answer| answer.status == 401).count() < 12);
    assert!(answers.iter().any(|answer| answer.code == TOO_MANY));
}

#[tokio::test]
async fn t22_sign_ins_of_one_address_are_limited_whatever_account_they_try() {
    let shop = TestShop::with(|settings| {
        behind_a_proxy(settings);
        (settings.limits.login_per_second, settings.limits.login_burst) = (1, 4);
    })
    .await;
    let visitor = shop.visitor();
    let attempt = async |n: usize, address: &str| {
        let body = json!({ "username": format!("nobody{n}"), "password": "guess-2026" });
        visitor.ask(Method::POST, "/api/user/login", Some(&body), &[("X-Forwarded-For", address)]).await
    };
    let since = Instant::now();
    let answers = join_all((0..15).map(async |n| attempt(n, "203.0.113.9").await)).await;
    let tried = answers.iter().filter(|answer| answer.code != TOO_MANY).count();
    let refilled = since.elapsed().as_secs() as usize + 1;
    assert!((4..=4 + refilled).contains(&tried), "{tried} passwords were tried");
    assert_ne!(attempt(1, "203.0.113.10").await.code, TOO_MANY);
}

#[tokio::test]
async fn t22_the_loopback_is_exempt_and_a_changed_limit_holds_at_once_and_shows_in_the_headers() {
    let shop = TestShop::with(|settings| {
        (settings.limits.api_per_second, settings.limits.api_burst) = (1, 2);
        (settings.limits.seckill_per_second, settings.limits.seckill_burst) = (5, 10);
    })
    .await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("limited", 5).await;
    let ann = shop.register("ann").await;
    for _ in 0..10 {
        ann.get("/api/order").await.accepted();
    }
    let first = ann.buy(&product).await;
    let told = |answer: &Answer| (figure(answer, "ratelimit-limit"), figure(answer, "ratelimit-remaining"));
    assert_eq!(told(&first), (Some(10), Some(9)), "{first:?}");
    assert_eq!(first.headers["ratelimit-policy"], "10;w=2");
    let mut changed = shop.inside().settings.clone();
    (changed.limits.seckill_per_second, changed.limits.seckill_burst) = (1, 2);
    shop.inside().limits.replace(&changed);
    let second = ann.buy(&product).await;
    assert_eq!(told(&second), (Some(2), Some(1)), "{second:?}");
    let mut refused = ann.buy(&product).await;
    for _ in 0..20 {
        if refused.status == 429 {
            break;
        }
        refused = ann.buy(&product).await;
    }
    assert_eq!((refused.status, told(&refused)), (429, (Some(2), Some(0))), "{refused:?}");
    assert_eq!(refused.headers["ratelimit-policy"], "2;w=2");
}

#[tokio::test]
async fn claims_that_waited_too_long_are_refused_before_the_ledger_is_asked() {
    let mut shop = ShopProcess::prepare();
    shop.set("RUSHMALL__LIMITS__QUEUE_WAIT_MAX_MS", "1000");
    shop.set("RUSHMALL__ACTORS__ASK_TIMEOUT_MS", "9000");
    // the first call of the ledger takes so long that whoever comes meanwhile waits too long
    shop.arm("inventory.reserve=delay(5000)@1");
    shop.start().await;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("slow", 50).await;
    let buyers = admin.make_buyers(12, "late-").await;
    let first = tokio::spawn({
        let (buyer, product) = (buyers[0].clone(), product);
        async move { buyer.buy(&product).await }
    });
    let until = Instant::now() + PATIENCE;
    while !shop.log_text().contains("lingering at a failpoint point=\"inventory.reserve\"") {
        assert!(Instant::now() < until, "the first click never reached the ledger");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answers = join_all(buyers[1..].iter().map(|buyer| buyer.buy(&product))).await;
    first.await.expect("it ends").order_no();
    for answer in &answers {
        assert_eq!((answer.status, answer.code), (503, BUSY), "{answer:?}");
        assert!(figure(answer, "retry-after").is_some(), "{answer:?}");
    }
    let until = Instant::now() + PATIENCE;
    for buyer in &buyers[1..] {
        assert!(buyer.orders().await.is_empty(), "nothing was taken");
        let mut answer = buyer.buy(&product).await;
        while answer.code == BUSY && Instant::now() < until {
            answer = buyer.buy(&product).await;
        }
        answer.order_no();
    }
    shop.assert_clean().await;
}
