//! Takes tickets from the order queue to the order writer, one delivery at a time; what arrives meanwhile is the next.
//!
//! A delivery is acknowledged when its orders are committed, so what is lost here (panic, crash) comes again; a ticket
//! delivered twice is written once. While the store is away the delivery is held and tried again, then given back; if
//! only some of its tickets cannot be written, those alone are given back, so that they do not stop the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::background::Stop;
use super::kit::Directory;
use super::order_writer::{self, OrderWriterActor};
use crate::clock;
use crate::domain::stock::Ticket;
use crate::failpoint;
use crate::messaging::{Delivery, OrderQueue, QueueError};
use crate::persistence::StoreError;
use crate::trace_context;

/// Longest that one try may take, the writer's own retries included.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// A delivery of which nothing can be written is held for so long; far below the 30 minutes that RabbitMQ waits.
const HELD_MAX: Duration = Duration::from_secs(30);
/// Tries of tickets that could not be written when others could.
const TRIES_MAX: u32 = 3;
/// Pause before the second try, doubled up to the maximum.
const PAUSE_FIRST_MS: u64 = 50;
const PAUSE_MAX_MS: u64 = 2_000;
/// Pause after the queue could not be read.
const PAUSE_QUEUE_AWAY: Duration = Duration::from_millis(200);

/// Consumes until `stop`; a queue that does not outlive the process is emptied first.
///
/// # Errors
/// None; the type is that of all background loops.
pub async fn run(
    queue: Arc<dyn OrderQueue>,
    writer: Directory<OrderWriterActor>,
    tickets_max: usize,
    mut stop: Stop,
) -> Result<(), StoreError> {
    while !(stop.is_set() && queue.outlives_process()) {
        let received = tokio::select! {
            biased;
            received = queue.receive(tickets_max) => received,
            () = stop.wait() => return Ok(()),
        };
        match received {
            Ok(delivery) => consume(&*queue, &writer, delivery, &mut stop).await,
            Err(QueueError::Closed) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "order queue not read, trying again");
                stop.sleep(PAUSE_QUEUE_AWAY).await;
            }
        }
    }
    Ok(())
}

async fn consume(
    queue: &dyn OrderQueue,
    writer: &Directory<OrderWriterActor>,
    Delivery { tickets, receipt, traceparents }: Delivery,
    stop: &mut Stop,
) {
    let spans = spans_of(&traceparents, &tickets);
    let span = trace_context::shared(spans.iter());
    failpoint::reach("consumer.write.before");
    let left = write(writer, tickets, stop).instrument(span).await;
    failpoint::reach("consumer.write.after");
    let outcome = if left.is_empty() {
        queue.acknowledge(receipt).await
    } else if stop.is_set() {
        return tracing::warn!(tickets = left.len(), "tickets not written before the end, they come again");
    } else {
        tracing::error!(tickets = left.len(), "tickets not written, given back to the queue");
        queue.give_back(receipt, left, "orders not written").await
    };
    if let Err(error) = outcome {
        tracing::warn!(%error, "delivery not acknowledged, it may come again");
    }
}

/// A span in the trace of each publisher, under the first ticket's numbers; one of its own if there are none. All last
/// for as long as the work.
fn spans_of(traceparents: &[String], tickets: &[Ticket]) -> Vec<Span> {
    let first = tickets.first().map(|ticket| &ticket.claim);
    let writing = |traceparent: Option<&str>| {
        let span = tracing::info_span!(
            "write_orders",
            "otel.kind" = "consumer",
            trace_id = Empty,
            tickets = tickets.len(),
            user_id = first.map(|claim| claim.buyer.0),
            product_id = first.map(|claim| claim.product.0),
            order_no = first.map(|claim| tracing::field::display(claim.order_no)),
        );
        trace_context::follow(&span, traceparent);
        span
    };
    match traceparents {
        [] => vec![writing(None)],
        known => known.iter().map(|traceparent| writing(Some(traceparent))).collect(),
    }
}

/// Writes the tickets; answers those that could not be written after all tries.
async fn write(writer: &Directory<OrderWriterActor>, mut tickets: Vec<Ticket>, stop: &mut Stop) -> Vec<Ticket> {
    let held_since: Instant = clock::monotonic();
    let (mut tries, mut pause_ms) = (0, PAUSE_FIRST_MS);
    loop {
        let count = tickets.len();
        tickets = order_writer::write_each(writer, tickets, WRITE_TIMEOUT).await;
        let is_store_away = tickets.len() == count;
        tries = if is_store_away { tries } else { tries + 1 };
        let is_over = tries >= TRIES_MAX || held_since.elapsed() >= HELD_MAX || stop.is_set();
        if tickets.is_empty() || is_over {
            return tickets;
        }
        stop.sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
    }
}
