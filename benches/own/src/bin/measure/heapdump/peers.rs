//! Other programs on the same dump: time and memory of their processes, from outside.

use std::{io::Write, path::Path, time::Duration};

use bench_own::{Folder, ProgramCost, Result, Scale, run_program};

use super::{generate, megabytes, text};
use crate::float;

/// Runs of which the median counts.
const RUNS: usize = 9;

/// Runs that are added up until they took so much CPU time, which is told in steps of 10 ms.
const CPU_MIN: Duration = Duration::from_millis(500);
const RUNS_MAX: u32 = 200;

/// Runs a peer, whose programs lie in the folder `programs`, on a dump of the size that the name
/// of the quantity says.
pub(crate) fn child(
    out: &mut impl Write,
    (name, programs): (&str, &str),
    scale: Scale,
) -> Result<()> {
    let megabytes = megabytes(name)?;
    let folder = Folder::new()?;
    let dump = folder.path("generated.hprof");
    let len = float(generate(&dump, (megabytes, scale))?);
    let dump = text(&dump)?;
    let peer = name.split('_').next().unwrap_or(name);
    let mut tell = |what: &str, value: f64, unit: &str| {
        let name = format!("{peer}_{megabytes}_{what}");
        writeln!(out, r#"{{"name":"{name}","value":{value},"unit":"{unit}"}}"#)
    };
    match peer {
        "hprofanalyzer" => {
            let program = Path::new(programs).join("hprof-analyzer");
            // What it keeps beside the dump answers from the second call on.
            let (load, clear) = (["heap", "load", &dump], ["heap", "cache-clear", &dump]);
            let built = cost(&program, &load, || run_program(&program, &clear).map(drop))?;
            tell("build_all", len / 1e6 / built.cpu.as_secs_f64(), "MB/CPU-s")?;
            tell("build_resident", float(built.resident_peak) / len, "of the dump")?;
            run_program(&program, &load)?;
            tell("process", median(&program, &["heap", "histogram", &dump])?, "ms")?;
        }
        "hprofslurp" => {
            let program = Path::new(programs).join("hprof-slurp");
            let read = cost(&program, &[&dump], || Ok(()))?;
            tell("build_objects", len / 1e6 / read.cpu.as_secs_f64(), "MB/CPU-s")?;
            tell("process", median(&program, &[&dump])?, "ms")?;
        }
        _ => return Err(format!("no program is called {peer}").into()),
    }
    Ok(())
}

/// What one of some runs cost, each after `before`: their mean, and the highest memory.
fn cost(
    program: &Path,
    arguments: &[&str],
    mut before: impl FnMut() -> Result<()>,
) -> Result<ProgramCost> {
    let (mut sum, mut runs) =
        (ProgramCost { cpu: Duration::ZERO, resident_peak: 0, wall: Duration::ZERO }, 0);
    while sum.cpu < CPU_MIN && runs < RUNS_MAX {
        before()?;
        let run = run_program(program, arguments)?;
        sum.cpu += run.cpu;
        sum.wall += run.wall;
        sum.resident_peak = sum.resident_peak.max(run.resident_peak);
        runs += 1;
    }
    Ok(ProgramCost { cpu: sum.cpu / runs, wall: sum.wall / runs, ..sum })
}

/// Median milliseconds of a process.
fn median(program: &Path, arguments: &[&str]) -> Result<f64> {
    let mut walls = Vec::new();
    for _ in 0..RUNS {
        walls.push(run_program(program, arguments)?.wall);
    }
    walls.sort_unstable();
    Ok(walls[RUNS / 2].as_secs_f64() * 1e3)
}
