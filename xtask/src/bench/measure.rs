//! The plain program `measure` of benches/own: quantities that are not times of criterion.
//!
//! It prints JSON lines, `{"name":…,"value":…,"unit":…}`, one or several per run, as the programs
//! of benches/peers do. What it leaves out it names in a line, `skipped: NAME: REASON`.

use anyhow::{Context, Result};
use serde::Deserialize;

/// One line of the program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Measurement {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: String,
}

/// The measurements among the lines; a line that opens no object is talk.
pub(super) fn parse(output: &str) -> Result<Vec<Measurement>> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// Whether the lines say that `name` is left out.
pub(super) fn is_skipped(output: &str, name: &str) -> bool {
    let skipped = output.lines().filter_map(|line| line.strip_prefix("skipped: "));
    skipped.filter_map(|line| line.split_once(": ")).any(|(left_out, _)| left_out == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let output = "building\n{\"name\":\"a\",\"value\":0.5,\"unit\":\"share\"}\n\
                      {\"name\":\"b\",\"value\":3,\"unit\":\"bytes\"}\n";
        let expected = [("a", 0.5, "share"), ("b", 3.0, "bytes")]
            .map(|(name, value, unit)| Measurement { name: name.into(), value, unit: unit.into() });
        assert_eq!(parse(output).unwrap(), expected);
        assert_eq!(parse("").unwrap(), []);
        assert!(parse("{\"name\":\"a\"}").is_err());
    }

    #[test]
    fn what_is_left_out_is_named() {
        let output = "skipped: a/b: not plugged in\nskipped: c\n";
        let skipped = ["a/b", "a", "c"].map(|name| is_skipped(output, name));
        assert_eq!(skipped, [true, false, false]);
    }
}
