//! `pagestone heapdump top`: the classes with the most instances or bytes.

use pagestone_heapdump::{HeapIndex, Rank};

use super::open_to_ask;
use crate::{
    args::{RankArg, TopArgs},
    output::{Align, Cell, Format, Listing, Output},
};

pub(super) fn run(args: &TopArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    match args.by {
        RankArg::Count => list(&index, (Rank::Count, limit), out)?,
        RankArg::Bytes => list(&index, (Rank::Bytes, limit), out)?,
        RankArg::Retained => list_objects(&index, limit, out)?,
    }
    out.took()
}

/// Lists the `limit` objects that retain most.
fn list_objects(index: &HeapIndex, limit: usize, out: &mut Output) -> anyhow::Result<()> {
    let columns = [
        ("object", Align::Right),
        ("class", Align::Left),
        ("bytes", Align::Right),
        ("objects", Align::Right),
    ];
    let mut listing = Listing::new(out.format(), columns);
    for object in index.biggest(limit)? {
        let id = match out.format() {
            Format::People => Cell::text(format!("{:#x}", object.id)),
            _ => Cell::from(object.id),
        };
        let class = Cell::text(object.class_name);
        listing.row(out, vec![id, class, object.bytes.into(), object.count.into()])?;
    }
    listing.end(out)
}

/// Lists the first `limit` classes by `rank`.
pub(super) fn list(
    index: &HeapIndex,
    (rank, limit): (Rank, usize),
    out: &mut Output,
) -> anyhow::Result<()> {
    let columns = [("class", Align::Left), ("count", Align::Right), ("bytes", Align::Right)];
    let mut listing = Listing::new(out.format(), columns);
    for class in index.histogram(rank)?.iter().take(limit) {
        let cells = vec![Cell::text(class.name), class.count.into(), class.bytes.into()];
        listing.row(out, cells)?;
    }
    listing.end(out)
}
