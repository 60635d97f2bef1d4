//! `Idempotency-Key`: a POST that creates an order or moves money is carried out once, however often it is sent.
//!
//! Same key and body: the first answer again, byte for byte but for its trace id. Same key, other body: 422. The first
//! one still at work: 409 with Retry-After. An answer that says "not now" (409, 429, 5xx) is not kept: the next request
//! works again, under the same order numbers, or under fresh ones if the units of those were given back. Work that is cut
//! off (the client left, the time limit) keeps its lease, because an actor may still be at it. Without the header
//! nothing is stored.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use serde::Serialize;

use super::envelope::Unsent;
use super::error::ApiError;
use super::extract::{Fingerprint, IDEMPOTENCY_KEY, fingerprint_of_text, fingerprint_without_body};
use super::problem::{FieldError, Problem};
use super::state::AppState;
use super::trace::RequestContext;
use crate::domain::codes::Code;
use crate::domain::stock::OrderLine;
use crate::domain::{BuyerId, OrderNo, ProductId, Quantity};
use crate::persistence::Lease;
use crate::persistence::idempotency::{self, Begun, IdempotencyKey, StoredAnswer, Work};
use crate::persistence::ledger_accounts;
use crate::persistence::orders;

const KEY_CHARS_MAX: usize = 100;
/// Longer than a node may hold a delivery while it writes it.
const DECIDED_AFTER_MS: i64 = 30_000;
/// Longer than an order writer needs for what it has begun.
const WRITTEN_WITHIN_MS: i64 = 15_000;
const UNDECIDED_RETRY_MS: u64 = 1_000;

/// Under which order numbers to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// As many as were asked for.
    pub order_nos: Vec<OrderNo>,
    /// What they are for, where that is not said by the request itself: as it was when they were made.
    pub lines: Vec<OrderLine>,
    /// True if some of the work may be done already: look before working.
    pub is_repeat: bool,
}

impl Turn {
    /// The first number.
    ///
    /// # Errors
    /// `INTERNAL` if none was asked for.
    pub fn order_no(&self) -> Result<OrderNo, ApiError> {
        self.order_nos.first().copied().ok_or(Code::INTERNAL.into())
    }
}

impl Turn {
    /// The same under other numbers.
    fn renewed(&self, state: &AppState) -> Self {
        let order_nos: Vec<OrderNo> = self.order_nos.iter().map(|_| state.shop.numbers.next()).collect();
        let renewed =
            self.lines.iter().zip(&order_nos).map(|(line, order_no)| OrderLine { order_no: *order_no, ..*line });
        let lines = renewed.collect();
        Self { order_nos, lines, is_repeat: false }
    }
}

/// A key that this request holds until its lease ends.
struct Held {
    key: IdempotencyKey,
    lease_until_ms: i64,
}

/// Does `work` once for the request's key and answers with its data; `numbers` order numbers are set aside for it.
/// Works at once if the request has no key. `work` runs a second time if the numbers are spent.
///
/// # Errors
/// What `work` refuses; 400 for a bad key, 409, 422.
pub async fn once<T: Serialize>(
    request: &HttpRequest,
    state: &AppState,
    user: BuyerId,
    numbers: usize,
    work: impl AsyncFn(Turn) -> Result<T, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let order_nos = (0..numbers).map(|_| state.shop.numbers.next()).collect();
    once_under(request, state, user, Turn { order_nos, lines: Vec::new(), is_repeat: false }, work).await
}

/// The same for lines that the request does not name (a cart): a repeat is told the lines of the first request.
///
/// # Errors
/// As [`once`].
pub async fn once_for<T: Serialize>(
    request: &HttpRequest,
    state: &AppState,
    user: BuyerId,
    lines: &[(ProductId, Quantity)],
    work: impl AsyncFn(Turn) -> Result<T, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let line = |&(product, quantity)| OrderLine { order_no: state.shop.numbers.next(), product, quantity };
    let lines: Vec<OrderLine> = lines.iter().map(line).collect();
    let order_nos = lines.iter().map(|line| line.order_no).collect();
    once_under(request, state, user, Turn { order_nos, lines, is_repeat: false }, work).await
}

async fn once_under<T: Serialize>(
    request: &HttpRequest,
    state: &AppState,
    user: BuyerId,
    first: Turn,
    work: impl AsyncFn(Turn) -> Result<T, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let context = RequestContext::of(request);
    let key = key_of(request, user)?;
    let fingerprint = request.extensions().get::<Fingerprint>().cloned();
    let fingerprint = fingerprint.unwrap_or_else(|| fingerprint_without_body(request));
    let Answered { unsent, is_repeat } = keyed(state, key, &fingerprint, first, context, work).await?;
    let mut response = unsent.send(context);
    if is_repeat {
        let replayed = HeaderName::from_static("idempotent-replayed");
        response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The same for a command that came over a WebSocket: its key stands in the frame, `content` is what it asks for.
///
/// # Errors
/// As [`once`].
pub async fn once_over_socket<T: Serialize>(
    state: &AppState,
    user: BuyerId,
    (key, content): (Option<&str>, &str),
    context: RequestContext,
    work: impl AsyncFn(Turn) -> Result<T, ApiError>,
) -> Result<Answered, ApiError> {
    let key = key.map(|text| valid_key(text, user)).transpose()?;
    let order_nos = vec![state.shop.numbers.next()];
    let first = Turn { order_nos, lines: Vec::new(), is_repeat: false };
    keyed(state, key, &fingerprint_of_text(content), first, context, work).await
}

/// An answer, and whether it was given before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Lacks only its trace id.
    pub unsent: Unsent,
    /// The work was done before.
    pub is_repeat: bool,
}

async fn keyed<T: Serialize>(
    state: &AppState,
    key: Option<IdempotencyKey>,
    Fingerprint(fingerprint): &Fingerprint,
    first: Turn,
    context: RequestContext,
    work: impl AsyncFn(Turn) -> Result<T, ApiError>,
) -> Result<Answered, ApiError> {
    let Some(key) = key else {
        let data = work(first).await?;
        return Ok(Answered { unsent: Unsent::success(StatusCode::OK, &data)?, is_repeat: false });
    };
    let claimed = Work { fingerprint, fresh: &first.order_nos, lines: &first.lines, lease: lease(state) };
    match idempotency::begin(&state.db, &key, claimed, state.clock.now_ms()).await? {
        Begun::OtherRequest => Err(Code::UNPROCESSABLE.into()),
        Begun::Running { lease_left_ms } => {
            let wait_ms = u64::try_from(lease_left_ms).unwrap_or_default().min(1_000);
            Err(ApiError::from(Code::CONFLICT).retry_after_ms(wait_ms))
        }
        Begun::Answered(answer) => Ok(repeat(answer)),
        Begun::Work { order_nos, lines, is_repeat, lease_until_ms } => {
            let held = Held { key, lease_until_ms };
            let mut outcome = work(Turn { order_nos: order_nos.clone(), lines, is_repeat }).await;
            if outcome.as_ref().is_err_and(ApiError::is_spent) {
                // At once, because a number that is older than a rebuilt account is never certain again.
                let next = if is_repeat { first } else { first.renewed(state) };
                if renumbered(state, &held, &order_nos, &next).await? {
                    outcome = work(next).await;
                }
            }
            let unsent = conclude(state, &held, outcome, context).await?;
            Ok(Answered { unsent, is_repeat: false })
        }
    }
}

/// A refusal of a repeat, unless the order may still come: then "not now", and the client asks again.
///
/// A ledger that lost its account forgot the first request's ticket, while its message may wait in the order queue. To
/// refuse now would hide an order that comes; to give the key another number would make a second one.
///
/// # Errors
/// The refusal, or `UNAVAILABLE` while it is not known.
pub async fn unless_undecided<T>(
    state: &AppState,
    turn: &Turn,
    product: ProductId,
    outcome: Result<T, ApiError>,
) -> Result<T, ApiError> {
    if outcome.is_ok() {
        return outcome;
    }
    all_decided(state, turn, turn.order_nos.iter().map(|order_no| (product, *order_no))).await?;
    outcome
}

/// The same for the lines of a cart. All of them are looked at, because they are ordered together; and they are to be
/// looked at before a repeat touches anything, because it gives back what it cannot order.
///
/// # Errors
/// `UNAVAILABLE` while it is not known of one of them.
pub async fn lines_decided(state: &AppState, turn: &Turn) -> Result<(), ApiError> {
    // A node of an earlier release did not write down what its numbers are for: only time tells.
    if turn.lines.is_empty() && turn.order_nos.first().is_some_and(|order_no| !is_old(state, *order_no)) {
        return Err(undecided());
    }
    all_decided(state, turn, turn.lines.iter().map(|line| (line.product, line.order_no))).await
}

async fn all_decided(
    state: &AppState,
    turn: &Turn,
    numbers: impl Iterator<Item = (ProductId, OrderNo)>,
) -> Result<(), ApiError> {
    for (product, order_no) in numbers {
        if turn.is_repeat && is_undecided(state, product, order_no).await? {
            return Err(undecided());
        }
    }
    Ok(())
}

fn undecided() -> ApiError {
    ApiError::from(Code::UNAVAILABLE).retry_after_ms(UNDECIDED_RETRY_MS)
}

/// True if a ticket under this number was perhaps lost with the ledger's account, and nothing says yet that no order
/// comes of it.
async fn is_undecided(state: &AppState, product: ProductId, order_no: OrderNo) -> Result<bool, ApiError> {
    let ledger = &state.shop.ledger;
    if !ledger.is_shared() {
        return Ok(false);
    }
    // First of all the ledger, which rebuilds an account that is lost.
    if ledger.find(order_no, Some(product)).await?.is_some_and(|record| record.returned) {
        return Ok(false);
    }
    let account = ledger_accounts::find(&state.db, product).await?;
    if account.is_none_or(|account| order_no.made_at_ms() > account.built_at_ms) {
        return Ok(false);
    }
    let is_on_its_way = !is_old(state, order_no) || !state.shop.queue.is_idle().await.unwrap_or(false);
    Ok(is_on_its_way || !orders::existing(&state.db, &[order_no]).await?.is_empty())
}

/// A number this old whose ticket is lost becomes no order any more if the order queue is empty: no node may hold a
/// delivery so long while it writes it, and none begins to write prepared units that are half as old as they may get.
fn is_old(state: &AppState, order_no: OrderNo) -> bool {
    let prepared_ms = (state.settings.orders.prepared_expires_ms / 2).saturating_add(WRITTEN_WITHIN_MS);
    state.clock.now_ms().saturating_sub(order_no.made_at_ms()) >= Ord::max(DECIDED_AFTER_MS, prepared_ms)
}

/// As long as a request may take, and the actor that it asked last.
fn lease(state: &AppState) -> Lease {
    let settings = &state.settings;
    let longest_ms = settings.http.request_timeout_ms.saturating_add(settings.actors.ask_timeout_ms);
    Lease { slot: settings.node.slot, ms: i64::try_from(longest_ms).unwrap_or(i64::MAX) }
}

/// Gives the key fresh numbers; false if there are orders under the old ones, or the key is no longer this request's.
async fn renumbered(state: &AppState, held: &Held, old: &[OrderNo], fresh: &Turn) -> Result<bool, ApiError> {
    let is_written = !orders::existing(&state.db, old).await?.is_empty();
    let (key, until_ms) = (&held.key, held.lease_until_ms);
    Ok(!is_written && idempotency::renumber(&state.db, key, until_ms, &fresh.order_nos, &fresh.lines).await?)
}

/// The user's key; `None` without the header.
fn key_of(request: &HttpRequest, user: BuyerId) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(value) = request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
    valid_key(value.to_str().unwrap_or_default(), user).map(Some)
}

fn valid_key(text: &str, user: BuyerId) -> Result<IdempotencyKey, ApiError> {
    let is_valid = (1..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_valid {
        let error = FieldError::new("Idempotency-Key", Problem::Length { min: 1, max: KEY_CHARS_MAX });
        return Err(ApiError::fields(Code::BAD_REQUEST, vec![error]));
    }
    Ok(IdempotencyKey { user, key: text.to_owned() })
}

fn repeat(answer: StoredAnswer) -> Answered {
    let status = StatusCode::from_u16(answer.http_status).unwrap_or(StatusCode::OK);
    Answered { unsent: Unsent { status, text: answer.text }, is_repeat: true }
}

async fn conclude<T: Serialize>(
    state: &AppState,
    Held { key, lease_until_ms }: &Held,
    outcome: Result<T, ApiError>,
    context: RequestContext,
) -> Result<Unsent, ApiError> {
    let unsent = match &outcome {
        Ok(data) => Unsent::success(StatusCode::OK, data)?,
        Err(error) => Unsent::refusal(error, context),
    };
    let stored = if is_final(unsent.status) {
        let answer = StoredAnswer { http_status: unsent.status.as_u16(), text: unsent.text.clone() };
        idempotency::finish(&state.db, key, *lease_until_ms, &answer).await
    } else {
        idempotency::abandon(&state.db, key, *lease_until_ms).await
    };
    if let Err(error) = stored {
        // The work is done and stays done under its numbers; only the repetition has to find that out by itself.
        tracing::warn!(%error, "answer not stored under its idempotency key");
    }
    outcome.map(|_| unsent)
}

/// False for "not now".
fn is_final(status: StatusCode) -> bool {
    !(status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 409 | 429))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::state::for_tests;

    async fn send(
        state: &AppState,
        key: &str,
        body: &str,
        work: impl AsyncFn(Turn) -> Result<String, ApiError>,
    ) -> (u16, String) {
        let request = TestRequest::post().insert_header((IDEMPOTENCY_KEY, key)).to_http_request();
        request.extensions_mut().insert(Fingerprint(body.to_owned()));
        let answer = once(&request, state, BuyerId(1), 1, work).await;
        let response = answer.unwrap_or_else(|error| error.render(RequestContext::of(&request)));
        let status = response.status().as_u16();
        let text = String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap();
        (status, text.split(",\"trace_id\"").next().unwrap().to_owned())
    }

    #[actix_rt::test]
    async fn the_work_is_done_once_and_its_answer_repeated() {
        let (state, _dir) = for_tests().await;
        let done = Cell::new(0);
        let work = async |turn: Turn| {
            done.set(done.get() + 1);
            Ok(turn.order_nos[0].to_string())
        };
        let first = send(&state, "k", "a", work).await;
        assert_eq!(send(&state, "k", "a", work).await, first);
        assert_eq!(done.get(), 1);
        assert_eq!(send(&state, "k", "b", work).await.0, 422);
        assert_ne!(send(&state, "other", "a", work).await, first);
    }

    #[actix_rt::test]
    async fn a_refusal_is_repeated_and_a_not_now_is_not() {
        let (state, _dir) = for_tests().await;
        let sold_out = async |_| Err(ApiError::from(Code::SECKILL_SOLD_OUT));
        let first = send(&state, "refused", "a", sold_out).await;
        assert_eq!(send(&state, "refused", "a", async |_| Ok(String::new())).await, first);

        let numbers = Cell::new(None);
        let busy = async |turn: Turn| {
            numbers.set(Some(turn.order_nos[0]));
            Err(ApiError::from(Code::SECKILL_BUSY))
        };
        assert_eq!(send(&state, "busy", "a", busy).await.0, 503);
        let again = async |turn: Turn| {
            assert!(turn.is_repeat);
            assert_eq!(Some(turn.order_nos[0]), numbers.get());
            Ok("done".to_owned())
        };
        assert_eq!(send(&state, "busy", "a", again).await.0, 200);
    }

    #[actix_rt::test]
    async fn a_request_at_work_is_not_worked_twice() {
        let (state, _dir) = for_tests().await;
        let inner = async |_| Ok(String::new());
        let outer = async |_| {
            let (status, _) = send(&state, "k", "a", inner).await;
            assert_eq!(status, 409);
            Ok(String::new())
        };
        assert_eq!(send(&state, "k", "a", outer).await.0, 200);
    }

    #[actix_rt::test]
    async fn work_that_was_cut_off_is_not_worked_beside() {
        let (state, _dir) = for_tests().await;
        let begun = tokio::sync::Notify::new();
        let endless = send(&state, "k", "a", async |_| {
            begun.notify_one();
            std::future::pending().await
        });
        tokio::select! {
            _ = endless => unreachable!("it has no end"),
            () = begun.notified() => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(send(&state, "k", "a", async |_| Ok(String::new())).await.0, 409, "an actor may still be at it");
    }

    #[actix_rt::test]
    async fn spent_numbers_are_replaced_once() {
        let (state, _dir) = for_tests().await;
        let tried = std::cell::RefCell::new(Vec::new());
        let spent = async |turn: Turn| {
            tried.borrow_mut().push(turn.order_nos[0]);
            Err(ApiError::from(Code::UNAVAILABLE).spent())
        };
        for _ in 0..2 {
            assert_eq!(send(&state, "k", "a", spent).await.0, 503);
        }
        let tried = tried.into_inner();
        assert!(tried.len() == 4 && tried[0] != tried[1] && tried[1] == tried[2] && tried[2] != tried[3], "{tried:?}");
        let last = async |turn: Turn| Ok((turn.order_nos[0] == tried[3]).to_string());
        assert!(send(&state, "k", "a", last).await.1.contains("true"));
    }

    #[actix_rt::test]
    async fn keys_are_visible_ascii_of_bounded_length() {
        let (state, _dir) = for_tests().await;
        for key in ["", "a b", &"x".repeat(101)] {
            assert_eq!(send(&state, key, "a", async |_| Ok(String::new())).await.0, 400, "{key}");
        }
        assert_eq!(send(&state, &"x".repeat(100), "a", async |_| Ok(String::new())).await.0, 200);
    }
}
