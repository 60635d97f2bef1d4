//! Every interleaving of the order saga on two nodes, by a model checker; the rules are the shop's own `decide`,
//! `apply` and `owed_effects`.
//!
//! * **Nodes** hold a copy of each order that may be stale. They write by compare-and-swap on the version, and they
//!   believe "nothing to do" or a rejection only after the same comparison. Handling with a stale copy reloads it.
//! * **Messages** are never consumed: what the gateway or the ledger once said can be heard any number of times, in
//!   any order, at either node, or late. A lost message is one that is heard after everything else; it is heard in
//!   the end, because the poller asks again.
//! * **Effects** are never deleted either: each can be run again at any time by any node, by a zombie as well.
//! * **The ledger** knows units by ticket: the order's first, and a second one for a late payment.
//!
//! Everything above only grows, so the graph has no cycles and Stateright's `eventually` is exact but for joins.
//! Therefore the end is also an `always` property: a state without an obligation (message to hear, effect to run,
//! time to pass) is settled or waits for a human. Wishes of people never count as obligations.

use std::sync::Arc;

use rushmall::domain::money::Money;
use rushmall::domain::order::{
    AttemptState, CancelReason, Command, Effect, Event, Order, OrderStatus, PayChannel, RefundState, UnitsState, apply,
    decide, owed_effects, replay,
};
use rushmall::domain::{BuyerId, Pool, ProductId, Quantity};
use stateright::{Checker, HasDiscoveries, Model, Property};

const TOTAL: Money = Money::from_fen(100);
const ODD_AMOUNT: Money = Money::from_fen(1);
/// The order that is tried from every side.
const FIRST: usize = 0;
/// A second buyer who takes units that become free.
const RIVAL: usize = 1;

/// The shop as it should be, or with one rule broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Sound,
    /// The deadline cancels although an attempt is open.
    CancelsOpenAttempts,
    /// A stale node writes its copy over the store.
    WritesWithoutCas,
    /// A stale node believes its copy that "units are gone" means nothing to this order.
    BelievesItsCopy,
    /// Units taken for a late payment are given back under the first ticket.
    OneTicket,
}

/// What can happen in this run of the checker.
#[derive(Clone, Copy, Debug)]
struct Shop {
    rule: Rule,
    attempts_max: usize,
    has_rival: bool,
    buyer_cancels: bool,
    buyer_wants_refund: bool,
    shop_ships: bool,
    /// The gateway may call a code unknown that is paid later (R30).
    codes_are_lazy: bool,
    /// A wrong amount may come in (R31).
    amounts_differ: bool,
    /// The gateway may close or suspend a refund.
    refunds_fail: bool,
}

impl Shop {
    const QUIET: Self = Self {
        rule: Rule::Sound,
        attempts_max: 1,
        has_rival: false,
        buyer_cancels: false,
        buyer_wants_refund: false,
        shop_ships: false,
        codes_are_lazy: false,
        amounts_differ: false,
        refunds_fail: false,
    };
}

/// A payment attempt at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Trade {
    Unpaid,
    Paid,
    PaidOddly,
    Closed,
    /// Reported as closed, but the buyer still has the code.
    Unknown,
    PaidAfterUnknown,
}

/// A refund at the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Return {
    NotAsked,
    Running,
    Said(RefundState),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ticket {
    None,
    Taken,
    Returned,
}

/// Everything about one order, in the store, at both nodes, at the gateway and in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Purchase {
    stored: Arc<Order>,
    /// By version: nodes differ in nothing else, so their names do not matter.
    copies: [Arc<Order>; 2],
    owed: Vec<Effect>,
    trades: Vec<Trade>,
    returns: Vec<Return>,
    tickets: [Ticket; 2],
    /// The answer of the ledger that it has units was used.
    was_retaken: bool,
    /// The ledger once said that no units were free for the late payment.
    gone: bool,
    /// That answer was taken for done by a node with an old copy.
    gone_was_dropped: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    /// The first order's deadline is at 1, the rival's at 2.
    time: u8,
    units_free: i8,
    purchases: Vec<Purchase>,
    fault: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    TimePasses,
    RivalOrders,
    /// A node hears or wants something.
    Handle {
        order: usize,
        node: usize,
        command: Command,
    },
    /// A node runs an effect.
    Run {
        order: usize,
        effect: Effect,
    },
    /// The buyer or the gateway moves a trade.
    Trade {
        order: usize,
        trade: usize,
        becomes: Trade,
    },
    /// The gateway reports on a refund.
    Return {
        order: usize,
        number: usize,
        becomes: RefundState,
    },
}

fn purchase(order: usize) -> Option<Purchase> {
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
    fn amount(self) -> Money {
        match self {
            Self::Paid | Self::PaidAfterUnknown => TOTAL,
            Self::PaidOddly => ODD_AMOUNT,
            Self::Unpaid | Self::Closed | Self::Unknown => Money::ZERO,
        }
    }

    const fn was_called_closed(self) -> bool {
        matches!(self, Self::Closed | Self::Unknown | Self::PaidAfterUnknown)
    }
}

impl Purchase {
    fn captured_at_gateway(&self) -> Money {
        self.trades.iter().map(|trade| trade.amount()).sum()
    }

    fn returned_at_gateway(&self, wanted: impl Fn(u16) -> bool) -> Money {
        let refunds = self.stored.refunds.iter().zip(&self.returns);
        let ended = refunds.filter(|(refund, at_gateway)| {
            **at_gateway == Return::Said(RefundState::Succeeded) && wanted(refund.attempt)
        });
        ended.map(|(refund, _)| refund.amount).sum()
    }

    /// What the outside has to say about the order.
    fn messages(&self) -> Vec<Command> {
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
                messages.push(Command::ReportRefund { refund, state });
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

    /// Ended, with all money where it belongs, or in a human's queue.
    fn has_ended(&self) -> bool {
        let order = &self.stored;
        let keeps_money = matches!(order.status, OrderStatus::Paid | OrderStatus::Shipped | OrderStatus::Completed);
        let kept = order.captured().minus(order.refunded());
        let booked = order.captured() == self.captured_at_gateway()
            && order.refunded() == self.returned_at_gateway(|_| true)
            && kept == if keeps_money { TOTAL } else { Money::ZERO };
        order.review.is_some() || (order.is_settled() && booked)
    }

    /// The tickets fit the units: none lost and none without a ticket.
    fn tickets_fit(&self) -> bool {
        let has_units = self.stored.units != UnitsState::Returned;
        self.tickets.iter().filter(|ticket| **ticket == Ticket::Taken).count() == usize::from(has_units)
    }
}

impl World {
    fn give_back(&mut self, order: usize, ticket: usize) {
        let ticket = &mut self.purchases[order].tickets[ticket];
        if *ticket == Ticket::Taken {
            self.units_free += 1;
        }
        *ticket = Ticket::Returned;
    }

    fn retake(&mut self, order: usize) {
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
    fn commit(&mut self, order: usize, node: usize, events: &[Event]) {
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
            purchase.trades.push(if is_paid { Trade::Paid } else { Trade::Unpaid });
        }
        purchase.was_retaken |= events.contains(&Event::StockRetaken);
        purchase.returns.resize(after.refunds.len().max(purchase.returns.len()), Return::NotAsked);
        purchase.stored = Arc::new(after);
        purchase.copies[node] = Arc::clone(&purchase.stored);
    }
}

impl Shop {
    fn decide(self, copy: &Order, command: &Command, now_ms: i64) -> Option<Vec<Event>> {
        let expires = matches!(command, Command::ExpirePayment) && now_ms >= copy.pay_deadline_ms;
        if self.rule == Rule::CancelsOpenAttempts && expires && copy.status == OrderStatus::PendingPayment {
            return Some(vec![Event::OrderCancelled { reason: CancelReason::PayDeadline }]);
        }
        decide(copy, command, now_ms).ok()
    }

    fn handle(self, world: &mut World, order: usize, node: usize, command: &Command) {
        let purchase = &mut world.purchases[order];
        let copy = Arc::clone(&purchase.copies[node]);
        let is_stale = copy.version != purchase.stored.version;
        let answer = self.decide(&copy, command, i64::from(world.time));
        match answer {
            Some(events) if !events.is_empty() && (!is_stale || self.rule == Rule::WritesWithoutCas) => {
                world.commit(order, node, &events);
            }
            _ if is_stale => {
                if self.rule == Rule::BelievesItsCopy && *command == Command::ConfirmStockGone {
                    purchase.gone_was_dropped = true;
                }
                purchase.copies[node] = Arc::clone(&purchase.stored);
            }
            None if *command == Command::ConfirmStockRetaken => world.give_back(order, 1),
            _ => {}
        }
        world.purchases[order].copies.sort_by_key(|copy| copy.version);
    }

    fn run(self, world: &mut World, order: usize, effect: &Effect) {
        let purchase = &mut world.purchases[order];
        match effect {
            Effect::ClosePayment { attempt } => {
                let trade = &mut purchase.trades[usize::from(attempt - 1)];
                if *trade == Trade::Unpaid {
                    *trade = Trade::Closed;
                }
            }
            Effect::SendRefund { refund } => {
                let at_gateway = &mut purchase.returns[usize::from(refund - 1)];
                if *at_gateway == Return::NotAsked {
                    *at_gateway = Return::Running;
                }
            }
            Effect::ReleaseStock => world.give_back(order, 0),
            Effect::ReleaseRetakenStock => world.give_back(order, usize::from(self.rule != Rule::OneTicket)),
            Effect::RetakeStock => world.retake(order),
        }
    }

    /// Steps that cannot fail to come: what is said is heard, what is owed is done, time passes.
    fn obligations(self, world: &World, steps: &mut Vec<Step>) {
        if world.time < if self.has_rival { 2 } else { 1 } {
            steps.push(Step::TimePasses);
        }
        for (order, purchase) in world.purchases.iter().enumerate() {
            for command in purchase.messages() {
                steps.extend((0..2).map(|node| Step::Handle { order, node, command: command.clone() }));
            }
            for effect in &purchase.owed {
                steps.push(Step::Run { order, effect: effect.clone() });
            }
            for (number, at_gateway) in purchase.returns.iter().enumerate() {
                if matches!(at_gateway, Return::Running | Return::Said(RefundState::Abnormal)) {
                    steps.push(Step::Return { order, number, becomes: RefundState::Succeeded });
                }
            }
        }
    }

    /// Steps that people and the gateway may take or not.
    fn choices(self, world: &World, steps: &mut Vec<Step>) {
        if self.has_rival && world.purchases.len() == 1 && world.units_free > 0 {
            steps.push(Step::RivalOrders);
        }
        for (order, purchase) in world.purchases.iter().enumerate() {
            for command in self.wishes(order, &purchase.stored) {
                steps.extend((0..2).map(|node| Step::Handle { order, node, command: command.clone() }));
            }
            for (trade, state) in purchase.trades.iter().enumerate() {
                steps.extend(self.moves(*state).map(|becomes| Step::Trade { order, trade, becomes }));
            }
            if purchase.was_retaken {
                let command = Command::ConfirmStockRetaken;
                steps.extend((0..2).map(|node| Step::Handle { order, node, command: command.clone() }));
            }
            if self.refunds_fail && purchase.returns.first() == Some(&Return::Running) {
                let ends = [RefundState::Abnormal, RefundState::Closed];
                steps.extend(ends.map(|becomes| Step::Return { order, number: 0, becomes }));
            }
        }
    }

    fn moves(self, trade: Trade) -> impl Iterator<Item = Trade> {
        let moves = match trade {
            Trade::Unpaid => [
                Some(Trade::Paid),
                Some(Trade::Closed),
                self.amounts_differ.then_some(Trade::PaidOddly),
                self.codes_are_lazy.then_some(Trade::Unknown),
            ],
            Trade::Unknown => [Some(Trade::PaidAfterUnknown), None, None, None],
            _ => [None; 4],
        };
        moves.into_iter().flatten()
    }

    fn wishes(self, order: usize, stored: &Order) -> Vec<Command> {
        let mut wishes = Vec::new();
        if order == RIVAL {
            let channel = PayChannel::Simulated;
            return vec![Command::PayAtOnce { channel, transaction_id: String::new() }];
        }
        if stored.attempts.len() < self.attempts_max {
            wishes.push(Command::StartPayment { channel: PayChannel::Alipay });
        }
        if self.buyer_cancels {
            wishes.push(Command::Cancel { reason: CancelReason::Buyer });
        }
        if self.buyer_wants_refund && stored.refunds.len() < 2 {
            wishes.push(Command::RequestRefund { amount: TOTAL, reason: String::new() });
        }
        if self.refunds_fail {
            wishes.push(Command::RetryRefund { refund: 1 });
        }
        if self.shop_ships {
            wishes.push(Command::Ship { carrier: String::new(), tracking_no: String::new() });
            wishes.push(Command::ConfirmReceipt);
        }
        wishes
    }

    fn step(self, world: &World, step: Step) -> World {
        let mut next = world.clone();
        match step {
            Step::TimePasses => next.time += 1,
            Step::RivalOrders => {
                next.units_free -= 1;
                next.purchases.extend(purchase(RIVAL));
            }
            Step::Handle { order, node, command } => self.handle(&mut next, order, node, &command),
            Step::Run { order, effect } => self.run(&mut next, order, &effect),
            Step::Trade { order, trade, becomes } => next.purchases[order].trades[trade] = becomes,
            Step::Return { order, number, becomes } => {
                next.purchases[order].returns[number] = Return::Said(becomes);
            }
        }
        next
    }

    fn is_over(self, world: &World) -> bool {
        let mut steps = Vec::new();
        self.obligations(world, &mut steps);
        steps.into_iter().all(|step| self.step(world, step) == *world)
    }
}

const LEGAL: &str = "history is legal";
const UNITS: &str = "no unit is sold twice or lost";
const PAYABLE: &str = "no order is cancelled while it can be paid";
const MONEY: &str = "no attempt returns more than it brought";
const ENDS: &str = "when nothing is left to do, every order has ended";

fn every(world: &World, holds: impl Fn(&Purchase) -> bool) -> bool {
    world.purchases.iter().all(holds)
}

fn units_are_conserved(shop: &Shop, world: &World) -> bool {
    let tickets = world.purchases.iter().flat_map(|purchase| &purchase.tickets);
    let taken = tickets.filter(|ticket| **ticket == Ticket::Taken).count();
    let backed = |purchase: &Purchase| {
        let ticket = usize::from(purchase.stored.was_cancelled());
        purchase.stored.units == UnitsState::Returned || purchase.tickets[ticket] == Ticket::Taken
    };
    world.units_free >= 0
        && world.units_free as usize + taken == 1
        && every(world, backed)
        && (every(world, Purchase::tickets_fit) || !shop.is_over(world))
}

fn cancelled_is_unpayable(_: &Shop, world: &World) -> bool {
    every(world, |purchase| {
        purchase.stored.status != OrderStatus::Cancelled || purchase.stored.open_attempt().is_none()
    })
}

fn money_is_conserved(_: &Shop, world: &World) -> bool {
    every(world, |purchase| {
        let returned = |attempt| purchase.returned_at_gateway(|of| of == attempt);
        (1..).zip(&purchase.trades).all(|(attempt, trade)| returned(attempt) <= trade.amount())
            && purchase.stored.captured() <= purchase.captured_at_gateway()
            && purchase.stored.refunded() <= purchase.returned_at_gateway(|_| true)
    })
}

fn reaches<const CODE: i16>(_: &Shop, world: &World) -> bool {
    world.purchases[FIRST].stored.status.code() == CODE
}

fn loses_a_swap(_: &Shop, world: &World) -> bool {
    every(world, |purchase| purchase.stored.status != OrderStatus::PendingPayment)
        && decide(&world.purchases[FIRST].copies[0], &Command::ExpirePayment, 1).is_ok_and(|events| !events.is_empty())
}

fn is_paid_late(_: &Shop, world: &World) -> bool {
    let order = &world.purchases[FIRST].stored;
    order.was_cancelled() && order.status == OrderStatus::Paid
}

fn is_refunded_late(_: &Shop, world: &World) -> bool {
    let order = &world.purchases[FIRST].stored;
    order.before_refund == OrderStatus::Cancelled && order.status == OrderStatus::Refunded
}

fn both_buyers_want_the_unit(_: &Shop, world: &World) -> bool {
    world.purchases.len() == 2 && world.purchases[FIRST].stored.late_payment.is_some()
}

fn is_paid_twice(_: &Shop, world: &World) -> bool {
    let captured = |attempt: &&_| matches!(**attempt, AttemptState::Captured(_));
    world.purchases[FIRST].stored.attempts.iter().map(|attempt| &attempt.state).filter(captured).count() == 2
}

impl Model for Shop {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let purchases: Vec<_> = purchase(FIRST).into_iter().collect();
        vec![World { time: 0, units_free: 0, purchases, fault: None }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.fault.is_none() {
            self.obligations(world, steps);
            self.choices(world, steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let next = self.step(world, step);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(LEGAL, |_, world: &World| world.fault.is_none()),
            Property::always(UNITS, units_are_conserved),
            Property::always(PAYABLE, cancelled_is_unpayable),
            Property::always(MONEY, money_is_conserved),
            Property::always(ENDS, |shop, world| every(world, Purchase::has_ended) || !shop.is_over(world)),
            Property::eventually("every order ends", |_, world| every(world, Purchase::has_ended)),
            Property::sometimes("a node loses the swap", loses_a_swap),
            Property::sometimes("pending", reaches::<1>),
            Property::sometimes("paid", reaches::<2>),
            Property::sometimes("cancelled", reaches::<5>),
            Property::sometimes("closing", reaches::<9>),
        ];
        if self.shop_ships {
            properties.push(Property::sometimes("shipped", reaches::<3>));
            properties.push(Property::sometimes("completed", reaches::<4>));
        }
        if self.buyer_wants_refund || self.codes_are_lazy {
            properties.push(Property::sometimes("refunding", reaches::<6>));
            properties.push(Property::sometimes("refunded", reaches::<7>));
        }
        if self.codes_are_lazy {
            properties.push(Property::sometimes("late, and units were free", is_paid_late));
            properties.push(Property::sometimes("late, and units were sold", is_refunded_late));
        }
        if self.has_rival {
            properties.push(Property::sometimes("late, and a rival has ordered", both_buyers_want_the_unit));
        }
        if self.attempts_max > 1 {
            properties.push(Property::sometimes("paid twice", is_paid_twice));
        }
        if self.refunds_fail {
            let in_review = |_: &Self, world: &World| world.purchases[FIRST].stored.review.is_some();
            properties.push(Property::sometimes("in review", in_review));
        }
        properties
    }
}

/// The shop keeps every property in every reachable state.
macro_rules! holds {
    // A function would have to name the checker's hidden type or be printed from outside a test.
    ($shop:expr) => {{
        let checker = $shop.checker().threads(2).spawn_bfs().join();
        let (unique, total, depth) = (checker.unique_state_count(), checker.state_count(), checker.max_depth());
        println!("model: {unique} unique states, {total} total, depth {depth}");
        checker.assert_properties();
    }};
}

/// The checker finds out that `$shop` breaks `$property`.
macro_rules! breaks {
    ($shop:expr, $property:expr) => {{
        let found = HasDiscoveries::AllOf([$property].into());
        let checker = $shop.checker().finish_when(found).spawn_bfs().join();
        let counterexample = checker.discovery($property).expect("the checker misses a broken rule");
        println!("model: \"{}\" broken in {} steps", $property, counterexample.into_actions().len());
    }};
}

#[test]
fn a_unit_that_is_wanted_twice_is_sold_once() {
    holds!(Shop {
        attempts_max: 2,
        has_rival: true,
        buyer_cancels: true,
        buyer_wants_refund: true,
        codes_are_lazy: true,
        ..Shop::QUIET
    });
}

#[test]
fn refunds_and_wrong_amounts_end_well() {
    holds!(Shop {
        attempts_max: 2,
        buyer_wants_refund: true,
        codes_are_lazy: true,
        shop_ships: true,
        amounts_differ: true,
        refunds_fail: true,
        ..Shop::QUIET
    });
}

#[test]
fn a_late_payment_whose_refund_fails_is_seen_by_a_human() {
    holds!(Shop { has_rival: true, codes_are_lazy: true, refunds_fail: true, ..Shop::QUIET });
}

#[test]
fn a_clock_that_cancels_a_payable_order_is_found() {
    breaks!(Shop { rule: Rule::CancelsOpenAttempts, ..Shop::QUIET }, PAYABLE);
}

#[test]
fn a_write_without_compare_and_swap_is_found() {
    breaks!(Shop { rule: Rule::WritesWithoutCas, ..Shop::QUIET }, LEGAL);
}

#[test]
fn a_node_that_believes_its_stale_copy_is_found() {
    breaks!(Shop { rule: Rule::BelievesItsCopy, has_rival: true, codes_are_lazy: true, ..Shop::QUIET }, ENDS);
}

#[test]
fn a_second_release_under_the_first_ticket_is_found() {
    breaks!(Shop { rule: Rule::OneTicket, codes_are_lazy: true, buyer_wants_refund: true, ..Shop::QUIET }, UNITS);
}
