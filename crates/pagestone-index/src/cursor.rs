//! A place between two rows in key order, which moves.

use std::fmt;

use crate::{by::By, error::Result, key::KeyValue, schema::Record};

/// A place between two rows in the order of a key, made by [`By::cursor`].
///
/// [`next`](Self::next) and [`prev`](Self::prev) return the row that they pass.
pub struct Cursor<'t, R, K> {
    by: By<'t, R, K>,
    /// How many rows are in front of it.
    rank: u64,
}

impl<'t, R: Record, K: KeyValue> Cursor<'t, R, K> {
    pub(crate) fn new(by: By<'t, R, K>) -> Self {
        Self { by, rank: 0 }
    }

    /// Returns how many rows are in front of the cursor.
    #[must_use]
    pub fn rank(&self) -> u64 {
        self.rank
    }

    /// Goes in front of the first row whose key is not below `key`.
    ///
    /// # Errors
    ///
    /// See [`By`].
    pub fn seek(&mut self, key: K) -> Result<()> {
        self.rank = self.by.rank(key)?;
        Ok(())
    }

    /// Goes behind so many rows, or behind the last one.
    pub fn seek_rank(&mut self, rank: u64) {
        self.rank = rank.min(self.by.part().len());
    }

    /// Passes the next row and returns it; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// See [`By`]; the cursor stays then.
    #[expect(clippy::should_implement_trait, reason = "a cursor goes both ways, and can fail")]
    pub fn next(&mut self) -> Result<Option<R>> {
        let row = self.by.select(self.rank)?;
        self.rank += u64::from(row.is_some());
        Ok(row)
    }

    /// Passes the row in front of the cursor, backwards, and returns it; `None` in front of the
    /// first one.
    ///
    /// # Errors
    ///
    /// See [`By`]; the cursor stays then.
    pub fn prev(&mut self) -> Result<Option<R>> {
        let Some(rank) = self.rank.checked_sub(1) else { return Ok(None) };
        let row = self.by.select(rank)?;
        self.rank = rank;
        Ok(row)
    }
}

impl<R, K> fmt::Debug for Cursor<'_, R, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cursor").field("by", &self.by).field("rank", &self.rank).finish()
    }
}
