//! Other programs on the same dump: time and memory of their processes, from outside.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bench_own::{Folder, Result, Scale};

use super::{generate, megabytes, text};
use crate::float;

/// Hundredths of a second, in which the system counts CPU time.
const TICKS: f64 = 100.0;

/// Runs of which the median counts.
const RUNS: usize = 9;

/// What a process cost.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    cpu_seconds: f64,
    resident_peak: u64,
    wall: Duration,
}

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
            let built = run(&program, &["heap", "load", &dump])?;
            tell("build_all", len / 1e6 / built.cpu_seconds, "MB/CPU-s")?;
            tell("build_resident", float(built.resident_peak) / len, "of the dump")?;
            let wall = median(&program, &["heap", "histogram", &dump])?;
            tell("process", wall, "ms")?;
        }
        "hprofslurp" => {
            let program = Path::new(programs).join("hprof-slurp");
            let read = run(&program, &["-i", &dump])?;
            tell("build_objects", len / 1e6 / read.cpu_seconds, "MB/CPU-s")?;
            tell("process", median(&program, &["-i", &dump])?, "ms")?;
        }
        _ => return Err(format!("no program is called {peer}").into()),
    }
    Ok(())
}

/// Median milliseconds of a process.
fn median(program: &Path, arguments: &[&str]) -> Result<f64> {
    let mut walls = Vec::new();
    for _ in 0..RUNS {
        walls.push(run(program, arguments)?.wall);
    }
    walls.sort_unstable();
    Ok(walls[RUNS / 2].as_secs_f64() * 1e3)
}

/// Runs a process and looks at what the system says of it until it ends.
fn run(program: &Path, arguments: &[&str]) -> Result<Cost> {
    let began = Instant::now();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let (stat, status) =
        (format!("/proc/{}/stat", child.id()), format!("/proc/{}/status", child.id()));
    let mut cost = Cost::default();
    loop {
        // One that has ended stays as it was until it is waited for.
        let seen = fs::read_to_string(&stat)?;
        let fields: Vec<&str> = seen.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        if fields.first() == Some(&"Z") {
            cost.wall = began.elapsed();
            let ticks = |place: usize| -> Result<f64> {
                Ok(float(fields.get(place).ok_or("no times")?.parse()?))
            };
            cost.cpu_seconds = (ticks(11)? + ticks(12)?) / TICKS;
            break;
        }
        let peak = fs::read_to_string(&status)?
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        cost.resident_peak = cost.resident_peak.max(peak.unwrap_or(0) << 10);
        std::thread::sleep(Duration::from_micros(500));
    }
    let ended = child.wait()?;
    if ended.success() { Ok(cost) } else { Err(format!("{}: {ended}", program.display()).into()) }
}
