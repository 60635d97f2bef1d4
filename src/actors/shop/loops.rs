//! The loops of a node: started after the actors they ask, ended in the opposite order, so that what was accepted is
//! written and told before the process goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Shop;
use crate::actors::alerts::{AlertWatch, AlertWebhook};
use crate::actors::background::{StopSwitch, supervise};
use crate::actors::kit::AnyDirectory;
use crate::actors::notary::Notary;
use crate::actors::relay::Relay;
use crate::actors::stock_board::Looks;
use crate::actors::sweep::SweepDeps;
use crate::actors::{click_sharing, consumer};
use crate::clock;

/// The loops that run, by when they end.
#[derive(Default)]
pub(super) struct Loops {
    sweeps: Vec<JoinHandle<()>>,
    consumer: Vec<JoinHandle<()>>,
    relay: Vec<JoinHandle<()>>,
    announce: Vec<JoinHandle<()>>,
    ears: Vec<JoinHandle<()>>,
}

/// What ends them, and WebSockets; raised one after the other.
#[derive(Default)]
pub(super) struct Switches {
    pub(super) sockets: StopSwitch,
    sweeps: StopSwitch,
    pipeline: StopSwitch,
    relay: StopSwitch,
    announce: StopSwitch,
    ears: StopSwitch,
}

impl Shop {
    /// Starts the loops on this thread; once.
    pub async fn start_loops(&self) {
        let (listener, hearing, stop) = (self.listener.clone(), Arc::clone(&self.hearing), self.switches.ears.stop());
        let ears =
            supervise("listener", stop.clone(), move || listener.clone().run(Arc::clone(&hearing), stop.clone()));
        let relay = Relay {
            db: self.db.clone(),
            bell: self.bell.clone(),
            listener: self.listener.clone(),
            announcer: self.announcer.clone(),
            webhooks: self.webhooks.clone(),
            settings: self.in_effect.clone(),
            second_leg: Arc::default(),
        };
        let (announcing, stop) = (relay.clone(), self.switches.announce.stop());
        let announce = supervise("announce", stop.clone(), move || announcing.clone().announce(stop.clone()));
        let stop = self.switches.relay.stop();
        let relay = supervise("relay", stop.clone(), move || relay.clone().run(stop.clone()));
        let (queue, writer, stop) = (Arc::clone(&self.queue), self.writer.clone(), self.switches.pipeline.stop());
        let tickets_max = self.settings.orders.batch_tickets_max;
        let consumer = supervise("consumer", stop.clone(), move || {
            consumer::run(Arc::clone(&queue), writer.clone(), tickets_max, stop.clone())
        });
        // the first read is done before anybody can buy: a restart opens no room
        self.waiting_room.of_sales.refresh(&self.db, &self.clock).await;
        let sweeps = self.start_sweeps();
        let [consumer, relay, announce, ears] = [consumer, relay, announce, ears].map(|running| vec![running]);
        *self.loops.lock().await = Loops { sweeps, consumer, relay, announce, ears };
    }

    fn start_sweeps(&self) -> Vec<JoinHandle<()>> {
        let deps = SweepDeps {
            db: self.db.clone(),
            ledger: Arc::clone(&self.ledger),
            carts: Arc::clone(&self.carts),
            desk: self.desk.clone(),
            orders: self.orders.clone(),
            inventory: self.inventory.clone(),
            peers: self.peers.clone(),
            queue: Arc::clone(&self.queue),
            writer: self.writer.clone(),
            clock: self.clock.clone(),
            numbers: Arc::clone(&self.numbers),
            slot: self.settings.node.slot,
            settings: self.settings.orders.clone(),
        };
        let stop = self.switches.sweeps.stop();
        let (deadlines, effects, tickets, rows) = (deps.clone(), deps.clone(), deps.clone(), deps.clone());
        let gateways = deps.clone();
        let [stop_deadlines, stop_effects, stop_gateways, stop_tickets, stop_carts, stop_rows] =
            std::array::from_fn(|_| stop.clone());
        let mut sweeps = vec![
            supervise("sweep_carts", stop.clone(), move || deps.clone().sweep_carts(stop_carts.clone())),
            supervise("sweep_deadlines", stop.clone(), move || {
                deadlines.clone().sweep_deadlines(stop_deadlines.clone())
            }),
            supervise("sweep_effects", stop.clone(), move || effects.clone().sweep_effects(stop_effects.clone())),
            supervise("sweep_gateways", stop.clone(), move || gateways.clone().sweep_gateways(stop_gateways.clone())),
            supervise("sweep_tickets", stop.clone(), move || tickets.clone().sweep_tickets(stop_tickets.clone())),
            supervise("keep_house", stop.clone(), move || rows.clone().keep_house(stop_rows.clone())),
        ];
        let (desk, stop_inbox) = (self.desk.clone(), stop.clone());
        sweeps.push(supervise("inbox", stop.clone(), move || desk.clone().work_off(stop_inbox.clone())));
        let (clerk, stop_clerk) = (self.clerk.clone(), stop.clone());
        sweeps.push(supervise("reconcile", stop.clone(), move || clerk.clone().run(stop_clerk.clone())));
        sweeps.extend(self.start_notary());
        sweeps.extend((0..self.webhooks.count()).map(|place| self.start_webhooks(place)));
        sweeps.extend(self.start_watch());
        sweeps.push(self.start_sale_rooms());
        if self.redis.is_some() {
            let (doors, stop_doors) = (Arc::clone(&self.rate_limits), stop.clone());
            sweeps.push(supervise("share_limits", stop.clone(), move || Arc::clone(&doors).share(stop_doors.clone())));
        }
        if let Some(clicks) = self.shared_clicks.clone() {
            let (sessions, limits, stop_clicks) = (self.sessions.clone(), self.limits.clone(), stop.clone());
            sweeps.push(supervise("share_clicks", stop, move || {
                click_sharing::run(Arc::clone(&clicks), sessions.clone(), limits.clone(), stop_clicks.clone())
            }));
        }
        sweeps
    }

    fn start_webhooks(&self, place: usize) -> JoinHandle<()> {
        let (webhooks, stop) = (self.webhooks.clone(), self.switches.sweeps.stop());
        supervise("webhooks", stop.clone(), move || webhooks.clone().deliver_to(place, stop.clone()))
    }

    fn start_sale_rooms(&self) -> JoinHandle<()> {
        let (rooms, db, clock) = (self.waiting_room.of_sales.clone(), self.db.clone(), self.clock.clone());
        let stop = self.switches.sweeps.stop();
        supervise("sale_rooms", stop.clone(), move || rooms.clone().run(db.clone(), clock.clone(), stop.clone()))
    }

    /// The loops for those who watch: what is wrong, the pulse for administrators, units left for buyers.
    fn start_watch(&self) -> [JoinHandle<()>; 3] {
        let (alerts, stop) = (self.alert_watch(), self.switches.sweeps.stop());
        let alerts = supervise("alerts", stop.clone(), move || alerts.clone().run(stop.clone()));
        let (live, controls, peers) = (self.live.clone(), self.controls.clone(), self.peers.clone());
        let (clock, stop) = (self.clock.clone(), self.switches.sweeps.stop());
        let live = supervise("live", stop.clone(), move || {
            live.clone().run(controls.clone(), peers.clone(), clock.clone(), stop.clone())
        });
        let looks =
            Looks { ledger: Arc::clone(&self.ledger), inventory: self.inventory.clone(), clock: self.clock.clone() };
        let (board, stop) = (self.stock_board.clone(), self.switches.sweeps.stop());
        let board = supervise("stock_board", stop.clone(), move || board.clone().run(looks.clone(), stop.clone()));
        [alerts, live, board]
    }

    fn alert_watch(&self) -> AlertWatch {
        let node = self.settings.node.name.clone();
        AlertWatch {
            db: self.db.clone(),
            ledger: Arc::clone(&self.ledger),
            queue: Arc::clone(&self.queue),
            gateways: self.desk.gateways().clone(),
            controls: self.controls.clone(),
            peers: self.peers.clone(),
            clock: self.clock.clone(),
            settings: self.in_effect.clone(),
            webhook: AlertWebhook::new(node),
        }
    }

    fn start_notary(&self) -> [JoinHandle<()>; 2] {
        let notary = Notary {
            db: self.db.clone(),
            clock: self.clock.clone(),
            signer: self.signer.clone(),
            head_every_ms: self.settings.audit.head_every_s.saturating_mul(1_000),
        };
        let (late, stop) = (notary.clone(), self.switches.sweeps.stop());
        let catch_up = supervise("money_log_catch_up", stop.clone(), move || late.clone().catch_up(stop.clone()));
        let stop = self.switches.sweeps.stop();
        [catch_up, supervise("money_log", stop.clone(), move || notary.clone().run(stop.clone()))]
    }

    /// Ends loops and actors within `deadline`: sweeps, then the queue is emptied into orders, then their events are
    /// told, to nodes first and then to other systems, then the actors, then this node takes leave of the others.
    pub async fn close(&self, deadline: Duration) {
        let give_up_at = clock::monotonic() + deadline;
        let mut loops = self.loops.lock().await;
        self.switches.sweeps.raise();
        join(&mut loops.sweeps, give_up_at).await;
        self.switches.pipeline.raise();
        join(&mut loops.consumer, give_up_at).await;
        self.switches.relay.raise();
        join(&mut loops.relay, give_up_at).await;
        self.switches.announce.raise();
        join(&mut loops.announce, give_up_at).await;
        self.queue.close().await;
        let directories: [&dyn AnyDirectory; 4] = [&self.sessions, &self.inventory, &self.writer, &self.orders];
        for directory in directories {
            let report = directory.shutdown(give_up_at.saturating_duration_since(clock::monotonic())).await;
            let (drained, cut_off) = (report.drained, report.cut_off);
            tracing::info!(kind = directory.kind(), drained, cut_off, "actors stopped");
        }
        self.switches.ears.raise();
        join(&mut loops.ears, give_up_at).await;
        self.peers.close().await;
    }
}

async fn join(loops: &mut Vec<JoinHandle<()>>, give_up_at: Instant) {
    for running in loops.drain(..) {
        if tokio::time::timeout_at(give_up_at.into(), running).await.is_err() {
            tracing::warn!("a background loop did not stop in time");
        }
    }
}
