//! The table of a map in its file, and the table made anew where there is none that fits.

use std::sync::MutexGuard;

use pagestone_heap::{Heap, LogMark, Pin, RegionFile, Writer};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{
    core::{Core, Moment, split},
    error::{MapError, MapResult},
};
use crate::{
    EntryBuffer, EntryId,
    table::{Image, Origin, SHARDS, SLOT_MAX, cell_of, shard_of},
};

/// The heap that tables of maps are blocks of.
const TABLES: &str = "pagestone.tables";
/// Slots that a thread takes at a time.
const PIECE: u64 = 1 << 14;

/// The root of the table of a map.
fn root_of(name: &str) -> String {
    format!("{TABLES}/{name}")
}

/// What a table of a log at this mark says of itself. A copy of a file may have the same marks for
/// other contents: it has another number, which is in it too.
fn origin_of(file: &RegionFile, seed: u64, mark: LogMark) -> Origin {
    let first = file.uuid().first_chunk().copied().unwrap_or_default();
    let incarnation = mark.incarnation ^ u64::from_le_bytes(first);
    Origin { seed, incarnation, sequence: mark.sequence }
}

/// A table in the file that is as the log is.
#[derive(Debug)]
pub(crate) struct Saved {
    heap: Heap,
    id: EntryId,
    pub(super) image: Image,
}

impl Saved {
    /// The table of a map, if there is one of the log as it is.
    pub(super) fn find(buffer: &EntryBuffer, name: &str) -> Option<Self> {
        let file = buffer.file();
        let id = file.root(&root_of(name))?;
        let heap = file.heap(TABLES).ok()?;
        let pin = file.pin();
        let image = Image::read(heap.get(&pin, id).ok()?)?;
        let Ok(Some(mark)) = buffer.log.mark() else { return None };
        let fits = image.origin == origin_of(file, image.origin.seed, mark);
        fits.then(|| Self { heap, id, image })
    }

    /// As [`Image::find`]; `None` also where the block is gone.
    #[inline]
    pub(super) fn find_in<E>(
        &self,
        pin: &Pin<'_>,
        hash: u64,
        same: impl FnMut(u64) -> Result<bool, E>,
    ) -> Option<Result<Option<u64>, E>> {
        self.image.find(self.heap.get(pin, self.id).ok()?, hash, same)
    }
}

impl Saved {
    /// As [`Image::guess`].
    #[inline]
    pub(super) fn guess_in(&self, pin: &Pin<'_>, hash: u64) -> Option<u64> {
        self.image.guess(self.heap.get(pin, self.id).ok()?, hash)
    }
}

/// Cells by shard, and entries that have none.
#[derive(Debug, Default)]
struct Found {
    cells: [Vec<u64>; SHARDS],
    unreadable: u64,
}

impl Core {
    /// Goes on with a table in memory, where the one in the file turned out damaged or gone.
    #[cold]
    pub(super) fn leave_saved(&self) -> MapResult<()> {
        let scratch = self.lock();
        if self.table.elsewhere().is_empty() {
            return Ok(());
        }
        self.rebuild(&scratch)
    }

    /// Takes the shard of a hash into memory.
    #[inline]
    pub(super) fn take_in(&self, scratch: &MutexGuard<'_, Vec<u8>>, hash: u64) -> MapResult<()> {
        if self.table.is_here(hash) { Ok(()) } else { self.take_in_shard(scratch, shard_of(hash)) }
    }

    #[cold]
    fn take_in_shard(&self, scratch: &MutexGuard<'_, Vec<u8>>, shard: usize) -> MapResult<()> {
        let pin = self.buffer.file().pin();
        let cells = self.saved.as_ref().and_then(|saved| {
            let bytes = saved.heap.get(&pin, saved.id).ok()?;
            saved.image.cells(bytes, shard)
        });
        match cells {
            Some(cells) => {
                self.table.replace(shard, cells);
                Ok(())
            }
            None => self.rebuild(scratch),
        }
    }

    pub(super) fn take_all_in(&self, scratch: &MutexGuard<'_, Vec<u8>>) -> MapResult<()> {
        let elsewhere = self.table.elsewhere();
        elsewhere.into_iter().try_for_each(|shard| self.take_in_shard(scratch, shard))
    }

    /// Makes the table anew from all keys, on all processors. Whoever reads has the old one until
    /// the new one is there, shard by shard.
    pub(super) fn rebuild(&self, _scratch: &MutexGuard<'_, Vec<u8>>) -> MapResult<()> {
        let moment = Moment::of(self.log());
        let pin = self.buffer.file().pin();
        let end = self.log().slot_end();
        let found: Vec<Found> = if end <= PIECE {
            vec![self.collect(&pin, (Found::default(), 0))]
        } else {
            let pieces = (0..end.div_ceil(PIECE)).into_par_iter();
            pieces.fold(Found::default, |found, piece| self.collect(&pin, (found, piece))).collect()
        };
        drop(pin);
        let unreadable = found.iter().map(|found| found.unreadable).sum();
        let readable: usize = found.iter().flat_map(|found| &found.cells).map(Vec::len).sum();
        if unreadable != 0 && readable == 0 {
            return Err(MapError::Key(format!("none of {unreadable} entries has one")));
        }
        if unreadable != 0 {
            tracing::warn!(name = self.name, unreadable, "entries without a key that can be read");
        }
        self.note_unreadable(unreadable);
        let fill = |shard: usize| {
            let cells = found.iter().filter_map(|found| found.cells.get(shard));
            self.table.replace(shard, cells.flatten().copied().collect());
        };
        if end <= PIECE {
            (0..SHARDS).for_each(fill);
        } else {
            (0..SHARDS).into_par_iter().for_each(fill);
        }
        self.know(moment);
        Ok(())
    }

    fn collect(&self, pin: &Pin<'_>, (mut found, piece): (Found, u64)) -> Found {
        let slots = piece * PIECE..(piece + 1) * PIECE;
        self.log().for_each_in(pin, slots, |slot, entry| {
            match entry.ok().and_then(|(_, entry)| split(entry)) {
                Some((key, _)) if slot <= SLOT_MAX => {
                    let hash = self.hash(key);
                    if let Some(cells) = found.cells.get_mut(shard_of(hash)) {
                        cells.push(cell_of(hash, slot));
                    }
                }
                _ => found.unreadable += 1,
            }
        });
        found
    }

    /// Writes the table into the file, in place of the one that was there.
    pub(crate) fn save(&self, writer: &mut Writer<'_>) -> MapResult<()> {
        self.catch_up()?;
        let scratch = self.lock();
        let Some(mark) = self.log().mark_of(writer)? else { return Ok(()) };
        let file = self.buffer.file();
        let origin = origin_of(file, self.seed, mark);
        let root = root_of(&self.name);
        let old = file.root(&root);
        let heap = writer.heap(TABLES)?;
        if let Some(old) = old
            && let Ok(bytes) = heap.get(&file.pin(), old)
            && Image::read(bytes).is_some_and(|image| image.origin == origin)
        {
            return Ok(());
        }
        self.take_all_in(&scratch)?;
        let mut stream = heap.allocate_stream(writer)?;
        self.table.write(origin, &mut stream).map_err(unwrapped)?;
        let id = stream.finish()?;
        writer.set_root(&root, id)?;
        // The one before, and what a kill left between these steps.
        let named: Vec<EntryId> = file
            .roots()
            .into_iter()
            .filter_map(|(name, id)| name.starts_with(TABLES).then_some(id))
            .collect();
        let all: Vec<EntryId> =
            heap.blocks(&file.pin()).filter_map(|block| Some(block.ok()?.0)).collect();
        all.into_iter()
            .filter(|id| !named.contains(id))
            .try_for_each(|id| heap.free(writer, id))?;
        Ok(())
    }
}

/// The error that a stream put into one of input and output.
fn unwrapped(error: std::io::Error) -> MapError {
    match error.downcast::<pagestone_heap::Error>() {
        Ok(error) => MapError::File(error),
        Err(error) => MapError::Key(format!("table not written: {error}")),
    }
}
