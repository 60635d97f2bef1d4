//! Buyers who do everything that buyers do, as careful clients: each request that matters has an Idempotency-Key, and is
//! repeated under it, at this node or the other, until it is answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Short};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::cluster::PAY_DEADLINE;
use crate::journal::{Act, Deed, Order, Question, is_final};
use crate::recovery::Accepted;
use crate::support::client::{Address, Answer, NEVER_SENT, Person};
use crate::support::load::Dice;
use crate::support::verbs::{Product, SIMULATED, wire_time};

/// How long a buyer repeats before he does something else; the question stays open.
const PATIENCE: Duration = Duration::from_secs(12);
/// How long he looks for an order after the run.
const FOUND_WITHIN: Duration = Duration::from_secs(30);
const CODE_NOT_FOUND: i64 = 30001;

/// What the crowd has seen.
#[derive(Debug, Default)]
pub struct Tally {
    pub requests: AtomicU64,
    /// Requests whose answer was never read.
    pub unheard: AtomicU64,
    /// Purchases, orders and checkouts that were accepted.
    pub accepted: AtomicU64,
    /// Acknowledged acts on orders.
    pub acts: Short<BTreeMap<Act, u64>>,
    /// Answers by HTTP status and code.
    pub answers: Short<BTreeMap<(u16, i64), u64>>,
    /// What must not happen, whatever breaks.
    pub violations: Short<Vec<String>>,
    /// Acknowledged orders that a node did not know for a moment: when, and which.
    pub blinks: Short<Vec<(Instant, String)>>,
}

/// One buyer and his journal.
#[derive(Debug)]
pub struct Buyer {
    pub who: Person,
    pub orders: BTreeMap<String, Order>,
    pub open: Vec<Question>,
    /// What was asked under which key and how it was answered, for looking into a violation.
    pub history: Vec<String>,
    asked: u64,
}

/// Everybody outside.
pub struct Crowd {
    pub buyers: Vec<Arc<Mutex<Buyer>>>,
    pub products: Vec<Product>,
    pub tally: Tally,
    admin: Person,
    doors: Vec<Address>,
    accepted: mpsc::Sender<Accepted>,
}

/// An answer, and the request that it answers.
struct Told {
    answer: Answer,
    clicked: Instant,
    node: usize,
}

/// A request that is repeated until it is answered.
#[derive(Clone, Copy)]
struct Asking<'a> {
    path: &'a str,
    body: &'a Value,
    key: &'a str,
}

/// One request to one node.
struct Sending<'a> {
    node: usize,
    path: &'a str,
    /// `None`: it only looks.
    body: Option<&'a Value>,
    key: Option<&'a str>,
}

/// A request and its answer on one line.
fn line(path: &str, body: &Value, key: &str, told: &Told) -> String {
    let Told { answer, clicked, node } = told;
    let (took, now) = (clicked.elapsed(), wire_time(rushmall::clock::Clock::default().now_ms()));
    let order_no = answer.data["order_no"].as_str().unwrap_or_default();
    let Answer { status, code, .. } = answer;
    format!("{now} {key} {path} {body} at node {node}: {status}/{code} {order_no} after {took:.1?}")
}

impl Crowd {
    /// People in front of these doors, and where they say what was accepted.
    pub fn new(
        buyers: Vec<Person>,
        products: Vec<Product>,
        admin: Person,
        doors: Vec<Address>,
    ) -> (Arc<Self>, mpsc::Receiver<Accepted>) {
        let (accepted, heard) = mpsc::channel(65_536);
        let buyer = |who| Buyer { who, orders: BTreeMap::new(), open: Vec::new(), history: Vec::new(), asked: 0 };
        let stand = |who| Arc::new(Mutex::new(buyer(who)));
        let buyers = buyers.into_iter().map(stand).collect();
        (Arc::new(Self { buyers, products, tally: Tally::default(), admin, doors, accepted }), heard)
    }

    /// Lets `hands` tasks act for random buyers until `stop` is raised.
    pub fn rush(self: &Arc<Self>, hands: u64, seed: u64, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
        let hand = |number: u64| {
            let (crowd, stop) = (Arc::clone(self), Arc::clone(stop));
            let mut dice = Dice::new(seed ^ ((number + 1) << 40));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let chosen = dice.below(crowd.buyers.len() as u64) as usize;
                    // somebody else acts for him at the moment
                    let Ok(mut buyer) = crowd.buyers[chosen].clone().try_lock_owned() else { continue };
                    crowd.act(&mut buyer, &mut dice).await;
                    tokio::time::sleep(Duration::from_millis(2 + dice.below(20))).await;
                }
            })
        };
        (0..hands).map(hand).collect()
    }

    /// One thing that a buyer might do now.
    async fn act(&self, buyer: &mut Buyer, dice: &mut Dice) {
        match dice.below(100) {
            0..44 => {
                let body = json!({ "product_id": self.any_product(dice).id, "quantity": 1 });
                self.buy(buyer, "/api/seckill", body, dice).await;
            }
            44..52 => {
                let body = json!({ "product_id": self.any_product(dice).id, "quantity": 1 + dice.below(3) });
                self.buy(buyer, "/api/order", body, dice).await;
            }
            52..58 => self.check_out(buyer, dice).await,
            58..76 => self.touch(buyer, dice, Act::Pay, |order| order.is_untouched()).await,
            76..82 => self.touch(buyer, dice, Act::Cancel, |order| order.is_untouched()).await,
            82..86 => self.touch(buyer, dice, Act::Ship, |order| order.deed(Act::Pay) == Deed::Done).await,
            86..89 => self.touch(buyer, dice, Act::Receive, |order| order.deed(Act::Ship) == Deed::Done).await,
            89..91 => self.touch(buyer, dice, Act::Refund, |order| order.deed(Act::Pay) == Deed::Done).await,
            91..96 => self.look(buyer, dice).await,
            _ => self.ask_again(buyer, dice).await,
        }
    }

    fn any_product(&self, dice: &mut Dice) -> Product {
        self.products[dice.below(self.products.len() as u64) as usize]
    }

    async fn check_out(&self, buyer: &mut Buyer, dice: &mut Dice) {
        for _ in 0..1 + dice.below(2) {
            let body = json!({ "product_id": self.any_product(dice).id, "quantity": 1 });
            let node = dice.below(self.doors.len() as u64) as usize;
            let sending = Sending { node, path: "/api/cart", body: Some(&body), key: None };
            self.send(&buyer.who, sending).await; // a cart is a convenience
        }
        self.buy(buyer, "/api/order/checkout", json!({}), dice).await;
    }

    /// Buys under a fresh key.
    async fn buy(&self, buyer: &mut Buyer, path: &'static str, body: Value, dice: &mut Dice) {
        buyer.asked += 1;
        let key = format!("{}-{}", buyer.who.username, buyer.asked);
        let number = |name: &str| body[name].as_i64().unwrap_or_default();
        let question = Question { key, path, wanted: (number("product_id"), number("quantity")), body };
        self.pursue(buyer, question, dice, PATIENCE).await;
    }

    /// Asks one of the open questions again.
    async fn ask_again(&self, buyer: &mut Buyer, dice: &mut Dice) {
        if buyer.open.is_empty() {
            return;
        }
        let question = buyer.open.remove(dice.below(buyer.open.len() as u64) as usize);
        self.pursue(buyer, question, dice, PATIENCE).await;
    }

    /// Asks until there is an answer, and writes it down; the question stays open if there is none.
    async fn pursue(&self, buyer: &mut Buyer, question: Question, dice: &mut Dice, patience: Duration) {
        let asked = Asking { path: question.path, body: &question.body, key: &question.key };
        let told = self.insist(&buyer.who, asked, dice, patience, &mut buyer.history).await;
        match told {
            Some(told) => self.write_down(buyer, &question, &told),
            None => buyer.open.push(question),
        }
    }

    fn write_down(&self, buyer: &mut Buyer, question: &Question, told: &Told) {
        if !told.answer.is_accepted() {
            return; // decided: nothing happened under this key
        }
        let data = &told.answer.data;
        let orders = data.as_array().cloned().unwrap_or_else(|| vec![data.clone()]);
        for order in orders {
            let Some(order_no) = order["order_no"].as_str().filter(|number| !number.is_empty()) else {
                self.violation(format!("accepted without a number: {:?}", told.answer));
                continue;
            };
            let product_id = order["product_id"].as_i64().unwrap_or(question.wanted.0);
            let quantity = order["quantity"].as_i64().unwrap_or(question.wanted.1);
            let mut told_of = Order::told(order_no, buyer.who.user_id, product_id, quantity);
            told_of.is_abandoned = order_no.bytes().last().is_some_and(|byte| byte % 5 == 0);
            self.tally.accepted.fetch_add(1, Ordering::Relaxed);
            if buyer.orders.insert(order_no.to_owned(), told_of).is_some() {
                self.violation(format!("order {order_no} answers two keys, one of them {}", question.key));
            }
            let accepted = Accepted { clicked: told.clicked, node: told.node, order_no: order_no.to_owned() };
            let _ = self.accepted.try_send(accepted); // more than the watcher can look at
        }
    }

    /// Does something with one of the buyer's orders that fit.
    async fn touch(&self, buyer: &mut Buyer, dice: &mut Dice, act: Act, fits: impl Fn(&Order) -> bool) {
        let fits = |order: &&Order| !order.is_abandoned && fits(order) && order.deed(act) == Deed::Never;
        let fitting: Vec<String> = buyer.orders.values().filter(fits).map(|order| order.order_no.clone()).collect();
        if fitting.is_empty() {
            return;
        }
        let order_no = &fitting[dice.below(fitting.len() as u64) as usize];
        let order = buyer.orders.get_mut(order_no).expect("just found");
        let (path, body) = match act {
            Act::Pay => (format!("/api/order/{order_no}/pay"), json!({ "pay_type": SIMULATED })),
            Act::Cancel => (format!("/api/order/{order_no}/cancel"), json!({})),
            Act::Receive => (format!("/api/order/{order_no}/confirm"), json!({})),
            Act::Refund => (format!("/api/admin/orders/{order_no}/refund"), json!({ "reason": "chaos" })),
            Act::Ship => {
                let parcel = json!({ "carrier": "SF", "tracking_no": format!("SF{order_no}") });
                (format!("/api/order/{order_no}/ship"), parcel)
            }
        };
        let who = if matches!(act, Act::Ship | Act::Refund) { &self.admin } else { &buyer.who };
        let told_since = order.told_at;
        order.ask(act);
        let key = format!("{act:?}-{order_no}");
        let asked = Asking { path: &path, body: &body, key: &key };
        let Some(told) = self.insist(who, asked, dice, PATIENCE, &mut buyer.history).await else { return };
        order.learn(act, &told.answer);
        if told.answer.is_accepted() {
            *self.tally.acts.lock().unwrap().entry(act).or_default() += 1;
        } else if told.answer.code == CODE_NOT_FOUND {
            self.blink(
                told.clicked,
                format!("{act:?} of {order_no} {:?} old: {:?}", told_since.elapsed(), told.answer),
            );
        }
    }

    /// Looks at one of the buyer's orders, at any node: it must be there and must not go back behind what was told.
    async fn look(&self, buyer: &Buyer, dice: &mut Dice) {
        if buyer.orders.is_empty() {
            return;
        }
        let order = buyer.orders.values().nth(dice.below(buyer.orders.len() as u64) as usize).expect("in bounds");
        let path = format!("/api/order/{}", order.order_no);
        let node = dice.below(self.doors.len() as u64) as usize;
        let told = self.send(&buyer.who, Sending { node, path: &path, body: None, key: None }).await;
        if told.answer.code == CODE_NOT_FOUND {
            let age = order.told_at.elapsed();
            self.blink(told.clicked, format!("{} {age:?} old at node {node}", order.order_no));
        } else if told.answer.is_accepted() && order.deed(Act::Pay) == Deed::Done {
            let status = told.answer.data["status"].as_i64().unwrap_or(-1);
            if !matches!(status, 2 | 3 | 4 | 6 | 7) {
                self.violation(format!("{} was paid and node {node} shows it as {status}", order.order_no));
            }
        }
    }

    /// Sends it under its key until the shop has decided, changing nodes; `None` if patience ends first.
    async fn insist(
        &self,
        who: &Person,
        Asking { path, body, key }: Asking<'_>,
        dice: &mut Dice,
        patience: Duration,
        history: &mut Vec<String>,
    ) -> Option<Told> {
        let until = Instant::now() + patience;
        let mut node = dice.below(self.doors.len() as u64) as usize;
        loop {
            let told = self.send(who, Sending { node, path, body: Some(body), key: Some(key) }).await;
            history.push(line(path, body, key, &told));
            if matches!(told.answer.status, 401 | 403) {
                self.violation(format!("somebody who is signed in was refused: {:?}", told.answer));
            }
            if is_final(&told.answer) {
                return Some(told);
            }
            if Instant::now() > until {
                return None;
            }
            let pause_ms = if told.answer.code == NEVER_SENT { 50 } else { 100 };
            tokio::time::sleep(Duration::from_millis(pause_ms + dice.below(300))).await;
            if dice.below(2) == 0 {
                node = (node + 1) % self.doors.len();
            }
        }
    }

    async fn send(&self, who: &Person, Sending { node, path, body, key }: Sending<'_>) -> Told {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut who = who.clone();
        who.address = self.doors[node].clone();
        let clicked = Instant::now();
        let headers: Vec<(&str, &str)> = key.map(|key| ("Idempotency-Key", key)).into_iter().collect();
        let answer = who.ask(method, path, body, &headers).await;
        self.tally.requests.fetch_add(1, Ordering::Relaxed);
        if !answer.was_heard() {
            self.tally.unheard.fetch_add(1, Ordering::Relaxed);
        }
        *self.tally.answers.lock().unwrap().entry((answer.status, answer.code)).or_default() += 1;
        Told { answer, clicked, node }
    }

    /// Asks every open question until it is answered; what is not answered within `patience` stays open.
    pub async fn resolve(&self, seed: u64, patience: Duration) {
        let until = Instant::now() + patience;
        let ask = async |number: usize, buyer: &Mutex<Buyer>| {
            let (mut buyer, mut dice) = (buyer.lock().await, Dice::new(seed ^ number as u64));
            for question in std::mem::take(&mut buyer.open) {
                let left = until.saturating_duration_since(Instant::now());
                self.pursue(&mut buyer, question, &mut dice, left).await;
            }
        };
        futures::future::join_all(self.buyers.iter().enumerate().map(|(number, buyer)| ask(number, buyer))).await;
    }

    /// True once orders that nobody pays have passed their deadline.
    pub async fn is_past_deadlines(&self) -> bool {
        let mut latest = None;
        for buyer in &self.buyers {
            latest = latest.max(buyer.lock().await.orders.values().map(|order| order.told_at).max());
        }
        latest.is_none_or(|latest| latest.elapsed() > PAY_DEADLINE)
    }

    /// What is wrong with how an order is seen at each node.
    pub async fn find_everywhere(&self, who: &Person, order_no: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for node in 0..self.doors.len() {
            let path = format!("/api/order/{order_no}");
            let until = Instant::now() + FOUND_WITHIN;
            let told = loop {
                let told = self.send(who, Sending { node, path: &path, body: None, key: None }).await;
                if !told.answer.is_open() || Instant::now() > until {
                    break told;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            if told.answer.data["order_no"].as_str() != Some(order_no) {
                wrong.push(format!("order {order_no} is not seen at node {node}: {:?}", told.answer));
            }
        }
        wrong
    }

    fn violation(&self, what: String) {
        self.tally.violations.lock().unwrap().push(what);
    }

    fn blink(&self, at: Instant, what: String) {
        self.tally.blinks.lock().unwrap().push((at, what));
    }
}
