//! Where an order and a gateway meet: opens a charge for an attempt, stops it, asks what became of it, and tells the order.
//!
//! | step | undo | time limit |
//! |---|---|---|
//! | number an attempt and store its terms (saga) | close it at the gateway | the charge's end |
//! | create the charge at the gateway | the same create again, or a query | the gateway's timeout |
//!
//! **Invariant**: the gateway hears of a number only after the journal has it, and always with the stored terms. Nothing is
//! kept here: a crash between the two steps leaves an open attempt, which a repeat, the poller or the deadline takes up.
//! Gateways are asked outside of the order's actor, so that a slow one holds up nobody else's command.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::actors::kit::{AskError, Directory};
use crate::actors::order_saga::{DriveOrder, OrderSagaActor, Party, SagaRejection};
use crate::clock::Clock;
use crate::domain::order::{
    Attempt, AttemptState, ChargeTerms, Command, Order, OrderStatus, PayChannel, Rejection, ReviewReason,
};
use crate::domain::{BuyerId, OrderNo};
use crate::failpoint;
use crate::payment::setup::Gateways;
use crate::payment::{Action, Charge, NewCharge, PaymentError, PaymentNo, Trade, TradeState};
use crate::persistence::{Db, StoreError, journal, payments};

/// A create whose outcome is unknown is repeated this often at once, with the pause between.
const CREATE_TRIES: u32 = 2;
const CREATE_PAUSE: Duration = Duration::from_millis(300);
/// Longest wait for the order's actor.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// A charge that waits for the buyer.
#[derive(Clone, Debug)]
pub struct ChargeOpened {
    /// The order.
    pub order: Order,
    /// Our number at the gateway.
    pub payment_no: PaymentNo,
    /// How to pay.
    pub charge: Charge,
}

/// Why there is nothing to pay with.
#[derive(Debug, thiserror::Error)]
pub enum PayRefusal {
    /// The channel is not switched on.
    #[error("no gateway for this channel")]
    NoGateway,
    /// The order's rules say no, or there is no such order of this buyer.
    #[error(transparent)]
    Saga(#[from] SagaRejection),
    /// The order's actor did not answer.
    #[error(transparent)]
    NotNow(#[from] AskError),
    /// The gateway refused, failed, or did not answer in time. The same request may be made again.
    #[error(transparent)]
    Gateway(#[from] PaymentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The desk; clones are the same.
#[derive(Clone, Debug)]
pub struct PaymentDesk {
    pub(super) gateways: Gateways,
    pub(super) orders: Directory<OrderSagaActor>,
    pub(super) db: Db,
    pub(super) clock: Clock,
    /// `node.slot`, for leases.
    pub(super) slot: u8,
    /// Rung when a notification was stored.
    pub(super) bell: Arc<Notify>,
}

impl PaymentDesk {
    /// A desk with these gateways.
    #[must_use]
    pub fn new(gateways: Gateways, orders: Directory<OrderSagaActor>, db: Db, clock: Clock, slot: u8) -> Self {
        Self { gateways, orders, db, clock, slot, bell: Arc::default() }
    }

    /// The gateways behind it.
    #[must_use]
    pub const fn gateways(&self) -> &Gateways {
        &self.gateways
    }

    /// Where the gateway of a channel tells of payments; `None` if the channel is not switched on.
    #[must_use]
    pub fn notify_url(&self, channel: PayChannel) -> Option<String> {
        self.gateways.of(channel).map(|gateway| self.gateways.notify_url(gateway.wire()))
    }

    /// Numbers an attempt and creates its charge; a repeat shows the open one again (R20, R21).
    ///
    /// # Errors
    /// [`PayRefusal`]. After one of the gateway's the attempt may be open: a repeat asks with the same number.
    pub async fn open(
        &self,
        order_no: OrderNo,
        buyer: BuyerId,
        channel: PayChannel,
        terms: ChargeTerms,
    ) -> Result<ChargeOpened, PayRefusal> {
        let gateway = self.gateways.of(channel).ok_or(PayRefusal::NoGateway)?;
        let order = self.drive_as(Party::Buyer(buyer), order_no, Command::StartPayment { channel, terms }).await?;
        let attempt = order.open_attempt().cloned().ok_or_else(|| wrong_state(&order))?;
        let charge = new_charge(&order, &attempt)?;
        let payment_no = charge.payment_no.clone();
        let mut tries = 0;
        loop {
            tries += 1;
            failpoint::reach("payment.create.before");
            match gateway.create(&charge).await {
                Ok(charge) => {
                    failpoint::reach("payment.create.after");
                    return Ok(ChargeOpened { order, payment_no, charge });
                }
                Err(error) if error.is_outcome_unknown() && tries < CREATE_TRIES => {
                    tracing::info!(%order_no, %payment_no, %error, "charge asked for again");
                    tokio::time::sleep(CREATE_PAUSE).await;
                }
                Err(error) => {
                    tracing::warn!(%order_no, %payment_no, %error, "charge not created");
                    self.after_refused_create(&order, &attempt, &error).await?;
                    return Err(error.into());
                }
            }
        }
    }

    /// A charge that the gateway refused for good must not keep the buyer from paying otherwise.
    async fn after_refused_create(
        &self,
        order: &Order,
        attempt: &Attempt,
        error: &PaymentError,
    ) -> Result<(), PayRefusal> {
        if matches!(error.action(), Action::Ask | Action::BackOff) {
            return Ok(()); // the same again may help
        }
        match self.consult(order, attempt).await {
            Err(PayRefusal::Gateway(error)) if error.action() == Action::NotFound => {
                let closed = Command::ConfirmAttemptClosed { attempt: attempt.number };
                self.drive(order.order_no, closed).await.map(|_| ())
            }
            Ok(_) | Err(PayRefusal::Gateway(_)) => Ok(()), // the poller asks again
            Err(refusal) => Err(refusal),
        }
    }

    /// Asks for the end of the charge that is open through this channel, so that the buyer can pay otherwise; the order as it
    /// is then. The gateway is asked by an effect.
    ///
    /// # Errors
    /// [`PayRefusal`]; [`Rejection::Unknown`] if another channel's charge is open.
    pub async fn stop(&self, order_no: OrderNo, buyer: BuyerId, channel: PayChannel) -> Result<Order, PayRefusal> {
        let order = self.read(order_no, Party::Buyer(buyer)).await?;
        if order.open_attempt().is_some_and(|attempt| attempt.channel != channel) {
            return Err(SagaRejection::Rule(Rejection::Unknown).into());
        }
        self.drive_as(Party::Buyer(buyer), order_no, Command::StopPayment).await
    }

    /// Asks the gateway about the latest attempt through this channel and tells the order; what it said, and the order.
    ///
    /// # Errors
    /// [`PayRefusal`]; [`Rejection::Unknown`] if the order has no such attempt.
    pub async fn look(
        &self,
        order_no: OrderNo,
        party: Party,
        channel: PayChannel,
    ) -> Result<(Option<Trade>, Order), PayRefusal> {
        let order = self.read(order_no, party).await?;
        let attempt = order.attempts.iter().rfind(|attempt| attempt.channel == channel && attempt.terms.is_some());
        let attempt = attempt.cloned().ok_or(SagaRejection::Rule(Rejection::Unknown))?;
        match self.consult(&order, &attempt).await {
            Ok((trade, order)) => Ok((Some(trade), order)),
            Err(PayRefusal::Gateway(error)) if error.action() == Action::NotFound => Ok((None, order)),
            Err(refusal) => Err(refusal),
        }
    }

    /// Asks the gateway about one attempt and tells the order.
    pub(super) async fn consult(&self, order: &Order, attempt: &Attempt) -> Result<(Trade, Order), PayRefusal> {
        let gateway = self.gateways.of(attempt.channel).ok_or(PayRefusal::NoGateway)?;
        let payment_no = payment_no(order.order_no, attempt.number)?;
        failpoint::reach("payment.query.before");
        let trade = gateway.query(&payment_no).await?;
        failpoint::reach("payment.query.after");
        let order = self.tell(order, attempt, &trade).await?;
        failpoint::reach("payment.query.told");
        Ok((trade, order))
    }

    /// Tells the order what the gateway said of an attempt. "Not paid" is never final and changes nothing (R36).
    pub(super) async fn tell(&self, order: &Order, attempt: &Attempt, trade: &Trade) -> Result<Order, PayRefusal> {
        let number = attempt.number;
        let command = match trade.state {
            TradeState::Paid | TradeState::PaidThenRefunded => {
                paid(order, number, trade, &payment_no(order.order_no, number)?)
            }
            TradeState::Closed | TradeState::Revoked if attempt.state == AttemptState::Open => {
                Command::ConfirmAttemptClosed { attempt: number }
            }
            _ => return Ok(order.clone()),
        };
        self.drive(order.order_no, command).await
    }

    async fn read(&self, order_no: OrderNo, party: Party) -> Result<Order, PayRefusal> {
        let order = journal::load(&self.db, order_no).await?.map(|loaded| loaded.order);
        let is_theirs = |order: &Order| !matches!(party, Party::Buyer(buyer) if buyer != order.buyer);
        order.filter(is_theirs).ok_or(PayRefusal::Saga(SagaRejection::NotFound))
    }

    pub(super) async fn drive(&self, order_no: OrderNo, command: Command) -> Result<Order, PayRefusal> {
        self.drive_as(Party::Shop, order_no, command).await
    }

    async fn drive_as(&self, party: Party, order_no: OrderNo, command: Command) -> Result<Order, PayRefusal> {
        Ok(self.orders.ask(&order_no, DriveOrder { party, command }, ASK_TIMEOUT).await??)
    }
}

/// What a paid trade means for the order: its own money, another amount (which goes back), or nothing that a rule may
/// decide (R31, R32).
fn paid(order: &Order, attempt: u16, trade: &Trade, payment_no: &PaymentNo) -> Command {
    let transaction_id = trade.gateway_no.clone().unwrap_or_default();
    match (trade.strange, trade.total) {
        (None, Some(amount)) if trade.payment_no == *payment_no => {
            Command::ConfirmPayment { attempt, amount, transaction_id }
        }
        (strange, _) => {
            tracing::error!(order_no = %order.order_no, ?strange, "payment does not agree with the order");
            Command::RequestReview { reason: ReviewReason::AmountMismatch }
        }
    }
}

fn wrong_state(order: &Order) -> PayRefusal {
    let rejection = match order.status {
        OrderStatus::Paid => Rejection::AlreadyPaid,
        status => Rejection::WrongState(status),
    };
    SagaRejection::Rule(rejection).into()
}

/// Our number of an attempt at the gateway.
pub(super) fn payment_no(order_no: OrderNo, attempt: u16) -> Result<PaymentNo, PaymentError> {
    payments::payment_no(order_no, attempt).parse().map_err(|_| PaymentError::Unacceptable("the payment's number"))
}

fn new_charge(order: &Order, attempt: &Attempt) -> Result<NewCharge, PaymentError> {
    let terms = attempt.terms.clone().ok_or(PaymentError::Unacceptable("terms of an attempt without a gateway"))?;
    Ok(NewCharge {
        payment_no: payment_no(order.order_no, attempt.number)?,
        amount: order.total,
        description: terms.description,
        expires_ms: terms.expires_at_ms,
        notify_url: terms.notify_url,
        trade_type: terms.trade_type,
        buyer_ip: terms.buyer_ip.parse().ok(),
    })
}
