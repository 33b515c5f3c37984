//! What differs between two dumps: classes by name, strings by value.

use std::{cmp::Reverse, collections::BTreeMap};

use pagestone_index::Rows;
use serde::Serialize;

use super::{HeapIndex, Rank};
use crate::{error::Result, layout::StringRecord};

/// A class before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClassDifference {
    /// The name; classes of one name by several loaders are one here.
    pub name: String,
    /// Instances before and after.
    pub counts: [u64; 2],
    /// Their bytes before and after.
    pub bytes: [u64; 2],
}

/// A value of strings before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StringDifference {
    /// The first 1,000 UTF-16 units of the value.
    pub value: String,
    /// Strings that have it before and after.
    pub counts: [u64; 2],
}

/// One of the two dumps.
const BEFORE: usize = 0;
const AFTER: usize = 1;

impl HeapIndex {
    /// Returns the classes whose instances are not as many, or not as long, as in `after`; the
    /// greatest difference in bytes first, then in instances, then by name. O(classes).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn diff_classes(&self, after: &Self) -> Result<Vec<ClassDifference>> {
        let mut by_name: BTreeMap<&str, [[u64; 2]; 2]> = BTreeMap::new();
        for (side, index) in [(BEFORE, self), (AFTER, after)] {
            for class in index.histogram(Rank::Bytes)? {
                let [counts, bytes] = by_name.entry(class.name).or_default();
                counts[side] = counts[side].saturating_add(class.count);
                bytes[side] = bytes[side].saturating_add(class.bytes);
            }
        }
        let mut found: Vec<ClassDifference> = by_name
            .into_iter()
            .filter(|(_, sides)| sides.iter().any(|[before, after]| before != after))
            .map(|(name, [counts, bytes])| ClassDifference { name: name.to_owned(), counts, bytes })
            .collect();
        let distance = |[before, after]: [u64; 2]| Reverse(before.abs_diff(after));
        // Stable, so the names stay in order.
        found.sort_by_key(|class| (distance(class.bytes), distance(class.counts)));
        Ok(found)
    }

    /// Returns the values that not as many strings have as in `after`, the greatest difference
    /// first, at most `limit`; O(values of both) and `limit` looks into the dumps.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields), for either.
    pub fn diff_strings(&self, after: &Self, limit: usize) -> Result<Vec<StringDifference>> {
        let (mut left, mut right) = (Values::of(self)?, Values::of(after)?);
        let mut found: Vec<Changed> = Vec::new();
        loop {
            let fingerprint = match (left.fingerprint(), right.fingerprint()) {
                (None, None) => break,
                (Some(only), None) | (None, Some(only)) => only,
                (Some(left), Some(right)) => left.min(right),
            };
            let (before, after) = (left.take_if(fingerprint)?, right.take_if(fingerprint)?);
            let counts = [&before, &after].map(|side| side.as_ref().map_or(0, |side| side.count));
            if counts[BEFORE] != counts[AFTER] {
                let objects = [before, after].map(|side| side.map(|side| side.object));
                let distance = Reverse(counts[BEFORE].abs_diff(counts[AFTER]));
                found.push((distance, fingerprint, counts, objects));
            }
        }
        if limit < found.len() {
            found.select_nth_unstable(limit);
            found.truncate(limit);
        }
        found.sort_unstable();
        let classes = [self.string_classes()?, after.string_classes()?];
        let value = |(_, _, counts, objects): Changed| {
            let shown = match objects {
                [Some(object), _] => self.shown(&classes[BEFORE], (object, 0))?.value,
                [None, Some(object)] => after.shown(&classes[AFTER], (object, 0))?.value,
                [None, None] => String::new(),
            };
            Ok(StringDifference { value: shown, counts })
        };
        found.into_iter().map(value).collect()
    }
}

/// The values of an index in the order of their fingerprints.
struct Values<'i> {
    rows: Rows<'i, StringRecord>,
    /// Where the strings of the next value begin.
    start: u32,
    next: Option<Counted>,
}

impl<'i> Values<'i> {
    fn of(index: &'i HeapIndex) -> Result<Self> {
        let rows = index.tables.strings()?.iter();
        let mut values = Self { rows, start: 0, next: None };
        values.advance()?;
        Ok(values)
    }

    fn advance(&mut self) -> Result<()> {
        self.next = None;
        if let Some(value) = self.rows.next() {
            let value = value?;
            let (fingerprint, object) = (value.fingerprint.get(), value.object.get());
            let end = value.end.get();
            let count = u64::from(end.saturating_sub(self.start)).saturating_add(1);
            self.start = end;
            self.next = Some(Counted { fingerprint, object, count });
        }
        Ok(())
    }

    fn fingerprint(&self) -> Option<u64> {
        self.next.map(|counted| counted.fingerprint)
    }

    /// The next value, if it has this fingerprint.
    fn take_if(&mut self, fingerprint: u64) -> Result<Option<Counted>> {
        let taken = self.next.filter(|counted| counted.fingerprint == fingerprint);
        if taken.is_some() {
            self.advance()?;
        }
        Ok(taken)
    }
}

/// The difference, the value's fingerprint so that the order is always the same, the counts, and
/// an object that has the value on either side.
type Changed = (Reverse<u64>, u64, [u64; 2], [Option<u32>; 2]);

/// A value, and how many strings have it.
#[derive(Debug, Clone, Copy)]
struct Counted {
    fingerprint: u64,
    object: u32,
    count: u64,
}
