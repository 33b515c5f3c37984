//! What several keys have together, and what any of them has.

use std::{cmp::Reverse, collections::BinaryHeap, fmt, iter::FusedIterator};

use super::{Relation, Values};
use crate::error::Result;

/// The values that any of several keys has, ascending and each once.
pub struct Union<'t> {
    lists: Vec<Values<'t>>,
    /// The next value of each list that has one.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    failed: Option<crate::Error>,
    last: Option<u64>,
}

/// The values that every one of several keys has, ascending.
pub struct Intersection<'t> {
    /// Shortest first.
    lists: Vec<Values<'t>>,
}

impl Relation {
    /// Returns the values that any of these keys has.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn union(&self, keys: &[u64]) -> Result<Union<'_>> {
        let lists: Result<Vec<Values<'_>>> = keys.iter().map(|&key| self.values(key)).collect();
        let mut lists = lists?;
        let mut heads = BinaryHeap::with_capacity(lists.len());
        for (number, list) in lists.iter_mut().enumerate() {
            if let Some(value) = list.next() {
                heads.push(Reverse((value?, number)));
            }
        }
        Ok(Union { lists, heads, failed: None, last: None })
    }

    /// Returns the values that every one of these keys has; of no keys, none.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn intersection(&self, keys: &[u64]) -> Result<Intersection<'_>> {
        let lists: Result<Vec<Values<'_>>> = keys.iter().map(|&key| self.values(key)).collect();
        let mut lists = lists?;
        lists.sort_by_key(ExactSizeIterator::len);
        Ok(Intersection { lists })
    }
}

impl Iterator for Union<'_> {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Result<u64>> {
        loop {
            if let Some(error) = self.failed.take() {
                self.heads.clear();
                return Some(Err(error));
            }
            let Reverse((value, number)) = self.heads.pop()?;
            match self.lists.get_mut(number).and_then(Iterator::next) {
                Some(Ok(next)) => self.heads.push(Reverse((next, number))),
                Some(Err(error)) => self.failed = Some(error),
                None => {}
            }
            if self.last != Some(value) {
                self.last = Some(value);
                return Some(Ok(value));
            }
        }
    }
}

impl FusedIterator for Union<'_> {}

impl Intersection<'_> {
    fn next_value(&mut self) -> Result<Option<u64>> {
        let count = self.lists.len();
        let (mut wanted, mut agreed) = (0, 0);
        for at in (0..count).cycle() {
            let Some(list) = self.lists.get_mut(at) else { break };
            list.leap(wanted)?;
            let Some(value) = list.clone().next().transpose()? else { return Ok(None) };
            agreed = if value == wanted { agreed + 1 } else { 1 };
            wanted = value;
            if agreed == count {
                for list in &mut self.lists {
                    list.next();
                }
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }
}

impl Iterator for Intersection<'_> {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Result<u64>> {
        let value = self.next_value();
        if value.is_err() {
            // It would come again.
            self.lists.clear();
        }
        value.transpose()
    }
}

impl FusedIterator for Intersection<'_> {}

impl fmt::Debug for Union<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Union").field("lists", &self.lists).finish_non_exhaustive()
    }
}

impl fmt::Debug for Intersection<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Intersection").field("lists", &self.lists).finish()
    }
}
