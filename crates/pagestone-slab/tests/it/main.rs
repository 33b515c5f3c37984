//! What the crate promises, seen from outside.

#[cfg(test)]
mod objects; // the object store: ids, lengths, search, settings
#[cfg(test)]
mod model; // the store and the interner beside maps of std
#[cfg(test)]
mod pools; // typed pools
#[cfg(test)]
mod interners; // interners of one thread and of many
#[cfg(test)]
mod file; // objects in a region file
#[cfg(test)]
mod file_interner; // strings in a region file
#[cfg(test)]
mod hostile_file; // files that are forged or damaged, limits
#[cfg(test)]
mod failures_file; // full disks, kills
#[cfg(test)]
mod predecessors; // defects of the stores that people used before
