//! Builds the index of a generated dump and prints what it cost: `measure FOLDER MEGABYTES`.
//!
//! Prints one line with the build's CPU time, its peak of private memory and its phases, and one
//! with the time of the questions. The dump is made once and stays in the folder.
#![expect(clippy::print_stdout, reason = "a program that prints what it measured")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]
#![expect(unsafe_code, reason = "the one line that asserts the trusted directory")]

use std::{
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use pagestone_heapdump::{BuildOptions, Existing, Follow, HeapIndex, ObjectIds, Rank, Subclasses};
use pagestone_storage::TrustedDir;
use pagestone_testkit::hprof::{GeneratorOptions, generate_dump};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("measure FOLDER MEGABYTES")?);
    let megabytes: u64 = arguments.next().ok_or("measure FOLDER MEGABYTES")?.parse()?;
    let dump = folder.join(format!("generated_{megabytes}.hprof"));
    if !dump.exists() {
        let mut out = BufWriter::new(File::create(&dump)?);
        generate_dump(&GeneratorOptions { target_len: megabytes * 1_000_000, seed: 1 }, &mut out)?;
        out.flush()?;
        println!("generated; run again to measure");
        return Ok(());
    }
    let index = folder.join(format!("generated_{megabytes}.index"));
    build(&dump, &index)?;
    ask(&index)
}

fn build(dump: &Path, index: &Path) -> Result<(), Box<dyn Error>> {
    let (cpu, began) = (cpu_time()?, Instant::now());
    let is_done = AtomicBool::new(false);
    let (report, peak) = thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak = 0;
            while !is_done.load(Ordering::Relaxed) {
                peak = peak.max(private_memory().unwrap_or(0));
                thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        let report = BuildOptions::new().existing(Existing::Replace).build(dump, index);
        is_done.store(true, Ordering::Relaxed);
        (report, sampler.join().unwrap_or(0))
    });
    let report = report?;
    let (wall, cpu) = (began.elapsed(), cpu_time()?.saturating_sub(cpu));
    let len = report.summary.dump_len;
    let rate = len as f64 / 1e6 / cpu.as_secs_f64();
    let index_len: u64 = report.tables.iter().map(|table| table.byte_len).sum();
    println!(
        "{len} bytes, {} objects: {cpu:?} cpu, {wall:?} wall, {rate:.0} MB per CPU-second, \
         {:.1} MB private memory at most, index {index_len} bytes",
        report.summary.object_count,
        peak as f64 / 1e6,
    );
    for phase in report.phases {
        println!("  {:?} {:?}", phase.phase, phase.elapsed);
    }
    Ok(())
}

fn ask(path: &Path) -> Result<(), Box<dyn Error>> {
    // SAFETY: this process made the index, and nobody is told of it.
    let dir = unsafe { TrustedDir::assert(path) };
    let began = Instant::now();
    let index = HeapIndex::open(&dir)?;
    let opened = began.elapsed();
    let began = Instant::now();
    let top = index.histogram(Rank::Bytes)?;
    let listed = began.elapsed();
    let first = top.iter().map(|class| class.class_id).find(|id| *id != 0).unwrap_or(0);
    let began = Instant::now();
    let mut found = 0;
    for step in 0..100_000 {
        found += u64::from(index.object(first + step * 8)?.is_some());
    }
    println!(
        "open {opened:?}, histogram {listed:?}, {:?} per object ({found} found)",
        began.elapsed() / 100_000
    );
    ask_about_objects(&index)
}

/// Asks about 10,000 strings, which lie all over the dump.
fn ask_about_objects(index: &HeapIndex) -> Result<(), Box<dyn Error>> {
    let strings = index.classes_named("java.lang.String")?;
    let class = strings.first().ok_or("no strings")?.id;
    let all = index.instances(class, Subclasses::Without)?.ok_or("no strings")?;
    let ids: Vec<u64> = all.step_by(19).take(10_000).collect::<Result<_, _>>()?;
    let count = u32::try_from(ids.len())?;
    let time = |what: &str, ask: &dyn Fn(u64) -> Result<u64, Box<dyn Error>>| {
        let began = Instant::now();
        let mut found = 0;
        for &id in &ids {
            found += ask(id)?;
        }
        println!("  {what} {:?} each ({found} found)", began.elapsed() / count);
        Ok::<_, Box<dyn Error>>(())
    };
    let counted = |ids: Option<ObjectIds<'_>>| ids.map_or(0, |ids| ids.count() as u64);
    time("object", &|id| Ok(u64::from(index.object(id)?.is_some())))?;
    time("outbound", &|id| Ok(counted(index.outbound(id)?)))?;
    time("inbound", &|id| Ok(counted(index.inbound(id)?)))?;
    time("retained", &|id| Ok(index.retained(id)?.map_or(0, |retained| retained.count)))?;
    time("path", &|id| {
        Ok(index.shortest_path(id, Follow::All)?.map_or(0, |path| path.len() as u64))
    })?;
    time("fields", &|id| Ok(index.fields(id)?.map_or(0, |fields| fields.len() as u64)))?;
    let began = Instant::now();
    let biggest = index.biggest(40)?.len();
    println!("  the {biggest} biggest {:?}", began.elapsed());
    Ok(())
}

/// User and system time of this process.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Bytes of memory that is this process's own.
fn private_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
