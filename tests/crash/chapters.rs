//! What people do while the process dies under them: each chapter is the same story however often it is interrupted.

use reqwest::Method;

use crate::money;
use crate::script::{Script, Stage};
use crate::support::client::{Answer, Person};
use crate::support::ground::is_cluster;
use crate::support::verbs::{Product, Sale, SalePlan};

pub const PAID: i64 = 2;
const COMPLETED: i64 = 4;
pub const CANCELLED: i64 = 5;
pub const REFUNDED: i64 = 7;
const SOLD_OUT: i64 = 60_003;
const ALREADY_BOUGHT: i64 = 60_004;

/// A story with its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    /// A sale sells out, a cancelled unit is sold again.
    FlashSale,
    /// An order is paid, shipped and received; another is refunded.
    Ordinary,
    /// Carts become orders, all or nothing.
    Checkout,
    /// An administrator plans, restocks, reprices and closes a sale.
    Administration,
    /// A guest fills a cart, signs in and orders what is in it.
    Guest,
    /// The ledger, outside the database, loses what it knew of a product that sells.
    Forgotten,
    /// Nobody pays.
    Deadline,
    /// A charge is paid at a gateway, which tells of it, and refunded.
    Captured,
    /// The same without a word of the gateway.
    Silent,
    /// Charges are closed.
    Closed,
    /// Money comes for orders that were cancelled.
    Late,
}

impl Chapter {
    /// Those of a shop with the usual deadline.
    pub fn usual() -> Vec<Self> {
        let mut usual = vec![Self::FlashSale, Self::Ordinary, Self::Checkout, Self::Administration, Self::Guest];
        if is_cluster() {
            usual.push(Self::Forgotten);
        }
        usual
    }

    /// Those of a shop with a gateway.
    pub const WITH_GATEWAY: [Self; 4] = [Self::Captured, Self::Silent, Self::Closed, Self::Late];

    /// Products and buyers for it.
    pub async fn stage(self, script: &mut Script) -> Stage {
        match self {
            Self::FlashSale => {
                let stage = script.stage(1, 3, 4).await;
                script.admin.plan_sale(&stage.products[0], SalePlan::open_now(3)).await;
                stage
            }
            Self::Deadline => {
                let stage = script.stage(1, 2, 2).await;
                script.admin.plan_sale(&stage.products[0], SalePlan::open_now(2)).await;
                stage
            }
            Self::Guest => {
                let mut stage = script.stage(1, 5, 1).await;
                // rehearsal buyers have no password
                stage.buyers = vec![script.shop.register(&format!("{}-guest", stage.name)).await];
                stage
            }
            Self::Forgotten => script.stage(1, 5, 2).await,
            Self::Ordinary => script.stage(1, 10, 2).await,
            Self::Checkout => script.stage(2, 5, 2).await,
            Self::Administration => script.stage(1, 20, 1).await,
            Self::Captured => script.stage(1, 3, 2).await,
            Self::Silent | Self::Closed => script.stage(1, 3, 1).await,
            Self::Late => script.stage(2, 1, 3).await,
        }
    }

    /// Tells the story to its end.
    pub async fn play(self, script: &mut Script, stage: &Stage) {
        match self {
            Self::FlashSale => flash_sale(script, stage).await,
            Self::Ordinary => ordinary(script, stage).await,
            Self::Checkout => checkout(script, stage).await,
            Self::Administration => administration(script, stage).await,
            Self::Guest => guest(script, stage).await,
            Self::Forgotten => forgotten(script, stage).await,
            Self::Deadline => deadline(script, stage).await,
            Self::Captured => money::captured(script, stage).await,
            Self::Silent => money::silent(script, stage).await,
            Self::Closed => money::closed(script, stage).await,
            Self::Late => money::late(script, stage).await,
        }
    }
}

async fn flash_sale(script: &mut Script, stage: &Stage) {
    let [ann, bob, cid, dan] = &stage.buyers[..] else { panic!("four buyers") };
    let (product, admin) = (stage.products[0], script.admin.clone());
    // a new life begins with a look at the stores
    script.insist(async || admin.command_actor("inventory", &product.id.to_string(), "restart").await).await;
    let mut numbers = Vec::new();
    for who in [ann, bob, cid] {
        numbers.push(buy(script, stage, who, &product).await);
    }
    pay(script, stage, ann, &numbers[0]).await;
    script.insist(async || dan.buy(&product).await).await.rejected(SOLD_OUT);
    let answer = script.insist(async || bob.cancel(&numbers[1]).await).await;
    expect_status(script, bob, &numbers[1], &answer, CANCELLED).await;
    let number = number_of(&script.insist_past(SOLD_OUT, async || dan.buy(&product).await).await);
    pay(script, stage, dan, &number).await;
    // the same click again, long after: the same order
    let again = buy(script, stage, ann, &product).await;
    assert_eq!(again, numbers[0], "a repeated click bought again");
}

async fn ordinary(script: &mut Script, stage: &Stage) {
    let [ann, bob] = &stage.buyers[..] else { panic!("two buyers") };
    let (product, admin) = (stage.products[0], script.admin.clone());
    let first = order(script, stage, ann, &product, 2).await;
    pay(script, stage, ann, &first).await;
    let answer = script.insist(async || admin.ship(&first).await).await;
    expect_status(script, ann, &first, &answer, 3).await;
    let answer = script.insist(async || ann.confirm(&first).await).await;
    expect_status(script, ann, &first, &answer, COMPLETED).await;
    let second = order(script, stage, bob, &product, 1).await;
    pay(script, stage, bob, &second).await;
    script.insist(async || admin.refund(&second).await).await;
    script.wait_for(bob, &second, &[REFUNDED]).await;
}

async fn checkout(script: &mut Script, stage: &Stage) {
    let [ann, bob] = &stage.buyers[..] else { panic!("two buyers") };
    for product in &stage.products {
        fill_cart(script, ann, product, 2).await;
    }
    let key = format!("{}-checkout", stage.name);
    let placed = script.insist(async || ann.checkout_once(&key).await).await.accepted();
    let numbers: Vec<String> = placed
        .as_array()
        .expect("a list of orders")
        .iter()
        .map(|order| order["order_no"].as_str().expect("a number").to_owned())
        .collect();
    assert_eq!(numbers.len(), 2, "{placed}");
    for number in &numbers {
        pay(script, stage, ann, number).await;
    }
    fill_cart(script, bob, &stage.products[0], 1).await;
    fill_cart(script, bob, &stage.products[1], 3).await;
    let key = format!("{}-second", stage.name);
    script.insist(async || bob.checkout_once(&key).await).await.accepted();
}

async fn administration(script: &mut Script, stage: &Stage) {
    let (product, admin) = (stage.products[0], script.admin.clone());
    let planned = script.insist(async || admin.try_plan_sale(&product, SalePlan::open_now(10)).await).await;
    let sale = match planned.data["id"].as_i64() {
        Some(id) => Sale { id, product },
        // planned by the request that was not answered
        None => find_sale(script, &product).await,
    };
    let restock = serde_json::json!({ "stock": 15 });
    script.insist(async || admin.change_sale(&sale, &restock).await).await.accepted();
    let cheaper = serde_json::json!({ "price": 8.88 });
    script.insist(async || admin.change_sale(&sale, &cheaper).await).await.accepted();
    let ann = &stage.buyers[0];
    let number = buy(script, stage, ann, &product).await;
    pay(script, stage, ann, &number).await;
    script.insist(async || admin.set_stock(&product, 12).await).await.accepted();
    script.insist(async || admin.set_stock(&product, 3).await).await.accepted();
    script.insist(async || admin.close_sale(&sale).await).await;
}

async fn guest(script: &mut Script, stage: &Stage) {
    let [ann] = &stage.buyers[..] else { panic!("one buyer") };
    let (product, visitor) = (stage.products[0], script.shop.visitor());
    let added = script.insist(async || visitor.add_to_cart(&product, 2).await).await;
    let token = added.headers["x-cart-token"].to_str().expect("a token").to_owned();
    let with = [("X-Cart-Token", token.as_str())];
    let who = serde_json::json!({ "username": ann.username, "password": format!("{}-2026", ann.username) });
    script.insist(async || visitor.ask(Method::POST, "/api/user/login", Some(&who), &with).await).await.accepted();
    let key = format!("{}-checkout", stage.name);
    let placed = script.insist(async || ann.checkout_once(&key).await).await.accepted();
    assert_eq!(placed[0]["quantity"], 2, "the cart has moved once: {placed}");
    pay(script, stage, ann, placed[0]["order_no"].as_str().expect("a number")).await;
}

async fn forgotten(script: &mut Script, stage: &Stage) {
    let [ann, bob] = &stage.buyers[..] else { panic!("two buyers") };
    let product = stage.products[0];
    let first = order(script, stage, ann, &product, 2).await;
    pay(script, stage, ann, &first).await;
    let books = script.shop.books().await;
    books.at_rest().await;
    books.lose_account(product.id).await;
    books.close().await;
    let second = order(script, stage, bob, &product, 1).await;
    pay(script, stage, bob, &second).await;
}

async fn deadline(script: &mut Script, stage: &Stage) {
    let [ann, bob] = &stage.buyers[..] else { panic!("two buyers") };
    let product = stage.products[0];
    let first = buy(script, stage, ann, &product).await;
    let second = buy(script, stage, bob, &product).await;
    script.wait_for(ann, &first, &[CANCELLED]).await;
    script.wait_for(bob, &second, &[CANCELLED]).await;
    // the units come back a moment after the order has ended; then whoever lost his order may have one again
    let again = loop {
        let answer = script.insist_past(SOLD_OUT, async || ann.buy(&product).await).await;
        let number = number_of(&answer);
        if number != first {
            break number;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    script.wait_for(ann, &again, &[CANCELLED]).await;
}

async fn buy(script: &mut Script, stage: &Stage, who: &Person, product: &Product) -> String {
    let key = format!("{}-buy", stage.name);
    script.insist(async || who.buy_once(product, &key).await).await.order_no()
}

/// Bought now, or by the click that was not answered.
fn number_of(answer: &Answer) -> String {
    assert!([0, ALREADY_BOUGHT].contains(&answer.code), "not bought: {answer:?}");
    answer.data["order_no"].as_str().unwrap_or_else(|| panic!("no number in {answer:?}")).to_owned()
}

/// An ordinary order.
pub async fn order(script: &mut Script, stage: &Stage, who: &Person, product: &Product, quantity: i64) -> String {
    let key = format!("{}-order", stage.name);
    script.insist(async || who.place_order_once(product, quantity, &key).await).await.order_no()
}

async fn pay(script: &mut Script, stage: &Stage, who: &Person, order_no: &str) {
    let key = format!("{}-pay-{order_no}", stage.name);
    let answer = script.insist(async || who.pay_once(order_no, &key).await).await;
    expect_status(script, who, order_no, &answer, PAID).await;
}

/// Done now, or (the repeat is refused) by the request that was not answered.
async fn expect_status(script: &mut Script, who: &Person, order_no: &str, answer: &Answer, status: i64) {
    let seen = script.insist(async || who.order(order_no).await).await.accepted();
    assert_eq!(seen["status"].as_i64(), Some(status), "{order_no} after {answer:?}");
}

async fn fill_cart(script: &mut Script, who: &Person, product: &Product, quantity: i64) {
    // a repeat of "add" would add again: put in one, then say how many
    script.insist(async || who.add_to_cart(product, 1).await).await.accepted();
    let body = serde_json::json!({ "product_id": product.id, "quantity": quantity });
    script.insist(async || who.put("/api/cart", &body).await).await.accepted();
}

async fn find_sale(script: &mut Script, product: &Product) -> Sale {
    let admin = script.admin.clone();
    let sales = script.insist(async || admin.get("/api/seckill?page_size=100").await).await.accepted();
    let list = sales["list"].as_array().expect("a list of sales");
    let known = list.iter().find(|sale| sale["product_id"] == product.id);
    let known = known.unwrap_or_else(|| panic!("no sale of product {} in {sales}", product.id));
    let id = known["sale_id"].as_i64().or_else(|| known["id"].as_i64()).expect("a sale's id");
    Sale { id, product: *product }
}
