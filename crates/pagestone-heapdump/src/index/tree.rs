//! What objects retain, who dominates them, and how they are reached.

use serde::Serialize;

use super::HeapIndex;
use crate::{
    error::{Error, Result},
    layout::{DISTANCE_LONG, NONE, ROOTS},
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

/// Where an object stands in the tree of dominators.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The ordinal of its dominator, `ROOTS` or `NONE`.
    pub(super) parent: u32,
    /// `NONE` for what cannot be reached.
    pub(super) distance: u32,
}

impl HeapIndex {
    /// Returns what an object retains; none when there is no such object. O(log objects).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn retained(&self, id: u64) -> Result<Option<Retained>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let place = self.place(ordinal)?;
        let dominator = match place.parent {
            NONE | ROOTS => None,
            dominator => Some(self.tables.id(dominator)?),
        };
        let (bytes, count) = self.sums((ordinal, &place))?;
        let distance = Some(place.distance).filter(|&distance| distance != NONE);
        Ok(Some(Retained { bytes, count, dominator, distance }))
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
                let (bytes, count) = self.sums((ordinal, &self.place(ordinal)?))?;
                let object = self.object_at((ordinal, self.tables.id(ordinal)?))?;
                Ok(Biggest { id: object.id, class_name: object.class_name, bytes, count })
            })
            .collect()
    }

    /// Where an object stands.
    pub(super) fn place(&self, ordinal: u32) -> Result<Place> {
        let record = self.tables.dominators.get(ordinal)?;
        let (parent, short) = (record.parent.get(), record.distance.get());
        if parent == NONE {
            return Ok(Place { parent, distance: NONE });
        }
        if short != DISTANCE_LONG {
            return Ok(Place { parent, distance: u32::from(short) });
        }
        let long = self.tables.long_distances.find(ordinal, |long| long.object.get())?;
        let found = long.map(|long| long.distance.get()).filter(|&distance| distance != NONE);
        found.map(|distance| Place { parent, distance }).ok_or_else(|| {
            let path = self.tables.long_distances.path();
            Error::corrupt(path, "distance", ("one", format!("none of {ordinal}")))
        })
    }

    fn sums(&self, (ordinal, place): (u32, &Place)) -> Result<(u64, u64)> {
        if place.parent == NONE {
            return Ok((0, 0));
        }
        let retained = self.tables.retained.find(ordinal, |retained| retained.object.get())?;
        if let Some(found) = retained {
            return Ok((found.bytes.get(), u64::from(found.count.get())));
        }
        // It dominates nothing but itself.
        let record = self.tables.object(ordinal)?;
        Ok((u64::from(self.tables.payload_len(ordinal, &record)?), 1))
    }
}
