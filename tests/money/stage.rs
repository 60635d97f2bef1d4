//! A shop that is the merchant of a sandbox gateway, and one order on its way through it.

use std::time::Duration;

use rushmall::config::Settings;
use serde_json::{Value, json};

use crate::support::client::Person;
use crate::support::gateway::Gateway;
use crate::support::process::ShopProcess;
use crate::support::sandbox_process::SandboxProcess;
use crate::support::shop::TestShop;
use crate::support::verbs::Product;

pub const UNPAID: i64 = 1;
pub const PAID: i64 = 2;
pub const SHIPPED: i64 = 3;
pub const COMPLETED: i64 = 4;
pub const CANCELLED: i64 = 5;
pub const REFUNDING: i64 = 6;
pub const REFUNDED: i64 = 7;
pub const CLOSING: i64 = 9;
pub const PRICE_FEN: i64 = 990;
pub const PAY_DEADLINE_MS: i64 = 30 * 60_000;
pub const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// A signature that is older is refused.
const FRESH_FOR_MS: i64 = 300_000;
/// How often is looked for effects before a step that makes signatures stale.
pub const LOOKS: usize = 300;

/// A shop that is the merchant of a sandbox gateway.
pub async fn shop() -> (TestShop, Gateway) {
    shop_with(|_| {}).await
}

/// The same after a change of the settings.
pub async fn shop_with(change: impl FnOnce(&mut Settings)) -> (TestShop, Gateway) {
    let shop = TestShop::with(|settings| {
        settings.payment.sandbox = Some(true);
        change(settings);
    })
    .await;
    let gateway = Gateway::of(&shop.address.base());
    (shop, gateway)
}

/// Waits until no effect is due or being run, for so many looks at most.
pub async fn asks_nothing(shop: &TestShop, looks: usize) {
    for _ in 0..looks {
        let now_ms = shop.clock.now_ms();
        let busy = format!("due_at_ms <= {now_ms} OR lease_until_ms > {now_ms}");
        if shop.books.count(&format!("SELECT COUNT(*) AS n FROM effects WHERE {busy}")).await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A buyer of that shop charges, pays and is refunded an order by WeChat Pay, at that sandbox.
pub async fn pays_and_gets_it_back(shop: &ShopProcess, sandbox: &SandboxProcess) {
    let (product, ann) = (shop.admin().await.make_product("there and back", 9.9, 1).await, shop.register("ann").await);
    let order_no = ann.place_order(&product, 1).await.order_no();
    let opened = ann.open_charge("wechat", &order_no).await.accepted();
    let number = opened["out_trade_no"].as_str().expect("a number").to_owned();
    sandbox.gateway().pay(&number).await;
    ann.sees(&order_no, PAID).await;
    assert_eq!(ann.query_charge("wechat", &order_no).await.accepted()["trade_state"], "SUCCESS");
    ann.ask_refund("wechat", &order_no, 990).await.accepted();
    ann.sees(&order_no, REFUNDED).await;
    assert_eq!(sandbox.gateway().trade(&number).await["refunded_fen"], 990);
}

/// Ann's order of the only unit, with a charge open.
pub struct Deal {
    pub shop: TestShop,
    pub gateway: Gateway,
    pub product: Product,
    pub ann: Person,
    pub order_no: String,
    pub channel: &'static str,
}

impl Deal {
    pub async fn open(channel: &'static str) -> Self {
        Self::with(channel, |_| {}).await
    }

    pub async fn with(channel: &'static str, change: impl FnOnce(&mut Settings)) -> Self {
        let (shop, gateway) = shop_with(change).await;
        let (product, _) = shop.admin().await.make_sale("lamp", 1).await;
        let ann = shop.register("ann").await;
        let order_no = ann.buy(&product).await.order_no();
        ann.open_charge(channel, &order_no).await.accepted();
        Self { shop, gateway, product, ann, order_no, channel }
    }

    /// The same, paid.
    pub async fn paid(channel: &'static str) -> Self {
        let deal = Self::open(channel).await;
        deal.gateway.pay(&deal.number()).await;
        deal.ann.sees(&deal.order_no, PAID).await;
        deal
    }

    /// The number of the charge at the gateway.
    pub fn number(&self) -> String {
        format!("{}_1", self.order_no)
    }

    /// That of the first refund.
    pub fn refund_no(&self) -> String {
        format!("{}_r1", self.order_no)
    }

    /// As it lies in the database: to its buyer an order that is closing waits for money.
    pub async fn status(&self) -> i64 {
        self.shop.books.count(&format!("SELECT status AS n FROM orders WHERE order_no = '{}'", self.order_no)).await
    }

    /// Waits until the order stands so.
    pub async fn sees(&self, status: i64) {
        for _ in 0..200 {
            if self.status().await == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} is {} and not {status}", self.order_no, self.status().await);
    }

    pub async fn trade(&self) -> Value {
        self.gateway.trade(&self.number()).await
    }

    /// Asks for all of it.
    pub async fn ask_refund(&self) {
        self.ann.ask_refund(self.channel, &self.order_no, PRICE_FEN).await.accepted();
    }

    /// Waits until the gateway has heard of the only refund.
    pub async fn refund_is_heard_of(&self) {
        for _ in 0..300 {
            if self.trade().await["refunds"].as_array().is_some_and(|refunds| refunds.len() == 1) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the refund was not asked for: {}", self.trade().await);
    }

    /// Time goes by in steps. A step begins when what was due has been asked: a clock that is moved while a call is under way
    /// makes its signature stale.
    pub async fn passes(&self, ms: i64, steps: i64) {
        let looks = if ms / steps < FRESH_FOR_MS { LOOKS / 5 } else { LOOKS };
        for _ in 0..steps {
            asks_nothing(&self.shop, looks).await;
            self.shop.travel(ms / steps);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        asks_nothing(&self.shop, looks).await;
    }

    /// Time goes by until the order stands so.
    pub async fn comes_to(&self, status: i64, by_ms: i64) {
        for _ in 0..60 {
            if self.status().await == status {
                return;
            }
            self.passes(by_ms, 1).await;
        }
        panic!("{} is {} and not {status}", self.order_no, self.status().await);
    }

    /// Events of the order of one kind.
    pub async fn events(&self, kind: &str) -> i64 {
        self.shop.books.count(&format!("SELECT COUNT(*) AS n FROM order_events WHERE kind = '{kind}'")).await
    }

    /// Units that are set aside.
    pub async fn held(&self) -> i64 {
        self.shop.books.count("SELECT COALESCE(SUM(held), 0) AS n FROM stock").await
    }

    /// Orders that a human must look at for this reason.
    pub async fn reviews(&self, reason: &str) -> i64 {
        self.shop.books.count(&format!("SELECT COUNT(*) AS n FROM orders WHERE review = '{reason}'")).await
    }

    /// Waits for it, while time goes by.
    pub async fn is_reviewed(&self, reason: &str, by_ms: i64) {
        for _ in 0..60 {
            if self.reviews(reason).await == 1 {
                return;
            }
            self.passes(by_ms, 1).await;
        }
        panic!("nobody is asked to look for {reason}");
    }

    /// An administrator has looked.
    pub async fn is_cleared(&self) {
        let clear = format!("/api/admin/orders/{}/clear-review", self.order_no);
        self.shop.admin().await.post(&clear, &json!({ "reason": "seen" })).await.accepted();
    }

    /// The gateway and the shop agree on what came and what went back, and no unit is lost.
    pub async fn settles(self) {
        // what a notification has ended is found to be over when it is looked at next
        let owed = "SELECT COUNT(*) AS n FROM effects WHERE kind <> 'watch_payment'";
        for _ in 0..10 {
            if self.shop.books.count(owed).await == 0 {
                break;
            }
            self.passes(600_000, 1).await;
        }
        self.shop.at_rest().await;
        let totals = self.gateway.totals().await;
        let sum = |field: &str| -> i64 {
            totals.as_array().expect("rows").iter().map(|row| row[field].as_i64().expect("a number")).sum()
        };
        let captured = "SELECT COALESCE(SUM(amount_fen), 0) AS n FROM payments WHERE state = 'captured'";
        let refunded = "SELECT COALESCE(SUM(amount_fen), 0) AS n FROM refunds WHERE state = 'succeeded'";
        assert_eq!(self.shop.books.count(captured).await, sum("captured_fen"), "{totals}");
        assert_eq!(self.shop.books.count(refunded).await, sum("refunded_fen"), "{totals}");
        self.shop.assert_stock_conserved(self.product.id).await;
    }
}
