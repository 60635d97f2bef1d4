//! A key is worked once, answered alike ever after, and taken over with what its first turn had set aside.

use super::*;
use crate::clock::Clock;
use crate::persistence::testing::{OwnDatabase, database};
use crate::random::OrderNumbers;

const NOW_MS: i64 = 1_795_000_000_000;
const LEASE_MS: i64 = 10_000;
const LEASE: Lease = Lease { slot: 3, ms: LEASE_MS };

struct Shop {
    db: Db,
    numbers: OrderNumbers,
    _own: OwnDatabase,
}

async fn shop() -> Shop {
    let (db, own) = database().await;
    Shop { db, numbers: OrderNumbers::new(Clock::default(), 0), _own: own }
}

impl Shop {
    async fn begin(&self, key: &IdempotencyKey, body: &str, now_ms: i64) -> Begun {
        let fresh = [self.numbers.next(), self.numbers.next()];
        begin(&self.db, key, Work { fingerprint: body, fresh: &fresh, lines: &[], lease: LEASE }, now_ms).await.unwrap()
    }
}

fn key(user: i64) -> IdempotencyKey {
    IdempotencyKey { user: BuyerId(user), key: "k".to_owned() }
}

fn turn(begun: &Begun) -> (Vec<OrderNo>, bool, i64) {
    match begun {
        Begun::Work { order_nos, is_repeat, lease_until_ms, .. } => (order_nos.clone(), *is_repeat, *lease_until_ms),
        other => panic!("{other:?}"),
    }
}

fn answer() -> StoredAnswer {
    StoredAnswer { http_status: 200, text: r#"{"code":0,"data":"好""#.to_owned() }
}

#[actix_rt::test]
async fn the_first_answer_is_repeated_byte_for_byte() {
    let shop = shop().await;
    let (_, is_repeat, lease) = turn(&shop.begin(&key(1), "a", NOW_MS).await);
    assert!(!is_repeat);
    assert!(finish(&shop.db, &key(1), lease, &answer()).await.unwrap());
    assert_eq!(shop.begin(&key(1), "a", NOW_MS + KEPT_MS - 1).await, Begun::Answered(answer()));
    assert_eq!(shop.begin(&key(1), "b", NOW_MS + 1).await, Begun::OtherRequest);
    assert!(!turn(&shop.begin(&key(2), "b", NOW_MS + 1).await).1, "another user's key is another key");
}

#[actix_rt::test]
async fn while_the_first_works_the_second_waits() {
    let shop = shop().await;
    turn(&shop.begin(&key(1), "a", NOW_MS).await);
    assert_eq!(shop.begin(&key(1), "a", NOW_MS + 4_000).await, Begun::Running { lease_left_ms: 6_000 });
    assert_eq!(shop.begin(&key(1), "b", NOW_MS + 4_000).await, Begun::OtherRequest);
}

#[actix_rt::test]
async fn spent_numbers_are_replaced_for_the_next_turn() {
    let shop = shop().await;
    let (spent, _, lease) = turn(&shop.begin(&key(1), "a", NOW_MS).await);
    let fresh = [shop.numbers.next()];
    renumber(&shop.db, &key(1), lease, &fresh, &[]).await.unwrap();
    abandon(&shop.db, &key(1), lease).await.unwrap();
    let (numbers, is_repeat, _) = turn(&shop.begin(&key(1), "a", NOW_MS + 1).await);
    assert_eq!((numbers.as_slice(), is_repeat), (fresh.as_slice(), true));
    assert_ne!(numbers, spent);
}

#[actix_rt::test]
async fn the_turns_of_a_dead_process_end_at_the_next_start_and_answers_stay() {
    for holders in [Holders::All, Holders::Slot(3)] {
        let shop = shop().await;
        let (numbers, _, _) = turn(&shop.begin(&key(1), "a", NOW_MS).await);
        let (_, _, lease) = turn(&shop.begin(&key(2), "a", NOW_MS).await);
        finish(&shop.db, &key(2), lease, &answer()).await.unwrap();
        assert_eq!(abandon_all(&shop.db, Holders::Slot(2)).await.unwrap(), 0, "another node's");
        assert_eq!(shop.begin(&key(1), "a", NOW_MS + 1).await, Begun::Running { lease_left_ms: LEASE_MS - 1 });
        assert_eq!(abandon_all(&shop.db, holders).await.unwrap(), 1);
        let (again, is_repeat, _) = turn(&shop.begin(&key(1), "a", NOW_MS + 1).await);
        assert_eq!((again, is_repeat), (numbers, true));
        assert_eq!(shop.begin(&key(2), "a", NOW_MS + 1).await, Begun::Answered(answer()));
    }
}

#[actix_rt::test]
async fn a_lease_that_ended_is_taken_over_with_the_same_numbers() {
    let shop = shop().await;
    let (numbers, _, lost) = turn(&shop.begin(&key(1), "a", NOW_MS).await);
    let (again, is_repeat, lease) = turn(&shop.begin(&key(1), "a", NOW_MS + LEASE_MS).await);
    assert_eq!((again, is_repeat), (numbers, true));
    assert!(!finish(&shop.db, &key(1), lost, &answer()).await.unwrap(), "the lost turn may not answer any more");
    assert!(finish(&shop.db, &key(1), lease, &answer()).await.unwrap());
}

#[actix_rt::test]
async fn an_abandoned_turn_can_be_repeated_at_once() {
    let shop = shop().await;
    let (numbers, _, lease) = turn(&shop.begin(&key(1), "a", NOW_MS).await);
    assert!(abandon(&shop.db, &key(1), lease).await.unwrap());
    let (again, is_repeat, _) = turn(&shop.begin(&key(1), "a", NOW_MS + 1).await);
    assert_eq!((again, is_repeat), (numbers, true));
}

#[actix_rt::test]
async fn only_the_turn_that_has_the_key_may_change_its_numbers() {
    let shop = shop().await;
    let (_, _, lost) = turn(&shop.begin(&key(1), "a", NOW_MS).await);
    let (_, _, lease) = turn(&shop.begin(&key(1), "a", NOW_MS + LEASE_MS).await);
    let fresh = [shop.numbers.next(), shop.numbers.next()];
    assert!(!renumber(&shop.db, &key(1), lost, &[shop.numbers.next()], &[]).await.unwrap());
    assert!(renumber(&shop.db, &key(1), lease, &fresh, &[]).await.unwrap());
    let (again, is_repeat, _) = turn(&shop.begin(&key(1), "a", NOW_MS + 2 * LEASE_MS).await);
    assert_eq!((again.as_slice(), is_repeat), (fresh.as_slice(), true));
}

#[actix_rt::test]
async fn what_the_numbers_are_for_is_remembered_with_them() {
    let shop = shop().await;
    let fresh = [shop.numbers.next(), shop.numbers.next()];
    let line = |order_no, product, units: i64| OrderLine {
        order_no,
        product: ProductId(product),
        quantity: units.try_into().unwrap(),
    };
    let lines = [line(fresh[0], 7, 1), line(fresh[1], 8, 999)];
    let work = Work { fingerprint: "a", fresh: &fresh, lines: &lines, lease: LEASE };
    begin(&shop.db, &key(1), work, NOW_MS).await.unwrap();
    let other = [shop.numbers.next()];
    let work = Work { fingerprint: "a", fresh: &other, lines: &[line(other[0], 9, 5)], lease: LEASE };
    let Begun::Work { order_nos, lines: told, lease_until_ms, .. } =
        begin(&shop.db, &key(1), work, NOW_MS + LEASE_MS).await.unwrap()
    else {
        panic!("the lease has ended")
    };
    assert_eq!((order_nos.as_slice(), told.as_slice()), (&fresh[..], &lines[..]));
    assert!(renumber(&shop.db, &key(1), lease_until_ms, &other, work.lines).await.unwrap());
    let again = begin(&shop.db, &key(1), work, NOW_MS + 3 * LEASE_MS).await.unwrap();
    assert!(matches!(again, Begun::Work { lines, .. } if lines == work.lines));
}

#[actix_rt::test]
async fn of_many_requests_at_once_one_works() {
    let shop = shop().await;
    let key = key(1);
    let all = futures::future::join_all((0..20).map(|_| shop.begin(&key, "a", NOW_MS))).await;
    assert_eq!(all.iter().filter(|begun| matches!(begun, Begun::Work { .. })).count(), 1);
}

#[actix_rt::test]
async fn keys_are_forgotten_after_a_day() {
    let shop = shop().await;
    let (numbers, _, lease) = turn(&shop.begin(&key(1), "a", NOW_MS).await);
    finish(&shop.db, &key(1), lease, &answer()).await.unwrap();
    let (fresh, is_repeat, _) = turn(&shop.begin(&key(1), "b", NOW_MS + KEPT_MS).await);
    assert!(!is_repeat && fresh != numbers);
    assert_eq!(purge(&shop.db, NOW_MS + KEPT_MS).await.unwrap(), 0);
    assert_eq!(purge(&shop.db, NOW_MS + 2 * KEPT_MS).await.unwrap(), 1);
}
