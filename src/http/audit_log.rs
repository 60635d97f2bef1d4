//! The audit log, for administrators: who did what, found by action, administrator, target and time; exported as JSON lines
//! or CSV. An export is read portion by portion while it is sent, so its size does not matter.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use futures::stream;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::Query;
use super::fields::{Fields, FromFields};
use super::pages::{PageOf, PageQuery};
use super::problem::Problem;
use super::state::AppState;
use super::times::Time;
use crate::domain::BuyerId;
use crate::domain::codes::Code;
use crate::persistence::audit::{self, AuditFilter, AuditRecord, ExportFormat};
use crate::persistence::{Db, Page};

/// Entries read at once for an export.
const PORTION: u64 = 500;

/// An act of an administrator or of the shop.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditJson {
    /// Ascending.
    pub id: i64,
    /// When.
    pub at: Time,
    /// Who; null for the command line and the shop.
    pub actor_id: Option<i64>,
    /// His name then.
    pub actor_name: String,
    /// E.g. `sale.plan`.
    pub action: String,
    /// E.g. `sale 7`.
    pub target: String,
    /// What was asked for; of commands to actors also the selector and each node's answer.
    #[schema(value_type = Object)]
    pub detail: Value,
    /// `ok` or why not.
    pub result: String,
    /// The node that was asked.
    pub node: String,
    /// Of the request, where traces are exported.
    pub trace_id: String,
}

impl From<AuditRecord> for AuditJson {
    fn from(record: AuditRecord) -> Self {
        let entry = record.entry;
        Self {
            id: record.id,
            at: Time(record.at_ms),
            actor_id: entry.actor.map(|actor| actor.0),
            actor_name: entry.actor_name,
            action: entry.action,
            target: entry.target,
            detail: entry.detail,
            result: entry.result,
            node: entry.node,
            trace_id: entry.trace_id,
        }
    }
}

/// Which acts.
#[derive(Debug)]
pub struct WhichActs {
    page: PageQuery,
    filter: AuditFilter,
}

fn filter(fields: &mut Fields) -> AuditFilter {
    AuditFilter {
        action: fields.text_if("action", 1..=50),
        actor: fields.whole_if("actor_id", 1..=i64::MAX).map(BuyerId),
        target: fields.text_if("target", 1..=100),
        from_ms: fields.time_if("from"),
        to_ms: fields.time_if("to"),
        failures: fields.flag_if("failures").unwrap_or(false),
    }
}

impl FromFields for WhichActs {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { page: PageQuery::read(fields), filter: filter(fields) }
    }
}

/// Which acts, and how they are written.
#[derive(Debug)]
pub struct Export {
    filter: AuditFilter,
    format: ExportFormat,
}

impl FromFields for Export {
    const CODE: Code = Code::BAD_REQUEST;

    fn from_fields(fields: &mut Fields) -> Self {
        let format = match fields.text_if("format", 1..=10).as_deref() {
            None | Some("jsonl") => ExportFormat::JsonLines,
            Some("csv") => ExportFormat::Csv,
            Some(_) => {
                fields.refuse("format", Problem::NotOneOf("jsonl, csv"));
                ExportFormat::JsonLines
            }
        };
        Self { filter: filter(fields), format }
    }
}

/// Who did what, newest first. `action` may end in `*`.
#[utoipa::path(get, path = "/api/admin/audit-log", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("action" = Option<String>, Query),
        ("actor_id" = Option<i64>, Query), ("target" = Option<String>, Query), ("from" = Option<String>, Query),
        ("to" = Option<String>, Query), ("failures" = Option<bool>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<AuditJson>>)))]
pub async fn search_acts(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(wanted): Query<WhichActs>,
) -> ApiResult<PageOf<AuditJson>> {
    let page = Page::new(wanted.page.page, wanted.page.page_size);
    let (records, total) = audit::list(&state.db, page, &wanted.filter).await?;
    ok(wanted.page.of(records.into_iter().map(Into::into).collect(), total))
}

/// The same at the path of earlier releases.
#[utoipa::path(get, path = "/api/admin/audit", tag = "admin", security(("bearer" = [])),
    params(("page" = Option<u64>, Query), ("page_size" = Option<u64>, Query), ("action" = Option<String>, Query)),
    responses((status = 200, body = EnvelopeOf<PageOf<AuditJson>>)))]
pub async fn list_acts(
    state: web::Data<AppState>,
    admin: Admin,
    wanted: Query<WhichActs>,
) -> ApiResult<PageOf<AuditJson>> {
    search_acts(state, admin, wanted).await
}

/// All acts that fit, oldest first: one JSON object a line, or CSV with a header line.
#[utoipa::path(get, path = "/api/admin/audit-log/export", tag = "admin", security(("bearer" = [])),
    params(("format" = Option<String>, Query, description = "jsonl (the default) or csv"),
        ("action" = Option<String>, Query), ("actor_id" = Option<i64>, Query), ("target" = Option<String>, Query),
        ("from" = Option<String>, Query), ("to" = Option<String>, Query), ("failures" = Option<bool>, Query)),
    responses((status = 200, description = "application/x-ndjson or text/csv")))]
pub async fn export_acts(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    Query(Export { filter, format }): Query<Export>,
) -> Result<HttpResponse, ApiError> {
    let detail = serde_json::json!({"format": format.suffix()});
    state.record(&admin, "audit_log.export", "audit log".to_owned(), detail).await?;
    let reading = Reading { db: state.db.clone(), filter, format, after_id: 0, is_begun: false };
    let lines = stream::try_unfold(reading, |reading| async move {
        let read = reading.next().await;
        read.map_err(|error| {
            tracing::warn!(%error, "export of the audit log broke off");
            actix_web::error::ErrorServiceUnavailable("the audit log cannot be read now")
        })
    });
    let disposition = format!("attachment; filename=\"audit-log.{}\"", format.suffix());
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, format.content_type())).insert_header((CONTENT_DISPOSITION, disposition));
    Ok(response.streaming(lines))
}

/// How far an export is.
struct Reading {
    db: Db,
    filter: AuditFilter,
    format: ExportFormat,
    after_id: i64,
    is_begun: bool,
}

impl Reading {
    /// The next portion as text; `None` after the last.
    async fn next(mut self) -> Result<Option<(web::Bytes, Self)>, crate::persistence::StoreError> {
        let portion = audit::portion(&self.db, &self.filter, self.after_id, PORTION).await?;
        let mut text = if self.is_begun { String::new() } else { self.format.header() };
        let Some(last) = portion.last() else {
            let is_first = !std::mem::replace(&mut self.is_begun, true);
            return Ok((is_first && !text.is_empty()).then(|| (web::Bytes::from(text), self)));
        };
        self.after_id = last.id;
        self.is_begun = true;
        portion.iter().for_each(|record| text.push_str(&self.format.line(record)));
        Ok(Some((web::Bytes::from(text), self)))
    }
}
