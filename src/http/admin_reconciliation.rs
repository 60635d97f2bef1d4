//! The reconciliation with the gateways' bills, for administrators: its runs, what they found, and a run now.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query};
use super::fields::{FieldError, Fields, FromFields};
use super::idempotent::{Turn, once};
use super::pages::{PageOf, PageQuery};
use super::problem::Problem;
use super::state::AppState;
use super::times::Time;
use crate::domain::codes::Code;
use crate::domain::order::{PayChannel, RefundState};
use crate::domain::reconciliation::{BillDay, DifferenceKind};
use crate::domain::{Money, money::Yuan};
use crate::persistence::bill_differences::{self, DifferenceFilter, DifferenceState, StateCount, StoredDifference};
use crate::persistence::bill_runs::{self, BillRun, RunState};
use crate::persistence::{Db, Page, StoreError};

const CHANNELS: &str = "wechat, alipay";
const KINDS: &str = "paid_there_unpaid_here, paid_here_missing_there, amount_differs, refund_there_missing_here, \
    refund_here_missing_there, refund_amount_differs, refund_state_differs, unknown_number, duplicate";

/// Which day of which channel.
#[derive(Debug, ToSchema)]
pub struct RunDay {
    /// A day in Beijing that is over, e.g. `2026-11-20`.
    #[schema(value_type = String)]
    date: Option<BillDay>,
    /// `wechat` or `alipay`; all channels that are switched on if absent.
    #[schema(value_type = Option<String>)]
    channel: Option<PayChannel>,
}

impl FromFields for RunDay {
    const CODE: Code = Code::PAYMENT_PARAMETER;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        let date = fields.text("date", 1..=10);
        let parsed = date.parse().ok();
        if parsed.is_none() && !date.is_empty() {
            fields.refuse("date", Problem::NotPastDay);
        }
        let channel = match fields.text_if("channel", 0..=10).as_deref() {
            None | Some("") => None,
            Some("wechat") => Some(PayChannel::Wechat),
            Some("alipay") => Some(PayChannel::Alipay),
            Some(_) => {
                fields.refuse("channel", Problem::NotOneOf(CHANNELS));
                None
            }
        };
        Self { date: parsed, channel }
    }
}

/// Which differences.
#[derive(Debug)]
pub struct WhichDifferences {
    page: PageQuery,
    filter: DifferenceFilter,
}

impl FromFields for WhichDifferences {
    const CODE: Code = Code::PAYMENT_PARAMETER;

    fn from_fields(fields: &mut Fields) -> Self {
        let page = PageQuery::read(fields);
        let kind = fields.text_if("kind", 0..=40).filter(|text| !text.is_empty());
        let read = kind.as_deref().and_then(DifferenceKind::from_name);
        if kind.is_some() && read.is_none() {
            fields.refuse("kind", Problem::NotOneOf(KINDS));
        }
        Self { page, filter: DifferenceFilter { kind: read, open: fields.flag_if("open") } }
    }
}

/// One channel's day.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunJson {
    /// E.g. `wechat-2026-11-20`.
    pub id: String,
    /// `wechat` or `alipay`.
    pub channel: &'static str,
    /// In Beijing.
    #[schema(value_type = String)]
    pub date: BillDay,
    /// `waiting` (due, or no bill so far), `running`, `done`, `open` (done, but an order has not heard of something), `failed`.
    pub state: &'static str,
    /// How often it was taken up.
    pub attempts: u32,
    /// When it is tried next; null if it is done, or if nobody but you tries any more.
    pub due_at: Option<Time>,
    /// When it was taken up last.
    pub started_at: Option<Time>,
    /// When it was last compared to the end.
    pub finished_at: Option<Time>,
    /// Lines of the bill.
    pub lines: u64,
    /// Lines with numbers that are none of this shop's.
    pub unknown: u64,
    /// Differences by state.
    pub differences: HashMap<&'static str, u64>,
    /// Why it failed or waits; empty if it does not.
    pub error: String,
}

/// A difference between a bill and the books.
#[derive(Debug, Serialize, ToSchema)]
pub struct DifferenceJson {
    /// In which way they differ.
    pub kind: &'static str,
    /// The payment's or refund's number.
    pub number: String,
    /// The order; empty if the number is not one of ours.
    pub order_no: String,
    /// The payment's number.
    pub payment_no: String,
    /// The gateway's number.
    pub gateway_no: String,
    /// Yuan in the books.
    #[schema(value_type = Option<f64>)]
    pub ours: Option<Yuan>,
    /// Yuan on the bill.
    #[schema(value_type = Option<f64>)]
    pub theirs: Option<Yuan>,
    /// State of the refund in the books.
    #[schema(value_type = Option<String>)]
    pub our_state: Option<RefundState>,
    /// State of the refund on the bill.
    #[schema(value_type = Option<String>)]
    pub their_state: Option<RefundState>,
    /// `open`, `in_review`, `repaired`, `cleared`, `settled` or `noted`.
    pub state: &'static str,
    /// Somebody has to look after it.
    pub open: bool,
    /// Why it is open.
    pub note: String,
    /// When it was found first.
    pub found_at: Time,
    /// When it ceased to be open.
    pub ended_at: Option<Time>,
}

/// A run and its differences.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunWithDifferences {
    /// The run.
    pub run: RunJson,
    /// A page of its differences.
    #[serde(flatten)]
    pub differences: PageOf<DifferenceJson>,
}

impl RunJson {
    fn of(run: BillRun, counts: &[StateCount], now_ms: i64) -> Self {
        let is_running = run.lease_until_ms > now_ms;
        let is_tried_again = run.state != RunState::Done && run.due_at_ms < i64::MAX;
        let of_this = counts.iter().filter(|count| count.run_id == run.id);
        Self {
            channel: bill_runs::channel_name(run.channel),
            date: run.day,
            state: if is_running { "running" } else { run.state.name() },
            attempts: run.attempts,
            due_at: is_tried_again.then_some(Time(run.due_at_ms)),
            started_at: run.started_at_ms.map(Time),
            finished_at: run.finished_at_ms.map(Time),
            lines: run.lines,
            unknown: run.unknown,
            differences: of_this.map(|count| (count.state.name(), count.count)).collect(),
            error: run.error,
            id: run.id,
        }
    }
}

impl From<StoredDifference> for DifferenceJson {
    fn from(stored: StoredDifference) -> Self {
        let difference = stored.difference;
        let yuan = |money: Option<Money>| money.map(Yuan);
        Self {
            kind: difference.kind.name(),
            order_no: difference.order_no().map_or_else(String::new, |order_no| order_no.to_string()),
            ours: yuan(difference.ours),
            theirs: yuan(difference.theirs),
            our_state: difference.our_state,
            their_state: difference.their_state,
            number: difference.number,
            payment_no: difference.payment_no,
            gateway_no: difference.gateway_no,
            state: stored.state.name(),
            open: DifferenceState::is_open(stored.state),
            note: stored.note,
            found_at: Time(stored.found_at_ms),
            ended_at: stored.ended_at_ms.map(Time),
        }
    }
}

async fn shown(db: &Db, runs: Vec<BillRun>, now_ms: i64) -> Result<Vec<RunJson>, StoreError> {
    let ids: Vec<String> = runs.iter().map(|run| run.id.clone()).collect();
    let counts = bill_differences::counts(db, &ids).await?;
    Ok(runs.into_iter().map(|run| RunJson::of(run, &counts, now_ms)).collect())
}

/// Runs of the reconciliation, the latest day first.
#[utoipa::path(get, path = "/api/admin/reconciliation", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<RunJson>>)))]
pub async fn list_runs(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(page): Query<PageQuery>,
) -> ApiResult<PageOf<RunJson>> {
    let (runs, total) = bill_runs::list(&state.db, Page::new(page.page, page.page_size)).await?;
    ok(page.of(shown(&state.db, runs, state.clock.now_ms()).await?, total))
}

/// A run and what it found; `open=true` for what somebody has to look after.
#[utoipa::path(get, path = "/api/admin/reconciliation/{id}", tag = "admin", security(("bearer" = [])),
    params(("id" = String, Path), ("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query),
        ("kind" = Option<String>, Query), ("open" = Option<bool>, Query)),
    responses((status = 200, body = EnvelopeOf<RunWithDifferences>)))]
pub async fn list_differences(
    state: web::Data<AppState>,
    _admin: Admin,
    path: web::Path<String>,
    Query(wanted): Query<WhichDifferences>,
) -> ApiResult<RunWithDifferences> {
    let run = bill_runs::find(&state.db, &path).await?.ok_or(ApiError::from(Code::NOT_FOUND))?;
    let page = Page::new(wanted.page.page, wanted.page.page_size);
    let (differences, total) = bill_differences::list(&state.db, &run.id, wanted.filter, page).await?;
    let differences = wanted.page.of(differences.into_iter().map(Into::into).collect(), total);
    let run = shown(&state.db, vec![run], state.clock.now_ms()).await?.pop();
    ok(RunWithDifferences { run: run.ok_or(ApiError::from(Code::NOT_FOUND))?, differences })
}

/// Has a day compared now, also one that was: a node takes it up within seconds. Compared twice it changes nothing.
#[utoipa::path(post, path = "/api/admin/reconciliation", tag = "admin", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)), request_body = RunDay,
    responses((status = 200, body = EnvelopeOf<Vec<RunJson>>)))]
pub async fn run_day(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    request: HttpRequest,
    Params(wanted): Params<RunDay>,
) -> Result<HttpResponse, ApiError> {
    let clerk = &state.shop.clerk;
    let is_over = |day: &BillDay| *day <= clerk.yesterday();
    let not_over = || {
        let error = FieldError::new("date", Problem::NotPastDay);
        ApiError::fields(Code::PAYMENT_PARAMETER, vec![error])
    };
    let day = wanted.date.filter(is_over).ok_or_else(not_over)?;
    let is_wanted = |channel: &PayChannel| wanted.channel.is_none_or(|wanted| wanted == *channel);
    let channels: Vec<PayChannel> = clerk.channels().into_iter().filter(is_wanted).collect();
    if channels.is_empty() {
        return Err(Code::PAYMENT_CHANNEL.into());
    }
    once(&request, &state, admin.buyer, 0, async |_: Turn| {
        let mut runs = Vec::new();
        for channel in &channels {
            runs.push(clerk.ask(*channel, day).await?);
        }
        for run in &runs {
            state.record_done(&admin, "reconciliation.run", format!("run {}", run.id), json!({"date": day})).await;
        }
        Ok(shown(&state.db, runs, state.clock.now_ms()).await?)
    })
    .await
}
