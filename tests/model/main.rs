//! Every interleaving of the order saga on two nodes, by a model checker; the rules are the shop's own `decide`,
//! `apply` and `owed_effects`.
//!
//! * **Nodes** hold a copy of each order that may be stale. They write by compare-and-swap on the version, and they
//!   believe "nothing to do" or a rejection only after the same comparison. Handling with a stale copy reloads it.
//! * **Messages** are never consumed: what the gateway or the ledger once said can be heard any number of times, in
//!   any order, at either node, or late. A lost message is one that is heard after everything else; it is heard in
//!   the end, because the poller asks again.
//! * **The gateway** has a truth of its own: a charge that was never created, is open, paid, closed, closed in name only. The
//!   shop knows of it what it heard; an answer that is lost is one that nobody hears, a notification that comes twice or late
//!   one that is heard again.
//! * **Effects** are never deleted either: each can be run again at any time by any node, by a zombie as well.
//! * **The ledger** knows units by ticket: the order's first, and a second one for a late payment.
//!
//! Everything above only grows, so the graph has no cycles and Stateright's `eventually` is exact but for joins.
//! Therefore the end is also an `always` property: a state without an obligation (message to hear, effect to run,
//! time to pass) is settled, or waits for a human after a refund failed. Wishes of people never count as obligations.

mod properties;
mod walks;
mod world;

use std::sync::Arc;

use properties::{
    ENDS, KEPT, LEGAL, MONEY, PAYABLE, UNITS, both_buyers_want_the_unit, cancelled_is_unpayable, every,
    is_paid_after_it_was_given_up, is_paid_elsewhere, is_paid_late, is_paid_twice, is_refunded_in_part,
    is_refunded_late, loses_a_swap, money_is_conserved, one_price_is_kept, reaches, units_are_conserved,
};
use rushmall::domain::order::{
    CancelReason, ChargeTerms, Command, Effect, Event, Order, OrderStatus, PayChannel, RefundAsker, RefundPurpose,
    RefundState, decide,
};
use stateright::{Checker, HasDiscoveries, Model, Property};
use world::{FIRST, PART, Purchase, Return, TOTAL, Trade, World, purchase};

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
    /// Money beyond the price is booked and not given back.
    KeepsSurplus,
}

/// What can happen in this run of the checker.
#[derive(Clone, Copy, Debug)]
struct Shop {
    rule: Rule,
    attempts_max: usize,
    has_rival: bool,
    buyer_cancels: bool,
    buyer_wants_refund: bool,
    /// In two parts.
    refunds_are_parts: bool,
    /// The buyer has an open charge closed, to pay through another channel.
    buyer_changes_channel: bool,
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
        refunds_are_parts: false,
        buyer_changes_channel: false,
        shop_ships: false,
        codes_are_lazy: false,
        amounts_differ: false,
        refunds_fail: false,
    };
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

impl Shop {
    fn decide(self, copy: &Order, command: &Command, now_ms: i64) -> Option<Vec<Event>> {
        let expires = matches!(command, Command::ExpirePayment) && now_ms >= copy.pay_deadline_ms;
        if self.rule == Rule::CancelsOpenAttempts && expires && copy.status == OrderStatus::PendingPayment {
            return Some(vec![Event::OrderCancelled { reason: CancelReason::PayDeadline }]);
        }
        let mut events = decide(copy, command, now_ms).ok()?;
        if self.rule == Rule::KeepsSurplus {
            events.retain(|event| !matches!(event, Event::RefundRequested { purpose: RefundPurpose::Surplus, .. }));
        }
        Some(events)
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
            Effect::WatchPayment { .. } => {} // only asks; what the gateway knows is heard anyway
            Effect::ClosePayment { attempt } => {
                let trade = &mut purchase.trades[usize::from(attempt - 1)];
                match *trade {
                    Trade::Unpaid => *trade = Trade::Closed,
                    // "no such charge", long after its end; it may still come into being
                    Trade::NotCreated if self.codes_are_lazy => *trade = Trade::Unknown,
                    Trade::NotCreated => *trade = Trade::Closed,
                    _ => {}
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
            Trade::NotCreated => [Some(Trade::Unpaid), self.codes_are_lazy.then_some(Trade::Unknown), None, None],
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
            let is_second = self.buyer_changes_channel && !stored.attempts.is_empty();
            let channel = if is_second { PayChannel::Wechat } else { PayChannel::Alipay };
            wishes.push(Command::StartPayment { channel, terms: ChargeTerms::default() });
        }
        if self.buyer_changes_channel {
            wishes.push(Command::StopPayment);
        }
        if self.buyer_cancels {
            wishes.push(Command::Cancel { reason: CancelReason::Buyer });
        }
        if self.buyer_wants_refund && stored.refunds.len() < 2 {
            wishes.push(Command::RequestRefund {
                by: RefundAsker::Administrator,
                amount: match stored.refunds.len() {
                    0 if self.refunds_are_parts => PART,
                    _ if self.refunds_are_parts => TOTAL.minus(PART),
                    _ => TOTAL,
                },
                reason: String::new(),
                request: String::new(),
            });
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
            Property::always(KEPT, one_price_is_kept),
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
        if self.buyer_changes_channel && self.attempts_max > 1 {
            properties.push(Property::sometimes("paid through another channel", is_paid_elsewhere));
        }
        if self.buyer_changes_channel && self.codes_are_lazy {
            properties.push(Property::sometimes("paid after it was given up", is_paid_after_it_was_given_up));
        }
        if self.refunds_are_parts {
            properties.push(Property::sometimes("refunded in part", is_refunded_in_part));
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
fn a_stopped_charge_that_is_paid_all_the_same_is_given_back() {
    holds!(Shop {
        attempts_max: 2,
        buyer_changes_channel: true,
        buyer_cancels: true,
        codes_are_lazy: true,
        ..Shop::QUIET
    });
}

#[test]
fn parts_of_the_money_go_back_and_the_unit_once() {
    holds!(Shop {
        buyer_wants_refund: true,
        refunds_are_parts: true,
        codes_are_lazy: true,
        buyer_changes_channel: true,
        ..Shop::QUIET
    });
}

#[test]
fn a_second_payment_that_is_kept_is_found() {
    let rule = Rule::KeepsSurplus;
    let shop = Shop { rule, attempts_max: 2, buyer_changes_channel: true, codes_are_lazy: true, ..Shop::QUIET };
    breaks!(shop, KEPT);
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
