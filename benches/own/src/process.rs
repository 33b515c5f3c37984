//! What the system knows of this process, children of it, and pages that are dropped.
//!
//! The kernel keeps no high-water mark of private memory alone (`VmHWM` counts mapped files too),
//! so a thread reads `RssAnon` of `/proc/self/status` every millisecond and keeps the highest.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Clock, Result};

const PERIOD: Duration = Duration::from_millis(1);

/// What `/proc` has of this process.
const SELF: &str = "/proc/self";

/// Runs this program as a child; returns the numbers that it prints.
///
/// # Errors
///
/// Those of the child, or when it prints no numbers.
pub fn run_child(arguments: &[&str]) -> Result<Vec<f64>> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg("child").args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("child {arguments:?}: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.split_whitespace().map(|number| Ok(number.parse()?)).collect()
}

/// Runs this program as a child until it says its first line, then kills it; returns the line.
///
/// # Errors
///
/// When there is no child, or it says nothing.
pub fn run_and_kill(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(env::current_exe()?);
    let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
    let mut child = command.arg("child").args(arguments).stdin(stdin).stdout(stdout).spawn()?;
    let mut line = String::new();
    let told = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
    child.kill()?;
    child.wait()?;
    told.ok_or("no output")??;
    Ok(line.trim().to_owned())
}

/// Starts this program over, scheduled before all others, where that is allowed.
///
/// Among others, a wait for the device often ends with the next tick of the scheduler only, up to
/// 4 ms late; that says nothing about what waited.
///
/// # Errors
///
/// When this program cannot be started over.
pub fn scheduled_first() -> Result<()> {
    const DONE: &str = "MEASURE_SCHEDULED_FIRST";
    let first = |program: &OsStr| {
        let mut command = Command::new("chrt");
        command.args(["--fifo", "1"]).arg(program);
        command
    };
    let is_allowed = || first("true".as_ref()).stderr(Stdio::null()).status();
    if env::var_os(DONE).is_some() || !is_allowed().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let mut again = first(env::current_exe()?.as_ref());
    // Comes back only with an error.
    Err(again.args(env::args_os().skip(1)).env(DONE, "1").exec().into())
}

/// What another program cost.
#[derive(Debug, Clone, Copy)]
pub struct ProgramCost {
    /// User and system time of its threads, in steps of 10 ms.
    pub cpu: Duration,
    /// The highest resident memory, of files or not.
    pub resident_peak: u64,
    /// From its start to its end.
    pub wall: Duration,
}

/// Runs another program, whose output nobody sees.
///
/// # Errors
///
/// When it does not start, or fails.
pub fn run_program(program: &Path, arguments: &[&str]) -> Result<ProgramCost> {
    let cpu_before = cpu_of_children()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Clock::Wall.now();
    let mut child = command.spawn()?;
    let place = format!("/proc/{}", child.id());
    // Until it is waited for there is such a place, though an ended one has no memory.
    let watch = Watch::look(move || proc_field(&place, "status", "VmHWM"));
    let status = child.wait()?;
    let wall = Clock::Wall.since(start);
    let resident_peak = watch.stop()?;
    if !status.success() {
        return Err(format!("{} {arguments:?}: {status}", program.display()).into());
    }
    let cpu = cpu_of_children()?.saturating_sub(cpu_before);
    Ok(ProgramCost { cpu, resident_peak, wall })
}

/// User and system time of all children that have ended.
fn cpu_of_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name, in brackets, may hold spaces.
    let (_, fields) = stat.rsplit_once(')').ok_or("no times")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(13).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 10))
}

/// The number after `name` in a file of a directory of `/proc`, in bytes.
fn proc_field(process: &str, file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(Path::new(process).join(file))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.ok_or_else(|| format!("no {name} in {process}/{file}"))?.trim();
    Ok(match value.strip_suffix(" kB") {
        Some(kilobytes) => kilobytes.trim().parse::<u64>()? * 1024,
        None => value.parse()?,
    })
}

/// Bytes of memory that belong to this process alone and to no file.
///
/// # Errors
///
/// When the system does not tell.
pub fn private_memory() -> Result<u64> {
    proc_field(SELF, "status", "RssAnon")
}

/// Bytes that devices have read for this process.
///
/// # Errors
///
/// When the system does not tell.
pub fn device_reads() -> Result<u64> {
    proc_field(SELF, "io", "read_bytes")
}

/// Bytes that this process has dirtied in files or written past the cache: what the kernel charges
/// it for that devices write.
///
/// # Errors
///
/// When the system does not tell.
pub fn written_bytes() -> Result<u64> {
    proc_field(SELF, "io", "write_bytes")
}

/// How often the calling thread has stopped to wait for something, a lock or a device.
///
/// # Errors
///
/// When the system does not tell.
pub fn waits_of_thread() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(line.ok_or("no count of waits")?.trim().parse()?)
}

/// Bytes of a mapped file or of memory, both: what the kernel keeps a mark of.
///
/// # Errors
///
/// When the system does not tell.
pub fn resident_peak() -> Result<u64> {
    proc_field(SELF, "status", "VmHWM")
}

/// The highest private memory while this lives.
#[derive(Debug)]
pub struct Watch {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts to look.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn start() -> Result<Self> {
        private_memory()?;
        Ok(Self::look(private_memory))
    }

    /// Looks with `read`, and past what it does not tell.
    fn look(read: impl Fn() -> Result<u64> + Send + 'static) -> Self {
        let (peak, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (peak, stop) = (Arc::clone(&peak), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    peak.fetch_max(read().unwrap_or(0), Ordering::Relaxed);
                    thread::sleep(PERIOD);
                }
            }
        });
        Self { peak, stop, thread }
    }

    /// Ends it; returns the highest.
    fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the watch failed")?;
        Ok(self.peak.load(Ordering::Relaxed))
    }

    /// Looks once more and returns the highest.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn end(self) -> Result<u64> {
        let now = private_memory()?;
        Ok(self.stop()?.max(now))
    }
}
