//! The tests of `pagestone-storage` that speak through its public face.

#[cfg(test)]
mod support; // backings, directories, records
#[cfg(test)]
mod records; // append, get, set, swap, cut, iterate over every backing
#[cfg(test)]
mod opening; // create, open, locks, tails, odd files
#[cfg(test)]
mod following; // readers that follow a writer
#[cfg(test)]
mod sorting; // sorted copies and what a reader sees of them
#[cfg(test)]
mod searching; // bounds and biases against a plain slice
#[cfg(test)]
mod model; // random operations against a `Vec`
#[cfg(test)]
mod faults; // every system call failed in turn
#[cfg(test)]
mod sidecar; // what is written beside the records, and what is said of it later
#[cfg(test)]
mod damaged; // sidecars with flipped, cut and made-up bytes
#[cfg(test)]
mod accelerated; // searches with a tree, for every kind of field
#[cfg(test)]
mod verifying; // what a full check finds
#[cfg(test)]
mod sort_ways; // every way to sort against the standard library
#[cfg(test)]
mod sort_breaks; // sorts that are cancelled, panic, are refused or killed
#[cfg(test)]
mod kill; // writers killed at any moment
#[cfg(test)]
mod processes; // a reader and a writer in two processes, and their locks
#[cfg(test)]
mod outcomes; // every operation with every call failed: old or new, and never a lost append
#[cfg(test)]
mod full_disk; // a file system without room
#[cfg(test)]
mod large; // more than 2^32 records, more than 2 GiB
#[cfg(test)]
mod allocations; // reads and searches take no memory
#[cfg(test)]
mod predecessors; // files of the Java predecessor, and defects it had
#[cfg(test)]
mod strangers; // other processes and other people at a storage's files and names
#[cfg(test)]
mod raw; // mapped bytes for a layer above: locks, words, space, events
#[cfg(test)]
mod new_file; // files that take their name when they are whole
#[cfg(test)]
mod format; // the sidecar's structs against docs/format.md
#[cfg(test)]
mod field {
    //! What the sidecar's layout file names from its crate.
    pub(crate) use pagestone_storage::{ByteOrder, Field, Kind};
}
