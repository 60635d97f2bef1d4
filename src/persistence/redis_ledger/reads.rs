//! Questions to the ledger. What goes over all products asks each by itself, a bounded number at a time, and leaves out
//! those whose account is lost: whoever rebuilds them asks `unsettled`.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use redis::Value;

use super::{RedisLedger, record, scripts};
use crate::domain::stock::{Claim, OrderDetails, Pool, Quantity, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId, SaleId};
use crate::persistence::dead_tickets;
use crate::persistence::error::StoreError;
use crate::persistence::ledger::{LedgerPool, LedgerSnapshot, TicketRecord};

/// Products asked at the same time.
const PRODUCTS_AT_ONCE: usize = 64;
/// Most tickets that `tickets_of` answers: more than one buyer can have in flight.
const TICKETS_OF_BUYER_MAX: usize = 200;
/// Tickets read by one command when all of a product are.
const SCAN_COUNT: usize = 1_000;
/// Most orphans asked of one product by one call.
const ORPHANS_MAX: u64 = 2_000;

impl RedisLedger {
    pub(super) async fn find_in(
        &self,
        product: ProductId,
        order_no: OrderNo,
    ) -> Result<Option<TicketRecord>, StoreError> {
        const OPERATION: &str = "finding a ticket";
        let mut call = self.redis.call(OPERATION, &scripts::FIND, product, 7);
        call.arg(order_no.to_string());
        let reply = self.redis.run(&call).await?;
        let texts: Vec<_> = reply.iter().map(record::text).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        match texts.as_slice() {
            [] | ["1"] => Ok(None),
            ["T", text] => self.record(product, order_no, text, false).map(Some),
            ["2", text] => self.record(product, order_no, text, true).map(Some),
            ["3"] => {
                let ticket = self.orders(vec![order_no]).await?.remove(&order_no);
                Ok(ticket.map(|ticket| TicketRecord { ticket, returned: true }))
            }
            _ => Err(record::corrupt(OPERATION)),
        }
    }

    /// The tombstone of a ticket that could not be read is readable again, without its details.
    fn record(
        &self,
        product: ProductId,
        order_no: OrderNo,
        text: &str,
        returned: bool,
    ) -> Result<TicketRecord, StoreError> {
        let ticket = match record::ticket(order_no, product, text) {
            Err(_) if returned => bare(product, order_no, text),
            read => read?,
        };
        Ok(TicketRecord { ticket, returned })
    }

    /// Unknown everywhere is an answer only if every product answered.
    pub(super) async fn find_anywhere(&self, order_no: OrderNo) -> Result<Option<TicketRecord>, StoreError> {
        let products = self.all_products().await?;
        let asked = stream::iter(products).map(|product| self.find_in(product, order_no));
        let mut answers = asked.buffer_unordered(PRODUCTS_AT_ONCE);
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(None) => {}
                Ok(Some(record)) => return Ok(Some(record)),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }

    pub(super) async fn tickets_of_buyer(&self, buyer: BuyerId) -> Result<Vec<Ticket>, StoreError> {
        let asked = async |product| {
            let mut call = self.redis.call("reading a buyer's tickets", &scripts::TICKETS_OF, product, 4);
            call.arg(buyer.0);
            self.redis.run(&call).await
        };
        let mut tickets = Vec::new();
        for (product, reply) in self.of_all_products(asked).await? {
            for pair in reply.as_chunks::<2>().0 {
                match read_pair(product, pair) {
                    Ok(ticket) => tickets.push(ticket),
                    Err(error) => tracing::error!(%product, %error, "ticket left out"),
                }
            }
        }
        tickets.sort_by_key(|ticket| std::cmp::Reverse(ticket.claim.order_no));
        tickets.truncate(TICKETS_OF_BUYER_MAX);
        Ok(tickets)
    }

    pub(super) async fn oldest_tickets(&self, accepted_before_ms: i64, limit: u64) -> Result<Vec<Ticket>, StoreError> {
        let most = limit.min(ORPHANS_MAX);
        loop {
            let asked = async |product| {
                let mut call = self.redis.call("reading unsettled tickets", &scripts::ORPHANS, product, 5);
                call.arg(accepted_before_ms).arg(most);
                self.redis.run(&call).await
            };
            let (mut tickets, mut buried) = (Vec::new(), 0);
            for (product, reply) in self.of_all_products(asked).await? {
                let (epoch, reply) = record::epoch_and_rest(&reply, "reading unsettled tickets")?;
                for pair in reply.as_chunks::<2>().0 {
                    match read_pair(product, pair) {
                        Ok(ticket) => tickets.push(Ticket { epoch, ..ticket }),
                        Err(error) => buried += u64::from(self.bury(product, pair, &error, accepted_before_ms).await),
                    }
                }
            }
            // Those behind the buried ones were not asked for yet.
            if buried == 0 || tickets.len() as u64 >= most {
                tickets.sort_by_key(|ticket| (ticket.accepted_at_ms, ticket.claim.order_no));
                tickets.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                return Ok(tickets);
            }
        }
    }

    /// Asks every product; one whose account is lost is left out.
    async fn of_all_products(
        &self,
        ask: impl AsyncFn(ProductId) -> Result<Vec<Value>, StoreError>,
    ) -> Result<Vec<(ProductId, Vec<Value>)>, StoreError> {
        let products = self.all_products().await?;
        let ask = &ask;
        let asked = stream::iter(products).map(|product| async move { (product, ask(product).await) });
        let answers: Vec<_> = asked.buffer_unordered(PRODUCTS_AT_ONCE).collect().await;
        let mut replies = Vec::with_capacity(answers.len());
        for (product, answer) in answers {
            match answer {
                Ok(reply) => replies.push((product, reply)),
                Err(error @ StoreError::LedgerLost { .. }) => tracing::debug!(%product, %error, "product left out"),
                Err(error) => return Err(error),
            }
        }
        Ok(replies)
    }

    /// A ticket that cannot be read would wait for ever: it is kept as a dead ticket first, then its units go back. True if
    /// it is gone. `now_ms` is a moment ago: the caller's bound on the age.
    async fn bury(&self, product: ProductId, pair: &[Value; 2], error: &StoreError, now_ms: i64) -> bool {
        let [order_no, text] = pair.each_ref().map(record::text);
        match self.bury_unreadable(product, &order_no, &text, now_ms).await {
            Ok(()) => {
                metrics::counter!("rushmall_dead_tickets_total").increment(1);
                tracing::error!(%order_no, %error, "ticket moved to the dead letters, its units are back");
                true
            }
            Err(failure) => {
                tracing::error!(%order_no, %error, %failure, "unreadable ticket not buried");
                false
            }
        }
    }

    async fn bury_unreadable(
        &self,
        product: ProductId,
        order_no: &str,
        text: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let number: OrderNo = order_no.parse().map_err(|_| record::corrupt("burying a ticket"))?;
        let (raw, whose) = record::remains(number, product, text);
        if let Some(ticket) = whose
            && self.orders(vec![number]).await?.contains_key(&number)
        {
            return self.settle_all(&[ticket]).await;
        }
        let buyer = whose.map_or(BuyerId(0), |ticket| ticket.buyer);
        dead_tickets::keep_unreadable(&self.db, (order_no, product, buyer), &raw, now_ms).await?;
        match whose {
            Some(ticket) => self.release_all(&[ticket]).await,
            None => self.release_nameless(product, order_no).await,
        }
    }

    pub(super) async fn read_pools(&self, product: ProductId) -> Result<LedgerSnapshot, StoreError> {
        const OPERATION: &str = "reading the ledger";
        let reply = self.redis.run(&self.redis.call(OPERATION, &scripts::SNAPSHOT, product, 2)).await?;
        let (epoch, fields) = record::epoch_and_rest(&reply, OPERATION)?;
        let mut pools: BTreeMap<Pool, LedgerPool> = BTreeMap::new();
        for [field, value] in fields.as_chunks::<2>().0 {
            let (field, value) = (record::text(field), record::text(value));
            let (kind, name) = field.split_at_checked(1).ok_or_else(|| record::corrupt(OPERATION))?;
            let pool = Pool::from(record::number(name, OPERATION)?);
            let entry = pools.entry(pool).or_insert(LedgerPool { pool, free: 0, unsettled: 0, terms: None, epoch });
            match (kind, pool) {
                ("f", _) => entry.free = record::number(&value, OPERATION)?,
                ("h", _) => entry.unsettled = record::number(&value, OPERATION)?,
                ("t", Pool::Sale(SaleId(sale))) => entry.terms = Some(record::terms(SaleId(sale), &value)?),
                _ => return Err(record::corrupt(OPERATION)),
            }
        }
        Ok(LedgerSnapshot { pools: pools.into_values().collect() })
    }

    /// Reads past the fence: works on an account that is lost. Nobody changes one, so the pages belong together.
    pub(super) async fn all_tickets(&self, product: ProductId) -> Result<Vec<Ticket>, StoreError> {
        let key = self.redis.key(product, "tickets");
        let mut tickets = BTreeMap::new();
        let mut cursor = "0".to_owned();
        loop {
            let scan = redis::cmd("HSCAN").arg(&key).arg(&cursor).arg("COUNT").arg(SCAN_COUNT).to_owned();
            let (next, page): (String, Vec<Value>) = self.redis.command("reading all tickets", &scan).await?;
            for pair in page.as_chunks::<2>().0 {
                let ticket = read_pair(product, pair).or_else(|error| {
                    tracing::error!(%product, %error, "ticket told without its details");
                    remains_of(product, pair).ok_or(error)
                });
                // One that says nothing at all gives no units back either, when it is buried.
                if let Ok(ticket) = ticket {
                    tickets.insert((ticket.accepted_at_ms, ticket.claim.order_no), ticket);
                }
            }
            if next == "0" {
                return Ok(tickets.into_values().collect());
            }
            cursor = next;
        }
    }
}

fn read_pair(product: ProductId, [order_no, text]: &[Value; 2]) -> Result<Ticket, StoreError> {
    let order_no = record::text(order_no).parse().map_err(|_| record::corrupt("reading tickets"))?;
    record::ticket(order_no, product, &record::text(text))
}

/// A ticket that cannot be read, if it can be told whose units it holds: they must be counted until it is buried.
fn remains_of(product: ProductId, [order_no, text]: &[Value; 2]) -> Option<Ticket> {
    let (order_no, text) = (record::text(order_no).parse().ok()?, record::text(text));
    record::remains(order_no, product, &text).1.map(|_| bare(product, order_no, &text))
}

/// What a buried ticket's tombstone still says.
fn bare(product: ProductId, order_no: OrderNo, text: &str) -> Ticket {
    let (raw, whose) = record::remains(order_no, product, text);
    let claim = Claim {
        order_no,
        buyer: whose.map_or(BuyerId(0), |whose| whose.buyer),
        product,
        pool: whose.map_or(Pool::Free, |whose| whose.pool),
        quantity: whose.map_or(Quantity::ONE, |whose| whose.quantity),
        unit_price: Money::from_fen(raw.unit_price_fen),
        kind: TicketKind::Owed,
        details: OrderDetails::default(),
    };
    Ticket { claim, accepted_at_ms: raw.accepted_at_ms, epoch: 0 }
}
