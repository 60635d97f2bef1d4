//! The words of the WebSocket: what a client may say and what it is told.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::i18n::{Lang, status_text};
use super::order_json::{OrderJson, shown_status};
use super::times::Time;
use crate::domain::OrderNo;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::persistence::outbox::FeedEvent;

/// Most orders that one subscription may name, and of which it may say the version it knows.
pub const ORDERS_NAMED_MAX: usize = 100;

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Tell me about these orders; from `since` on, if I was here before.
    Subscribe {
        /// Which.
        orders: Selection,
        /// The last `seq` the client saw.
        since: Option<i64>,
        /// The versions it knows, of the orders it was told of lately.
        known: BTreeMap<OrderNo, u32>,
    },
    /// Are you there?
    Ping,
}

/// Which orders of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// These.
    Named(BTreeSet<OrderNo>),
}

impl Selection {
    /// True if the order is one of them.
    #[must_use]
    pub fn includes(&self, order_no: OrderNo) -> bool {
        match self {
            Self::All => true,
            Self::Named(named) => named.contains(&order_no),
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Wire {
    Subscribe {
        #[serde(default)]
        orders: Option<Wanted>,
        #[serde(default)]
        since: Option<i64>,
        #[serde(default)]
        known: BTreeMap<OrderNo, u32>,
    },
    Ping,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Word(String),
    List(Vec<OrderNo>),
}

/// Reads a client's frame; `None` if it is not one.
#[must_use]
pub fn read(text: &str) -> Option<ClientFrame> {
    Some(match serde_json::from_str(text).ok()? {
        Wire::Ping => ClientFrame::Ping,
        Wire::Subscribe { known, .. } if known.len() > ORDERS_NAMED_MAX => return None,
        Wire::Subscribe { orders, since, known } => {
            let orders = match orders {
                None => Selection::All,
                Some(Wanted::Word(word)) if word == "all" => Selection::All,
                Some(Wanted::List(list)) if list.len() <= ORDERS_NAMED_MAX => {
                    Selection::Named(list.into_iter().collect())
                }
                Some(_) => return None,
            };
            ClientFrame::Subscribe { orders, since: since.filter(|since| *since >= 0), known }
        }
    })
}

fn frame(value: &Value) -> String {
    value.to_string()
}

/// The first frame.
#[must_use]
pub fn welcome(seq: i64, user_id: i64, now_ms: i64, idle_timeout_ms: u64) -> String {
    frame(&json!({
        "type": "welcome", "seq": seq, "user_id": user_id, "server_time": Time(now_ms).with_millis(),
        "idle_timeout_ms": idle_timeout_ms,
    }))
}

/// The orders as they are; `seq` is where a later subscription may resume.
#[must_use]
pub fn snapshot(seq: i64, orders: &[OrderJson]) -> Option<String> {
    // Written from the structs: a detour through `Value` would make floats of the amounts.
    let orders = serde_json::to_string(orders).ok()?;
    Some(format!(r#"{{"type":"snapshot","seq":{seq},"orders":{orders}}}"#))
}

/// An order moved.
#[must_use]
pub fn order(seq: i64, event: &FeedEvent, lang: Lang) -> Option<String> {
    let total = serde_json::to_string(&Yuan(event.total)).ok()?;
    let rest = json!({
        "type": "order", "seq": seq, "order_no": event.order_no, "id": event.order_no.id(), "version": event.version,
        "status": shown_status(event.status), "status_text": status_text(event.status, lang), "event": event.event,
        "at": Time(event.at_ms), "product_id": event.product, "quantity": event.quantity,
        "pay_deadline": Time(event.pay_deadline_ms),
    });
    let mut text = rest.to_string();
    text.pop();
    Some(format!(r#"{text},"total_price":{total}}}"#))
}

/// The answer to `ping`.
#[must_use]
pub fn pong(now_ms: i64) -> String {
    frame(&json!({"type": "pong", "server_time": Time(now_ms).with_millis()}))
}

/// A frame was not understood, or a wish cannot be met now.
#[must_use]
pub fn error(error: &ApiError, lang: Lang) -> String {
    frame(&json!({"type": "error", "code": error.code().0, "message": error.message(lang)}))
}

/// A frame was not understood.
#[must_use]
pub fn malformed(lang: Lang) -> String {
    error(&Code::BAD_REQUEST.into(), lang)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_frames_are_read_strictly() {
        let named = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(read(r#"{"type":"ping"}"#), Some(ClientFrame::Ping));
        let known = BTreeMap::new();
        let all = ClientFrame::Subscribe { orders: Selection::All, since: Some(7), known: known.clone() };
        assert_eq!(read(r#"{"type":"subscribe","orders":"all","since":7}"#), Some(all));
        let one = Selection::Named([named.parse().unwrap()].into());
        let frame = format!(r#"{{"type":"subscribe","orders":["{named}"]}}"#);
        assert_eq!(read(&frame), Some(ClientFrame::Subscribe { orders: one.clone(), since: None, known }));
        let frame = format!(r#"{{"type":"subscribe","orders":["{named}"],"since":7,"known":{{"{named}":3}}}}"#);
        let known = BTreeMap::from([(named.parse().unwrap(), 3)]);
        assert_eq!(read(&frame), Some(ClientFrame::Subscribe { orders: one, since: Some(7), known }));
        for bad in [
            "",
            r#"{"type":"subscribe","known":{"x":1}}"#,
            "{",
            "[]",
            "null",
            "1",
            r#"{"type":"x"}"#,
            r#"{"type":"subscribe","orders":"some"}"#,
            r#"{"type":"subscribe","orders":["x"]}"#,
            r#"{"type":"subscribe","sinse":1}"#,
            r#"{"type":"subscribe","since":"x"}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let many = vec![format!("\"{named}\""); ORDERS_NAMED_MAX + 1].join(",");
        assert_eq!(read(&format!(r#"{{"type":"subscribe","orders":[{many}]}}"#)), None);
    }
}
