//! `rushmall audit`: verifies the transparency log of payments and refunds against the journals and the signed heads, and
//! prints the latest head.

mod heads;
mod orders;
mod report;
#[cfg(test)]
mod tests;

use super::cli::{AuditVerifyArgs, NodeArgs};
use super::{OpsError, output, settings};
use crate::config::Setup;
use crate::persistence::{Db, StoreError, money_log};
use crate::transparency::note::NOTE_BYTES_MAX;
use crate::transparency::{Checkpoint, HeadKey, HeadSigner, key_file};

pub use report::AuditReport;

/// `rushmall audit verify`; writes nothing.
///
/// # Errors
/// [`OpsError::Verdict`] if anything differs; [`OpsError::Usage`] for a head or key that is none; [`OpsError::Store`].
pub async fn verify(args: &AuditVerifyArgs) -> Result<(), OpsError> {
    let setup = settings::for_reading(&args.node)?;
    let key = match &args.key {
        Some(key) => key.parse().map_err(|error| OpsError::Usage(format!("--key: {error}")))?,
        None => own_key(&setup)?,
    };
    let saved = args.head.as_deref().map(|path| saved_head(path, &key)).transpose()?;
    let db = settings::open_existing(&setup).await?;
    let report = audit(&db, &key, saved.as_ref()).await;
    db.close().await;
    let report = report?;
    if args.json {
        output::line(serde_json::to_string(&report).map_err(|error| OpsError::Internal(error.to_string()))?);
    } else {
        output::line(&report);
    }
    if report.is_sound() { Ok(()) } else { Err(OpsError::Verdict("the money log does not hold".to_owned())) }
}

/// `rushmall audit head`.
///
/// # Errors
/// [`OpsError::Verdict`] if no head was signed yet; [`OpsError::Store`].
pub async fn head(args: &NodeArgs) -> Result<(), OpsError> {
    let setup = settings::for_reading(args)?;
    let db = settings::open_existing(&setup).await?;
    let head = money_log::latest_head(&db).await;
    db.close().await;
    let head = head?.ok_or_else(|| OpsError::Verdict("no head has been signed yet".to_owned()))?;
    output::line(head.note.trim_end_matches('\n')); // the line ends it
    Ok(())
}

fn own_key(setup: &Setup) -> Result<HeadKey, OpsError> {
    let path = setup.settings.audit_key_file(&setup.data_dir);
    let action = || format!("read the key of the heads, {} (or give --key)", path.display());
    let secret = key_file::read(&path).map_err(|source| OpsError::Io { action: action(), source })?;
    let signer = HeadSigner::new(&setup.settings.audit.origin, &secret);
    Ok(signer.map_err(|error| OpsError::Usage(format!("audit.origin: {error}")))?.public().clone())
}

fn saved_head(path: &std::path::Path, key: &HeadKey) -> Result<Checkpoint, OpsError> {
    let failed = |source| OpsError::Io { action: format!("read the head in {}", path.display()), source };
    if path.metadata().map_err(failed)?.len() > NOTE_BYTES_MAX as u64 {
        return Err(OpsError::Usage(format!("{} is no head: too long", path.display())));
    }
    let note = std::fs::read_to_string(path).map_err(failed)?;
    key.head(&note).map_err(|error| OpsError::Usage(format!("{} is no head of this log: {error}", path.display())))
}

/// Verifies everything in one snapshot of the database: journals against leaves, leaves against heads.
///
/// # Errors
/// [`StoreError`] if the database cannot be read; what is wrong in it is in the report.
pub async fn audit(db: &Db, key: &HeadKey, saved: Option<&Checkpoint>) -> Result<AuditReport, StoreError> {
    const OPERATION: &str = "auditing the money log";
    let tx = db.snapshot(OPERATION).await?;
    let mut report = AuditReport::default();
    orders::verify(&tx, &mut report).await?;
    heads::verify(&tx, &mut report, key, saved).await?;
    tx.commit().await.map_err(StoreError::during(OPERATION))?;
    Ok(report)
}
