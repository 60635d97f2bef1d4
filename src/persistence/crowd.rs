//! Several nodes on one database at the same moment: whoever comes first wins, nobody is lost, no unit is sold twice.
//!
//! Each node has a pool of its own. On SQLite, whose file belongs to one node, the crowd waits for the write lock.

use std::collections::HashSet;

use futures::future::join_all;

use super::carts::{CartChange, CartOwner, CartStore as _, SqlCarts};
use super::effects;
use super::fixture::{NOW_MS, PAY_DEADLINE_MS, PRODUCT, Shop, alone};
use super::idempotency::{self, Begun, IdempotencyKey, Work};
use super::journal::{self, CommitOutcome};
use super::ledger::{StockLedger, TicketRef};
use super::placing::{self, GroupOutcome, OrderGroup, PlaceTerms};
use super::products::{self, FirstUnits};
use super::sessions::{self, SignIn};
use super::stock_moves::{self, MoveRefusal, StockPlan};
use super::testing::{item, named, user};
use super::users::{self, UserRejection};
use super::{Db, Lease, SqlLedger, stock};
use crate::domain::order::{CancelReason, Command, PayChannel, decide};
use crate::domain::stock::{Claim, Pool, Ticket};
use crate::domain::{BuyerId, ProductId};

const TERMS: PlaceTerms = PlaceTerms { pay_deadline_ms: PAY_DEADLINE_MS };
const OTHER: ProductId = ProductId(2);
const LEASE: Lease = Lease { slot: 0, ms: 60_000 };

struct Crowd {
    shop: Shop,
    nodes: Vec<Db>,
}

impl Crowd {
    async fn with_units(units: i64) -> Self {
        let shop = Shop::with_units(units).await;
        let nodes = join_all((0..3).map(|_| shop.own.another())).await;
        Self { shop, nodes }
    }

    /// What `each` answers on all nodes, `times` on each, all at once.
    async fn all<T>(&self, times: usize, each: impl AsyncFn(&Db, usize) -> T) -> Vec<T> {
        let each = &each;
        let on_node = |(index, node)| (0..times).map(move |time| each(node, index * times + time));
        join_all(self.nodes.iter().enumerate().flat_map(on_node)).await
    }

    async fn tickets(&self, count: i64) -> Vec<Ticket> {
        let claims: Vec<Claim> = (0..count).map(|buyer| self.shop.claim(Pool::Free, buyer, 1)).collect();
        let answers = self.shop.ledger.reserve(PRODUCT, &claims, NOW_MS).await.unwrap();
        answers.into_iter().map(Result::unwrap).collect()
    }
}

#[actix_rt::test]
async fn t2_the_hot_row_sells_what_it_has_and_no_more() {
    let crowd = Crowd::with_units(90).await;
    let tickets = crowd.tickets(90).await;
    crowd.shop.sql("UPDATE stock SET free = 50, put_in = 50").await; // the ledger has promised too much
    let outcomes = crowd
        .all(15, async |node, number| {
            let groups: Vec<OrderGroup> = tickets[number * 2..number * 2 + 2].iter().map(alone).collect();
            placing::place(node, &groups, TERMS, NOW_MS).await.unwrap()
        })
        .await;
    let count = |wanted: fn(&GroupOutcome) -> usize| outcomes.iter().flatten().map(wanted).sum::<usize>();
    let placed = count(|outcome| matches!(outcome, GroupOutcome::Placed { placed, .. } if !placed.is_empty()).into());
    let failed = count(|outcome| matches!(outcome, GroupOutcome::Placed { failed, .. } if !failed.is_empty()).into());
    assert_eq!((placed, failed), (50, 40));
    let row = stock::of_product(&crowd.shop.db, PRODUCT).await.unwrap()[0];
    assert_eq!((row.free, row.held, row.put_in), (0, 50, 50));
}

#[actix_rt::test]
async fn t4_tickets_that_every_node_delivers_are_placed_once() {
    let crowd = Crowd::with_units(40).await;
    let tickets = crowd.tickets(40).await;
    let groups: Vec<OrderGroup> = tickets.iter().map(alone).collect();
    let outcomes = crowd.all(4, async |node, _| placing::place(node, &groups, TERMS, NOW_MS).await.unwrap()).await;
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]));
    crowd.shop.ledger.settle(&tickets.iter().map(TicketRef::from).collect::<Vec<_>>()).await.unwrap();
    crowd.shop.assert_sound().await;
}

#[actix_rt::test]
async fn r73_two_products_in_either_order_do_not_deadlock_for_good() {
    let crowd = Crowd::with_units(60).await;
    crowd.shop.product(OTHER).await;
    crowd.shop.moves(OTHER, StockPlan::PutIn { units: 60 }).await;
    let mut groups = Vec::new();
    for number in 0..60 {
        let mut tickets = Vec::new();
        for product in [PRODUCT, OTHER] {
            let claim = Claim { product, ..crowd.shop.claim(Pool::Free, number, 1) };
            tickets.push(crowd.shop.ledger.reserve(product, &[claim], NOW_MS).await.unwrap().pop().unwrap().unwrap());
        }
        if number % 2 == 0 {
            tickets.reverse();
        }
        groups.push(OrderGroup { tickets, atomic: true, clears_cart_of: None });
    }
    let outcomes = crowd.all(20, async |node, number| {
        placing::place(node, std::slice::from_ref(&groups[number]), TERMS, NOW_MS).await.unwrap()
    });
    let placed = |outcome: &GroupOutcome| matches!(outcome, GroupOutcome::Placed { failed, .. } if failed.is_empty());
    assert!(outcomes.await.iter().flatten().all(placed));
    let refs: Vec<TicketRef> = groups.iter().flat_map(|group| &group.tickets).map(TicketRef::from).collect();
    crowd.shop.ledger.settle(&refs).await.unwrap();
    crowd.shop.assert_sound().await;
}

#[actix_rt::test]
async fn r55_one_of_many_nodes_changes_an_order() {
    let crowd = Crowd::with_units(10).await;
    let loaded = crowd.shop.order(Pool::Free, 1, 1).await;
    let outcomes = crowd
        .all(6, async |node, number| {
            let command = if number % 2 == 0 {
                Command::Cancel { reason: CancelReason::Buyer }
            } else {
                Command::PayAtOnce { channel: PayChannel::Card, transaction_id: "t".to_owned() }
            };
            let events = decide(&loaded.order, &command, NOW_MS).unwrap();
            journal::commit(node, &loaded, &events, NOW_MS).await.unwrap()
        })
        .await;
    let won = outcomes.iter().filter(|outcome| matches!(outcome, CommitOutcome::Committed { .. })).count();
    let lost = outcomes.iter().filter(|outcome| **outcome == CommitOutcome::Lost).count();
    assert_eq!((won, lost), (1, 17), "{outcomes:?}");
    crowd.shop.assert_sound().await;
}

#[actix_rt::test]
async fn commits_of_many_orders_of_one_product_all_come_through() {
    let crowd = Crowd::with_units(30).await;
    let mut orders = Vec::new();
    for buyer in 0..30 {
        orders.push(crowd.shop.order(Pool::Free, buyer, 1).await);
    }
    let pay = |number: usize| Command::PayAtOnce { channel: PayChannel::Card, transaction_id: format!("t{number}") };
    let outcomes = crowd.all(10, async |node, number| {
        let events = decide(&orders[number].order, &pay(number), NOW_MS).unwrap();
        journal::commit(node, &orders[number], &events, NOW_MS).await.unwrap()
    });
    let all_won = outcomes.await.iter().all(|outcome| matches!(outcome, CommitOutcome::Committed { .. }));
    assert!(all_won);
    crowd.shop.assert_sound().await;
}

#[actix_rt::test]
async fn an_effect_is_leased_to_one_node() {
    let crowd = Crowd::with_units(20).await;
    for buyer in 0..20 {
        let order_no = crowd.shop.order(Pool::Free, buyer, 1).await.order.order_no;
        crowd.shop.command(order_no, &Command::Cancel { reason: CancelReason::Buyer }).await;
    }
    let mut claimed = Vec::new();
    while claimed.len() < 20 {
        let round = crowd
            .all(3, async |node, _| effects::claim_due(node, effects::Lane::Orders, NOW_MS, LEASE, 7).await.unwrap())
            .await;
        let before = claimed.len();
        claimed.extend(round.into_iter().flatten().map(|owed| owed.key));
        assert!(claimed.len() > before, "a round with due effects leases some");
    }
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 20, "none twice");
}

#[actix_rt::test]
async fn r3_a_key_lets_one_request_work() {
    let crowd = Crowd::with_units(1).await;
    let key = IdempotencyKey { user: BuyerId(1), key: "k".to_owned() };
    let begun = crowd.all(8, async |node, _| {
        let work = Work { fingerprint: "a", fresh: &[crowd.shop.next_no()], lines: &[], lease: LEASE };
        idempotency::begin(node, &key, work, NOW_MS).await.unwrap()
    });
    let begun = begun.await;
    assert_eq!(begun.iter().filter(|begun| matches!(begun, Begun::Work { .. })).count(), 1);
    assert!(begun.iter().all(|begun| matches!(begun, Begun::Work { .. } | Begun::Running { .. })));
}

#[actix_rt::test]
async fn r15_a_move_is_made_once_however_many_drive_it() {
    let crowd = Crowd::with_units(10).await;
    let move_id = crowd.shop.next_no().to_string();
    let outcomes = crowd.all(4, async |node, _| {
        let (ledger, plan) = (SqlLedger::new(node.clone()), StockPlan::PutIn { units: 7 });
        stock_moves::run(node, &ledger, &move_id, PRODUCT, plan, NOW_MS).await.unwrap()
    });
    assert!(outcomes.await.into_iter().all(|outcome| outcome.unwrap().units == 7));
    assert_eq!(crowd.shop.free(Pool::Free).await, 17);
    let taken = crowd.all(3, async |node, _| {
        let (ledger, move_id) = (SqlLedger::new(node.clone()), crowd.shop.next_no().to_string());
        let plan = StockPlan::TakeOut { units: 4 };
        stock_moves::run(node, &ledger, &move_id, PRODUCT, plan, NOW_MS).await.unwrap()
    });
    let taken = taken.await;
    assert_eq!(taken.iter().filter(|outcome| outcome.is_ok()).count(), 4, "{taken:?}");
    let short = |outcome: &_| matches!(outcome, Ok(_) | Err(MoveRefusal::Short { .. }));
    assert!(taken.iter().all(short), "{taken:?}");
    assert_eq!(crowd.shop.free(Pool::Free).await, 1);
    crowd.shop.assert_sound().await;
}

#[actix_rt::test]
async fn a_user_registers_once_and_keeps_so_many_sessions() {
    let crowd = Crowd::with_units(1).await;
    let outcomes = crowd.all(5, async |node, _| users::insert(node, &named("li"), NOW_MS).await.unwrap()).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 14));
    assert!(lost.into_iter().all(|outcome| outcome == Err(UserRejection::UsernameTaken)));
    let user = user(&crowd.shop.db, "wang").await;
    let sign_in = SignIn {
        user: user.id,
        token_epoch: user.token_epoch,
        device: "test",
        address: "::1",
        refresh_ms: 1_000_000,
        sessions_max: 3,
    };
    let opened = crowd.all(5, async |node, _| sessions::open(node, sign_in, NOW_MS).await.unwrap().is_some()).await;
    assert!(opened.into_iter().all(|is_open| is_open));
    assert_eq!(sessions::list(&crowd.shop.db, user.id, NOW_MS).await.unwrap().len(), 3);
}

#[actix_rt::test]
async fn a_cart_counts_every_click() {
    let crowd = Crowd::with_units(100).await;
    let owner = CartOwner::User(user(&crowd.shop.db, "li").await.id);
    let clicks = crowd.all(8, async |node, _| {
        let quantity = 1.try_into().unwrap();
        SqlCarts::new(node.clone())
            .add(&CartChange { owner: &owner, product: PRODUCT, quantity, lines_max: 9 }, NOW_MS)
            .await
            .unwrap()
    });
    assert!(clicks.await.iter().all(Result::is_ok));
    assert_eq!(SqlCarts::new(crowd.shop.db.clone()).load(&owner, NOW_MS).await.unwrap().total_count, 24);
}

#[actix_rt::test]
async fn of_many_who_add_a_product_under_one_id_all_get_the_same_one() {
    let crowd = Crowd::with_units(0).await;
    let move_id = crowd.shop.claim(Pool::Free, 1, 1).order_no.to_string();
    let add = async |node: &Db, _| {
        let first = FirstUnits { move_id: &move_id, units: 7 };
        products::insert_once(node, &item("one", 100), first, NOW_MS).await.unwrap().unwrap()
    };
    let ids = crowd.all(4, add).await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let named: Vec<_> = products::first_added(&crowd.nodes[0], 100).await.unwrap();
    assert_eq!(named.iter().filter(|(_, name)| name == "one").count(), 1);
}
