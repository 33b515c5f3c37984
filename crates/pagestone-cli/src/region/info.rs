//! `pagestone info`: what a region file is, its stores and its roots.

use pagestone_heap::{BlockId, RegionFile};
use serde::Serialize;

use super::open;
use crate::{
    args::RegionFileArgs,
    output::{Align, Cell, Facts, Format, Listing, Output, hex, thousands},
};

#[derive(Serialize)]
struct Described {
    file: String,
    version: u32,
    uuid: String,
    generation: u64,
    clean: bool,
    bytes: u64,
    region_size: u64,
    stores: Vec<Store>,
    roots: Vec<Root>,
}

#[derive(Serialize)]
struct Store {
    name: String,
    kind: &'static str,
    /// Of a heap.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<u64>,
    /// Of a log.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    /// Of a store of slabs.
    #[serde(skip_serializing_if = "Option::is_none")]
    slabs: Option<u64>,
    /// Of numbers: those that were set.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<u64>,
}

#[derive(Serialize)]
struct Root {
    name: String,
    id: u64,
}

pub(crate) fn run(args: &RegionFileArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(args)?;
    let described = describe(&file);
    if out.format() == Format::Json {
        return out.json(&described);
    }
    let clean = if described.clean { "yes" } else { "no, the next open reads all slots" };
    Facts::new()
        .add("file", &described.file)
        .add("format", format!("region file, version {}", described.version))
        .add("uuid", &described.uuid)
        .add("generation", thousands(described.generation))
        .add("closed", clean)
        .add("bytes", thousands(described.bytes))
        .add("region size", format!("{} bytes at most", thousands(described.region_size)))
        .show(out)?;
    out.line("")?;
    show_names(&described, out)?;
    out.took()
}

fn describe(file: &RegionFile) -> Described {
    let stats = file.stats();
    let (logs, heaps, slabs) = (file.logs(), file.heaps(), file.slab_stores());
    let stores = stats.stores.into_iter().map(|(name, count)| {
        let none =
            Store { name, kind: "", blocks: None, entries: None, slabs: None, numbers: None };
        if logs.contains(&none.name) {
            Store { kind: "log", entries: Some(count), ..none }
        } else if heaps.contains(&none.name) {
            Store { kind: "heap", blocks: Some(count), ..none }
        } else if slabs.contains(&none.name) {
            Store { kind: "slabs", slabs: Some(count), ..none }
        } else {
            Store { kind: "numbers", numbers: Some(count), ..none }
        }
    });
    let roots = file.roots().into_iter().map(|(name, id)| Root { name, id: id.to_bits() });
    Described {
        file: file.path().to_string_lossy().into_owned(),
        version: file.version(),
        uuid: hex(&file.uuid()),
        generation: stats.generation,
        clean: file.is_clean(),
        bytes: stats.file_len,
        region_size: file.region_size(),
        stores: stores.collect(),
        roots: roots.collect(),
    }
}

fn show_names(described: &Described, out: &mut Output) -> anyhow::Result<()> {
    let columns = [("store", Align::Left), ("kind", Align::Left), ("count", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for store in &described.stores {
        let count = store.blocks.or(store.entries).or(store.slabs).or(store.numbers);
        let count = count.map_or(Cell::Absent, Cell::from);
        listing.row(out, vec![Cell::text(&store.name), Cell::text(store.kind), count])?;
    }
    listing.end(out)?;
    out.line("")?;
    let mut listing = Listing::new(Format::People, [("root", Align::Left), ("id", Align::Left)]);
    for root in &described.roots {
        listing.row(
            out,
            vec![Cell::text(&root.name), Cell::Text(BlockId::from_bits(root.id).to_string())],
        )?;
    }
    listing.end(out)
}
