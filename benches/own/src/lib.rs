//! What the benchmarks share: sizes, clocks, records, keys and files.

mod scale; // how large everything is: full, quick, tiny
mod clock; // thread, process and wall time, also as criterion's measurement
mod folder; // a folder on the target's device, and the promise about it
mod words; // records of any number of words
mod keys; // keys in the orders that sorts are measured on
mod sorted; // a sorted storage with an accelerator, and what is looked up in it
mod process; // children, private memory, bytes of devices, who runs first
pub mod heap; // workload H: the blocks, and who keeps them
pub mod entries; // workload E: the entries, and who keeps them
pub mod index; // workload S: the rows, and who finds them
pub mod slots; // workload B: equal values, and who keeps them
pub mod strings; // workload I: strings that come again and again, and who keeps them once
mod device; // bytes that a block device has written
mod raw; // mapped files and blocks of mimalloc: the home of unsafe code

pub use crate::{
    clock::Clock,
    device::Device,
    folder::{Folder, drop_pages},
    keys::{Distribution, Random},
    process::{
        ProgramCost, Watch, device_reads, private_memory, resident_peak, run_and_kill, run_child,
        run_program, scheduled_first, waits_of_thread, written_bytes,
    },
    raw::{Counting, Mapping, MiBlock, MiBox, Populate, allocated},
    scale::Scale,
    sorted::{Accelerator, Probes, Sorted, sorted_pairs},
    words::{KEY, Words, with_keys},
};

use std::io::Write as _;

/// A result of this crate: whatever went wrong, there is nothing to measure.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Says that what was asked for by this name is left out, and why.
///
/// # Errors
///
/// When nobody listens.
pub fn skip(name: &str, reason: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "skipped: {name}: {reason}")?)
}

/// The value, where criterion leaves no way to hand on an error.
///
/// # Panics
///
/// If there is none.
#[expect(clippy::panic, reason = "a benchmark that cannot run has no time to report")]
pub fn must<T, E: std::fmt::Display>(result: std::result::Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
