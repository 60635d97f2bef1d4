//! What goes wrong and when: a plan that follows from a seed, made before anything runs.
//!
//! A deck of cards holds every fault at every place it can happen, common ones several times; it is shuffled by the
//! seed and dealt out over the run, and shuffled anew when it is used up. So each kind comes up even in a short run, in
//! an order that the same seed gives again. At most [`FAULTS_AT_ONCE_MAX`] overlap, one at most at one place, each is
//! healed after at most [`LONGEST_MS`]; the last ones are healed when the run ends.

use std::fmt;

use crate::support::fault_proxy::Hole;
use crate::support::load::Dice;

/// Faults at the same time.
pub const FAULTS_AT_ONCE_MAX: usize = 3;
/// Longest that anything stays broken by itself, milliseconds; coming back after a kill is extra.
pub const LONGEST_MS: u64 = 4_000;
/// Nodes of the cluster.
pub const NODES: usize = 2;

/// A server that the nodes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    Redis,
    Rabbitmq,
    Database,
}

/// All of them.
pub const ENGINES: [Engine; 3] = [Engine::Redis, Engine::Rabbitmq, Engine::Database];

/// Where something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The process of a node.
    Node(usize),
    /// The process of an engine.
    Engine(Engine),
    /// Between a node and an engine.
    Link(usize, Engine),
    /// Between people and a node.
    Door(usize),
}

impl Place {
    /// For the recovery table: all links to one engine, all nodes, all doors are alike.
    pub fn component(self) -> &'static str {
        match self {
            Self::Node(_) => "node",
            Self::Engine(Engine::Redis) => "redis",
            Self::Engine(Engine::Rabbitmq) => "rabbitmq",
            Self::Engine(Engine::Database) => "database",
            Self::Link(_, Engine::Redis) => "link to redis",
            Self::Link(_, Engine::Rabbitmq) => "link to rabbitmq",
            Self::Link(_, Engine::Database) => "link to database",
            Self::Door(_) => "door of a node",
        }
    }

    /// The only node that is hit; `None`: all are.
    pub fn node(self) -> Option<usize> {
        match self {
            Self::Node(node) | Self::Link(node, _) | Self::Door(node) => Some(node),
            Self::Engine(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node {node}"),
            Self::Engine(_) => f.write_str(self.component()),
            Self::Link(node, _) => write!(f, "node {node}, {}", self.component()),
            Self::Door(node) => write!(f, "door of node {node}"),
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// SIGKILL, and started again after a while.
    Kill,
    /// SIGSTOP, and SIGCONT after a while.
    Stop,
    /// Redis forgets everything.
    Flush,
    /// All connections are reset, once.
    Reset,
    /// Each connection ends after so many bytes.
    Cut,
    BlackHole,
    HoleUp,
    HoleDown,
    Delay,
    RefuseNew,
}

impl Kind {
    /// The hole of a black hole.
    pub fn hole(self) -> Option<Hole> {
        match self {
            Self::BlackHole => Some(Hole::Both),
            Self::HoleUp => Some(Hole::Up),
            Self::HoleDown => Some(Hole::Down),
            _ => None,
        }
    }

    /// How long it lasts, milliseconds.
    fn lasts_ms(self, dice: &mut Dice) -> u64 {
        let (least, most) = match self {
            Self::Flush | Self::Reset => return 0,
            Self::Kill => (100, 2_000),
            Self::Stop => (200, 3_000),
            Self::BlackHole | Self::HoleUp | Self::HoleDown => (300, LONGEST_MS),
            Self::Cut | Self::Delay | Self::RefuseNew => (300, 2_500),
        };
        least + dice.below(most - least)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9",
            Self::Stop => "SIGSTOP",
            Self::Flush => "FLUSHALL",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::BlackHole => "black hole",
            Self::HoleUp => "black hole up",
            Self::HoleDown => "black hole down",
            Self::Delay => "delay",
            Self::RefuseNew => "refuse",
        })
    }
}

/// One fault of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Since the start of the run, milliseconds.
    pub at_ms: u64,
    pub kind: Kind,
    pub place: Place,
    /// Until it is healed or started again, milliseconds; 0 for what is over at once.
    pub lasts_ms: u64,
    /// Bytes of a cut, milliseconds of a delay.
    pub measure: u64,
}

impl Planned {
    /// When its place is expected to be well again: what was killed takes its time to come back.
    fn free_again_ms(&self) -> u64 {
        let back_ms = match (self.kind, self.place) {
            (Kind::Kill, Place::Engine(Engine::Rabbitmq)) => 8_000,
            (Kind::Kill, Place::Engine(Engine::Database)) => 3_000,
            (Kind::Kill, Place::Node(_)) => 1_500,
            (Kind::Kill, _) => 1_000,
            _ => 300,
        };
        self.at_ms + self.lasts_ms + back_ms
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
        write!(f, "{:>8} s  {:<15} {:<26}", seconds(self.at_ms), self.kind.to_string(), self.place.to_string())?;
        if self.lasts_ms > 0 { write!(f, " for {} s", seconds(self.lasts_ms)) } else { Ok(()) }
    }
}

/// Every fault at every place, common ones more than once.
fn deck() -> Vec<(Kind, Place)> {
    let mut cards = Vec::new();
    for node in 0..NODES {
        cards.extend([(Kind::Kill, Place::Node(node)), (Kind::Kill, Place::Node(node))]);
        cards.extend([(Kind::Stop, Place::Node(node)), (Kind::Reset, Place::Door(node))]);
        cards.push((Kind::HoleDown, Place::Door(node)));
        for engine in ENGINES {
            let link = Place::Link(node, engine);
            cards.extend([Kind::Reset, Kind::Reset, Kind::Cut, Kind::Delay, Kind::BlackHole].map(|kind| (kind, link)));
        }
    }
    for (number, engine) in ENGINES.into_iter().enumerate() {
        cards.extend([(Kind::Kill, Place::Engine(engine)), (Kind::Stop, Place::Engine(engine))]);
        // one-sided holes and refusals on one of the nodes
        let link = Place::Link(number % NODES, engine);
        cards.extend([Kind::HoleUp, Kind::HoleDown, Kind::RefuseNew].map(|kind| (kind, link)));
    }
    cards.extend([(Kind::Flush, Place::Engine(Engine::Redis)), (Kind::Flush, Place::Engine(Engine::Redis))]);
    cards
}

fn shuffled(dice: &mut Dice) -> Vec<(Kind, Place)> {
    let mut cards = deck();
    for place in (1..cards.len()).rev() {
        cards.swap(place, dice.below(place as u64 + 1) as usize);
    }
    cards
}

/// The faults of a run of so many seconds, by time.
pub fn plan(seed: u64, seconds: u64) -> Vec<Planned> {
    let mut dice = Dice::new(seed);
    let (mut plan, mut cards): (Vec<Planned>, _) = (Vec::new(), Vec::new());
    let mut at_ms = 1_000; // a moment of peace: first orders
    loop {
        at_ms += 300 + dice.below(1_000);
        if cards.is_empty() {
            cards = shuffled(&mut dice);
        }
        // the next card whose place is free; with too many faults at once, or none that fits, time passes
        let going = plan.iter().filter(|fault| fault.at_ms + fault.lasts_ms > at_ms).count();
        let is_free = |place: Place| plan.iter().all(|f| f.place != place || f.free_again_ms() <= at_ms);
        let fitting = cards.iter().rposition(|(_, place)| is_free(*place));
        let Some(card) = fitting.filter(|_| going < FAULTS_AT_ONCE_MAX) else { continue };
        let (kind, place) = cards.remove(card);
        let lasts_ms = kind.lasts_ms(&mut dice);
        if at_ms + lasts_ms >= seconds * 1_000 {
            return plan;
        }
        let measure = match kind {
            Kind::Cut => 200 + dice.below(20_000),
            Kind::Delay => 20 + dice.below(600),
            _ => 0,
        };
        plan.push(Planned { at_ms, kind, place, lasts_ms, measure });
    }
}

mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_another() {
        assert_eq!(plan(7, 60), plan(7, 60));
        assert_ne!(plan(7, 60), plan(8, 60));
    }

    #[test]
    fn a_short_run_has_forty_faults_and_a_long_one_two_hundred() {
        for seed in 0..200 {
            let (short, long) = (plan(seed, 60).len(), plan(seed, 300).len());
            assert!(short > 40 && long >= 200, "seed {seed}: {short} in a minute, {long} in five");
        }
    }

    #[test]
    fn faults_are_bounded_in_number_and_length() {
        for seed in 0..200 {
            let plan = plan(seed, 120);
            for fault in &plan {
                assert!(fault.lasts_ms <= LONGEST_MS && fault.at_ms + fault.lasts_ms < 120_000, "{fault}");
                let beside =
                    |other: &&Planned| other.at_ms <= fault.at_ms && fault.at_ms < other.at_ms + other.lasts_ms;
                assert!(plan.iter().filter(beside).count() <= FAULTS_AT_ONCE_MAX, "seed {seed}: {fault}");
                let at_its_place = |other: &&Planned| beside(other) && other.place == fault.place;
                assert!(plan.iter().filter(at_its_place).count() <= 1, "seed {seed}: {fault}");
            }
        }
    }

    #[test]
    fn a_run_of_two_minutes_has_every_fault_at_every_place() {
        for seed in 0..50 {
            let had: BTreeSet<(Kind, Place)> = plan(seed, 120).iter().map(|fault| (fault.kind, fault.place)).collect();
            let missing: Vec<_> = deck().into_iter().filter(|card| !had.contains(card)).collect();
            assert!(missing.is_empty(), "seed {seed}: {missing:?}");
        }
    }
}
