//! Questions to a finished index, warm: each is asked many times, and the median counts.

use std::{
    env,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use bench_own::{Clock, Folder, Result, run_child};
use pagestone_heapdump::{HeapIndex, Rank};

use crate::{Measurement, float};

/// Runs of which the median counts.
const RUNS: usize = 21;

/// Objects and strings that are asked about.
const SAMPLES: usize = 2_000;

/// What references of an object may cost: 10 µs, and 50 ns for each.
const CALL_NANOS: f64 = 10_000.0;
const REFERENCE_NANOS: f64 = 50.0;

pub(super) fn measure(megabytes: u64, index: &str) -> Result<Vec<Measurement>> {
    let numbers = run_child(&["heapdump_ask", index])?;
    let &[open, histogram, object, references, string, biggest] = numbers.as_slice() else {
        return Err("the child says too little".into());
    };
    let named =
        |what, value, unit| Measurement::new(format!("heapdump_{megabytes}_{what}"), value, unit);
    Ok(vec![
        named("open", open / 1e6, "ms"),
        named("histogram", histogram / 1e6, "ms"),
        named("object", object / 1e3, "us"),
        named("references", references, "of 10 us + 50 ns each"),
        named("string", string / 1e3, "us"),
        named("biggest", biggest / 1e6, "ms"),
        named("process", process(index)? / 1e6, "ms"),
    ])
}

/// The time of a whole process that opens the index and makes the histogram.
fn process(index: &str) -> Result<f64> {
    let program = env::current_exe()?;
    median(|| {
        let mut command = Command::new(&program);
        command.args(["child", "heapdump_histogram", index]).stdout(Stdio::null());
        if !command.status()?.success() {
            return Err("the histogram failed".into());
        }
        Ok(())
    })
}

/// Median nanoseconds of some runs.
fn median(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let (time, done) = Clock::Wall.time(&mut run);
        done?;
        times.push(time);
    }
    times.sort_unstable();
    Ok(nanos(times[RUNS / 2]))
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn opened(index: &str) -> Result<HeapIndex> {
    let path = Path::new(index);
    let parent = path.parent().and_then(Path::to_str).ok_or("no folder")?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("no name")?;
    Ok(HeapIndex::open(&Folder::of_parent(parent).trusted_at(name))?)
}

pub(crate) fn child_histogram(out: &mut impl Write, index: &str) -> Result<()> {
    for class in opened(index)?.histogram(Rank::Bytes)? {
        writeln!(out, "{} {} {}", class.name, class.count, class.bytes)?;
    }
    Ok(())
}

/// Asks and says the nanoseconds of: open, histogram, object, references as a share of what they
/// may cost, string, biggest.
pub(crate) fn child(out: &mut impl Write, index: &str) -> Result<()> {
    let path = index;
    let index = opened(path)?;
    // By every route once, so that all is warm.
    let ids = ids(&index)?;
    let values: Vec<String> =
        index.string_values(SAMPLES)?.into_iter().map(|value| value.value).collect();
    let open = median(|| opened(path).map(drop))?;
    let histogram = median(|| Ok(index.histogram(Rank::Bytes).map(drop)?))?;
    let biggest = median(|| Ok(index.biggest(10).map(drop)?))?;
    let object = each(&ids, |id| {
        index.object(id)?.ok_or("no object")?;
        Ok(())
    })?;
    let mut allowed = 0.0;
    let references = median(|| {
        allowed = 0.0;
        for &id in &ids {
            let list = index
                .outbound(id)?
                .ok_or("no object")?
                .chain(index.inbound(id)?.ok_or("no object")?);
            allowed += 2.0 * CALL_NANOS;
            for reference in list {
                reference?;
                allowed += REFERENCE_NANOS;
            }
        }
        Ok(())
    })?;
    let string = each(&values, |value| {
        index.strings_of(&value)?.next().ok_or("no string")??;
        Ok(())
    })?;
    let references = references / allowed;
    writeln!(out, "{open} {histogram} {object} {references} {string} {biggest}")?;
    Ok(())
}

/// Median nanoseconds of one of many.
fn each<T: Clone>(all: &[T], mut ask: impl FnMut(T) -> Result<()>) -> Result<f64> {
    let count = u64::try_from(all.len().max(1))?;
    let total = median(|| all.iter().cloned().try_for_each(&mut ask))?;
    Ok(total / float(count))
}

/// Some objects, far apart: instances of all classes.
fn ids(index: &HeapIndex) -> Result<Vec<u64>> {
    let mut ids = Vec::new();
    let classes = index.histogram(Rank::Count)?;
    let each = SAMPLES / classes.len().max(1) + 1;
    for class in classes {
        let instances = index.instances(class.class_id, pagestone_heapdump::Subclasses::Without)?;
        for id in instances.into_iter().flatten().take(each) {
            ids.push(id?);
        }
    }
    Ok(ids)
}
