//! One order as a test sees it: commands go in, the journal and the owed effects gather.

use crate::domain::ids::{BuyerId, OrderNo, ProductId, SaleId};
use crate::domain::money::Money;
use crate::domain::order::{
    CancelReason, ChargeTerms, Command, Effect, Event, Order, OrderStatus, PayChannel, RefundAsker, RefundState,
    Rejection, apply, decide, owed_effects, replay,
};
use crate::domain::stock::{Pool, Quantity};

pub const PLACED_AT_MS: i64 = 1_795_000_000_000;
pub const DEADLINE_MS: i64 = PLACED_AT_MS + 900_000;
pub const TOTAL: Money = Money::from_fen(5_997);

/// An order that is being played.
pub struct Saga {
    pub order: Order,
    pub now_ms: i64,
    pub journal: Vec<(Event, i64)>,
    pub owed: Vec<Effect>,
    /// Effects that only ask; one for every attempt at a gateway.
    pub watched: Vec<Effect>,
}

impl Saga {
    /// Three units held, unpaid.
    pub fn placed() -> Self {
        let event = placed_event();
        let order = replay([(&event, PLACED_AT_MS)]).unwrap();
        Self {
            order,
            now_ms: PLACED_AT_MS,
            journal: vec![(event, PLACED_AT_MS)],
            owed: Vec::new(),
            watched: Vec::new(),
        }
    }

    /// Attempt 1 is open at Alipay.
    pub fn paying() -> Self {
        let mut saga = Self::placed();
        saga.does(start(PayChannel::Alipay)).unwrap();
        saga
    }

    /// Paid by attempt 1.
    pub fn paid() -> Self {
        let mut saga = Self::paying();
        saga.does(paid(1)).unwrap();
        saga
    }

    /// On its way.
    pub fn shipped() -> Self {
        let mut saga = Self::paid();
        saga.does(ship()).unwrap();
        saga
    }

    /// Deadline over, attempt 1 open.
    pub fn closing() -> Self {
        let mut saga = Self::paying();
        saga.expires();
        saga
    }

    /// Closed by the gateway after the deadline.
    pub fn cancelled() -> Self {
        let mut saga = Self::closing();
        saga.does(closed(1)).unwrap();
        saga
    }

    /// Cancelled, then attempt 1 was paid after all.
    pub fn paid_late() -> Self {
        let mut saga = Self::cancelled();
        saga.does(paid(1)).unwrap();
        saga
    }

    /// Paid late, the units are sold: refund 1 runs.
    pub fn refunding_late() -> Self {
        let mut saga = Self::paid_late();
        saga.does(Command::ConfirmStockGone).unwrap();
        saga
    }

    /// Decides and applies; the effects that became owed are kept in `owed`.
    pub fn does(&mut self, command: Command) -> Result<Vec<Event>, Rejection> {
        let events = decide(&self.order, &command, self.now_ms)?;
        for event in &events {
            let before = self.order.clone();
            apply(&mut self.order, event, self.now_ms);
            let (asking, moving): (Vec<_>, Vec<_>) = owed_effects(&before, event, &self.order)
                .into_iter()
                .partition(|effect| matches!(effect, Effect::WatchPayment { .. }));
            self.watched.extend(asking);
            self.owed.extend(moving);
            self.journal.push((event.clone(), self.now_ms));
        }
        Ok(events)
    }

    /// The pay deadline passes and its timer fires.
    pub fn expires(&mut self) {
        self.now_ms = DEADLINE_MS;
        self.does(Command::ExpirePayment).unwrap();
    }

    /// The command is answered without a change.
    #[track_caller]
    pub fn ignores(&mut self, command: Command) {
        assert_eq!(self.does(command), Ok(Vec::new()));
    }

    #[track_caller]
    pub fn is(&self, status: OrderStatus) {
        assert_eq!(self.order.status, status);
    }

    /// How often `effect` became owed.
    pub fn times_owed(&self, effect: &Effect) -> usize {
        self.owed.iter().filter(|owed| *owed == effect).count()
    }
}

pub fn placed_event() -> Event {
    Event::OrderPlaced {
        order_no: order_no(),
        buyer: BuyerId(7),
        product: ProductId(42),
        pool: Pool::Sale(SaleId(3)),
        quantity: Quantity::try_from(3).unwrap(),
        total: TOTAL,
        pay_deadline_ms: DEADLINE_MS,
    }
}

pub fn order_no() -> OrderNo {
    "01KX8Y5S00G0000000000000ZZ".parse().unwrap()
}

pub fn start(channel: PayChannel) -> Command {
    Command::StartPayment { channel, terms: ChargeTerms::default() }
}

pub fn pay_at_once() -> Command {
    Command::PayAtOnce { channel: PayChannel::Simulated, transaction_id: "sim-1".to_owned() }
}

/// The order's total came by `attempt`.
pub fn paid(attempt: u16) -> Command {
    paid_amount(attempt, TOTAL)
}

pub fn paid_amount(attempt: u16, amount: Money) -> Command {
    Command::ConfirmPayment { attempt, amount, transaction_id: format!("tx-{attempt}") }
}

pub const fn closed(attempt: u16) -> Command {
    Command::ConfirmAttemptClosed { attempt }
}

pub const fn cancel(reason: CancelReason) -> Command {
    Command::Cancel { reason }
}

pub fn ship() -> Command {
    Command::Ship { carrier: "SF".to_owned(), tracking_no: "SF123".to_owned() }
}

pub fn refund(fen: i64) -> Command {
    refund_asked_by(fen, "")
}

pub fn refund_asked_by(fen: i64, request: &str) -> Command {
    let (amount, reason) = (Money::from_fen(fen), "changed my mind".to_owned());
    Command::RequestRefund { by: RefundAsker::Administrator, amount, reason, request: request.to_owned() }
}

pub const fn reported(refund: u16, state: RefundState) -> Command {
    Command::ReportRefund { refund, state, gateway_no: String::new() }
}
