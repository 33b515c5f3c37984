//! Workload E by contender and group: `buffer_CONTENDER_GROUP_QUANTITY`.
//!
//! What an entry costs is CPU time of the process; commits, opens and waits are times by the wall.
//! A group runs as a whole, in one process, and tells all of its quantities.

mod pause; // how long others wait beside a compaction

use std::io::Write;

use bench_own::{
    Result, Scale,
    entries::{
        EntryStore, Log, OursById, OursMap, Run, Told, child_hold, child_memory, child_open, churn,
        durable, memory, open, phases, two_syncs,
    },
    scheduled_first,
};

use crate::Measurement;

pub(crate) fn measure(name: &str, scale: Scale) -> Result<Vec<Measurement>> {
    let mut words = name.split('_').skip(1);
    let (Some(contender), Some(group)) = (words.next(), words.next()) else {
        return Err("buffer_CONTENDER_GROUP_QUANTITY".into());
    };
    if group == "durable" && scale != Scale::Tiny {
        scheduled_first()?;
    }
    let told = match (contender, group) {
        ("syncs", "durable") => two_syncs(scale),
        ("limit", "work") => work::<Log>(scale),
        ("id", "pause") => pause::pause(scale),
        ("id", _) => of::<OursById>(group, scale),
        ("map", _) => of::<OursMap>(group, scale),
        _ => Err(format!("nothing is called {contender}_{group}").into()),
    };
    let named = |told: Told| {
        Measurement::new(format!("buffer_{contender}_{group}_{}", told.name), told.value, told.unit)
    };
    Ok(told?.into_iter().map(named).collect())
}

fn of<S: EntryStore>(group: &str, scale: Scale) -> Result<Vec<Told>> {
    match group {
        "work" => work::<S>(scale),
        // A lock for each change.
        "single" => phases::<S>(Run { scale, unit: 1, is_tended: false }),
        "tended" => phases::<S>(Run { scale, unit: S::UNIT, is_tended: true }),
        "churn" => churn::<S>(scale),
        "open" => open::<S>(scale),
        "memory" => memory::<S>(scale),
        "durable" => durable::<S>(scale),
        _ => Err(format!("no group is called {group}").into()),
    }
}

fn work<S: EntryStore>(scale: Scale) -> Result<Vec<Told>> {
    phases::<S>(Run { scale, unit: S::UNIT, is_tended: false })
}

/// What a process of its own does.
pub(crate) fn child(
    out: &mut impl Write,
    (way, contender): (&str, &str),
    of: (&str, usize),
) -> Result<()> {
    match contender {
        "id" => child_of::<OursById>(out, way, of),
        "map" => child_of::<OursMap>(out, way, of),
        _ => Err(format!("nothing is called {contender}").into()),
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
