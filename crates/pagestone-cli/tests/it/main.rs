//! The tests of the command `pagestone`: the built binary, run as a user runs it.

// What every test needs: a folder, a run of the program, what it said.
#[cfg(test)]
mod support;

// The recorded dump, built and asked: the answers are those of its truth files.
#[cfg(test)]
mod dump;

// Dumps that are cut, damaged or none at all, and directories that are no index.
#[cfg(test)]
mod damage;

// Files of records, shown: info, head, get, search, range, export.
#[cfg(test)]
mod show;

// Files of records, changed: sort, append, sidecar, and verify afterwards.
#[cfg(test)]
mod change;

// Region files: info, stats, verify, dump, get.
#[cfg(test)]
mod region;

// Logs in region files: what each command says of them, compact, salvage.
#[cfg(test)]
mod logs;

// Slabs and numbers in region files: what each command says of them.
#[cfg(test)]
mod slabs;

// Tables: import from every format, what does not fit, lookups, join, export, verify.
#[cfg(test)]
mod table;

// What holds for every command: usage errors, completions, closed and full outputs.
#[cfg(test)]
mod conventions;
