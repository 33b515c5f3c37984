//! Workloads B and I by contender and group: `slab_CONTENDER_GROUP_QUANTITY`.
//!
//! What an object or a string costs is CPU time of the thread. A group runs as a whole, in one
//! process, and tells all of its quantities.

use std::io::Write;

use bench_own::{
    Result, Scale,
    entries::Told,
    slots::{
        self, CheckedPool, Filed, FiledMany, MiBoxed, PlainPool, PlainStore, SlotStore, Store,
        scan, search, search_hashbrown,
    },
    strings::{self, Counted, FiledStrings, Ours, Shared, StringStore},
};

use crate::Measurement;

pub(crate) fn measure(name: &str, scale: Scale) -> Result<Vec<Measurement>> {
    let mut words = name.split('_').skip(1);
    let (Some(contender), Some(group)) = (words.next(), words.next()) else {
        return Err("slab_CONTENDER_GROUP_QUANTITY".into());
    };
    let told = match contender {
        "store" => slots_of::<Store, Store>(group, scale),
        "plain" => slots_of::<PlainStore, PlainStore>(group, scale),
        "pool" => slots_of::<PlainPool<2>, PlainPool<8>>(group, scale),
        "checked" => slots_of::<CheckedPool<2>, CheckedPool<8>>(group, scale),
        "filed" => slots_of::<Filed, Filed>(group, scale),
        "filedmany" => slots_of::<FiledMany, FiledMany>(group, scale),
        "mimalloc" => slots_of::<MiBoxed, MiBoxed>(group, scale),
        "hashbrown" => search_hashbrown(scale),
        "interner" => strings_of::<Ours>(group, scale),
        "counted" => strings_of::<Counted>(group, scale),
        "filedstrings" if group == "open" => strings::reopened(scale),
        "filedstrings" => strings_of::<FiledStrings>(group, scale),
        "shared" => strings_of::<Shared>(group, scale),
        _ => Err(format!("nothing is called {contender}").into()),
    };
    let named = |told: Told| {
        Measurement::new(format!("slab_{contender}_{group}_{}", told.name), told.value, told.unit)
    };
    Ok(told?.into_iter().map(named).collect())
}

fn slots_of<S: SlotStore<2>, L: SlotStore<8>>(group: &str, scale: Scale) -> Result<Vec<Told>> {
    match group {
        "16" => slots::phases::<S, 2>(scale),
        "64" => slots::phases::<L, 8>(scale),
        "search" => search(scale),
        "scan16" => scan::<2>(scale),
        "scan64" => scan::<8>(scale),
        _ => Err(format!("no group is called {group}").into()),
    }
}

fn strings_of<S: StringStore>(group: &str, scale: Scale) -> Result<Vec<Told>> {
    match group {
        "words" => strings::words::<S>(scale),
        "packages" => strings::packages::<S>(scale),
        "threads" => strings::threads(scale),
        _ => Err(format!("no group is called {group}").into()),
    }
}

/// What a process of its own does.
pub(crate) fn child(out: &mut impl Write, way: &str, (folder, count): (&str, usize)) -> Result<()> {
    if way == "slab_open" {
        strings::child_open(out, folder, count)
    } else {
        strings::child_hold(out, folder, count)
    }
}
