//! Workload H by contender and group: `heap_CONTENDER_GROUP_QUANTITY`.
//!
//! What a block costs is CPU time of the thread; commits and opens are times by the wall, of
//! several each. A group runs as a whole, in one process, and tells all of its quantities.

mod work; // the workload itself, phase by phase
mod file; // bytes of files: small blocks, rounds of churn, none
mod open; // open to first read: clean, killed; first change after
mod commit; // commits of few changed blocks: time, bytes of the device
mod beside; // one writer beside reader threads
mod shrink; // a file half free made dense
mod many; // allocation beside millions of free blocks, thousands of regions

use std::{io::Write, time::Duration};

use bench_own::{
    Clock, Result, Scale,
    heap::{BlockHeap, BlockWriter as _, Limit, Ours, Volatile, Work},
    scheduled_first, skip,
};

pub(crate) use open::Uncommitted;

use crate::{Measurement, float};

pub(crate) fn measure(name: &str, scale: Scale) -> Result<Vec<Measurement>> {
    let mut words = name.split('_').skip(1);
    let (Some(contender), Some(group)) = (words.next(), words.next()) else {
        return Err("heap_CONTENDER_GROUP_QUANTITY".into());
    };
    let family = Family { prefix: format!("heap_{contender}_{group}"), scale };
    if group == "commit" && scale != Scale::Tiny {
        scheduled_first()?;
    }
    match contender {
        "limit" => of::<Limit>(name, group, &family),
        "mimalloc" => of::<Volatile>(name, group, &family),
        "pages" => commit::pages(&family),
        "ours" if group == "shrink" => shrink::measure(&family),
        "ours" => of::<Ours>(name, group, &family),
        _ => Err(format!("no heap is called {contender}").into()),
    }
}

fn of<H: BlockHeap>(name: &str, group: &str, family: &Family) -> Result<Vec<Measurement>> {
    if !H::PRESENT {
        skip(name, "not plugged in")?;
        return Ok(vec![]);
    }
    match group {
        "work" => work::measure::<H>(family),
        "beside" if name.starts_with("heap_ours") => beside::measure(family),
        "calm" => work::measure_calm::<H>(family),
        "many" => many::measure::<H>(family),
        _ if !H::DURABLE => Err("memory has no files".into()),
        "file" => file::measure::<H>(family),
        "open" => open::measure::<H>(family),
        "commit" => commit::measure::<H>(family),
        _ => Err(format!("no group is called {group}").into()),
    }
}

/// Says how long opening took, and the first change after it.
pub(crate) fn child_open(out: &mut impl Write, of: (&str, &str), id: u64) -> Result<()> {
    match of {
        ("ours", folder) => open::child::<Ours>(out, folder, id),
        ("limit", folder) => open::child::<Limit>(out, folder, id),
        (other, _) => Err(format!("no heap is called {other}").into()),
    }
}

/// Makes blocks, says the id of one, and goes on until killed.
pub(crate) fn child_hold(
    out: &mut impl Write,
    of: (&str, &str),
    count: (usize, Uncommitted),
) -> Result<()> {
    match of {
        ("ours", folder) => open::child_hold::<Ours>(out, folder, count),
        ("limit", folder) => open::child_hold::<Limit>(out, folder, count),
        (other, _) => Err(format!("no heap is called {other}").into()),
    }
}

/// The quantities of a contender and group.
struct Family {
    prefix: String,
    scale: Scale,
}

impl Family {
    fn named(&self, name: &str, value: f64, unit: &'static str) -> Measurement {
        Measurement::new(format!("{}_{name}", self.prefix), value, unit)
    }

    fn contender(&self) -> Result<&str> {
        Ok(self.prefix.split('_').nth(1).ok_or("no contender")?)
    }
}

/// Twice what a million blocks take.
const WARM_BYTES: usize = 600 << 20;

/// Blocks by id and length.
type Blocks = Vec<(u64, usize)>;

/// Touches memory and gives it back: the host of a virtual machine has it ready then, which else
/// is paid by whoever runs first.
fn warm(scale: Scale) {
    let bytes = scale.count(WARM_BYTES);
    std::hint::black_box(vec![1_u8; bytes]);
}

/// Makes blocks of these sizes; CPU nanoseconds for each.
fn fill<H: BlockHeap>(
    heap: &mut H,
    (work, sizes): (&Work, &[usize]),
    blocks: &mut Blocks,
) -> Result<f64> {
    blocks.reserve(sizes.len());
    let (time, filled) = Clock::Thread.time(|| -> Result<()> {
        let mut writer = heap.writer()?;
        for (&size, number) in sizes.iter().zip(0..) {
            blocks.push((writer.alloc_fill(work.bytes(number, size))?, size));
        }
        Ok(())
    });
    filled?;
    Ok(nanos_each(time, sizes.len()))
}

/// Frees these blocks; CPU nanoseconds for each.
fn free<H: BlockHeap>(heap: &mut H, blocks: &[(u64, usize)]) -> Result<f64> {
    let ids: Vec<u64> = blocks.iter().map(|&(id, _)| id).collect();
    let (time, freed) = Clock::Thread.time(|| heap.writer()?.free_many(&ids));
    freed?;
    Ok(nanos_each(time, blocks.len()))
}

/// Time by the wall of a commit.
fn commit<H: BlockHeap>(heap: &mut H) -> Result<Duration> {
    let (time, committed) = Clock::Wall.time(|| heap.commit());
    committed.map(|()| time)
}

fn nanos_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / float(count as u64)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
