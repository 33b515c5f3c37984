//! `pagestone stats`: how the space of a region file is used.

use pagestone_heap::{RegionFile, Stats};
use serde::Serialize;

use super::{open, store};
use crate::{
    args::RegionFileArgs,
    output::{Align, Cell, Facts, Format, Listing, Output, thousands},
};

/// Regions by what they hold, in the order of [`Stats::region_counts`].
const KINDS: [&str; 4] = ["directory", "slot tables", "blocks", "one block"];

#[derive(Serialize)]
struct Counted {
    file: String,
    bytes: u64,
    regions: Vec<Regions>,
    free: u64,
    free_ranges: u64,
    quarantined: u64,
    stores: Vec<Store>,
    blocks: u64,
    payload: u64,
    file_per_payload: Option<f64>,
}

#[derive(Serialize)]
struct Regions {
    kind: &'static str,
    count: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Store {
    name: String,
    blocks: u64,
    payload: u64,
}

pub(crate) fn run(args: &RegionFileArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(args)?;
    let mut damaged = Vec::new();
    let counted = count(&file, &mut damaged)?;
    if out.format() == Format::Json {
        out.json(&counted)?;
    } else {
        show_regions(&counted, out)?;
        out.line("")?;
        show_stores(&counted, out)?;
        out.line("")?;
        show_facts(&counted, out)?;
        out.took()?;
    }
    damaged.iter().try_for_each(|error| out.finding(error))
}

fn count(file: &RegionFile, damaged: &mut Vec<pagestone_heap::Error>) -> anyhow::Result<Counted> {
    let stats: Stats = file.stats();
    let regions = KINDS.into_iter().zip(stats.region_counts).zip(stats.region_lens);
    let pin = file.pin();
    let mut stores = Vec::new();
    for name in file.stores() {
        let heap = store(file, &name)?;
        let mut found = Store { name, blocks: 0, payload: 0 };
        for block in heap.blocks(&pin) {
            match block {
                Ok((_, bytes)) => {
                    found.blocks += 1;
                    found.payload += bytes.len() as u64;
                }
                Err(error) => damaged.push(error),
            }
        }
        stores.push(found);
    }
    let payload: u64 = stores.iter().map(|store| store.payload).sum();
    #[expect(clippy::cast_precision_loss, reason = "a ratio to look at")]
    let ratio = (payload != 0).then(|| stats.file_len as f64 / payload as f64);
    Ok(Counted {
        file: file.path().to_string_lossy().into_owned(),
        bytes: stats.file_len,
        regions: regions.map(|((kind, count), bytes)| Regions { kind, count, bytes }).collect(),
        free: stats.free,
        free_ranges: stats.free_ranges,
        quarantined: stats.quarantined,
        blocks: stores.iter().map(|store| store.blocks).sum(),
        stores,
        payload,
        file_per_payload: ratio,
    })
}

fn show_regions(counted: &Counted, out: &mut Output) -> anyhow::Result<()> {
    let columns = [("regions", Align::Left), ("count", Align::Right), ("bytes", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for Regions { kind, count, bytes } in &counted.regions {
        listing.row(out, vec![Cell::text(*kind), (*count).into(), (*bytes).into()])?;
    }
    listing.end(out)
}

fn show_stores(counted: &Counted, out: &mut Output) -> anyhow::Result<()> {
    let columns = [("store", Align::Left), ("blocks", Align::Right), ("payload", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for Store { name, blocks, payload } in &counted.stores {
        listing.row(out, vec![Cell::text(name), (*blocks).into(), (*payload).into()])?;
    }
    listing.end(out)
}

fn show_facts(counted: &Counted, out: &mut Output) -> anyhow::Result<()> {
    let bytes = |count: u64| format!("{} bytes", thousands(count));
    let ratio = counted.file_per_payload.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    Facts::new()
        .add("file", bytes(counted.bytes))
        .add("payload", bytes(counted.payload))
        .add("file / payload", ratio)
        .add("free in regions", bytes(counted.free))
        .add("free ranges", bytes(counted.free_ranges))
        .add("quarantined", bytes(counted.quarantined))
        .show(out)
}
