//! `pagestone heapdump top`: the classes with the most instances or bytes.

use pagestone_heapdump::{HeapIndex, Rank};

use super::open_to_ask;
use crate::{
    args::{RankArg, TopArgs},
    output::{Align, Cell, Listing, Output},
};

pub(super) fn run(args: &TopArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let rank = match args.by {
        RankArg::Count => Rank::Count,
        RankArg::Bytes => Rank::Bytes,
    };
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    list(&index, (rank, limit), out)?;
    out.took()
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
