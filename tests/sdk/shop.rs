//! A shop whose gateways are the sandbox process: the provider's notifications reach it from the SDKs.

use std::time::Duration;

use crate::columns::Column;
use crate::support::books::Books;
use crate::support::client::Person;
use crate::support::process::ShopProcess;
use crate::support::sandbox_process::SandboxProcess;
use crate::support::verbs::Product;

const PAID: i64 = 2;
const UNITS: i64 = 100;
const PAID_WITHIN: Duration = Duration::from_secs(10);

/// See the file's header.
pub struct SdkShop {
    process: ShopProcess,
    books: Books,
    product: Product,
    orders: std::cell::Cell<i64>,
}

/// An order with an open charge, one for each column. The gateway never takes money for it: only the SDK's notification
/// can make it paid.
pub struct SdkOrder {
    pub out_trade_no: String,
    pub total_fen: i64,
    buyer: Person,
    order_no: String,
}

impl SdkShop {
    pub async fn open(sandbox: &SandboxProcess) -> Self {
        let mut process = ShopProcess::prepare();
        // the gateway takes no money here, and so has nothing to tell
        for (name, value) in sandbox.account("http://127.0.0.1:1") {
            process.set(&name, &value);
        }
        process.start().await;
        let (product, _) = process.admin().await.make_sale("lamp", UNITS).await;
        let books = process.books().await;
        Self { process, books, product, orders: std::cell::Cell::new(0) }
    }

    /// Columns end with a new certificate of the platform, and a shop asks for certificates once a minute at most: one
    /// that was just started has them.
    pub async fn reopen(&mut self) {
        self.process.kill_and_restart().await;
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        self.process.address.base()
    }

    pub async fn order(&self, column: &Column) -> SdkOrder {
        self.orders.set(self.orders.get() + 1);
        let buyer = self.process.register(&format!("buyer-{}", self.orders.get())).await;
        let order_no = buyer.buy(&self.product).await.order_no();
        let opened = buyer.open_charge(column.wire.channel(), &order_no).await.accepted();
        let out_trade_no = opened["out_trade_no"].as_str().expect("a number").to_owned();
        SdkOrder { out_trade_no, total_fen: opened["total_fee"].as_i64().expect("fen"), buyer, order_no }
    }

    /// The notification has reached its order.
    pub async fn check_paid(&self, order: &SdkOrder) -> Result<(), String> {
        let until = tokio::time::Instant::now() + PAID_WITHIN;
        loop {
            match order.buyer.order_status(&order.order_no).await {
                PAID => return Ok(()),
                status if tokio::time::Instant::now() > until => return Err(format!("the order's status is {status}")),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Of all that was told the shop has kept the good notifications only, one for each order.
    pub async fn check_notices(&self) {
        assert_eq!(self.books.count("SELECT COUNT(*) AS n FROM notices").await, self.orders.get());
    }
}
