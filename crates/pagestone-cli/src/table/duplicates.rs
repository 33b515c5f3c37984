//! The lines of an input whose rows have one unique key.

use pagestone_index::{DuplicateKeys, Schema};
use pagestone_storage::Field;

use super::{
    import::Import,
    input::{Input, Row},
};
use crate::output::Output;

/// Lines that are named for a key.
const LINES_MAX: usize = 5;

/// Reads the input once more and tells which lines have the keys that are on several rows.
pub(super) fn tell(
    (mut input, import): (Input, &Import<'_>),
    (schema, keys): (&Schema, &DuplicateKeys),
    out: &mut Output,
) -> anyhow::Result<()> {
    let Some(key) = schema.keys().iter().find(|key| key.name() == keys.key) else { return Ok(()) };
    let mut lines: Vec<Vec<u64>> = vec![Vec::new(); keys.rows.len()];
    let (mut row, mut bytes) = (Row::default(), vec![0; schema.record_size()]);
    while input.next(&mut row)? {
        bytes.fill(0);
        if import.encode(&row, &mut bytes).is_err() {
            continue;
        }
        for (found, lines) in keys.rows.iter().zip(&mut lines) {
            if is_same(key.fields(), &bytes, found) && lines.len() <= LINES_MAX {
                lines.push(row.line);
            }
        }
    }
    let path = input.path().display();
    for lines in lines {
        let listed: Vec<String> = lines.iter().take(LINES_MAX).map(u64::to_string).collect();
        let listed = listed.join(", ");
        let more = if LINES_MAX < lines.len() { ", …" } else { "" };
        match lines.len() {
            0 => {}
            1 => out.finding(format_args!(
                "{path}: line {listed} has the `{}` of a row that was there",
                key.name()
            ))?,
            _ => {
                let key = key.name();
                out.finding(format_args!("{path}: lines {listed}{more} have one `{key}`"))?;
            }
        }
    }
    Ok(())
}

fn is_same(fields: &[Field], one: &[u8], other: &[u8]) -> bool {
    fields.iter().all(|field| {
        let start = field.offset() as usize;
        let place = start..start + field.size() as usize;
        one.get(place.clone()) == other.get(place)
    })
}
