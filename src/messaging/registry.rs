//! Which nodes are alive, and that no two of them share a slot: the slot is part of every order's integer id.
//!
//! A node holds `<prefix>:node:<slot>` by a token and renews it every second; a node that is killed loses it after
//! `HELD_MS`. The token lies in the data directory, which only one process can use at a time, so a restarted node takes
//! its own slot at once. If Redis lost the entry it is written again; if somebody else has it, that is said loudly at
//! every renewal, and selling goes on: order numbers stay unique by their random part, integer ids may meet.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::Script;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::redis_link::RedisLink;

/// Slots there are.
const SLOTS: u8 = 16;
/// A node that does not renew for so long is gone.
const HELD_MS: u64 = 5_000;
const RENEW_EVERY: Duration = Duration::from_secs(1);
const ENTER_AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Longest wait for one command of the registry.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// KEYS: the slot. ARGV: token, entry, life in ms. Replies with the entry of another holder, else with nothing.
const HOLD: &str = r"
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held).token ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return held and 'renewed' or 'written'
";
/// KEYS: the slot. ARGV: token. Gives it back if it is ours.
const LEAVE: &str = r"
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held).token == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'ok'
";

/// A node as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// `node.name`.
    pub name: String,
    /// `node.slot`.
    pub slot: u8,
    /// Where it listens.
    pub address: String,
    /// When this life of it started, in milliseconds since 1970.
    pub started_at_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    token: String,
    #[serde(flatten)]
    node: NodeInfo,
}

/// Why a node may not take part.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A live node has the slot.
    #[error("node.slot {slot} is taken by the live node {name} at {address}: every node needs a slot of its own")]
    SlotTaken {
        /// The slot.
        slot: u8,
        /// Who has it.
        name: String,
        /// Where.
        address: String,
    },
    /// Redis did not answer.
    #[error("cannot announce this node in Redis")]
    Redis(#[source] redis::RedisError),
}

/// The nodes of the shop; clones are the same.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the link holds credentials")]
pub struct Nodes {
    this: Arc<OnceLock<NodeInfo>>,
    registry: Option<Arc<Registry>>,
}

struct Registry {
    link: RedisLink,
    token: String,
    /// As last read, for when Redis is away.
    seen: Mutex<Vec<NodeInfo>>,
    stop: watch::Sender<bool>,
    renewing: Mutex<Option<JoinHandle<()>>>,
}

/// Who is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Roll {
    /// By slot.
    pub nodes: Vec<NodeInfo>,
    /// False if Redis did not answer: these were alive when it last did.
    pub is_current: bool,
}

impl Nodes {
    /// A shop of one node.
    #[must_use]
    pub fn alone() -> Self {
        Self { this: Arc::default(), registry: None }
    }

    /// Nodes that find each other in Redis; `token` tells this data directory's node from others.
    #[must_use]
    pub fn registered(link: RedisLink, token: String) -> Self {
        let (stop, _) = watch::channel(false);
        let registry = Registry { link, token, seen: Mutex::default(), stop, renewing: Mutex::default() };
        Self { this: Arc::default(), registry: Some(Arc::new(registry)) }
    }

    /// Announces this node and keeps it announced; waits for an entry that nobody renews to expire.
    ///
    /// # Errors
    /// [`RegistryError::SlotTaken`] if another live node has the slot.
    pub async fn enter(&self, this: NodeInfo) -> Result<(), RegistryError> {
        let this = self.this.get_or_init(|| this).clone();
        let Some(registry) = &self.registry else { return Ok(()) };
        let give_up_at = tokio::time::Instant::now() + Duration::from_millis(HELD_MS) + RENEW_EVERY;
        while let Holding::Other(other) = registry.hold(&this).await.map_err(RegistryError::Redis)? {
            if tokio::time::Instant::now() >= give_up_at {
                return Err(RegistryError::SlotTaken { slot: this.slot, name: other.name, address: other.address });
            }
            tokio::time::sleep(ENTER_AGAIN_AFTER).await;
        }
        let renewing = tokio::spawn(renew(Arc::clone(registry), this, registry.stop.subscribe()));
        *registry.renewing.lock().unwrap_or_else(PoisonError::into_inner) = Some(renewing);
        Ok(())
    }

    /// This node; `None` before it entered.
    #[must_use]
    pub fn this(&self) -> Option<&NodeInfo> {
        self.this.get()
    }

    /// Who is alive; this node always is.
    pub async fn roll(&self) -> Roll {
        let timed_out = |_| Err(redis::RedisError::from((redis::ErrorKind::Io, "no answer in time")));
        let read = match &self.registry {
            None => Ok(Vec::new()),
            Some(registry) => tokio::time::timeout(COMMAND_TIMEOUT, registry.read()).await.unwrap_or_else(timed_out),
        };
        let is_current = read.is_ok();
        let mut nodes = read.unwrap_or_else(|error| {
            tracing::debug!(%error, "the registry of nodes cannot be read");
            self.registry.as_ref().map_or_else(Vec::new, |registry| registry.seen())
        });
        if let Some(this) = self.this.get() {
            nodes.retain(|node| node.slot != this.slot);
            nodes.push(this.clone());
        }
        nodes.sort_by_key(|node| node.slot);
        Roll { nodes, is_current }
    }

    /// Takes this node off the list.
    pub async fn leave(&self) {
        let (Some(registry), Some(this)) = (&self.registry, self.this.get()) else { return };
        registry.stop.send_replace(true);
        let renewing = registry.renewing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(renewing) = renewing {
            let _ = tokio::time::timeout(COMMAND_TIMEOUT, renewing).await; // it expires by itself
        }
        let script = Script::new(LEAVE);
        let mut call = script.prepare_invoke();
        call.key(registry.key(this.slot)).arg(&registry.token);
        let left = tokio::time::timeout(COMMAND_TIMEOUT, registry.link.script::<String>(&call)).await;
        if !matches!(left, Ok(Ok(_))) {
            tracing::debug!("the registry of nodes was not told of the stop; the entry expires");
        }
    }
}

enum Holding {
    Renewed,
    Written,
    Other(NodeInfo),
}

impl Registry {
    fn key(&self, slot: u8) -> String {
        self.link.key(&format!("node:{slot}"))
    }

    fn seen(&self) -> Vec<NodeInfo> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn hold(&self, this: &NodeInfo) -> Result<Holding, redis::RedisError> {
        let entry = serde_json::to_string(&Entry { token: self.token.clone(), node: this.clone() })
            .map_err(|_| redis::RedisError::from((redis::ErrorKind::Client, "the node's entry cannot be written")))?;
        let script = Script::new(HOLD);
        let mut call = script.prepare_invoke();
        call.key(self.key(this.slot)).arg(&self.token).arg(entry).arg(HELD_MS);
        let reply: String = self.link.script(&call).await?;
        Ok(match reply.as_str() {
            "renewed" => Holding::Renewed,
            "written" => Holding::Written,
            other => match serde_json::from_str::<Entry>(other) {
                Ok(entry) => Holding::Other(entry.node),
                Err(_) => Holding::Other(NodeInfo { name: "?".to_owned(), address: "?".to_owned(), ..this.clone() }),
            },
        })
    }

    async fn read(&self) -> Result<Vec<NodeInfo>, redis::RedisError> {
        // One command a slot: in a cluster the slots lie on different servers.
        let reads = (0..SLOTS).map(|slot| async move {
            let mut command = redis::cmd("GET");
            command.arg(self.key(slot));
            self.link.query::<Option<String>>(&command).await
        });
        let mut nodes = Vec::new();
        for entry in join_all(reads).await {
            nodes.extend(entry?.and_then(|text| serde_json::from_str::<Entry>(&text).ok()).map(|entry| entry.node));
        }
        nodes.clone_into(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(nodes)
    }
}

async fn renew(registry: Arc<Registry>, this: NodeInfo, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW_EVERY) => {}
            Ok(()) | Err(_) = stopped.changed() => return,
        }
        let held = tokio::time::timeout(COMMAND_TIMEOUT, registry.hold(&this)).await;
        let is_held = matches!(held, Ok(Ok(Holding::Renewed | Holding::Written)));
        metrics::gauge!("rushmall_node_registered").set(if is_held { 1.0 } else { 0.0 });
        match held {
            Ok(Ok(Holding::Renewed)) => {}
            Ok(Ok(Holding::Written)) => {
                tracing::warn!(slot = this.slot, "Redis had lost this node's entry, written again")
            }
            Ok(Ok(Holding::Other(other))) => tracing::error!(
                slot = this.slot,
                name = other.name,
                address = other.address,
                "another node has this node's slot: integer order ids may meet, restart one of them with another slot"
            ),
            Ok(Err(error)) => tracing::debug!(%error, "this node's entry not renewed"),
            Err(_) => tracing::debug!("this node's entry not renewed in time"),
        }
    }
}
