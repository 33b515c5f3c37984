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

use crate::Result;

const PERIOD: Duration = Duration::from_millis(1);

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

/// The number after `name` in a file of `/proc/self`, in bytes.
fn proc_field(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(Path::new("/proc/self").join(file))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.ok_or_else(|| format!("no {name} in /proc/self/{file}"))?.trim();
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
    proc_field("status", "RssAnon")
}

/// Bytes that devices have read for this process.
///
/// # Errors
///
/// When the system does not tell.
pub fn device_reads() -> Result<u64> {
    proc_field("io", "read_bytes")
}

/// Bytes that this process has dirtied in files or written past the cache: what the kernel charges
/// it for that devices write.
///
/// # Errors
///
/// When the system does not tell.
pub fn written_bytes() -> Result<u64> {
    proc_field("io", "write_bytes")
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
    proc_field("status", "VmHWM")
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
        let peak = Arc::new(AtomicU64::new(private_memory()?));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (peak, stop) = (Arc::clone(&peak), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    peak.fetch_max(private_memory().unwrap_or(0), Ordering::Relaxed);
                    thread::sleep(PERIOD);
                }
            }
        });
        Ok(Self { peak, stop, thread })
    }

    /// Looks once more and returns the highest.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the watch failed")?;
        Ok(self.peak.load(Ordering::Relaxed).max(private_memory()?))
    }
}
