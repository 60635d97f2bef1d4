//! After the clicks: wait for the orders, pay and cancel shares of them, look every promised order up, read the books.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::arrivals::Sequence;
use super::client::Shop;
use super::figures::Books;
use super::stage::Buyer;
use super::stampede::Promise;
use crate::clock::monotonic;
use crate::ops::OpsError;

/// Requests under way at the same time.
const IN_FLIGHT_MAX: usize = 32;
/// Pause between two looks at the books.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Simulated payment.
const PAY_TYPE_SIMULATED: i64 = 9;
/// Status numbers of an order that exists but did not come to life: still processing, failed.
const NOT_ALIVE: [i64; 2] = [0, 8];

/// Reads the books again and again until `done` or until `until`; answers the last reading.
pub(super) async fn books_when(
    shop: &Shop,
    admin_token: &str,
    product_id: i64,
    until: Instant,
    done: impl Fn(&Books) -> bool,
) -> Result<Books, OpsError> {
    let path = format!("/api/admin/rehearsal/reconciliation?product_id={product_id}");
    loop {
        let data = shop.must_get(&path, admin_token).await?;
        let books: Books = serde_json::from_value(data)
            .map_err(|error| OpsError::Remote(format!("{path}: unreadable answer: {error}")))?;
        if done(&books) || monotonic() + LOOK_EVERY > until {
            return Ok(books);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Which promises are paid and which cancelled: shares of them, chosen by the seed.
pub(super) fn shares(promises: &[Promise], pay: f64, cancel: f64, seed: u64) -> (Vec<&Promise>, Vec<&Promise>) {
    let mut order: Vec<&Promise> = promises.iter().collect();
    // answers come back in any order: by buyer first, so that the seed decides and not the network
    order.sort_by_key(|promise| promise.buyer);
    Sequence::new(seed ^ 0x00AF_7E12).shuffle(&mut order);
    let paid = share_of(order.len(), pay);
    let cancelled = share_of(order.len(), cancel).min(order.len() - paid);
    let rest = order.split_off(paid);
    (order, rest.into_iter().take(cancelled).collect())
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "share is 0 to 1 and count is small"
)]
fn share_of(count: usize, share: f64) -> usize {
    ((count as f64 * share).round() as usize).min(count)
}

/// Pays these orders by the simulated gateway. Answers how many were paid, and the first refusal.
pub(super) async fn pay(shop: &Shop, buyers: &[Buyer], promises: &[&Promise]) -> (u64, Option<String>) {
    command_all(shop, buyers, promises, "pay", &json!({ "pay_type": PAY_TYPE_SIMULATED })).await
}

/// Cancels these orders. Answers how many were cancelled, and the first refusal.
pub(super) async fn cancel(shop: &Shop, buyers: &[Buyer], promises: &[&Promise]) -> (u64, Option<String>) {
    command_all(shop, buyers, promises, "cancel", &json!({})).await
}

async fn command_all(
    shop: &Shop,
    buyers: &[Buyer],
    promises: &[&Promise],
    command: &str,
    body: &Value,
) -> (u64, Option<String>) {
    let commands = promises.iter().map(|promise| async {
        let path = format!("/api/order/{}/{command}", promise.order_no);
        match shop.post(&path, &buyers[promise.buyer].token, body).await {
            Ok(answer) if answer.code == 0 => None,
            Ok(answer) => Some(format!("{command} was refused with {} {}", answer.code, answer.message)),
            Err(error) => Some(format!("{command} got no readable answer: {error}")),
        }
    });
    let outcomes: Vec<Option<String>> = stream::iter(commands).buffer_unordered(IN_FLIGHT_MAX).collect().await;
    let done = outcomes.iter().filter(|refusal| refusal.is_none()).count();
    (done as u64, outcomes.into_iter().flatten().next())
}

/// Looks every promised order up as its buyer; answers how many are alive. One that is not is looked up again until
/// `until`.
pub(super) async fn find(shop: &Shop, buyers: &[Buyer], promises: &[Promise], until: Instant) -> u64 {
    let lookups = promises.iter().map(|promise| async {
        let path = format!("/api/order/{}", promise.order_no);
        loop {
            let answer = shop.get(&path, &buyers[promise.buyer].token).await;
            let alive = answer.is_ok_and(|answer| answer.code == 0 && is_alive(&answer.data));
            if alive || monotonic() + LOOK_EVERY > until {
                return alive;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    stream::iter(lookups)
        .buffer_unordered(IN_FLIGHT_MAX)
        .fold(0, |found, alive| async move { found + u64::from(alive) })
        .await
}

/// The order itself, or inside `order`.
fn is_alive(data: &Value) -> bool {
    let status = data["status"].as_i64().or_else(|| data["order"]["status"].as_i64());
    status.is_some_and(|status| !NOT_ALIVE.contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promises(count: usize) -> Vec<Promise> {
        (0..count).map(|buyer| Promise { order_no: format!("N{buyer}"), buyer }).collect()
    }

    #[test]
    fn shares_are_disjoint_as_large_as_asked_and_repeatable() {
        let mut promises = promises(100);
        let (paid, cancelled) = shares(&promises, 0.6, 0.1, 1);
        assert_eq!((paid.len(), cancelled.len()), (60, 10));
        assert!(cancelled.iter().all(|promise| !paid.contains(promise)));
        let numbers = |some: &[&Promise]| some.iter().map(|p| p.order_no.clone()).collect::<Vec<_>>();
        let first = (numbers(&paid), numbers(&cancelled));
        promises.reverse(); // the answers came in another order
        let (paid, cancelled) = shares(&promises, 0.6, 0.1, 1);
        assert_eq!((numbers(&paid), numbers(&cancelled)), first);
    }

    #[test]
    fn shares_beyond_the_whole_are_cut() {
        let promises = promises(10);
        let (paid, cancelled) = shares(&promises, 0.8, 0.7, 1);
        assert_eq!((paid.len(), cancelled.len()), (8, 2));
        assert_eq!(shares(&[], 1.0, 1.0, 1).0.len(), 0);
    }

    #[test]
    fn an_order_is_alive_once_it_is_more_than_a_ticket() {
        assert!(is_alive(&json!({ "status": 1 })) && is_alive(&json!({ "order": { "status": 5 } })));
        assert!(!is_alive(&json!({ "status": 0 })) && !is_alive(&json!({ "status": 8 })) && !is_alive(&json!(null)));
    }
}
