//! Delivers on this node what happened, here or on another node: pushes, changes of inventory and sign-ins, questions.
//!
//! A change is noted where its actor looks before it judges a claim ([`News`]), and then told to the actor; an actor that is
//! paused or busy holds up nobody else's messages.
//!
//! What was missed is made up from the stores: sockets read the journal (http/ws_connection.rs watches [`Gaps`]), live
//! inventory actors read units and terms again; sign-ins are read again every 5 s anyway. Moments of loss that come close
//! together are one, so that a line that flaps does not become a load on the database.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashSet;
use futures::stream::{self, StreamExt};
use serde_json::value::RawValue;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::background::Stop;
use super::controls::Controls;
use super::feed::Feed;
use super::gaps::Gaps;
use super::inventory::{InventoryActor, News, RefreshInventory};
use super::kit::{ActorState, Directory};
use super::peers::{NodeMessage, Peers, Question};
use super::session::{SessionActor, SessionsChanged};
use crate::domain::{BuyerId, ProductId};
use crate::messaging::{Heard, Hearing};
use crate::persistence::StoreError;

/// Longest that one actor may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Least time between two rounds of making up for what was missed.
const MAKE_UP_EVERY: Duration = Duration::from_millis(500);
/// Inventory actors that read again at the same time.
const REFRESHED_AT_ONCE: usize = 8;
/// Questions of other nodes worked on at the same time; one more is not answered.
const QUESTIONS_MAX: usize = 32;
/// Actors that are told of a change that another node made, at the same time. One more is not told: inventory reads before
/// its next claim, a session every few seconds.
const TOLD_AT_ONCE: usize = 64;

/// What deliveries need.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds the mouth of the node")]
pub struct Listener {
    /// Pushes.
    pub feed: Feed,
    /// One actor per active user.
    pub sessions: Directory<SessionActor>,
    /// One actor per active product.
    pub inventory: Directory<InventoryActor>,
    /// The levers, for questions.
    pub controls: Controls,
    /// Where moments of loss are counted.
    pub gaps: Gaps,
    /// The way back for answers.
    pub peers: Peers,
    /// Changes of products that their actors have not read.
    news: News,
    /// Products whose actors are being told.
    telling: Arc<DashSet<ProductId>>,
    /// Bounds the actors that are being told.
    told: Arc<Semaphore>,
    /// Bounds the questions in hand.
    questions: Arc<Semaphore>,
    /// The count of [`Gaps`] that the last round of refreshes made up for.
    refreshed: Arc<Mutex<u64>>,
}

impl Listener {
    /// A listener that delivers to these.
    #[must_use]
    pub fn new(
        sessions: Directory<SessionActor>,
        (inventory, news): (Directory<InventoryActor>, News),
        controls: Controls,
        gaps: Gaps,
        peers: Peers,
    ) -> Self {
        Self {
            feed: Feed::new(sessions.clone(), gaps.clone()),
            sessions,
            inventory,
            controls,
            gaps,
            peers,
            news,
            telling: Arc::default(),
            told: Arc::new(Semaphore::new(TOLD_AT_ONCE)),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            refreshed: Arc::default(),
        }
    }

    /// Delivers one message on this node; only actors in memory are asked.
    pub async fn deliver(&self, message: &NodeMessage) {
        match message {
            NodeMessage::Committed(row) => self.feed.publish(row).await,
            NodeMessage::InventoryChanged { product } => {
                self.note(*product);
                self.tell_inventory(*product).await;
            }
            NodeMessage::SessionsChanged { user } => self.tell_session(*user).await,
            NodeMessage::Question(question) => self.take_question(question.clone()),
            NodeMessage::Answer(answer) => self.peers.take_answer(answer.clone()),
        }
    }

    /// Actors that are not in memory read everything when they are loaded.
    fn note(&self, product: ProductId) {
        if self.inventory.is_live(&product) {
            self.news.note(product);
        }
    }

    /// Has the actor read what changed. A paused one is not asked: the question would wait as long as the pause lasts.
    async fn tell_inventory(&self, product: ProductId) {
        let is_listening = match self.inventory.state_of(&product) {
            None | Some(ActorState::Paused) => false,
            Some(_) => true,
        };
        if is_listening && let Err(error) = self.inventory.ask(&product, RefreshInventory, ASK_TIMEOUT).await {
            tracing::warn!(%product, %error, "inventory not told of a change; it reads before its next claim");
        }
    }

    async fn tell_session(&self, user: BuyerId) {
        if self.sessions.is_live(&user)
            && let Err(error) = self.sessions.ask(&user, SessionsChanged, ASK_TIMEOUT).await
        {
            tracing::warn!(%user, %error, "session not told of a change; it looks again within seconds");
        }
    }

    /// Delivers what another node said. The actor that a change is about may be slow: what comes next does not wait for it.
    async fn hear(&self, message: NodeMessage) {
        let this = self.clone();
        match message {
            NodeMessage::InventoryChanged { product } => {
                self.note(product);
                if !self.telling.insert(product) {
                    return; // whoever is telling looks for more afterwards
                }
                let is_told = self.aside(async move {
                    this.tell_inventory(product).await;
                    this.telling.remove(&product);
                    if this.news.has(product) {
                        this.tell_inventory(product).await;
                    }
                });
                if !is_told {
                    self.telling.remove(&product);
                }
            }
            NodeMessage::SessionsChanged { user } => {
                self.aside(async move { this.tell_session(user).await });
            }
            message => self.deliver(&message).await,
        }
    }

    /// Runs it beside what is heard next; false if too much runs there already.
    fn aside(&self, telling: impl Future<Output = ()> + 'static) -> bool {
        let Ok(permit) = Arc::clone(&self.told).try_acquire_owned() else { return false };
        actix_rt::spawn(async move {
            telling.await;
            drop(permit);
        });
        true
    }

    /// Delivers what other nodes say, until `stop`.
    ///
    /// # Errors
    /// None; the type is that of all background loops.
    pub async fn run(self, hearing: Arc<Mutex<Hearing>>, mut stop: Stop) -> Result<(), StoreError> {
        let mut hearing = hearing.lock().await;
        let (mut is_missed, mut make_up_at) = (false, Instant::now());
        loop {
            tokio::select! {
                heard = hearing.next() => match heard {
                    Some(Heard::Message(text)) => match read(&text) {
                        Some(message) => self.hear(message).await,
                        None => is_missed = true,
                    },
                    Some(Heard::Missed) => is_missed = true,
                    None => return Ok(()),
                },
                () = tokio::time::sleep_until(make_up_at), if is_missed => {
                    (is_missed, make_up_at) = (false, Instant::now() + MAKE_UP_EVERY);
                    self.make_up();
                }
                () = stop.wait() => return Ok(()),
            }
        }
    }

    /// Sockets and inventory actors read again what other nodes may have changed.
    fn make_up(&self) {
        tracing::info!("messages of other nodes may have been missed, reading again");
        self.gaps.note();
        let this = self.clone();
        actix_rt::spawn(async move {
            let mut refreshed = this.refreshed.lock().await;
            let count = this.gaps.count();
            if *refreshed == count {
                return; // a round that began later has done it
            }
            *refreshed = count;
            stream::iter(this.inventory.keys())
                .for_each_concurrent(REFRESHED_AT_ONCE, async |product| {
                    this.deliver(&NodeMessage::InventoryChanged { product }).await;
                })
                .await;
        });
    }

    fn take_question(&self, question: Question) {
        if self.peers.nodes().this().is_some_and(|this| !question.command.is_for(&this.name)) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.questions).try_acquire_owned() else {
            tracing::warn!("too many questions of other nodes, one is not answered");
            return;
        };
        let this = self.clone();
        actix_rt::spawn(async move {
            let within = Duration::from_millis(question.within_ms);
            let command = question.command.clone().bounded();
            let answer = tokio::time::timeout(within, this.controls.carry_out(&command)).await;
            if let Ok(Some(answer)) = answer {
                this.peers.answer(&question, answer).await;
            }
            drop(permit);
        });
    }
}

fn read(text: &RawValue) -> Option<NodeMessage> {
    let message = serde_json::from_str(text.get());
    message.inspect_err(|error| tracing::debug!(%error, "this version does not know what another node says")).ok()
}
