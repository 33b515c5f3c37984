//! The index of a heap dump: its build in a process of its own, and questions to it.
//!
//! CPU time is user and system time of all threads of that process, at the end of each step of the
//! build. Peak private memory is the highest of `RssAnon`, looked at every millisecond from before
//! the build to after it; what is mapped from files does not count. The dump is in the page cache.

mod ask; // questions to a finished index
mod peers; // the same work by other programs

use std::{
    fs::File,
    io::{BufWriter, Write},
    ops::ControlFlow,
    path::Path,
};

use bench_own::{Clock, Folder, Result, Scale, Watch, run_child};
use pagestone_heapdump::{BuildOptions, Phase};
use pagestone_testkit::hprof::{GeneratorOptions, generate_dump};

use crate::{Measurement, float};
pub(crate) use ask::{child as child_ask, child_histogram};
pub(crate) use peers::child as child_peer;

/// Measures everything for a dump of so many megabytes: `heapdump_MEGABYTES_…`.
pub(crate) fn measure(name: &str, scale: Scale) -> Result<Vec<Measurement>> {
    let megabytes = megabytes(name)?;
    let folder = Folder::new()?;
    let (dump, index) = (folder.path("generated.hprof"), folder.path("index"));
    let len = generate(&dump, (megabytes, scale))?;
    let (dump, index) = (text(&dump)?, text(&index)?);
    let mut found = build(megabytes, len, (&dump, &index))?;
    found.extend(ask::measure(megabytes, &index)?);
    Ok(found)
}

/// The size that the name of a quantity says.
fn megabytes(name: &str) -> Result<u64> {
    let size = name.split('_').nth(1).ok_or("no size in the name")?;
    Ok(size.parse().map_err(|_| format!("{name}: no size"))?)
}

/// Makes the dump; returns its length.
fn generate(dump: &Path, (megabytes, scale): (u64, Scale)) -> Result<u64> {
    let target_len = match scale {
        Scale::Full => megabytes * 1_000_000,
        Scale::Quick => megabytes * 50_000,
        Scale::Tiny => 1_000_000,
    };
    let mut out = BufWriter::new(File::create(dump)?);
    let len = generate_dump(&GeneratorOptions { target_len, seed: 1 }, &mut out)?.file_len;
    out.flush()?;
    Ok(len)
}

fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().ok_or("a path that is no text")?.to_owned())
}

fn build(megabytes: u64, len: u64, (dump, index): (&str, &str)) -> Result<Vec<Measurement>> {
    let numbers = run_child(&["heapdump", dump, index])?;
    let &[objects, references, all, wall, private, index_len] = numbers.as_slice() else {
        return Err("the child says too little".into());
    };
    let rate = |seconds: f64| float(len) / 1e6 / seconds;
    let named =
        |what, value, unit| Measurement::new(format!("heapdump_{megabytes}_{what}"), value, unit);
    Ok(vec![
        named("build_objects", rate(objects), "MB/CPU-s"),
        named("build_references", rate(references), "MB/CPU-s"),
        named("build_all", rate(all), "MB/CPU-s"),
        named("build_wall", rate(wall), "MB/s"),
        named("build_private", private / float(len), "of the dump"),
        named("index_len", index_len / float(len), "of the dump"),
    ])
}

/// Builds and says: CPU seconds until the objects, the references and everything were done, wall
/// seconds, private memory, bytes of the index without an unpacked dump.
pub(crate) fn child(out: &mut impl Write, dump: &str, index: &str) -> Result<()> {
    let watch = Watch::start()?;
    let (mut objects, mut references) = (None, None);
    let (wall, built) = Clock::Wall.time(|| {
        BuildOptions::new().build_with(dump, index, |progress| {
            match progress.phase {
                Phase::Scan | Phase::Objects | Phase::Symbols | Phase::Classes => {}
                Phase::Dominators | Phase::Publish => {
                    references.get_or_insert_with(|| Clock::Process.now());
                }
                _ => {
                    objects.get_or_insert_with(|| Clock::Process.now());
                }
            }
            ControlFlow::Continue(())
        })
    });
    let tables = built?.tables;
    let (all, private) = (Clock::Process.now(), watch.end()?);
    let (objects, references) = (objects.ok_or("no objects")?, references.ok_or("no references")?);
    let own = tables.iter().filter(|table| table.name != "dump.hprof");
    let index_len: u64 = own.map(|table| table.byte_len).sum();
    let [objects, references, all, wall] =
        [objects, references, all, wall].map(|time| time.as_secs_f64());
    writeln!(out, "{objects} {references} {all} {wall} {private} {index_len}")?;
    Ok(())
}
