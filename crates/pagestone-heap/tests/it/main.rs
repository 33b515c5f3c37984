//! The tests of `pagestone-heap` that speak through its public interface.
#![cfg(test)]

mod support; // files, trust, contents
mod blocks; // one operation at a time
mod streams; // blocks in pieces
mod listing; // blocks by flags and kind, orphans, wipes, zeros over old bytes
mod backup; // copies of a file in use
mod model; // random operations against a map, with every way to end
mod shrink; // blocks move, ids stay
mod compact; // dense copies with the same ids
mod policies; // commits that happen by themselves
mod opening; // create, open, close, read-only
mod predecessors; // the defects of docs/defects-heap.md
mod format; // layouts against docs/format.md
mod by_hand; // a file read by what docs/format.md says
mod recorded; // files of testdata/vN are opened for ever
mod readers; // readers in other processes
mod log; // entries in segments, what a buffer stands on
mod log_faults; // every system call of a change of a log failed
mod slabs; // objects in slots, what a slab store stands on
mod salvage; // logs from their segments alone
mod torture; // writers killed at any moment
mod slab_torture; // the same with slabs
mod threads; // readers beside the writer
mod held; // what a held generation keeps, to the byte
#[cfg(shuttle)]
mod interleaved; // the whole store with its threads run in orders of a scheduler
mod processes; // readers and writer as processes, all killed at any moment
mod hostile; // bytes that somebody else made
mod limits; // the smallest, the longest, the most, and too much
mod refusals; // full disks, failed syncs, other processes
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod audit; // every store, by page protection
mod crash; // kills and power losses at every store
mod faults; // every system call failed in turn
