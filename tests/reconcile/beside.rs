//! The reconciliation of a shop in a process of its own: it dies between two repairs, and the command line works beside it.

use std::time::Duration;

use rushmall::domain::reconciliation::BillDay;
use serde_json::{Value, json};

use crate::peer::{Bill, Peer};
use crate::stage::{PAID, line, pay_at_environment, told};
use crate::support::client::Person;
use crate::support::process::ShopProcess;

async fn shop_at(peer: &Peer) -> ShopProcess {
    let mut shop = ShopProcess::prepare();
    for (name, value) in pay_at_environment(peer) {
        shop.set(name, &value);
    }
    shop.start().await;
    shop
}

async fn charges(admin: &Person, ann: &Person, count: usize) -> Vec<String> {
    let product = admin.make_product("billed", 19.8, 50).await;
    let mut order_nos = Vec::new();
    for _ in 0..count {
        let order_no = ann.place_order(&product, 1).await.order_no();
        ann.post("/api/pay/wechat/unified-order", &json!({ "order_no": order_no })).await.accepted();
        order_nos.push(order_no);
    }
    order_nos
}

fn yesterday() -> BillDay {
    BillDay::of(rushmall::clock::Clock::default().now_ms()).previous()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r67_a_node_that_dies_between_two_repairs_leaves_the_rest_to_its_next_life() {
    for point in [
        "reconcile.tell.after=kill@2",
        "reconcile.tell.before=kill@3",
        "reconcile.found.after=kill",
        "reconcile.found.before=kill",
    ] {
        dies_at(point).await;
    }
}

async fn dies_at(point: &str) {
    let peer = Peer::start().await;
    let mut shop = shop_at(&peer).await;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    let order_nos = charges(&admin, &ann, 5).await;
    shop.kill();
    shop.arm(point);
    shop.start().await;
    let day = yesterday();
    peer.bill(day, Bill::Lines(order_nos.iter().map(|order_no| line(order_no)).collect()));
    let mut end = None;
    for _ in 0..30 {
        // the answer may be cut off by the crash that it causes; a run that the shop is at by itself is not begun anew
        let _ = admin.post("/api/admin/reconciliation", &json!({ "date": day.to_string() })).await;
        end = shop.wait_for_end(Duration::from_secs(1)).await;
        if end.is_some() {
            break;
        }
    }
    assert!(end.is_some(), "it dies at {point}");
    shop.arm("");
    shop.start().await;
    let run = admin.compared("wechat", day).await;
    let states: Vec<String> = told(&run).into_iter().map(|(_, _, state)| state).collect();
    // what an order had heard when the node died does not differ any more
    let is_over = |state: &String| state == "repaired" || state == "settled";
    assert!(states.len() <= 5 && states.iter().all(is_over), "{point}: {run}");
    for order_no in &order_nos {
        assert_eq!(ann.order_status(order_no).await, PAID, "{point}");
    }
    let books = shop.books().await;
    let captured =
        "SELECT COUNT(*) AS n FROM order_events WHERE kind IN ('payment_captured', 'surplus_payment_captured')";
    assert_eq!(books.count(captured).await, 5, "{point}: each was told once");
    books.close().await;
    shop.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn when_a_bill_was_compared_last_is_a_figure_before_the_first_and_after_a_restart() {
    const LAST: &str = "rushmall_reconciliation_last_run_seconds{channel=\"wechat\"}";
    let peer = Peer::start().await;
    let mut shop = shop_at(&peer).await;
    shop.visitor().sees_figure(LAST, |last| last == 0.0).await; // never, and it is told
    let (admin, day) = (shop.admin().await, yesterday());
    peer.bill(day, Bill::Lines(Vec::new()));
    admin.post("/api/admin/reconciliation", &json!({ "date": day.to_string() })).await.accepted();
    admin.compared("wechat", day).await;
    let compared = shop.visitor().sees_figure(LAST, |last| last > 0.0).await;
    shop.kill_and_restart().await;
    let after = shop.visitor().sees_figure(LAST, |last| last > 0.0).await;
    assert!((after - compared).abs() < 1.0, "{after}, not {compared}: nothing was compared since");
    shop.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r67_the_command_compares_beside_a_running_shop() {
    let peer = Peer::start().await;
    let mut shop = shop_at(&peer).await;
    let (admin, ann) = (shop.admin().await, shop.register("ann").await);
    let order_nos = charges(&admin, &ann, 2).await;
    // older than what the shop itself compares
    let day = yesterday().earlier(20);
    let date = day.to_string();
    let nothing = shop.run(&["reconcile", "--date", &yesterday().next().to_string()]);
    assert_eq!(nothing.status.code(), Some(2), "a day that is not over has no bill");
    peer.bill(day, Bill::Damaged(vec![line(&order_nos[0])]));
    assert_eq!(shop.run(&["reconcile", "--date", &date]).status.code(), Some(1));
    peer.bill(day, Bill::Lines(vec![line(&order_nos[0])]));

    let report = shop.data_dir().join("dry.json");
    let dry = shop.run(&["reconcile", "--date", &date, "--dry-run", "--report", report.to_str().unwrap()]);
    assert_eq!(dry.status.code(), Some(1), "{dry:?}");
    let read: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(read["differences"][0]["kind"], "paid_there_unpaid_here");
    assert_eq!(ann.order_status(&order_nos[0]).await, 1, "a dry run tells nobody");

    let report = shop.data_dir().join("real.csv");
    let real = shop.run(&["reconcile", "--date", &date, "--channel", "wechat", "--report", report.to_str().unwrap()]);
    assert_eq!(real.status.code(), Some(0), "{real:?}");
    assert_eq!(ann.order_status(&order_nos[0]).await, PAID);
    let text = std::fs::read_to_string(&report).unwrap();
    assert!(text.contains("\"paid_there_unpaid_here\"") && text.contains("\"repaired\""), "{text}");
    let reports = shop.data_dir().join("reports");
    for extension in ["json", "csv"] {
        assert!(reports.join(format!("reconciliation-wechat-{date}.{extension}")).exists());
    }
    let left: Vec<_> = std::fs::read_dir(&reports).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // the shop compares days of its own meanwhile
    let of_the_command = [format!(".spool-wechat-{date}-"), ".spool-look-".to_owned()];
    let is_left = |name: &str| of_the_command.iter().any(|spool| name.starts_with(spool));
    assert!(!left.iter().any(|name| is_left(&name.to_string_lossy())), "{left:?}");

    let again = shop.run(&["reconcile", "--date", &date]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let nobody = "01JD0000000000000000000001";
    peer.bill(day, Bill::Lines(vec![line(&order_nos[0]), line(nobody)]));
    let left = shop.run(&["reconcile", "--date", &date]);
    assert_eq!(left.status.code(), Some(1), "somebody has to look: {left:?}");
    assert!(String::from_utf8_lossy(&left.stdout).contains(nobody), "{left:?}");
    assert_eq!(admin.compared("wechat", day).await["run"]["state"], "open");
    shop.kill();
}
