//! The broadcast of a cluster: Redis Pub/Sub. One channel that all nodes hear, and one for answers to each life of a
//! node. Messages that wait together leave in one `PUBLISH`.
//!
//! Two tasks: the speaker numbers and publishes, and says every second up to which number; the ear subscribes, opens
//! the line again when it breaks or falls silent (this node's own heartbeat must come back on it), and tells what was
//! missed (broadcast.rs). While Redis is away messages are refused at once and their numbers skipped, so that every
//! listener notices afterwards.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use redis::aio::PubSub;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::broadcast::{Broadcast, BroadcastError, Ear, Hearing, hearing};
use super::roster::{Mark, Roster, Verdict};
use crate::clock;
use crate::redis_link::RedisLink;

/// Of the envelope; a listener that meets another one knows only that it missed something.
const VERSION: u32 = 1;
/// Calls that may wait for the speaker.
const WAITING_MAX: usize = 1_024;
/// Messages in one `PUBLISH`.
const MESSAGES_MAX: usize = 256;
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// Longest that one `PUBLISH` may take.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);
/// A line without even the own heartbeat for so long is dead.
const LINE_SILENT_MAX: Duration = Duration::from_secs(3);
const LINE_AGAIN_AFTER_MS: u64 = 200;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u32,
    node: String,
    life: String,
    number: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leaving: bool,
    messages: Vec<Box<RawValue>>,
}

struct Outbound {
    messages: Vec<Box<RawValue>>,
    done: oneshot::Sender<Result<(), BroadcastError>>,
}

/// Flags that caller and speaker share.
#[derive(Debug, Default)]
struct Line {
    is_away: AtomicBool,
    /// A message was refused: its number is to be skipped.
    was_refused: AtomicBool,
}

/// Pub/Sub of one shop, for one life of one node.
#[expect(missing_debug_implementations, reason = "the link holds credentials")]
pub struct RedisBroadcast {
    link: RedisLink,
    /// Channel of answers to this life.
    address: String,
    outbound: mpsc::Sender<Outbound>,
    line: Arc<Line>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl RedisBroadcast {
    /// Starts speaking and listening as `node`. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(link: RedisLink, node: &str) -> (Self, Hearing) {
        let life = crate::random::token();
        let address = link.key(&format!("to:{life}"));
        let (ear, hearing) = hearing();
        let (outbound, waiting) = mpsc::channel(WAITING_MAX);
        let (stop, stopped) = watch::channel(false);
        let line = Arc::new(Line::default());
        let channel = link.key("news");
        let speaker = Speaker {
            link: link.clone(),
            channel: channel.clone(),
            node: node.to_owned(),
            life: life.clone(),
            number: 0,
            line: Arc::clone(&line),
        };
        let listener = Listener { link: link.clone(), channels: [channel, address.clone()], life, ear };
        let tasks = vec![tokio::spawn(speaker.run(waiting, stopped.clone())), tokio::spawn(listener.run(stopped))];
        (Self { link, address, outbound, line, stop, tasks: Mutex::new(tasks) }, hearing)
    }

    fn refuse(&self, error: BroadcastError) -> Result<(), BroadcastError> {
        self.line.was_refused.store(true, Ordering::Release);
        Err(error)
    }
}

#[async_trait]
impl Broadcast for RedisBroadcast {
    async fn tell(&self, messages: Vec<Box<RawValue>>) -> Result<(), BroadcastError> {
        if messages.is_empty() {
            return Ok(());
        }
        if self.line.is_away.load(Ordering::Acquire) {
            return self.refuse(BroadcastError::Away);
        }
        let (done, answer) = oneshot::channel();
        if self.outbound.try_send(Outbound { messages, done }).is_err() {
            return self.refuse(BroadcastError::Full);
        }
        match tokio::time::timeout(PUBLISH_TIMEOUT * 2, answer).await {
            Ok(answer) => answer.unwrap_or(Err(BroadcastError::Away)),
            Err(_) => Err(BroadcastError::TimedOut),
        }
    }

    async fn answer(&self, address: &str, message: Box<RawValue>) -> Result<(), BroadcastError> {
        publish(&self.link, address, message.get()).await
    }

    fn address(&self) -> &str {
        &self.address
    }

    async fn close(&self) {
        self.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            let abort = task.abort_handle();
            if tokio::time::timeout(CLOSE_TIMEOUT, task).await.is_err() {
                abort.abort();
            }
        }
    }
}

async fn publish(link: &RedisLink, channel: &str, text: &str) -> Result<(), BroadcastError> {
    let mut command = redis::cmd("PUBLISH");
    command.arg(channel).arg(text);
    match tokio::time::timeout(PUBLISH_TIMEOUT, link.query::<i64>(&command)).await {
        Ok(Ok(_receivers)) => Ok(()),
        Ok(Err(error)) => {
            tracing::debug!(%error, "message to other nodes not published");
            Err(BroadcastError::Away)
        }
        Err(_) => Err(BroadcastError::TimedOut),
    }
}

/// Returns once the switch is raised or gone.
async fn raised(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

struct Speaker {
    link: RedisLink,
    channel: String,
    node: String,
    life: String,
    /// Of the last message.
    number: u64,
    line: Arc<Line>,
}

impl Speaker {
    async fn run(mut self, mut waiting: mpsc::Receiver<Outbound>, mut stopped: watch::Receiver<bool>) {
        let mut beats = tokio::time::interval(BEAT_EVERY);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(first) = waiting.recv() => self.say(first, &mut waiting).await,
                _ = beats.tick() => self.beat(false).await,
                () = raised(&mut stopped) => break,
            }
        }
        while let Ok(left) = waiting.try_recv() {
            self.say(left, &mut waiting).await;
        }
        self.beat(true).await;
    }

    /// Says what waits, in one envelope.
    async fn say(&mut self, first: Outbound, waiting: &mut mpsc::Receiver<Outbound>) {
        let (mut messages, mut callers) = (first.messages, vec![first.done]);
        while messages.len() < MESSAGES_MAX {
            let Ok(next) = waiting.try_recv() else { break };
            messages.extend(next.messages);
            callers.push(next.done);
        }
        self.skip_refused();
        self.number += 1;
        let outcome = self.publish(messages, false).await;
        if outcome.is_err() {
            // What waits was meant for a line that works: refused rather than made to wait for one timeout each.
            while let Ok(next) = waiting.try_recv() {
                self.line.was_refused.store(true, Ordering::Release);
                callers.push(next.done);
            }
        }
        for caller in callers {
            let _ = caller.send(outcome); // it may have given up
        }
    }

    async fn beat(&mut self, leaving: bool) {
        self.skip_refused();
        let _seen_by_the_line = self.publish(Vec::new(), leaving).await;
    }

    fn skip_refused(&mut self) {
        if self.line.was_refused.swap(false, Ordering::AcqRel) {
            self.number += 1;
        }
    }

    async fn publish(&self, messages: Vec<Box<RawValue>>, leaving: bool) -> Result<(), BroadcastError> {
        let envelope = Envelope {
            version: VERSION,
            node: self.node.clone(),
            life: self.life.clone(),
            number: self.number,
            leaving,
            messages,
        };
        let Ok(text) = serde_json::to_string(&envelope) else { return Err(BroadcastError::Away) };
        let outcome = publish(&self.link, &self.channel, &text).await;
        let was_away = self.line.is_away.swap(outcome.is_err(), Ordering::AcqRel);
        match (was_away, outcome) {
            (false, Err(error)) => tracing::warn!(%error, "other nodes hear nothing from here until Redis is back"),
            (true, Ok(())) => tracing::info!("other nodes hear from here again"),
            _ => {}
        }
        metrics::gauge!("rushmall_broadcast_up").set(if outcome.is_ok() { 1.0 } else { 0.0 });
        outcome
    }
}

struct Listener {
    link: RedisLink,
    /// What all hear, and answers to this life.
    channels: [String; 2],
    life: String,
    ear: Ear,
}

impl Listener {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = self.listen() => {}
                () = raised(&mut stopped) => return,
            }
            let pause = LINE_AGAIN_AFTER_MS + crate::random::below(LINE_AGAIN_AFTER_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Opens the line and listens until it breaks.
    async fn listen(&self) {
        let mut line = match tokio::time::timeout(LINE_SILENT_MAX, self.subscribe()).await {
            Ok(Ok(line)) => line,
            Ok(Err(error)) => return tracing::debug!(%error, "cannot listen to other nodes"),
            Err(_) => return tracing::debug!("cannot listen to other nodes: no answer in time"),
        };
        // Whatever was said while there was no line is in the stores: read it from there, from now on.
        self.ear.missed();
        let mut roster = Roster::default();
        let mut messages = line.on_message();
        loop {
            match tokio::time::timeout(LINE_SILENT_MAX, messages.next()).await {
                Ok(Some(message)) => self.hear(&message, &mut roster),
                Ok(None) => return tracing::warn!("the line to other nodes broke, opening it again"),
                Err(_) => return tracing::warn!("the line to other nodes fell silent, opening it again"),
            }
            if roster.forget_silent(clock::monotonic()) {
                tracing::warn!("another node fell silent");
                self.ear.missed();
            }
        }
    }

    async fn subscribe(&self) -> Result<PubSub, redis::RedisError> {
        let mut line = self.link.subscriber().await?;
        for channel in &self.channels {
            line.subscribe(channel).await?;
        }
        Ok(line)
    }

    fn hear(&self, message: &redis::Msg, roster: &mut Roster) {
        let text = message.get_payload_bytes();
        if message.get_channel_name() == self.channels[1] {
            match serde_json::from_slice(text) {
                Ok(answer) => self.ear.message(answer),
                Err(error) => tracing::warn!(%error, "an answer of another node cannot be read"),
            }
            return;
        }
        let envelope: Envelope = match serde_json::from_slice::<Envelope>(text) {
            Ok(envelope) if envelope.version == VERSION => envelope,
            Ok(_) | Err(_) => {
                tracing::debug!("a message of another node cannot be read by this version");
                return self.ear.missed();
            }
        };
        if envelope.life == self.life {
            return;
        }
        let has_messages = !envelope.messages.is_empty();
        let mark = Mark { number: envelope.number, has_messages, is_leaving: envelope.leaving };
        match roster.note(&envelope.life, mark, clock::monotonic()) {
            Verdict::InOrder => {}
            Verdict::Known => return,
            Verdict::AfterGap => {
                tracing::info!(node = envelope.node, number = envelope.number, "a message of another node was missed");
                metrics::counter!("rushmall_broadcast_gaps_total").increment(1);
                self.ear.missed();
            }
        }
        for message in envelope.messages {
            self.ear.message(message);
        }
    }
}
