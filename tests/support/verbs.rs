//! What people do in a shop, in verbs.

use std::time::Instant;

use chrono::{DateTime, FixedOffset, SecondsFormat};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, PATIENCE, PAUSE, Person};

/// Simulated payment: captured at once.
pub const SIMULATED: i64 = 9;
const SALES: &str = "/api/seckill/sale";

/// A product that a test made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Product {
    pub id: i64,
}

/// A sale that a test planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sale {
    pub id: i64,
    pub product: Product,
}

/// Terms of a sale; times are relative to now.
#[derive(Clone, Copy, Debug)]
pub struct SalePlan {
    pub units: i64,
    pub price: f64,
    pub per_buyer: i64,
    pub opens_in_s: i64,
    pub closes_in_s: i64,
}

impl SalePlan {
    /// Open since a minute and for a day, 9.90 a unit, one for each buyer.
    pub fn open_now(units: i64) -> Self {
        Self { units, price: 9.90, per_buyer: 1, opens_in_s: -60, closes_in_s: 86_400 }
    }

    /// The same with another limit.
    pub fn per_buyer(self, per_buyer: i64) -> Self {
        Self { per_buyer, ..self }
    }

    fn body(&self, product: &Product, now_ms: i64) -> Value {
        json!({
            "product_id": product.id, "price": self.price, "stock": self.units, "per_user_limit": self.per_buyer,
            "start_at": wire_time(now_ms + self.opens_in_s * 1_000),
            "end_at": wire_time(now_ms + self.closes_in_s * 1_000),
        })
    }
}

impl Person {
    // ---- buyers

    /// One unit in the product's sale.
    pub async fn buy(&self, product: &Product) -> Answer {
        self.buy_units(product, 1).await
    }

    /// Units in the product's sale.
    pub async fn buy_units(&self, product: &Product, quantity: i64) -> Answer {
        self.post("/api/seckill", &json!({ "product_id": product.id, "quantity": quantity })).await
    }

    /// The same under an `Idempotency-Key`.
    pub async fn buy_once(&self, product: &Product, key: &str) -> Answer {
        self.post_once("/api/seckill", &json!({ "product_id": product.id, "quantity": 1 }), key).await
    }

    /// What became of a purchase.
    pub async fn buy_result(&self, order_no: &str) -> Answer {
        self.get(&format!("/api/seckill/result/{order_no}")).await
    }

    /// An ordinary order.
    pub async fn place_order(&self, product: &Product, quantity: i64) -> Answer {
        self.post("/api/order", &json!({ "product_id": product.id, "quantity": quantity })).await
    }

    /// The same under an `Idempotency-Key`.
    pub async fn place_order_once(&self, product: &Product, quantity: i64, key: &str) -> Answer {
        self.post_once("/api/order", &json!({ "product_id": product.id, "quantity": quantity }), key).await
    }

    /// Puts units into the cart.
    pub async fn add_to_cart(&self, product: &Product, quantity: i64) -> Answer {
        self.post("/api/cart", &json!({ "product_id": product.id, "quantity": quantity })).await
    }

    /// The cart.
    pub async fn cart(&self) -> Answer {
        self.get("/api/cart").await
    }

    /// Orders the cart, all or nothing.
    pub async fn checkout(&self) -> Answer {
        self.post("/api/order/checkout", &json!({})).await
    }

    /// The same under an `Idempotency-Key`.
    pub async fn checkout_once(&self, key: &str) -> Answer {
        self.post_once("/api/order/checkout", &json!({}), key).await
    }

    /// One order with its timeline.
    pub async fn order(&self, order_no: &str) -> Answer {
        self.get(&format!("/api/order/{order_no}")).await
    }

    /// `status` of one order.
    pub async fn order_status(&self, order_no: &str) -> i64 {
        let data = self.order(order_no).await.accepted();
        data["status"].as_i64().unwrap_or_else(|| panic!("no status in {data}"))
    }

    /// His latest hundred orders.
    pub async fn orders(&self) -> Vec<Value> {
        let data = self.get("/api/order?page_size=100").await.accepted();
        data["list"].as_array().cloned().unwrap_or_else(|| panic!("no list in {data}"))
    }

    /// Pays by simulation.
    pub async fn pay(&self, order_no: &str) -> Answer {
        self.post(&format!("/api/order/{order_no}/pay"), &json!({ "pay_type": SIMULATED })).await
    }

    /// The same under an `Idempotency-Key`.
    pub async fn pay_once(&self, order_no: &str, key: &str) -> Answer {
        self.post_once(&format!("/api/order/{order_no}/pay"), &json!({ "pay_type": SIMULATED }), key).await
    }

    /// Cancels.
    pub async fn cancel(&self, order_no: &str) -> Answer {
        self.post(&format!("/api/order/{order_no}/cancel"), &json!({})).await
    }

    /// Has received the goods.
    pub async fn confirm(&self, order_no: &str) -> Answer {
        self.post(&format!("/api/order/{order_no}/confirm"), &json!({})).await
    }

    // ---- administrators

    /// A product with ordinary stock.
    pub async fn make_product(&self, name: &str, price: f64, stock: i64) -> Product {
        let body = json!({ "name": name, "price": price, "stock": stock, "description": "made by a test" });
        Product { id: id_of(&self.post_patiently("/api/product", &body).await.accepted()) }
    }

    /// A product and its open sale of so many units.
    pub async fn make_sale(&self, name: &str, units: i64) -> (Product, Sale) {
        let product = self.make_product(name, 99.0, units).await;
        (product, self.plan_sale(&product, SalePlan::open_now(units)).await)
    }

    /// Sets units of a product aside for a sale.
    pub async fn plan_sale(&self, product: &Product, plan: SalePlan) -> Sale {
        let body = plan.body(product, self.server_time_ms().await);
        Sale { id: id_of(&self.post_patiently(SALES, &body).await.accepted()), product: *product }
    }

    /// The same; the answer may be a refusal.
    pub async fn try_plan_sale(&self, product: &Product, plan: SalePlan) -> Answer {
        self.post(SALES, &plan.body(product, self.server_time_ms().await)).await
    }

    /// The same by this machine's clock, so that nothing but the plan itself is asked of the shop.
    pub async fn plan_sale_by_clock(&self, product: &Product, plan: SalePlan) -> Answer {
        self.post(SALES, &plan.body(product, rushmall::clock::Clock::default().now_ms())).await
    }

    /// Changes fields of a sale, e.g. `{"stock": 12}`.
    pub async fn change_sale(&self, sale: &Sale, fields: &Value) -> Answer {
        self.put(&format!("/api/seckill/sale/{}", sale.id), fields).await
    }

    /// Ends a sale for good; what is left goes back to the product.
    pub async fn close_sale(&self, sale: &Sale) -> Answer {
        self.delete(&format!("/api/seckill/sale/{}", sale.id)).await
    }

    /// Lets the product have so many free units.
    pub async fn set_stock(&self, product: &Product, stock: i64) -> Answer {
        self.put(&format!("/api/product/{}", product.id), &json!({ "stock": stock })).await
    }

    /// Hands an order to the carrier.
    pub async fn ship(&self, order_no: &str) -> Answer {
        let body = json!({ "carrier": "SF", "tracking_no": format!("SF{order_no}") });
        self.post(&format!("/api/order/{order_no}/ship"), &body).await
    }

    /// Gives all money of an order back.
    pub async fn refund(&self, order_no: &str) -> Answer {
        self.post(&format!("/api/admin/orders/{order_no}/refund"), &json!({ "reason": "test" })).await
    }

    /// Buyers in bulk, signed in.
    pub async fn make_buyers(&self, count: usize, prefix: &str) -> Vec<Self> {
        let (until, mut tries, mut unused) = (Instant::now() + PATIENCE, 0, prefix.to_owned());
        let answer = loop {
            let body = json!({ "count": count, "prefix": unused });
            let answer = self.post("/api/admin/rehearsal/buyers", &body).await;
            if !answer.is_open() || Instant::now() > until {
                break answer;
            }
            tries += 1;
            unused = format!("{prefix}{tries}-"); // they may have been made, unheard
            tokio::time::sleep(PAUSE).await;
        };
        if answer.status == 404 {
            let names = (0..count).map(|number| format!("{prefix}{number}"));
            return futures::future::join_all(names.map(async |name| self.register(&name).await)).await;
        }
        let data = answer.accepted();
        let list = data.as_array().or_else(|| data["buyers"].as_array()).or_else(|| data["list"].as_array());
        let list = list.unwrap_or_else(|| panic!("no buyers in {data}"));
        assert_eq!(list.len(), count, "as many buyers as asked for");
        let text = |buyer: &Value, name: &str| buyer[name].as_str().unwrap_or_default().to_owned();
        let id = |buyer: &Value| buyer["user_id"].as_i64().or_else(|| buyer["id"].as_i64()).expect("a buyer's id");
        list.iter().map(|buyer| self.signed_in(id(buyer), &text(buyer, "username"), &text(buyer, "token"))).collect()
    }

    /// State and vitals of one actor.
    pub async fn actor(&self, kind: &str, key: &str) -> Answer {
        self.get(&format!("/api/admin/actors/{kind}/{key}")).await
    }

    /// `inspect`, `pause`, `resume`, `restart`, `stop`, `drain`, `lift`.
    pub async fn command_actor(&self, kind: &str, key: &str, command: &str) -> Answer {
        self.post(&format!("/api/admin/actors/{kind}/{key}/{command}"), &json!({})).await
    }

    /// Arms a failpoint of the running server, e.g. `inventory.claim=panic@1`.
    pub async fn arm(&self, entry: &str) -> Answer {
        self.ask_until_heard(Method::POST, "/api/admin/failpoints", Some(&json!({ "arm": entry }))).await
    }

    /// The shop's clock, which a test may have moved.
    pub async fn server_time_ms(&self) -> i64 {
        let data = self.get("/api/seckill").await.accepted();
        match &data["server_time"] {
            Value::String(text) => DateTime::parse_from_rfc3339(text).expect("an RFC 3339 time").timestamp_millis(),
            Value::Number(ms) => ms.as_i64().expect("milliseconds"),
            _ => rushmall::clock::Clock::default().now_ms(),
        }
    }
}

/// A time as the API writes it.
pub fn wire_time(ms: i64) -> String {
    let china = FixedOffset::east_opt(8 * 3_600).expect("a valid offset");
    let time = DateTime::from_timestamp_millis(ms).expect("a valid time").with_timezone(&china);
    time.to_rfc3339_opts(SecondsFormat::Secs, false)
}

#[track_caller]
fn id_of(data: &Value) -> i64 {
    data["id"].as_i64().unwrap_or_else(|| panic!("no id in {data}"))
}
