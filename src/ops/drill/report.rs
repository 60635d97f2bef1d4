//! What a drill prints: a table for people, one JSON object for machines.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::figures::{Figures, Latency};
use crate::ops::OpsError;

/// The figures as a table and, below it, the verdict.
pub(super) fn table(figures: &Figures) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(["figure", "value"]);
    for (name, value) in rows(figures) {
        table.add_row([name.to_owned(), value]);
    }
    if let Some(values) = table.column_mut(1) {
        values.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.to_string();
    for note in &figures.notes {
        text.push_str("\nnote: ");
        text.push_str(note);
    }
    text.push_str(if figures.verdict.is_clean() {
        "\nPASSED: every unit and every order is accounted for"
    } else {
        "\nFAILED: see oversold, lost, unaccounted, over limit, unsold"
    });
    text
}

fn rows(figures: &Figures) -> Vec<(&'static str, String)> {
    let Figures { clicks, verdict, latency, accepted_latency, .. } = figures;
    let number = |count: u64| count.to_string();
    vec![
        ("units / buyers", format!("{} / {}", figures.stock, figures.buyers)),
        ("attempted", number(clicks.attempted)),
        ("accepted", number(clicks.accepted)),
        ("sold out", number(clicks.sold_out)),
        ("refused by limits", number(clicks.limited)),
        ("busy", number(clicks.busy)),
        ("refused otherwise", number(clicks.refused)),
        ("errors", number(clicks.errors)),
        ("persisted", number(figures.persisted)),
        ("paid", number(figures.paid)),
        ("cancelled", number(figures.cancelled)),
        ("timed out", number(figures.timed_out)),
        ("pending", number(figures.pending)),
        ("pushed", format!("{} of {}", figures.pushed, figures.pushes_expected)),
        ("clicks per second", per_second(clicks.attempted, figures.clicks_took_s)),
        ("all persisted after", format!("{:.2} s", figures.persisted_after_s)),
        ("p50 / p95 / p99 / max", percentiles(latency)),
        ("… of the accepted", percentiles(accepted_latency)),
        ("oversold", number(verdict.oversold)),
        ("lost", number(verdict.lost)),
        ("unaccounted", number(verdict.unaccounted)),
        ("over limit", number(verdict.over_limit)),
        ("unsold though clicked", number(verdict.unsold)),
    ]
}

fn percentiles(latency: &Latency) -> String {
    let Latency { p50_ms, p95_ms, p99_ms, max_ms } = latency;
    format!("{p50_ms:.1} / {p95_ms:.1} / {p99_ms:.1} / {max_ms:.1} ms")
}

#[expect(clippy::cast_precision_loss, reason = "shown rounded")]
fn per_second(count: u64, seconds: f64) -> String {
    if seconds > 0.0 { format!("{:.0}", count as f64 / seconds) } else { "-".to_owned() }
}

/// The same figures as one JSON object.
pub(super) fn json(figures: &Figures) -> Result<String, OpsError> {
    serde_json::to_string(figures).map_err(|error| OpsError::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Clicks, Verdict};
    use super::*;

    #[test]
    fn table_and_json_carry_the_same_figures_and_verdict() {
        let mut figures = Figures {
            clicks: Clicks { attempted: 9, accepted: 4, ..Clicks::default() },
            notes: vec!["odd".to_owned()],
            ..Figures::default()
        };
        let text = table(&figures);
        assert!(text.contains("PASSED") && text.contains("note: odd"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&json(&figures).unwrap()).unwrap();
        assert_eq!((value["attempted"].as_u64(), value["verdict"]["lost"].as_u64()), (Some(9), Some(0)));
        figures.verdict = Verdict { lost: 1, ..Verdict::default() };
        assert!(table(&figures).contains("FAILED"));
    }
}
