//! The pace of the reservation core on Redis, without actors and HTTP: claims a second by size and number of the batches in
//! flight, settled again in the same batches.
//!
//! Run with `RUSHMALL_BENCH_REDIS_URL=redis://127.0.0.1:6379 cargo bench --bench redis_ledger`; the Redis should be an empty
//! one. Compare with `redis-benchmark` of a script that takes one unit: dedupe, take, record.
#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on stops")]

use actix::System;
use futures::stream::{self, StreamExt as _};
use rushmall::clock::{Clock, monotonic};
use rushmall::config::{DatabaseSettings, RedisSettings};
use rushmall::domain::sale::{SaleTerms, SaleWindow};
use rushmall::domain::stock::{Claim, OrderDetails, TicketKind};
use rushmall::domain::{BuyerId, Money, Pool, ProductId, Quantity, SaleId};
use rushmall::persistence::ledger::{PoolState, Rebuild, TicketRef};
use rushmall::persistence::{Db, RedisLedger, StockLedger};
use rushmall::random::{self, OrderNumbers};
use rushmall::redis_link::RedisLink;

const CLAIMS: i64 = 102_400;
const PRODUCT: ProductId = ProductId(1);
const SALE: SaleId = SaleId(1);
/// Claims in a batch, batches in flight.
const SHAPES: [(usize, usize); 7] = [(1, 1), (1, 64), (1, 256), (64, 1), (64, 4), (256, 1), (256, 2)];

fn main() {
    let Ok(url) = std::env::var("RUSHMALL_BENCH_REDIS_URL") else {
        println!("RUSHMALL_BENCH_REDIS_URL is not set: nothing measured");
        return;
    };
    System::new().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::connect(&DatabaseSettings::default(), dir.path()).await.unwrap();
        let settings = RedisSettings { url, prefix: format!("bench-{}", random::token()), ..RedisSettings::default() };
        let ledger = RedisLedger::new(RedisLink::connect(&settings).await.unwrap(), db);
        let (clock, mut buyers) = (Clock::default(), 1..);
        let numbers = OrderNumbers::new(clock.clone(), 0);
        open_sale(&ledger, clock.now_ms()).await;
        println!("{:>6} {:>9} {:>16} {:>16}", "batch", "in flight", "reserved a second", "settled a second");
        for (size, in_flight) in SHAPES {
            let total = if size * in_flight < 64 { CLAIMS / 10 } else { CLAIMS };
            let claims: Vec<Claim> = buyers.by_ref().take(total as usize).map(|buyer| claim(&numbers, buyer)).collect();
            let start = monotonic();
            let reserved =
                stream::iter(claims.chunks(size).map(|claims| ledger.reserve(PRODUCT, claims, clock.now_ms())));
            let answers: Vec<_> = reserved.buffer_unordered(in_flight).collect().await;
            let reserve = start.elapsed();
            let taken = answers.into_iter().flat_map(Result::unwrap).filter(Result::is_ok).count();
            assert_eq!(taken, claims.len(), "every claim is accepted");
            let refs: Vec<TicketRef> = claims.iter().map(TicketRef::from).collect();
            let start = monotonic();
            let settled = stream::iter(refs.chunks(size).map(|refs| ledger.settle(refs)));
            settled.buffer_unordered(in_flight).for_each(async |outcome| outcome.unwrap()).await;
            let pace = |spent: std::time::Duration| total as u128 * 1_000_000 / spent.as_micros().max(1);
            println!("{size:>6} {in_flight:>9} {:>17} {:>16}", pace(reserve), pace(start.elapsed()));
        }
    });
}

async fn open_sale(ledger: &RedisLedger, now_ms: i64) {
    let window = SaleWindow::new(now_ms - 1_000, now_ms + 3_600_000).unwrap();
    let unit_price = Money::from_fen(999);
    let terms = SaleTerms { sale: SALE, window, unit_price, units_per_buyer_max: 1, closed: false };
    let pools = vec![PoolState { pool: Pool::Sale(SALE), free: 10_000_000, terms: Some(terms) }];
    let lost = ledger.begin_rebuild(PRODUCT).await.unwrap().unwrap();
    let account = Rebuild { epoch: 1, turn: lost.turn, pools, ..Rebuild::default() };
    assert!(ledger.rebuild(PRODUCT, &account).await.unwrap());
}

fn claim(numbers: &OrderNumbers, buyer: i64) -> Claim {
    Claim {
        order_no: numbers.next(),
        buyer: BuyerId(buyer),
        product: PRODUCT,
        pool: Pool::Sale(SALE),
        quantity: Quantity::ONE,
        unit_price: Money::from_fen(1_999),
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    }
}
