//! The words of the WebSocket: what a client may say and what it is told.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiError;
use super::i18n::{Lang, status_text};
use super::order_json::{OrderJson, shown_status};
use super::times::Time;
use super::waiting_room::TICKET_BYTES_MAX;
use crate::actors::stock_board::Level;
use crate::domain::codes::Code;
use crate::domain::money::Yuan;
use crate::domain::{OrderNo, ProductId};
use crate::persistence::outbox::FeedEvent;

/// Most orders that one subscription may name, and of which it may say the version it knows.
pub const ORDERS_NAMED_MAX: usize = 100;

/// Most products that one socket may watch.
pub const PRODUCTS_WATCHED_MAX: usize = 20;

/// What somebody says who wants to know of units left.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum StockFrame {
    /// Tell me of these products, and of no others.
    Watch {
        /// At most [`PRODUCTS_WATCHED_MAX`].
        products: Vec<ProductId>,
    },
    /// Are you there?
    Ping,
}

/// Reads a frame of a socket that is told of units left only; `None` if it is not one.
#[must_use]
pub fn read_stock(text: &str) -> Option<StockFrame> {
    match serde_json::from_str(text).ok()? {
        StockFrame::Watch { products } if products.len() > PRODUCTS_WATCHED_MAX => None,
        frame => Some(frame),
    }
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Tell me how many units are left of these products, and of no others.
    Watch {
        /// At most [`PRODUCTS_WATCHED_MAX`].
        products: Vec<ProductId>,
    },
    /// Tell me about these orders; from `since` on, if I was here before.
    Subscribe {
        /// Which.
        orders: Selection,
        /// The last `seq` the client saw.
        since: Option<i64>,
        /// The versions it knows, of the orders it was told of lately.
        known: BTreeMap<OrderNo, u32>,
    },
    /// Tell me how far my place in the waiting room is.
    Queue {
        /// From an answer 60012.
        ticket: String,
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
    Watch {
        products: Vec<ProductId>,
    },
    Queue {
        ticket: String,
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
        Wire::Watch { products } if products.len() > PRODUCTS_WATCHED_MAX => return None,
        Wire::Watch { products } => ClientFrame::Watch { products },
        Wire::Queue { ticket } if ticket.len() > TICKET_BYTES_MAX => return None,
        Wire::Queue { ticket } => ClientFrame::Queue { ticket },
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

/// The first frame to somebody whom nobody asked for his name.
#[must_use]
pub fn stock_welcome(now_ms: i64, idle_timeout_ms: u64) -> String {
    let server_time = Time(now_ms).with_millis();
    frame(&json!({"type": "welcome", "server_time": server_time, "idle_timeout_ms": idle_timeout_ms}))
}

/// The answer to `watch`: the products that are watched from now on, or why none is.
#[must_use]
pub fn watching(outcome: Result<Vec<ProductId>, ApiError>, lang: Lang) -> String {
    match outcome {
        Ok(products) => frame(&json!({"type": "watching", "products": products})),
        Err(refused) => error(&refused, lang),
    }
}

/// How many units are left.
#[must_use]
pub fn stock(level: &Level, now_ms: i64) -> String {
    let Level { product, sale, left, free, state } = level;
    frame(&json!({
        "type": "stock", "product_id": product, "sale_id": sale, "left": left, "free": free, "state": state.word(),
        "at": Time(now_ms).with_millis(),
    }))
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
        let watch = ClientFrame::Watch { products: vec![ProductId(7), ProductId(8)] };
        assert_eq!(read(r#"{"type":"watch","products":[7,8]}"#), Some(watch));
        let many = (0..=PRODUCTS_WATCHED_MAX).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
        let many = format!(r#"{{"type":"watch","products":[{many}]}}"#);
        assert_eq!((read(&many), read_stock(&many)), (None, None));
        assert_eq!(read_stock(r#"{"type":"subscribe"}"#), None);
        let many = vec![format!("\"{named}\""); ORDERS_NAMED_MAX + 1].join(",");
        assert_eq!(read(&format!(r#"{{"type":"subscribe","orders":[{many}]}}"#)), None);
    }
}
