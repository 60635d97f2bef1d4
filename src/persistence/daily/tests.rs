//! What belongs to which day, on every engine; and that no day costs a look at all orders.

use sea_orm::{ConnectionTrait as _, DbBackend};

use super::*;
use crate::config::DatabaseSettings;
use crate::domain::OrderNo;
use crate::domain::order::{ChargeTerms, Command, PayChannel, RefundAsker, RefundState};
use crate::domain::stock::Pool;
use crate::persistence::fixture::{NOW_MS, PRICE, PRODUCT, Shop};
use crate::persistence::testing::user;

fn today() -> BillDay {
    BillDay::of(NOW_MS)
}

fn last_ms_of(day: BillDay) -> i64 {
    day.ends_ms() - 1
}

fn start() -> Command {
    Command::StartPayment { channel: PayChannel::Wechat, terms: ChargeTerms::default() }
}

async fn pay_at(shop: &Shop, order_no: OrderNo, at_ms: i64) {
    let amount = shop.command(order_no, &start()).await.order.total;
    let paid = Command::ConfirmPayment { attempt: 1, amount, transaction_id: "t".to_owned() };
    shop.command_at(order_no, &paid, at_ms).await;
}

/// Asked for a day earlier than the money was back.
async fn refund_at(shop: &Shop, order_no: OrderNo, (refund, amount): (u16, Money), at_ms: i64) {
    let request = Command::RequestRefund {
        by: RefundAsker::Administrator,
        amount,
        reason: String::new(),
        request: format!("request {refund}"),
    };
    shop.command_at(order_no, &request, at_ms - 24 * 3_600_000).await;
    let report = Command::ReportRefund { refund, state: RefundState::Succeeded, gateway_no: String::new() };
    shop.command_at(order_no, &report, at_ms).await;
}

async fn order(shop: &Shop, buyer: i64, units: i64, accepted_at_ms: i64) -> OrderNo {
    let order_no = shop.order(Pool::Free, buyer, units).await.order.order_no;
    shop.sql(&format!("UPDATE orders SET created_at_ms = {accepted_at_ms} WHERE order_no = '{order_no}'")).await;
    order_no
}

#[actix_rt::test]
async fn a_quiet_shop_has_days_without_anything() {
    let shop = Shop::with_units(5).await;
    let told = days(&shop.db, today(), 90).await.unwrap();
    let quiet = |day| Day { day, orders: 0, paid: 0, revenue: Money::ZERO, refunded: Money::ZERO, new_users: 0 };
    assert_eq!(told, (0..90).rev().map(|ago| quiet(today().earlier(ago))).collect::<Vec<_>>());
    assert_eq!(top_products(&shop.db, today(), 90).await.unwrap(), []);
}

#[actix_rt::test]
async fn everything_belongs_to_the_day_in_beijing_on_which_it_happened() {
    let shop = Shop::with_units(50).await;
    let (yesterday, tomorrow) = (today().previous(), today().next());
    let first = order(&shop, 1, 2, last_ms_of(yesterday)).await; // accepted yesterday, paid and partly refunded today
    let second = order(&shop, 2, 1, today().begins_ms()).await; // paid and refunded today, all of it
    let third = order(&shop, 3, 1, last_ms_of(today())).await; // paid tomorrow
    order(&shop, 4, 1, today().begins_ms()).await; // never paid
    pay_at(&shop, first, today().begins_ms()).await;
    pay_at(&shop, second, last_ms_of(today())).await;
    pay_at(&shop, third, tomorrow.begins_ms()).await;
    refund_at(&shop, first, (1, Money::from_fen(100)), today().begins_ms() + 1).await;
    refund_at(&shop, first, (2, Money::from_fen(50)), tomorrow.begins_ms()).await;
    refund_at(&shop, second, (1, PRICE), last_ms_of(today())).await;
    for (name, at_ms) in [("ann", last_ms_of(yesterday)), ("bob", today().begins_ms()), ("cid", last_ms_of(today()))] {
        let id = user(&shop.db, name).await.id;
        shop.sql(&format!("UPDATE users SET created_at_ms = {at_ms} WHERE id = {id}")).await;
    }
    let day = |day, (orders, paid, new_users), (revenue, refunded)| {
        let (revenue, refunded) = (Money::from_fen(revenue), Money::from_fen(refunded));
        Day { day, orders, paid, revenue, refunded, new_users }
    };
    let expected = [
        day(yesterday, (1, 0, 1), (0, 0)),
        day(today(), (3, 2, 2), (3 * PRICE.fen(), PRICE.fen() + 100)),
        day(tomorrow, (0, 1, 0), (PRICE.fen(), 50)),
    ];
    assert_eq!(days(&shop.db, tomorrow, 3).await.unwrap(), expected);
    assert_eq!(days(&shop.db, today(), 2).await.unwrap(), expected[..2]);
    assert_eq!(days(&shop.db, today(), 1).await.unwrap(), expected[1..2]);
    let tea = TopProduct { product: PRODUCT, name: "Tea".to_owned(), units: 3, revenue: PRICE.times(3).unwrap() };
    assert_eq!(top_products(&shop.db, today(), 1).await.unwrap(), [tea]);
}

#[actix_rt::test]
async fn a_payment_too_many_is_neither_revenue_nor_refund() {
    let shop = Shop::with_units(5).await;
    let order_no = order(&shop, 1, 1, NOW_MS).await;
    let paid = |attempt: u16| Command::ConfirmPayment { attempt, amount: PRICE, transaction_id: format!("t{attempt}") };
    for command in [start(), Command::StopPayment, Command::ConfirmAttemptClosed { attempt: 1 }, start()] {
        shop.command(order_no, &command).await;
    }
    shop.command(order_no, &paid(2)).await;
    let surplus = shop.command(order_no, &paid(1)).await; // the closed one brought money all the same
    assert_eq!(surplus.order.refunds.len(), 1);
    let report = Command::ReportRefund { refund: 1, state: RefundState::Succeeded, gateway_no: String::new() };
    assert_eq!(shop.command(order_no, &report).await.order.refunded(), PRICE);
    let told = days(&shop.db, today(), 1).await.unwrap();
    assert_eq!((told[0].paid, told[0].revenue, told[0].refunded), (1, PRICE, Money::ZERO));
    let top = top_products(&shop.db, today(), 1).await.unwrap();
    assert_eq!((top.len(), top[0].units, top[0].revenue), (1, 1, PRICE));
}

#[actix_rt::test]
async fn ten_products_are_told_those_that_brought_most_first() {
    let shop = Shop::with_units(50).await;
    for number in 0..12 {
        let order_no = order(&shop, number + 1, number % 6 + 1, NOW_MS).await;
        pay_at(&shop, order_no, NOW_MS).await;
        shop.sql(&format!("UPDATE orders SET product_id = {} WHERE order_no = '{order_no}'", 100 + number)).await;
    }
    shop.product(ProductId(111)).await;
    shop.sql("UPDATE products SET status = -1, name = 'Gone' WHERE id = 111").await;
    let top = top_products(&shop.db, today(), 1).await.unwrap();
    let told: Vec<(i64, u64, i64)> = top.iter().map(|top| (top.product.0, top.units, top.revenue.fen())).collect();
    let by_units: [(i64, u64); 10] =
        [(105, 6), (111, 6), (104, 5), (110, 5), (103, 4), (109, 4), (102, 3), (108, 3), (101, 2), (107, 2)];
    let expected = by_units.map(|(product, units)| (product, units, i64::try_from(units).unwrap() * PRICE.fen()));
    assert_eq!(told, expected);
    assert_eq!((top[1].name.as_str(), top[0].name.as_str()), ("Gone", ""), "deleted; never there");
}

/// The other engines choose by the numbers of rows, which a test has not.
#[actix_rt::test]
async fn on_sqlite_every_question_goes_by_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let db = &Db::connect(&DatabaseSettings::default(), dir.path()).await.unwrap();
    db.migrate().await.unwrap();
    let period = Period::until(today(), 30);
    for (select, indexes) in [
        (period.orders(db), ["sqlite_autoindex_orders_1"].as_slice()),
        (period.paid(db), &["sqlite_autoindex_orders_1", "payments_by_captured"]),
        (period.products(db, 10), &["sqlite_autoindex_orders_1", "payments_by_captured"]),
        (period.refunded(db), &["refunds_by_ended"]),
        (period.users(db), &["users_by_time"]),
    ] {
        let sql = select.to_string(sea_orm::sea_query::SqliteQueryBuilder);
        let rows = db
            .reader()
            .query_all_raw(sea_orm::Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}")));
        let rows = rows.await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        assert!(indexes.iter().all(|index| plan.iter().any(|step| step.contains(index))), "{sql}: {plan:?}");
    }
}
