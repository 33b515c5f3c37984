//! The tests of `pagestone-buffer` that speak through its public interface.
#![cfg(test)]

mod support; // files, contents
mod entries; // one operation at a time
mod maps; // keys to values
mod compaction; // space back, beside readers and writers
mod salvage; // damaged files, and files open for reading
