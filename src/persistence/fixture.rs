//! A small shop for the tests of this crate: a database of its own, the SQL ledger, products, sales.

use std::cell::RefCell;

use sea_orm::{ConnectionTrait, DbBackend};

use super::effects::{self, Lane};
use super::journal::{self, CommitOutcome, LoadedOrder};
use super::ledger::{StockLedger, TicketRef};
use super::placing::{self, GroupOutcome, OrderGroup, PlaceTerms};
use super::sales::NewSale;
use super::stock_moves::{self, StockPlan};
use super::testing::{OwnDatabase, database};
use super::{Db, Lease, SqlLedger, money_log, outbox, sales};
use crate::domain::ids::OrderNoSequence;
use crate::domain::order::{Command, Effect, decide};
use crate::domain::sale::{SaleTerms, SaleWindow};
use crate::domain::stock::{Claim, Pool, Quantity, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId, SaleId};
use crate::ops::check::{CheckOptions, CheckReport, check};

pub(crate) const NOW_MS: i64 = 1_795_000_000_000;
pub(crate) const PAY_DEADLINE_MS: i64 = 1_800_000;
pub(crate) const PRODUCT: ProductId = ProductId(1);
pub(crate) const PRICE: Money = Money::from_fen(1_999);
const HOUR_MS: i64 = 3_600_000;

pub(crate) struct Shop {
    pub(crate) db: Db,
    pub(crate) ledger: SqlLedger,
    numbers: RefCell<(OrderNoSequence, u128)>,
    pub(crate) own: OwnDatabase,
}

impl Shop {
    /// With product 1 and so many free units.
    pub(crate) async fn with_units(units: i64) -> Self {
        Self::on(database().await, units).await
    }

    /// The same on a database that was opened already.
    pub(crate) async fn on((db, own): (Db, OwnDatabase), units: i64) -> Self {
        let ledger = SqlLedger::new(db.clone());
        let shop = Self { db, ledger, numbers: RefCell::new((OrderNoSequence::new(1), 7)), own };
        shop.product(PRODUCT).await;
        shop.moves(PRODUCT, StockPlan::PutIn { units }).await;
        shop
    }

    pub(crate) async fn product(&self, product: ProductId) {
        self.sql(&format!(
            "INSERT INTO products (id, name, description, category_id, price_fen, image_url, images, attributes, sales, \
             rating_hundredths, status, version, created_at_ms, updated_at_ms) VALUES ({product}, 'Tea', '', 1, 1999, \
             '/tea.png', '[]', '{{}}', 0, 0, 1, 1, 0, 0)"
        ))
        .await;
        if self.db.backend() == DbBackend::Postgres {
            // An id that is given by hand does not move the sequence on.
            self.sql("SELECT setval(pg_get_serial_sequence('products', 'id'), MAX(id)) FROM products").await;
        }
    }

    pub(crate) async fn sql(&self, statement: &str) {
        self.db.writer().execute_unprepared(statement).await.unwrap();
    }

    pub(crate) fn next_no(&self) -> OrderNo {
        let (sequence, random) = &mut *self.numbers.borrow_mut();
        *random = random.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).wrapping_add(99);
        sequence.next(NOW_MS, *random)
    }

    pub(crate) async fn moves(&self, product: ProductId, plan: StockPlan) -> i64 {
        let move_id = self.next_no().to_string();
        stock_moves::run(&self.db, &self.ledger, &move_id, product, plan, NOW_MS).await.unwrap().unwrap().units
    }

    /// A sale that is open for an hour before and after [`NOW_MS`].
    pub(crate) async fn sale(&self, units: i64, units_per_buyer_max: i64) -> SaleId {
        let terms = SaleTerms {
            sale: SaleId(0),
            window: SaleWindow::new(NOW_MS - HOUR_MS, NOW_MS + HOUR_MS).unwrap(),
            unit_price: Money::from_fen(999),
            units_per_buyer_max,
            closed: false,
        };
        let move_id = self.next_no().to_string();
        let new =
            NewSale { move_id: &move_id, product: PRODUCT, terms, units_planned: units, admissions_per_second: None };
        let sale = sales::insert(&self.db, new, NOW_MS).await.unwrap().unwrap();
        let plan = StockPlan::PlanSale { terms: sale.terms, units };
        stock_moves::run(&self.db, &self.ledger, &move_id, PRODUCT, plan, NOW_MS).await.unwrap().unwrap();
        sale.terms.sale
    }

    pub(crate) fn claim(&self, pool: Pool, buyer: i64, units: i64) -> Claim {
        Claim {
            order_no: self.next_no(),
            buyer: BuyerId(buyer),
            product: PRODUCT,
            pool,
            quantity: Quantity::try_from(units).unwrap(),
            unit_price: PRICE,
            kind: TicketKind::Owed,
            details: Default::default(),
        }
    }

    pub(crate) async fn ticket(&self, pool: Pool, buyer: i64, units: i64) -> Ticket {
        let claim = self.claim(pool, buyer, units);
        self.ledger.reserve(PRODUCT, &[claim], NOW_MS).await.unwrap().pop().unwrap().unwrap()
    }

    pub(crate) async fn place(&self, groups: &[OrderGroup]) -> Vec<GroupOutcome> {
        placing::place(&self.db, groups, PlaceTerms { pay_deadline_ms: PAY_DEADLINE_MS }, NOW_MS).await.unwrap()
    }

    /// A placed and settled order.
    pub(crate) async fn order(&self, pool: Pool, buyer: i64, units: i64) -> LoadedOrder {
        let ticket = self.ticket(pool, buyer, units).await;
        self.place(&[alone(&ticket)]).await;
        self.ledger.settle(&[TicketRef::from(&ticket)]).await.unwrap();
        self.load(ticket.claim.order_no).await
    }

    pub(crate) async fn load(&self, order_no: OrderNo) -> LoadedOrder {
        journal::load(&self.db, order_no).await.unwrap().unwrap()
    }

    /// Decides and commits; the order afterwards.
    pub(crate) async fn command(&self, order_no: OrderNo, command: &Command) -> LoadedOrder {
        self.command_at(order_no, command, NOW_MS).await
    }

    pub(crate) async fn command_at(&self, order_no: OrderNo, command: &Command, at_ms: i64) -> LoadedOrder {
        let loaded = self.load(order_no).await;
        let events = decide(&loaded.order, command, at_ms).unwrap();
        match journal::commit(&self.db, &loaded, &events, at_ms).await.unwrap() {
            CommitOutcome::Committed { loaded, .. } => loaded,
            other => panic!("{other:?}"),
        }
    }

    /// Does what effects on units want, tells the outbox, makes leaves of payments and refunds.
    pub(crate) async fn settle_all(&self) {
        let lease = Lease { slot: 0, ms: 1 };
        for lane in [Lane::Orders, Lane::Gateways] {
            while let Some(owed) = effects::claim_due(&self.db, lane, NOW_MS, lease, 1).await.unwrap().pop() {
                if owed.effect == Effect::ReleaseStock {
                    let order = self.load(owed.key.order_no).await.order;
                    self.ledger.release(&[TicketRef::from(&order)]).await.unwrap();
                }
                effects::done(&self.db, owed.key).await.unwrap();
            }
        }
        outbox::carry(&self.db, outbox::Leg::Whole, 1_000, async |_told| Ok(())).await.unwrap();
        money_log::append(&self.db, NOW_MS, 1_000).await.unwrap();
    }

    pub(crate) async fn report(&self) -> CheckReport {
        check(&self.db, &self.ledger, CheckOptions { now_ms: NOW_MS + 1, grace_ms: 0 }).await.unwrap()
    }

    /// Every invariant holds, at rest.
    pub(crate) async fn assert_sound(&self) {
        self.settle_all().await;
        let report = self.report().await;
        assert!(report.is_sound(), "{report}");
    }

    pub(crate) async fn free(&self, pool: Pool) -> i64 {
        self.ledger.snapshot(PRODUCT).await.unwrap().free(pool)
    }
}

/// The ticket as a group of its own.
pub(crate) fn alone(ticket: &Ticket) -> OrderGroup {
    OrderGroup { tickets: vec![ticket.clone()], atomic: false, clears_cart_of: None }
}
