//! What `rushmall actors` shows to people.

use std::collections::HashMap;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde_json::Value;

use crate::clock;

/// Handled messages at the last look, for rates.
#[derive(Debug, Default)]
pub(super) struct Rates {
    handled: HashMap<String, u64>,
    looked_at: Option<Instant>,
}

const COLUMNS: [&str; 12] = [
    "node",
    "kind",
    "key",
    "state",
    "queued",
    "in flight",
    "handled",
    "per second",
    "mean µs",
    "max µs",
    "restarts",
    "last error",
];
/// The first columns are texts.
const TEXT_COLUMNS: usize = 4;
const ERROR_CHARS_MAX: usize = 40;

/// A page of actors with a line above that sums up.
pub(super) fn actors(page: &Value, rates: &mut Rates) -> String {
    let now = clock::monotonic();
    let passed = rates.looked_at.replace(now).map(|before| now.saturating_duration_since(before).as_secs_f64());
    let mut handled_now = HashMap::new();
    let mut table = table(&COLUMNS, TEXT_COLUMNS..COLUMNS.len() - 1);
    let list = page["list"].as_array().map_or(&[][..], Vec::as_slice);
    for actor in list {
        let text = |name: &str| actor[name].as_str().unwrap_or("-").to_owned();
        let number = |name: &str| actor[name].as_u64().unwrap_or(0);
        let name = format!("{} {} {}", text("node"), text("kind"), text("key"));
        let handled = number("handled");
        let rate = match (rates.handled.get(&name), passed) {
            (Some(before), Some(passed)) if passed > 0.0 => per_second(handled.saturating_sub(*before), passed),
            _ => "-".to_owned(),
        };
        handled_now.insert(name, handled);
        let error: String = text("last_error").chars().take(ERROR_CHARS_MAX).collect();
        let numbers = [number("handling_mean_us"), number("handling_max_us"), number("restarts")];
        let mut row = vec![text("node"), text("kind"), text("key"), text("state")];
        row.extend([number("queued"), number("in_flight"), handled].map(|count| count.to_string()));
        row.push(rate);
        row.extend(numbers.map(|count| count.to_string()));
        row.push(error);
        table.add_row(row);
    }
    rates.handled = handled_now;
    let total = page["total"].as_u64().unwrap_or(0);
    let silent = names(&page["no_answer"]);
    let silence = if silent.is_empty() { String::new() } else { format!(", NO ANSWER from {silent}") };
    format!("{} of {total} actors{silence}\n{}", list.len(), table.trim_fmt())
}

#[expect(clippy::cast_precision_loss, reason = "shown rounded")]
fn per_second(count: u64, seconds: f64) -> String {
    format!("{:.0}", count as f64 / seconds)
}

/// One actor on every node where it is.
pub(super) fn inspected(found: &Value) -> String {
    let nodes = found["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = nodes.iter().map(|one| {
        let mut lines = vec![format!("node {}", one["node"].as_str().unwrap_or("-"))];
        let vitals = one["vitals"].as_object().into_iter().flatten();
        lines.extend(vitals.map(|(name, value)| format!("  {name}: {value}")));
        match one["note"].as_str() {
            Some(note) => lines.push(format!("  inside: {note}")),
            None => {
                let inside = one["state_data"].as_object().into_iter().flatten();
                lines.extend(inside.map(|(name, value)| format!("  inside.{name}: {value}")));
            }
        }
        lines.extend(recent(&one["recent"]));
        lines.join("\n")
    });
    let mut text = shown.collect::<Vec<_>>().join("\n");
    let silent = names(&found["no_answer"]);
    if !silent.is_empty() {
        text.push_str(&format!("\nNO ANSWER from {silent}"));
    }
    text
}

/// Its last messages, a line each; a node of an earlier release tells none.
fn recent(messages: &Value) -> Vec<String> {
    let messages = messages.as_array().map_or(&[][..], Vec::as_slice);
    let line = |one: &Value| {
        let at = one["at_ms"].as_i64().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
        let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (message, outcome) = (one["message"].as_str().unwrap_or("-"), one["outcome"].as_str().unwrap_or("-"));
        let took = one["took_us"].as_u64().map_or_else(|| "never begun".to_owned(), |us| format!("took {us} µs"));
        format!("    {at} {message}: {outcome}, waited {} µs, {took}", one["waited_us"].as_u64().unwrap_or(0))
    };
    let head = (!messages.is_empty()).then(|| "  last messages:".to_owned());
    head.into_iter().chain(messages.iter().map(line)).collect()
}

/// What an order reached on each node.
pub(super) fn results(results: &Value) -> String {
    let mut table = table(&["node", "slot", "reached", "failed", "error"], 1..4);
    for node in results.as_array().into_iter().flatten() {
        let shown = |name: &str| match &node[name] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.add_row(["node", "slot", "reached", "failed", "error"].map(shown));
    }
    table.trim_fmt()
}

fn table(columns: &[&str], numbers: std::ops::Range<usize>) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(columns.iter().copied());
    for index in numbers {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn names(list: &Value) -> String {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_names_silent_nodes_and_shows_rates_from_the_second_look_on() {
        let page = |handled: u64| {
            json!({
                "list": [{"node": "a", "kind": "inventory", "key": "5", "state": "running", "handled": handled}],
                "total": 7, "no_answer": ["b"],
            })
        };
        let mut rates = Rates::default();
        let first = actors(&page(10), &mut rates);
        assert!(first.starts_with("1 of 7 actors, NO ANSWER from b\n"), "{first}");
        assert!(first.contains("inventory") && !first.contains("inf"), "{first}");
        rates.looked_at = Some(clock::monotonic() - std::time::Duration::from_secs(2));
        let second = actors(&page(30), &mut rates);
        assert!(second.lines().last().unwrap().contains(" 10 "), "{second}");
    }

    #[test]
    fn results_show_who_was_silent() {
        let text = results(
            &json!([{"node": "a", "slot": 0, "reached": 3}, {"node": "b", "slot": 1, "reached": 0, "error": "no_answer"}]),
        );
        assert!(text.contains("no_answer") && text.lines().count() == 3, "{text}");
    }
}
