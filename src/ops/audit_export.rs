//! `rushmall admin audit-export`: the audit log from the database to standard output, portion by portion.

use std::io::Write as _;

use super::cli::AuditExportArgs;
use super::{OpsError, settings};
use crate::persistence::audit::{self, AuditFilter, ExportFormat};

const PORTION: u64 = 1_000;

/// Writes every entry that fits, oldest first.
///
/// # Errors
/// [`OpsError::Usage`] for a time that cannot be read, [`OpsError::Store`], [`OpsError::Io`].
pub async fn run(args: &AuditExportArgs) -> Result<(), OpsError> {
    let filter = AuditFilter {
        action: args.action.clone(),
        from_ms: args.from.as_deref().map(read_time).transpose()?,
        to_ms: args.to.as_deref().map(read_time).transpose()?,
        ..AuditFilter::default()
    };
    let format = if args.format == "csv" { ExportFormat::Csv } else { ExportFormat::JsonLines };
    let db = settings::open_existing(&settings::for_reading(&args.node)?).await?;
    let written = write(&db, &filter, format).await;
    db.close().await;
    written
}

async fn write(db: &crate::persistence::Db, filter: &AuditFilter, format: ExportFormat) -> Result<(), OpsError> {
    let (mut text, mut after_id) = (format.header(), 0);
    loop {
        let portion = audit::portion(db, filter, after_id, PORTION).await?;
        portion.iter().for_each(|record| text.push_str(&format.line(record)));
        match std::io::stdout().lock().write_all(text.as_bytes()) {
            // Whoever left (`| head`) has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(|source| OpsError::Io { action: "write the export".to_owned(), source })?,
        }
        text.clear();
        let Some(last) = portion.last() else { return Ok(()) };
        after_id = last.id;
    }
}

fn read_time(text: &str) -> Result<i64, OpsError> {
    let time = chrono::DateTime::parse_from_rfc3339(text);
    time.map(|time| time.timestamp_millis())
        .map_err(|_| OpsError::Usage(format!("\"{text}\": a time like 2026-11-11T00:00:00+08:00 was expected")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(read_time("1970-01-01T08:00:01+08:00").unwrap(), 1_000);
        assert_eq!(read_time("yesterday").unwrap_err().exit_code(), 2);
    }
}
