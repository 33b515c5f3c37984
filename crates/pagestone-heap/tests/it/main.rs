//! The tests of `pagestone-heap` that speak through its public interface.
#![cfg(test)]

mod support; // files, trust, contents
mod blocks; // one operation at a time
mod model; // random operations against a map, with every way to end
mod policies; // commits that happen by themselves
mod opening; // create, open, close, read-only
mod predecessors; // the defects of docs/defects-heap.md
mod format; // layouts against docs/format.md
mod by_hand; // a file read by what docs/format.md says
mod recorded; // files of testdata/vN are opened for ever
