//! Rows with their verdicts: figures from readings, the table, JSON lines, sizes.

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};

use super::{
    rounds::{Figures, Key, Reading},
    suites::{Baseline, Conversion, Count, Figure, Row, Suite, Target},
};

/// One row of the result, as it stands in the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Verdict {
    pub(super) suite: String,
    pub(super) row: String,
    /// None if the contender was skipped.
    pub(super) ours: Option<f64>,
    pub(super) unit: String,
    pub(super) against: Option<String>,
    pub(super) baseline: Option<f64>,
    pub(super) ratio: Option<f64>,
    pub(super) target: String,
    pub(super) met: Option<bool>,
}

/// Every row with what it reached.
pub(super) fn verdicts(suite: Suite, rows: &[Row], figures: &Figures) -> Result<Vec<Verdict>> {
    rows.iter().map(|row| verdict(suite, row, figures).context(row.name)).collect()
}

fn verdict(suite: Suite, row: &Row, figures: &Figures) -> Result<Verdict> {
    let (ours, unit) = value(&row.ours, figures)?.unzip();
    let (mut baseline, mut unit) = (None, unit);
    for figure in row.baseline.iter().flat_map(Baseline::figures) {
        let Some((value, unit_of)) = value(&figure, figures)? else { continue };
        unit.get_or_insert(unit_of);
        baseline = Some(baseline.map_or(value, |better: f64| better.min(value)));
    }
    let ratio = ours.zip(baseline).map(|(ours, baseline)| ours / baseline);
    Ok(Verdict {
        suite: suite.to_string(),
        row: row.name.to_owned(),
        ours,
        unit: unit.unwrap_or_else(|| "-".to_owned()),
        against: row.baseline.as_ref().map(|baseline| baseline.against.to_owned()),
        baseline,
        ratio,
        target: row.target.to_string(),
        met: ours.and_then(|ours| row.target.is_met(ours, ratio)),
    })
}

/// The value of a figure and its unit; none if its contender did not run.
fn value(figure: &Figure, figures: &Figures) -> Result<Option<(f64, String)>> {
    let Some(reading) = figures.get(&Key::from(figure.contender)) else { return Ok(None) };
    let value = match figure.conversion {
        Conversion::Plain => (reading.value, reading.unit.clone()),
        Conversion::NanosPerElement(count) => {
            let elements = resolve(count, reading.elements).context("no count of elements")?;
            (reading.value / elements, "ns/element".to_owned())
        }
        Conversion::MegabytesPerSecond(count) => {
            let bytes = resolve(count, reading.bytes).context("no count of bytes")?;
            // A byte per nanosecond is 1000 megabytes per second.
            (bytes / reading.value * 1000.0, "MB/s".to_owned())
        }
    };
    Ok(Some(value))
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits of a count")]
fn resolve(count: Count, recorded: Option<u64>) -> Option<f64> {
    match count {
        Count::Recorded => recorded.map(|count| count as f64),
        Count::Fixed(count) => Some(count as f64),
    }
}

/// The table for people; with `earlier` rows, the change since then.
pub(super) fn table(verdicts: &[Verdict], earlier: &[Verdict]) -> Table {
    let mut header =
        vec!["row", "ours", "unit", "against", "baseline", "ratio", "target", "verdict"];
    if !earlier.is_empty() {
        header.push("change");
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    for verdict in verdicts {
        let mut cells = cells(verdict);
        if !earlier.is_empty() {
            cells.push(change(verdict, earlier));
        }
        table.add_row(cells);
    }
    table
}

fn cells(verdict: &Verdict) -> Vec<String> {
    let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    let met = match verdict.met {
        Some(true) => "met",
        Some(false) => "missed",
        None if verdict.ours.is_none() => "skipped",
        None if verdict.target == Target::Reported.to_string() => "-",
        None => "not compared",
    };
    vec![
        verdict.row.clone(),
        optional(verdict.ours),
        verdict.unit.clone(),
        verdict.against.clone().unwrap_or_else(|| "-".to_owned()),
        optional(verdict.baseline),
        optional(verdict.ratio),
        verdict.target.clone(),
        met.to_owned(),
    ]
}

/// How much ours moved since the earlier run of the same row in the same unit.
fn change(verdict: &Verdict, earlier: &[Verdict]) -> String {
    let before = earlier.iter().find(|e| e.row == verdict.row && e.unit == verdict.unit);
    before.and_then(|before| verdict.ours.zip(before.ours)).map_or_else(
        || "-".to_owned(),
        |(ours, before)| format!("{:+.1} %", (ours / before - 1.0) * 100.0),
    )
}

/// Three digits that matter, and never an exponent.
fn number(value: f64) -> String {
    match value.abs() {
        size if 100.0 <= size => format!("{value:.0}"),
        size if 10.0 <= size => format!("{value:.1}"),
        size if 1.0 <= size => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// How much each contender had to do, and what else the plain program told.
pub(super) fn sizes(rows: &[Row], figures: &Figures) -> String {
    let in_rows: Vec<Key> = rows.iter().flat_map(Row::contenders).map(Key::from).collect();
    let mut lines = Vec::new();
    for (key, reading) in figures {
        let (Key::Own(name) | Key::Peer(name) | Key::Measured(name) | Key::Program(name)) = key;
        let Reading { value, unit, elements, bytes } = reading;
        let mut parts = Vec::new();
        parts.extend(elements.map(|count| format!("{count} elements")));
        parts.extend(bytes.map(|count| format!("{count} bytes")));
        if !in_rows.contains(key) {
            parts.push(format!("{} {unit}", number(*value)));
        }
        if !parts.is_empty() {
            lines.push(format!("{name}: {}\n", parts.join(", ")));
        }
    }
    lines.concat()
}

/// One JSON object per row and line.
pub(super) fn json_lines(verdicts: &[Verdict]) -> Result<String> {
    let mut text = String::new();
    for verdict in verdicts {
        text.push_str(&serde_json::to_string(verdict)?);
        text.push('\n');
    }
    Ok(text)
}

/// The inverse of [`json_lines`].
pub(super) fn parse_lines(text: &str) -> Result<Vec<Verdict>> {
    text.lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
}

#[cfg(test)]
mod tests;
