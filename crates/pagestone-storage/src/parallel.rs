//! Parallel iteration with rayon.

use rayon::iter::ParallelIterator;

use crate::{
    error::Result,
    iter::Iter,
    record::{Record, RecordRef},
    records::Records,
};

impl<T: Record + ?Sized + Sync> Records<T>
where
    T::Owned: Send,
{
    /// Iterates all records on rayon's threads, in no order.
    ///
    /// ```
    /// use pagestone_storage::{Options, Storage};
    /// use rayon::iter::ParallelIterator;
    ///
    /// let mut numbers: Storage<u64> = Options::new().in_memory()?;
    /// numbers.append(&[1, 2, 3])?;
    /// let sum: u64 = numbers.par_iter().map(|number| number.map_or(0, |number| *number)).sum();
    /// assert_eq!(sum, 6);
    /// # Ok::<(), pagestone_storage::Error>(())
    /// ```
    #[must_use]
    pub fn par_iter(&self) -> impl ParallelIterator<Item = Result<RecordRef<'_, T>>> {
        rayon::iter::split(self.iter(), Iter::split).flat_map_iter(|iter| iter)
    }
}
