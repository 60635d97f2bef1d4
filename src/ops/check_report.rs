//! `rushmall check`: runs the checker on this node's database and prints what it found.

use super::check::{CheckOptions, CheckReport, GRACE_MS, check, repair};
use super::cli::CheckArgs;
use super::{OpsError, output, settings};
use crate::clock::Clock;
use crate::config::Setup;
use crate::persistence::{Db, open_bare_ledger};

/// Checks a running or stopped shop; writes only to repair, when told to.
///
/// # Errors
/// [`OpsError::Verdict`] if an invariant is broken; [`OpsError::Store`], [`OpsError::Usage`] if there is no database.
pub async fn run(args: &CheckArgs) -> Result<(), OpsError> {
    let setup = settings::for_reading(&args.node)?;
    let db = settings::open_existing(&setup).await?;
    let checked = check_and_repair(&setup, &db, args.repair).await;
    db.close().await;
    let report = checked?;
    if args.json {
        output::line(serde_json::to_string(&report).map_err(|error| OpsError::Internal(error.to_string()))?);
    } else {
        output::line(&report);
    }
    if report.is_sound() { Ok(()) } else { Err(OpsError::Verdict("an invariant is broken".to_owned())) }
}

async fn check_and_repair(setup: &Setup, db: &Db, repairs: bool) -> Result<CheckReport, OpsError> {
    let ledger = open_bare_ledger(&setup.settings, db).await?;
    let now_ms = Clock::default().now_ms();
    let options = CheckOptions { now_ms, grace_ms: GRACE_MS };
    let report = check(db, &*ledger, options).await?;
    if !repairs || report.wrong_accounts.is_empty() {
        return Ok(report);
    }
    let repaired = repair(db, &*ledger, &report, now_ms).await?;
    tracing::warn!(accounts = repaired, "accounts of the ledger rebuilt");
    Ok(check(db, &*ledger, options).await?)
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
        let args = CheckArgs { node: node.clone(), json: true, repair: false };
        assert_eq!(run(&args).await.unwrap_err().exit_code(), 2);
        seed::run(&node).await.unwrap();
        run(&args).await.unwrap();
        run(&CheckArgs { node, json: false, repair: true }).await.unwrap();
    }
}
