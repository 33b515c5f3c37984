//! What the benchmarks share: sizes, clocks, records, keys and files.

mod scale; // how large everything is: full, quick, tiny
mod clock; // thread, process and wall time, also as criterion's measurement
mod folder; // a folder on the target's device, and the promise about it
mod words; // records of any number of words
mod keys; // keys in the orders that sorts are measured on
mod sorted; // a sorted storage with an accelerator, and what is looked up in it

pub use crate::{
    clock::Clock,
    folder::Folder,
    keys::{Distribution, Random},
    scale::Scale,
    sorted::{Accelerator, Probes, Sorted, sorted_pairs},
    words::{KEY, Words, with_keys},
};

/// A result of this crate: whatever went wrong, there is nothing to measure.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

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
