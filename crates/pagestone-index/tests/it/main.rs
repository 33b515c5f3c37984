//! The tests of `pagestone-index` that speak through its public interface.
#![cfg(test)]

mod support; // directories, rows, builds
mod schemas; // derived and run-time schemas
mod lookups; // every lookup against a sorted list
mod allocations; // lookups take no memory
mod builds; // several threads, duplicates, failures at every call, left-overs
mod damaged; // manifests and files that are not what was sealed
mod swept; // every byte of a table changed, and accelerators forged
mod deltas; // rows appended to a table, and merges that are killed
mod combined; // several keys at once, two tables at once
mod changes; // tables without a struct, or whose struct has changed
mod relations; // relations against sets of pairs
mod regions; // versions that become current by the commit of a region file
mod predecessors; // defects of the Java predecessor's indexes
