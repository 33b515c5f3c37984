//! The memory that a sort takes beside the records, for each distribution in a process of its own.
//!
//! The records lie in a mapped file, so that they are no private memory: what private memory grows
//! by is scratch.

use std::io::Write;

use bench_own::{
    Distribution, Folder, KEY, Result, Scale, Watch, Words, private_memory, run_child, with_keys,
};
use pagestone_storage::{Backing, Options, Storage};

use crate::{Measurement, float};

pub(crate) fn measure(scale: Scale) -> Result<Vec<Measurement>> {
    let count = scale.count(10_000_000).to_string();
    let mut measurements = Vec::new();
    let mut most = 0.0_f64;
    for distribution in Distribution::ALL {
        let name = distribution.name();
        let share = *run_child(&["scratch", name, &count])?.first().ok_or("no share")?;
        most = most.max(share);
        measurements.push(Measurement::new(format!("scratch_{name}"), share, "of the data"));
    }
    measurements.push(Measurement::new("scratch_most", most, "of the data"));
    Ok(measurements)
}

pub(crate) fn child(out: &mut impl Write, distribution: &str, count: usize) -> Result<()> {
    let distribution = Distribution::named(distribution).ok_or("no such distribution")?;
    let folder = Folder::new()?;
    let options = Options::new().backing(Backing::Map);
    let mut storage: Storage<Words<2>> = options.create(folder.trusted().file("sorted"))?;
    storage.append(&with_keys(&distribution.keys(count)))?;
    let before = private_memory()?;
    let watch = Watch::start()?;
    storage.sort_by(KEY).in_place().run()?;
    let grown = watch.end()?.saturating_sub(before);
    writeln!(out, "{}", float(grown) / float(16 * storage.len()))?;
    Ok(())
}
