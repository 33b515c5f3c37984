//! `pagestone heapdump in`, `out` and `path`: objects that belong to an object.

use pagestone_heapdump::{Follow, HeapIndex, ObjectIds};

use super::{no_object, open_to_ask};
use crate::{
    args::{ObjectListArgs, PathArgs},
    output::{Align, Cell, Format, Listing, Output, thousands},
};

/// Which side of references is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Inbound,
    Outbound,
}

pub(super) fn run(args: &ObjectListArgs, side: Side, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let ids = match side {
        Side::Inbound => index.inbound(args.id)?,
        Side::Outbound => index.outbound(args.id)?,
    };
    let Some(ids) = ids else { return no_object(&args.index, args.id, out) };
    list(&index, (ids, args.limit), out)?;
    out.took()
}

/// Lists at most `limit` objects, all for 0, and for people says how many more there are.
pub(super) fn list(
    index: &HeapIndex,
    (ids, limit): (ObjectIds<'_>, usize),
    out: &mut Output,
) -> anyhow::Result<()> {
    let mut listing = Listing::new(out.format(), COLUMNS);
    let mut more = 0_u64;
    for (place, id) in ids.enumerate() {
        if limit == 0 || place < limit {
            row(index, id?, (&mut listing, out))?;
        } else if out.format() == Format::People {
            id?;
            more += 1;
        } else {
            break;
        }
    }
    listing.end(out)?;
    if 0 < more { out.line(format_args!("and {} more", thousands(more))) } else { Ok(()) }
}

const COLUMNS: [(&str, Align); 5] = [
    ("id", Align::Right),
    ("class", Align::Left),
    ("kind", Align::Left),
    ("bytes", Align::Right),
    ("retained", Align::Right),
];

fn row(
    index: &HeapIndex,
    id: u64,
    (listing, out): (&mut Listing, &mut Output),
) -> anyhow::Result<()> {
    let (Some(object), Some(retained)) = (index.object(id)?, index.retained(id)?) else {
        return Ok(());
    };
    let shown = match out.format() {
        Format::People => Cell::text(format!("{id:#x}")),
        _ => Cell::from(id),
    };
    let kind = Cell::text(super::obj::kind(object.kind));
    let class = Cell::text(object.class_name);
    let (bytes, retained) = (Cell::from(object.payload_len), Cell::from(retained.bytes));
    listing.row(out, vec![shown, class, kind, bytes, retained])
}

pub(super) fn path(args: &PathArgs, out: &mut Output) -> anyhow::Result<()> {
    let mut index = open_to_ask(&args.index.directory)?;
    if let Some(dump) = &args.dump {
        index.set_dump(dump);
    }
    let follow = if args.skip_weak { Follow::Strong } else { Follow::All };
    if index.object(args.id)?.is_none() {
        return no_object(&args.index, args.id, out);
    }
    let Some(ids) = index.shortest_path(args.id, follow)? else {
        let directory = args.index.directory.display();
        return out.finding(format_args!("{directory}: no root leads to {:#x}", args.id));
    };
    if out.format() == Format::People
        && let Some(&first) = ids.first()
    {
        let kinds: Vec<&str> = index.roots_of(first)?.iter().map(|root| root.kind).collect();
        out.line(format_args!("root: {}", kinds.join(", ")))?;
    }
    let mut listing = Listing::new(out.format(), COLUMNS);
    for id in ids {
        row(&index, id, (&mut listing, out))?;
    }
    listing.end(out)?;
    out.took()
}
