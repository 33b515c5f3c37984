//! Sorting a storage into a copy that takes its place.

use std::fmt;

use tracing::debug_span;

use crate::{
    bytes::{Access, Range},
    core::Core,
    error::{Error, ErrorKind, Result},
    field::Field,
    record::Record,
    storage::Storage,
    temporary::Temporary,
    trust::Location,
};

mod memory;

/// How many bytes are copied at once.
const BLOCK: usize = 1 << 20;

/// What records are sorted by.
#[derive(Debug, Clone)]
pub struct Order {
    field: Field,
}

impl From<Field> for Order {
    fn from(field: Field) -> Self {
        Self { field }
    }
}

/// A sort that [`run`](Self::run) starts, made by [`Storage::sort_by`].
///
/// The storage is copied, the copy is sorted and synced, and a rename puts it in the storage's
/// place. A kill or a power loss leaves the old records or the sorted ones, never a mix. Readers
/// stay on the old file until they refresh. Needs as much free space as the records take.
#[must_use = "a sort does nothing until it is run"]
pub struct Sort<'s, T: Record + ?Sized> {
    storage: &'s mut Storage<T>,
    order: Order,
}

impl<'s, T: Record + ?Sized> Sort<'s, T> {
    pub(crate) fn new(storage: &'s mut Storage<T>, order: Order) -> Self {
        Self { storage, order }
    }

    /// Sorts; records with equal keys come out in any order.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the field does not lie inside a record; `OutOfSpace` and `Io`,
    /// with the storage unchanged; `Poisoned`.
    pub fn run(self) -> Result<()> {
        let Self { storage, order } = self;
        order.field.check(storage.record_size())?;
        storage.flush()?;
        let _span = debug_span!("sort", path = %storage.path().display(), len = storage.len());
        let core = match storage.location().cloned() {
            Some(location) => sorted_file(storage, &order, &location)?,
            None => sorted_memory(storage, &order)?,
        };
        storage.replace(core);
        Ok(())
    }
}

fn sorted_memory<T: Record + ?Sized>(storage: &Storage<T>, order: &Order) -> Result<Core> {
    let core = storage.options().memory_core(storage.record_size())?;
    let len = copy(storage, |offset, block| core.bytes().write_at(offset, block))?;
    if let Some(range) = core.bytes().range().filter(|_| 0 < len) {
        memory::sort_mapped(range, len, (storage.record_size(), order.field));
    }
    core.publish(storage.len());
    Ok(core)
}

fn sorted_file<T: Record + ?Sized>(
    storage: &Storage<T>,
    order: &Order,
    location: &Location,
) -> Result<Core> {
    let temporary = Temporary::create(location.path())?;
    let file = &temporary.file;
    let len = copy(storage, |offset, block| file.write_at(offset, block))?;
    if 0 < len {
        let range = Range::of_file(file, len as u64, (0, Access::Write))?;
        memory::sort_mapped(&range, len, (storage.record_size(), order.field));
    }
    file.sync()?;
    let file = temporary.publish(location.path())?;
    storage.options().writer_core(file, location, storage.record_size())
}

/// Copies all records of the storage, block by block; returns their bytes.
fn copy<T: Record + ?Sized>(
    storage: &Storage<T>,
    mut write: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<usize> {
    let core = storage.records();
    let core = core.core();
    let len = core.offset(core.len());
    let all = usize::try_from(len).map_err(|_| {
        Error::refused(ErrorKind::Unsupported, core.path(), "larger than the address space")
    })?;
    let mut block = vec![0; BLOCK.min(all)];
    let mut done = 0;
    while done < len {
        let step = usize::try_from(len - done).unwrap_or(BLOCK).min(BLOCK);
        core.bytes().read_at(done, &mut block[..step])?;
        write(done, &block[..step])?;
        done += step as u64;
    }
    Ok(all)
}

impl<T: Record + ?Sized> fmt::Debug for Sort<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sort").field("order", &self.order).finish_non_exhaustive()
    }
}
