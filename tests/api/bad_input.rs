//! Requests that cannot be read: each is refused with its true status, says which field is wrong, and changes nothing:
//! t27.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Answer, Person, send};
use crate::support::shop::TestShop;
use crate::support::verbs::Product;

const QUANTITIES: [&str; 12] = [
    "0",
    "-1",
    "1.5",
    "\"x\"",
    "1000000000000",
    "1000",
    "1e2",
    "true",
    "[1]",
    "{\"$gt\":0}",
    "\"1 OR 1=1\"",
    "99999999999999999999999999",
];

/// A buyer with something in his cart, a product with a sale.
struct Stage {
    shop: TestShop,
    admin: Person,
    ann: Person,
    product: Product,
}

async fn stage() -> Stage {
    let shop = TestShop::open().await;
    let admin = shop.admin().await;
    let product = admin.make_product("plain", 9.9, 50).await;
    admin.plan_sale(&product, crate::support::verbs::SalePlan::open_now(20)).await;
    let ann = shop.register("ann").await;
    ann.add_to_cart(&product, 2).await.accepted();
    Stage { shop, admin, ann, product }
}

#[track_caller]
fn blames(answer: &Answer, code: i64, field: &str) {
    assert_eq!((answer.status, answer.code), (400, code), "{answer:?}");
    let errors = answer.data["errors"].as_array().unwrap_or_else(|| panic!("no errors in {answer:?}"));
    assert!(errors.iter().any(|error| error["field"] == field), "{field} is not blamed: {answer:?}");
    assert!(!answer.message.is_empty());
}

#[tokio::test]
async fn t27_a_quantity_that_is_none_is_refused_everywhere_and_nothing_happens() {
    let Stage { shop, ann, product, .. } = stage().await;
    let before = shop.books.footprint().await;
    let doors = [
        (Method::POST, "/api/seckill", 60_006),
        (Method::POST, "/api/order", 30_009),
        (Method::POST, "/api/cart", 50_008),
        (Method::PUT, "/api/cart", 50_008),
    ];
    for (method, path, code) in doors {
        for quantity in QUANTITIES {
            let body = format!(r#"{{"product_id":{},"quantity":{quantity}}}"#, product.id);
            let answer = ann.send_raw(method.clone(), path, "application/json", body).await;
            blames(&answer, code, "quantity");
        }
        // in the query string as well
        let in_query = format!("{path}?product_id={}&quantity=-3", product.id);
        blames(&ann.ask(method, &in_query, None, &[]).await, code, "quantity");
    }
    assert_eq!(shop.books.footprint().await, before);
}

#[tokio::test]
async fn a_product_that_is_none_is_refused_everywhere() {
    let Stage { shop, ann, .. } = stage().await;
    let before = shop.books.footprint().await;
    for (path, code) in [("/api/seckill", 60_006), ("/api/order", 30_009), ("/api/cart", 50_008)] {
        for id in ["0", "-1", "1.0", "\"abc\"", "null", "\"\"", "9223372036854775808", "[]"] {
            let body = format!(r#"{{"product_id":{id},"quantity":1}}"#);
            let answer = ann.send_raw(Method::POST, path, "application/json", body).await;
            blames(&answer, code, "product_id");
        }
        blames(&ann.post(path, &json!({})).await, code, "product_id");
    }
    let unknown = Product { id: 424_242 };
    ann.buy(&unknown).await.with_status(404).rejected(20_001);
    ann.place_order(&unknown, 1).await.with_status(404).rejected(20_001);
    ann.add_to_cart(&unknown, 1).await.with_status(404).rejected(50_010);
    for path in ["/api/product/424242", "/api/product/abc", "/api/product/-1", "/api/product/1%20OR%201=1"] {
        ann.get(path).await.with_status(404).rejected(20_001);
    }
    shop.at_rest().await;
    assert_eq!(shop.books.footprint().await, before);
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_400() {
    let Stage { shop, ann, .. } = stage().await;
    let before = shop.books.footprint().await;
    let deep = format!("{{\"product_id\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_object = format!("{}1{}", "{\"product_id\":".repeat(5_000), "}".repeat(5_000));
    for body in [
        "{",
        "}",
        "[]",
        "null",
        "1",
        "\"product_id\"",
        "{\"product_id\":1,}",
        "{'product_id':1}",
        "product_id=1&quantity=1",
        "{\"product_id\":1}{\"product_id\":2}",
        "\u{0}\u{1}\u{2}",
        deep.as_str(),
        deep_object.as_str(),
    ] {
        for (path, code) in [("/api/order", 30_009), ("/api/seckill", 60_006), ("/api/user/login", 10_009)] {
            let answer = ann.send_raw(Method::POST, path, "application/json", body).await;
            assert_eq!((answer.status, answer.code), (400, code), "{path} {:.40}: {answer:?}", body);
        }
    }
    let invalid_utf8 = vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'];
    ann.send_raw(Method::POST, "/api/order", "application/json", invalid_utf8).await.with_status(400);
    assert_eq!(shop.books.footprint().await, before);
}

#[tokio::test]
async fn a_content_type_that_cannot_be_read_is_415() {
    let Stage { shop, ann, product, .. } = stage().await;
    let before = shop.books.footprint().await;
    let body = json!({ "product_id": product.id, "quantity": 1 }).to_string();
    for content_type in ["text/plain", "application/xml", "application/octet-stream", "multipart/form-data", "json", ""]
    {
        let answer = ann.send_raw(Method::POST, "/api/order", content_type, body.clone()).await;
        assert_eq!((answer.status, answer.code), (415, 415), "{content_type:?}: {answer:?}");
    }
    let zipped = ann.request(Method::POST, "/api/order").header("content-type", "application/json");
    let zipped = zipped.header("content-encoding", "gzip").body("not gzip");
    send(zipped, "a zipped order".to_owned()).await.with_status(415).rejected(415);
    assert_eq!(shop.books.footprint().await, before);
    // both that are allowed
    let form = format!("product_id={}&quantity=1", product.id);
    ann.send_raw(Method::POST, "/api/order", "application/x-www-form-urlencoded", form).await.accepted();
    ann.send_raw(Method::POST, "/api/order", "application/json; charset=utf-8", body).await.accepted();
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn twenty_megabytes_are_413_and_the_shop_goes_on() {
    let Stage { shop, ann, product, .. } = stage().await;
    let before = (shop.books.footprint().await, resident_kib());
    let large = format!(r#"{{"product_id":{},"remark":"{}"}}"#, product.id, "x".repeat(20 * 1024 * 1024));
    for path in ["/api/order", "/api/seckill", "/api/user/register", "/api/cart"] {
        let answer = ann.elsewhere().send_raw(Method::POST, path, "application/json", large.clone()).await;
        assert_eq!((answer.status, answer.code), (413, 413), "{path}: {answer:?}");
    }
    // without a length that says so beforehand
    for _ in 0..3 {
        let (status, text) = send_in_chunks(&shop, &ann, 20).await;
        assert!(status == 413 || text.is_empty(), "{status} {text}");
    }
    assert_eq!(shop.books.footprint().await, before.0);
    let grown = resident_kib().saturating_sub(before.1);
    assert!(grown < 200 * 1024, "grew by {grown} KiB"); // the test's own copies among them
    ann.place_order(&product, 1).await.accepted();
    shop.assert_stock_conserved(product.id).await;
}

/// A chunked body of so many megabytes over a bare socket; what is answered before the shop hangs up.
async fn send_in_chunks(shop: &TestShop, who: &Person, megabytes: usize) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = shop.address.base().trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&host).await.expect("the shop listens");
    let head = format!(
        "POST /api/order HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        who.token
    );
    stream.write_all(head.as_bytes()).await.expect("the head is sent");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..megabytes * 16 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break; // it has heard enough
        }
    }
    let mut answer = vec![0_u8; 4_096];
    let read = tokio::time::timeout(std::time::Duration::from_secs(5), stream.read(&mut answer)).await;
    let length = read.expect("it answers or hangs up").unwrap_or(0);
    let text = String::from_utf8_lossy(&answer[..length]).into_owned();
    (text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), text)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_refused_where_it_could_be_a_mistake() {
    let Stage { shop, admin, ann, product, .. } = stage().await;
    let before = shop.books.footprint().await;
    let sale = json!({
        "product_id": product.id, "price": 1, "stock": 1, "start_at": "2031-01-01 00:00:00",
        "end_at": "2031-01-02 00:00:00", "per_user_limits": 5
    });
    blames(&admin.post("/api/seckill/sale", &sale).await, 60_006, "per_user_limits");
    let role = json!({ "username": "mallory", "password": "mallory-2026", "role": 2 });
    blames(&shop.visitor().post("/api/user/register", &role).await, 10_009, "role");
    blames(&ann.post("/api/order", &json!({ "product_id": product.id, "coupon_id": 7 })).await, 30_009, "coupon_id");
    assert_eq!(shop.books.footprint().await, before);
}

/// A command, what was meant and misspelled, and the code that refuses it.
type Misspelled = (&'static str, &'static str, Value, i64);

/// Each without the field does more than with it: refunds all, drains all nodes, ends every sign-in.
fn misspelled_commands() -> [Misspelled; 17] {
    [
        ("POST", "/api/admin/orders/{order_no}/refund", json!({ "refund_fe": 100 }), 30_009),
        ("POST", "/api/admin/orders/{order_no}/clear-review", json!({ "reason": "seen", "reasn": "x" }), 30_009),
        ("POST", "/api/admin/actors/order_saga/{order_no}/refund", json!({ "refundfee": 100 }), 400),
        ("POST", "/api/admin/actors/*/*/drain", json!({ "nod": "node-1" }), 400),
        ("POST", "/api/admin/actors/*/*/stop", json!({ "stat": "paused" }), 400),
        ("POST", "/api/admin/actors/*/*/replay", json!({ "letter": 1 }), 400),
        ("POST", "/api/admin/actors/inventory/{product}/restock", json!({ "units": 5, "sale": 1 }), 400),
        ("POST", "/api/admin/actors/inventory/{product}/close-sale", json!({ "sale": 77 }), 400),
        ("POST", "/api/admin/actors/session/{user}/revoke", json!({ "sd": "01ARZ3NDEKTSV4RRFFQ69G5FAV" }), 400),
        ("POST", "/api/admin/settings/reload", json!({ "nod": "node-1" }), 400),
        ("POST", "/api/admin/reconciliation", json!({ "date": "2026-01-01", "chanel": "wechat" }), 40_009),
        ("PUT", "/api/admin/sales/1/waiting-room", json!({ "admissions_per_secnd": 5 }), 60_006),
        ("POST", "/api/pay/wechat/refund", json!({ "order_no": "{order_no}", "refund_fe": 100 }), 40_009),
        ("POST", "/api/product", json!({ "name": "hidden", "price": 1, "statsu": 0 }), 20_006),
        ("PUT", "/api/product/{product}", json!({ "prize": 1 }), 20_006),
        ("POST", "/api/category", json!({ "name": "below", "parent": 1 }), 20_006),
        ("POST", "/api/seckill/init", json!({ "product_id": 1, "stock": 1, "per_user_limit": 1 }), 60_006),
    ]
}

#[tokio::test]
async fn a_misspelled_field_of_a_command_is_refused_and_not_taken_for_an_absent_one() {
    let Stage { shop, admin, ann, product, .. } = stage().await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    ann.pay(&order_no).await.accepted();
    shop.at_rest().await;
    let before = shop.books.footprint().await;
    let named = |text: &str| {
        let text = text.replace("{order_no}", &order_no).replace("{product}", &product.id.to_string());
        text.replace("{user}", &ann.user_id.to_string())
    };
    for (method, path, body, code) in misspelled_commands() {
        let (verb, path) = (method.parse::<Method>().expect("a method"), named(path));
        let body: Value = serde_json::from_str(&named(&body.to_string())).expect("JSON");
        let known = ["reason", "units", "date", "order_no", "name", "price", "product_id", "stock"];
        let mut fields: Vec<(String, Value)> = body.as_object().expect("an object").clone().into_iter().collect();
        fields.retain(|(name, _)| !known.contains(&name.as_str()));
        let [(wrong, value)] = &fields[..] else { panic!("one field of {body} is wrong") };
        let who = if path.starts_with("/api/pay/") { &ann } else { &admin };
        blames(&who.ask(verb.clone(), &path, Some(&body), &[]).await, code, wrong);
        // and in the query, where a node or a state may stand as well
        let mut rest = body.clone();
        rest.as_object_mut().expect("an object").remove(wrong);
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let in_query = format!("{path}?{wrong}={value}");
        blames(&who.ask(verb, &in_query, Some(&rest), &[]).await, code, wrong);
    }
    assert_eq!(shop.books.footprint().await, before);
    assert_eq!(ann.order_status(&order_no).await, 2, "paid, signed in, and nothing of it given back");
    let listed = admin.get("/api/admin/actors?page_size=100").await.accepted();
    for actor in listed["list"].as_array().expect("a list") {
        assert!(["running", "starting"].contains(&actor["state"].as_str().expect("a state")), "{actor}");
    }
    // spelled well they are read from the query, as nodes are named there
    admin.post("/api/admin/actors/inventory/*/pause?node=nowhere", &json!({})).await.with_status(404).rejected(404);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn prices_names_windows_and_limits_out_of_bounds_are_refused() {
    let Stage { shop, admin, product, .. } = stage().await;
    let before = shop.books.footprint().await;
    for price in ["0", "-1", "19.999", "0.001", "\"x\"", "1e400", "NaN", "[1]"] {
        let body = format!(r#"{{"name":"p","price":{price},"stock":1}}"#);
        let made = admin.send_raw(Method::POST, "/api/product", "application/json", body).await;
        assert_eq!((made.status, made.code), (400, 20_006), "{price}: {made:?}");
        let path = format!("/api/product/{}", product.id);
        let body = format!(r#"{{"price":{price}}}"#);
        let changed = admin.send_raw(Method::PUT, &path, "application/json", body).await;
        assert_eq!((changed.status, changed.code), (400, 20_006), "{price}: {changed:?}");
    }
    blames(&admin.post("/api/product", &json!({ "price": 1, "stock": 1 })).await, 20_006, "name");
    let long = json!({ "name": "n".repeat(201), "price": 1 });
    blames(&admin.post("/api/product", &long).await, 20_006, "name");
    for stock in [json!(-1), json!(1.5), json!("many"), json!(10_i64.pow(12))] {
        blames(&admin.post("/api/product", &json!({ "name": "p", "price": 1, "stock": stock })).await, 20_006, "stock");
        let set = json!({ "stock": stock });
        blames(&admin.put(&format!("/api/product/{}", product.id), &set).await, 20_006, "stock");
    }
    let base = json!({
        "product_id": product.id, "price": 1, "stock": 1, "start_at": "2031-01-01 00:00:00",
        "end_at": "2031-01-02 00:00:00"
    });
    for (field, value) in [
        ("start_at", json!("yesterday")),
        ("start_at", json!("2031-13-01 00:00:00")),
        ("end_at", json!("2030-12-31 00:00:00")),
        ("end_at", json!("2031-01-01 00:00:00")),
        ("end_at", json!("2039-01-01 00:00:00")),
        ("stock", json!(0)),
        ("price", json!(-1)),
        ("per_user_limit", json!(0)),
        ("per_user_limit", json!(1_000)),
    ] {
        let mut sale = base.clone();
        sale[field] = value;
        blames(&admin.post("/api/seckill/sale", &sale).await, 60_006, field);
    }
    assert_eq!(shop.books.footprint().await, before);
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_told_in_the_envelope() {
    let Stage { shop, ann, product, .. } = stage().await;
    ann.get("/api/nothing").await.with_status(404).rejected(404);
    ann.get("/api/product/1/2/3").await.with_status(404).rejected(404);
    let wrong = ann.ask(Method::PATCH, "/api/order", None, &[]).await.with_status(405);
    let allowed = wrong.headers.get("allow").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    wrong.rejected(405);
    for order_no in ["1", "x", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "'; DROP TABLE orders; --", "%00", "..%2f..%2fetc"] {
        let path = format!("/api/order/{}", order_no.replace(' ', "%20").replace(';', "%3B").replace('\'', "%27"));
        ann.get(&path).await.with_status(404).rejected(30_001);
        for command in ["pay", "cancel", "confirm"] {
            let answer = ann.post(&format!("{path}/{command}"), &json!({ "pay_type": 9 })).await;
            assert_eq!((answer.status, answer.code), (404, 30_001), "{answer:?}");
        }
    }
    ann.place_order(&product, 1).await.accepted();
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn pay_methods_that_are_none_are_refused() {
    let Stage { shop, ann, product, .. } = stage().await;
    let order_no = ann.place_order(&product, 1).await.order_no();
    let path = format!("/api/order/{order_no}/pay");
    for pay_type in [json!(0), json!(4), json!(10), json!(-1), json!("cash"), json!(1.5), Value::Null] {
        let answer = ann.post(&path, &json!({ "pay_type": pay_type })).await;
        assert_eq!((answer.status, answer.code), (400, 30_010), "{pay_type}: {answer:?}");
    }
    assert_eq!(ann.order_status(&order_no).await, 1);
    shop.assert_stock_conserved(product.id).await;
}

#[tokio::test]
async fn pages_out_of_bounds_are_refused_and_empty_parameters_are_not() {
    let Stage { shop: _open, ann, .. } = stage().await;
    for query in ["page=0", "page=-1", "page=x", "page_size=0", "page_size=101", "page_size=1.5", "status=77"] {
        let answer = ann.get(&format!("/api/order?{query}")).await;
        assert_eq!((answer.status, answer.code), (400, 30_009), "{query}: {answer:?}");
    }
    for query in ["min_price=-1", "max_price=1.999", "sort=cheapest", "status=5"] {
        let answer = ann.get(&format!("/api/product?{query}")).await;
        assert_eq!((answer.status, answer.code), (400, 20_006), "{query}: {answer:?}");
    }
    let empty = "page=&page_size=&category=&keyword=&min_price=&max_price=&sort=&status=";
    ann.get(&format!("/api/product?{empty}")).await.accepted();
    ann.get("/api/order?page=&page_size=&status=").await.accepted();
    ann.get("/api/seckill?page=&page_size=&product_id=").await.accepted();
    ann.get("/api/seckill?product_id=seven").await.with_status(400);
}
