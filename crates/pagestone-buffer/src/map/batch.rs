//! Many changes, all or none, whatever ends the program.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use pagestone_heap::{RegionFile, Writer};

use super::{EntryMap, error::MapResult};
use crate::{Codec, EntryId, Key};

/// The root that is there while a batch is under way, and is not committed.
const UNDER_WAY: &str = "pagestone.batch";

/// What the root says of batches that are under way in this process.
static LIVE: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

fn live() -> MutexGuard<'static, BTreeSet<u64>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch under way; undone when it is dropped before its end.
struct Batch<'w, 'f> {
    writer: &'w mut Writer<'f>,
    number: u64,
    is_done: bool,
}

impl Drop for Batch<'_, '_> {
    fn drop(&mut self) {
        if !self.is_done
            && let Err(error) = self.writer.discard()
        {
            // The root stays, and with it the order to undo at the next open.
            tracing::error!(%error, "a batch was not undone");
        }
        live().remove(&self.number);
    }
}

/// Undoes what a batch did that was killed.
pub(super) fn undo_killed(file: &RegionFile) -> MapResult<()> {
    let is_killed = || file.root(UNDER_WAY).is_some_and(|id| !live().contains(&id.to_bits()));
    if !file.is_writable() || !is_killed() {
        return Ok(());
    }
    let mut writer = file.writer();
    if is_killed() {
        tracing::info!("a batch was killed and is undone");
        writer.discard()?;
    }
    Ok(())
}

impl<K: Key + ?Sized, V: ?Sized, C: Codec<V>> EntryMap<K, V, C> {
    /// Runs many changes as one: after a crash all of them are there or none, be it a kill or a
    /// power loss. They can be of any map, buffer and heap of the file. What was changed before is
    /// committed first.
    ///
    /// A kill inside leaves its part in the file until a map of it is opened for writing, which
    /// undoes it. `changes` does not commit or discard itself.
    ///
    /// ```
    /// use pagestone_buffer::EntryMap;
    /// use pagestone_heap::RegionFile;
    ///
    /// let file = RegionFile::options().in_memory()?;
    /// let accounts = EntryMap::<str, i64>::open(&file, "accounts")?;
    /// accounts.batch(&mut file.writer(), |writer| {
    ///     accounts.insert(writer, "from", &-5)?;
    ///     accounts.insert(writer, "to", &5)
    /// })?;
    /// # Ok::<(), pagestone_buffer::MapError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That of `changes`, after which all of them are undone, as after a panic; those of the two
    /// commits.
    pub fn batch<R>(
        &self,
        writer: &mut Writer<'_>,
        changes: impl FnOnce(&mut Writer<'_>) -> MapResult<R>,
    ) -> MapResult<R> {
        writer.commit()?;
        let number = RandomState::new().build_hasher().finish() | 1;
        live().insert(number);
        let mut batch = Batch { writer, number, is_done: false };
        batch.writer.set_root(UNDER_WAY, EntryId::from_bits(number))?;
        let result = changes(batch.writer)?;
        batch.writer.remove_root(UNDER_WAY)?;
        // From here on a kill leaves all of it.
        batch.is_done = true;
        batch.writer.commit()?;
        Ok(result)
    }
}
