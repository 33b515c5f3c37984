//! The build of a heap dump's index, in a process of its own.
//!
//! CPU time is user and system time of all threads of that process, from its start. Peak private
//! memory is the highest of `RssAnon`, looked at every millisecond from before the build to after
//! it; what is mapped from files does not count. The dump is in the page cache.

use std::{fs::File, io::BufWriter, io::Write, path::Path};

use bench_own::{Clock, Folder, Result, Scale, Watch, resident_peak, run_child};
use pagestone_heapdump::BuildOptions;
use pagestone_testkit::hprof::{GeneratorOptions, generate_dump};

use crate::{Measurement, float};

pub(crate) fn measure(scale: Scale) -> Result<Vec<Measurement>> {
    let target_len = match scale {
        Scale::Full => 200_000_000,
        Scale::Quick => 20_000_000,
        Scale::Tiny => 1_000_000,
    };
    let folder = Folder::new()?;
    let (dump, index) = (folder.path("generated.hprof"), folder.path("index"));
    let mut out = BufWriter::new(File::create(&dump)?);
    let len = generate_dump(&GeneratorOptions { target_len, seed: 1 }, &mut out)?.file_len;
    out.flush()?;
    drop(out);

    let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("a path that is no text");
    let numbers = run_child(&["heapdump", &text(&dump)?, &text(&index)?])?;
    let &[cpu, wall, private, resident] = numbers.as_slice() else {
        return Err("the child says too little".into());
    };
    let rate = |seconds: f64| float(len) / 1e6 / seconds;
    Ok(vec![
        Measurement::new("heapdump_build_mb_per_cpu_second", rate(cpu), "MB/CPU-s"),
        Measurement::new("heapdump_build_mb_per_second", rate(wall), "MB/s"),
        Measurement::new("heapdump_build_peak_private_share", private / float(len), "of the dump"),
        Measurement::new(
            "heapdump_build_peak_resident_share",
            resident / float(len),
            "of the dump",
        ),
    ])
}

pub(crate) fn child(out: &mut impl Write, dump: &str, index: &str) -> Result<()> {
    let watch = Watch::start()?;
    let (wall, built) = Clock::Wall.time(|| BuildOptions::new().build(dump, index));
    built?;
    let private = watch.end()?;
    let cpu = Clock::Process.now().as_secs_f64();
    writeln!(out, "{cpu} {} {private} {}", wall.as_secs_f64(), resident_peak()?)?;
    Ok(())
}
