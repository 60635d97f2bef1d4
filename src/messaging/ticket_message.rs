//! How a batch of tickets is written into one message: JSON with a version and short names.
//!
//! `{"version":1,"tickets":[{"no":"01H…","b":7,"p":3,"pool":12,"q":1,"fen":9900,"k":"owed","at":1700000000000}]}`:
//! order number, buyer, product, pool (0 = free, else the sale), units, price of one in fen, kind, accepted at (ms),
//! `e` (epoch of the ledger's account) unless it is 0, and `d` (address and remark) where there are any; about 115 bytes a
//! ticket. Within a version a field is only ever
//! added, with a default; readers skip what they do not know. A change that this cannot carry gets a new version, and
//! the old ones stay readable, because in a rolling upgrade both are in the queue.

use serde::{Deserialize, Serialize};

use crate::domain::stock::{Claim, OrderDetails, Pool, Quantity, Ticket, TicketKind};
use crate::domain::{BuyerId, Money, OrderNo, ProductId};

/// What this version writes.
const VERSION: u32 = 1;

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableMessage {
    /// Not the JSON of any version.
    #[error("not a message of tickets: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer version of the shop.
    #[error("version {0} is newer than this node")]
    TooNew(u32),
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    version: u32,
    tickets: T,
}

#[derive(Serialize, Deserialize)]
struct Row {
    no: OrderNo,
    b: BuyerId,
    p: ProductId,
    pool: Pool,
    q: Quantity,
    fen: i64,
    k: TicketKind,
    at: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    e: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<OrderDetails>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(epoch: &i64) -> bool {
    *epoch == 0
}

impl From<&Ticket> for Row {
    fn from(Ticket { claim, accepted_at_ms, epoch }: &Ticket) -> Self {
        let details = &claim.details;
        Self {
            no: claim.order_no,
            b: claim.buyer,
            p: claim.product,
            pool: claim.pool,
            q: claim.quantity,
            fen: claim.unit_price.fen(),
            k: claim.kind,
            at: *accepted_at_ms,
            e: *epoch,
            d: (*details != OrderDetails::default()).then(|| details.clone()),
        }
    }
}

impl From<Row> for Ticket {
    fn from(row: Row) -> Self {
        let claim = Claim {
            order_no: row.no,
            buyer: row.b,
            product: row.p,
            pool: row.pool,
            quantity: row.q,
            unit_price: Money::from_fen(row.fen),
            kind: row.k,
            details: row.d.unwrap_or_default(),
        };
        Self { claim, accepted_at_ms: row.at, epoch: row.e }
    }
}

/// The content of a message with these tickets.
#[must_use]
pub fn write(tickets: &[Ticket]) -> Vec<u8> {
    let rows: Vec<Row> = tickets.iter().map(Row::from).collect();
    // Cannot fail: numbers, texts and lists, no maps with other keys. An empty content would be a dead message.
    serde_json::to_vec(&Envelope { version: VERSION, tickets: rows }).unwrap_or_default()
}

/// The tickets of a message of this or an older version.
///
/// # Errors
/// [`UnreadableMessage`].
pub fn read(content: &[u8]) -> Result<Vec<Ticket>, UnreadableMessage> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    match serde_json::from_slice::<Version>(content)?.version {
        0..=VERSION => {
            let rows: Envelope<Vec<Row>> = serde_json::from_slice(content)?;
            Ok(rows.tickets.into_iter().map(Ticket::from).collect())
        }
        newer => Err(UnreadableMessage::TooNew(newer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stock::AddressSnapshot;

    fn ticket(number: u32, details: OrderDetails) -> Ticket {
        let claim = Claim {
            order_no: format!("01HF7YAT000000000000{number:06}").parse().unwrap(),
            buyer: BuyerId(7),
            product: ProductId(3),
            pool: Pool::from(12),
            quantity: Quantity::try_from(2).unwrap(),
            unit_price: Money::from_fen(9_900),
            kind: TicketKind::Owed,
            details,
        };
        Ticket { claim, accepted_at_ms: 1_700_000_000_000, epoch: i64::from(number % 3) }
    }

    #[test]
    fn tickets_come_back_as_they_were_written() {
        let address = AddressSnapshot {
            receiver: "张三".to_owned(),
            phone: "13800000000".to_owned(),
            region: "上海".to_owned(),
            detail: "1 号".to_owned(),
        };
        let details = OrderDetails { address: Some(address), remark: "quick".to_owned() };
        let tickets: Vec<Ticket> = (1..=256).map(|n| ticket(n, OrderDetails::default())).collect();
        let tickets = [tickets, vec![ticket(999, details)]].concat();
        let content = write(&tickets);
        assert_eq!(read(&content).unwrap(), tickets);
        assert!(content.len() < 257 * 140, "{} bytes", content.len());
    }

    #[test]
    fn a_message_of_the_first_release_stays_readable_r63() {
        let old = br#"{"version":1,"later":true,"tickets":[{"no":"01HF7YAT00000000000000000A","b":7,"p":3,"pool":0,
            "q":1,"fen":9900,"k":"owed","at":1700000000000,"unknown":[1]}]}"#;
        let tickets = read(old).unwrap();
        assert_eq!(
            (tickets.len(), tickets[0].claim.pool, tickets[0].accepted_at_ms, tickets[0].epoch),
            (1, Pool::Free, 1_700_000_000_000, 0)
        );
        assert_eq!(tickets[0].claim.order_no.to_string(), "01HF7YAT00000000000000000A");
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        assert!(matches!(read(br#"{"version":2,"tickets":{}}"#), Err(UnreadableMessage::TooNew(2))));
        for content in [&b""[..], b"nonsense", b"{}", br#"{"version":1}"#, br#"{"version":1,"tickets":[{"no":"x"}]}"#] {
            assert!(matches!(read(content), Err(UnreadableMessage::Malformed(_))), "{content:?}");
        }
    }
}
