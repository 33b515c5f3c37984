//! The tests of the heap-dump index.

// What every test needs: a folder, a build, an open index, and the comparison with a dump.
#[cfg(test)]
mod support;

// The recorded dump gives the answers of its truth files.
#[cfg(test)]
mod truth;

// What strings say, and which say the same.
#[cfg(test)]
mod strings;

// A small dump with known values.
#[cfg(test)]
mod shop;

// What filters find.
#[cfg(test)]
mod find;

// A damaged byte gives errors, never other answers.
#[cfg(test)]
mod flipped;

// What differs between two dumps.
#[cfg(test)]
mod diff;

// Notes stay.
#[cfg(test)]
mod notes;

// Small and generated dumps give the objects, classes and counts they were made of.
#[cfg(test)]
mod dumps;

// Dumps that are cut, damaged or none at all: what is told, and what is kept.
#[cfg(test)]
mod damage;

// Packed dumps are those they were packed from.
#[cfg(test)]
mod packed;

// An index appears whole or not at all, and replaces only what may be replaced.
#[cfg(test)]
mod publication;

// What objects refer to, retain and hold, in small dumps whose answers are known.
#[cfg(test)]
mod references;

// A killed build goes on from its last finished table.
#[cfg(test)]
mod resume;

// Damaged files of an index are refused or answer, and never panic.
#[cfg(test)]
mod damaged_index;

// Forged files, and what is no file.
#[cfg(test)]
mod hostile;

// The records are as docs/format.md says.
#[cfg(test)]
mod layout;
