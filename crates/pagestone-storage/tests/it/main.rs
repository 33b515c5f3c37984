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
