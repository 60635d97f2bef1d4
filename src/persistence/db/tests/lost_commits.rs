//! R19: the connection is lost around a commit. The repeat under the same ids does it once, and says what was done.

use crate::domain::order::{Command, OrderStatus, PayChannel, decide};
use crate::domain::stock::Pool;
use crate::domain::{BuyerId, OrderNo};
use crate::persistence::carts::{CartChange, CartOwner, CartStore as _, SqlCarts};
use crate::persistence::fixture::{NOW_MS, PAY_DEADLINE_MS, PRODUCT, Shop, alone};
use crate::persistence::idempotency::{self, Begun, IdempotencyKey, Work};
use crate::persistence::journal::{self, CommitOutcome};
use crate::persistence::ledger::{StockLedger, TicketRef};
use crate::persistence::placing::{self, GroupOutcome, PlaceTerms};
use crate::persistence::sessions::{self, SignIn};
use crate::persistence::stock_moves::{self, StockPlan};
use crate::persistence::testing::{Cut, Proxy, item, named};
use crate::persistence::{Db, Lease, SqlLedger, addresses, categories, effects, products, rehearsal, users};

const CUTS: [Cut; 2] = [Cut::Before, Cut::After];
const LEASE: Lease = Lease { slot: 0, ms: 1_000 };

struct Faulty {
    shop: Shop,
    proxy: Proxy,
    /// Reaches the shop's database through the proxy.
    db: Db,
}

impl Faulty {
    async fn with_units(units: i64) -> Self {
        let shop = Shop::with_units(units).await;
        let (proxy, db) = Proxy::to(&shop.own).await;
        Self { shop, proxy, db }
    }

    /// Runs `work` on the faulty connection, whose next commit is cut.
    async fn cut<T>(&self, cut: Cut, work: impl AsyncFn(&Db) -> T) -> T {
        self.proxy.cut(cut);
        let outcome = work(&self.db).await;
        assert!(self.proxy.has_cut(), "nothing was committed");
        outcome
    }
}

#[actix_rt::test]
async fn r19_orders_are_placed_once() {
    let faulty = Faulty::with_units(10).await;
    for cut in CUTS {
        let tickets = [faulty.shop.ticket(Pool::Free, 1, 2).await, faulty.shop.ticket(Pool::Free, 2, 1).await];
        let groups = tickets.each_ref().map(alone);
        let terms = PlaceTerms { pay_deadline_ms: PAY_DEADLINE_MS };
        let placed = faulty.cut(cut, async |db| placing::place(db, &groups, terms, NOW_MS).await.unwrap()).await;
        let expected = tickets
            .each_ref()
            .map(|ticket| GroupOutcome::Placed { placed: vec![ticket.claim.order_no], failed: Vec::new() });
        assert_eq!(placed, expected, "{cut:?}");
        faulty.shop.ledger.settle(&tickets.each_ref().map(TicketRef::from)).await.unwrap();
    }
    faulty.shop.assert_sound().await;
    assert_eq!(faulty.shop.free(Pool::Free).await, 4);
}

fn pay(transaction_id: &str) -> Command {
    Command::PayAtOnce { channel: PayChannel::Card, transaction_id: transaction_id.to_owned() }
}

#[actix_rt::test]
async fn r19_an_orders_commit_knows_itself_and_the_other_writer() {
    let faulty = Faulty::with_units(10).await;
    for cut in CUTS {
        let before = faulty.shop.order(Pool::Free, 1, 1).await;
        let events = decide(&before.order, &pay(&before.order.order_no.to_string()), NOW_MS).unwrap();
        let outcome = faulty.cut(cut, async |db| journal::commit(db, &before, &events, NOW_MS).await.unwrap()).await;
        let CommitOutcome::Committed { loaded, commit_no } = outcome else { panic!("{cut:?}: {outcome:?}") };
        assert_eq!(faulty.shop.load(before.order.order_no).await, loaded);
        assert!(commit_no > 0 && loaded.order.status == OrderStatus::Paid);
        // The same events at the same moment from another node are another commit.
        let again = journal::commit(&faulty.db, &before, &events, NOW_MS).await.unwrap();
        assert_eq!(again, CommitOutcome::Lost, "{cut:?}");
    }
    faulty.shop.assert_sound().await;
}

#[actix_rt::test]
async fn r19_a_key_belongs_to_the_request_that_claimed_it() {
    let faulty = Faulty::with_units(1).await;
    for (user, cut) in (1..).zip(CUTS) {
        let key = IdempotencyKey { user: BuyerId(user), key: "k".to_owned() };
        let fresh: [OrderNo; 1] = [faulty.shop.next_no()];
        let work = Work { fingerprint: "a", fresh: &fresh, lines: &[], lease: LEASE };
        let begun = faulty.cut(cut, async |db| idempotency::begin(db, &key, work, NOW_MS).await.unwrap()).await;
        let Begun::Work { order_nos, is_repeat, lease_until_ms, .. } = begun else { panic!("{cut:?}: {begun:?}") };
        assert_eq!((order_nos.as_slice(), is_repeat), (fresh.as_slice(), false), "{cut:?}");
        let late = NOW_MS + LEASE.ms;
        let other = [faulty.shop.next_no()];
        let work = Work { fingerprint: "a", fresh: &other, lines: &[], lease: LEASE };
        let begun = faulty.cut(cut, async |db| idempotency::begin(db, &key, work, late).await.unwrap()).await;
        let taken_over = Begun::Work {
            order_nos: fresh.to_vec(),
            lines: Vec::new(),
            is_repeat: true,
            lease_until_ms: lease_until_ms + LEASE.ms,
        };
        assert_eq!(begun, taken_over, "{cut:?}");
    }
}

#[actix_rt::test]
async fn r19_users_and_sessions_are_made_once_and_answered_as_made() {
    let faulty = Faulty::with_units(1).await;
    for (name, cut) in [("li", CUTS[0]), ("wang", CUTS[1])] {
        let new = named(name);
        let user = faulty.cut(cut, async |db| users::insert(db, &new, NOW_MS).await.unwrap()).await.unwrap();
        let sign_in = SignIn {
            user: user.id,
            token_epoch: user.token_epoch,
            device: "test",
            address: "::1",
            refresh_ms: 1_000,
            sessions_max: 3,
        };
        let session = faulty.cut(cut, async |db| sessions::open(db, sign_in, NOW_MS).await.unwrap()).await.unwrap();
        let rotate = async |db: &Db| sessions::rotate(db, &session.refresh_token, 1_000, NOW_MS).await.unwrap();
        let next = faulty.cut(cut, rotate).await.ok().unwrap();
        assert!(sessions::rotate(&faulty.db, &next.refresh_token, 1_000, NOW_MS).await.unwrap().is_ok(), "{cut:?}");
        let change = async |db: &Db| users::change_password(db, user.id, "hash", name, NOW_MS).await.unwrap();
        assert!(faulty.cut(cut, change).await, "{cut:?}");
    }
    assert_eq!(rehearsal::rows_of(&faulty.db, "users").await.unwrap(), 2);
}

#[actix_rt::test]
async fn r19_what_an_administrator_adds_is_added_once() {
    let faulty = Faulty::with_units(1).await;
    for (number, cut) in (2..).zip(CUTS) {
        let new = item("Mate", 100);
        let add = async |db: &Db| products::insert(db, &new, NOW_MS).await.unwrap().unwrap();
        let product = faulty.cut(cut, add).await;
        assert_eq!(products::find(&faulty.db, product).await.unwrap().unwrap().name, "Mate");
        assert_eq!(rehearsal::rows_of(&faulty.db, "products").await.unwrap(), number, "{cut:?}");
        let name = format!("{cut:?}");
        let add = async |db: &Db| categories::insert(db, &name, None, 7).await.unwrap().unwrap();
        let category = faulty.cut(cut, add).await;
        assert!(categories::list(&faulty.db).await.unwrap().contains(&category));
        let changes = addresses::AddressChanges { receiver: Some("Li".to_owned()), ..Default::default() };
        let add = async |db: &Db| addresses::insert(db, BuyerId(1), &changes, NOW_MS).await.unwrap().is_ok();
        assert!(faulty.cut(cut, add).await);
        assert_eq!(addresses::list(&faulty.db, BuyerId(1)).await.unwrap().len() as u64, number - 1, "{cut:?}");
    }
}

#[actix_rt::test]
async fn r19_units_move_once_and_a_cart_counts_once() {
    let faulty = Faulty::with_units(10).await;
    let owner = CartOwner::Guest("t".to_owned());
    let ledger = SqlLedger::new(faulty.db.clone());
    for (times, cut) in (1..).zip(CUTS) {
        let move_id = faulty.shop.next_no().to_string();
        let put_in = StockPlan::PutIn { units: 5 };
        let run = async |db: &Db| stock_moves::run(db, &ledger, &move_id, PRODUCT, put_in, NOW_MS).await.unwrap();
        assert_eq!(faulty.cut(cut, run).await.unwrap().units, 5);
        assert_eq!(faulty.shop.free(Pool::Free).await, 10 + 5 * times, "{cut:?}");
        let quantity = 2.try_into().unwrap();
        let change = CartChange { owner: &owner, product: PRODUCT, quantity, lines_max: 9 };
        let add = async |db: &Db| SqlCarts::new(db.clone()).add(&change, NOW_MS + times).await.unwrap();
        assert_eq!(faulty.cut(cut, add).await, Ok(2 * times), "{cut:?}");
        assert_eq!(
            SqlCarts::new(faulty.db.clone()).load(&owner, NOW_MS).await.unwrap().total_count,
            2 * times,
            "{cut:?}"
        );
    }
    faulty.shop.assert_sound().await;
}

#[actix_rt::test]
async fn r19_an_effect_whose_lease_was_not_answered_comes_again() {
    let faulty = Faulty::with_units(10).await;
    for (step, cut) in (0..).zip(CUTS) {
        let now_ms = NOW_MS + step * 1_000_000;
        let order_no = faulty.shop.order(Pool::Free, 1, 1).await.order.order_no;
        let cancel = Command::Cancel { reason: crate::domain::order::CancelReason::Buyer };
        faulty.shop.command(order_no, &cancel).await;
        let claim = async |db: &Db| effects::claim_due(db, effects::Lane::Orders, now_ms, LEASE, 10).await.unwrap();
        let mut claimed = faulty.cut(cut, claim).await;
        if claimed.is_empty() {
            claimed =
                effects::claim_due(&faulty.db, effects::Lane::Orders, now_ms + LEASE.ms, LEASE, 10).await.unwrap();
        }
        assert_eq!(claimed.len(), 1, "{cut:?}");
        effects::done(&faulty.db, claimed[0].key).await.unwrap();
        faulty.shop.ledger.release(&[TicketRef::from(&faulty.shop.load(order_no).await.order)]).await.unwrap();
    }
    faulty.shop.assert_sound().await;
}
