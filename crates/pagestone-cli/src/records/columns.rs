//! The columns that show a record: fields, or its bytes in hexadecimal.

use pagestone_storage::{Field, Kind, Value};

use crate::{
    args::{ColumnArgs, FileArgs},
    exit::Usage,
    output::{Align, Cell, Format, hex},
};

/// Bytes of a record that people are shown of.
const SHOWN_MAX: usize = 64;

/// What is shown of a record.
#[derive(Debug)]
pub(super) struct Columns {
    fields: Vec<Field>,
    format: Format,
}

impl Columns {
    /// The columns asked for, each of which lies inside a record.
    pub(super) fn new(args: &ColumnArgs, file: &FileArgs, format: Format) -> anyhow::Result<Self> {
        let mut fields = Vec::with_capacity(args.fields.len());
        for &field in &args.fields {
            check(field, file)?;
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        Ok(Self { fields, format })
    }

    /// Titles, behind those in `before`.
    pub(super) fn titles(&self, before: &[(&str, Align)]) -> Vec<(String, Align)> {
        let mut titles: Vec<(String, Align)> =
            before.iter().map(|&(title, align)| (title.to_owned(), align)).collect();
        titles.extend(self.fields.iter().map(|field| (field.to_string(), align(field.kind()))));
        if self.fields.is_empty() {
            titles.push(("hex".to_owned(), Align::Left));
        }
        titles
    }

    /// Adds a record's cells to a row; no record has empty ones.
    pub(super) fn put(&self, record: Option<&[u8]>, row: &mut Vec<Cell>) -> anyhow::Result<()> {
        let Some(record) = record else {
            row.extend((0..self.fields.len().max(1)).map(|_| Cell::Absent));
            return Ok(());
        };
        if self.fields.is_empty() {
            row.push(Cell::Text(self.hex(record)));
        }
        for &field in &self.fields {
            let bytes = &record[field.offset() as usize..][..field.size() as usize];
            row.push(cell(field, field.decode(bytes)?));
        }
        Ok(())
    }

    fn hex(&self, record: &[u8]) -> String {
        if self.format != Format::People {
            return hex(record);
        }
        let (shown, rest) = record.split_at(record.len().min(SHOWN_MAX));
        let words: Vec<String> = shown.chunks(8).map(hex).collect();
        let text = words.join(" ");
        if rest.is_empty() { text } else { format!("{text} and {} bytes", rest.len()) }
    }
}

/// Refuses a field that does not lie inside a record.
pub(super) fn check(field: Field, file: &FileArgs) -> anyhow::Result<()> {
    let end = u64::from(field.offset()) + u64::from(field.size());
    if 0 < field.size() && end <= file.record as u64 {
        return Ok(());
    }
    let size = file.record;
    Err(Usage(format!("field {field} does not lie inside a record of {size} bytes")).into())
}

/// A field's value as a cell.
pub(super) fn cell(field: Field, value: Value<'_>) -> Cell {
    match value {
        Value::Unsigned(number) => Cell::Unsigned(number),
        Value::Signed(number) => Cell::Signed(number),
        #[expect(clippy::cast_possible_truncation, reason = "it was widened from an f32")]
        Value::Float(number) if field.kind() == Kind::F32 => Cell::Single(number as f32),
        Value::Float(number) => Cell::Double(number),
        Value::Bytes(bytes) => Cell::Text(hex(&bytes)),
        value => Cell::Text(value.to_string()),
    }
}

fn align(kind: Kind) -> Align {
    if matches!(kind, Kind::Bytes(_)) { Align::Left } else { Align::Right }
}
