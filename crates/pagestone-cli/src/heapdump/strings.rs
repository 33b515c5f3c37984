//! `pagestone heapdump strings`: values of strings, and the strings of a value.

use serde::Serialize;

use super::{limit, open_to_ask};
use crate::{
    args::StringsArgs,
    output::{Align, Cell, Format, Listing, Output, thousands},
};

#[derive(Serialize)]
struct OfValue {
    id: u64,
}

pub(super) fn run(args: &StringsArgs, out: &mut Output) -> anyhow::Result<()> {
    match &args.value {
        Some(value) => of_value(args, value, out)?,
        None => values(args, out)?,
    }
    out.took()
}

fn values(args: &StringsArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let limit = limit(args.limit);
    let values =
        if args.dup { index.repeated_strings(limit)? } else { index.string_values(limit)? };
    let columns = [
        ("count", Align::Right),
        ("length", Align::Right),
        ("first", Align::Right),
        ("value", Align::Left),
    ];
    let mut listing = Listing::new(out.format(), columns);
    for value in values {
        if out.format() == Format::Json {
            out.json(&value)?;
            continue;
        }
        let cells = vec![
            value.count.into(),
            value.len.into(),
            Cell::text(format!("{:#x}", value.first_id)),
            Cell::text(value.value),
        ];
        listing.row(out, cells)?;
    }
    listing.end(out)?;
    if out.format() == Format::People {
        let summary = index.summary();
        let (all, distinct) = (summary.string_count, summary.distinct_string_count);
        let (all, distinct) = (thousands(all), thousands(distinct));
        out.line(format_args!("{all} strings have {distinct} values"))?;
    }
    Ok(())
}

fn of_value(args: &StringsArgs, value: &str, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let mut count = 0_u64;
    for id in index.strings_of(value)? {
        let id = id?;
        if count < limit(args.limit) as u64 {
            match out.format() {
                Format::Json => out.json(&OfValue { id })?,
                Format::People | Format::Csv => out.line(format_args!("{id:#x}"))?,
            }
        }
        count += 1;
    }
    if count == 0 {
        let directory = args.index.directory.display();
        return out.finding(format_args!("{directory}: no string has this value"));
    }
    if out.format() == Format::People {
        out.line(format_args!("{} strings", thousands(count)))?;
    }
    Ok(())
}
