//! A shop whose buyers pay at the peer, and what the tests say to it.

use std::cell::Cell;

use rushmall::config::{Secret, Settings};
use rushmall::domain::reconciliation::BillDay;
use serde_json::{Value, json};

use crate::peer::{API_KEY, APPID, Line, MCHID, Peer};
use crate::support::client::Person;
use crate::support::shop::TestShop;
use crate::support::verbs::Product;

pub const PAID: i64 = 2;
pub const PRICE_FEN: i64 = 1_980;
const DAY_MS: i64 = 24 * 3_600_000;

/// Buyers pay at this peer.
pub fn pay_at(peer: &Peer, settings: &mut Settings) {
    let payment = &mut settings.payment;
    payment.notify_base_url = "http://127.0.0.1:1".to_owned();
    payment.breaker_failures_max = 1_000;
    payment.wechat_v2.enabled = true;
    payment.wechat_v2.base_url = peer.url.clone();
    payment.wechat_v2.mchid = MCHID.to_owned();
    payment.wechat_v2.appid = APPID.to_owned();
    payment.wechat_v2.api_key = Secret(API_KEY.to_owned());
}

/// The same as environment of a process.
pub fn pay_at_environment(peer: &Peer) -> [(&'static str, String); 6] {
    [
        ("RUSHMALL__PAYMENT__NOTIFY_BASE_URL", "http://127.0.0.1:1".to_owned()),
        ("RUSHMALL__PAYMENT__WECHAT_V2__ENABLED", "true".to_owned()),
        ("RUSHMALL__PAYMENT__WECHAT_V2__BASE_URL", peer.url.clone()),
        ("RUSHMALL__PAYMENT__WECHAT_V2__MCHID", MCHID.to_owned()),
        ("RUSHMALL__PAYMENT__WECHAT_V2__APPID", APPID.to_owned()),
        ("RUSHMALL__PAYMENT__WECHAT_V2__API_KEY", API_KEY.to_owned()),
    ]
}

pub struct Stage {
    pub shop: TestShop,
    pub admin: Person,
    pub ann: Person,
    pub product: Product,
    /// How often [`Self::compare`] has asked for a comparison.
    pub asked: Cell<i64>,
    /// The last to go: the shop asks it until it is at rest.
    pub peer: Peer,
}

impl Stage {
    pub async fn open() -> Self {
        let peer = Peer::start().await;
        let shop = TestShop::with(|settings| pay_at(&peer, settings)).await;
        // a day has minutes at its end that are looked for on the next one's bill: not here
        let now_ms = shop.clock.now_ms();
        let today = BillDay::of(now_ms);
        if now_ms > today.ends_ms() - 3_600_000 {
            shop.travel(2 * 3_600_000);
        }
        let (admin, ann) = (shop.admin().await, shop.register("ann").await);
        let product = admin.make_product("billed", 19.8, 50).await;
        Self { shop, admin, ann, product, asked: Cell::new(0), peer }
    }

    pub fn today(&self) -> BillDay {
        BillDay::of(self.shop.clock.now_ms())
    }

    /// An order whose charge is open: its number.
    pub async fn charge(&self) -> String {
        let order_no = self.ann.place_order(&self.product, 1).await.order_no();
        self.ann.post("/api/pay/wechat/unified-order", &json!({ "order_no": order_no })).await.accepted();
        order_no
    }

    /// An order whose money came, and of which the shop knows.
    pub async fn paid(&self) -> String {
        let order_no = self.charge().await;
        self.peer.pay(&format!("{order_no}_1"));
        self.ann.get(&format!("/api/pay/wechat/query?order_no={order_no}")).await.accepted();
        assert_eq!(self.ann.order_status(&order_no).await, PAID);
        order_no
    }

    /// Has a day compared and waits for it; the run and its differences.
    pub async fn compare(&self, day: BillDay) -> Value {
        let mut run = Value::Null;
        for _ in 0..2 {
            self.asked.set(self.asked.get() + 1);
            self.admin.post("/api/admin/reconciliation", &json!({ "date": day.to_string() })).await.accepted();
            run = self.admin.compared("wechat", day).await;
            if run["run"]["state"] != "waiting" {
                break;
            } // or the shop was at it by itself before the bill was there
        }
        run
    }

    /// Lets what waits for a moment become due, so that the shop comes to rest.
    pub fn wind_up(&self) {
        self.shop.travel(3_600_000);
    }

    /// Events of all orders so far.
    pub async fn events(&self) -> i64 {
        self.shop.books.count("SELECT COUNT(*) AS n FROM order_events").await
    }

    /// A day later; the day that is over then.
    pub fn next_day(&self) -> BillDay {
        let today = self.today();
        self.shop.travel(DAY_MS);
        today
    }
}

pub fn line(order_no: &str) -> Line {
    Line::Paid { payment_no: format!("{order_no}_1"), fen: PRICE_FEN }
}

/// Kind, number and state of each difference.
pub fn told(run: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = run["list"].as_array().expect("a list");
    list.iter().map(|found| (text(&found["kind"]), text(&found["number"]), text(&found["state"]))).collect()
}
