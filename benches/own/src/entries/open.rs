//! Open to first read in a new process, after a close and after a kill; memory beside the file's.

use std::io::{self, Read as _, Write};

use super::{
    EntryStore, Promise, Told, Work,
    phases::{at_share, float},
};
use crate::{Clock, Folder, Result, Scale, private_memory, run_and_kill, run_child};

const ENTRIES: usize = 1_000_000;
const TIMES: usize = 7;
const TIMES_KILLED: usize = 3;
const UNIT: usize = 1_000;

/// Opens what a child has filled, and closed or not.
///
/// # Errors
///
/// Those of the store or of a child.
pub fn open<S: EntryStore>(scale: Scale) -> Result<Vec<Told>> {
    let count = scale.count(ENTRIES);
    let text = count.to_string();
    let folder = Folder::new()?;
    fill::<S>(&folder, count)?.close()?;
    let arguments = |folder: &Folder| -> Result<[String; 4]> {
        Ok(["buffer_open".into(), S::NAME.into(), folder.as_text()?.into(), text.clone()])
    };
    let opened = |folder: &Folder| -> Result<f64> {
        let told = run_child(&arguments(folder)?.each_ref().map(String::as_str))?;
        Ok(told.first().copied().ok_or("no time")?)
    };
    let mut clean = Vec::new();
    for _ in 0..TIMES {
        clean.push(opened(&folder)?);
    }
    let mut told = vec![Told::new("clean", at_share(clean, 0.5), "us")];
    if !S::SURVIVES_KILL {
        return Ok(told);
    }
    let mut killed = Vec::new();
    for _ in 0..TIMES_KILLED {
        let folder = Folder::new()?;
        run_and_kill(&["buffer_hold", S::NAME, folder.as_text()?, &text])?;
        killed.push(opened(&folder)? / 1e3);
    }
    told.push(Told::new("killed", at_share(killed, 0.5), "ms"));
    Ok(told)
}

/// Private memory per entry: of a process that has added them all, and of one that has opened the
/// store and read each.
///
/// # Errors
///
/// Those of a child.
pub fn memory<S: EntryStore>(scale: Scale) -> Result<Vec<Told>> {
    let count = scale.count(ENTRIES).to_string();
    let folder = Folder::new()?;
    let told = ["memory_added", "memory_opened"].map(|way| -> Result<Told> {
        let found = run_child(&["buffer_memory", S::NAME, folder.as_text()?, &count, way])?;
        let value = found.first().copied().ok_or("no figure")?;
        Ok(Told::new(way.trim_start_matches("memory_"), value, "bytes/entry"))
    });
    told.into_iter().collect()
}

fn fill<S: EntryStore>(folder: &Folder, count: usize) -> Result<S> {
    let work = Work::new(44, count);
    let mut store = S::create(folder, Promise::Process)?;
    let numbers: Vec<u32> = work.numbers().collect();
    for unit in numbers.chunks(UNIT) {
        store.change(unit.iter().map(|number| work.put(*number)))?;
    }
    Ok(store)
}

/// Microseconds by the wall to open and read the first entry.
///
/// # Errors
///
/// Those of the store, or when the entry is not as it was.
pub fn child_open<S: EntryStore>(out: &mut impl Write, folder: &str, count: usize) -> Result<()> {
    let folder = Folder::of_parent(folder);
    let work = Work::new(44, count);
    let mut is_right = false;
    let (time, opened) = Clock::Wall.time(|| -> Result<S> {
        let store = S::open(&folder, Promise::Process)?;
        store.read(&[0], |bytes| is_right = bytes == work.bytes(0))?;
        Ok(store)
    });
    opened?.close()?;
    if !is_right {
        return Err("the first entry is wrong".into());
    }
    writeln!(out, "{}", time.as_secs_f64() * 1e6)?;
    Ok(())
}

/// Adds entries, commits nothing, says so and waits to be killed.
///
/// # Errors
///
/// Those of the store.
pub fn child_hold<S: EntryStore>(out: &mut impl Write, folder: &str, count: usize) -> Result<()> {
    let store: S = fill(&Folder::of_parent(folder), count)?;
    writeln!(out, "filled")?;
    out.flush()?;
    // Until the parent kills this process, which has the store open.
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(store);
    Ok(())
}

/// Bytes of private memory per entry.
///
/// # Errors
///
/// Those of the store.
pub fn child_memory<S: EntryStore>(
    out: &mut impl Write,
    (folder, count): (&str, usize),
    way: &str,
) -> Result<()> {
    let folder = Folder::of_parent(folder);
    let work = Work::new(44, count);
    let numbers: Vec<u32> = work.numbers().collect();
    let before = private_memory()?;
    let mut store = if way == "memory_added" {
        S::create(&folder, Promise::Process)?
    } else {
        S::open(&folder, Promise::Process)?
    };
    if way == "memory_added" {
        for unit in numbers.chunks(UNIT) {
            store.change(unit.iter().map(|number| work.put(*number)))?;
        }
    } else {
        let mut sum = 0;
        store.read(&numbers, |bytes| sum += bytes.len())?;
        std::hint::black_box(sum);
    }
    let after = private_memory()?;
    store.close()?;
    writeln!(out, "{}", float(after.saturating_sub(before)) / float(count as u64))?;
    Ok(())
}
