//! What objects retain, who dominates them, and how they are reached.

use serde::Serialize;

use super::HeapIndex;
use crate::{
    error::Result,
    layout::{NONE, ROOTS},
    tree::Entry,
};

/// What an object keeps alive, and what keeps it alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retained {
    /// Bytes that would be free without the object, its own included; 0 when it cannot be reached.
    pub bytes: u64,
    /// The objects that those are, itself included.
    pub count: u64,
    /// The object through which every way from the roots leads, the nearest if there are several;
    /// none when there is no such object.
    pub dominator: Option<u64>,
    /// Steps from the nearest root, 0 for what a root names; none when no root leads to it.
    pub distance: Option<u32>,
}

/// One of the objects that retain most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Biggest<'a> {
    /// Its id.
    pub id: u64,
    /// The name of its class, of a class object the name of the class it stands for.
    pub class_name: &'a str,
    /// Bytes that it retains.
    pub bytes: u64,
    /// Objects that it retains.
    pub count: u64,
}

impl HeapIndex {
    /// Returns what an object retains; none when there is no such object. O(log objects).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn retained(&self, id: u64) -> Result<Option<Retained>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let Some(entry) = self.tables.tree.get(ordinal)? else {
            return Ok(Some(Retained { bytes: 0, count: 0, dominator: None, distance: None }));
        };
        let dominator = match entry.parent {
            ROOTS => None,
            dominator => Some(self.tables.id(dominator)?),
        };
        let (bytes, count) = self.sums((ordinal, Some(&entry)))?;
        Ok(Some(Retained { bytes, count, dominator, distance: Some(entry.distance) }))
    }

    /// Returns the objects that retain most, the biggest first, those that are equal by id; at
    /// most `limit`, and at most the 65,536 that the index keeps. O(limit · log objects).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn biggest(&self, limit: usize) -> Result<Vec<Biggest<'_>>> {
        let biggest = &self.tables.biggest;
        let first = biggest.range(0..biggest.len().min(limit))?;
        first
            .iter()
            .map(|ordinal| {
                let ordinal = ordinal.get();
                let entry = self.tables.tree.get(ordinal)?;
                let (bytes, count) = self.sums((ordinal, entry.as_ref()))?;
                let object = self.object_at((ordinal, self.tables.id(ordinal)?))?;
                Ok(Biggest { id: object.id, class_name: object.class_name, bytes, count })
            })
            .collect()
    }

    /// Steps from the nearest root to an object, `NONE` for what cannot be reached.
    pub(super) fn distance(&self, ordinal: u32) -> Result<u32> {
        Ok(self.tables.tree.get(ordinal)?.map_or(NONE, |entry| entry.distance))
    }

    /// The bytes and the number of the objects that an object retains.
    fn sums(&self, (ordinal, entry): (u32, Option<&Entry>)) -> Result<(u64, u64)> {
        let Some(entry) = entry else { return Ok((0, 0)) };
        if let Some((count, bytes)) = entry.retained {
            return Ok((bytes, u64::from(count)));
        }
        // It dominates nothing but itself.
        let record = self.tables.object(ordinal)?;
        Ok((u64::from(record.payload_len), 1))
    }
}
