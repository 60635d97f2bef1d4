//! The audit log as text: JSON lines, or CSV by RFC 4180 whose cells no spreadsheet takes for a formula.

use serde_json::json;

use super::AuditRecord;

/// How entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a line.
    JsonLines,
    /// A header line, then one line an entry.
    Csv,
}

const COLUMNS: [&str; 10] =
    ["id", "at", "actor_id", "actor_name", "action", "target", "detail", "result", "node", "trace_id"];

impl ExportFormat {
    /// Suffix of a file.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
        }
    }

    /// Media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// What stands before the first entry.
    #[must_use]
    pub fn header(self) -> String {
        match self {
            Self::JsonLines => String::new(),
            Self::Csv => format!("{}\r\n", COLUMNS.join(",")),
        }
    }

    /// One entry with its end of line.
    #[must_use]
    pub fn line(self, record: &AuditRecord) -> String {
        let entry = &record.entry;
        let at = chrono::DateTime::from_timestamp_millis(record.at_ms).map(|at| at.to_rfc3339()).unwrap_or_default();
        let actor = entry.actor.map(|actor| actor.0);
        match self {
            Self::JsonLines => {
                let line = json!({
                    "id": record.id, "at": at, "actor_id": actor, "actor_name": entry.actor_name,
                    "action": entry.action, "target": entry.target, "detail": entry.detail, "result": entry.result,
                    "node": entry.node, "trace_id": entry.trace_id,
                });
                format!("{line}\n")
            }
            Self::Csv => {
                let cells = [
                    record.id.to_string(),
                    at,
                    actor.map(|actor| actor.to_string()).unwrap_or_default(),
                    cell(&entry.actor_name),
                    cell(&entry.action),
                    cell(&entry.target),
                    cell(&entry.detail.to_string()),
                    cell(&entry.result),
                    cell(&entry.node),
                    cell(&entry.trace_id),
                ];
                format!("{}\r\n", cells.join(","))
            }
        }
    }
}

/// A cell of CSV. What a spreadsheet would run as a formula gets an apostrophe in front.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BuyerId;
    use crate::persistence::audit::AuditEntry;

    fn record() -> AuditRecord {
        let entry = AuditEntry {
            actor: Some(BuyerId(7)),
            actor_name: "=1+1".to_owned(),
            action: "actor.pause".to_owned(),
            target: "a \"b\", c".to_owned(),
            detail: json!({"key": "5"}),
            result: "ok".to_owned(),
            node: "node-0".to_owned(),
            trace_id: String::new(),
        };
        AuditRecord { id: 3, at_ms: 0, entry }
    }

    #[test]
    fn csv_is_quoted_and_holds_no_formula() {
        assert_eq!(
            ExportFormat::Csv.line(&record()),
            "3,1970-01-01T00:00:00+00:00,7,'=1+1,actor.pause,\"a \"\"b\"\", c\",\"{\"\"key\"\":\"\"5\"\"}\",ok,node-0,\r\n"
        );
        assert_eq!(ExportFormat::Csv.header().trim_end().split(',').count(), COLUMNS.len());
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let line = ExportFormat::JsonLines.line(&record());
        let read: serde_json::Value = serde_json::from_str(line.trim_end()).unwrap();
        assert_eq!(
            (line.matches('\n').count(), &read["actor_name"], &read["detail"]["key"]),
            (1, &json!("=1+1"), &json!("5"))
        );
    }
}
