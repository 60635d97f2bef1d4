//! What administrators look up: orders, payments, refunds, users, products, stock and sales, filtered by the server.

use std::time::Duration;

use reqwest::Method;
use rushmall::domain::reconciliation::{BillDay, TimeOfDay};
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::verbs::{Product, SalePlan, wire_time};

/// One field of every entry of the list at `path`.
async fn listed(admin: &Person, path: &str, field: &str) -> Vec<Value> {
    let page = admin.get(path).await.accepted();
    let list = page["list"].as_array().unwrap_or_else(|| panic!("{path}: no list in {page}"));
    assert!(page["total"].as_u64() >= Some(list.len() as u64), "{page}");
    list.iter().map(|entry| entry[field].clone()).collect()
}

fn values(numbers: &[&String]) -> Vec<Value> {
    numbers.iter().map(|number| json!(number)).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

#[tokio::test]
async fn orders_are_found_by_number_buyer_product_sale_state_and_time() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("found", 5).await;
    let other = admin.make_product("other", 10.0, 5).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let first = ann.buy(&product).await.order_no();
    shop.at_rest().await;
    let between = wire_time(admin.server_time_ms().await + 1_000);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let second = bob.place_order(&other, 1).await.order_no();
    bob.pay(&second).await.accepted();
    shop.at_rest().await;
    let (small, before_all) = (first.to_lowercase(), "2001-01-01%2000:00:00");
    let time = between.replace('+', "%2B");
    for (query, found) in [
        (String::new(), vec![&second, &first]),
        ("sort=oldest".to_owned(), vec![&first, &second]),
        (format!("order_no={first}"), vec![&first]),
        (format!("order_no={small}"), vec![&first]),
        (format!("order_no={}", &first[..3]), vec![&second, &first]),
        (format!("order_no={}", "0".repeat(26)), vec![]),
        (format!("user_id={}", bob.user_id), vec![&second]),
        ("username=ann".to_owned(), vec![&first]),
        (format!("username=ann&user_id={}", bob.user_id), vec![]),
        ("username=nobody".to_owned(), vec![]),
        (format!("product_id={}", other.id), vec![&second]),
        (format!("sale_id={}", sale.id), vec![&first]),
        ("status=2".to_owned(), vec![&second]),
        ("needs_review=true".to_owned(), vec![]),
        (format!("from={time}"), vec![&second]),
        (format!("to={time}"), vec![&first]),
        (format!("to={before_all}"), vec![]),
        (format!("from={before_all}&page=2&page_size=1"), vec![&first]),
    ] {
        let path = format!("/api/admin/orders?{query}");
        assert_eq!(listed(&admin, &path, "order_no").await, values(&found), "{query}");
    }
    assert_eq!(listed(&admin, "/api/admin/orders", "username").await, ["bob", "ann"]);
    for bad in ["order_no=%25", "order_no=0I", "sort=best", "from=soon", "status=10", "page_size=101", "sale_id=x"] {
        let answer = admin.get(&format!("/api/admin/orders?{bad}")).await;
        assert_eq!((answer.status, answer.code), (400, 30_009), "{bad}: {answer:?}");
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn each_day_is_told_with_what_happened_on_it_and_none_is_left_out() {
    let shop = TestShop::open().await;
    let now_ms = shop.clock.now_ms();
    let today = BillDay::of(now_ms).next().next();
    shop.travel(TimeOfDay::new(12, 0).on(today) - now_ms); // no midnight comes in between
    let admin = shop.admin().await;
    let (product, _) = admin.make_sale("daily", 5).await;
    let tea = admin.make_product("tea", 10.0, 5).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let (first, second) = (ann.buy(&product).await.order_no(), bob.place_order(&tea, 2).await.order_no());
    bob.place_order(&tea, 1).await.accepted(); // not paid
    shop.at_rest().await;
    ann.pay(&first).await.accepted();
    bob.pay(&second).await.accepted();
    admin.refund(&first).await.accepted();
    shop.at_rest().await;
    let day = |day: BillDay, (orders, paid, users): (u64, u64, u64), (revenue, refunded): (f64, f64)| {
        json!({"date": day.to_string(), "orders": orders, "paid": paid, "revenue": revenue, "refunded": refunded,
            "new_users": users})
    };
    let path = "/api/admin/statistics/daily";
    let told = admin.get(&format!("{path}?days=2")).await.accepted();
    let busy = day(today, (3, 2, 2), (29.9, 9.9));
    assert_eq!(told["days"], json!([day(today.previous(), (0, 0, 0), (0.0, 0.0)), busy]));
    let sold = |product: &Product, name: &str, units: u64, revenue: f64| json!({"product_id": product.id, "name": name, "units": units, "revenue": revenue});
    let top = json!([sold(&tea, "tea", 2, 20.0), sold(&product, "daily", 1, 9.9)]);
    assert_eq!(told["top_products"], top);
    let answer = admin.request(Method::GET, &format!("{path}?days=1")).send().await.expect("an answer");
    assert!(answer.text().await.expect("a text").contains("\"revenue\":29.90,"), "yuan with two decimals");

    shop.travel(24 * 3_600_000);
    let admin = shop.admin().await;
    shop.register("cyd").await;
    let told = admin.get(&format!("{path}?days=2")).await.accepted();
    assert_eq!(
        told["days"],
        json!([busy, day(today.next(), (0, 0, 1), (0.0, 0.0))]),
        "a day that is over stays as it was"
    );
    let alone = admin.get(&format!("{path}?days=1")).await.accepted();
    assert_eq!((alone["days"].as_array().map(Vec::len), &alone["top_products"]), (Some(1), &json!([])));
    for (query, days) in [("", 30), ("?days=90", 90), ("?days=", 30)] {
        let told = admin.get(&format!("{path}{query}")).await.accepted();
        let dates: Vec<&str> = told["days"].as_array().expect("days").iter().map(|day| text(&day["date"])).collect();
        assert_eq!((dates.len(), dates[days - 1]), (days, today.next().to_string().as_str()), "{query}");
        assert!(dates.is_sorted() && told["top_products"] == top, "{told}");
    }
    for bad in ["0", "91", "-1", "1.5", "x"] {
        let answer = admin.get(&format!("{path}?days={bad}")).await.with_status(400);
        assert_eq!(answer.data["errors"][0]["field"], "days", "{bad}: {answer:?}");
    }
    assert_eq!(shop.visitor().log_in("ann", "ann-2026").await.get(path).await.with_status(403).code, 10_010);
    shop.visitor().get(path).await.with_status(401);
}

#[tokio::test]
async fn an_order_is_shown_with_its_books_and_a_changed_journal_is_told_not_hidden() {
    let mut shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (product, sale) = admin.make_sale("judged", 5).await;
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    shop.at_rest().await;
    ann.pay(&order_no).await.accepted();
    admin.refund(&order_no).await.accepted();
    shop.at_rest().await;
    let path = format!("/api/admin/orders/{order_no}");
    let shown = admin.get(&path).await.accepted();
    assert_eq!((&shown["username"], &shown["sale_id"]), (&json!("ann"), &json!(sale.id)));
    assert_eq!(
        (&shown["status"], &shown["true_status"], &shown["review_reason"]),
        (&json!(7), &json!(7), &Value::Null)
    );
    let (paid, back) = (&shown["payments"][0], &shown["refunds"][0]);
    assert_eq!((&paid["state"], &paid["channel"]), (&json!("captured"), &json!("simulated")));
    assert_eq!((&paid["refunded"], &back["amount"]), (&paid["amount"], &paid["amount"]));
    assert_eq!((&back["state"], &back["payment_no"]), (&json!("succeeded"), &paid["payment_no"]));
    let journal = &shown["journal"];
    let entries = journal["entries"].as_array().expect("entries");
    assert_eq!((&journal["intact"], &journal["broken_at"]), (&json!(true), &Value::Null));
    assert_eq!((&entries[0]["event"], &entries[0]["seq"]), (&json!("order_placed"), &json!(1)));
    assert!(entries.iter().all(|entry| entry["fits"] == true), "{journal}");
    assert_eq!(shown["owed"], json!([]));
    // looking is no command
    let acts = admin.get("/api/admin/audit-log?action=order.*").await.accepted();
    assert_eq!(acts["total"], 1, "the refund alone: {acts}");

    shop.leaves.anything = true; // the books are spoiled from here on
    let spoil = format!("UPDATE order_events SET payload = 'nonsense' WHERE order_no = '{order_no}' AND seq = 2");
    spoilt(&shop, &spoil).await;
    let journal = admin.get(&path).await.accepted()["journal"].clone();
    assert_eq!((&journal["intact"], &journal["broken_at"]), (&json!(false), &json!(2)));
    assert_eq!((&journal["entries"][1]["fits"], &journal["entries"][1]["detail"]), (&json!(false), &json!("nonsense")));
    admin.get(&format!("/api/admin/orders/{}", "0".repeat(26))).await.with_status(404).rejected(30_001);
}

/// Changes the books behind the shop's back.
async fn spoilt(shop: &TestShop, sql: &str) {
    use sea_orm::ConnectionTrait as _;
    let change = async |tx: &sea_orm::DatabaseTransaction| {
        tx.execute_unprepared(sql)
            .await
            .map_err(|error| rushmall::persistence::StoreError::Corrupt { what: error.to_string() })
    };
    shop.books.db().write("spoiling the books", change).await.expect("the books are spoilt");
}

#[tokio::test]
async fn payments_and_refunds_are_found_by_channel_state_order_and_time() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("paid", 19.9, 5).await;
    let ann = shop.register("ann").await;
    let kept = ann.place_order(&product, 1).await.order_no();
    let returned = ann.place_order(&product, 2).await.order_no();
    for order_no in [&kept, &returned] {
        ann.pay(order_no).await.accepted();
    }
    admin.refund(&returned).await.accepted();
    shop.at_rest().await;
    let page = admin.get("/api/admin/payments").await.accepted();
    assert_eq!((&page["total"], page["list"][0]["user_id"].as_i64()), (&json!(2), Some(ann.user_id)));
    let transaction = text(&page["list"][1]["transaction_id"]);
    for (query, found) in [
        ("", vec![&returned, &kept]),
        ("sort=oldest", vec![&kept, &returned]),
        ("channel=simulated&state=captured", vec![&returned, &kept]),
        ("channel=wechat", vec![]),
        ("state=open", vec![]),
        (&format!("order_no={kept}"), vec![&kept]),
        (&format!("transaction_id={transaction}"), vec![&kept]),
        ("transaction_id=none", vec![]),
        ("to=2001-01-01%2000:00:00", vec![]),
        ("from=2001-01-01%2000:00:00&page=2&page_size=1", vec![&kept]),
    ] {
        assert_eq!(
            listed(&admin, &format!("/api/admin/payments?{query}"), "order_no").await,
            values(&found),
            "{query}"
        );
    }
    for (query, found) in [
        ("", vec![&returned]),
        ("channel=simulated&state=succeeded&purpose=order", vec![&returned]),
        ("channel=alipay", vec![]),
        ("purpose=surplus", vec![]),
        ("state=processing", vec![]),
        (&format!("order_no={kept}"), vec![]),
        ("from=2101-01-01%2000:00:00", vec![]),
    ] {
        assert_eq!(listed(&admin, &format!("/api/admin/refunds?{query}"), "order_no").await, values(&found), "{query}");
    }
    assert_eq!(listed(&admin, "/api/admin/refunds", "channel").await, ["simulated"]);
    for bad in ["channel=cash", "state=lost", "order_no=!", "from=x", "page=0", "sort=amount"] {
        for list in ["payments", "refunds"] {
            let answer = admin.get(&format!("/api/admin/{list}?{bad}")).await;
            assert_eq!((answer.status, answer.code), (400, 40_009), "{bad}: {answer:?}");
        }
    }
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn users_are_found_by_name_role_and_state_and_shown_with_what_they_spent() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("spent", 12.5, 9).await;
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let order_no = ann.place_order(&product, 2).await.order_no();
    ann.pay(&order_no).await.accepted();
    ann.place_order(&product, 1).await.accepted();
    admin.put(&format!("/api/admin/users/{}", bob.user_id), &json!({ "status": 0 })).await.accepted();
    shop.at_rest().await;
    for (query, found) in [
        ("role=1", vec!["bob", "ann"]),
        ("keyword=AN", vec!["ann"]),
        ("status=0", vec!["bob"]),
        ("status=1&role=1", vec!["ann"]),
        ("role=2&keyword=ann", vec![]),
        ("role=1&page=2&page_size=1", vec!["ann"]),
    ] {
        assert_eq!(listed(&admin, &format!("/api/admin/users?{query}"), "username").await, found, "{query}");
    }
    admin.get("/api/admin/users?role=3").await.with_status(400).rejected(10_009);
    let shown = admin.get(&format!("/api/admin/users/{}", ann.user_id)).await.accepted();
    assert_eq!((&shown["username"], &shown["orders"], &shown["orders_paid"]), (&json!("ann"), &json!(2), &json!(1)));
    assert_eq!(shown["spent"], 25.0);
    assert!(shown["last_sign_in_at"].is_string() && shown.get("password_hash").is_none(), "{shown}");
    let devices = admin.get(&format!("/api/admin/users/{}/sessions", ann.user_id)).await.accepted();
    assert_eq!(devices.as_array().map(Vec::len), Some(1));
    let ended = admin.get(&format!("/api/admin/users/{}/sessions", bob.user_id)).await.accepted();
    assert_eq!(ended, json!([]));
    admin.get("/api/admin/users/999999").await.with_status(404).rejected(10_001);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn products_are_found_on_and_off_the_shelf_and_sorted_by_what_is_left() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let few = admin.make_product("few", 30.0, 2).await;
    let many = admin.make_product("many", 10.0, 50).await;
    admin.plan_sale(&many, SalePlan::open_now(20)).await;
    let hidden = admin.make_product("hidden", 20.0, 7).await;
    admin.put(&format!("/api/product/{}", hidden.id), &json!({ "status": 0 })).await.accepted();
    let ids = |products: &[Product]| products.iter().map(|product| json!(product.id)).collect::<Vec<_>>();
    for (query, found) in [
        ("", vec![hidden, many, few]),
        ("status=1", vec![many, few]),
        ("status=0", vec![hidden]),
        ("sort=stock_asc", vec![few, hidden, many]),
        ("sort=stock_desc", vec![many, hidden, few]),
        ("sort=name", vec![few, hidden, many]),
        ("sort=price_asc", vec![many, hidden, few]),
        ("stock_max=7", vec![hidden, few]),
        (&format!("keyword={}", few.id), vec![few]),
        ("keyword=HID", vec![hidden]),
        ("sort=name&page=2&page_size=2", vec![many]),
    ] {
        assert_eq!(listed(&admin, &format!("/api/admin/products?{query}"), "id").await, ids(&found), "{query}");
    }
    let shown = admin.get("/api/admin/products?keyword=many").await.accepted()["list"][0].clone();
    assert_eq!((&shown["stock"], &shown["in_sales"], &shown["held"]), (&json!(30), &json!(20), &json!(0)));
    let phones = admin.post("/api/category", &json!({ "name": "手机" })).await.accepted()["id"].clone();
    admin.put(&format!("/api/product/{}", few.id), &json!({ "category_id": phones })).await.accepted();
    let rows = admin.get("/api/admin/categories").await.accepted();
    assert_eq!((&rows[0]["name"], &rows[0]["products"]), (&json!("手机"), &json!(1)));
    admin.get("/api/admin/products?sort=best").await.with_status(400).rejected(20_006);
}

#[tokio::test]
async fn each_move_of_units_is_in_the_history_of_the_stock_with_who_and_why() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("moved", 10.0, 10).await;
    let sale = admin.plan_sale(&product, SalePlan::open_now(4)).await;
    let restock = format!("/api/admin/actors/inventory/{}/restock", product.id);
    admin.post(&restock, &json!({ "units": 3, "reason": "a crate was found" })).await.accepted();
    admin.post(&restock, &json!({ "units": -1 })).await.accepted();
    admin.post(&restock, &json!({ "units": 2, "sale_id": sale.id })).await.accepted();
    admin.change_sale(&sale, &json!({ "stock": 5 })).await.accepted();
    admin.set_stock(&product, 20).await.accepted();
    let ann = shop.register("ann").await;
    let order_no = ann.buy(&product).await.order_no();
    shop.at_rest().await;
    let path = format!("/api/admin/products/{}/stock", product.id);
    let open = admin.get(&path).await.accepted();
    assert_eq!(
        (&open["free"], &open["in_sales"], &open["held"], &open["sold"]),
        (&json!(20), &json!(4), &json!(1), &json!(0))
    );
    let pool = &open["pools"][1];
    assert_eq!((&pool["sale_id"], &pool["free"], &pool["gate_free"]), (&json!(sale.id), &json!(4), &json!(4)));
    ann.pay(&order_no).await.accepted();
    admin.close_sale(&sale).await.accepted();
    shop.at_rest().await;
    let shown = admin.get(&format!("{path}?page_size=100")).await.accepted();
    assert_eq!((&shown["put_in"], &shown["free"], &shown["sold"]), (&json!(25), &json!(24), &json!(1)));
    let moves: Vec<(String, i64, i64)> = shown["movements"]["list"]
        .as_array()
        .expect("a list")
        .iter()
        .rev()
        .map(|m| {
            (text(&m["kind"]).to_owned(), m["units"].as_i64().expect("units"), m["free_after"].as_i64().expect("units"))
        })
        .collect();
    let expected = [
        ("set_free", 10, 10),
        ("sale_plan", 4, 6),
        ("put_in", 3, 9),
        ("take_out", -1, 8),
        ("sale_restock", 2, 6),
        ("sale_set", -1, 7),
        ("set_free", 13, 20),
        ("sale_close", -4, 24),
    ];
    assert_eq!(moves, expected.map(|(kind, units, free)| (kind.to_owned(), units, free)));
    for entry in shown["movements"]["list"].as_array().expect("a list") {
        assert_eq!(
            (entry["actor_id"].as_i64(), text(&entry["actor_name"])),
            (Some(admin.user_id), admin.username.as_str())
        );
    }
    let found = admin.get(&format!("{path}?kind=put_in")).await.accepted()["movements"].clone();
    assert_eq!((&found["total"], &found["list"][0]["why"]), (&json!(1), &json!("a crate was found")));
    let of_sale = admin.get(&format!("{path}?sale_id={}&page_size=1", sale.id)).await.accepted()["movements"].clone();
    assert_eq!((&of_sale["total"], &of_sale["list"][0]["sale_left_after"]), (&json!(4), &json!(0)));
    admin.get("/api/admin/products/999999/stock").await.with_status(404).rejected(20_001);
    admin.get(&format!("{path}?kind=gift")).await.with_status(400).rejected(20_006);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn a_refused_move_leaves_no_movement_and_a_repeat_leaves_one() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("short", 10.0, 3).await;
    let restock = format!("/api/admin/actors/inventory/{}/restock", product.id);
    admin.post(&restock, &json!({ "units": -4 })).await.rejected(20_003);
    for _ in 0..2 {
        admin.post_once(&restock, &json!({ "units": 2 }), "once").await.accepted();
    }
    let shown = admin.get(&format!("/api/admin/products/{}/stock", product.id)).await.accepted();
    let kinds: Vec<&str> =
        shown["movements"]["list"].as_array().expect("a list").iter().map(|entry| text(&entry["kind"])).collect();
    assert_eq!((kinds, &shown["free"]), (vec!["put_in", "set_free"], &json!(5)));
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn sales_of_every_state_are_listed_with_what_is_planned_held_sold_and_left() {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let (open, to_come, closed) = (
        admin.make_product("open now", 10.0, 9).await,
        admin.make_product("to come", 10.0, 9).await,
        admin.make_product("closed", 10.0, 9).await,
    );
    let running = admin.plan_sale(&open, SalePlan::open_now(5)).await;
    let later = SalePlan { opens_in_s: 3_600, ..SalePlan::open_now(4) };
    let planned = admin.plan_sale(&to_come, later).await;
    let over = admin.plan_sale(&closed, SalePlan::open_now(3)).await;
    admin.close_sale(&over).await.accepted();
    let (ann, bob) = (shop.register("ann").await, shop.register("bob").await);
    let order_no = ann.buy(&open).await.order_no();
    bob.buy(&open).await.accepted();
    shop.at_rest().await;
    ann.pay(&order_no).await.accepted();
    shop.at_rest().await;
    for (query, found) in [
        ("state=open", vec![running.id]),
        ("state=upcoming", vec![planned.id]),
        ("state=closed", vec![over.id]),
        ("state=ended", vec![]),
        ("keyword=COME", vec![planned.id]),
        (&format!("product_id={}", open.id), vec![running.id]),
        ("page=1&page_size=1", vec![planned.id]),
    ] {
        let ids: Vec<Value> = found.into_iter().map(Value::from).collect();
        assert_eq!(listed(&admin, &format!("/api/admin/sales?{query}"), "id").await, ids, "{query}");
    }
    let shown = admin.get("/api/admin/sales?state=open").await.accepted()["list"][0].clone();
    let units = [&shown["total_stock"], &shown["stock"], &shown["held"], &shown["sold"], &shown["gate_left"]];
    assert_eq!(units, [&json!(5), &json!(3), &json!(1), &json!(1), &json!(3)]);
    assert_eq!((&shown["preloaded"], &shown["paused"]), (&json!(true), &json!(false)));
    admin.command_actor("inventory", &open.id.to_string(), "pause").await.accepted();
    let path = format!("/api/admin/sales/{}", running.id);
    let detail = admin.get(&path).await.accepted();
    assert_eq!((&detail["paused"], &detail["revenue"]), (&json!(true), &json!(9.9)));
    assert_eq!(detail["orders"].as_array().map(Vec::len), Some(2), "{detail}");
    admin.command_actor("inventory", &open.id.to_string(), "resume").await.accepted();
    admin.get("/api/admin/sales/999999").await.with_status(404).rejected(60_008);
    admin.get("/api/admin/sales?state=lost").await.with_status(400).rejected(60_006);
    shop.assert_stock_conserved(open.id).await;
}
