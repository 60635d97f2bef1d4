//! What must hold in every state, and what some run must reach or the model proves nothing.

use rushmall::domain::order::{AttemptState, Command, OrderStatus, UnitsState, decide};

use crate::Shop;
use crate::world::{FIRST, PART, Purchase, Ticket, Trade, World};

pub const LEGAL: &str = "history is legal";
pub const UNITS: &str = "no unit is sold twice or lost";
pub const PAYABLE: &str = "no order is cancelled while it can be paid";
pub const MONEY: &str = "no attempt returns more than it brought";
pub const KEPT: &str = "an order keeps its price once at most";
pub const ENDS: &str = "when nothing is left to do, every order has ended";

pub fn every(world: &World, holds: impl Fn(&Purchase) -> bool) -> bool {
    world.purchases.iter().all(holds)
}

pub fn units_are_conserved(shop: &Shop, world: &World) -> bool {
    let tickets = world.purchases.iter().flat_map(|purchase| &purchase.tickets);
    let taken = tickets.filter(|ticket| **ticket == Ticket::Taken).count();
    let backed = |purchase: &Purchase| {
        let order = &purchase.stored;
        let needs_units = matches!(order.status, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed);
        let has_units = purchase.tickets[usize::from(order.was_cancelled())] == Ticket::Taken;
        if order.units == UnitsState::Returned { !needs_units } else { has_units }
    };
    world.units_free >= 0
        && world.units_free as usize + taken == 1
        && every(world, backed)
        && (every(world, Purchase::tickets_fit) || !shop.is_over(world))
}

pub fn cancelled_is_unpayable(_: &Shop, world: &World) -> bool {
    every(world, |purchase| {
        purchase.stored.status != OrderStatus::Cancelled || purchase.stored.open_attempt().is_none()
    })
}

pub fn money_is_conserved(_: &Shop, world: &World) -> bool {
    every(world, |purchase| {
        purchase.returns_at_most_what_came()
            && purchase.stored.captured() <= purchase.captured_at_gateway()
            && purchase.stored.refunded() <= purchase.returned_at_gateway(|_| true)
    })
}

pub fn one_price_is_kept(_: &Shop, world: &World) -> bool {
    every(world, Purchase::keeps_one_price_at_most)
}

/// One channel's charge was stopped, another's brought the money.
pub fn is_paid_elsewhere(_: &Shop, world: &World) -> bool {
    let order = &world.purchases[FIRST].stored;
    let [first, second] = &order.attempts[..] else { return false };
    let is_captured = matches!(second.state, AttemptState::Captured(_));
    order.status == OrderStatus::Paid && first.state == AttemptState::Closed && is_captured
}

/// A charge that was asked for and given up is created all the same, and paid.
pub fn is_paid_after_it_was_given_up(_: &Shop, world: &World) -> bool {
    let purchase = &world.purchases[FIRST];
    let stopped = purchase.stored.attempts.first().is_some_and(|attempt| attempt.is_closing);
    stopped && purchase.trades.first() == Some(&Trade::PaidAfterUnknown)
}

pub fn is_refunded_in_part(_: &Shop, world: &World) -> bool {
    let order = &world.purchases[FIRST].stored;
    order.status == OrderStatus::Paid && order.refunded() == PART
}

pub fn reaches<const CODE: i16>(_: &Shop, world: &World) -> bool {
    world.purchases[FIRST].stored.status.code() == CODE
}

pub fn loses_a_swap(_: &Shop, world: &World) -> bool {
    every(world, |purchase| purchase.stored.status != OrderStatus::PendingPayment)
        && decide(&world.purchases[FIRST].copies[0], &Command::ExpirePayment, 1).is_ok_and(|events| !events.is_empty())
}

pub fn is_paid_late(_: &Shop, world: &World) -> bool {
    let order = &world.purchases[FIRST].stored;
    order.was_cancelled() && order.status == OrderStatus::Paid
}

pub fn is_refunded_late(_: &Shop, world: &World) -> bool {
    let order = &world.purchases[FIRST].stored;
    order.before_refund == OrderStatus::Cancelled && order.status == OrderStatus::Refunded
}

pub fn both_buyers_want_the_unit(_: &Shop, world: &World) -> bool {
    world.purchases.len() == 2 && world.purchases[FIRST].stored.late_payment.is_some()
}

pub fn is_paid_twice(_: &Shop, world: &World) -> bool {
    let captured = |attempt: &&_| matches!(**attempt, AttemptState::Captured(_));
    world.purchases[FIRST].stored.attempts.iter().map(|attempt| &attempt.state).filter(captured).count() == 2
}
