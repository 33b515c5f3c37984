//! What is reached from some rows, step by step, and by which way.

use std::collections::VecDeque;

use super::{Relation, RowSet};
use crate::error::Result;

/// What a walk does at a row that it has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// It goes on to the values of the row.
    Follow,
    /// It goes no further from here.
    Prune,
    /// It ends.
    Stop,
}

impl Relation {
    /// Visits every row that is reached from `starts`, which are visited too, nearest first, and
    /// returns them. `visit` gets a row and how many steps away it is, and says how to go on.
    ///
    /// Iterative, so that a way may be millions of steps long: takes a bit for each row that there
    /// can be, and 16 bytes for each that waits.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn closure(
        &self,
        starts: impl IntoIterator<Item = u64>,
        mut visit: impl FnMut(u64, u64) -> Visit,
    ) -> Result<RowSet> {
        let mut reached = RowSet::new(self.key_count().max(self.value_count()));
        let mut waiting = VecDeque::new();
        waiting.extend(starts.into_iter().filter(|&row| reached.insert(row)).map(|row| (row, 0)));
        while let Some((row, steps)) = waiting.pop_front() {
            match visit(row, steps) {
                Visit::Follow => {}
                Visit::Prune => continue,
                Visit::Stop => {
                    // What waits was seen, not visited.
                    for (row, _) in waiting {
                        reached.remove(row);
                    }
                    return Ok(reached);
                }
            }
            for value in self.values(row)? {
                let value = value?;
                if reached.insert(value) {
                    waiting.push_back((value, steps + 1));
                }
            }
        }
        Ok(reached)
    }

    /// Returns a shortest way from one row to another, both included; `None` where there is none.
    /// `visit` may leave rows out, or end the search; it is not asked about `to`.
    ///
    /// Iterative: takes a bit for each row that there can be, and 16 bytes for each that was
    /// reached.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn shortest_path(
        &self,
        (from, to): (u64, u64),
        mut visit: impl FnMut(u64) -> Visit,
    ) -> Result<Option<Vec<u64>>> {
        let mut reached = RowSet::new(self.key_count().max(self.value_count()));
        // Each row with the place in here of the one that it was reached from.
        let mut ways = vec![(from, 0)];
        reached.insert(from);
        if from == to {
            return Ok(Some(vec![from]));
        }
        let mut next = 0;
        while let Some(&(row, _)) = ways.get(next) {
            match visit(row) {
                Visit::Follow => {
                    for value in self.values(row)? {
                        let value = value?;
                        if value == to {
                            return Ok(Some(way(&ways, next, to)));
                        }
                        if reached.insert(value) {
                            ways.push((value, next));
                        }
                    }
                }
                Visit::Prune => {}
                Visit::Stop => return Ok(None),
            }
            next += 1;
        }
        Ok(None)
    }
}

/// The way to `to`, whose last step is from the row at `last`.
fn way(ways: &[(u64, usize)], last: usize, to: u64) -> Vec<u64> {
    let (mut way, mut at) = (vec![to], last);
    while let Some(&(row, before)) = ways.get(at) {
        way.push(row);
        if at == 0 {
            break;
        }
        at = before;
    }
    way.reverse();
    way
}
