//! Requests repeated under their `Idempotency-Key` after the first answer was lost, at every kind of work.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::auth::Caller;
use super::testing::{Answer, Shop, shop};
use crate::domain::stock::{Claim, OrderDetails, Pool, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId, Quantity, Role};
use crate::persistence::ledger::TicketRef;
use crate::persistence::{StoreError, journal};

/// Signs moves of units that a test makes by itself.
fn root() -> Caller {
    Caller { buyer: BuyerId(1), username: "root".to_owned(), role: Role::Admin, sid: String::new() }
}

impl Shop {
    async fn once(&self, token: &str, uri: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        self.send("POST", uri, &[("authorization", bearer.as_str()), ("idempotency-key", "k")], body.clone()).await
    }

    async fn sql(&self, sql: &str) {
        let run = async |tx: &sea_orm::DatabaseTransaction| {
            tx.execute_unprepared(sql).await.map_err(StoreError::during("preparing a test"))
        };
        self.state.db.write("preparing a test", run).await.unwrap();
    }

    /// As if the server had died before the answer was stored.
    async fn lose_answers(&self) {
        self.sql("UPDATE idempotency_keys SET http_status = 0, answer = '', lease_until_ms = 0").await;
    }

    /// The numbers of the only key.
    async fn numbers(&self) -> Vec<OrderNo> {
        let select = "SELECT order_nos FROM idempotency_keys";
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, select);
        let row = self.state.db.reader().query_one_raw(statement).await.unwrap().unwrap();
        let numbers: String = row.try_get("", "order_nos").unwrap();
        numbers.split(',').map(|number| number.parse().unwrap()).collect()
    }

    async fn product(&self, admin: &str, stock: i64) -> i64 {
        let form = json!({"name": "茶杯", "price": 10, "stock": stock});
        self.ask(admin, "POST", "/api/product", form).await.data()["id"].as_i64().unwrap()
    }

    async fn sale(&self, admin: &str, stock: i64) -> i64 {
        let product = self.product(admin, stock).await;
        self.ask(admin, "POST", "/api/seckill/init", json!({"product_id": product, "stock": stock})).await.data();
        product
    }

    async fn paid_order(&self, admin: &str, buyer: &str) -> String {
        let product = self.product(admin, 5).await;
        let placed = self.ask(buyer, "POST", "/api/order", json!({"product_id": product})).await;
        let order_no = placed.data()["order_no"].as_str().unwrap().to_owned();
        self.ask(buyer, "POST", &format!("/api/order/{order_no}/pay"), json!({"pay_type": 9})).await.data();
        order_no
    }

    async fn stock_of(&self, product: i64) -> i64 {
        self.state.shop.ledger.snapshot(ProductId(product)).await.unwrap().free(Pool::Free)
    }
}

/// A purchase that was refused for want of units, of which the buyer was not told.
struct Refused {
    token: String,
    wanted: Value,
    product: i64,
    /// What the node may have claimed under its number.
    claim: Claim,
}

impl Refused {
    async fn order(shop: &Shop) -> Self {
        let (admin, li) = (shop.admin().await, shop.register("li_na").await);
        let (buyer, token) = (li["user"]["id"].as_i64().unwrap(), li["token"].as_str().unwrap().to_owned());
        let product = shop.product(&admin, 0).await;
        let wanted = json!({"product_id": product});
        assert_eq!(shop.once(&token, "/api/order", &wanted).await.code(), 20003);
        shop.lose_answers().await;
        let claim = claim(shop.numbers().await[0], buyer, product);
        Self { token, wanted, product, claim }
    }
}

fn claim(order_no: OrderNo, buyer: i64, product: i64) -> Claim {
    Claim {
        order_no,
        buyer: BuyerId(buyer),
        product: ProductId(product),
        pool: Pool::Free,
        quantity: Quantity::ONE,
        unit_price: Money::from_fen(1_000),
        kind: TicketKind::Prepared,
        details: OrderDetails::default(),
    }
}

#[actix_rt::test]
async fn a_refund_whose_answer_was_lost_is_made_once() {
    let shop = shop().await;
    let (admin, li) = (shop.admin().await, shop.user("li_na").await);
    let order_no = shop.paid_order(&admin, &li).await;
    let refund = format!("/api/admin/orders/{order_no}/refund");
    for _ in 0..3 {
        shop.once(&admin, &refund, &json!({"refund_fee": 300})).await.data();
        shop.lose_answers().await;
    }
    let loaded = journal::load(&shop.state.db, order_no.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((loaded.order.refunds.len(), loaded.order.refund_promised().fen()), (1, 300));
}

#[actix_rt::test]
async fn what_an_administrator_adds_is_added_once_though_its_answer_was_lost() {
    let shop = shop().await;
    let admin = shop.admin().await;
    let count = async |table: &str| {
        let select = format!("SELECT COUNT(*) AS n FROM {table}");
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, select);
        let row = shop.state.db.reader().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get::<i64>("", "n").unwrap()
    };
    let again = async |uri: &str, body: &Value| {
        let first = shop.once(&admin, uri, body).await.data().clone();
        for _ in 0..2 {
            shop.lose_answers().await;
            assert_eq!(*shop.once(&admin, uri, body).await.data(), first, "{uri}");
        }
        shop.sql("DELETE FROM idempotency_keys").await;
        first
    };
    let category = again("/api/category", &json!({"name": "茶", "position": 2})).await;
    let product = again("/api/product", &json!({"name": "茶杯", "price": 10, "stock": 30, "category": "茶"})).await;
    assert_eq!((&product["category_id"], &product["stock"]), (&category["id"], &json!(30)));
    let times = json!({"start_at": "2030-01-01T00:00:00+08:00", "end_at": "2030-01-02T00:00:00+08:00"});
    let plan = json!({"product_id": product["id"], "price": 5, "stock": 10,
        "start_at": times["start_at"], "end_at": times["end_at"]});
    again("/api/seckill/sale", &plan).await;
    again("/api/seckill/init", &json!({"product_id": product["id"], "stock": 8})).await;
    assert_eq!((count("categories").await, count("products").await, count("sales").await), (1, 1, 2));
    assert_eq!(shop.stock_of(product["id"].as_i64().unwrap()).await, 12);
}

#[actix_rt::test]
async fn a_restock_that_is_repeated_does_not_put_back_what_was_sold_since() {
    let shop = shop().await;
    let (admin, li) = (shop.admin().await, shop.user("li_na").await);
    let product = shop.sale(&admin, 5).await;
    shop.state.set_free_stock(&root(), ProductId(product), 20).await.unwrap();
    let restock = json!({"product_id": product, "stock": 9});
    let first = shop.once(&admin, "/api/seckill/init", &restock).await;
    shop.ask(&li, "POST", "/api/seckill", json!({"product_id": product})).await.data();
    shop.lose_answers().await;
    assert_eq!(shop.once(&admin, "/api/seckill/init", &restock).await.data(), first.data());
    let pools = shop.state.shop.ledger.snapshot(ProductId(product)).await.unwrap().pools;
    assert_eq!(pools.iter().map(|pool| pool.free).collect::<Vec<_>>(), [16, 8]);
}

#[actix_rt::test]
async fn a_product_that_was_added_without_its_units_gets_them_when_it_is_added_again() {
    let shop = shop().await;
    let admin = shop.admin().await;
    let body = json!({"name": "茶壶", "price": 10, "stock": 4});
    // the ledger cannot take the units: their move is written down and stays where it is
    shop.sql("ALTER TABLE ledger_moves RENAME TO ledger_moves_away").await;
    assert_eq!(shop.once(&admin, "/api/product", &body).await.status.as_u16(), 500);
    shop.sql("ALTER TABLE ledger_moves_away RENAME TO ledger_moves").await;
    assert_eq!(shop.once(&admin, "/api/product", &body).await.data()["stock"], 4);
    let listed = shop.ask("", "GET", "/api/product", json!(null)).await;
    assert_eq!(listed.data()["total"], 1);
}

#[actix_rt::test]
async fn a_refund_is_answered_though_the_audit_log_is_away() {
    let shop = shop().await;
    let (admin, li) = (shop.admin().await, shop.user("li_na").await);
    let order_no = shop.paid_order(&admin, &li).await;
    shop.sql("ALTER TABLE audit_log RENAME TO audit_log_away").await;
    let refund = format!("/api/admin/orders/{order_no}/refund");
    let all = shop.once(&admin, &refund, &json!({})).await;
    assert!(matches!(all.data()["status"].as_i64(), Some(6 | 7)), "{}", all.json);
}

#[actix_rt::test]
async fn an_order_whose_units_went_back_can_be_placed_under_the_same_key() {
    let shop = shop().await;
    let Refused { token: li, wanted, product, claim } = Refused::order(&shop).await;
    let withdrawn = TicketRef::from(&claim);
    shop.state.shop.ledger.release(&[withdrawn]).await.unwrap();
    shop.state.set_free_stock(&root(), ProductId(product), 5).await.unwrap();

    let placed = shop.once(&li, "/api/order", &wanted).await;
    assert_ne!(placed.data()["order_no"], withdrawn.order_no.to_string());
    shop.lose_answers().await;
    assert_eq!(shop.once(&li, "/api/order", &wanted).await.data(), placed.data());
    assert_eq!((shop.ask(&li, "GET", "/api/order", Value::Null).await.data()["total"].as_i64()), Some(1));
    assert_eq!(shop.stock_of(product).await, 4);
}

#[actix_rt::test]
async fn a_checkout_that_was_given_back_can_be_made_under_the_same_key() {
    let shop = shop().await;
    let (admin, li) = (shop.admin().await, shop.user("li_na").await);
    let (cup, pot) = (shop.product(&admin, 5).await, shop.product(&admin, 2).await);
    for product in [cup, pot] {
        shop.ask(&li, "POST", "/api/cart", json!({"product_id": product, "quantity": 2})).await.data();
    }
    shop.state.set_free_stock(&root(), ProductId(pot), 1).await.unwrap();
    let short = shop.once(&li, "/api/order/checkout", &json!({})).await;
    assert_eq!((short.code(), &short.json["data"]["product_id"]), (20003, &json!(pot)), "{}", short.json);
    shop.lose_answers().await;
    shop.state.set_free_stock(&root(), ProductId(pot), 2).await.unwrap();
    let placed = shop.once(&li, "/api/order/checkout", &json!({})).await;
    assert_eq!(placed.data().as_array().map(Vec::len), Some(2), "{}", placed.json);
    assert_eq!((shop.stock_of(cup).await, shop.stock_of(pot).await), (3, 0));
}

#[actix_rt::test]
async fn units_that_were_held_too_long_are_taken_anew() {
    let shop = shop().await;
    let Refused { token: li, wanted, product, claim: stale } = Refused::order(&shop).await;
    shop.state.set_free_stock(&root(), ProductId(product), 5).await.unwrap();
    let too_long_ms = shop.state.settings.orders.prepared_expires_ms * 2 / 3;
    let held_since_ms = shop.state.clock.now_ms() - too_long_ms;
    let held = shop.state.shop.ledger.reserve(ProductId(product), &[stale], held_since_ms).await.unwrap();
    assert!(held[0].is_ok());
    let placed = shop.once(&li, "/api/order", &wanted).await;
    assert_ne!(placed.data()["order_no"], held[0].as_ref().unwrap().claim.order_no.to_string());
    assert_eq!(shop.stock_of(product).await, 4);
}

#[actix_rt::test]
async fn a_claim_whose_answer_was_lost_is_answered_with_its_order() {
    let shop = shop().await;
    let (admin, li, wang) = (shop.admin().await, shop.user("li_na").await, shop.user("wang").await);
    let product = shop.sale(&admin, 1).await;
    let wanted = json!({"product_id": product});
    let bought = shop.once(&li, "/api/seckill", &wanted).await;
    assert_eq!(shop.ask(&wang, "POST", "/api/seckill", wanted.clone()).await.code(), 60003);
    for _ in 0..2 {
        shop.lose_answers().await;
        assert_eq!(shop.once(&li, "/api/seckill", &wanted).await.data(), bought.data());
    }
    shop.lose_answers().await;
    let order_no = bought.data()["order_no"].as_str().unwrap();
    shop.ask(&li, "POST", &format!("/api/order/{order_no}/pay"), json!({"pay_type": 9})).await.data();
    assert_eq!(shop.once(&li, "/api/seckill", &wanted).await.data(), bought.data());
}

#[actix_rt::test]
async fn a_buyer_whose_order_is_still_owed_is_named_it_after_a_restart() {
    let shop = shop().await;
    let (admin, wang) = (shop.admin().await, shop.user("wang").await);
    let li = shop.register("li_na").await;
    let (buyer, li) = (li["user"]["id"].as_i64().unwrap(), li["token"].as_str().unwrap());
    let product = shop.sale(&admin, 1).await;
    let snapshot = shop.state.shop.ledger.snapshot(ProductId(product)).await.unwrap();
    let pool = Pool::Sale(snapshot.sales().next().unwrap().sale);
    let number = shop.state.shop.numbers.next();
    let owed = Claim { pool, kind: TicketKind::Owed, ..claim(number, buyer, product) };
    let now_ms = shop.state.clock.now_ms();
    assert!(shop.state.shop.ledger.reserve(ProductId(product), &[owed], now_ms).await.unwrap()[0].is_ok());
    shop.ask(li, "GET", "/api/user/profile", json!(null)).await.data(); // his session is in memory, and knows nothing of it
    let restart = format!("/api/admin/actors/session/{buyer}/restart");
    shop.ask(&admin, "POST", &restart, json!({})).await.data();
    let wanted = json!({"product_id": product});
    assert_eq!(shop.ask(&wang, "POST", "/api/seckill", wanted.clone()).await.code(), 60003);
    let again = shop.ask(li, "POST", "/api/seckill", wanted).await;
    assert_eq!((again.code(), &again.json["data"]["order_no"]), (60004, &json!(number.to_string())), "{}", again.json);
}

#[actix_rt::test]
async fn a_payment_and_a_parcel_whose_answer_was_lost_are_found_done() {
    let shop = shop().await;
    let (admin, li) = (shop.admin().await, shop.user("li_na").await);
    let product = shop.product(&admin, 5).await;
    let placed = shop.ask(&li, "POST", "/api/order", json!({"product_id": product})).await;
    let order_no = placed.data()["order_no"].as_str().unwrap();
    let (pay, ship) = (format!("/api/order/{order_no}/pay"), format!("/api/order/{order_no}/ship"));
    let parcel = json!({"carrier": "SF", "tracking_no": "1"});
    for _ in 0..2 {
        assert_eq!(shop.once(&li, &pay, &json!({"pay_type": 9})).await.data()["status"], 2);
        shop.lose_answers().await;
    }
    for _ in 0..2 {
        assert_eq!(shop.once(&admin, &ship, &parcel).await.data()["status"], 3);
        shop.lose_answers().await;
    }
    assert_eq!(shop.once(&li, &pay, &json!({"pay_type": 9})).await.data()["status"], 3);
    shop.sql("DELETE FROM idempotency_keys").await;
    assert_eq!(shop.once(&li, &pay, &json!({"pay_type": 9})).await.code(), 30007, "a new key is a new payment");
    assert_eq!(shop.once(&admin, &ship, &parcel).await.code(), 30003);
}

#[actix_rt::test]
async fn an_order_is_repeated_after_its_address_was_deleted() {
    let shop = shop().await;
    let (admin, li) = (shop.admin().await, shop.user("li_na").await);
    let product = shop.product(&admin, 5).await;
    let address = json!({"receiver": "李", "phone": "13800000000", "region": "x", "detail": "y"});
    let address = shop.ask(&li, "POST", "/api/user/address", address).await.data()["id"].as_i64().unwrap();
    let wanted = json!({"product_id": product, "address_id": address});
    let placed = shop.once(&li, "/api/order", &wanted).await;
    shop.ask(&li, "DELETE", &format!("/api/user/address/{address}"), Value::Null).await.data();
    assert_eq!(shop.once(&li, "/api/order", &wanted).await.data(), placed.data());
    shop.lose_answers().await;
    assert_eq!(shop.once(&li, "/api/order", &wanted).await.data(), placed.data());
}
