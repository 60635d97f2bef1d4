//! What a bill and the books say of the same money, in both directions.

use serde_json::json;

use crate::peer::{Bill, Line};
use crate::stage::{PAID, PRICE_FEN, Stage, line, told};

fn found(kind: &str, number: &str, state: &str) -> (String, String, String) {
    (kind.to_owned(), number.to_owned(), state.to_owned())
}

#[tokio::test]
async fn r67_paid_at_the_gateway_and_unpaid_here_is_repaired_once() {
    let stage = Stage::open().await;
    let (order_no, other) = (stage.charge().await, stage.paid().await);
    let day = stage.today().previous();
    stage.peer.bill(day, Bill::Lines(vec![line(&order_no), line(&other)]));
    let run = stage.compare(day).await;
    assert_eq!(told(&run), [found("paid_there_unpaid_here", &format!("{order_no}_1"), "repaired")]);
    assert_eq!((&run["run"]["state"], &run["run"]["lines"]), (&json!("done"), &json!(2)));
    assert_eq!(stage.ann.order_status(&order_no).await, PAID);
    let events = stage.events().await;
    let again = stage.compare(day).await;
    assert_eq!((told(&again), &again["run"]["state"]), (told(&run), &json!("done")));
    assert_eq!(stage.events().await, events, "the same bill twice changes nothing");
    let audit = stage.admin.get("/api/admin/audit?action=reconciliation.run").await.accepted();
    assert_eq!(audit["total"], stage.asked.get());
    stage.wind_up();
}

#[tokio::test]
async fn r67_paid_here_and_missing_at_the_gateway_is_for_a_human() {
    let mut stage = Stage::open().await;
    let (missing, agreed, early) = (stage.paid().await, stage.paid().await, stage.paid().await);
    let day = stage.next_day();
    stage.peer.bill(day, Bill::Lines(vec![line(&agreed)]));
    // paid a moment before midnight, and heard of after it
    stage.peer.bill(day.previous(), Bill::Lines(vec![line(&early)]));
    let run = stage.compare(day).await;
    assert_eq!(told(&run), [found("paid_here_missing_there", &format!("{missing}_1"), "in_review")]);
    let order = stage.admin.get("/api/admin/orders?needs_review=true").await.accepted();
    assert_eq!((&order["total"], &order["list"][0]["order_no"]), (&json!(1), &json!(missing)));
    assert_eq!(stage.ann.order_status(&missing).await, PAID, "nothing moves before the human has looked");
    let open = stage.admin.get(&format!("/api/admin/reconciliation/wechat-{day}?open=true")).await.accepted();
    assert_eq!(open["total"], 1);
    let events = stage.events().await;
    stage.compare(day).await;
    assert_eq!(stage.events().await, events, "a human is asked once");
    let path = format!("/api/admin/orders/{missing}/clear-review");
    stage.admin.post(&path, &json!({ "reason": "the gateway has it" })).await.accepted();
    let mut again = stage.compare(day).await;
    for _ in 0..300 {
        if told(&again)[0].2 == "cleared" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        again = stage.admin.compared("wechat", day).await;
    }
    assert_eq!(told(&again)[0].2, "cleared");
    stage.shop.leaves.reviews = 0;
    stage.wind_up();
}

#[tokio::test]
async fn r67_what_the_order_cannot_decide_is_seen() {
    let mut stage = Stage::open().await;
    let (other_amount, twice, by_hand) = (stage.paid().await, stage.paid().await, stage.paid().await);
    let day = stage.today().previous();
    let nobody = "01JD0000000000000000000001";
    let number = |order_no: &str| format!("{order_no}_1");
    stage.peer.bill(
        day,
        Bill::Lines(vec![
            Line::Paid { payment_no: number(&other_amount), fen: PRICE_FEN + 1 },
            line(&twice),
            line(&twice),
            line(&by_hand),
            Line::Refunded { payment_no: number(&by_hand), refund_no: "CONSOLE1".to_owned(), fen: 5 },
            line(nobody),
            Line::Paid { payment_no: "SHOP2-0001".to_owned(), fen: 5 },
        ]),
    );
    let run = stage.compare(day).await;
    assert_eq!(
        told(&run),
        [
            found("amount_differs", &number(&other_amount), "in_review"),
            found("duplicate", &number(&twice), "in_review"),
            found("paid_there_unpaid_here", &number(nobody), "open"),
            found("refund_there_missing_here", "CONSOLE1", "in_review"),
            found("unknown_number", "SHOP2-0001", "noted"),
        ]
    );
    assert_eq!(run["run"]["state"], "open", "an order that does not exist may come: compared again later");
    let kind = stage.admin.get(&format!("/api/admin/reconciliation/wechat-{day}?kind=duplicate")).await.accepted();
    assert_eq!((&kind["total"], &kind["list"][0]["order_no"]), (&json!(1), &json!(twice)));
    stage.shop.leaves.reviews = 3;
    stage.wind_up();
}

#[tokio::test]
async fn r67_a_payment_after_the_deadline_finds_its_unit_or_goes_back() {
    let stage = Stage::open().await;
    let order_no = stage.charge().await;
    let day = stage.next_day();
    // nobody was told of the payment, the gateway said "not paid" to the end, and the order was cancelled
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while stage.ann.order_status(&order_no).await != 5 {
        assert!(std::time::Instant::now() < until, "the order is not cancelled");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    stage.peer.bill(day, Bill::Lines(vec![line(&order_no)]));
    let run = stage.compare(day).await;
    assert_eq!(told(&run), [found("paid_there_unpaid_here", &format!("{order_no}_1"), "repaired")]);
    stage.wind_up();
    stage.shop.at_rest().await;
    assert_eq!(stage.ann.order_status(&order_no).await, PAID, "units were there");
    stage.shop.assert_stock_conserved(stage.product.id).await;
}

#[tokio::test]
async fn r67_a_refund_that_arrived_without_a_word_ends() {
    let stage = Stage::open().await;
    let order_no = stage.paid().await;
    stage.admin.refund(&order_no).await.accepted();
    let (payment_no, refund_no) = (format!("{order_no}_1"), format!("{order_no}_r1"));
    let day = stage.today().previous();
    let refunded = Line::Refunded { payment_no, refund_no: refund_no.clone(), fen: PRICE_FEN };
    stage.peer.bill(day, Bill::Lines(vec![line(&order_no), refunded]));
    assert_eq!(stage.ann.order_status(&order_no).await, 6, "on its way");
    let run = stage.compare(day).await;
    assert_eq!(told(&run), [found("refund_state_differs", &refund_no, "repaired")]);
    assert_eq!(stage.ann.order_status(&order_no).await, 7);
    assert!(told(&stage.compare(day).await)[0].2 == "repaired");
    stage.wind_up();
}

#[tokio::test]
async fn r67_a_damaged_bill_changes_nothing_and_a_missing_one_is_asked_for_again() {
    let stage = Stage::open().await;
    let order_no = stage.charge().await;
    let day = stage.today().previous();
    let events = stage.events().await;
    let none = stage.compare(day).await;
    assert_eq!((&none["run"]["state"], &none["total"]), (&json!("waiting"), &json!(0)));
    stage.peer.bill(day, Bill::Damaged(vec![line(&order_no)]));
    let damaged = stage.compare(day).await;
    assert_eq!((&damaged["run"]["state"], &damaged["total"]), (&json!("failed"), &json!(0)), "{damaged}");
    assert_eq!(stage.events().await, events);
    stage.peer.bill(day, Bill::Lines(vec![line(&order_no)]));
    stage.shop.travel(6 * 3_600_000 + 60_000); // tried again by itself
    stage.admin.post("/api/admin/reconciliation", &json!({ "date": "2026-01-01" })).await.accepted(); // rings
    let mut sound = stage.admin.compared("wechat", day).await;
    for _ in 0..200 {
        if sound["run"]["state"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        sound = stage.admin.compared("wechat", day).await;
    }
    assert_eq!((&sound["run"]["state"], told(&sound).len()), (&json!("done"), 1));
    stage.wind_up();
    stage.shop.at_rest().await; // its time to pay was over meanwhile: the unit is taken again
    assert_eq!(stage.ann.order_status(&order_no).await, PAID);
    stage.wind_up();
}

#[tokio::test]
async fn a_day_is_compared_by_itself_and_after_a_downtime_the_days_that_were_missed() {
    let mut stage = Stage::open().await;
    let order_no = stage.charge().await;
    let first = stage.today();
    stage.peer.bill(first, Bill::Lines(vec![line(&order_no)]));
    let days = [first, first.next(), first.next().next()];
    for day in &days[1..] {
        stage.peer.bill(day, Bill::Lines(vec![]));
    }
    // noon of the next day, when the bill is there
    let noon_ms = first.ends_ms() + 12 * 3_600_000;
    stage.shop.travel(noon_ms - stage.shop.clock.now_ms());
    assert_eq!(told(&stage.admin.compared("wechat", first).await).len(), 1);
    let asked_once = |day: &rushmall::domain::reconciliation::BillDay| {
        let day = day.to_string().replace('-', "");
        stage.peer.bills_asked().iter().filter(|asked| **asked == day).count() == 1
    };
    assert!(asked_once(&first));
    stage.shop.travel(2 * 24 * 3_600_000);
    stage.shop.restart().await;
    for day in &days[1..] {
        // heard of on the second day, from the first one's bill: missing on neither
        let found = told(&stage.admin.compared("wechat", *day).await);
        assert!(found.is_empty(), "{found:?}");
    }
    let runs = stage.admin.get("/api/admin/reconciliation").await.accepted();
    assert_eq!(runs["list"][0]["date"], json!(days[2].to_string()), "{runs}");
    let metrics = stage.admin.request(reqwest::Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("rushmall_reconciliation_open_differences"), "the gauge is there");
    assert!(metrics.contains("rushmall_reconciliation_last_run_seconds"), "so is the last run");
    stage.wind_up();
}

#[tokio::test]
async fn a_run_is_the_administrators_and_a_wrong_one_is_refused() {
    let stage = Stage::open().await;
    let day = stage.today().previous();
    let path = "/api/admin/reconciliation";
    let body = json!({ "date": day.to_string(), "channel": "wechat" });
    stage.ann.post(path, &body).await.with_status(403);
    stage.ann.get(path).await.with_status(403);
    stage.shop.visitor().get(&format!("{path}/wechat-{day}")).await.with_status(401);
    stage.admin.get(&format!("{path}/wechat-1999-01-01")).await.with_status(404);
    for bad in ["", "x", "2026-02-30", "20261120", &stage.today().to_string(), "2999-01-01"] {
        let answer = stage.admin.post(path, &json!({ "date": bad })).await;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
    }
    stage.admin.post(path, &json!({ "date": day.to_string(), "channel": "card" })).await.with_status(400);
    stage.admin.post(path, &json!({ "date": day.to_string(), "channel": "alipay" })).await.rejected(40_008);
    stage.admin.get(&format!("{path}/wechat-{day}?kind=nonsense")).await;
    let first = stage.admin.post_once(path, &body, "run-1").await.accepted();
    assert_eq!(stage.admin.post_once(path, &body, "run-1").await.accepted(), first);
    stage.admin.post_once(path, &json!({ "date": "2026-01-01" }), "run-1").await.with_status(422);
    stage.admin.compared("wechat", day).await;
}
