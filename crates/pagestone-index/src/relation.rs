//! Which rows belong to which: many-to-many, from both sides.

use std::{fmt, ops::ControlFlow, ops::Range, path::Path, sync::Arc};

use pagestone_storage::{Progress, le};

use crate::{
    directory::Directory,
    error::{Error, ErrorKind, Result},
    fixed::Fixed,
    key::image_field,
    manifest::{self, DirectionFacts, Manifest, RelationFacts},
    options::TableOptions,
};

mod builder; // pairs from many threads, sorted both ways
mod sets; // union and intersection of several keys
mod values; // the values of one key
mod walk; // what is reached from a row, and how
mod bits; // a set of rows as bits

pub use bits::RowSet;
#[cfg(feature = "region")]
pub(crate) use builder::Counts;
pub use builder::{PairWriter, RelationBuilder};
pub use sets::{Intersection, Union};
pub use values::Values;
pub use walk::Visit;

/// How often a manifest is read again because its files were gone.
const TRIES: u32 = 100;

/// A published relation between rows, read-only: for each *key*, a row index of one table, its
/// *values*, row indexes of another or the same table, ascending and each once.
///
/// Cheap to clone, and shared by threads. Both directions are there: [`inverse`](Self::inverse)
/// swaps them. Kept as compressed rows: where the list of each key ends, and all lists one behind
/// the other, 4 bytes for each number that fits them.
#[derive(Clone)]
pub struct Relation {
    sides: Arc<Sides>,
    is_inverse: bool,
}

#[derive(Debug)]
struct Sides {
    directory: Directory,
    version: u64,
    forward: Direction,
    inverse: Direction,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Direction {
    key_count: u64,
    /// Row indexes of the other side are below this.
    value_count: u64,
    /// The keys that have a list, ascending; none where every key has one.
    keys: Option<Fixed>,
    ends: Fixed,
    values: Fixed,
}

/// How many values keys have; see [`Relation::degrees`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Degrees {
    /// Keys that there can be.
    pub key_count: u64,
    /// Keys that have a value.
    pub used_count: u64,
    /// Pairs of all keys.
    pub pair_count: u64,
    /// The most values of a key.
    pub max: u64,
    /// The first key that has so many.
    pub max_key: u64,
}

impl TableOptions {
    /// Opens the newest version of a relation. Writes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Foreign`; `UnknownVersion`; `Corrupt` and `Truncated`; `Io`.
    pub fn open_relation(self, directory: impl Into<Directory>) -> Result<Relation> {
        Relation::open_newest(&directory.into(), &self)
    }
}

impl Relation {
    /// Opens the newest version with the default options.
    ///
    /// # Errors
    ///
    /// As [`TableOptions::open_relation`].
    pub fn open(directory: impl Into<Directory>) -> Result<Self> {
        TableOptions::new().open_relation(directory)
    }

    fn open_newest(directory: &Directory, options: &TableOptions) -> Result<Self> {
        for _ in 0..TRIES {
            let Manifest::Relation(facts) = manifest::read(directory)? else {
                let what = "a table, not a relation";
                return Err(Error::refused(ErrorKind::Foreign, directory.path(), what));
            };
            let version = facts.version;
            match Self::of(directory.clone(), &facts, options) {
                // A builder has published another version, and removed the files of this one.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    if manifest::read(directory)?.version() == version {
                        return Err(error);
                    }
                }
                opened => return opened,
            }
        }
        let what = "other versions were published faster than they could be opened";
        Err(Error::refused(ErrorKind::NotFound, directory.path(), what))
    }

    pub(crate) fn of(
        directory: Directory,
        facts: &RelationFacts,
        options: &TableOptions,
    ) -> Result<Self> {
        let counts = (facts.forward.key_count, facts.inverse.key_count);
        let open = |of: &DirectionFacts, values| {
            Direction::open(&directory, (of, values, facts.pair_count), options)
        };
        let forward = open(&facts.forward, counts.1)?;
        let inverse = open(&facts.inverse, counts.0)?;
        let sides = Sides { directory, version: facts.version, forward, inverse };
        Ok(Self { sides: Arc::new(sides), is_inverse: false })
    }

    fn direction(&self) -> &Direction {
        if self.is_inverse { &self.sides.inverse } else { &self.sides.forward }
    }

    /// Returns the relation from the other side: values are keys, and keys values. Free.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { sides: Arc::clone(&self.sides), is_inverse: !self.is_inverse }
    }

    /// Returns the number of the version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.sides.version
    }

    /// Returns the number of pairs.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.direction().values.len()
    }

    /// Returns whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many keys there can be: they are below it.
    #[must_use]
    pub fn key_count(&self) -> u64 {
        self.direction().key_count
    }

    /// Returns how many values there can be: they are below it.
    #[must_use]
    pub fn value_count(&self) -> u64 {
        self.direction().value_count
    }

    /// Returns the values of a key, ascending; none for a key that is not below
    /// [`key_count`](Self::key_count).
    ///
    /// # Errors
    ///
    /// `Corrupt` for a list that ends where there is none; `Io` where files are not mapped.
    #[inline]
    pub fn values(&self, key: u64) -> Result<Values<'_>> {
        self.direction().values_of(key)
    }

    /// Returns how many values a key has.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    #[inline]
    pub fn degree(&self, key: u64) -> Result<u64> {
        let list = self.direction().list(key)?;
        Ok(list.end - list.start)
    }

    /// Returns whether a key has a value, in O(log degree).
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn contains(&self, key: u64, value: u64) -> Result<bool> {
        let direction = self.direction();
        let list = direction.list(key)?;
        let place =
            crate::files::partition(list.clone(), |place| Ok(direction.value(place)? < value))?;
        Ok(place < list.end && direction.value(place)? == value)
    }

    /// Counts values of keys in one pass over the ends of their lists.
    ///
    /// # Errors
    ///
    /// As [`values`](Self::values).
    pub fn degrees(&self) -> Result<Degrees> {
        let mut degrees = Degrees {
            key_count: self.key_count(),
            used_count: 0,
            pair_count: self.len(),
            max: 0,
            max_key: 0,
        };
        let direction = self.direction();
        for number in 0..direction.ends.len() {
            let list = direction.list_of_number(number)?;
            let (key, degree) = (direction.key_of(number)?, list.end - list.start);
            degrees.used_count += u64::from(0 < degree);
            if degrees.max < degree {
                (degrees.max, degrees.max_key) = (degree, key);
            }
        }
        Ok(degrees)
    }

    /// Iterates all pairs, by key, then by value.
    pub fn pairs(&self) -> impl Iterator<Item = Result<(u64, u64)>> {
        let direction = self.direction();
        (0..direction.ends.len()).flat_map(move |number| {
            let list = direction
                .key_of(number)
                .and_then(|key| Ok((key, direction.values_at(direction.list_of_number(number)?))));
            let (list, failed) = match list {
                Ok(list) => (Some(list), None),
                Err(error) => (None, Some(Err(error))),
            };
            let pairs = list
                .into_iter()
                .flat_map(|(key, values)| values.map(move |value| Ok((key, value?))));
            failed.into_iter().chain(pairs)
        })
    }

    /// Reads every file once and compares it with its checksums, and every list with what lists
    /// are: within the file, ascending, of rows that there can be, and the same pairs both ways.
    ///
    /// `progress` is told often, for each file from the start, and may break off.
    ///
    /// # Errors
    ///
    /// `Corrupt`, which names the file and what is wrong with it; `Io`.
    pub fn verify(&self, mut progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<()> {
        for direction in [&self.sides.forward, &self.sides.inverse] {
            direction.ends.verify(&mut progress)?;
            direction.values.verify(&mut progress)?;
            if let Some(keys) = &direction.keys {
                keys.verify(&mut progress)?;
            }
            direction.check_lists()?;
        }
        let other = &self.sides.inverse;
        let path = other.values.records.path();
        let other = Self { sides: Arc::clone(&self.sides), is_inverse: true };
        let forward = Self { sides: Arc::clone(&self.sides), is_inverse: false };
        for pair in forward.pairs() {
            let (key, value) = pair?;
            if !other.contains(value, key)? {
                let found = format!("not {value} of {key}");
                return Err(Error::corrupt(path, "pairs", ("those of the other side", found)));
            }
        }
        Ok(())
    }

    /// Where the relation lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.sides.directory.path()
    }
}

impl Direction {
    fn open(
        directory: &Directory,
        (facts, value_count, pair_count): (&DirectionFacts, u64, u64),
        options: &TableOptions,
    ) -> Result<Self> {
        let path = directory.manifest();
        let DirectionFacts { key_count, keys, ends, values } = facts;
        let list_count = keys.as_ref().map_or(*key_count, |keys| keys.record_count);
        let keys_listed = keys.iter().map(|keys| (list_count.min(*key_count), keys));
        for (count, file) in keys_listed.chain([(list_count, ends), (pair_count, values)]) {
            if file.record_count != count {
                let counts = (count, file.record_count);
                return Err(Error::corrupt(&path, "length of a file of lists", counts));
            }
            if ![4, 8].contains(&file.record_size) {
                let sizes = ("4 or 8", file.record_size);
                return Err(Error::corrupt(&path, "record size of a file of lists", sizes));
            }
        }
        let keys = keys.as_ref().map(|keys| Fixed::open(directory, keys, options)).transpose()?;
        let ends = Fixed::open(directory, ends, options)?;
        let values = Fixed::open(directory, values, options)?;
        let direction = Self { key_count: *key_count, value_count, keys, ends, values };
        let last = list_count.checked_sub(1).map_or(Ok(0), |last| direction.end(last))?;
        if last != pair_count {
            let path = direction.ends.records.path();
            return Err(Error::corrupt(path, "end of the last list", (pair_count, last)));
        }
        Ok(direction)
    }

    /// Errors unless a key belongs in front of the list of this number, whose blocks are right.
    #[cold]
    fn confirm_absent(&self, keys: &Fixed, (key, list): (u64, u64)) -> Result<()> {
        let follows = match list.checked_sub(1) {
            Some(before) => before < keys.len() && self.key_of(before)? < key,
            None => true,
        };
        if follows && (keys.len() <= list || key < self.key_of(list)?) {
            return Ok(());
        }
        let found = format!("list {list}, where it does not belong");
        let path = keys.records.path();
        Err(Error::corrupt(path, "search for a key", (format!("the place of {key}"), found)))
    }

    /// Where the list of this number ends.
    #[inline]
    fn end(&self, list: u64) -> Result<u64> {
        self.ends.with(list, number)
    }

    /// The key whose list has this number.
    fn key_of(&self, list: u64) -> Result<u64> {
        self.keys.as_ref().map_or(Ok(list), |keys| keys.with(list, number))
    }

    /// The value at a place.
    #[inline]
    fn value(&self, place: u64) -> Result<u64> {
        let value = self.values.with(place, number)?;
        if value < self.value_count { Ok(value) } else { Err(self.no_row(place, value)) }
    }

    #[cold]
    fn no_row(&self, place: u64, value: u64) -> Error {
        let expected = format!("below {}", self.value_count);
        let found = format!("{value} in entry {place}");
        Error::corrupt(self.values.records.path(), "row of a list", (expected, found))
    }

    /// The places of the values of a key.
    #[inline]
    fn list(&self, key: u64) -> Result<Range<u64>> {
        if self.key_count <= key {
            return Ok(0..0);
        }
        let Some(keys) = &self.keys else { return self.list_of_number(key) };
        let size = keys.records.record_size();
        // The image of a number has its high byte first.
        let bytes = key.swap_bytes().to_le_bytes();
        let image = bytes.get(bytes.len() - size..).unwrap_or_default();
        let list = keys.records.lower_bound_image(image_field(size), image)?;
        if list < keys.len() && self.key_of(list)? == key {
            return self.list_of_number(list);
        }
        if keys.is_checked() {
            self.confirm_absent(keys, (key, list))?;
        }
        Ok(0..0)
    }

    /// The places of the values of the list of this number.
    #[inline]
    fn list_of_number(&self, list: u64) -> Result<Range<u64>> {
        let start = match list.checked_sub(1) {
            Some(before) => self.end(before)?,
            None => 0,
        };
        let end = self.end(list)?;
        if start <= end && end <= self.values.len() {
            return Ok(start..end);
        }
        let expected = format!("{start} to {}", self.values.len());
        let path = self.ends.records.path();
        Err(Error::corrupt(path, "end of a list", (expected, format!("{end} of list {list}"))))
    }

    fn check_lists(&self) -> Result<()> {
        let mut last_key = None;
        for list in 0..self.ends.len() {
            let key = self.key_of(list)?;
            if last_key.is_some_and(|last| key <= last) || self.key_count <= key {
                let path = self.keys.as_ref().unwrap_or(&self.ends).records.path();
                let found = format!("{key} in entry {list}");
                return Err(Error::corrupt(path, "order of keys", ("ascending", found)));
            }
            last_key = Some(key);
            let mut last = None;
            for place in self.list_of_number(list)? {
                let value = self.value(place)?;
                if last.is_some_and(|last| value <= last) {
                    let path = self.values.records.path();
                    let found = format!("{value} in entry {place}");
                    return Err(Error::corrupt(path, "order of a list", ("ascending", found)));
                }
                last = Some(value);
            }
        }
        Ok(())
    }
}

/// A number of 4 or 8 bytes.
#[inline]
fn number(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), bytes.first_chunk()) {
        (Some(&wide), _) => u64::from_le_bytes(wide),
        (None, Some(&narrow)) => u64::from(u32::from_le_bytes(narrow)),
        (None, None) => u64::MAX,
    }
}

/// Numbers of 4 bytes, one behind the other.
fn narrow(bytes: &[u8]) -> Option<&[le::U32]> {
    bytemuck::try_cast_slice(bytes).ok()
}

/// Numbers of 8 bytes, one behind the other.
fn wide(bytes: &[u8]) -> Option<&[le::U64]> {
    bytemuck::try_cast_slice(bytes).ok()
}

impl fmt::Debug for Relation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Relation")
            .field("path", &self.path())
            .field("version", &self.version())
            .field("len", &self.len())
            .field("is_inverse", &self.is_inverse)
            .finish_non_exhaustive()
    }
}
