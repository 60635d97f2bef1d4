//! The plainest ledger that keeps the contract: maps under one lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use super::*;
use async_trait::async_trait;
use rushmall::domain::sale::SaleTerms;
use rushmall::domain::stock::{BuyerUnits, Marker, judge};
use rushmall::persistence::StoreError;
use rushmall::persistence::ledger::{LedgerAnswer, LedgerPool, LedgerSnapshot, TicketRecord};

#[derive(Clone, Copy, Default)]
struct Account {
    free: i64,
    terms: Option<SaleTerms>,
    epoch: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Taken,
    Settled,
    /// Given back; true if it was settled before.
    Returned(bool),
}

#[derive(Default)]
struct Books {
    pools: BTreeMap<(ProductId, Pool), Account>,
    buyers: HashMap<(ProductId, Pool, BuyerId), BuyerUnits>,
    numbers: BTreeMap<OrderNo, (Ticket, State)>,
    steps: HashMap<String, i64>,
}

#[derive(Default)]
pub struct Reference(Mutex<Books>);

impl Books {
    fn judge(&self, claim: &Claim, marker: Marker, now_ms: i64) -> Result<Account, ClaimRejection> {
        if marker == Marker::Returned {
            return Err(ClaimRejection::Withdrawn);
        }
        let account = self.pools.get(&(claim.product, claim.pool)).copied().unwrap_or_default();
        let is_known = self.pools.contains_key(&(claim.product, claim.pool));
        if !is_known || (claim.pool != Pool::Free && account.terms.is_none()) {
            return Err(ClaimRejection::PoolNotFound);
        }
        let buyer = self.buyers.get(&(claim.product, claim.pool, claim.buyer)).copied();
        judge(claim, marker, account.terms.as_ref(), buyer, account.free, now_ms).map(|_| account)
    }

    fn change(&mut self, ticket: &TicketRef, units: i64) {
        self.pools.get_mut(&(ticket.product, ticket.pool)).unwrap().free -= units;
        if ticket.pool != Pool::Free {
            let key = (ticket.product, ticket.pool, ticket.buyer);
            let had = self.buyers.entry(key).or_insert(BuyerUnits { units: 0, latest: ticket.order_no });
            had.units += units;
            if units > 0 {
                had.latest = ticket.order_no;
            }
        }
    }

    fn reserve(&mut self, product: ProductId, claim: &Claim, now_ms: i64) -> Result<Ticket, ClaimRejection> {
        let marker = match self.numbers.get(&claim.order_no) {
            Some((_, State::Returned(_))) => Marker::Returned,
            Some((ticket, _)) => return Ok(ticket.clone()),
            None => Marker::None,
        };
        if claim.product != product {
            return Err(ClaimRejection::PoolNotFound);
        }
        let account = self.judge(claim, marker, now_ms)?;
        let unit_price = account.terms.map_or(claim.unit_price, |terms| terms.unit_price);
        let ticket = Ticket { claim: Claim { unit_price, ..claim.clone() }, accepted_at_ms: now_ms, epoch: 0 };
        self.change(&TicketRef::from(claim), claim.quantity.units());
        self.numbers.insert(claim.order_no, (ticket.clone(), State::Taken));
        Ok(ticket)
    }
}

fn bare(ticket: &TicketRef) -> Ticket {
    let claim = Claim {
        product: ticket.product,
        quantity: ticket.quantity,
        unit_price: Money::ZERO,
        details: OrderDetails::default(),
        ..setup::claim(ticket.order_no, ticket.pool, ticket.buyer.0, 1)
    };
    Ticket { claim, accepted_at_ms: 0, epoch: 0 }
}

#[async_trait(?Send)]
impl StockLedger for Reference {
    async fn reserve(
        &self,
        product: ProductId,
        claims: &[Claim],
        now_ms: i64,
    ) -> Result<Vec<Result<Ticket, ClaimRejection>>, StoreError> {
        let mut books = self.0.lock().unwrap();
        Ok(claims.iter().map(|claim| books.reserve(product, claim, now_ms)).collect())
    }

    async fn release(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        let mut books = self.0.lock().unwrap();
        for ticket in tickets {
            match books.numbers.get_mut(&ticket.order_no) {
                Some((_, State::Returned(_))) => {}
                Some((_, state)) => {
                    *state = State::Returned(*state == State::Settled);
                    books.change(ticket, -ticket.quantity.units());
                }
                None => {
                    books.numbers.insert(ticket.order_no, (bare(ticket), State::Returned(false)));
                }
            }
        }
        Ok(())
    }

    async fn settle(&self, tickets: &[TicketRef]) -> Result<(), StoreError> {
        let mut books = self.0.lock().unwrap();
        for ticket in tickets {
            if let Some((_, state @ State::Taken)) = books.numbers.get_mut(&ticket.order_no) {
                *state = State::Settled;
            }
        }
        Ok(())
    }

    async fn retake(&self, ticket: &TicketRef, now_ms: i64) -> LedgerAnswer<()> {
        let mut books = self.0.lock().unwrap();
        match books.numbers.get(&ticket.order_no) {
            None | Some((_, State::Returned(false))) => return Ok(Err(ClaimRejection::Withdrawn)),
            Some((_, State::Returned(true))) => {}
            Some(_) => return Ok(Ok(())),
        }
        if let Err(rejection) = books.judge(&bare(ticket).claim, Marker::None, now_ms) {
            return Ok(Err(rejection));
        }
        books.change(ticket, ticket.quantity.units());
        books.numbers.entry(ticket.order_no).and_modify(|(_, state)| *state = State::Settled);
        Ok(Ok(()))
    }

    async fn find(&self, order_no: OrderNo, _: Option<ProductId>) -> Result<Option<TicketRecord>, StoreError> {
        let books = self.0.lock().unwrap();
        let known = books.numbers.get(&order_no).filter(|(_, state)| *state != State::Settled);
        Ok(known.map(|(ticket, state)| TicketRecord {
            ticket: ticket.clone(),
            returned: matches!(state, State::Returned(_)),
        }))
    }

    async fn tickets_of(&self, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError> {
        let books = self.0.lock().unwrap();
        let taken = books.numbers.values().rev().filter(|(_, state)| *state == State::Taken);
        let owed = taken.filter(|(ticket, _)| ticket.claim.kind == TicketKind::Owed && ticket.claim.buyer == buyer);
        Ok(owed.map(|(ticket, _)| ticket.clone()).collect())
    }

    async fn orphans(&self, accepted_before_ms: i64, limit: u64) -> Result<Vec<Ticket>, StoreError> {
        let books = self.0.lock().unwrap();
        let taken = books.numbers.values().filter(|(_, state)| *state == State::Taken);
        let mut orphans: Vec<Ticket> = taken.map(|(ticket, _)| ticket.clone()).collect();
        orphans.retain(|ticket| ticket.accepted_at_ms < accepted_before_ms);
        orphans.sort_by_key(|ticket| (ticket.accepted_at_ms, ticket.claim.order_no));
        orphans.truncate(limit as usize);
        Ok(orphans)
    }

    async fn deposit(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: i64,
        _: i64,
    ) -> Result<(), StoreError> {
        let mut books = self.0.lock().unwrap();
        if books.steps.insert(step_id.to_owned(), units).is_none() {
            books.pools.entry((product, pool)).or_default().free += units;
        }
        Ok(())
    }

    async fn withdraw(
        &self,
        step_id: &str,
        product: ProductId,
        pool: Pool,
        units: Withdraw,
        _: i64,
    ) -> LedgerAnswer<i64> {
        let mut books = self.0.lock().unwrap();
        if let Some(units) = books.steps.get(step_id) {
            return Ok(Ok(*units));
        }
        let free = books.pools.get(&(product, pool)).map(|account| account.free);
        let units = match (units, free) {
            (Withdraw::Exactly(_), None) => return Ok(Err(ClaimRejection::PoolNotFound)),
            (Withdraw::Exactly(units), Some(0)) if units > 0 => return Ok(Err(ClaimRejection::SoldOut)),
            (Withdraw::Exactly(units), Some(free)) if free < units => {
                return Ok(Err(ClaimRejection::StockShort { units_left: free }));
            }
            (Withdraw::Exactly(units), _) => units,
            (Withdraw::UpTo(units), free) => units.min(free.unwrap_or(0)),
            (Withdraw::All, free) => free.unwrap_or(0),
        };
        books.steps.insert(step_id.to_owned(), units);
        if let Some(account) = books.pools.get_mut(&(product, pool)) {
            account.free -= units;
        }
        Ok(Ok(units))
    }

    async fn set_terms(&self, product: ProductId, terms: &SaleTerms) -> Result<(), StoreError> {
        let mut books = self.0.lock().unwrap();
        books.pools.entry((product, Pool::Sale(terms.sale))).or_default().terms = Some(*terms);
        Ok(())
    }

    async fn snapshot(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        let books = self.0.lock().unwrap();
        let of_product = books.pools.iter().filter(|((of, _), _)| *of == product);
        let pools = of_product.map(|((_, pool), account)| {
            let taken = books.numbers.values().filter(|(ticket, state)| {
                *state == State::Taken && ticket.claim.pool == *pool && ticket.claim.product == product
            });
            let unsettled = taken.map(|(ticket, _)| ticket.claim.quantity.units()).sum();
            LedgerPool { pool: *pool, free: account.free, unsettled, terms: account.terms, epoch: account.epoch }
        });
        Ok(LedgerSnapshot { pools: pools.collect() })
    }

    async fn begin_rebuild(&self, product: ProductId) -> Result<Option<LostAccount>, StoreError> {
        let books = self.0.lock().unwrap();
        let of_product = books.pools.iter().filter(|((of, _), _)| *of == product);
        let epoch = of_product.map(|(_, account)| account.epoch).max().unwrap_or(0);
        Ok(Some(LostAccount { epoch, turn: format!("after {epoch}") }))
    }

    async fn rebuild(&self, product: ProductId, rebuild: &Rebuild) -> Result<bool, StoreError> {
        let lost = self.begin_rebuild(product).await?.unwrap();
        let mut books = self.0.lock().unwrap();
        let epoch = rebuild.epoch;
        if lost.turn != rebuild.turn || lost.epoch >= epoch {
            return Ok(false);
        }
        books.pools.retain(|(of, _), _| *of != product);
        books.buyers.retain(|(of, _, _), _| *of != product);
        for state in &rebuild.pools {
            let account = Account { free: state.free, terms: state.terms, epoch };
            books.pools.insert((product, state.pool), account);
        }
        for state in &rebuild.buyers {
            books.buyers.insert((product, state.pool, state.buyer), state.units);
        }
        for order_no in &rebuild.returned {
            let nameless = bare(&TicketRef::from(&setup::claim(*order_no, Pool::Free, 0, 1)));
            books.numbers.entry(*order_no).or_insert((nameless, State::Settled)).1 = State::Returned(true);
        }
        books.steps.retain(|step_id, _| !rebuild.open_steps.contains(step_id));
        Ok(true)
    }

    async fn unsettled(&self, product: ProductId) -> Result<Vec<Ticket>, StoreError> {
        let mut tickets = self.orphans(i64::MAX, u64::MAX).await?;
        tickets.retain(|ticket| ticket.claim.product == product);
        Ok(tickets)
    }

    async fn buyers(&self, product: ProductId) -> Result<Vec<BuyerState>, StoreError> {
        let books = self.0.lock().unwrap();
        let of_product = books.buyers.iter().filter(|((of, _, _), units)| *of == product && units.units > 0);
        Ok(of_product
            .map(|((_, pool, buyer), units)| BuyerState { pool: *pool, buyer: *buyer, units: *units })
            .collect())
    }

    async fn suspend(&self, _: ProductId) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }
}
