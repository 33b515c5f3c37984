//! The plain program runs at the smallest size, so that it cannot rot.

#[cfg(test)]
mod measure; // the plain program, every family of it
