//! `pagestone orphans`: blocks that no root reaches, and no id of a list.

use std::{fs, path::Path};

use anyhow::Context as _;
use pagestone_heap::{BlockId, Heap, RegionFile};
use serde::Serialize;

use super::{Store, open, stores};
use crate::{
    args::{OrphansArgs, id},
    exit::Usage,
    output::{Align, Cell, Format, Listing, Output, thousands},
};

#[derive(Serialize)]
struct Orphan<'s> {
    store: &'s str,
    id: u64,
    bytes: u64,
    flags: u32,
}

pub(crate) fn run(args: &OrphansArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(&args.file)?;
    let mut reachable: Vec<BlockId> = file.roots().into_iter().map(|(_, id)| id).collect();
    if let Some(list) = &args.reachable {
        reachable.extend(read_ids(list)?);
    }
    let (heaps, stores) = (heaps(&file)?, stores(&file)?);
    let mut damaged: Vec<String> = Vec::new();
    let pin = file.pin();
    let roots = reachable.len();
    for (_, store) in &stores {
        let Store::Slabs(slabs) = store else { continue };
        match slabs.spilled(&pin) {
            Ok(blocks) => reachable.extend(blocks),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    let columns = [
        ("store", Align::Left),
        ("id", Align::Left),
        ("bytes", Align::Right),
        ("flags", Align::Left),
    ];
    let mut listing = Listing::new(out.format(), columns);
    let (mut count, mut bytes) = (0_u64, 0);
    for (name, heap) in &heaps {
        for orphan in heap.orphans(&pin, reachable.iter().copied())? {
            let orphan = match orphan {
                Ok(orphan) => orphan,
                Err(error) => {
                    damaged.push(error.to_string());
                    continue;
                }
            };
            (count, bytes) = (count + 1, bytes + orphan.len);
            let (id, flags) = (orphan.id, orphan.flags);
            if out.format() == Format::Json {
                out.json(&Orphan { store: name, id: id.to_bits(), bytes: orphan.len, flags })?;
            } else {
                let [id, flags] = [id.to_string(), format!("{flags:#010x}")].map(Cell::Text);
                listing.row(out, vec![Cell::text(name.as_str()), id, orphan.len.into(), flags])?;
            }
        }
    }
    listing.end(out)?;
    if out.format() == Format::People {
        let (count, bytes) = (thousands(count), thousands(bytes));
        out.line(format_args!("{count} blocks of {bytes} bytes that nothing reaches"))?;
    }
    out.took()?;
    let lost = |id: &&BlockId| {
        !stores.iter().any(|(_, store)| match store {
            Store::Heap(heap) => heap.contains(&pin, **id),
            Store::Log(log) => log.contains(&pin, **id),
            Store::Slabs(slabs) => slabs.contains(&pin, **id),
            Store::Numbers(_) => false,
        })
    };
    for id in reachable.iter().take(roots).filter(lost) {
        out.finding(format_args!("{}: {id} names no block", args.file.file.display()))?;
    }
    damaged.iter().try_for_each(|error| out.finding(error))
}

fn heaps(file: &RegionFile) -> anyhow::Result<Vec<(String, Heap)>> {
    let heap = |name: String| {
        let heap = file.heap(&name)?;
        Ok((name, heap))
    };
    file.heaps().into_iter().map(heap).collect()
}

/// The ids of a file, one in a line; what follows `#` is a remark.
fn read_ids(path: &Path) -> anyhow::Result<Vec<BlockId>> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let mut ids = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let word = line.split('#').next().unwrap_or("").trim();
        if word.is_empty() {
            continue;
        }
        let bits =
            id(word).map_err(|what| Usage(format!("{}:{}: {what}", path.display(), number + 1)))?;
        ids.push(BlockId::from_bits(bits));
    }
    Ok(ids)
}
