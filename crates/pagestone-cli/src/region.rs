//! `pagestone info`, `stats`, `verify`, `dump`, `get`, `orphans`, `backup`, `salvage`: region files,
//! opened for reading; `compact`, which opens them for writing.

mod info;
mod stats;
mod verify;
mod blocks; // dump and get
mod slabs; // objects, strings and numbers: what dump, get and orphans know of them
mod compact;
mod orphans;
mod backup;
mod salvage;

pub(crate) use self::{
    backup::run as backup,
    blocks::{dump, get},
    compact::run as compact,
    info::run as info,
    orphans::run as orphans,
    salvage::run as salvage,
    stats::run as stats,
    verify::run as verify,
};

use pagestone_buffer::{Buffers as _, EntryBuffer};
use pagestone_heap::{Counts, Heap, RegionFile};

use self::slabs::SlabStore;
use crate::{args::RegionFileArgs, exit::Finding, trust};

fn open(args: &RegionFileArgs) -> anyhow::Result<RegionFile> {
    Ok(RegionFile::options().open_read_only(trust::file(&args.file))?)
}

/// A store, by what it keeps.
enum Store {
    Heap(Heap),
    Log(EntryBuffer),
    Slabs(SlabStore),
    Numbers(Counts),
}

/// All stores, in the order of their names.
fn stores(file: &RegionFile) -> anyhow::Result<Vec<(String, Store)>> {
    let mut stores = Vec::new();
    for name in file.heaps() {
        let heap = file.heap(&name)?;
        stores.push((name, Store::Heap(heap)));
    }
    for name in file.logs() {
        let log = file.buffer(&name)?;
        stores.push((name, Store::Log(log)));
    }
    for name in file.slab_stores() {
        let slabs = SlabStore::open(file, &name)?;
        stores.push((name, Store::Slabs(slabs)));
    }
    for name in file.stores() {
        if !stores.iter().any(|(known, _)| *known == name) {
            let numbers = file.counts(&name)?;
            stores.push((name, Store::Numbers(numbers)));
        }
    }
    stores.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(stores)
}

/// The store of a name; what is not there is a finding.
fn store(file: &RegionFile, name: &str) -> anyhow::Result<Store> {
    let stores = stores(file)?;
    let others: Vec<String> = stores.iter().map(|(name, _)| name.clone()).collect();
    if let Some((_, store)) = stores.into_iter().find(|(its, _)| its == name) {
        return Ok(store);
    }
    let path = file.path().display();
    let others = match others.as_slice() {
        [] => String::new(),
        some => format!(", but {}", some.join(", ")),
    };
    Err(Finding(format!("{path}: no store `{name}`{others}")).into())
}
