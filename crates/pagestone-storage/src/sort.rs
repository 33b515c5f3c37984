//! Sorting a storage: into a copy that takes its place, or where it lies.

use std::{
    cmp::Ordering,
    fmt,
    num::NonZeroUsize,
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use tracing::debug_span;

use crate::{
    core::Core,
    error::{Cause, Error, ErrorKind, Result},
    field::Field,
    record::Record,
    storage::Storage,
    verify::Progress,
};
use plan::{Plan, Stability};

mod run; // where a sort takes place: copy, memory, in place
mod external; // a sort larger than its memory budget
mod order; // what a key is, and its word
mod plan; // stability, threads, memory, progress
mod dispatch; // the entry point; record size -> code compiled for it
mod word; // sort by word: which way for which input
mod cells; // monotone maps from words to cells
mod split; // in-place and stable splits into cells
mod stripes; // splits into cells on several threads
mod cache; // radix sort of a part that fits the cache
mod insertion; // finish of an almost sorted part
mod presorted; // natural runs and displaced records
mod merge; // merge of two neighbouring runs
mod blockmerge; // merge of two long runs with little scratch
mod threads; // several threads on one block
mod indexed; // record sizes without code of their own
mod compare; // comparators, alone or behind a word
mod batches; // merge by word, in batches that fit the cache
mod multiway; // merge of many runs that come in blocks

/// The least memory budget, in bytes.
pub const SORT_MEMORY_MIN: u64 = 1 << 20;

/// A composite key: fields in order of significance, each ascending.
///
/// Made with `into()` from one field, an array or a vector of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    fields: Vec<Field>,
}

impl From<Field> for Order {
    fn from(field: Field) -> Self {
        Self { fields: vec![field] }
    }
}

impl<const N: usize> From<[Field; N]> for Order {
    fn from(fields: [Field; N]) -> Self {
        Self { fields: fields.to_vec() }
    }
}

impl From<Vec<Field>> for Order {
    fn from(fields: Vec<Field>) -> Self {
        Self { fields }
    }
}

/// What a sort goes by.
enum By<'s> {
    Fields(Vec<Field>),
    Compare(Box<Compare<'s>>),
}

type Compare<'s> = dyn Fn(&[u8], &[u8]) -> Ordering + Send + Sync + 's;
type Tell<'s> = dyn FnMut(Progress) -> ControlFlow<()> + Send + 's;

/// Where the sorted records end up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Copy,
    InPlace,
}

/// A sort that [`run`](Self::run) starts, made by [`Storage::sort_by`] and its siblings.
///
/// By default the storage is copied, the copy is sorted and synced, and a rename puts it in the
/// storage's place: a kill or a power loss leaves the old records or the sorted ones, never a
/// mix; readers stay on the old file until they refresh; as much free space is needed as the
/// records take. Fields are sorted by radix, about two passes over memory and two in the cache;
/// runs that are sorted already are found and merged.
#[must_use = "a sort does nothing until it is run"]
pub struct Sort<'s, T: Record + ?Sized> {
    storage: &'s mut Storage<T>,
    by: By<'s>,
    stability: Stability,
    threads: usize,
    memory: Option<u64>,
    place: Place,
    progress: Option<Box<Tell<'s>>>,
}

impl<'s, T: Record + ?Sized> Sort<'s, T> {
    fn new(storage: &'s mut Storage<T>, by: By<'s>) -> Self {
        Self {
            storage,
            by,
            stability: Stability::Unstable,
            threads: 1,
            memory: None,
            place: Place::Copy,
            progress: None,
        }
    }

    pub(crate) fn by_fields(storage: &'s mut Storage<T>, order: Order) -> Self {
        Self::new(storage, By::Fields(order.fields))
    }

    pub(crate) fn by_comparator(
        storage: &'s mut Storage<T>,
        compare: impl Fn(&T, &T) -> Ordering + Send + Sync + 's,
    ) -> Self {
        let compare = move |left: &[u8], right: &[u8]| {
            T::with(left, |left| T::with(right, |right| compare(left, right)))
        };
        Self::new(storage, By::Compare(Box::new(compare)))
    }

    /// Keeps the order of records with equal keys. Takes scratch of up to the records' size,
    /// within the memory budget.
    pub fn stable(self) -> Self {
        Self { stability: Stability::Stable, ..self }
    }

    /// Uses up to so many threads, 1 by default.
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Lets the sort into a copy take up to `bytes` of private memory, and some 32 MiB. What is
    /// larger is sorted in parts of that size, which are merged from a second temporary file.
    ///
    /// Without a budget it is a quarter of the machine's memory; at least [`SORT_MEMORY_MIN`].
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes.max(SORT_MEMORY_MIN)), ..self }
    }

    /// Sorts the storage where it lies, without a copy: no more space, no protection.
    ///
    /// A kill or power loss in the middle leaves records doubled or lost. The sidecar says,
    /// durably, that a sort has begun before the first record moves, so that the next open
    /// finds out (`InterruptedSort`). Needs a storage whose records may change in place, and no
    /// reader of it.
    pub fn in_place(self) -> Self {
        Self { place: Place::InPlace, ..self }
    }

    /// Tells `progress` how far the sort has come, some hundred times; it may break off, which
    /// leaves the storage as it was, or in place with its records in some order.
    pub fn progress(self, progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 's) -> Self {
        Self { progress: Some(Box::new(progress)), ..self }
    }

    /// Sorts. Without [`stable`](Self::stable) records with equal keys come out in any order.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when a field does not lie inside a record; `Cancelled` by the progress
    /// hook; `OutOfSpace` and `Io`, with the storage unchanged unless it is sorted in place;
    /// in place also `ReadOnly` and `Locked`; `Poisoned`.
    ///
    /// # Panics
    ///
    /// When a comparator or the progress hook does; the storage is unchanged then, or in place
    /// still holds all its records.
    pub fn run(self) -> Result<()> {
        let Self { storage, by, stability, threads, memory, place, progress } = self;
        if let By::Fields(fields) = &by {
            if fields.is_empty() {
                return Err(Error::argument("an order has at least one field"));
            }
            fields.iter().try_for_each(|field| field.check(storage.record_size()))?;
        }
        let len = storage.len();
        let _span = debug_span!("sort", path = %storage.path().display(), len, threads).entered();
        storage.flush()?;
        let teller = Teller { tell: progress.map(Mutex::new), total: len };
        let tell = |done, total| teller.tell(done, total);
        let memory = memory.unwrap_or_else(run::default_memory);
        let job = Job { by: &by, stability, threads: threads.max(1), memory, tell: &tell };
        match place {
            Place::Copy => run::copied(storage, &job)?,
            Place::InPlace => run::in_place(storage, &job)?,
        }
        storage.set_order(by.fields());
        Ok(())
    }
}

impl By<'_> {
    fn fields(&self) -> &[Field] {
        match self {
            Self::Fields(fields) => fields,
            Self::Compare(_) => &[],
        }
    }
}

/// Hands progress, which may come from several threads, to the caller's hook.
struct Teller<'s> {
    tell: Option<Mutex<Box<Tell<'s>>>>,
    total: u64,
}

impl Teller<'_> {
    /// `done` of `total` steps of any kind, told in records.
    fn tell(&self, done: u64, total: u64) -> ControlFlow<()> {
        let Some(tell) = &self.tell else { return ControlFlow::Continue(()) };
        let share = u128::from(done) * u128::from(self.total) / u128::from(total.max(1));
        let done = u64::try_from(share).unwrap_or(self.total);
        let mut tell = tell.lock().unwrap_or_else(PoisonError::into_inner);
        tell(Progress { done, total: self.total })
    }
}

/// One sort, whatever it is of.
struct Job<'a> {
    by: &'a By<'a>,
    stability: Stability,
    threads: usize,
    memory: u64,
    tell: &'a (dyn Fn(u64, u64) -> ControlFlow<()> + Sync),
}

impl Job<'_> {
    /// Sorts records in memory; `share` maps its progress to that of the whole.
    fn sort(
        &self,
        records: &mut [u8],
        size: usize,
        share: &(dyn Fn(u64, u64) -> (u64, u64) + Sync),
    ) -> Result<()> {
        let Some(record_size) = NonZeroUsize::new(size) else { return Ok(()) };
        let tell = |done, total| {
            let (done, total) = share(done, total);
            (self.tell)(done, total)
        };
        let plan = Plan {
            stability: self.stability,
            threads: self.threads,
            memory: usize::try_from(self.memory).unwrap_or(usize::MAX),
            progress: Some(&tell),
        };
        let total = (records.len() / size) as u64;
        let sorted = self.with_order(|order| {
            dispatch::sort_records(records, record_size, order, &plan).map(drop)
        });
        sorted.map_err(|plan::Cancelled| Cause::Cancelled { done: 0, total }.into())
    }

    /// Runs `work` with the order in the form that the algorithms know.
    fn with_order<R>(&self, work: impl FnOnce(&order::Order<'_>) -> R) -> R {
        match self.by {
            By::Compare(compare) => work(&order::Order::Compare(&**compare)),
            By::Fields(fields) => match fields.as_slice() {
                [field] if field.size() <= 8 => work(&order::Order::Field(*field)),
                [] => work(&order::Order::Compare(&|_, _| Ordering::Equal)),
                [first, ..] => {
                    let compare = |left: &[u8], right: &[u8]| compare(fields, left, right);
                    work(&order::Order::Prefixed(first.leading(), &compare))
                }
            },
        }
    }
}

/// Compares two records by fields, the first that differs deciding.
pub(crate) fn compare(fields: &[Field], left: &[u8], right: &[u8]) -> Ordering {
    fields
        .iter()
        .map(|field| {
            let (left, right) = (field.bytes(left), field.bytes(right));
            if field.has_image() {
                field.image(left).cmp(&field.image(right))
            } else {
                left.cmp(right)
            }
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn too_large(core: &Core) -> Error {
    Error::refused(ErrorKind::Unsupported, core.path(), "larger than the address space")
}

impl<T: Record + ?Sized> fmt::Debug for Sort<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sort")
            .field("fields", &self.by.fields())
            .field("stability", &self.stability)
            .field("threads", &self.threads)
            .field("memory", &self.memory)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
