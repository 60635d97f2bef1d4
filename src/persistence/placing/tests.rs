//! Orders are written once, all or nothing where that is promised.

use super::*;
use crate::domain::BuyerId;
use crate::domain::order::{CancelReason, Command, Effect, Event};
use crate::domain::stock::TicketKind;
use crate::persistence::fixture::{NOW_MS, PAY_DEADLINE_MS, PRODUCT, Shop, alone};
use crate::persistence::ledger::{StockLedger, TicketRef};
use crate::persistence::orders::EndReason;
use crate::persistence::stock_moves::StockPlan;
use crate::persistence::{dead_tickets, effects, journal, ledger_accounts, orders, recovery};

const OTHER: ProductId = ProductId(2);

fn placed(tickets: &[&Ticket]) -> GroupOutcome {
    GroupOutcome::Placed { placed: tickets.iter().map(|ticket| ticket.claim.order_no).collect(), failed: Vec::new() }
}

async fn held(shop: &Shop) -> i64 {
    stock::of_product(&shop.db, PRODUCT).await.unwrap().iter().map(|row| row.held).sum()
}

#[actix_rt::test]
async fn t4_a_ticket_delivered_twice_is_one_order() {
    let shop = Shop::with_units(5).await;
    let ticket = shop.ticket(Pool::Free, 1, 2).await;
    let twice = [alone(&ticket), alone(&ticket)];
    assert_eq!(shop.place(&twice).await, [placed(&[&ticket]), placed(&[&ticket])]);
    assert_eq!(shop.place(&twice).await, [placed(&[&ticket]), placed(&[&ticket])]);
    assert_eq!(held(&shop).await, 2);
    let (all, total) =
        orders::list_all(&shop.db, &orders::OrderFilter::default(), orders::Slice { offset: 0, limit: 9 })
            .await
            .unwrap();
    assert_eq!((all.len(), total, all[0].created_at_ms), (1, 1, NOW_MS));
    assert_eq!(all[0].pay_deadline_ms, NOW_MS + PAY_DEADLINE_MS);
    shop.ledger.settle(&[TicketRef::from(&ticket)]).await.unwrap();
    shop.assert_sound().await;
}

/// A checkout of one line of each product.
async fn checkout(shop: &Shop, units: i64, other_units: i64) -> OrderGroup {
    let mut tickets = Vec::new();
    for (product, units) in [(PRODUCT, units), (OTHER, other_units)] {
        let claim = shop.claim(Pool::Free, 1, units);
        let claim = crate::domain::stock::Claim { product, kind: TicketKind::Prepared, ..claim };
        tickets.push(shop.ledger.reserve(product, &[claim], NOW_MS).await.unwrap().pop().unwrap().unwrap());
    }
    let cart = ClearedCart { owner: "u1".to_owned(), products: vec![PRODUCT, OTHER] };
    OrderGroup { tickets, atomic: true, clears_cart_of: Some(cart) }
}

async fn cart_lines(shop: &Shop) -> u64 {
    query::count(shop.db.reader(), Query::select().from("cart_items").to_owned(), "testing").await.unwrap()
}

async fn fill_cart(shop: &Shop) {
    shop.sql("INSERT INTO cart_items VALUES ('u1', 1, 1, 0, 0), ('u1', 2, 1, 0, 0), ('u2', 1, 1, 0, 0)").await;
}

#[actix_rt::test]
async fn r11_a_checkout_with_one_short_line_writes_nothing() {
    let shop = Shop::with_units(5).await;
    shop.product(OTHER).await;
    shop.moves(OTHER, StockPlan::PutIn { units: 3 }).await;
    fill_cart(&shop).await;
    let group = checkout(&shop, 2, 2).await;
    shop.sql("UPDATE stock SET free = 1, put_in = 1 WHERE product_id = 2").await;
    let refused = GroupOutcome::Refused { product: OTHER, rejection: ClaimRejection::StockShort { units_left: 1 } };
    assert_eq!(shop.place(std::slice::from_ref(&group)).await, [refused]);
    assert_eq!((held(&shop).await, cart_lines(&shop).await), (0, 3));
    let order_nos: Vec<OrderNo> = group.tickets.iter().map(|ticket| ticket.claim.order_no).collect();
    assert!(orders::existing(&shop.db, &order_nos).await.unwrap().is_empty());
    let refs: Vec<TicketRef> = group.tickets.iter().map(TicketRef::from).collect();
    shop.ledger.release(&refs).await.unwrap();
    assert_eq!(shop.free(Pool::Free).await, 5);
}

#[actix_rt::test]
async fn t20_a_checkout_places_all_lines_and_clears_the_cart_once() {
    let shop = Shop::with_units(5).await;
    shop.product(OTHER).await;
    shop.moves(OTHER, StockPlan::PutIn { units: 3 }).await;
    fill_cart(&shop).await;
    let group = checkout(&shop, 2, 3).await;
    let lines: Vec<&Ticket> = group.tickets.iter().collect();
    assert_eq!(shop.place(std::slice::from_ref(&group)).await, [placed(&lines)]);
    assert_eq!(cart_lines(&shop).await, 1);
    shop.sql("INSERT INTO cart_items VALUES ('u1', 1, 7, 0, 0)").await;
    assert_eq!(shop.place(std::slice::from_ref(&group)).await, [placed(&lines)]);
    assert_eq!(cart_lines(&shop).await, 2, "a repeat leaves the cart alone");
    shop.ledger.settle(&group.tickets.iter().map(TicketRef::from).collect::<Vec<_>>()).await.unwrap();
    shop.assert_sound().await;
}

#[actix_rt::test]
async fn r10_two_lines_of_one_product_are_both_counted() {
    let shop = Shop::with_units(6).await;
    let tickets = vec![shop.ticket(Pool::Free, 1, 3).await, shop.ticket(Pool::Free, 1, 3).await];
    shop.sql("UPDATE stock SET free = 5, put_in = 5").await;
    let group = OrderGroup { tickets, atomic: true, clears_cart_of: None };
    let outcome = shop.place(&[group]).await;
    assert_eq!(
        outcome,
        [GroupOutcome::Refused { product: PRODUCT, rejection: ClaimRejection::StockShort { units_left: 5 } }]
    );
}

#[actix_rt::test]
async fn r16_a_promise_that_sql_cannot_keep_becomes_a_failed_order() {
    let shop = Shop::with_units(2).await;
    let tickets = [shop.ticket(Pool::Free, 1, 1).await, shop.ticket(Pool::Free, 2, 1).await];
    shop.sql("UPDATE stock SET free = 1, put_in = 1").await;
    let outcomes = shop.place(&[alone(&tickets[0]), alone(&tickets[1])]).await;
    let lost = tickets[1].claim.order_no;
    assert_eq!(outcomes[0], placed(&[&tickets[0]]));
    assert_eq!(outcomes[1], GroupOutcome::Placed { placed: Vec::new(), failed: vec![lost] });
    assert_eq!(shop.place(&[alone(&tickets[1])]).await, outcomes[1..]);
    let view = orders::find(&shop.db, lost).await.unwrap().unwrap();
    assert_eq!((view.status, view.version, view.end_reason), (OrderStatus::Failed, 2, Some(EndReason::SoldOut)));
    assert_eq!(shop.load(lost).await.order.status, OrderStatus::Failed);
    assert_eq!(effects::of_order(&shop.db, lost).await.unwrap()[0].effect, Effect::ReleaseStock);
    shop.ledger.settle(&tickets.each_ref().map(TicketRef::from)).await.unwrap();
    shop.settle_all().await;
    let broken: Vec<_> = shop.report().await.invariants.into_iter().filter(|i| i.violations > 0).collect();
    assert_eq!(broken.iter().map(|i| i.name).collect::<Vec<_>>(), ["ledger matches stock"], "until the rebuild");
}

#[actix_rt::test]
async fn an_unknown_product_cannot_be_placed_and_is_buried() {
    let shop = Shop::with_units(2).await;
    let mut ticket = shop.ticket(Pool::Free, 1, 1).await;
    ticket.claim.product = ProductId(99);
    let good = shop.ticket(Pool::Free, 1, 1).await;
    let outcomes = shop.place(&[alone(&ticket), alone(&good)]).await;
    let reason = UnplaceableReason::UnknownProduct(ProductId(99));
    assert_eq!(outcomes, [GroupOutcome::Unplaceable(reason), placed(&[&good])]);

    let dead = dead_tickets::DeadTicket { ticket, reason: reason.to_string(), attempts: 5, at_ms: NOW_MS };
    dead_tickets::insert(&shop.db, &dead).await.unwrap();
    dead_tickets::insert(&shop.db, &dead).await.unwrap();
    assert_eq!(dead_tickets::list(&shop.db, 0, 10).await.unwrap(), (vec![dead.clone()], 1));
    let terms = PlaceTerms { pay_deadline_ms: PAY_DEADLINE_MS };
    for _ in 0..2 {
        place_failed(&shop.db, std::slice::from_ref(&dead.ticket), FailReason::Poisoned, terms, NOW_MS).await.unwrap();
    }
    let order_no = dead.ticket.claim.order_no;
    let history = journal::timeline(&shop.db, order_no).await.unwrap();
    assert_eq!(history[1].event, Event::OrderFailed { reason: FailReason::Poisoned });
    assert_eq!(history.len(), 2);
    assert_eq!(orders::find_for_buyer(&shop.db, order_no, BuyerId(2)).await.unwrap(), None);
    assert!(dead_tickets::remove(&shop.db, order_no).await.unwrap());
    assert!(!dead_tickets::remove(&shop.db, order_no).await.unwrap());
}

#[actix_rt::test]
async fn two_writers_of_the_same_tickets_place_them_once() {
    let shop = Shop::with_units(40).await;
    let mut groups = Vec::new();
    for _ in 0..20 {
        groups.push(alone(&shop.ticket(Pool::Free, 1, 2).await));
    }
    let (first, second) = futures::join!(shop.place(&groups), shop.place(&groups));
    assert_eq!(first, second);
    assert_eq!(held(&shop).await, 40);
}

#[actix_rt::test]
async fn r1_two_checkouts_of_one_cart_order_it_once() {
    let shop = Shop::with_units(5).await;
    shop.product(OTHER).await;
    shop.moves(OTHER, StockPlan::PutIn { units: 3 }).await;
    fill_cart(&shop).await;
    let (first, second) = (checkout(&shop, 1, 1).await, checkout(&shop, 1, 1).await);
    let lines: Vec<&Ticket> = first.tickets.iter().collect();
    let together = [first.clone(), second.clone()];
    assert_eq!(shop.place(&together).await, [placed(&lines), GroupOutcome::CartGone]);
    assert_eq!(shop.place(std::slice::from_ref(&second)).await, [GroupOutcome::CartGone], "later as well");
    assert_eq!((held(&shop).await, cart_lines(&shop).await), (1, 1));
    shop.ledger.settle(&first.tickets.iter().map(TicketRef::from).collect::<Vec<_>>()).await.unwrap();
    shop.ledger.release(&second.tickets.iter().map(TicketRef::from).collect::<Vec<_>>()).await.unwrap();
    shop.assert_sound().await;
}

/// Tickets as accounts outside the database accept them: this shop's own ledger would judge the limit itself.
struct Accounts {
    shop: Shop,
    pool: Pool,
}

impl Accounts {
    /// A sale of 20 units, two a buyer, whose account was built once.
    async fn of_epoch_one() -> Self {
        let shop = Shop::with_units(20).await;
        let pool = Pool::Sale(shop.sale(20, 2).await);
        let accounts = Self { shop, pool };
        accounts.next(1).await;
        accounts
    }

    async fn next(&self, epoch: i64) {
        let rebuilt = recovery::rebuild(&self.shop.db, &self.shop.ledger, PRODUCT, NOW_MS).await.unwrap();
        assert_eq!(rebuilt, recovery::Rebuilt::Done);
        assert_eq!(ledger_accounts::find(&self.shop.db, PRODUCT).await.unwrap().unwrap().epoch, epoch);
    }

    fn accept(&self, epoch: i64, buyer: i64, units: i64) -> Ticket {
        Ticket { claim: self.shop.claim(self.pool, buyer, units), accepted_at_ms: NOW_MS, epoch }
    }

    async fn place(&self, ticket: &Ticket) -> GroupOutcome {
        self.shop.place(&[alone(ticket)]).await.remove(0)
    }
}

fn failed(ticket: &Ticket) -> GroupOutcome {
    GroupOutcome::Placed { placed: Vec::new(), failed: vec![ticket.claim.order_no] }
}

#[actix_rt::test]
async fn r16_a_late_ticket_finds_its_buyers_later_order_and_fails() {
    let accounts = Accounts::of_epoch_one().await;
    let (late, second) = (accounts.accept(0, 1, 1), accounts.accept(1, 1, 2));
    assert_eq!(accounts.place(&second).await, placed(&[&second]));
    for _ in 0..2 {
        assert_eq!(accounts.place(&late).await, failed(&late), "a duplicate changes nothing");
    }
    let view = orders::find(&accounts.shop.db, late.claim.order_no).await.unwrap().unwrap();
    assert_eq!((view.status, view.end_reason), (OrderStatus::Failed, Some(EndReason::OverLimit)));
    assert_eq!(held(&accounts.shop).await, 2);
    // within the limit it is an order like any other
    let (late, second) = (accounts.accept(0, 2, 1), accounts.accept(1, 2, 1));
    assert_eq!(accounts.place(&second).await, placed(&[&second]));
    assert_eq!(accounts.place(&late).await, placed(&[&late]));
    // and so it is if the later one was given up
    let (late, second) = (accounts.accept(0, 3, 1), accounts.accept(1, 3, 2));
    assert_eq!(accounts.place(&second).await, placed(&[&second]));
    accounts.shop.command(second.claim.order_no, &Command::Cancel { reason: CancelReason::Buyer }).await;
    assert_eq!(accounts.place(&late).await, placed(&[&late]));
}

#[actix_rt::test]
async fn r16_a_late_ticket_that_comes_first_has_its_order_and_the_later_one_fails() {
    let accounts = Accounts::of_epoch_one().await;
    let (late, second) = (accounts.accept(0, 1, 1), accounts.accept(1, 1, 2));
    assert_eq!(accounts.place(&late).await, placed(&[&late]));
    assert_eq!(accounts.place(&second).await, failed(&second), "its account did not know of the first one");
    let other = accounts.accept(1, 2, 2);
    assert_eq!(accounts.place(&other).await, placed(&[&other]), "that account was right about everybody else");
    // the next account has counted the late order
    accounts.next(3).await;
    let third = accounts.accept(3, 1, 1);
    assert_eq!(accounts.place(&third).await, placed(&[&third]));
    // both in one batch
    let (late, second, other) = (accounts.accept(1, 3, 1), accounts.accept(3, 3, 2), accounts.accept(3, 4, 2));
    let batch = [&late, &second, &other].map(alone);
    assert_eq!(accounts.shop.place(&batch).await, [placed(&[&late]), failed(&second), placed(&[&other])]);
    assert_eq!(held(&accounts.shop).await, 7);
}

#[actix_rt::test]
async fn tickets_of_the_present_account_ask_for_no_limit() {
    let accounts = Accounts::of_epoch_one().await;
    accounts.shop.sql("ALTER TABLE sales RENAME TO sales_away").await;
    let (present, free) = (accounts.accept(1, 1, 1), accounts.accept(0, 1, 1));
    assert_eq!(accounts.place(&present).await, placed(&[&present]));
    let free = Ticket { claim: crate::domain::stock::Claim { pool: Pool::Free, ..free.claim }, ..free };
    assert_eq!(accounts.place(&free).await, failed(&free), "nothing is in that pool, and it has no limit");
    let late = accounts.accept(0, 1, 1);
    let terms = PlaceTerms { pay_deadline_ms: PAY_DEADLINE_MS };
    place(&accounts.shop.db, &[alone(&late)], terms, NOW_MS).await.expect_err("an older one does ask");
}
