//! The pace of the database's three batch steps, 64 and 256 tickets each: reserve, write orders, settle.
//!
//! Run with `cargo bench --bench batches`. Wall time on a SQLite file in the temporary directory, `synchronous = full`;
//! or on the empty database that `RUSHMALL_BENCH_DATABASE_URL` names (`mysql://root@127.0.0.1:3306/bench`).
#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use std::time::Duration;

use actix::System;
use rushmall::clock::{Clock, monotonic};
use rushmall::config::DatabaseSettings;
use rushmall::domain::stock::{Claim, OrderDetails, Ticket, TicketKind};
use rushmall::domain::{BuyerId, Money, Pool, ProductId, Quantity};
use rushmall::ops::seed;
use rushmall::persistence::ledger::TicketRef;
use rushmall::persistence::placing::{self, OrderGroup, PlaceTerms};
use rushmall::persistence::stock_moves::{self, StockPlan};
use rushmall::persistence::{Db, SqlLedger, StockLedger};
use rushmall::random::OrderNumbers;

const BATCHES: u32 = 40;
const TICKETS: [i64; 2] = [64, 256];
const PRODUCT: ProductId = ProductId(5);
const TERMS: PlaceTerms = PlaceTerms { pay_deadline_ms: 1_800_000 };

fn main() {
    System::new().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let url = std::env::var("RUSHMALL_BENCH_DATABASE_URL").unwrap_or_default();
        let db = Db::connect(&DatabaseSettings { url, ..DatabaseSettings::default() }, dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let (ledger, clock) = (SqlLedger::new(db.clone()), Clock::default());
        let numbers = OrderNumbers::new(clock.clone(), 0);
        seed::fill(&db, &ledger, clock.now_ms()).await.unwrap();
        println!("{:?}\n{:<14} {:>8} {:>12} {:>16}", db.backend(), "step", "tickets", "ms a batch", "tickets a second");
        for tickets in TICKETS {
            let (move_id, units) = (numbers.next().to_string(), tickets * i64::from(BATCHES));
            let plan = StockPlan::PutIn { units };
            stock_moves::run(&db, &ledger, &move_id, PRODUCT, plan, clock.now_ms()).await.unwrap().unwrap();
            let spent = measure(&db, &ledger, &clock, &numbers, tickets).await;
            for (step, spent) in ["reserve", "write orders", "settle"].iter().zip(spent) {
                let each_ms = spent.as_micros() / u128::from(BATCHES);
                let pace = 1_000_000 * u128::from(BATCHES) * tickets.unsigned_abs() as u128 / spent.as_micros().max(1);
                println!("{step:<14} {tickets:>8} {:>8}.{:03} {pace:>16}", each_ms / 1_000, each_ms % 1_000);
            }
        }
    });
}

/// Time spent in each of the steps.
async fn measure(db: &Db, ledger: &SqlLedger, clock: &Clock, numbers: &OrderNumbers, tickets: i64) -> [Duration; 3] {
    let mut spent = [Duration::ZERO; 3];
    for _ in 0..BATCHES {
        let claims: Vec<Claim> = (1..=tickets).map(|buyer| claim(numbers, BuyerId(buyer))).collect();
        let start = monotonic();
        let answers = ledger.reserve(PRODUCT, &claims, clock.now_ms()).await.unwrap();
        spent[0] += start.elapsed();
        let tickets: Vec<Ticket> = answers.into_iter().map(Result::unwrap).collect();
        let groups: Vec<OrderGroup> = tickets.iter().cloned().map(alone).collect();
        let start = monotonic();
        placing::place(db, &groups, TERMS, clock.now_ms()).await.unwrap();
        spent[1] += start.elapsed();
        let refs: Vec<TicketRef> = tickets.iter().map(TicketRef::from).collect();
        let start = monotonic();
        ledger.settle(&refs).await.unwrap();
        spent[2] += start.elapsed();
    }
    spent
}

fn claim(numbers: &OrderNumbers, buyer: BuyerId) -> Claim {
    Claim {
        order_no: numbers.next(),
        buyer,
        product: PRODUCT,
        pool: Pool::Free,
        quantity: Quantity::ONE,
        unit_price: Money::from_fen(1_999),
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    }
}

fn alone(ticket: Ticket) -> OrderGroup {
    OrderGroup { tickets: vec![ticket], atomic: false, clears_cart_of: None }
}
