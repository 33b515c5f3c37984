//! `pagestone heapdump diff`: what differs between two dumps.

use pagestone_heapdump::HeapIndex;

use super::{limit, open_to_ask};
use crate::{
    args::{DiffArg, DiffArgs},
    output::{Align, Cell, Format, Listing, Output},
};

pub(super) fn run(args: &DiffArgs, out: &mut Output) -> anyhow::Result<()> {
    let (before, after) = (open_to_ask(&args.before)?, open_to_ask(&args.after)?);
    match args.by {
        DiffArg::Class => classes((&before, &after), limit(args.limit), out)?,
        DiffArg::String => strings((&before, &after), limit(args.limit), out)?,
    }
    out.took()
}

fn classes(
    (before, after): (&HeapIndex, &HeapIndex),
    limit: usize,
    out: &mut Output,
) -> anyhow::Result<()> {
    let columns = [
        ("class", Align::Left),
        ("count before", Align::Right),
        ("count after", Align::Right),
        ("bytes before", Align::Right),
        ("bytes after", Align::Right),
    ];
    let mut listing = Listing::new(out.format(), columns);
    for class in before.diff_classes(after)?.into_iter().take(limit) {
        if out.format() == Format::Json {
            out.json(&class)?;
            continue;
        }
        let [count_before, count_after] = class.counts;
        let [bytes_before, bytes_after] = class.bytes;
        let numbers = [count_before, count_after, bytes_before, bytes_after];
        let mut cells = vec![Cell::text(class.name)];
        cells.extend(numbers.map(Cell::from));
        listing.row(out, cells)?;
    }
    listing.end(out)
}

fn strings(
    (before, after): (&HeapIndex, &HeapIndex),
    limit: usize,
    out: &mut Output,
) -> anyhow::Result<()> {
    let columns = [("before", Align::Right), ("after", Align::Right), ("value", Align::Left)];
    let mut listing = Listing::new(out.format(), columns);
    for string in before.diff_strings(after, limit)? {
        if out.format() == Format::Json {
            out.json(&string)?;
            continue;
        }
        let [before, after] = string.counts;
        listing.row(out, vec![before.into(), after.into(), Cell::text(string.value)])?;
    }
    listing.end(out)
}
