//! The figures that have a goal as bars against it, drawn as SVG on a scale of doublings.

use std::fmt::Write as _;

use super::report::{Better, Row, figure};

const ROW_HEIGHT: usize = 30;
const LABELS: f64 = 430.0;
const BARS: f64 = 400.0;
const WIDTH: f64 = 960.0;
/// From a sixteenth of the goal to eight times.
const DOUBLINGS_BELOW: f64 = 4.0;
const DOUBLINGS: f64 = 7.0;

/// The chart. A bar past the line in the middle has reached its goal; with costs, less is further.
pub fn svg(rows: &[Row]) -> String {
    let rows: Vec<(&Row, f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((row, row.median()?, row.goal?)))
        .filter(|(_, _, goal)| *goal > 0.0)
        .collect();
    let height = (rows.len() + 2) * ROW_HEIGHT;
    let goal_at = LABELS + BARS * DOUBLINGS_BELOW / DOUBLINGS;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{goal_at}\" y=\"20\" text-anchor=\"middle\" fill=\"#444\">goal</text>\n"
    );
    for (place, (row, median, goal)) in rows.iter().enumerate() {
        let ratio = if row.better == Better::Higher { median / goal } else { goal / median.max(goal / 1_000.0) };
        let doublings = (ratio.max(f64::MIN_POSITIVE).log2() + DOUBLINGS_BELOW).clamp(0.05, DOUBLINGS);
        let (y, length) = ((place + 1) * ROW_HEIGHT, BARS * doublings / DOUBLINGS);
        let colour = if row.is_reached() == Some(true) { "#2f8f5b" } else { "#c9773b" };
        let name = row.name.replace('&', "&amp;").replace('<', "&lt;");
        let (text_y, bound) = (y + 19, if row.better == Better::Higher { "≥" } else { "≤" });
        // writing to a String does not fail
        let _ = writeln!(
            svg,
            "<text x=\"{:.0}\" y=\"{text_y}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LABELS}\" y=\"{}\" width=\"{length:.1}\" height=\"20\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"{text_y}\">{} ({bound} {})</text>",
            LABELS - 8.0,
            y + 4,
            LABELS + BARS + 8.0,
            figure(*median),
            figure(*goal)
        );
    }
    let bottom = height - ROW_HEIGHT / 2;
    let _ = writeln!(svg, "<path d=\"M{goal_at} 26V{bottom}\" stroke=\"#444\" stroke-dasharray=\"4 3\"/>\n</svg>");
    svg
}
