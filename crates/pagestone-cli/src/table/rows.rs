//! `pagestone table get`, `range`, `top` and `export`: rows in the order of a key.

use std::ops::{Bound, Range};

use pagestone_index::{AnyBy, AnyTable};
use pagestone_storage::{Field, Value};

use super::{cells, open, schema};
use crate::{
    args::{ByArgs, ExportRowsArgs, FormatArg, GetRowsArgs, RangeRowsArgs, TopRowsArgs},
    exit::Usage,
    output::{Align, Format, Listing, Output},
};

pub(super) fn get(args: &GetRowsArgs, out: &mut Output) -> anyhow::Result<()> {
    let table = open(&args.by.table.table)?;
    let (by, fields) = key(&table, &args.by.by)?;
    let keys: Vec<Vec<Value<'_>>> =
        args.values.iter().map(|text| values(fields, text)).collect::<Result<_, _>>()?;
    let mut listing = listing(&table, format(&args.by, out));
    let mut absent = Vec::new();
    for (text, key) in args.values.iter().zip(keys) {
        let ranks = by.equal(&key)?;
        if ranks.is_empty() {
            absent.push(text);
        }
        show(&table, by.indexes(ranks), (&mut listing, out))?;
    }
    listing.end(out)?;
    took(&args.by, out)?;
    let (path, key) = (args.by.table.table.display(), &args.by.by);
    absent.iter().try_for_each(|text| out.finding(format_args!("{path}: no row of {key} = {text}")))
}

pub(super) fn range(args: &RangeRowsArgs, out: &mut Output) -> anyhow::Result<()> {
    let table = open(&args.by.table.table)?;
    let (by, fields) = key(&table, &args.by.by)?;
    let mut ranks = ranks(by, fields, &args.range)?;
    if let Some(limit) = args.limit {
        ranks.end = ranks.end.min(ranks.start.saturating_add(limit));
    }
    let mut listing = listing(&table, format(&args.by, out));
    show(&table, by.indexes(ranks), (&mut listing, out))?;
    listing.end(out)?;
    took(&args.by, out)
}

pub(super) fn top(args: &TopRowsArgs, out: &mut Output) -> anyhow::Result<()> {
    let table = open(&args.by.table.table)?;
    let (by, _) = key(&table, &args.by.by)?;
    let mut listing = listing(&table, format(&args.by, out));
    let (count, limit) = (table.len(), args.limit.min(table.len()));
    if args.lowest {
        show(&table, by.indexes(0..limit), (&mut listing, out))?;
    } else {
        show(&table, by.indexes(count - limit..count).rev(), (&mut listing, out))?;
    }
    listing.end(out)?;
    took(&args.by, out)
}

pub(super) fn export(args: &ExportRowsArgs, out: &mut Output) -> anyhow::Result<()> {
    let table = open(&args.table.table)?;
    let is_json = args.format == FormatArg::Json || out.format() == Format::Json;
    let mut listing = listing(&table, if is_json { Format::Json } else { Format::Csv });
    let all = 0..table.len();
    match &args.by {
        Some(by) => {
            let (by, _) = key(&table, by)?;
            show(&table, by.indexes(all), (&mut listing, out))?;
        }
        None => show(&table, all.map(Ok), (&mut listing, out))?,
    }
    listing.end(out)
}

fn format(args: &ByArgs, out: &Output) -> Format {
    if args.csv { Format::Csv } else { out.format() }
}

fn took(args: &ByArgs, out: &mut Output) -> anyhow::Result<()> {
    if args.csv { Ok(()) } else { out.took() }
}

fn listing(table: &AnyTable, format: Format) -> Listing {
    let titles: Vec<(String, Align)> = cells::titles(table, "").collect();
    Listing::new(format, titles)
}

fn show(
    table: &AnyTable,
    indexes: impl Iterator<Item = pagestone_index::Result<u64>>,
    (listing, out): (&mut Listing, &mut Output),
) -> anyhow::Result<()> {
    for index in indexes {
        let mut row = Vec::with_capacity(table.schema().columns().len());
        cells::row(table, index?, &mut row)?;
        listing.row(out, row)?;
    }
    Ok(())
}

/// The key of this name, and its fields.
pub(super) fn key<'t>(table: &'t AnyTable, name: &str) -> anyhow::Result<(AnyBy<'t>, &'t [Field])> {
    let by = table.by(name)?;
    let number = table.schema().key(name);
    let fields = number.map_or(&[][..], |number| table.schema().keys()[number].fields());
    Ok((by, fields))
}

/// The values of the first fields of a key. Of one field, commas are part of it.
fn values(fields: &[Field], text: &str) -> anyhow::Result<Vec<Value<'static>>> {
    if let [field] = fields {
        return Ok(vec![value(*field, text)?]);
    }
    let texts: Vec<&str> = text.split(',').collect();
    if fields.len() < texts.len() {
        let (given, fields) = (texts.len(), fields.len());
        let what = format!("`{text}`: {given} values for a key of {fields} columns");
        return Err(Usage(what).into());
    }
    fields.iter().zip(texts).map(|(&field, text)| value(field, text)).collect()
}

fn value(field: Field, text: &str) -> anyhow::Result<Value<'static>> {
    cells::parse(field, text.as_bytes()).map_err(|expected| {
        let kind = schema::kind_text(field);
        Usage(format!("`{text}` is no {kind}: expected {expected}")).into()
    })
}

/// The ranks of the rows in `LOW..HIGH` or `LOW..=HIGH`.
fn ranks(by: AnyBy<'_>, fields: &[Field], text: &str) -> anyhow::Result<Range<u64>> {
    let Some((low, high)) = text.split_once("..") else {
        return Err(Usage(format!("`{text}` is no range: expected LOW..HIGH or LOW..=HIGH")).into());
    };
    let low = if low.is_empty() { None } else { Some(values(fields, low)?) };
    let (high, is_included) = match high.strip_prefix('=') {
        Some(high) => (Some(values(fields, high)?), true),
        None if high.is_empty() => (None, false),
        None => (Some(values(fields, high)?), false),
    };
    let start = low.as_deref().map_or(Bound::Unbounded, Bound::Included);
    let end = match high.as_deref() {
        Some(high) if is_included => Bound::Included(high),
        Some(high) => Bound::Excluded(high),
        None => Bound::Unbounded,
    };
    Ok(by.ranks((start, end))?)
}
