//! For those who run the server: is it alive, may it get requests, which build is it, its figures.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, web};
use sea_orm::ConnectionTrait;
use serde::Serialize;

use super::envelope::{ApiResult, Envelope, EnvelopeOf, ok};
use super::error::ApiError;
use super::state::AppState;
use crate::clock;
use crate::domain::codes::Code;
use crate::persistence::Db;

/// Longest that a dependency may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Liveness with each dependency.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `up`, or `degraded` if a dependency does not answer.
    pub status: &'static str,
    /// This node's name.
    pub node: String,
    /// Since the start.
    pub uptime_ms: u64,
    /// What the server needs.
    pub dependencies: Vec<Dependency>,
}

/// One thing that the server needs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Dependency {
    /// `database`.
    pub name: &'static str,
    /// `up` or `down`.
    pub status: &'static str,
    /// How long the probe took.
    pub latency_us: u64,
}

/// Which build it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Version {
    /// Of the program.
    pub version: &'static str,
    /// `debug` or `release`.
    pub profile: &'static str,
    /// Compiled with crash points for tests.
    pub failpoints: bool,
}

/// Is the process alive, and what does it see of its dependencies? 200 as long as it can answer.
#[utoipa::path(get, path = "/health", tag = "operations", responses((status = 200, body = EnvelopeOf<Health>)))]
pub async fn health(state: web::Data<AppState>) -> ApiResult<Health> {
    let dependencies = vec![probe(&state.db).await];
    let all_up = dependencies.iter().all(|dependency| dependency.status == "up");
    ok(Health {
        status: if all_up { "up" } else { "degraded" },
        node: state.settings.node.name.clone(),
        uptime_ms: u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        dependencies,
    })
}

/// May this node get requests? 503 while it starts, stops or cannot reach the database.
#[utoipa::path(get, path = "/ready", tag = "operations",
    responses((status = 200, body = EnvelopeOf<Dependency>), (status = 503, description = "not ready")))]
pub async fn ready(state: web::Data<AppState>) -> Result<Envelope<Dependency>, ApiError> {
    if state.is_stopping() {
        return Err(ApiError::from(Code::UNAVAILABLE).with("reason", "stopping"));
    }
    let database = probe(&state.db).await;
    if database.status == "up" {
        ok(database)
    } else {
        Err(ApiError::from(Code::UNAVAILABLE).with("reason", "database"))
    }
}

/// Which build is it?
#[utoipa::path(get, path = "/version", tag = "operations", responses((status = 200, body = EnvelopeOf<Version>)))]
pub async fn version() -> ApiResult<Version> {
    ok(Version {
        version: env!("CARGO_PKG_VERSION"),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        failpoints: cfg!(feature = "failpoints"),
    })
}

/// The figures in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    let text = state.metrics.as_ref().map(metrics_exporter_prometheus::PrometheusHandle::render);
    let mut response = HttpResponse::build(StatusCode::OK).body(text.unwrap_or_default());
    let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

async fn probe(db: &Db) -> Dependency {
    let started = clock::monotonic();
    let answer = tokio::time::timeout(PROBE_TIMEOUT, db.reader().execute_unprepared("SELECT 1")).await;
    let status = if matches!(answer, Ok(Ok(_))) { "up" } else { "down" };
    let latency_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    Dependency { name: "database", status, latency_us }
}
