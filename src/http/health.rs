//! For those who run the server: is it alive, may it get requests, which build is it, its figures.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::dependencies::{Dependency, probe_all};
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::state::AppState;
use crate::domain::codes::Code;

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

/// This node may get requests.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Readiness {
    /// `database`; with the two fields below what this answer was before there were other dependencies.
    pub name: &'static str,
    /// Of the database: `up`.
    pub status: &'static str,
    /// How long the database took.
    pub latency_us: u64,
    /// What does not answer and is not required: the node sells without it.
    pub degraded: Vec<&'static str>,
    /// What the server needs.
    pub dependencies: Vec<Dependency>,
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
    let dependencies = probe_all(&state).await;
    let all_up = dependencies.iter().all(Dependency::is_up);
    ok(Health {
        status: if all_up { "up" } else { "degraded" },
        node: state.settings.node.name.clone(),
        uptime_ms: u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        dependencies,
    })
}

/// May this node get requests? 503 while it starts, stops or cannot sell: `data.reason` is `stopping` or the name of
/// what is required and away.
#[utoipa::path(get, path = "/ready", tag = "operations",
    responses((status = 200, body = EnvelopeOf<Readiness>), (status = 503, description = "not ready")))]
pub async fn ready(state: web::Data<AppState>) -> ApiResult<Readiness> {
    if state.is_stopping() {
        return Err(ApiError::from(Code::UNAVAILABLE).with("reason", "stopping"));
    }
    readiness(probe_all(&state).await)
}

/// The answer to [`ready`] by what was found.
fn readiness(dependencies: Vec<Dependency>) -> ApiResult<Readiness> {
    let away: Vec<&Dependency> = dependencies.iter().filter(|dependency| !dependency.is_up()).collect();
    let Some(missing) = away.iter().find(|dependency| dependency.required) else {
        let degraded = away.iter().map(|dependency| dependency.name).collect();
        let Some(&Dependency { name, status, latency_us, .. }) = dependencies.first() else {
            return Err(Code::UNAVAILABLE.into());
        };
        return ok(Readiness { name, status, latency_us, degraded, dependencies });
    };
    // Cannot fail: names, numbers and flags.
    let found = serde_json::to_value(&dependencies).unwrap_or_default();
    Err(ApiError::from(Code::UNAVAILABLE).with("reason", missing.name).with("dependencies", found))
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
