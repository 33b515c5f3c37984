//! What lookups see: the files of a version, and the rows that a delta has put above them.

use std::{ops::Range, sync::Arc};

use crate::{
    directory::Directory,
    error::{Error, Result},
    files::{Files, Order},
    key::Image,
    manifest::TableFacts,
    options::TableOptions,
    run::Run,
    schema::NamedKey,
};

/// One version, and runs of rows appended to it.
///
/// A *place* in an order counts what is in the files and in all runs together. Among equal keys
/// those of the files come first, then those of each run: the order of row indexes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) files: Arc<Files>,
    /// Each above what is in front of it.
    runs: Vec<Arc<Run>>,
    len: u64,
}

/// Places that are one behind the other in the files too.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stretch {
    start: u64,
    end: u64,
    /// How many entries of runs are in front of them.
    above: u64,
}

impl Stretch {
    /// The place in the files, of a place of the stretch.
    #[inline]
    pub(crate) fn below(&self, place: u64) -> Option<u64> {
        if self.start <= place && place < self.end { Some(place - self.above) } else { None }
    }
}

impl Part {
    /// Opens the newest version in `directory`, whatever its schema is.
    pub(crate) fn open(directory: &Directory, options: &TableOptions) -> Result<Self> {
        Ok(Self::above(Arc::new(Files::open(directory, options)?), Vec::new()))
    }

    /// Opens the files that `facts` name.
    pub(crate) fn of(
        directory: Directory,
        facts: TableFacts,
        options: &TableOptions,
    ) -> Result<Self> {
        Ok(Self::above(Arc::new(Files::of(directory, facts, options)?), Vec::new()))
    }

    /// The runs lie above the files.
    pub(crate) fn above(files: Arc<Files>, runs: Vec<Arc<Run>>) -> Self {
        let len = files.rows.len() + runs.iter().map(|run| run.len()).sum::<u64>();
        Self { files, runs, len }
    }

    pub(crate) fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    /// The number of rows.
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    #[inline]
    pub(crate) fn order(&self, number: usize) -> Result<(&NamedKey, &Order)> {
        match (self.files.schema.keys().get(number), self.files.orders.get(number)) {
            (Some(key), Some(order)) => Ok((key, order)),
            _ => Err(Error::argument(format!("there is no key of number {number}"))),
        }
    }

    /// The first place in the order whose key is not below `image`.
    #[inline]
    pub(crate) fn lower(&self, order: &Order, image: &[u8]) -> Result<u64> {
        let below = self.files.lower(order, image)?;
        let below = self.files.confirm_lower(order, image, below)?;
        Ok(below + self.in_runs(|run| run.lower(order.number, image)))
    }

    /// The first place in the order whose key is above `image`.
    #[inline]
    pub(crate) fn upper(&self, order: &Order, image: &[u8]) -> Result<u64> {
        let below = self.files.upper(order, image)?;
        let below = self.files.confirm_upper(order, image, below)?;
        Ok(below + self.in_runs(|run| run.upper(order.number, image)))
    }

    /// The places in the order that have this key.
    #[inline]
    pub(crate) fn equal(&self, order: &Order, image: &[u8]) -> Result<Range<u64>> {
        let below = self.files.equal(order, image)?;
        let below = self.files.confirm_equal(order, image, below)?;
        let start = below.start + self.in_runs(|run| run.lower(order.number, image));
        Ok(start..below.end + self.in_runs(|run| run.upper(order.number, image)))
    }

    #[inline]
    fn in_runs(&self, count: impl Fn(&Run) -> usize) -> u64 {
        self.runs.iter().map(|run| count(run) as u64).sum()
    }

    /// The first row that has this key. Those of the files come first, so that a key that is
    /// there costs no look at the runs.
    #[inline]
    pub(crate) fn first(&self, order: &Order, image: &[u8]) -> Result<Option<u64>> {
        let place = self.files.lower(order, image)?;
        let place = self.files.confirm_lower(order, image, place)?;
        let mut found = None;
        if place < self.files.rows.len() {
            found = self.files.row_if(order, place, image)?;
        }
        Ok(found.or_else(|| self.first_in_runs(order, image)))
    }

    /// The first row of the runs that has this key.
    #[inline]
    pub(crate) fn first_in_runs(&self, order: &Order, image: &[u8]) -> Option<u64> {
        self.runs.iter().find_map(|run| run.first(order.number, image))
    }

    /// The row at a place in the order.
    #[inline]
    pub(crate) fn row_at(&self, order: &Order, place: u64) -> Result<u64> {
        let mut place = place;
        for run in self.runs.iter().rev() {
            match run.find(order.number, place) {
                Ok(at) => return Ok(run.row(order.number, at)),
                Err(above) => place = place.saturating_sub(above),
            }
        }
        self.files.row_at(order, place)
    }

    /// The places around `place` that are one behind the other in the files; none where the
    /// entry is one of a run.
    pub(crate) fn stretch(&self, order: &Order, place: u64) -> Stretch {
        let (mut below, mut left) = (place, self.len.saturating_sub(place));
        let mut behind = place;
        for run in self.runs.iter().rev() {
            match run.find(order.number, below) {
                Ok(_) => return Stretch::default(),
                Err(above) => {
                    if let Some(next) = run.place(order.number, above) {
                        left = left.min(next - below);
                    }
                    let last = above.checked_sub(1);
                    if let Some(last) = last.and_then(|last| run.place(order.number, last)) {
                        behind = behind.min(below - last - 1);
                    }
                    below = below.saturating_sub(above);
                }
            }
        }
        Stretch { start: place - behind, end: place.saturating_add(left), above: place - below }
    }

    /// The key at a place in the order.
    pub(crate) fn image_at(&self, order: &Order, place: u64, into: &mut Image) -> Result<()> {
        let mut place = place;
        for run in self.runs.iter().rev() {
            match run.find(order.number, place) {
                Ok(at) => {
                    run.image(order.number, at, into);
                    return Ok(());
                }
                Err(above) => place = place.saturating_sub(above),
            }
        }
        self.files.image_at(order, place, into)
    }

    /// Looks at the row at `index`.
    #[inline]
    pub(crate) fn with_row<T>(&self, index: u64, look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        if index < self.files.rows.len() || self.runs.is_empty() {
            return self.files.rows.with(index, look);
        }
        match self.runs.iter().find_map(|run| run.bytes(index)) {
            Some(row) => Ok(look(row)),
            None => Err(Error::out_of_range(format!("row {index} of {}", self.len))),
        }
    }

    #[inline]
    pub(crate) fn prefetch(&self, row: u64) {
        self.files.rows.prefetch(row);
    }

    /// Hints that the row at a place in the order is needed soon.
    #[inline]
    pub(crate) fn prefetch_at(&self, order: &Order, place: u64) {
        if self.runs.is_empty() {
            self.files.prefetch_at(order, place);
        }
    }
}
