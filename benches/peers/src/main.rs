//! Workloads E and S on other engines: `bench-peers PEER_GROUP_QUANTITY [--quick | --tiny]`.
//!
//! Prints JSON lines, `{"name":…,"value":…,"unit":…}`, as the program `measure` of benches/own
//! does, whose phases these are. Each engine is set up as its documentation advises for a promise;
//! the file of each says where.

mod fjall;
mod lmdb;
mod redb;
mod sqlite;
mod table; // workload S: rows by key
#[cfg(feature = "more-peers")]
mod canopydb;
#[cfg(feature = "more-peers")]
mod sled;

use std::{
    env,
    io::{self, Write},
};

use bench_own::{
    Result, Scale,
    entries::{
        EntryStore, Run, Told, child_hold, child_memory, child_open, churn, durable, memory, open,
        phases,
    },
    index, scheduled_first,
};

/// Memory that every engine with a cache of its own is given for it.
const CACHE: usize = 1 << 30;
/// Address space for engines that map their file.
const MAPPED: usize = 64 << 30;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = io::stdout().lock();
    match *arguments.as_slice() {
        ["child", "buffer_memory", peer, folder, count, way] => {
            child(&mut out, (way, peer), (folder, count.parse()?))
        }
        ["child", way, peer, folder, count] => {
            child(&mut out, (way, peer), (folder, count.parse()?))
        }
        [name] => print(&mut out, name, Scale::Full),
        [name, scale] => {
            let scale = Scale::of_argument(Some(scale)).ok_or("--quick or --tiny")?;
            print(&mut out, name, scale)
        }
        _ => Err("bench-peers PEER_GROUP_QUANTITY [--quick | --tiny]".into()),
    }
}

fn print(out: &mut impl Write, name: &str, scale: Scale) -> Result<()> {
    let mut words = name.split('_');
    let (Some(peer), Some(group)) = (words.next(), words.next()) else {
        return Err("PEER_GROUP_QUANTITY".into());
    };
    if group == "durable" && scale != Scale::Tiny {
        scheduled_first()?;
    }
    if cfg!(not(feature = "more-peers")) && matches!(peer, "canopydb" | "sled") {
        return Ok(writeln!(out, "skipped: {name}: needs the feature more-peers")?);
    }
    let told = match (peer, group) {
        ("lmdb", "table") => index::table::<table::Lmdb>(scale),
        ("redb", "table") => index::table::<table::Redb>(scale),
        ("sqlite", "table") => index::table::<table::Sqlite>(scale),
        ("fst", "words") => table::fst::words(scale),
        _ => entries_of(peer, group, scale),
    };
    for Told { name, value, unit } in told? {
        writeln!(out, r#"{{"name":"{peer}_{group}_{name}","value":{value},"unit":"{unit}"}}"#)?;
    }
    Ok(())
}

fn entries_of(peer: &str, group: &str, scale: Scale) -> Result<Vec<Told>> {
    match peer {
        "fjall" => of::<fjall::Fjall>(group, scale),
        "lmdb" => of::<lmdb::Lmdb>(group, scale),
        "redb" => of::<redb::Redb>(group, scale),
        "sqlite" => of::<sqlite::Sqlite>(group, scale),
        #[cfg(feature = "more-peers")]
        "canopydb" => of::<canopydb::Canopydb>(group, scale),
        #[cfg(feature = "more-peers")]
        "sled" => of::<sled::Sled>(group, scale),
        _ => Err(format!("no peer is called {peer}").into()),
    }
}

fn of<S: EntryStore>(group: &str, scale: Scale) -> Result<Vec<Told>> {
    match group {
        // As safe after each change as ours: a transaction for each.
        "work" => phases::<S>(Run { scale, unit: S::UNIT, is_tended: false }),
        // A thousand changes in a transaction: a kill loses those of the last one.
        "units" => phases::<S>(Run { scale, unit: 1_000, is_tended: false }),
        "churn" => churn::<S>(scale),
        "open" => open::<S>(scale),
        "memory" => memory::<S>(scale),
        "durable" => durable::<S>(scale),
        _ => Err(format!("no group is called {group}").into()),
    }
}

fn child(out: &mut impl Write, (way, peer): (&str, &str), of: (&str, usize)) -> Result<()> {
    match peer {
        "fjall" => child_of::<fjall::Fjall>(out, way, of),
        "lmdb" => child_of::<lmdb::Lmdb>(out, way, of),
        "redb" => child_of::<redb::Redb>(out, way, of),
        "sqlite" => child_of::<sqlite::Sqlite>(out, way, of),
        #[cfg(feature = "more-peers")]
        "canopydb" => child_of::<canopydb::Canopydb>(out, way, of),
        #[cfg(feature = "more-peers")]
        "sled" => child_of::<sled::Sled>(out, way, of),
        _ => Err(format!("no peer is called {peer}").into()),
    }
}

fn child_of<S: EntryStore>(
    out: &mut impl Write,
    way: &str,
    (folder, count): (&str, usize),
) -> Result<()> {
    match way {
        "buffer_open" => child_open::<S>(out, folder, count),
        "buffer_hold" => child_hold::<S>(out, folder, count),
        way => child_memory::<S>(out, (folder, count), way),
    }
}
