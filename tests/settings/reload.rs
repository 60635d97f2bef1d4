//! SIGHUP and `POST /api/admin/settings/reload` on one node.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Configured, until};
use crate::support::client::{Answer, Person};
use crate::support::receiver::Receiver;
use crate::support::verbs::Product;

const TOO_OFTEN: i64 = 60_010;
const RELOAD: &str = "/api/admin/settings/reload";

fn limits(per_second: u32, burst: u32) -> String {
    format!("[limits]\nseckill_per_second = {per_second}\nseckill_burst = {burst}\nsign_ins_per_minute = 1000\n")
}

/// Clicks until one is held up, at most so often: how many were let in, and the answer that held up.
async fn clicks(buyer: &Person, product: &Product, at_most: usize) -> (usize, Option<Answer>) {
    for let_in in 0..at_most {
        let answer = buyer.buy(product).await;
        if answer.code == TOO_OFTEN {
            return (let_in, Some(answer));
        }
    }
    (at_most, None)
}

/// How many clicks at once the answer says there are.
fn limit_told(answer: &Answer) -> String {
    let limit = answer.headers.get("ratelimit-limit").unwrap_or_else(|| panic!("no limit in {:?}", answer.headers));
    limit.to_str().expect("text").to_owned()
}

/// How often the settings were read anew, with this outcome.
async fn reloads(visitor: &Person, outcome: &str) -> u64 {
    let page = visitor.request(Method::GET, "/metrics").send().await.expect("an answer").text().await.expect("a text");
    let series = format!("rushmall_settings_reloads_total{{outcome=\"{outcome}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
}

async fn acts(admin: &Person) -> Vec<Value> {
    let found = admin.get("/api/admin/audit-log?action=settings.reload").await.accepted();
    found["list"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn the_flash_sale_limit_is_changed_by_sighup_without_a_restart() {
    let configured = Configured::open(&limits(1_000, 1_000)).await;
    let shop = &configured.shop;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("held", 5).await;
    let ann = shop.register("ann").await;
    let (let_in, held_up) = clicks(&ann, &product, 30).await;
    assert!(held_up.is_none(), "{let_in} of 30");
    assert_eq!(limit_told(&ann.buy(&product).await), "1000");

    configured.write(&limits(1, 3));
    configured.hang_up().await;
    let began = Instant::now();
    let (let_in, held_up) = clicks(&ann, &product, 30).await;
    // three at once and one more each second
    assert!(let_in <= 3 + usize::try_from(began.elapsed().as_secs()).expect("few") + 1, "{let_in} were let in");
    let held_up = held_up.expect("the new limit holds for a buyer who is in memory").with_status(429);
    assert_eq!(limit_told(&held_up), "3");
    let header = |name: &str| held_up.headers.get(name).map(|value| value.to_str().expect("text").to_owned());
    assert_eq!(header("retry-after").as_deref(), Some("1"), "{:?}", held_up.headers);
    assert_eq!(header("ratelimit-remaining").as_deref(), Some("0"), "{:?}", held_up.headers);
    assert_eq!(configured.setting(&admin, "limits.seckill_burst").await["value"], "3");
    assert_eq!(reloads(&shop.visitor(), "applied").await, 1);
    let acts = acts(&admin).await;
    assert_eq!((acts.len(), &acts[0]["actor_name"], &acts[0]["result"]), (1, &json!("SIGHUP"), &json!("ok")));
    let changed = acts[0]["detail"]["changed"].to_string();
    assert!(changed.contains("limits.seckill_burst") && changed.contains("\"3\""), "{}", acts[0]);

    configured.write(&limits(1_000, 1_000));
    configured.hang_up().await;
    tokio::time::sleep(Duration::from_millis(100)).await; // the bucket fills
    assert_eq!(limit_told(&ann.buy(&product).await), "1000");
    assert!(clicks(&ann, &product, 30).await.1.is_none(), "as before");
    shop.assert_clean().await;
}

#[tokio::test]
async fn at_how_few_units_stock_is_low_is_changed_without_a_restart() {
    let office = Receiver::open(204);
    let settings = |low_stock_units: u32| {
        format!(
            "{}[orders]\nlow_stock_units = {low_stock_units}\n[[webhooks.targets]]\nname = \"office\"\nurl = \"{}/low\"\n\
             secret = \"sixteen bytes or more\"\nevents = [\"stock.low\"]\n",
            limits(1_000, 1_000),
            office.url
        )
    };
    let configured = Configured::open(&settings(1)).await;
    let shop = &configured.shop;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("scarce", 6).await;
    shop.register("ann").await.buy(&product).await.order_no();
    assert!(!shop.log_text().contains("stock is low"), "five are left");
    configured.write(&settings(4));
    configured.hang_up().await;
    let shown = configured.setting(&admin, "orders.low_stock_units").await;
    assert_eq!((&shown["value"], &shown["live"]), (&json!("4"), &json!(true)));
    shop.register("bob").await.buy(&product).await.order_no();
    assert!(until(async || office.arrivals(true).len() == 1).await, "the webhook is told of four");
    let told: Value = serde_json::from_str(&office.arrivals(true)[0].body).expect("JSON");
    let fact = &told["events"][0];
    assert_eq!((&fact["units_left"], &fact["sale_id"]), (&json!(4), &json!(sale.id)), "{told}");
    assert!(until(async || shop.log_text().contains("stock is low")).await, "and whoever reads the log");
    shop.register("cyd").await.buy(&product).await.order_no();
    shop.assert_clean().await;
    assert_eq!(office.arrivals(true).len(), 1, "once on the way down");
}

#[tokio::test]
async fn a_bad_file_is_refused_and_the_old_settings_stay_in_force() {
    let configured = Configured::open(&limits(1_000, 1_000)).await;
    let shop = &configured.shop;
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("as before", 5).await;
    let ann = shop.register("ann").await;
    for (text, told) in [
        (
            "[limits]\nseckill_per_second = \"many\"\n".to_owned(),
            "limits.seckill_per_second: got \"many\", expected a whole",
        ),
        ("[limits]\nseckill_per_secnd = 1\n".to_owned(), "unknown key, did you mean limits.seckill_per_second?"),
        (format!("{}seckill", limits(1, 1)), "shop.toml: TOML parse error"),
        // one wrong key keeps the right ones out as well
        (format!("{}\n[telemetry]\nlog = \"rushmall=loud\"", limits(1, 1)), "telemetry.log: got \"rushmall=loud\""),
        (
            format!("{}[http]\nbody_bytes_max = 2048\n", limits(1, 1)),
            "http.body_bytes_max: got 2048, expected 1048576 until a restart",
        ),
        (
            format!("{}[payment]\nsimulated = false\n", limits(1, 1)),
            "payment.simulated: got false, expected (unset) until",
        ),
        (
            format!("{}[http]\ntls_certificate_file = \"x\"\n", limits(1, 1)),
            "http.tls_certificate_file and http.tls_key_file",
        ),
    ] {
        configured.write(&text);
        let before = shop.log_text().len();
        configured.hang_up().await;
        let log = shop.log_text()[before..].to_owned();
        assert!(log.contains(told) && log.contains("the old ones stay in force"), "{told} is not in:\n{log}");
        assert!(!log.contains("setting changed"), "{log}");
        assert!(clicks(&ann, &product, 20).await.1.is_none(), "the old limit holds: {text}");
        assert_eq!(configured.setting(&admin, "limits.seckill_burst").await["value"], "1000", "{text}");
    }
    assert_eq!((reloads(&shop.visitor(), "refused").await, reloads(&shop.visitor(), "applied").await), (7, 0));
    let acts = acts(&admin).await;
    assert_eq!(acts.len(), 7);
    assert!(acts.iter().all(|act| act["actor_name"] == "SIGHUP" && act["result"] != "ok"), "{acts:?}");
    configured.write(&limits(1_000, 1_000));
    configured.hang_up().await;
    assert!(shop.log_text().contains("settings read anew, nothing changed"));
}

#[tokio::test]
async fn an_administrator_reloads_and_sees_what_came_of_it_and_no_secret() {
    let secret = "sixteen-bytes-of-alerts";
    let before =
        format!("{}[alerts]\nwebhook_url = \"http://127.0.0.1:9/x\"\nwebhook_secret = \"{secret}\"\n", limits(5, 10));
    let configured = Configured::open(&before).await;
    let shop = &configured.shop;
    let admin = shop.admin().await;
    let shown = configured.setting(&admin, "limits.seckill_burst").await;
    assert!(shown["origin"].as_str().is_some_and(|origin| origin.ends_with("shop.toml")), "{shown}");
    assert_eq!((&shown["value"], &shown["live"]), (&json!("10"), &json!(true)));
    assert_eq!(configured.setting(&admin, "http.port").await["live"], false);
    assert_eq!(configured.setting(&admin, "alerts.webhook_secret").await["value"], "***");

    let unchanged = admin.post(RELOAD, &json!({})).await.accepted();
    assert_eq!((&unchanged[0]["outcome"], &unchanged[0]["node"]), (&json!("unchanged"), &json!("node-0")));
    configured.write(&before.replace("= 10\n", "= 20\n").replace(secret, "other-bytes-of-alerts"));
    let applied = admin.post(RELOAD, &json!({ "node": "node-0" })).await.accepted();
    assert_eq!(applied[0]["outcome"], "applied", "{applied}");
    let keys: Vec<&Value> = applied[0]["changed"].as_array().expect("a list").iter().map(|one| &one["key"]).collect();
    assert_eq!(keys, ["limits.seckill_burst", "alerts.webhook_secret"], "{applied}");
    configured.write("[node]\nslot = 3\n");
    let refused = admin.post(RELOAD, &json!({})).await.accepted();
    assert_eq!(refused[0]["outcome"], "refused");
    let problems = refused[0]["problems"].to_string();
    assert!(problems.contains("node.slot: got 3, expected 0 until a restart"), "{problems}");
    assert_eq!(configured.setting(&admin, "limits.seckill_burst").await["value"], "20");
    admin.post(RELOAD, &json!({ "node": "nobody" })).await.with_status(404);

    let acts = acts(&admin).await;
    assert_eq!(acts.len(), 4, "what was refused is recorded as well: {acts:?}");
    assert!(acts.iter().all(|act| act["actor_name"] == "boss"), "{acts:?}");
    let told = format!("{acts:?}{applied}{refused}{}", shop.log_text());
    assert!(!told.contains(secret) && !told.contains("other-bytes"), "a secret was told");
    let ann = shop.register("ann").await;
    ann.post(RELOAD, &json!({})).await.with_status(403);
    ann.get("/api/admin/settings").await.with_status(403);
}

#[tokio::test]
async fn log_lines_features_and_thresholds_change_live() {
    let configured = Configured::open(&limits(5, 10)).await;
    let shop = &configured.shop;
    let admin = shop.admin().await;
    admin.make_buyers(1, "before").await;
    assert!(!shop.log_text().contains("DEBUG"), "info at first");
    configured.write(&format!(
        "{}[telemetry]\nlog = \"debug\"\n[features]\nrehearsal = false\n[feed]\nsockets_per_user_max = 1\n",
        limits(5, 10)
    ));
    configured.hang_up().await;
    let body = json!({ "count": 1, "prefix": "after" });
    admin.post("/api/admin/rehearsal/buyers", &body).await.with_status(404);
    assert!(shop.log_text().contains("DEBUG"), "more lines:\n{}", shop.log_text());
    let ann = shop.register("ann").await;
    let first = crate::support::wire::Wire::try_open(&ann).await;
    let second = crate::support::wire::Wire::try_open(&ann).await;
    assert_eq!((first.is_ok(), second.err()), (true, Some(429)), "one socket of a user");
}

/// A target of events and perhaps a receiver of alerts.
fn told_to(target: &Receiver, alerts: Option<&Receiver>) -> String {
    let secret = "sixteen bytes or more";
    let alerts = alerts.map_or_else(String::new, |receiver| {
        format!("[alerts]\nwebhook_url = \"{}\"\nwebhook_secret = \"{secret}\"\n", receiver.url)
    });
    format!(
        "{alerts}[[webhooks.targets]]\nname = \"warehouse\"\nurl = \"{}\"\nsecret = \"{secret}\"\nevents = [\"order.*\"]\n",
        target.url
    )
}

#[tokio::test]
async fn a_target_of_webhooks_and_the_receiver_of_alerts_move_live() {
    let (before, after, office) = (Receiver::open(200), Receiver::open(200), Receiver::open(200));
    let configured = Configured::open(&told_to(&before, None)).await;
    let shop = &configured.shop;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    let product = admin.make_product("told", 1.0, 50).await;
    ann.place_order(&product, 1).await.accepted();
    before.has(1).await;

    configured.write(&told_to(&after, Some(&office)));
    configured.hang_up().await;
    assert!(shop.log_text().contains("key=\"webhooks.targets\""), "{}", shop.log_text());
    let told_before = before.arrivals(false).len();
    let order_no = ann.place_order(&product, 1).await.order_no();
    let arrivals = after.has(1).await;
    assert!(
        arrivals.iter().any(|arrival| arrival.body.contains(&order_no)),
        "the new order is told to the new address"
    );
    assert_eq!(before.arrivals(false).len(), told_before, "and to no other");
    admin.command_actor("inventory", &product.id.to_string(), "quarantine").await.accepted();
    let alerts = office.has(1).await;
    assert!(alerts.iter().any(|alert| alert.body.contains("quarantine")), "{alerts:?}");
}
