//! Rounds of change in a store that is tended: bytes to the device, length of the file.

use super::{
    Change, EntryStore, Promise, Told, Work,
    phases::{float, warm},
};
use crate::{Clock, Folder, Result, Scale, written_bytes};

const ENTRIES: usize = 1_000_000;
const ROUNDS: usize = 20;
/// A round replaces, removes and adds one in so many of the entries each, and commits.
const SHARE: usize = 10;
const UNIT: usize = 1_000;

/// Device bytes and CPU time per change; the blocks of the files after each round, over what is live,
/// and by how much the most of the later rounds is above that of the earlier ones. Bytes are those that the kernel charges this process for: pages dirtied, and written.
///
/// # Errors
///
/// Those of the store or of the system.
pub fn churn<S: EntryStore>(scale: Scale) -> Result<Vec<Told>> {
    warm(scale);
    let folder = Folder::new()?;
    let mut store = S::create(&folder, Promise::Process)?;
    let mut work = Work::new(43, scale.count(ENTRIES));
    let all: Vec<u32> = work.numbers().collect();
    for unit in all.chunks(UNIT) {
        store.change(unit.iter().map(|number| work.put(*number)))?;
    }
    store.commit()?;

    let mut told = Vec::new();
    let mut taken = Vec::new();
    let (written, cpu) = (written_bytes()?, Clock::Process.now());
    let (mut changes, mut payload) = (0_u64, 0_u64);
    for round in 1..=ROUNDS {
        let numbers = work.shuffled();
        let share = numbers.len() / SHARE;
        let (renewed, rest) = numbers.split_at(share);
        let (removed, _) = rest.split_at(share);
        work.renew(renewed);
        work.remove(removed);
        let added = work.add(share);
        let puts = renewed.iter().chain(&added).map(|number| work.put(*number));
        let round_of: Vec<Change<'_>> =
            puts.chain(removed.iter().map(|number| Change::Remove(*number))).collect();
        for unit in round_of.chunks(UNIT) {
            store.change(unit.iter().copied())?;
            store.tend()?;
        }
        store.commit()?;
        changes += round_of.len() as u64;
        payload += round_of.iter().map(payload_of).sum::<u64>();
        let [allocated, _] = folder.files_taken()?;
        taken.push(allocated);
        let share = float(allocated) / float(work.live());
        told.push(Told::new(format!("file_{round}"), share, "of the live"));
    }
    let cpu = Clock::Process.since(cpu);
    let written = float(written_bytes()? - written);
    store.close()?;
    let (early, late) = taken.split_at(ROUNDS / 2);
    let [early, late] = [early, late].map(|lens| float(lens.iter().copied().max().unwrap_or(0)));
    let growth = (late - early) / early;
    told.push(Told::new("file", late / float(work.live()), "of the live"));
    told.push(Told::new("growth", growth, "of the file"));
    told.push(Told::new("device", written / float(changes), "bytes/change"));
    told.push(Told::new("device_share", written / float(payload), "of the payload"));
    told.push(Told::new("cpu", cpu.as_secs_f64() * 1e9 / float(changes), "ns/change"));
    Ok(told)
}

const fn payload_of(change: &Change<'_>) -> u64 {
    match change {
        Change::Put(_, bytes) => bytes.len() as u64,
        Change::Remove(_) => 0,
    }
}
