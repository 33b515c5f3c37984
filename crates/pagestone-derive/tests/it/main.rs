//! The tests of `pagestone-derive`: what it refuses. What it writes is tested by `pagestone-index`.
#![cfg(test)]

mod refused; // structs that do not compile, and what is said of them
