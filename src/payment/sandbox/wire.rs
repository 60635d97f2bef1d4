//! What the three wires share: faults around a request, work that runs to its end, a broken connection, the log.

use std::future::Future;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures::stream;

use super::faults::{FaultKind, Operation};
use super::ledger::{LedgerError, LogLine};
use super::rules::Wire;
use super::state::Sandbox;

/// The sandbox as handlers get it.
pub(super) type Shared = web::Data<Sandbox>;

/// The largest request that is read, bytes.
pub(super) const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Where buyers of an answer to a creation go, in a header.
pub(super) const CASHIER_HEADER: &str = "Sandbox-Cashier-Url";

/// The faults that strike one request.
#[derive(Debug, Default)]
pub(super) struct Struck(Vec<FaultKind>);

/// What a struck request gets instead of being worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// The provider's "system error".
    SystemError,
    /// A bare 500.
    ServerError,
    /// The provider's "too many requests".
    RateLimited,
    /// Nothing.
    Silence,
}

impl Struck {
    /// Which faults strike; counts them.
    pub(super) async fn by(
        sandbox: &Sandbox,
        wire: Wire,
        operation: Operation,
        number: &str,
    ) -> Result<Self, LedgerError> {
        sandbox.faults.strike(wire, operation, number).await.map(Self)
    }

    /// What happens before the work: sits out delays and hangs.
    pub(super) async fn instead(&self) -> Option<Instead> {
        for fault in &self.0 {
            match fault {
                FaultKind::Delay { ms } => sleep(*ms).await,
                FaultKind::Hang { ms } => {
                    sleep(*ms).await;
                    return Some(Instead::Silence);
                }
                FaultKind::SystemError => return Some(Instead::SystemError),
                FaultKind::ServerError => return Some(Instead::ServerError),
                FaultKind::RateLimit => return Some(Instead::RateLimited),
                _ => {}
            }
        }
        None
    }

    /// What happens after the work: true if it must not be answered.
    pub(super) async fn silences(&self) -> bool {
        for fault in &self.0 {
            if let FaultKind::CommitThenHang { ms } = fault {
                sleep(*ms).await;
                return true;
            }
        }
        false
    }

    /// True if this kind strikes.
    pub(super) fn has(&self, kind: FaultKind) -> bool {
        self.0.contains(&kind)
    }

    /// The kinds as a word for the log.
    pub(super) fn named(&self) -> String {
        let names: Vec<String> = self.0.iter().filter_map(kind_name).collect();
        names.join(" ")
    }
}

pub(super) fn kind_name(kind: &FaultKind) -> Option<String> {
    serde_json::to_value(kind).ok()?.get("kind")?.as_str().map(str::to_owned)
}

pub(super) async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Runs work to its end even if its caller leaves: a transaction cut off in the middle would hurt the next one. `None`
/// if it panicked.
pub(super) async fn to_its_end<T: 'static>(work: impl Future<Output = T> + 'static) -> Option<T> {
    actix_web::rt::spawn(work).await.ok()
}

/// An answer that breaks off, as from a server that went away.
pub(super) fn broken() -> HttpResponse {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the sandbox hangs up");
    HttpResponse::BadGateway().streaming(stream::once(async move { Err::<web::Bytes, _>(broken) }))
}

/// A bare 500.
pub(super) fn bare_error() -> HttpResponse {
    HttpResponse::InternalServerError().content_type("text/html").body("<h1>500 Internal Server Error</h1>")
}

/// A response of any status.
pub(super) fn respond(status: u16) -> HttpResponseBuilder {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

/// A header's text; `None` if it is missing or not text.
pub(super) fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// Adds a line to the log of requests.
pub(super) fn log(
    sandbox: &Sandbox,
    wire: Wire,
    operation: Operation,
    number: &str,
    (outcome, fault): (String, String),
) {
    let word = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    sandbox.note(LogLine {
        at_ms: sandbox.clocks.ledger_ms(),
        channel: word(serde_json::to_value(wire)),
        operation: word(serde_json::to_value(operation)),
        number: number.to_owned(),
        outcome,
        fault,
    });
}
