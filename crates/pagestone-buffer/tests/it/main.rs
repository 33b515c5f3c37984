//! The tests of `pagestone-buffer` that speak through its public interface.
#![cfg(test)]

mod support; // files, contents
mod entries; // one operation at a time
mod streams; // entries of unknown length
mod slack; // room behind contents, changes in place
mod groups; // entries of many threads
mod maps; // keys to values
mod map_model; // a map against one of the standard library
mod tables; // the tables of maps in the file
mod format; // layouts against docs/format.md
mod compaction; // space back, beside readers and writers
mod salvage; // damaged files, and files open for reading
mod predecessors; // the defects of docs/defects-buffer.md
mod refusals; // full disks, failed syncs, ids that name nothing
mod torture; // writers killed at any moment
