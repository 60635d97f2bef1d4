//! The report of a run as a file, for people (CSV) and machines (JSON): made under another name and moved into place, so
//! that nobody reads half of one.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::AsyncWriteExt as _;

use crate::domain::Money;
use crate::domain::order::RefundState;
use crate::domain::reconciliation::Difference;
use crate::persistence::bill_differences::{self, DifferenceFilter, StoredDifference};
use crate::persistence::bill_runs::{self, BillRun};
use crate::persistence::page::PAGE_SIZE_MAX;
use crate::persistence::{Db, Page};

const COLUMNS: [&str; 11] = [
    "kind",
    "number",
    "order_no",
    "payment_no",
    "gateway_no",
    "ours_fen",
    "theirs_fen",
    "our_state",
    "their_state",
    "state",
    "note",
];

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// One JSON object.
    Json,
    /// Comma-separated, with a header.
    Csv,
}

impl ReportFormat {
    /// By the name of the file: `.csv`, anything else is JSON.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if is_csv { Self::Csv } else { Self::Json }
    }
}

/// One difference, as it stands in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReportLine {
    kind: &'static str,
    number: String,
    order_no: String,
    payment_no: String,
    gateway_no: String,
    ours_fen: Option<i64>,
    theirs_fen: Option<i64>,
    our_state: Option<RefundState>,
    their_state: Option<RefundState>,
    state: &'static str,
    note: String,
}

impl From<&Difference> for ReportLine {
    /// One that was only looked at.
    fn from(difference: &Difference) -> Self {
        Self {
            kind: difference.kind.name(),
            number: difference.number.clone(),
            order_no: difference.order_no().map_or_else(String::new, |order_no| order_no.to_string()),
            payment_no: difference.payment_no.clone(),
            gateway_no: difference.gateway_no.clone(),
            ours_fen: difference.ours.map(Money::fen),
            theirs_fen: difference.theirs.map(Money::fen),
            our_state: difference.our_state,
            their_state: difference.their_state,
            state: "",
            note: String::new(),
        }
    }
}

impl From<&StoredDifference> for ReportLine {
    fn from(stored: &StoredDifference) -> Self {
        Self { state: stored.state.name(), note: stored.note.clone(), ..Self::from(&stored.difference) }
    }
}

impl ReportLine {
    fn csv(&self) -> String {
        let number = |fen: Option<i64>| fen.map_or_else(String::new, |fen| fen.to_string());
        let state = |state: Option<RefundState>| match state {
            None => "",
            Some(RefundState::Processing) => "processing",
            Some(RefundState::Abnormal) => "abnormal",
            Some(RefundState::Closed) => "closed",
            Some(RefundState::Succeeded) => "succeeded",
        };
        let (ours, theirs) = (number(self.ours_fen), number(self.theirs_fen));
        let fields = [
            self.kind,
            &self.number,
            &self.order_no,
            &self.payment_no,
            &self.gateway_no,
            &ours,
            &theirs,
            state(self.our_state),
            state(self.their_state),
            self.state,
            &self.note,
        ];
        fields.map(quoted).join(",")
    }
}

/// A number of somebody else's may begin like a formula, which a spreadsheet would run.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    let mut text = String::with_capacity(field.len() + 2);
    let _ = write!(text, "\"{guard}{}\"", field.replace('"', "\"\""));
    text
}

/// Writes a report line by line.
#[derive(Debug)]
pub struct ReportWriter {
    format: ReportFormat,
    path: PathBuf,
    part: PathBuf,
    file: File,
    is_first: bool,
}

impl ReportWriter {
    /// Begins the report about `head`, any JSON object.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub async fn begin(path: &Path, head: &serde_json::Value) -> io::Result<Self> {
        let format = ReportFormat::of(path);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", hex::encode(crate::random::bytes::<4>())));
        let part = path.with_file_name(name);
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&part).await?;
        let mut writer = Self { format, path: path.to_owned(), part, file, is_first: true };
        let text = match format {
            ReportFormat::Json => format!("{{\"run\":{head},\"differences\":["),
            // the mark tells spreadsheets that it is UTF-8
            ReportFormat::Csv => format!("\u{feff}{}\r\n", COLUMNS.join(",")),
        };
        writer.file.write_all(text.as_bytes()).await?;
        Ok(writer)
    }

    /// Adds lines.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub async fn add(&mut self, lines: impl IntoIterator<Item = ReportLine>) -> io::Result<()> {
        let mut text = String::new();
        for line in lines {
            match self.format {
                ReportFormat::Csv => text.push_str(&(line.csv() + "\r\n")),
                ReportFormat::Json => {
                    text.push_str(if self.is_first { "\n" } else { ",\n" });
                    text.push_str(&serde_json::to_string(&line).map_err(io::Error::other)?);
                }
            }
            self.is_first = false;
        }
        self.file.write_all(text.as_bytes()).await
    }

    /// Ends the report and moves it into place.
    ///
    /// # Errors
    /// If the file cannot be written or moved.
    pub async fn end(mut self) -> io::Result<()> {
        if self.format == ReportFormat::Json {
            self.file.write_all(b"\n]}\n").await?;
        }
        self.file.sync_all().await?;
        fs::rename(&self.part, &self.path).await
    }
}

/// Writes the report of a run into the directory, in both formats.
pub(super) async fn write_all(db: &Db, dir: &Path, run_id: &str) -> io::Result<()> {
    for extension in ["json", "csv"] {
        write(db, &dir.join(format!("reconciliation-{run_id}.{extension}")), run_id).await?;
    }
    Ok(())
}

/// Writes the report of a run into that file.
async fn write(db: &Db, path: &Path, run_id: &str) -> io::Result<()> {
    let Some(run) = bill_runs::find(db, run_id).await.map_err(io::Error::other)? else { return Ok(()) };
    let mut writer = ReportWriter::begin(path, &head(&run)).await?;
    for page in 1.. {
        let page = Page::new(page, PAGE_SIZE_MAX);
        let listed = bill_differences::list(db, run_id, DifferenceFilter::default(), page).await;
        let (differences, total) = listed.map_err(io::Error::other)?;
        writer.add(differences.iter().map(ReportLine::from)).await?;
        if page.offset() + page.size() >= total {
            break;
        }
    }
    writer.end().await
}

fn head(run: &BillRun) -> serde_json::Value {
    serde_json::json!({
        "id": run.id,
        "channel": bill_runs::channel_name(run.channel),
        "date": run.day,
        "state": run.state.name(),
        "attempts": run.attempts,
        "finished_at_ms": run.finished_at_ms,
        "lines": run.lines,
        "unknown_lines": run.unknown,
    })
}

impl super::Clerk {
    /// Writes the report of a run into a file of the caller's; its name says in which format.
    ///
    /// # Errors
    /// If the database cannot be read or the file not be written.
    pub async fn write_report(&self, run: &BillRun, path: &Path) -> io::Result<()> {
        write(&self.db, path, &run.id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_breaks_neither_its_line_nor_a_spreadsheet() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
        assert_eq!(quoted("01JD_1"), "\"01JD_1\"");
    }
}
