//! Workload S: rows of 40 bytes that are found by a random key, relations, opening.
//!
//! A contender implements [`TableStore`]; the phases stand here, so that engines of other crates
//! run the very same ones.

mod rows; // the rows, their links, the pairs of relations
mod phases; // load, lookups, scan
mod ours; // pagestone-index: the same, and in batches, builds, opening
mod volatile; // hashbrown and BTreeMap
mod relation; // which rows belong to a key, against a map of lists
mod words; // rows with keys of bytes

pub use self::{
    ours::{build, open, ours},
    phases::table,
    relation::{of_map, of_ours},
    rows::{ROW_SIZE, TableRows, pairs, word},
    volatile::{Hash, Tree, raw, sorted_pairs_of_positions},
    words::{WORD_SIZE, WordRows, words_ours},
};

use crate::{Folder, Result};

/// A key and its row, as many as wished, in key order.
pub type InOrder<'r> = Box<dyn Iterator<Item = (u64, &'r [u8; ROW_SIZE])> + 'r>;

/// Rows under keys, loaded at once and read from then on.
pub trait TableStore: Sized {
    /// Loads rows in key order, the way the engine likes best, and has them on the device where
    /// it has files.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn load(folder: &Folder, rows: InOrder<'_>) -> Result<Self>;

    /// Looks up a key, then the one that `next` answers to its row, until there is none.
    ///
    /// # Errors
    ///
    /// Those of the engine; a key that is absent.
    fn follow(&self, first: u64, next: impl FnMut(&[u8]) -> Option<u64>) -> Result<()>;

    /// Shows all rows in key order; false where there is no order.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn scan(&self, each: impl FnMut(&[u8])) -> Result<bool>;
}

/// Nanoseconds of each of `count`.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits of a count")]
fn each(time: std::time::Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// Bytes for each of `count`.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits of a count")]
const fn share(bytes: u64, count: usize) -> f64 {
    bytes as f64 / count as f64
}
