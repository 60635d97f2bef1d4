//! Takes tickets from the order queue to the order writer, one batch at a time; what arrives meanwhile is the next.
//!
//! A batch that is lost here (panic, crash, a store that is away) is still owed in the ledger, and the sweep publishes
//! it again; a batch delivered twice is written once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::background::Stop;
use super::kit::Directory;
use super::order_writer::{OrderWriterActor, THE_WRITER, WriteOrders};
use crate::domain::stock::Ticket;
use crate::failpoint;
use crate::messaging::TicketStream;
use crate::persistence::StoreError;
use crate::persistence::placing::OrderGroup;

/// Longest that one batch may take, all retries included.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Consumes until `stop` and the queue is empty.
///
/// # Errors
/// None; the type is that of all background loops.
pub async fn run(
    tickets: Arc<Mutex<TicketStream>>,
    writer: Directory<OrderWriterActor>,
    tickets_max: usize,
    mut stop: Stop,
) -> Result<(), StoreError> {
    let mut tickets = tickets.lock().await;
    loop {
        let batch = tokio::select! {
            biased;
            batch = tickets.next(tickets_max) => batch,
            () = stop.wait() => return Ok(()),
        };
        if batch.is_empty() {
            return Ok(());
        }
        failpoint::reach("consumer.write.before");
        let groups = batch.into_iter().map(alone).collect();
        if let Err(error) = writer.ask(&THE_WRITER, WriteOrders { groups }, WRITE_TIMEOUT).await {
            tracing::error!(%error, "order writer did not answer; the sweep brings the tickets back");
        }
        failpoint::reach("consumer.write.after");
    }
}

fn alone(ticket: Ticket) -> OrderGroup {
    OrderGroup { tickets: vec![ticket], atomic: false, clears_cart_of: None }
}
