//! `pagestone table info`: rows, columns, keys, bytes.

use std::{fs, path::Path};

use anyhow::Context as _;
use pagestone_index::AnyTable;
use serde::Serialize;

use super::{open, schema};
use crate::{
    args::InfoArgs,
    output::{Facts, Format, Output, thousands},
};

#[derive(Serialize)]
struct Described<'t> {
    table: String,
    name: &'t str,
    version: u64,
    rows: u64,
    row_bytes: usize,
    bytes: u64,
    fingerprint: String,
    columns: Vec<Column<'t>>,
    keys: Vec<Key<'t>>,
}

#[derive(Serialize)]
struct Column<'t> {
    name: &'t str,
    kind: String,
    offset: u32,
}

#[derive(Serialize)]
struct Key<'t> {
    name: &'t str,
    order: &'static str,
    columns: Vec<String>,
}

pub(super) fn run(args: &InfoArgs, out: &mut Output) -> anyhow::Result<()> {
    let path = &args.table.table;
    let table = open(path)?;
    if args.schema {
        return out.bytes(schema::text(table.schema()).as_bytes());
    }
    if out.format() == Format::Json {
        return tell_programs(path, &table, out);
    }
    let schema = table.schema();
    let (rows, size) = (thousands(table.len()), thousands(schema.record_size() as u64));
    Facts::new()
        .add("table", path.display())
        .add("name", schema.name())
        .add("version", table.version())
        .add("rows", format!("{rows} of {size} bytes"))
        .add("bytes", thousands(bytes(path)?))
        .add("fingerprint", format!("{:#018x}", schema.fingerprint()))
        .show(out)?;
    out.line("")?;
    schema::text(schema).lines().try_for_each(|line| out.line(line))?;
    out.took()
}

pub(super) fn tell_programs(path: &Path, table: &AnyTable, out: &mut Output) -> anyhow::Result<()> {
    let schema = table.schema();
    let columns = schema.columns().iter().map(|named| Column {
        name: named.name(),
        kind: schema::kind_text(named.field()),
        offset: named.field().offset(),
    });
    let keys = schema.keys().iter().map(|key| Key {
        name: key.name(),
        order: schema::order_text(key.order()),
        columns: schema::column_names(schema, key),
    });
    out.json(&Described {
        table: path.to_string_lossy().into_owned(),
        name: schema.name(),
        version: table.version(),
        rows: table.len(),
        row_bytes: schema.record_size(),
        bytes: bytes(path)?,
        fingerprint: format!("{:#018x}", schema.fingerprint()),
        columns: columns.collect(),
        keys: keys.collect(),
    })
}

/// Bytes of all files of the directory.
fn bytes(path: &Path) -> anyhow::Result<u64> {
    let list = || format!("list {}", path.display());
    let mut sum = 0;
    for entry in fs::read_dir(path).with_context(list)? {
        let metadata = entry.and_then(|entry| entry.metadata()).with_context(list)?;
        sum += if metadata.is_file() { metadata.len() } else { 0 };
    }
    Ok(sum)
}
