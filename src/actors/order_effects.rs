//! What an order owes to the ledger of units, done by the order's saga actor. What it owes to gateways is done by the
//! payment desk (payments/effects.rs), outside of the actor.
//!
//! | effect | idempotent by | its result comes back as |
//! |---|---|---|
//! | give units back to the ledger | order number | nothing |
//! | look for units for a late payment | order number | `ConfirmStockRetaken` or `ConfirmStockGone` |
//!
//! An effect leaves its table only after its result is committed; a crash in between repeats it.

use super::order_saga::{SagaDeps, SagaRejection};
use crate::domain::OrderNo;
use crate::domain::order::{Command, Effect, Order, UnitsState};
use crate::failpoint;
use crate::persistence::effects::{self, OwedEffect};
use crate::persistence::journal::LoadedOrder;
use crate::persistence::ledger::TicketRef;

impl SagaDeps {
    /// Runs one effect, commits its result, and takes it off the table.
    pub(super) async fn run_effect(
        &self,
        loaded: LoadedOrder,
        owed: &OwedEffect,
    ) -> Result<LoadedOrder, SagaRejection> {
        failpoint::reach("effect.run.before");
        let result = match owed.effect {
            Effect::ReleaseStock => self.release_first_ticket(loaded.order.order_no).await?,
            Effect::ReleaseRetakenStock => self.release_stock(&loaded.order).await?,
            Effect::RetakeStock => Some(self.retake_stock(&loaded.order).await?),
            Effect::WatchPayment { .. } | Effect::ClosePayment { .. } | Effect::SendRefund { .. } => return Ok(loaded),
        };
        failpoint::reach("effect.run.after");
        let loaded = match result {
            Some(command) => self.report(loaded, &command).await?,
            None => loaded,
        };
        if owed.effect == Effect::RetakeStock && loaded.order.units == UnitsState::Returned {
            // SQL had no unit for what the gate gave, or another node said "gone" first.
            self.release_stock(&loaded.order).await?;
        }
        effects::done(&self.db, owed.key).await?;
        Ok(loaded)
    }

    /// Commits an effect's result; an order that no longer waits for it is answered as it is now.
    async fn report(&self, loaded: LoadedOrder, result: &Command) -> Result<LoadedOrder, SagaRejection> {
        let order_no = loaded.order.order_no;
        match self.drive(loaded, result).await {
            Err(SagaRejection::Rule(rejection)) => {
                tracing::info!(%order_no, %rejection, "result of an effect came too late");
                self.read(order_no).await
            }
            outcome => outcome,
        }
    }

    /// A repeat of this effect must not give back units that were taken again for a late payment.
    async fn release_first_ticket(&self, order_no: OrderNo) -> Result<Option<Command>, SagaRejection> {
        let order = self.read(order_no).await?.order;
        if order.units == UnitsState::Returned { self.release_stock(&order).await } else { Ok(None) }
    }

    async fn release_stock(&self, order: &Order) -> Result<Option<Command>, SagaRejection> {
        self.ledger.release(&[TicketRef::from(order)]).await?;
        Ok(None)
    }

    /// Units are taken at the gate first, which judges window, limit and stock again; the journal's commit then takes
    /// them in SQL, or says that they are gone.
    async fn retake_stock(&self, order: &Order) -> Result<Command, SagaRejection> {
        if order.late_payment.is_none() {
            return Ok(Command::ConfirmStockGone);
        }
        let taken = self.ledger.retake(&TicketRef::from(order), self.clock.now_ms()).await?;
        Ok(if taken.is_ok() { Command::ConfirmStockRetaken } else { Command::ConfirmStockGone })
    }
}
