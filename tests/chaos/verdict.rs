//! After the storm: waits until every order has ended, and holds the books to the clients' journals.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::books::{self, Stock, Unfinished};
use crate::cluster::{AMQP_QUEUE, Cluster};
use crate::crowd::Crowd;
use crate::inject::{Injected, may_lose_ledger};
use crate::journal::{Row, status};
use crate::office::{Office, UNITS};
use crate::plan::{Engine, Place};

/// Longest time to rest: the deadline of the last order, the lease of an effect whose node died, and the work.
pub const REST_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After the ledger was lost an acknowledged order may be unseen for so long: it is on its way through the queue, once
/// that and the database can be reached.
const BLINK_AFTER_LOSS: Duration = Duration::from_secs(20);
/// Orders that their buyers look up at both nodes.
const LOOKED_UP_MAX: usize = 200;
const TOLD_MAX: usize = 40;

/// The end of a run.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Must be empty.
    pub violations: Vec<String>,
    /// Orders by status.
    pub ends: BTreeMap<i64, u64>,
    pub rested_after: Duration,
}

/// Waits for the end of every order.
pub async fn rest(cluster: &Cluster, crowd: &Crowd) -> (Duration, Unfinished) {
    let begun = Instant::now();
    loop {
        let amqp = cluster.services.url(Engine::Rabbitmq);
        let left = books::unfinished(&cluster.db, &cluster.redis, amqp, AMQP_QUEUE).await;
        let is_over = !left.is_moving() && crowd.is_past_deadlines().await;
        if is_over || begun.elapsed() > REST_WITHIN {
            return (begun.elapsed(), left);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Everything that contradicts what people were told.
pub async fn judge(cluster: &Cluster, crowd: &Arc<Crowd>, office: &Office, injected: &[Injected]) -> Verdict {
    let (rested_after, left) = rest(cluster, crowd).await;
    let mut verdict = Verdict { rested_after, ..Verdict::default() };
    if left != Unfinished::default() {
        verdict.violations.push(format!("not at rest after {rested_after:.0?}: {left:?}"));
    }
    verdict.violations.extend(cluster.troubles());
    verdict.violations.append(&mut crowd.tally.violations.lock().unwrap());
    blinks(crowd, injected, &mut verdict);
    let rows = books::orders(&cluster.db).await.expect("the books can be read");
    for row in &rows {
        *verdict.ends.entry(row.status).or_default() += 1;
    }
    promises(crowd, &rows, &mut verdict).await;
    failures(&rows, injected, &mut verdict);
    limits(cluster, &rows, &mut verdict).await;
    units(&books::stock(&cluster.db).await.expect("the books can be read"), office, &rows, &mut verdict);
    looked_up(crowd, &mut verdict).await;
    let check = cluster.check().await;
    if !check.status.success() {
        let said = String::from_utf8_lossy(&check.stdout);
        let complaint = String::from_utf8_lossy(&check.stderr);
        verdict.violations.push(format!("rushmall check: {} {said}{complaint}", check.status));
    }
    let more = verdict.violations.len().saturating_sub(TOLD_MAX);
    if more > 0 {
        verdict.violations.truncate(TOLD_MAX);
        verdict.violations.push(format!("and {more} more"));
    }
    verdict
}

/// Each promise is kept, nothing is open, and nobody has an order that he was not told of.
async fn promises(crowd: &Crowd, rows: &[Row], verdict: &mut Verdict) {
    let mut by_number: HashMap<&str, &Row> = rows.iter().map(|row| (row.order_no.as_str(), row)).collect();
    for buyer in &crowd.buyers {
        let buyer = buyer.lock().await;
        for order in buyer.orders.values() {
            let row = by_number.remove(order.order_no.as_str());
            verdict.violations.extend(order.judge(row));
        }
        let never = buyer.open.iter().map(|question| format!("never answered: {question:?}"));
        verdict.violations.extend(never);
    }
    for row in by_number.values() {
        let mut history = Vec::new();
        for buyer in &crowd.buyers {
            let buyer = buyer.lock().await;
            if buyer.who.user_id == row.user_id {
                history.extend(buyer.history.iter().filter(|line| !line.contains("/api/order/0")).cloned());
            }
        }
        let history = history.join("\n    ");
        verdict.violations.push(format!("an order that nobody was told of: {row:?}; its buyer:\n    {history}"));
    }
}

/// A promise too many ends as a failed order, and only a lost ledger may promise too much.
fn failures(rows: &[Row], injected: &[Injected], verdict: &mut Verdict) {
    let failed = rows.iter().filter(|row| row.status == status::FAILED).count();
    if failed > 0 && !injected.iter().any(may_lose_ledger) {
        verdict.violations.push(format!("{failed} orders failed, and the ledger was never lost"));
    }
}

/// An acknowledged order is visible at once, unless the ledger was lost just before.
fn blinks(crowd: &Crowd, injected: &[Injected], verdict: &mut Verdict) {
    for (at, what) in crowd.tally.blinks.lock().unwrap().iter() {
        let is_explained = injected
            .iter()
            .filter(|injected| may_lose_ledger(injected))
            .any(|loss| loss.at <= *at && *at < seen_by(loss, injected));
        if !is_explained {
            verdict.violations.push(format!("an acknowledged order was not there: {what}"));
        }
    }
}

/// By when an order must be seen that was on its way when the ledger was lost.
fn seen_by(loss: &Injected, injected: &[Injected]) -> Instant {
    let by = loss.healed_at + BLINK_AFTER_LOSS;
    let on_its_way = injected.iter().filter(|other| holds_orders_up(other) && other.at <= by);
    on_its_way.map(|other| other.healed_at + BLINK_AFTER_LOSS).fold(by, Instant::max)
}

/// True if what lies between the queue and the books was broken.
fn holds_orders_up(injected: &Injected) -> bool {
    match injected.fault.place {
        Place::Engine(engine) | Place::Link(_, engine) => engine != Engine::Redis,
        Place::Node(_) | Place::Door(_) => false,
    }
}

/// Nobody has more units of a sale than its limit.
async fn limits(cluster: &Cluster, rows: &[Row], verdict: &mut Verdict) {
    let limits = books::limits(&cluster.db).await.expect("the books can be read");
    let mut units: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.pool != 0 && is_living(row)) {
        *units.entry((row.pool, row.user_id)).or_default() += row.quantity;
    }
    for ((sale, buyer), has) in units {
        let most = limits.get(&sale).copied().unwrap_or(0);
        if has > most {
            verdict.violations.push(format!("buyer {buyer} has {has} units of sale {sale}, {most} are allowed"));
        }
    }
}

fn is_living(row: &Row) -> bool {
    matches!(row.status, status::PAID | status::SHIPPED | status::COMPLETED)
}

/// Put in = free + held + sold in each pool, nothing negative, sold is what was sold, and what nobody put in or took
/// out is what it was.
fn units(stock: &[Stock], office: &Office, rows: &[Row], verdict: &mut Verdict) {
    let mut put_in: HashMap<i64, i64> = HashMap::new();
    for pool in stock {
        let Stock { product_id, pool: number, put_in: all, free, held, sold } = *pool;
        *put_in.entry(product_id).or_default() += all;
        let least = free.min(held).min(sold);
        if all != free + held + sold || least < 0 || held != 0 {
            verdict.violations.push(format!("units do not add up at rest: {pool:?}"));
        }
        let of_pool = |row: &&Row| row.product_id == product_id && row.pool == number && is_living(row);
        let living: i64 = rows.iter().filter(of_pool).map(|row| row.quantity).sum();
        // goods that were shipped and refunded stay sold
        if sold < living {
            verdict.violations.push(format!("{living} units under orders, but {pool:?}"));
        }
    }
    for product in office.sealed() {
        let has = put_in.get(&product.id).copied().unwrap_or_default();
        if has != UNITS {
            verdict.violations.push(format!("product {} has {has} units, {UNITS} were put in", product.id));
        }
    }
}

/// Buyers find their orders at every node.
async fn looked_up(crowd: &Arc<Crowd>, verdict: &mut Verdict) {
    let mut looked_up = 0;
    for buyer in &crowd.buyers {
        let buyer = buyer.lock().await;
        for order in buyer.orders.keys().take(1 + LOOKED_UP_MAX / crowd.buyers.len()) {
            looked_up += 1;
            verdict.violations.extend(crowd.find_everywhere(&buyer.who, order).await);
            if looked_up >= LOOKED_UP_MAX {
                return;
            }
        }
    }
}
