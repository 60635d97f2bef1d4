//! `rushmall check`: runs the checker on this node's database and prints what it found.

use super::check::{CheckOptions, GRACE_MS, check};
use super::cli::CheckArgs;
use super::{OpsError, output, settings};
use crate::clock::Clock;

/// Checks a running or stopped shop; nothing is written.
///
/// # Errors
/// [`OpsError::Verdict`] if an invariant is broken; [`OpsError::Store`], [`OpsError::Usage`] if there is no database.
pub async fn run(args: &CheckArgs) -> Result<(), OpsError> {
    let db = settings::open_existing(&settings::for_reading(&args.node)?).await?;
    let checked = check(&db, CheckOptions { now_ms: Clock::default().now_ms(), grace_ms: GRACE_MS }).await;
    db.close().await;
    let report = checked?;
    if args.json {
        output::line(serde_json::to_string(&report).map_err(|error| OpsError::Internal(error.to_string()))?);
    } else {
        output::line(&report);
    }
    if report.is_sound() { Ok(()) } else { Err(OpsError::Verdict("an invariant is broken".to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::super::cli::NodeArgs;
    use super::*;
    use crate::ops::seed;

    #[actix_rt::test]
    async fn a_seeded_shop_is_sound_and_no_shop_is_wrong_usage() {
        let dir = tempfile::tempdir().unwrap();
        let node = NodeArgs { data_dir: dir.path().to_owned(), config: None };
        let args = CheckArgs { node: node.clone(), json: true };
        assert_eq!(run(&args).await.unwrap_err().exit_code(), 2);
        seed::run(&node).await.unwrap();
        run(&args).await.unwrap();
        run(&CheckArgs { node, json: false }).await.unwrap();
    }
}
