//! Records in the audit log what administrators look at, which unlike a command must cost them nothing: a look is written
//! beside its answer, and one of the same administrator at the same thing within a minute counts as the same look. So a page
//! that asks every second fills no log, and a database that does not answer delays no look.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use moka::future::Cache;
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::auth::Caller;
use super::state::AppState;
use crate::domain::BuyerId;

const SAME_LOOK: Duration = Duration::from_secs(60);
/// Looks that are remembered; one that was forgotten is recorded once more.
const LOOKS_MAX: u64 = 10_000;
/// Looks that are being written; one more is only logged.
const WRITING_MAX: usize = 16;

/// Looks of the last minute.
#[derive(Debug)]
pub struct Looks {
    recent: Cache<(BuyerId, &'static str, String), ()>,
    writing: Arc<Semaphore>,
}

impl Default for Looks {
    fn default() -> Self {
        let recent = Cache::builder().max_capacity(LOOKS_MAX).time_to_live(SAME_LOOK).build();
        Self { recent, writing: Arc::new(Semaphore::new(WRITING_MAX)) }
    }
}

/// Notes that `admin` looked at `target`; never waits for the database.
pub async fn note(state: &web::Data<AppState>, admin: &Caller, action: &'static str, target: String) {
    let key = (admin.buyer, action, target.clone());
    if !state.looks.recent.entry(key).or_insert(()).await.is_fresh() {
        return;
    }
    let Ok(permit) = Arc::clone(&state.looks.writing).try_acquire_owned() else {
        tracing::warn!(admin = %admin.buyer, action, target, "too many looks at once, this one is not in the audit log");
        return;
    };
    let (state, admin) = (state.clone(), admin.clone());
    let writing = async move {
        state.record_done(&admin, action, target, Value::Null).await;
        drop(permit);
    };
    actix_rt::spawn(writing.in_current_span());
}
