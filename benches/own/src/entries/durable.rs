//! Commits that wait for the device: one entry each, a thousand each; two bare syncs.

use std::{fs::File, io::Write as _};

use super::{
    Change, EntryStore, Promise, Told, Work,
    phases::{at_share, float},
};
use crate::{Clock, Folder, Result, Scale};

const ENTRIES: usize = 100_000;
/// Commits of one entry.
const SINGLE: usize = 2_000;
/// Commits of many, and how many.
const UNITS: usize = 100;
const UNIT: usize = 1_000;
/// An entry of middle length with a key and a header.
const APPENDED: usize = 272;

/// The time of commits by the wall: what a half of them stays below.
///
/// # Errors
///
/// Those of the store.
pub fn durable<S: EntryStore>(scale: Scale) -> Result<Vec<Told>> {
    let folder = Folder::new()?;
    let mut store = S::create(&folder, Promise::Power)?;
    let mut work = Work::new(42, scale.count(ENTRIES));
    let all: Vec<u32> = work.numbers().collect();
    for unit in all.chunks(UNIT) {
        store.change(unit.iter().map(|number| work.put(*number)))?;
        store.commit()?;
    }
    let mut singles = Vec::new();
    for number in work.add(scale.count(SINGLE)) {
        let put = [work.put(number)];
        singles.push(timed(&mut store, |store| store.change(put.into_iter()))?);
    }
    // Both ways in turn, so that neither has the better time of the device.
    let (mut each, mut many) = (Vec::new(), Vec::new());
    for _ in 0..scale.count(UNITS) {
        let numbers = work.add(UNIT);
        let changes = numbers.iter().map(|number| work.put(*number));
        each.push(timed(&mut store, |store| store.change(changes))?);
        let numbers = work.add(UNIT);
        let entries = numbers.iter().map(|number| (*number, work.bytes(*number)));
        many.push(timed(&mut store, |store| store.add_many(entries))?);
    }
    let changed: Vec<u32> = work.drawn(scale.count(SINGLE));
    work.change(&changed);
    let mut updates = Vec::new();
    for number in changed {
        let put: [Change<'_>; 1] = [work.put(number)];
        updates.push(timed(&mut store, |store| store.change(put.into_iter()))?);
    }
    store.close()?;
    let unit = float(UNIT as u64);
    let of = |values: &[f64], share| at_share(values.to_vec(), share);
    Ok(vec![
        Told::new("one", of(&singles, 0.5), "us"),
        Told::new("one_slowest", of(&singles, 0.99), "us"),
        Told::new("update", of(&updates, 0.5), "us"),
        Told::new("thousand", of(&each, 0.5) / unit, "us/entry"),
        Told::new("thousand_slowest", of(&each, 0.99) / unit, "us/entry"),
        Told::new("many", of(&many, 0.5) / unit, "us/entry"),
    ])
}

/// Microseconds of a change and its commit.
fn timed<S: EntryStore>(store: &mut S, change: impl FnOnce(&mut S) -> Result<()>) -> Result<f64> {
    let (time, done) = Clock::Wall.time(|| {
        change(store)?;
        store.commit()
    });
    done?;
    Ok(time.as_secs_f64() * 1e6)
}

/// Two syncs of a small append to a file: what two waits for the device cost.
///
/// # Errors
///
/// Those of the device.
pub fn two_syncs(scale: Scale) -> Result<Vec<Told>> {
    let folder = Folder::new()?;
    let mut file = File::create_new(folder.path("appended"))?;
    let mut times = Vec::new();
    for _ in 0..scale.count(SINGLE) {
        let (time, done) = Clock::Wall.time(|| -> Result<()> {
            for _ in 0..2 {
                file.write_all(&[7; APPENDED])?;
                file.sync_data()?;
            }
            Ok(())
        });
        done?;
        times.push(time.as_secs_f64() * 1e6);
    }
    let slowest = at_share(times.clone(), 0.99);
    Ok(vec![Told::new("one", at_share(times, 0.5), "us"), Told::new("one_slowest", slowest, "us")])
}
