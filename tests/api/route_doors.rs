//! Every route of the server is tried by those who must not pass: a visitor, a buyer at an administrator's door, and a
//! buyer at what is another's. The routes are read from the server's own description, which a test of the library holds
//! equal to what is served: a route that nobody thought of here fails the test.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::{Answer, Person};
use crate::support::pictures::drawn;
use crate::support::shop::TestShop;
use crate::support::verbs::{Product, Sale};

/// Who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Door {
    /// Everybody.
    Open,
    /// Payment gateways, known by their signature.
    Gateway,
    /// Whoever signed in; what he sees is his own.
    SignedIn,
    /// Whose thing it is.
    Owner,
    /// Administrators.
    Admin,
}

fn door(method: &str, path: &str) -> Door {
    match (method, path) {
        (_, path) if path.starts_with("/api/admin/") => Door::Admin,
        ("GET", "/ws/admin") => Door::Admin,
        ("GET", "/ws/stock") => Door::Open,
        ("POST" | "PUT" | "DELETE", "/api/product" | "/api/product/{id}" | "/api/category" | "/api/category/{id}")
        | ("POST", "/api/order/{order_no}/ship" | "/api/seckill/init" | "/api/seckill/sale")
        | ("PUT" | "DELETE", "/api/seckill/sale/{id}") => Door::Admin,
        ("GET", "/health" | "/ready" | "/version" | "/metrics" | "/photos/{name}" | "/uploads/{name}")
        | ("POST", "/api/user/register" | "/api/user/login" | "/api/auth/refresh-token")
        | ("GET", "/api/product" | "/api/product/{id}" | "/api/category" | "/api/seckill")
        | ("GET", "/api/audit/head" | "/api/audit/consistency" | "/api/pay/channels")
        | (_, "/api/cart" | "/api/cart/clear") => Door::Open,
        ("POST", "/api/pay/wechat/notify" | "/api/pay/wechat/v3/notify" | "/api/pay/alipay/notify") => Door::Gateway,
        ("GET" | "PUT", "/api/user/profile")
        | ("GET" | "POST", "/api/user/address" | "/api/order")
        | ("POST", "/api/auth/change-password" | "/api/auth/logout" | "/api/order/checkout")
        | ("GET", "/api/auth/sessions" | "/ws")
        | ("GET", "/api/seckill/queue/{product_id}") // whose the ticket is: tests/admission
        | ("GET" | "POST", "/api/upload")
        | ("POST", "/api/seckill" | "/api/ws/ticket" | "/api/upload/multi") => Door::SignedIn,
        (_, "/api/user/address/{id}")
        | ("DELETE", "/api/auth/sessions/{sid}" | "/api/upload/{name}")
        | ("GET", "/api/order/{order_no}" | "/api/order/{order_no}/audit" | "/api/seckill/result/{order_no}")
        | ("POST", "/api/order/{order_no}/pay" | "/api/order/{order_no}/cancel" | "/api/order/{order_no}/confirm")
        | ("POST", "/api/pay/{channel}/unified-order" | "/api/pay/{channel}/close" | "/api/pay/{channel}/refund")
        | ("GET", "/api/pay/{channel}/query") => Door::Owner,
        _ => panic!("whose door is {method} {path}?"),
    }
}

/// Somebody's things, to be named in requests.
struct Things {
    product: Product,
    sale: Sale,
    order_no: String,
    address: String,
    sid: String,
    picture: String,
}

impl Things {
    async fn of(person: &Person, product: Product, sale: Sale) -> Self {
        let home = json!({ "receiver": "安", "phone": "13800000000", "region": "北京", "detail": "一号" });
        let address = person.post("/api/user/address", &home).await.accepted()["id"].to_string();
        let devices = person.get("/api/auth/sessions").await.accepted();
        let sid = devices[0]["sid"].as_str().expect("a session").to_owned();
        let order_no = person.buy(&product).await.order_no();
        let upload = person.upload(&[("file", drawn(8, 8, 0))]).await.accepted();
        let picture = upload["filename"].as_str().expect("a name").to_owned();
        Self { product, sale, order_no, address, sid, picture }
    }

    /// The path with these things in it.
    fn named(&self, path: &str) -> String {
        let id = match path {
            _ if path.starts_with("/api/product") => self.product.id.to_string(),
            _ if path.starts_with("/api/seckill/sale") || path.starts_with("/api/admin/sales") => {
                self.sale.id.to_string()
            }
            _ if path.starts_with("/api/user/address") => self.address.clone(),
            _ => "1".to_owned(),
        };
        let command = if path.contains("orders") { "clear-review" } else { "pause" };
        let named = [
            ("{id}", id.as_str()),
            ("{order_no}", &self.order_no),
            ("{sid}", &self.sid),
            ("{channel}", "wechat"),
            ("{target}", "warehouse"),
            ("{kind}", "inventory"),
            ("{key}", &self.product.id.to_string()),
            ("{command}", command),
            ("{name}", &self.picture),
            ("{product_id}", &self.product.id.to_string()),
        ];
        let path = named.iter().fold(path.to_owned(), |path, (placeholder, name)| path.replace(placeholder, name));
        assert!(!path.contains('{'), "nothing to put into {path}");
        match path.rsplit('/').next() {
            Some("query") => format!("{path}?order_no={}", self.order_no),
            Some("reconciliation") if path.contains("/rehearsal/") => format!("{path}?product_id={}", self.product.id),
            _ => path,
        }
    }

    /// A well-formed body, so that nothing but the missing right can be the reason.
    fn body(&self, path: &str) -> Value {
        let (product_id, order_no) = (self.product.id, &self.order_no);
        match path {
            "/api/seckill/sale/{id}" => json!({ "price": 1 }),
            "/api/seckill/sale" => json!({
                "product_id": product_id, "price": 1, "stock": 1, "start_at": "2031-01-01 00:00:00",
                "end_at": "2031-01-02 00:00:00"
            }),
            "/api/seckill/init" => json!({ "product_id": product_id, "stock": 1 }),
            "/api/admin/rehearsal/buyers" => json!({ "count": 1, "prefix": "abc" }),
            "/api/admin/reconciliation" => json!({ "date": "2026-01-01" }),
            "/api/admin/sales/{id}/waiting-room" => json!({ "admissions_per_second": 1 }),
            "/api/product" => json!({ "name": "x", "price": 1, "stock": 1 }),
            "/api/category" => json!({ "name": "x" }),
            "/api/user/address/{id}" => {
                json!({ "receiver": "x", "phone": "13800000001", "region": "x", "detail": "x" })
            }
            "/api/order/{order_no}/pay" => json!({ "pay_type": 9 }),
            "/api/order/{order_no}/ship" => json!({ "carrier": "x", "tracking_no": "y" }),
            _ if path.starts_with("/api/pay/") => json!({ "order_no": order_no, "refund_fee": 1 }),
            _ => json!({}),
        }
    }

    async fn tried_by(&self, person: &Person, method: &str, path: &str) -> Answer {
        let (verb, body) = (method.parse::<Method>().expect("a method"), self.body(path));
        let body = matches!(method, "POST" | "PUT").then_some(&body);
        person.ask(verb, &self.named(path), body, &[]).await
    }
}

/// Method and path of every route.
async fn routes(visitor: &Person) -> Vec<(String, String)> {
    let text = visitor.request(Method::GET, "/openapi.json").send().await.expect("an answer").text().await;
    let described: Value = serde_json::from_str(&text.expect("a body")).expect("JSON");
    let paths = described["paths"].as_object().expect("paths").iter();
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn t16_every_route_is_shut_for_whoever_has_no_right_to_it() {
    let shop = TestShop::with(|settings| settings.payment.sandbox = Some(true)).await;
    let (ann, eve, visitor) = (shop.register("ann").await, shop.register("eve").await, shop.visitor());
    let (product, sale) = shop.admin().await.make_sale("guarded", 5).await;
    let things = Things::of(&ann, product, sale).await;
    shop.at_rest().await;
    let before = shop.books.footprint().await;

    let mut tried = BTreeMap::<Door, u32>::new();
    for (method, path) in routes(&visitor).await {
        let door = door(&method, &path);
        *tried.entry(door).or_default() += 1;
        if matches!(door, Door::Open | Door::Gateway) {
            continue; // a gateway's signature: tests of money
        }
        let answer = things.tried_by(&visitor, &method, &path).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(path == "/ws" || answer.code == 10_008, "{answer:?}");
        match door {
            Door::Admin => {
                let answer = things.tried_by(&eve, &method, &path).await;
                assert_eq!((answer.status, answer.code), (403, 10_010), "{answer:?}");
            }
            Door::Owner => {
                let answer = things.tried_by(&eve, &method, &path).await;
                assert_eq!((answer.status, answer.is_accepted()), (404, false), "{answer:?}");
            }
            _ => {}
        }
    }
    for (path, hers) in [
        ("/api/order", things.order_no.as_str()),
        ("/api/user/address", "13800000000"),
        ("/api/auth/sessions", things.sid.as_str()),
        ("/api/upload", things.picture.as_str()),
        ("/api/user/profile", "ann"),
    ] {
        let answer = eve.get(path).await.accepted().to_string();
        assert!(
            !answer.contains(hers) && ann.get(path).await.accepted().to_string().contains(hers),
            "{path}: {answer}"
        );
    }
    assert_eq!(shop.books.footprint().await, before, "nobody changed anything");
    eprintln!("{} routes: {tried:?}", tried.values().sum::<u32>());
    shop.assert_stock_conserved(things.product.id).await;
}
