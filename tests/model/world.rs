//! One order seen from everywhere: the store, two nodes, the gateway and the ledger; and what each of them does.

use std::sync::Arc;

use rushmall::domain::order::{
    AttemptState, Command, Effect, Event, Order, OrderStatus, Refund, RefundPurpose, RefundState, UnitsState, apply,
    owed_effects, replay,
};
use rushmall::domain::{BuyerId, Money, Pool, ProductId, Quantity};

pub const TOTAL: Money = Money::from_fen(100);
const ODD_AMOUNT: Money = Money::from_fen(1);
/// The order that is tried from every side.
pub const FIRST: usize = 0;

/// What one buyer asks back first if he asks for parts.
pub const PART: Money = Money::from_fen(40);

/// A payment attempt at the gateway: its own truth, whatever the shop has heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trade {
    /// The shop has numbered it; the gateway has not heard of it, or its creation is on its way.
    NotCreated,
    Unpaid,
    Paid,
    PaidOddly,
    Closed,
    /// Reported as closed or never heard of, but the buyer has the code, will get it, or has just paid with it.
    Unknown,
    PaidAfterUnknown,
}

/// A refund at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Return {
    NotAsked,
    Running,
    Said(RefundState),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ticket {
    None,
    Taken,
    Returned,
}

/// Everything about one order, in the store, at both nodes, at the gateway and in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Purchase {
    pub stored: Arc<Order>,
    /// By version: nodes differ in nothing else, so their names do not matter.
    pub copies: [Arc<Order>; 2],
    pub owed: Vec<Effect>,
    pub trades: Vec<Trade>,
    pub returns: Vec<Return>,
    pub tickets: [Ticket; 2],
    /// The answer of the ledger that it has units was used.
    pub was_retaken: bool,
    /// The ledger once said that no units were free for the late payment.
    pub gone: bool,
    /// That answer was taken for done by a node with an old copy.
    pub gone_was_dropped: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The first order's deadline is at 1, the rival's at 2.
    pub time: u8,
    pub units_free: i8,
    pub purchases: Vec<Purchase>,
    pub fault: Option<&'static str>,
}

pub fn purchase(order: usize) -> Option<Purchase> {
    let numbers = ["01KX8Y5S00G0000000000000Z1", "01KX8Y5S00G0000000000000Z2"];
    let placed = Event::OrderPlaced {
        order_no: numbers[order].parse().ok()?,
        buyer: BuyerId(1),
        product: ProductId(1),
        pool: Pool::Free,
        quantity: Quantity::ONE,
        total: TOTAL,
        pay_deadline_ms: if order == FIRST { 1 } else { 2 },
    };
    let stored = Arc::new(replay([(&placed, 0)])?);
    Some(Purchase {
        copies: [Arc::clone(&stored), Arc::clone(&stored)],
        stored,
        owed: Vec::new(),
        trades: Vec::new(),
        returns: Vec::new(),
        tickets: [Ticket::Taken, Ticket::None],
        was_retaken: false,
        gone: false,
        gone_was_dropped: false,
    })
}

impl Trade {
    pub fn amount(self) -> Money {
        match self {
            Self::Paid | Self::PaidAfterUnknown => TOTAL,
            Self::PaidOddly => ODD_AMOUNT,
            Self::NotCreated | Self::Unpaid | Self::Closed | Self::Unknown => Money::ZERO,
        }
    }

    pub const fn was_called_closed(self) -> bool {
        matches!(self, Self::Closed | Self::Unknown | Self::PaidAfterUnknown)
    }
}

impl Purchase {
    pub fn captured_at_gateway(&self) -> Money {
        self.trades.iter().map(|trade| trade.amount()).sum()
    }

    pub fn returned_at_gateway(&self, wanted: impl Fn(u16) -> bool) -> Money {
        let refunds = self.stored.refunds.iter().zip(&self.returns);
        let ended = refunds.filter(|(refund, at_gateway)| {
            **at_gateway == Return::Said(RefundState::Succeeded) && wanted(refund.attempt)
        });
        ended.map(|(refund, _)| refund.amount).sum()
    }

    /// What the outside has to say about the order.
    pub fn messages(&self) -> Vec<Command> {
        let mut messages = vec![Command::ExpirePayment];
        for (attempt, trade) in (1_u16..).zip(&self.trades) {
            let amount = trade.amount();
            if amount.is_positive() {
                messages.push(Command::ConfirmPayment { attempt, amount, transaction_id: String::new() });
            }
            if trade.was_called_closed() {
                messages.push(Command::ConfirmAttemptClosed { attempt });
            }
        }
        for (refund, at_gateway) in (1_u16..).zip(&self.returns) {
            if let Return::Said(state) = *at_gateway {
                messages.push(Command::ReportRefund { refund, state, gateway_no: String::new() });
            }
        }
        if self.tickets[1] != Ticket::None && !self.was_retaken {
            messages.push(Command::ConfirmStockRetaken);
        }
        if self.gone && !self.gone_was_dropped {
            messages.push(Command::ConfirmStockGone);
        }
        messages
    }

    /// Ended, with all money where it belongs, or in a human's queue because the gateway closed a refund.
    pub fn has_ended(&self) -> bool {
        let order = &self.stored;
        let keeps_money = matches!(order.status, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed);
        let kept = order.captured().minus(order.refunded());
        let is_wanted = |refund: &&Refund| refund.purpose == RefundPurpose::Order;
        let is_back = |refund: &&Refund| refund.state == RefundState::Succeeded;
        let wanted_back = order.refunds.iter().filter(is_wanted).filter(is_back).map(|refund| refund.amount).sum();
        let booked = order.captured() == self.captured_at_gateway()
            && order.refunded() == self.returned_at_gateway(|_| true)
            && kept == if keeps_money { TOTAL.minus(wanted_back) } else { Money::ZERO };
        let refund_failed = order.refunds.iter().any(|refund| refund.state == RefundState::Closed);
        let waits_for_money = matches!(order.status, OrderStatus::PendingPayment | OrderStatus::Closing);
        (order.is_settled() && booked) || (refund_failed && order.review.is_some() && !waits_for_money)
    }

    /// What the order neither gave back nor promised to give back is its price at most. (A refund that the gateway closed is a
    /// human's.)
    pub fn keeps_one_price_at_most(&self) -> bool {
        let order = &self.stored;
        let is_closed = |refund: &Refund| refund.state == RefundState::Closed;
        let promised: Money =
            order.refunds.iter().filter(|refund| !is_closed(refund)).map(|refund| refund.amount).sum();
        order.refunds.iter().any(is_closed) || order.captured().minus(promised) <= TOTAL
    }

    /// Each attempt's refunds, at the gateway and in the books, are at most what it brought.
    pub fn returns_at_most_what_came(&self) -> bool {
        let order = &self.stored;
        let asked = |attempt: u16| -> Money {
            let of =
                order.refunds.iter().filter(|refund| refund.attempt == attempt && refund.state != RefundState::Closed);
            of.map(|refund| refund.amount).sum()
        };
        (1..).zip(&self.trades).all(|(attempt, trade)| {
            self.returned_at_gateway(|of| of == attempt) <= trade.amount() && asked(attempt) <= trade.amount()
        })
    }

    /// The tickets fit the units: none lost and none without a ticket.
    pub fn tickets_fit(&self) -> bool {
        let has_units = self.stored.units != UnitsState::Returned;
        self.tickets.iter().filter(|ticket| **ticket == Ticket::Taken).count() == usize::from(has_units)
    }
}

impl World {
    pub fn give_back(&mut self, order: usize, ticket: usize) {
        let ticket = &mut self.purchases[order].tickets[ticket];
        if *ticket == Ticket::Taken {
            self.units_free += 1;
        }
        *ticket = Ticket::Returned;
    }

    pub fn retake(&mut self, order: usize) {
        let purchase = &mut self.purchases[order];
        match purchase.tickets[1] {
            Ticket::Taken => {}
            Ticket::None if self.units_free > 0 => {
                self.units_free -= 1;
                purchase.tickets[1] = Ticket::Taken;
            }
            Ticket::None | Ticket::Returned => purchase.gone = true,
        }
    }

    /// One transaction: the order, its effects, and what the gateway will be asked for.
    pub fn commit(&mut self, order: usize, node: usize, events: &[Event]) {
        let purchase = &mut self.purchases[order];
        let mut after = Order::clone(&purchase.copies[node]);
        let mut status = purchase.stored.status;
        for event in events {
            let before = after.clone();
            apply(&mut after, event, i64::from(self.time));
            if status != after.status && !status.may_become(after.status) {
                self.fault = Some("an edge that design.md does not draw");
            }
            status = after.status;
            for effect in owed_effects(&before, event, &after) {
                if !purchase.owed.contains(&effect) {
                    purchase.owed.push(effect);
                }
            }
        }
        if after.version as usize != purchase.stored.version as usize + events.len() {
            self.fault = Some("a version that was written twice");
        }
        for attempt in after.attempts.iter().skip(purchase.trades.len()) {
            let is_paid = attempt.state == AttemptState::Captured(TOTAL);
            purchase.trades.push(if is_paid { Trade::Paid } else { Trade::NotCreated });
        }
        purchase.was_retaken |= events.contains(&Event::StockRetaken);
        purchase.returns.resize(after.refunds.len().max(purchase.returns.len()), Return::NotAsked);
        purchase.stored = Arc::new(after);
        purchase.copies[node] = Arc::clone(&purchase.stored);
    }
}
