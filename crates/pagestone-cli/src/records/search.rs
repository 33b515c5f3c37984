//! `pagestone records search`: values in a file that is sorted by the key.

use pagestone_storage::{Bias, Records, Value};

use super::{
    columns::{self, Columns},
    files,
};
use crate::{
    args::SearchArgs,
    output::{Align, Cell, Listing, Output},
    value,
};

pub(super) fn run(args: &SearchArgs, out: &mut Output) -> anyhow::Result<()> {
    columns::check(args.key, &args.file)?;
    let columns = Columns::new(&args.columns, &args.file, out.format())?;
    let values: Vec<Value<'static>> =
        args.values.iter().map(|text| value::parse(args.key, text)).collect::<Result<_, _>>()?;
    let records = files::read(&args.file)?;
    let before = [("value", Align::Right), ("index", Align::Right), ("exact", Align::Left)];
    let mut listing = Listing::new(out.format(), columns.titles(&before));
    let mut absent = Vec::new();
    for (text, value) in args.values.iter().zip(values) {
        let mut row = vec![columns::cell(args.key, value.clone())];
        if let Some((index, is_exact)) = find(&records, args, &value)? {
            let record = records.get(index)?;
            row.extend([Cell::from(index), Cell::Truth(is_exact)]);
            columns.put(Some(&record), &mut row)?;
        } else {
            absent.push(text);
            row.extend([Cell::Absent, Cell::Truth(false)]);
            columns.put(None, &mut row)?;
        }
        listing.row(out, row)?;
    }
    listing.end(out)?;
    out.took()?;
    absent.iter().try_for_each(|text| tell_absent(args, &records, (text, out)))
}

/// The record that answers, and whether it has the value.
fn find(
    records: &Records,
    args: &SearchArgs,
    value: &Value<'static>,
) -> anyhow::Result<Option<(u64, bool)>> {
    if let Some(index) = records.binary_search(args.key, value.clone(), Bias::Exact)? {
        return Ok(Some((index, true)));
    }
    let near = records.binary_search(args.key, value.clone(), args.bias.into())?;
    Ok(near.map(|index| (index, false)))
}

/// Tells that no record has a value, as far as the order of the file is known.
fn tell_absent(
    args: &SearchArgs,
    records: &Records,
    (text, out): (&str, &mut Output),
) -> anyhow::Result<()> {
    let is_sorted = files::known_order(records).first() == Some(&args.key);
    let doubt = if is_sorted { "" } else { ", if the file is sorted by it" };
    let (path, key) = (args.file.file.display(), args.key);
    out.finding(format_args!("{path}: no record answers {key} = {text}{doubt}"))
}
