//! `pagestone records range`: the records of a range of keys.

use std::ops::Range;

use pagestone_storage::{Field, Records};

use super::{
    columns::{self, Columns},
    files,
};
use crate::{
    args::RangeArgs,
    output::{Align, Cell, Listing, Output},
    value::{self, High, Span},
};

pub(super) fn run(args: &RangeArgs, out: &mut Output) -> anyhow::Result<()> {
    columns::check(args.key, &args.file)?;
    let columns = Columns::new(&args.columns, &args.file, out.format())?;
    let span = value::span(args.key, &args.range)?;
    let records = files::read(&args.file)?;
    let range = find(&records, args.key, span)?;
    let mut listing = Listing::new(out.format(), columns.titles(&[("index", Align::Right)]));
    for (index, record) in range.clone().zip(records.range(range)) {
        let mut row = vec![Cell::from(index)];
        columns.put(Some(&record?), &mut row)?;
        listing.row(out, row)?;
    }
    listing.end(out)?;
    out.took()
}

/// The indexes of the records whose keys lie in the span.
fn find(records: &Records, key: Field, span: Span) -> anyhow::Result<Range<u64>> {
    let start = match span.low {
        Some(low) => records.lower_bound(key, low)?,
        None => 0,
    };
    let end = match span.high {
        Some(High::Before(high)) => records.lower_bound(key, high)?,
        Some(High::At(high)) => records.upper_bound(key, high)?,
        None => records.len(),
    };
    Ok(start..end.max(start))
}
