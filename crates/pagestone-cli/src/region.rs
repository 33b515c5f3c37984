//! `pagestone info`, `stats`, `verify`, `dump`, `get`, `orphans`, `backup`: region files, opened for
//! reading; `compact`, which opens them for writing.

mod info;
mod stats;
mod verify;
mod blocks; // dump and get
mod compact;
mod orphans;
mod backup;

pub(crate) use self::{
    backup::run as backup,
    blocks::{dump, get},
    compact::run as compact,
    info::run as info,
    orphans::run as orphans,
    stats::run as stats,
    verify::run as verify,
};

use pagestone_heap::{Heap, RegionFile};

use crate::{args::RegionFileArgs, exit::Finding, trust};

fn open(args: &RegionFileArgs) -> anyhow::Result<RegionFile> {
    Ok(RegionFile::options().open_read_only(trust::file(&args.file))?)
}

/// The store of a name; what is not there is a finding.
fn store(file: &RegionFile, name: &str) -> anyhow::Result<Heap> {
    let stores = file.stores();
    if stores.iter().any(|store| store == name) {
        return Ok(file.heap(name)?);
    }
    let path = file.path().display();
    let others = match stores.as_slice() {
        [] => String::new(),
        some => format!(", but {}", some.join(", ")),
    };
    Err(Finding(format!("{path}: no store `{name}`{others}")).into())
}
