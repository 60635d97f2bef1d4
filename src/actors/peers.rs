//! What nodes say to each other, and the mouth of this node: tells all others, or asks all and gathers their answers.
//!
//! Every message only points at what is durable, or is a question with a deadline, so each may be lost
//! (messaging/broadcast.rs) or come twice. The texts are a contract between versions of the server: a kind that a node
//! does not know counts as a message that it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc;

use super::control::{ActorAnswer, ActorCommand};
use crate::domain::{BuyerId, ProductId};
use crate::messaging::{Broadcast, NodeInfo, Nodes};
use crate::persistence::outbox::OutboxRow;

/// Answers that may wait for whoever asked.
const ANSWERS_MAX: usize = 64;

/// What a node tells or asks all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NodeMessage {
    /// Orders moved in one commit: push it.
    Committed(OutboxRow),
    /// Units, terms, price or shelf of a product changed: forget the flags and read them again.
    InventoryChanged {
        /// Which.
        product: ProductId,
    },
    /// Sign-ins, role or status of a user changed: read them again, close the sockets of revoked ones.
    SessionsChanged {
        /// Whose.
        user: BuyerId,
    },
    /// Do this and answer.
    Question(Question),
    /// What a node says to a question, to whoever asked.
    Answer(Answer),
}

/// A command with a way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Number of the question at its asker.
    pub id: u64,
    /// Where to answer.
    pub reply_to: String,
    /// Nobody waits longer than this after the question was asked, in milliseconds.
    pub within_ms: u64,
    /// What to do.
    pub command: ActorCommand,
}

/// One node's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Of the question.
    pub id: u64,
    /// Who answers.
    pub node: String,
    /// His slot.
    pub slot: u8,
    /// What he says.
    pub answer: ActorAnswer,
}

/// What came back from one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeAnswer {
    /// The node's name.
    pub node: String,
    /// Its slot, which tells nodes of the same name apart.
    pub slot: u8,
    /// `None`: no answer in time.
    pub answer: Option<ActorAnswer>,
}

/// The mouth of this node; clones share it.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "the broadcast is a trait object")]
pub struct Peers {
    broadcast: Arc<dyn Broadcast>,
    nodes: Nodes,
    next_id: Arc<AtomicU64>,
    waiting: Arc<DashMap<u64, mpsc::Sender<Answer>>>,
}

impl Peers {
    /// The mouth of the node that `nodes` calls this.
    #[must_use]
    pub fn new(broadcast: Arc<dyn Broadcast>, nodes: Nodes) -> Self {
        Self { broadcast, nodes, next_id: Arc::new(AtomicU64::new(1)), waiting: Arc::default() }
    }

    /// Tells all other nodes; whoever does not hear it notices that it missed something.
    pub async fn tell(&self, messages: &[NodeMessage]) {
        let texts: Vec<Box<RawValue>> = messages.iter().filter_map(|message| to_raw_value(message).ok()).collect();
        if let Err(error) = self.broadcast.tell(texts).await {
            tracing::debug!(messages = messages.len(), %error, "other nodes not told, they will notice");
        }
    }

    /// Asks all other live nodes that the command is for and waits for their answers, as long as it says at most. One entry
    /// a node, by slot.
    pub async fn ask_all(&self, command: ActorCommand) -> Vec<NodeAnswer> {
        let own_slot = self.nodes.this().map(|this| this.slot);
        let is_asked = |node: &NodeInfo| Some(node.slot) != own_slot && command.is_for(&node.name);
        let roll = self.nodes.roll().await.nodes.into_iter().filter(is_asked);
        let mut answers: Vec<NodeAnswer> =
            roll.map(|node| NodeAnswer { node: node.name, slot: node.slot, answer: None }).collect();
        if answers.is_empty() {
            return answers;
        }
        let within = command.answers_within();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, mut heard) = mpsc::channel(ANSWERS_MAX);
        self.waiting.insert(id, sender);
        let gathering = async {
            let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
            let reply_to = self.broadcast.address().to_owned();
            self.tell(&[NodeMessage::Question(Question { id, reply_to, within_ms, command })]).await;
            while answers.iter().any(|node| node.answer.is_none()) {
                let Some(Answer { node, slot, answer, .. }) = heard.recv().await else { break };
                match answers.iter_mut().find(|known| known.slot == slot) {
                    Some(known) => known.answer = Some(answer),
                    None => answers.push(NodeAnswer { node, slot, answer: Some(answer) }),
                }
            }
        };
        let is_late = tokio::time::timeout(within, gathering).await.is_err();
        self.waiting.remove(&id);
        if is_late {
            tracing::warn!(question = id, "not every node answered in time");
        }
        answers.sort_by_key(|node| node.slot);
        answers
    }

    /// Answers a question of another node.
    pub async fn answer(&self, question: &Question, answer: ActorAnswer) {
        let Some(this) = self.nodes.this() else { return };
        let answer = Answer { id: question.id, node: this.name.clone(), slot: this.slot, answer };
        let Ok(text) = to_raw_value(&NodeMessage::Answer(answer)) else { return };
        if let Err(error) = self.broadcast.answer(&question.reply_to, text).await {
            tracing::debug!(%error, "question of another node not answered");
        }
    }

    /// Brings an answer to whoever waits for it; nobody does after the deadline.
    pub fn take_answer(&self, answer: Answer) {
        if let Some(waiting) = self.waiting.get(&answer.id) {
            let _ = waiting.try_send(answer); // he has gone, or more nodes answer than there can be
        }
    }

    /// Which nodes there are.
    #[must_use]
    pub const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Takes leave of the others.
    pub async fn close(&self) {
        self.broadcast.close().await;
        self.nodes.leave().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::kit::{ControlError, Order, Target};

    #[test]
    fn r63_what_nodes_say_keeps_its_text() {
        let order = ActorCommand::Order { kind: "session".to_owned(), target: Target::All, order: Order::Pause };
        let question = Question { id: 7, reply_to: "there".to_owned(), within_ms: 1_000, command: order };
        let refused = ActorAnswer::Refused(ControlError::NotLive);
        let answer = Answer { id: 7, node: "b".to_owned(), slot: 2, answer: refused };
        for (message, text) in [
            (NodeMessage::SessionsChanged { user: BuyerId(3) }, r#"{"kind":"sessions_changed","user":3}"#),
            (NodeMessage::InventoryChanged { product: ProductId(4) }, r#"{"kind":"inventory_changed","product":4}"#),
            (
                NodeMessage::Committed(OutboxRow { commit_no: 5, payload: Default::default() }),
                r#"{"kind":"committed","commit_no":5,"payload":{"events":[]}}"#,
            ),
            (
                NodeMessage::Question(question),
                r#"{"kind":"question","id":7,"reply_to":"there","within_ms":1000,"command":{"do":"order","kind":"session","target":"all","order":"pause"}}"#,
            ),
            (
                NodeMessage::Answer(answer),
                r#"{"kind":"answer","id":7,"node":"b","slot":2,"answer":{"refused":"not_live"}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
            assert_eq!(serde_json::from_str::<NodeMessage>(text).unwrap(), message);
        }
    }
}
