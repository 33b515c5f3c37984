//! A sort of four times its memory budget, beside two ways to sort the same file at once.
//!
//! One is the same sort without a budget, in a mapped copy; the other reads the file into a storage
//! in memory, sorts that in place and writes it to a new file. Each runs in a process of its own.
//! A sort's time ends with the last word of progress, which comes before the sync of the file.

use std::{fs::File, io::Write, ops::ControlFlow, time::Duration};

use bench_own::{Clock, Folder, KEY, Random, Result, Scale, Watch, Words, run_child};
use pagestone_storage::{Backing, Options, Storage};

use crate::{Measurement, float};

/// Bytes of memory that the sort may take.
const BUDGET: usize = 128 << 20;
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn measure(scale: Scale) -> Result<Vec<Measurement>> {
    // A storage takes no budget below a MiB.
    let budget = scale.count(BUDGET).max(1 << 20);
    let records = (4 * budget / size_of::<Words<2>>()).to_string();
    let run = |way: &str| -> Result<[f64; 3]> {
        let numbers = run_child(&["external", way, &budget.to_string(), &records])?;
        numbers.try_into().map_err(|_| "a child says too little".into())
    };
    let [cpu, wall, peak] = run("parts")?;
    let [cpu_copy, wall_copy, _] = run("copy")?;
    let [cpu_memory, wall_memory, _] = run("memory")?;
    let over = peak / MIB - float(budget as u64) / MIB;
    Ok(vec![
        Measurement::new("external_cpu", cpu, "ms"),
        Measurement::new("external_wall", wall, "ms"),
        Measurement::new("external_peak_over_budget", over, "MiB"),
        Measurement::new("external_peak", peak / MIB, "MiB"),
        Measurement::new("external_copy_cpu", cpu_copy, "ms"),
        Measurement::new("external_copy_wall", wall_copy, "ms"),
        Measurement::new("external_memory_cpu", cpu_memory, "ms"),
        Measurement::new("external_memory_wall", wall_memory, "ms"),
    ])
}

/// Sorts `count` records in one of the three ways.
pub(crate) fn child(out: &mut impl Write, way: &str, (budget, count): (u64, u64)) -> Result<()> {
    let folder = Folder::new()?;
    let mut storage = filled(&folder, count)?;
    let watch = Watch::start()?;
    let (cpu, wall) = match way {
        "parts" => sorted(&mut storage, Some(budget))?,
        "copy" => sorted(&mut storage, None)?,
        "memory" => {
            let start = now();
            storage = through_memory(&folder, &storage)?;
            since(start, now())
        }
        _ => return Err(format!("no way is called {way}").into()),
    };
    let peak = watch.end()?;
    let keys = storage.iter().map(|record| record.map_or(0, |record| record.key()));
    if storage.len() != count || !keys.is_sorted() {
        return Err("not sorted".into());
    }
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    writeln!(out, "{} {} {peak}", millis(cpu), millis(wall))?;
    Ok(())
}

/// Records with random keys.
fn filled(folder: &Folder, count: u64) -> Result<Storage<Words<2>>> {
    let mut random = Random::new(5);
    let mut storage: Storage<Words<2>> =
        Options::new().backing(Backing::Map).create(folder.path("records"))?;
    while storage.len() < count {
        let next = usize::try_from(count - storage.len())?.min(64 << 10);
        let batch: Vec<_> = (0..next).map(|_| Words::new(random.next(), 0)).collect();
        storage.append(&batch)?;
    }
    Ok(storage)
}

type Moment = (Duration, Duration);

fn now() -> Moment {
    (Clock::Thread.now(), Clock::Wall.now())
}

/// CPU time of the thread and time by the wall.
fn since(start: Moment, end: Moment) -> (Duration, Duration) {
    (end.0.saturating_sub(start.0), end.1.saturating_sub(start.1))
}

/// Sorts with or without a budget.
fn sorted(storage: &mut Storage<Words<2>>, budget: Option<u64>) -> Result<(Duration, Duration)> {
    let start = now();
    let mut end = start;
    let sort = storage.sort_by(KEY).progress(|_| {
        end = now();
        ControlFlow::Continue(())
    });
    let sort = match budget {
        Some(budget) => sort.memory(budget),
        None => sort,
    };
    sort.run()?;
    Ok(since(start, end))
}

/// Reads all records into memory, sorts them there and writes them to a new file.
fn through_memory(folder: &Folder, from: &Storage<Words<2>>) -> Result<Storage<Words<2>>> {
    let mut block = vec![0; 1 << 20];
    let mut blocks = |from: &Storage<Words<2>>, to: &mut dyn FnMut(&[u8]) -> Result<()>| {
        let per_block = (block.len() / from.record_size()) as u64;
        let mut index = 0;
        while index < from.len() {
            let count = usize::try_from(per_block.min(from.len() - index))?;
            let block = &mut block[..count * from.record_size()];
            from.read_into(index, block)?;
            to(block)?;
            index += count as u64;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    };
    let mut memory: Storage<Words<2>> = Options::new().in_memory()?;
    blocks(from, &mut |block| Ok(memory.append(bytemuck::cast_slice(block)).map(drop)?))?;
    memory.sort_by(KEY).in_place().run()?;
    let path = folder.path("sorted");
    let mut file = File::create_new(&path)?;
    blocks(&memory, &mut |block| Ok(file.write_all(block)?))?;
    Ok(Options::new().open(path)?)
}
