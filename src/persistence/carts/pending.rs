//! What a process that died has left half way in the Redis carts: checkouts whose lines lie aside, and guests' carts on
//! their way to a user. Whoever looks at the cart next ends it, or the sweep of any node; meeting there is harmless.
//!
//! | found | then |
//! |---|---|
//! | a checkout whose orders are in the database | its lines are forgotten |
//! | one without, begun longer than `cut_off_after_ms` ago, no unit held for it any more | its lines are put back |
//! | any other checkout | it is still at work: left alone |
//! | a guest's cart on the move | moved in under its mark, once |
//!
//! A checkout stops long before `cut_off_after_ms` by itself, so one without orders by then will never have any.

use std::sync::LazyLock;

use redis::{Cmd, Script};
use serde::Deserialize;

use super::redis_carts::{Fields, RedisCarts, checkout_entry, failed, stored_lines};
use super::{CART_LIFE_MS, CartOwner, Ending, StoredLine, Taking};
use crate::domain::stock::{OrderLine, Quantity};
use crate::domain::{BuyerId, OrderNo, ProductId};
use crate::failpoint;
use crate::persistence::{StoreError, orders};

static MOVE_OUT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../lua/cart_prelude.lua"), include_str!("../lua/cart_move_out.lua")))
});
static MOVE_IN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../lua/cart_prelude.lua"), include_str!("../lua/cart_move_in.lua")))
});
static MOVE_END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/cart_move_end.lua")));

/// Entries of what is open that are looked at in one round of the sweep.
const ENTRIES_MAX: isize = 200;
/// Carts on the move that one sign-in looks at: one left by an earlier sign-in, and his own.
const MOVES_MAX: usize = 3;

/// The record of a checkout that is not concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub taking: Taking,
    pub lines: Vec<OrderLine>,
}

/// As cart_take.lua writes it.
#[derive(Deserialize)]
struct RecordText {
    attempt: String,
    at: String,
    lines: Vec<(String, String, String, String)>,
}

impl Record {
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub(super) fn read(owner: &CartOwner, checkout: &str, text: &str) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt { what: format!("the record of checkout {checkout}") };
        let read: RecordText = serde_json::from_str(text).map_err(|_| corrupt())?;
        let line = |(product, units, order_no, _): &(String, String, String, String)| {
            let quantity = Quantity::try_from(units.parse::<i64>().ok()?).ok()?;
            Some(OrderLine { order_no: order_no.parse().ok()?, product: ProductId(product.parse().ok()?), quantity })
        };
        let lines = read.lines.iter().map(line).collect::<Option<Vec<_>>>().ok_or_else(corrupt)?;
        let (checkout, taken_at_ms) =
            (checkout.parse().map_err(|_| corrupt())?, read.at.parse().map_err(|_| corrupt())?);
        Ok(Self { taking: Taking { owner: owner.clone(), checkout, attempt: read.attempt, taken_at_ms }, lines })
    }
}

/// A guest's cart on its way.
struct Moving {
    to: CartOwner,
    id: String,
    lines: Vec<StoredLine>,
}

impl RedisCarts {
    pub(super) async fn record(&self, owner: &CartOwner, checkout: OrderNo) -> Result<Option<Record>, StoreError> {
        let text: Option<String> = self
            .link
            .query(&Cmd::hget(self.keys(owner).checkouts, checkout.to_string()))
            .await
            .map_err(failed("looking for a checkout"))?;
        text.map(|text| Record::read(owner, &checkout.to_string(), &text)).transpose()
    }

    /// Ends a checkout whose outcome is certain; true if it did.
    pub(super) async fn end_if_known(&self, record: &Record, now_ms: i64) -> Result<bool, StoreError> {
        let Some(ending) = self.ending_of(record, now_ms).await? else { return Ok(false) };
        let Taking { owner, checkout, .. } = &record.taking;
        if ending == Ending::Refused {
            tracing::info!(%checkout, "lines of a checkout that was cut off put back into the cart");
        }
        self.end(&record.taking, ending, now_ms).await?;
        self.note_ended(&checkout_entry(owner, *checkout)).await;
        Ok(true)
    }

    async fn ending_of(&self, record: &Record, now_ms: i64) -> Result<Option<Ending>, StoreError> {
        if self.is_ordered(record).await? {
            return Ok(Some(Ending::Placed));
        }
        if now_ms - record.taking.taken_at_ms < self.terms.cut_off_after_ms {
            return Ok(None);
        }
        for line in &record.lines {
            let held = self.ledger.find(line.order_no, Some(line.product)).await?;
            if held.is_some_and(|held| !held.returned) {
                return Ok(None); // the sweep of tickets gives the units back first
            }
        }
        // A ticket that was not found may have been settled since the first look: its order is there then.
        Ok(Some(if self.is_ordered(record).await? { Ending::Placed } else { Ending::Refused }))
    }

    pub(super) async fn is_ordered(&self, record: &Record) -> Result<bool, StoreError> {
        let order_nos: Vec<OrderNo> = record.lines.iter().map(|line| line.order_no).collect();
        Ok(!orders::existing(&self.db, &order_nos).await?.is_empty()) // all or nothing: one tells of all
    }

    /// Moves a guest's cart, after what an earlier sign-in left on the way.
    pub(super) async fn move_cart(
        &self,
        guest: &str,
        user: BuyerId,
        lines_max: u64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let owner = CartOwner::Guest(guest.to_owned());
        let keys = [self.keys(&owner).cart, self.moving_key(&owner)];
        let there: i64 = self.link.query(&Cmd::exists(&keys)).await.map_err(failed("looking for a guest's cart"))?;
        if there == 0 {
            return Ok(());
        }
        self.note_open(&move_entry(guest), now_ms).await?;
        for _ in 0..MOVES_MAX {
            let Some(moving) = self.move_out(&owner, user, now_ms).await? else { break };
            failpoint::reach("carts.move.out.after");
            self.move_in(&owner, &moving, lines_max, now_ms).await?;
        }
        self.note_ended(&move_entry(guest)).await;
        Ok(())
    }

    async fn move_out(&self, guest: &CartOwner, user: BuyerId, now_ms: i64) -> Result<Option<Moving>, StoreError> {
        let mut moving = MOVE_OUT.prepare_invoke();
        moving.key(self.keys(guest).cart).key(self.moving_key(guest));
        moving.arg(now_ms).arg(user.0).arg(crate::random::token());
        let fields: Fields = self.run("moving a guest's cart", &moving).await?;
        moving_cart(&fields)
    }

    async fn move_in(&self, guest: &CartOwner, moving: &Moving, lines_max: u64, now_ms: i64) -> Result<(), StoreError> {
        let cart = self.keys(&moving.to).cart;
        let mut arriving = MOVE_IN.prepare_invoke();
        arriving.key(&cart).key(format!("{cart}:moved:{}", moving.id)).arg(now_ms).arg(CART_LIFE_MS).arg(lines_max);
        for line in &moving.lines {
            arriving.arg(line.product.0).arg(line.quantity);
        }
        self.run::<i64>("moving a guest's cart in", &arriving).await?;
        failpoint::reach("carts.move.in.after");
        let mut forgetting = MOVE_END.prepare_invoke();
        forgetting.key(self.moving_key(guest)).arg(&moving.id);
        self.run::<i64>("forgetting a guest's cart", &forgetting).await.map(|_| ())
    }

    fn moving_key(&self, guest: &CartOwner) -> String {
        format!("{}:moving", self.keys(guest).cart)
    }

    /// Ends what is open for so long that its process must be dead; returns how much that was.
    pub(super) async fn end_cut_off(&self, now_ms: i64) -> Result<u64, StoreError> {
        let until_ms = now_ms - self.terms.cut_off_after_ms;
        let finding = Cmd::zrangebyscore_limit(self.open_key(), "-inf", until_ms, 0, ENTRIES_MAX);
        let entries: Vec<String> = self.link.query(&finding).await.map_err(failed("looking for open carts"))?;
        let mut ended = 0;
        for entry in entries {
            match self.end_entry(&entry, now_ms).await {
                Ok(true) => ended += 1,
                // not yet: those behind it come first in the next round
                Ok(false) => self.note_open(&entry, now_ms - self.terms.cut_off_after_ms / 2).await?,
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(%error, "a cart that cannot be read is left to its expiry");
                    self.note_ended(&entry).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ended)
    }

    async fn end_entry(&self, entry: &str, now_ms: i64) -> Result<bool, StoreError> {
        let corrupt = || StoreError::Corrupt { what: format!("the entry {entry} of what is open") };
        if let Some(token) = entry.strip_prefix("move|") {
            let guest = CartOwner::Guest(token.to_owned());
            let reading = Cmd::hgetall(self.moving_key(&guest));
            let fields: Fields = self.link.query(&reading).await.map_err(failed("reading a cart"))?;
            if let Some(moving) = moving_cart(&fields)? {
                self.move_in(&guest, &moving, self.terms.lines_max, now_ms).await?;
            }
            self.note_ended(entry).await;
            return Ok(true);
        }
        let named = entry.strip_prefix("checkout|").and_then(|rest| rest.rsplit_once('|')).ok_or_else(corrupt)?;
        let (owner, checkout) = (named.0.parse().map_err(|_| corrupt())?, named.1.parse().map_err(|_| corrupt())?);
        match self.record(&owner, checkout).await? {
            Some(record) => self.end_if_known(&record, now_ms).await,
            None => {
                self.note_ended(entry).await;
                Ok(true)
            }
        }
    }

    /// Before the first step, so that whatever follows is found.
    pub(super) async fn note_open(&self, entry: &str, at_ms: i64) -> Result<(), StoreError> {
        let noting = Cmd::zadd(self.open_key(), entry, at_ms);
        self.link.query::<i64>(&noting).await.map(|_| ()).map_err(failed("noting an open cart"))
    }

    /// After the last step. Left undone it is found by the sweep, which finds nothing to end.
    pub(super) async fn note_ended(&self, entry: &str) {
        if let Err(error) = self.link.query::<i64>(&Cmd::zrem(self.open_key(), entry)).await {
            tracing::debug!(%error, "an ended cart is still noted as open");
        }
    }

    fn open_key(&self) -> String {
        self.link.key("carts:open")
    }
}

fn move_entry(guest: &str) -> String {
    format!("move|{guest}")
}

/// `None`: there is no such cart.
fn moving_cart(fields: &[(String, String)]) -> Result<Option<Moving>, StoreError> {
    if fields.is_empty() {
        return Ok(None);
    }
    let corrupt = || StoreError::Corrupt { what: "a guest's cart on the move".to_owned() };
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let to = field("to").and_then(|user| user.parse().ok()).map(|user| CartOwner::User(BuyerId(user)));
    let (to, id) = (to.ok_or_else(corrupt)?, field("id").ok_or_else(corrupt)?);
    Ok(Some(Moving { to, id, lines: stored_lines(fields, i64::MIN)? }))
}
