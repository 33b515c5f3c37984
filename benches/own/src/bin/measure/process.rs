//! What the system knows of this process, children of it, and pages that are dropped.
//!
//! The kernel keeps no high-water mark of private memory alone (`VmHWM` counts mapped files too),
//! so a thread reads `RssAnon` of `/proc/self/status` every millisecond and keeps the highest.

use std::{
    env, fs,
    fs::File,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use bench_own::Result;
use rustix::fs::{Advice, fadvise};

const PERIOD: Duration = Duration::from_millis(1);

/// Runs this program as a child; returns the numbers that it prints.
pub(crate) fn run_child(arguments: &[&str]) -> Result<Vec<f64>> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg("child").args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("child {arguments:?}: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.split_whitespace().map(|number| Ok(number.parse()?)).collect()
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
pub(crate) fn private_memory() -> Result<u64> {
    proc_field("status", "RssAnon")
}

/// Bytes that devices have read for this process.
pub(crate) fn device_reads() -> Result<u64> {
    proc_field("io", "read_bytes")
}

/// Bytes of a mapped file or of memory, both: what the kernel keeps a mark of.
pub(crate) fn resident_peak() -> Result<u64> {
    proc_field("status", "VmHWM")
}

/// The highest private memory while this lives.
pub(crate) struct Watch {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Starts to look.
    pub(crate) fn start() -> Result<Self> {
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
    pub(crate) fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the watch failed")?;
        Ok(self.peak.load(Ordering::Relaxed).max(private_memory()?))
    }
}

/// Drops the pages of a file, which nobody has mapped, from memory. Its inode stays there.
pub(crate) fn drop_pages(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}
