//! Rows on many threads, with rayon.

use rayon::iter::ParallelIterator;

use crate::{error::Result, rows::Rows, schema::Record, table::Table};

impl<R: Record> Rows<'_, R> {
    /// The rows that are left, on rayon's threads, in no order.
    #[must_use]
    pub fn into_parallel(self) -> impl ParallelIterator<Item = Result<R>> {
        rayon::iter::split(self, Rows::split).flat_map_iter(|rows| rows)
    }
}

impl<R: Record> Table<R> {
    /// Iterates all rows on rayon's threads, in no order.
    #[must_use]
    pub fn par_iter(&self) -> impl ParallelIterator<Item = Result<R>> {
        self.iter().into_parallel()
    }
}
