//! For those who run the server: is it alive, may it get requests, which build is it.

use actix_web::web;
use serde::Serialize;

use super::dependencies::{ActorKind, Dependency, ping_actors, probe_all};
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
    /// Every kind of actors.
    pub actors: Vec<ActorKind>,
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
    /// Every kind of actors.
    pub actors: Vec<ActorKind>,
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
    let (dependencies, actors) = futures::join!(probe_all(&state), ping_actors(&state));
    let all_up = dependencies.iter().all(Dependency::is_up) && actors.iter().all(|kind| kind.status == "up");
    ok(Health {
        status: if all_up { "up" } else { "degraded" },
        node: state.settings.node.name.clone(),
        uptime_ms: u64::try_from(state.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        dependencies,
        actors,
    })
}

/// May this node get requests? 503 while it starts, stops or cannot sell: `data.reason` is `stopping`, `drained`, the name of
/// what is required and away, or `actors` if a kind of them is silent.
#[utoipa::path(get, path = "/ready", tag = "operations",
    responses((status = 200, body = EnvelopeOf<Readiness>), (status = 503, description = "not ready")))]
pub async fn ready(state: web::Data<AppState>) -> ApiResult<Readiness> {
    if state.is_stopping() {
        return Err(ApiError::from(Code::UNAVAILABLE).with("reason", "stopping"));
    }
    if state.shop.controls.is_drained() {
        return Err(ApiError::from(Code::UNAVAILABLE).with("reason", "drained"));
    }
    let (dependencies, actors) = futures::join!(probe_all(&state), ping_actors(&state));
    readiness(dependencies, actors)
}

/// The answer to [`ready`] by what was found.
fn readiness(dependencies: Vec<Dependency>, actors: Vec<ActorKind>) -> ApiResult<Readiness> {
    let away: Vec<&Dependency> = dependencies.iter().filter(|dependency| !dependency.is_up()).collect();
    let Some(missing) = away.iter().find(|dependency| dependency.required) else {
        if actors.iter().any(|kind| kind.status != "up") {
            // Cannot fail: names.
            let found = serde_json::to_value(&actors).unwrap_or_default();
            return Err(ApiError::from(Code::UNAVAILABLE).with("reason", "actors").with("actors", found));
        }
        let degraded = away.iter().map(|dependency| dependency.name).collect();
        let Some(&Dependency { name, status, latency_us, .. }) = dependencies.first() else {
            return Err(Code::UNAVAILABLE.into());
        };
        return ok(Readiness { name, status, latency_us, degraded, dependencies, actors });
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
