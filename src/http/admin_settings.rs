//! The settings in effect, for administrators, and reading them anew: on every node, each with its own result. Values that
//! are secrets are masked before they leave their node; a request can have files read, but names none and sets nothing.

use actix_web::web;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::auth::Admin;
use super::envelope::{ApiResult, EnvelopeOf, ok};
use super::error::ApiError;
use super::extract::{Params, Query};
use super::fields::{Fields, FromFields};
use super::notices::{Act, result_of};
use super::state::AppState;
use crate::actors::control::{ActorAnswer, ActorCommand};
use crate::actors::peers::NodeAnswer;
use crate::actors::settings_lever::{ReloadOutcome, Reloaded};
use crate::domain::codes::Code;

/// Which nodes.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
pub struct WhichNodes {
    /// Of this name; all if absent.
    pub node: Option<String>,
}

impl FromFields for WhichNodes {
    const CODE: Code = Code::BAD_REQUEST;
    const STRICT: bool = true;

    fn from_fields(fields: &mut Fields) -> Self {
        Self { node: fields.text_if("node", 1..=100) }
    }
}

/// The settings of a node: every key with `key`, `value` (as TOML writes it, secrets masked), `origin` (`default`, a file, a
/// variable or a flag) and `live` (a running server takes over another value).
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeSettingsJson {
    /// The node's name.
    pub node: String,
    /// Its slot.
    pub slot: u8,
    /// In the order of the sections.
    #[schema(value_type = Vec<Object>)]
    pub settings: Value,
}

/// The settings in effect.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsList {
    /// By node.
    pub nodes: Vec<NodeSettingsJson>,
    /// Nodes that did not answer in time.
    pub no_answer: Vec<String>,
}

/// What reading the settings anew came to on a node.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReloadedJson {
    /// The node's name.
    pub node: String,
    /// Its slot.
    pub slot: u8,
    /// `applied`, `unchanged`, `refused` (nothing of it was put in effect), or `no_answer` in time.
    pub outcome: &'static str,
    /// Keys that changed: `key`, `from`, `to`, `origin`; secrets masked.
    #[schema(value_type = Vec<Object>)]
    pub changed: Value,
    /// What was built anew from files that the settings name.
    pub renewed: Vec<String>,
    /// Why it was refused.
    pub problems: Vec<String>,
}

impl From<NodeAnswer> for ReloadedJson {
    fn from(NodeAnswer { node, slot, answer }: NodeAnswer) -> Self {
        let Some(ActorAnswer::Reloaded(Reloaded { outcome, changed, renewed, problems })) = answer else {
            let (outcome, changed) = ("no_answer", json!([]));
            return Self { node, slot, outcome, changed, renewed: Vec::new(), problems: Vec::new() };
        };
        Self { node, slot, outcome: outcome.word(), changed: json!(changed), renewed, problems }
    }
}

/// The settings in effect on every node, and what of them may change while it runs.
#[utoipa::path(get, path = "/api/admin/settings", tag = "admin", security(("bearer" = [])),
    params(("node" = Option<String>, Query, description = "only on nodes of this name")),
    responses((status = 200, body = EnvelopeOf<SettingsList>)))]
pub async fn show_settings(
    state: web::Data<AppState>,
    _admin: Admin,
    Query(WhichNodes { node }): Query<WhichNodes>,
) -> ApiResult<SettingsList> {
    let (mut nodes, mut no_answer) = (Vec::new(), Vec::new());
    for NodeAnswer { node, slot, answer } in state.shop.ask_nodes(ActorCommand::Settings { node }).await {
        match answer {
            Some(ActorAnswer::Settings(settings)) => nodes.push(NodeSettingsJson { node, slot, settings }),
            _ => no_answer.push(node),
        }
    }
    if nodes.is_empty() && no_answer.is_empty() {
        return Err(Code::NOT_FOUND.into());
    }
    ok(SettingsList { nodes, no_answer })
}

/// Reads the settings anew on every node, as SIGHUP does on one: what may change live is put in effect; if anything else
/// changed, or anything is wrong, that node keeps what it had and says why.
#[utoipa::path(post, path = "/api/admin/settings/reload", tag = "admin", security(("bearer" = [])),
    request_body = WhichNodes, responses((status = 200, body = EnvelopeOf<Vec<ReloadedJson>>)))]
pub async fn reload_settings(
    state: web::Data<AppState>,
    Admin(admin): Admin,
    Params(WhichNodes { node }): Params<WhichNodes>,
) -> ApiResult<Vec<ReloadedJson>> {
    let target = node.as_ref().map_or_else(|| "settings".to_owned(), |node| format!("settings of {node}"));
    let answers = state.shop.ask_nodes(ActorCommand::ReloadSettings { node: node.clone() }).await;
    if answers.is_empty() {
        let refusal = Err(ApiError::from(Code::NOT_FOUND).with("node", node.unwrap_or_default()));
        let act = Act { action: "settings.reload", target, detail: json!([]), result: result_of(&refusal) };
        state.record_outcome(&admin, &act).await;
        return refusal;
    }
    let results: Vec<ReloadedJson> = answers.into_iter().map(ReloadedJson::from).collect();
    let refused = results.iter().find(|result| result.outcome == ReloadOutcome::Refused.word());
    let silent = results.iter().find(|result| result.outcome == "no_answer");
    let result = match (refused, silent) {
        (Some(refused), _) => format!("refused on {}: {}", refused.node, refused.problems.join("; ")),
        (None, Some(silent)) => format!("no answer from {}", silent.node),
        (None, None) => "ok".to_owned(),
    };
    let act = Act { action: "settings.reload", target, detail: json!(results), result };
    state.record_outcome(&admin, &act).await;
    ok(results)
}
