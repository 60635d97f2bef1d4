//! Carries out on this node what an administrator asks of its actors (control.rs), whichever node he asked.
//!
//! **Invariant**: nothing here waits for an actor's messages: orders change the gates in front of the actors, so a full
//! mailbox delays none. Only `Replay` asks actors, with its own bounds.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::alerts::AlertBoard;
use super::control::{ActorAnswer, ActorCommand, PULSE_ACTORS_MAX, Sort};
use super::kit::{DeadLetter, Directory, Host, Kinds, Order, Selected, VitalsSnapshot};
use super::peers::{NodeAnswer, Peers};
use super::process_figures::ProcessFigures;
use super::session::{DropSockets, SessionActor};
use super::settings_lever::{Reloaded, SettingsLever};
use crate::config::NodeSettings;
use crate::domain::BuyerId;

mod door;

use door::{Door, Shut};

/// Letters that one command asks again, and how many of them at the same time.
const REPLAYED_MAX: usize = 500;
const REPLAYED_AT_ONCE: usize = 16;
/// Longest wait for the answer to one of them, and for all.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(3);
const REPLAYS_WITHIN: Duration = Duration::from_secs(6);
/// Longest wait for a session that is to drop its sockets.
const SESSION_TIMEOUT: Duration = Duration::from_millis(800);
/// Events in a pulse.
const PULSE_EVENTS_MAX: usize = 64;

/// Carries a command out on every node that it is for; this one's answer first, then the others' by slot.
pub async fn ask_nodes(controls: &Controls, peers: &Peers, command: ActorCommand) -> Vec<NodeAnswer> {
    let (answer, others) = futures::join!(controls.carry_out(&command), peers.ask_all(command.clone()));
    let NodeSettings { name: node, slot } = controls.node.clone();
    let own = answer.map(|answer| NodeAnswer { node, slot, answer: Some(answer) });
    own.into_iter().chain(others).collect()
}

/// The levers of this node; clones are the same.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds the metrics recorder")]
pub struct Controls {
    /// All actor kinds.
    pub kinds: Kinds,
    /// Dead letters and events.
    pub host: Arc<Host>,
    /// What operators have to know.
    pub alerts: AlertBoard,
    /// What pulses tell of the process.
    pub figures: ProcessFigures,
    sessions: Directory<SessionActor>,
    node: NodeSettings,
    /// Names this life of the node: numbers of events begin anew in each.
    life: String,
    door: Door,
    settings: Arc<OnceLock<SettingsLever>>,
}

impl Controls {
    /// The levers of this node. Between the moment in which the node says that it is drained and the one in which its
    /// actors are, balancers have `drain_grace` to look elsewhere.
    #[must_use]
    pub fn new(
        kinds: Kinds,
        host: Arc<Host>,
        sessions: Directory<SessionActor>,
        node: NodeSettings,
        drain_grace: Duration,
    ) -> Self {
        let life = hex::encode(crate::random::bytes::<6>());
        let (figures, alerts) = (ProcessFigures::default(), AlertBoard::default());
        let (door, settings) = (Door::new(drain_grace), Arc::default());
        Self { kinds, host, alerts, figures, sessions, node, life, door, settings }
    }

    /// What shows the settings and has them read anew; the first call counts.
    pub fn put_settings(&self, lever: SettingsLever) {
        let _ = self.settings.set(lever);
    }

    /// True once all of this node's actors were told to drain or stop, until they are let go on: balancers look elsewhere.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.door.is_shut()
    }

    /// The node's answer; `None` if the command is for others.
    pub async fn carry_out(&self, command: &ActorCommand) -> Option<ActorAnswer> {
        if !command.is_for(&self.node.name) {
            return None;
        }
        Some(match command {
            ActorCommand::List { kind, state, sort, limit, key } => {
                let wanted = Selected { kind: kind.clone(), key: key.clone(), state: *state };
                self.list(&wanted, *sort, *limit)
            }
            ActorCommand::Inspect { kind, key } => match self.kinds.get(kind) {
                None => ActorAnswer::UnknownKind,
                Some(directory) => match directory.inspect(key).await {
                    Ok(inspection) => ActorAnswer::Inspected(serde_json::to_value(inspection).unwrap_or_default()),
                    Err(error) => ActorAnswer::Refused(error),
                },
            },
            ActorCommand::Order { kind, target, order } => match self.kinds.get(kind) {
                None => ActorAnswer::UnknownKind,
                Some(directory) => match directory.order(target, *order).await {
                    Ok(reached) => ActorAnswer::Reached(reached),
                    Err(error) => ActorAnswer::Refused(error),
                },
            },
            ActorCommand::OrderSelected { selected, order, .. } => self.order(selected, *order),
            ActorCommand::DeadLetters { selected, limit } => self.dead_letters(selected, *limit),
            ActorCommand::Replay { id, selected, .. } => self.replay(*id, selected).await,
            ActorCommand::Disconnect { user } => self.disconnect(*user).await,
            ActorCommand::Pulse { sort } => ActorAnswer::Pulse(self.pulse(*sort)),
            ActorCommand::Alerts => ActorAnswer::Alerts(self.alerts.shown()),
            ActorCommand::Settings { .. } => {
                ActorAnswer::Settings(self.settings.get().map_or(Value::Null, |lever| (lever.show)()))
            }
            ActorCommand::ReloadSettings { .. } => ActorAnswer::Reloaded(self.reload_settings().await),
        })
    }

    async fn reload_settings(&self) -> Reloaded {
        match self.settings.get() {
            Some(lever) => (lever.reload)().await,
            None => Reloaded::refused(vec!["the node is not open yet".to_owned()]),
        }
    }

    fn list(&self, wanted: &Selected, sort: Sort, limit: usize) -> ActorAnswer {
        let mut actors = self.kinds.list(wanted.kind.as_deref(), wanted.state);
        actors.retain(|actor| wanted.names(actor.kind, &actor.key));
        sort.sort(&mut actors);
        let total = actors.len() as u64;
        actors.truncate(limit);
        ActorAnswer::Listed { actors: values(&actors), total }
    }

    fn order(&self, selected: &Selected, order: Order) -> ActorAnswer {
        if selected.kind.as_deref().is_some_and(|kind| self.kinds.get(kind).is_none()) {
            return ActorAnswer::UnknownKind;
        }
        tracing::info!(?selected, ?order, "order to actors");
        if selected.is_everything() {
            match order {
                Order::Drain => return ActorAnswer::Reached(self.drain_node(selected)),
                Order::Stop => self.door.shut_at_once(),
                Order::Restart | Order::Resume | Order::Lift => self.door.open(),
                Order::Pause | Order::Quarantine => {}
            }
        }
        ActorAnswer::Reached(self.kinds.order(selected, order))
    }

    /// Tells balancers first: until they have looked elsewhere buyers still come here and are served. How many actors are
    /// (or will be) drained.
    fn drain_node(&self, everything: &Selected) -> usize {
        let (kinds, selected) = (self.kinds.clone(), everything.clone());
        match self.door.shut(move || _ = kinds.order(&selected, Order::Drain)) {
            Shut::Later => self.kinds.count_held_up(),
            Shut::Now => self.kinds.order(everything, Order::Drain),
        }
    }

    fn letters(&self, selected: &Selected) -> Vec<DeadLetter> {
        let mut letters = self.host.dead_letters().list();
        letters.retain(|letter| selected.names(letter.kind, &letter.key));
        letters
    }

    fn dead_letters(&self, selected: &Selected, limit: usize) -> ActorAnswer {
        let mut letters = self.letters(selected);
        letters.reverse();
        let total = letters.len() as u64;
        letters.truncate(limit);
        ActorAnswer::Listed { actors: values(&letters), total }
    }

    async fn replay(&self, id: Option<u64>, selected: &Selected) -> ActorAnswer {
        let mut ids: Vec<u64> = self.letters(selected).iter().map(|letter| letter.id).collect();
        ids.retain(|known| id.is_none_or(|wanted| wanted == *known));
        ids.truncate(REPLAYED_MAX);
        let letters = self.host.dead_letters();
        let (mut handled, mut failed) = (0, 0);
        let replays = stream::iter(ids).map(|id| letters.replay_within(id, REPLAY_TIMEOUT));
        let mut replays = std::pin::pin!(replays.buffer_unordered(REPLAYED_AT_ONCE));
        let asking = async {
            while let Some(outcome) = replays.next().await {
                match outcome {
                    Ok(()) => handled += 1,
                    Err(error) => {
                        failed += 1;
                        tracing::warn!(%error, "dead letter not handled this time either");
                    }
                }
            }
        };
        if tokio::time::timeout(REPLAYS_WITHIN, asking).await.is_err() {
            tracing::warn!("not all dead letters were asked again in time");
        }
        ActorAnswer::Replayed { handled, failed }
    }

    async fn disconnect(&self, user: BuyerId) -> ActorAnswer {
        if !self.sessions.is_live(&user) {
            return ActorAnswer::Reached(0);
        }
        match self.sessions.ask(&user, DropSockets, SESSION_TIMEOUT).await {
            Ok(sockets) => ActorAnswer::Reached(sockets),
            Err(error) => ActorAnswer::Refused(error.into()),
        }
    }

    fn pulse(&self, sort: Sort) -> Value {
        let told = self.figures.tell();
        let mut actors = self.kinds.list(None, None);
        let summary = self.summary(&actors);
        sort.sort(&mut actors);
        actors.truncate(PULSE_ACTORS_MAX);
        json!({
            "life": self.life,
            "drained": self.is_drained(),
            "kinds": summary,
            "actors": values(&actors),
            "events": self.host.latest_events(PULSE_EVENTS_MAX),
            "dead_letters": self.host.dead_letters().total(),
            "alerts": self.alerts.shown(),
            "metrics": told.as_ref().map(|told| &told.figures),
            "latency": told.as_ref().map(|told| &told.latency),
        })
    }

    /// Of each kind: actors by state, messages waiting and in flight, handled by those in memory, restarts.
    fn summary(&self, actors: &[VitalsSnapshot]) -> Value {
        #[derive(Default, serde::Serialize)]
        struct Sums {
            states: BTreeMap<String, u64>,
            queued: u64,
            in_flight: u64,
            handled: u64,
            restarts: u64,
        }
        let mut kinds: BTreeMap<&str, Sums> = self.kinds.names().map(|kind| (kind, Sums::default())).collect();
        for actor in actors {
            let sums = kinds.entry(actor.kind).or_default();
            *sums.states.entry(actor.state.word().to_owned()).or_default() += 1;
            sums.queued += u64::from(actor.queued);
            sums.in_flight += u64::from(actor.in_flight);
            sums.handled = sums.handled.saturating_add(actor.handled);
            sums.restarts += u64::from(actor.restarts);
        }
        serde_json::to_value(kinds).unwrap_or_default()
    }
}

fn values<T: serde::Serialize>(list: &[T]) -> Vec<Value> {
    list.iter().filter_map(|one| serde_json::to_value(one).ok()).collect()
}
