//! The waiting room, for buyers: who has to wait is answered 60012 with his ticket, looks how far he is (by poll or over the
//! WebSocket), and shows the ticket with his purchase when his turn has come.
//!
//! A ticket is signed with the key of access tokens and says all there is to know: whose turn, at which sale, when. Every
//! node reads it, nobody keeps it, nobody else can use it. Who loses it asks again and keeps his turn.

use actix_web::web;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Caller, Tokens};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Query, from_path};
use super::fields::{FieldError, Fields, FromFields};
use super::problem::Problem;
use super::state::AppState;
use crate::actors::waiting_room::{Entry, EntryRefusal, Place, PlaceState};
use crate::domain::codes::Code;
use crate::domain::{BuyerId, ProductId, SaleId};
use crate::persistence::waiting_rooms::RoomId;

/// Longest ticket that is looked at.
pub const TICKET_BYTES_MAX: usize = 1_024;
/// Pause between two looks at a place.
const POLL_MS: std::ops::RangeInclusive<i64> = 250..=5_000;
/// `typ` of the token.
const QUEUE: &str = "queue";

/// What a ticket says.
#[derive(Debug, Serialize, Deserialize)]
struct QueueClaims {
    /// The buyer's id as text.
    sub: String,
    typ: String,
    iss: String,
    /// The sale's product.
    product_id: i64,
    /// The sale; 0 in tickets of the release before rooms had names.
    #[serde(default)]
    sale_id: i64,
    /// Which of its rooms: how often it had been closed by hand.
    #[serde(default)]
    closings: u32,
    /// When his turn begins, µs since 1970.
    turn_us: i64,
    /// From one turn to the next.
    interval_us: i64,
    /// Demanded of every token; how long a turn lasts is judged by the settings in force.
    exp: u64,
}

/// A place in the waiting room.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueuePlace {
    /// Of what.
    pub product_id: i64,
    /// `waiting`; `admitted`: buy now; `missed`: buy to queue again; `over`: nothing is left; `open`: nobody has to wait.
    pub state: &'static str,
    /// How many turns are before his.
    pub ahead: i64,
    /// His own: 1 is the next. 0 once he waits no longer.
    pub position: i64,
    /// Until his turn.
    pub eta_ms: i64,
    /// Within which an admitted buyer has to buy; 0 for others.
    pub left_ms: i64,
    /// When to look again.
    pub poll_after_ms: i64,
}

impl QueuePlace {
    fn new(product: ProductId, state: PlaceState) -> Self {
        let (name, ahead, eta_ms, left_ms) = match state {
            PlaceState::NoRoom => ("open", 0, 0, 0),
            PlaceState::Waiting { ahead, eta_ms } => ("waiting", ahead, eta_ms, 0),
            PlaceState::Admitted { left_ms } => ("admitted", 0, 0, left_ms),
            PlaceState::Missed => ("missed", 0, 0, 0),
            PlaceState::Over => ("over", 0, 0, 0),
        };
        let position = if name == "waiting" { ahead + 1 } else { 0 };
        // near the turn more often, but never so that many who wait long are a load
        let poll_after_ms = if name == "waiting" { (eta_ms / 4).clamp(*POLL_MS.start(), *POLL_MS.end()) } else { 0 };
        Self { product_id: product.0, state: name, ahead, position, eta_ms, left_ms, poll_after_ms }
    }

    /// True if there is nothing more to wait for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state != "waiting"
    }
}

/// Shows a place.
#[derive(Debug)]
pub struct ShowTicket {
    ticket: String,
}

impl FromFields for ShowTicket {
    const CODE: Code = Code::SECKILL_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { ticket: fields.text("ticket", 1..=TICKET_BYTES_MAX) }
    }
}

/// How far a place in the waiting room is. The ticket comes from `POST /api/seckill`.
#[utoipa::path(get, path = "/api/seckill/queue/{product_id}", tag = "seckill", security(("bearer" = [])),
    params(("product_id" = i64, Path), ("ticket" = String, Query, description = "`queue_ticket` of the answer 60012")),
    responses((status = 200, body = EnvelopeOf<QueuePlace>), (status = 400, description = "no ticket of this buyer")))]
pub async fn queue_place(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<String>,
    Query(shown): Query<ShowTicket>,
) -> ApiResult<QueuePlace> {
    let product = ProductId(from_path(&path, Code::SECKILL_NOT_FOUND)?);
    let place = read(&state.tokens, &shown.ticket, caller.buyer, "ticket")?;
    if place.room.product != product {
        return Err(not_a_ticket("ticket"));
    }
    ok(look(&state, place).await?)
}

/// How far a place is.
///
/// # Errors
/// Busy, unavailable.
pub async fn look(state: &AppState, place: Place) -> Result<QueuePlace, ApiError> {
    Ok(QueuePlace::new(place.room.product, state.shop.waiting_room.look(place).await?))
}

/// Lets a purchase pass, if the buyer has to wait for nobody.
///
/// # Errors
/// `SECKILL_WAITING` with the buyer's ticket, `SECKILL_PARAMETER` for a ticket that is not his, `SECKILL_BUSY` if the
/// room is full.
pub async fn pass(state: &AppState, product: ProductId, buyer: BuyerId, ticket: Option<&str>) -> Result<(), ApiError> {
    if !state.shop.waiting_room.may_hold_up(product) {
        return Ok(());
    }
    let place = match ticket {
        None => None,
        Some(ticket) => Some(read(&state.tokens, ticket, buyer, "queue_ticket")?),
    };
    if place.is_some_and(|place| place.room.product != product) {
        return Err(not_a_ticket("queue_ticket"));
    }
    match state.shop.waiting_room.enter(product, buyer, place).await? {
        Entry::NoRoom | Entry::Admitted => Ok(()),
        Entry::Waits(place) => Err(waiting(state, place).await?),
    }
}

async fn waiting(state: &AppState, place: Place) -> Result<ApiError, ApiError> {
    let view = look(state, place).await?;
    let retry_ms = u64::try_from(view.poll_after_ms.max(*POLL_MS.start())).unwrap_or(0);
    Ok(ApiError::from(Code::SECKILL_WAITING)
        .with("queue_ticket", write(&state.tokens, place)?)
        .with("position", view.position)
        .with("ahead", view.ahead)
        .with("eta_ms", view.eta_ms)
        .with("poll_after_ms", view.poll_after_ms)
        .retry_after_ms(retry_ms))
}

impl From<EntryRefusal> for ApiError {
    fn from(refusal: EntryRefusal) -> Self {
        match refusal {
            EntryRefusal::Full => Self::from(Code::SECKILL_BUSY).with("reason", "waiting room is full"),
            EntryRefusal::NotNow(error) => error.into(),
            EntryRefusal::Store(error) => error.into(),
        }
    }
}

fn write(tokens: &Tokens, place: Place) -> Result<String, ApiError> {
    tokens.sign(&QueueClaims {
        sub: place.buyer.to_string(),
        typ: QUEUE.to_owned(),
        iss: tokens.issuer().to_owned(),
        product_id: place.room.product.0,
        sale_id: place.room.sale.0,
        closings: place.room.closings,
        turn_us: place.at_us,
        interval_us: place.interval_us,
        exp: u64::try_from(place.at_us / 1_000_000).unwrap_or(0),
    })
}

/// The place that a ticket of this buyer tells of; `field` is where it stood.
///
/// # Errors
/// `SECKILL_PARAMETER` if it is not ours, or another buyer's.
pub fn read(tokens: &Tokens, ticket: &str, buyer: BuyerId, field: &'static str) -> Result<Place, ApiError> {
    let claims: QueueClaims = tokens.open(ticket).map_err(|_| not_a_ticket(field))?;
    if claims.typ != QUEUE || claims.sub.parse() != Ok(buyer.0) {
        return Err(not_a_ticket(field));
    }
    let (product, sale) = (ProductId(claims.product_id), SaleId(claims.sale_id));
    let room = RoomId { product, sale, closings: claims.closings };
    Ok(Place { room, buyer, at_us: claims.turn_us, interval_us: claims.interval_us })
}

fn not_a_ticket(field: &'static str) -> ApiError {
    metrics::counter!("rushmall_waiting_room_total", "outcome" => "forged").increment(1);
    ApiError::fields(Code::SECKILL_PARAMETER, vec![FieldError::new(field, Problem::Malformed)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AuthSettings;

    fn place() -> Place {
        let room = RoomId { product: ProductId(3), sale: SaleId(4), closings: 1 };
        Place { room, buyer: BuyerId(7), at_us: 1_795_000_000_000_000, interval_us: 10_000 }
    }

    #[test]
    fn a_ticket_is_read_by_every_node_that_has_the_key_and_by_nobody_elses() {
        let node = || Tokens::new(b"0123456789abcdef0123456789abcdef", &AuthSettings::default());
        let ticket = write(&node(), place()).unwrap();
        assert!(ticket.len() <= TICKET_BYTES_MAX, "{}", ticket.len());
        assert_eq!(read(&node(), &ticket, BuyerId(7), "ticket").unwrap(), place());
        let stranger = Tokens::new(b"another key of thirty-two bytes!", &AuthSettings::default());
        for (tokens, ticket, buyer) in [
            (node(), ticket.clone(), BuyerId(8)),
            (stranger, ticket.clone(), BuyerId(7)),
            (node(), format!("{ticket}x"), BuyerId(7)),
            (node(), "x".to_owned(), BuyerId(7)),
        ] {
            let refused = read(&tokens, &ticket, buyer, "ticket").unwrap_err();
            assert_eq!(refused.code(), Code::SECKILL_PARAMETER);
        }
    }

    #[test]
    fn a_place_says_how_far_it_is_and_when_to_look_again() {
        let far = QueuePlace::new(ProductId(3), PlaceState::Waiting { ahead: 99, eta_ms: 100_000 });
        assert_eq!((far.position, far.poll_after_ms, far.is_settled()), (100, 5_000, false));
        let near = QueuePlace::new(ProductId(3), PlaceState::Waiting { ahead: 0, eta_ms: 10 });
        assert_eq!((near.position, near.poll_after_ms), (1, 250));
        assert!(QueuePlace::new(ProductId(3), PlaceState::Admitted { left_ms: 1 }).is_settled());
    }
}
