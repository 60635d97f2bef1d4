//! The transparency log of payments and refunds over HTTP: its latest head and that it continues earlier ones, for
//! anybody; that an order's money facts are in it, for the order's owner and administrators.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Caller;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Query, from_path};
use super::fields::{FieldError, Fields, FromFields, Problem};
use super::order_reads;
use super::state::AppState;
use crate::domain::OrderNo;
use crate::domain::codes::Code;
use crate::persistence::money_log::{self, Head, LoggedFact};
use crate::transparency::tree;

/// A signed head.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadJson {
    /// Name of the log and of its key.
    pub origin: String,
    /// Leaves under it.
    pub tree_size: u64,
    /// Merkle tree hash of them (RFC 6962), hex.
    pub root_hash: String,
    /// When it was signed, in milliseconds since 1970.
    pub time_ms: i64,
    /// The C2SP signed note: keep this to prove later that history was not rewritten.
    pub note: String,
    /// The C2SP verifier key of the note.
    pub verifier_key: String,
}

impl HeadJson {
    fn new(state: &AppState, head: Head) -> Self {
        let key = state.shop.signer.public();
        Self {
            origin: key.name().to_owned(),
            tree_size: head.tree_size,
            root_hash: hex::encode(head.root),
            time_ms: head.at_ms,
            note: head.note,
            verifier_key: key.to_string(),
        }
    }
}

/// A payment that came or a refund that ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoggedFactJson {
    /// The leaf, byte by byte: JSON with amount, gateway's number and the hash of the order's history.
    pub leaf: String,
    /// SHA-256 over a zero byte and the leaf, hex.
    pub leaf_hash: String,
    /// From 0; null while it waits to be appended.
    pub leaf_index: Option<u64>,
    /// Inclusion proof under `head` (RFC 6962), hex; null while no head is over it.
    pub proof: Option<Vec<String>>,
}

impl From<LoggedFact> for LoggedFactJson {
    fn from(fact: LoggedFact) -> Self {
        Self {
            leaf_hash: hex::encode(tree::leaf_hash(fact.leaf.as_bytes())),
            leaf: fact.leaf,
            leaf_index: fact.leaf_no,
            proof: fact.proof.map(|proof| proof.into_iter().map(hex::encode).collect()),
        }
    }
}

/// The money of an order in the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderProofs {
    /// The order.
    pub order_no: String,
    /// Oldest first; empty if no money has moved.
    pub facts: Vec<LoggedFactJson>,
    /// What the proofs are under; null while none was signed.
    pub head: Option<HeadJson>,
}

/// That one log continues another.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsistencyJson {
    /// Leaves of the earlier log.
    pub from: u64,
    /// Leaves of the later log.
    pub to: u64,
    /// Consistency proof (RFC 6962), hex; empty if both are the same.
    pub proof: Vec<String>,
}

/// Between which sizes.
#[derive(Debug)]
pub struct WhichSizes {
    from: u64,
    to: Option<u64>,
}

impl FromFields for WhichSizes {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        let from = fields.whole("from", 1..=i64::MAX).unsigned_abs();
        Self { from, to: fields.whole_if("to", 1..=i64::MAX).map(i64::unsigned_abs) }
    }
}

/// The latest signed head.
#[utoipa::path(get, path = "/api/audit/head", tag = "audit", responses((status = 200, body = EnvelopeOf<HeadJson>)))]
pub async fn latest_head(state: web::Data<AppState>) -> ApiResult<HeadJson> {
    let head = money_log::latest_head(&state.db).await?.ok_or(Code::NOT_FOUND)?;
    ok(HeadJson::new(&state, head))
}

/// Proof that the log of `to` leaves (the latest head's, if absent) continues the log of `from` leaves.
#[utoipa::path(get, path = "/api/audit/consistency", tag = "audit",
    params(("from" = u64, Query), ("to" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<ConsistencyJson>)))]
pub async fn consistency(state: web::Data<AppState>, Query(wanted): Query<WhichSizes>) -> ApiResult<ConsistencyJson> {
    let head = money_log::latest_head(&state.db).await?.ok_or(Code::NOT_FOUND)?;
    let (from, to) = (wanted.from, wanted.to.unwrap_or(head.tree_size));
    let beyond = |field, max: u64| {
        let problem = Problem::NotInRange { min: 1, max: i64::try_from(max).unwrap_or(i64::MAX) };
        ApiError::fields(Code::BAD_REQUEST, vec![FieldError::new(field, problem)])
    };
    if to > head.tree_size {
        return Err(beyond("to", head.tree_size));
    }
    let proof = money_log::consistency(state.db.reader(), from, to).await?.ok_or_else(|| beyond("from", to))?;
    ok(ConsistencyJson { from, to, proof: proof.into_iter().map(hex::encode).collect() })
}

/// The order's payments and refunds in the log, each with its proof.
#[utoipa::path(get, path = "/api/order/{order_no}/audit", tag = "audit", security(("bearer" = [])),
    params(("order_no" = String, Path)), responses((status = 200, body = EnvelopeOf<OrderProofs>)))]
pub async fn order_proofs(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<OrderProofs> {
    let order_no: OrderNo = from_path(&path, Code::ORDER_NOT_FOUND)?;
    order_reads::find(&state, caller.viewer(), order_no).await?.ok_or(Code::ORDER_NOT_FOUND)?;
    let head = money_log::latest_head(&state.db).await?;
    let facts = money_log::of_order(&state.db, order_no, head.as_ref()).await?;
    let head = head.map(|head| HeadJson::new(&state, head));
    ok(OrderProofs { order_no: order_no.to_string(), facts: facts.into_iter().map(Into::into).collect(), head })
}
