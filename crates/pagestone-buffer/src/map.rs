//! Keys and values in a buffer, found by a table.

mod core; // the map of bytes to bytes
mod saved; // the table in the file, and made anew
mod entry; // one key, there or not
mod iter; // all keys and values
mod batch; // many changes, all or none
mod error;

use std::{marker::PhantomData, sync::Arc};

use pagestone_heap::{Pin, RegionFile, Writer};

use self::core::Core;
pub use self::{
    entry::{Entry, OccupiedEntry, VacantEntry},
    error::{MapError, MapResult, RefusedValue},
};
use crate::{Codec, EntryBuffer, Key, Postcard};

/// Keys whose memory is fetched together.
const BATCH: usize = 32;

/// A map in a buffer: each entry holds a key and a value; a hash table leads from the key to the
/// entry. Clones are the same map.
///
/// Reads take a pin and no lock; changes take the [`Writer`]. What a change did survives a kill
/// once it returned, and power loss from the next commit on, as everything in the file.
///
/// The table is in memory, at most 14 bytes for each key. [`close`](Self::close) and
/// [`save`](Self::save) leave it in the file, where the next open uses it as it lies, if no entry
/// of the map was changed or moved since. Otherwise it is made anew from all keys, on all
/// processors. Dropping a map saves nothing: it may not take the writer.
///
/// In the process that writes, a map follows its own changes. One that is made through another
/// [`open`](Self::open) of the same name, by the id of an entry, or undone by a discard, makes the
/// next look at this one read all keys: clone a map instead of opening it twice. In other processes
/// [`refresh`](Self::refresh) shows what was committed since.
///
/// ```
/// use pagestone_buffer::EntryMap;
/// use pagestone_heap::RegionFile;
///
/// let file = RegionFile::options().in_memory()?;
/// let stars = EntryMap::<str, u32>::open(&file, "stars")?;
/// let mut writer = file.writer();
/// stars.insert(&mut writer, "serde", &5)?;
/// stars.entry(&mut writer, "rayon")?.and_modify(|stars| *stars += 1)?.or_insert(&1)?;
/// assert_eq!(stars.get("rayon")?, Some(1));
/// stars.save(&mut writer)?;
/// writer.commit()?;
/// # Ok::<(), pagestone_buffer::MapError>(())
/// ```
#[derive(Debug)]
pub struct EntryMap<K: ?Sized, V: ?Sized, C = Postcard> {
    core: Arc<Core>,
    kinds: PhantomData<fn(&K, &V, C)>,
}

impl<K: ?Sized, V: ?Sized, C> Clone for EntryMap<K, V, C> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), kinds: PhantomData }
    }
}

impl<K: Key + ?Sized, V: ?Sized, C: Codec<V>> EntryMap<K, V, C> {
    /// Opens the map of this name in a file, or makes it where there is none.
    ///
    /// Making one takes the writer, for which a thread that holds it would wait for ever. So does
    /// the open after a kill inside a [`batch`](Self::batch), which undoes that.
    ///
    /// Cost: some microseconds for a map that was saved and not changed since, while nobody holds
    /// the writer; else every key is read.
    ///
    /// # Errors
    ///
    /// As [`Buffers::buffer`](crate::Buffers::buffer); `Key` where there are entries and none is
    /// one of a map.
    pub fn open(file: &RegionFile, name: &str) -> MapResult<Self> {
        batch::undo_killed(file)?;
        Ok(Self { core: Arc::new(Core::open(file, name)?), kinds: PhantomData })
    }

    /// Returns the buffer that the map is in.
    #[must_use]
    pub fn buffer(&self) -> &EntryBuffer {
        &self.core.buffer
    }

    /// Reads all keys anew: for a map of a file that another process writes, where it does nothing
    /// without a commit since the last time.
    ///
    /// # Errors
    ///
    /// As [`RegionFile::refresh`]; `Key` as for `open`.
    pub fn refresh(&self) -> MapResult<()> {
        self.core.refresh()
    }

    /// Writes the table into the file, so that the next open need not read all keys. It is of use
    /// as long as no entry of the map is changed or moved; a compaction comes before it.
    ///
    /// Cost: 8 bytes in the file for each place of the table; nothing where it is there already.
    ///
    /// # Errors
    ///
    /// What a change of the file can fail with; the map is as it was then.
    pub fn save(&self, writer: &mut Writer<'_>) -> MapResult<()> {
        self.core.save(writer)
    }

    /// Saves the table, for whoever closes the file next. Takes the writer.
    ///
    /// # Errors
    ///
    /// As `save`.
    pub fn close(self) -> MapResult<()> {
        self.core.save(&mut self.core.buffer.file().writer())
    }

    /// Entries that no key leads to, because they are damaged or none of a map, when all were last
    /// read.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.core.unreadable()
    }

    /// The value of a key, as bytes that stay while the pin lives.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `Key` for one that has no bytes; `InvalidArgument` for a pin of another file.
    #[inline]
    pub fn get_raw<'p>(&self, pin: &'p Pin<'_>, key: &K) -> MapResult<Option<&'p [u8]>> {
        let found = key.with_bytes(|key| self.core.find(pin, key)).map_err(MapError::Key)?;
        Ok(found?.map(|(_, value)| value))
    }

    /// Shows the bytes of the value of a key to `look`, without a copy.
    ///
    /// # Errors
    ///
    /// As `get_raw`.
    pub fn get_with<R>(&self, key: &K, look: impl FnOnce(&[u8]) -> R) -> MapResult<Option<R>> {
        let pin = self.core.buffer.file().pin();
        Ok(self.get_raw(&pin, key)?.map(look))
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// As `get_raw`; `Value` where the codec refuses the bytes.
    pub fn get(&self, key: &K) -> MapResult<Option<C::Owned>> {
        self.get_with(key, C::decode)?.transpose().map_err(|cause| Self::refused(key, cause))
    }

    /// Shows the values of many keys as bytes to `each`, with their places in `keys`, in order:
    /// several times faster than one by one where they are not in the processor's caches.
    ///
    /// # Errors
    ///
    /// `Key` for the first that has no bytes; what is wrong with one value goes to `each`.
    pub fn get_many<'p, Q: std::borrow::Borrow<K>>(
        &self,
        pin: &'p Pin<'_>,
        keys: &[Q],
        mut each: impl FnMut(usize, MapResult<Option<&'p [u8]>>),
    ) -> MapResult<()> {
        self.core.catch_up()?;
        let mut hashes = [0; BATCH];
        let mut guesses = [None; BATCH];
        for (batch, keys) in keys.chunks(BATCH).enumerate() {
            for (hash, key) in hashes.iter_mut().zip(keys) {
                let hash_of = |key: &[u8]| self.core.hash(key);
                *hash = key.borrow().with_bytes(hash_of).map_err(MapError::Key)?;
            }
            let hashes = hashes.get(..keys.len()).unwrap_or_default();
            self.core.touch(hashes);
            for (hash, guess) in hashes.iter().zip(&mut guesses) {
                *guess = self.core.guess(pin, *hash);
                if let Some(slot) = *guess {
                    self.core.buffer.log.prefetch_slot(slot);
                }
            }
            for slot in guesses.iter().take(keys.len()).flatten() {
                self.core.buffer.log.prefetch_entry(*slot);
            }
            for (place, (key, hash)) in keys.iter().zip(hashes).enumerate() {
                let found = key.borrow().with_bytes(|key| self.core.find_hash(pin, *hash, key));
                let found = found.map_err(MapError::Key)?;
                each(batch * BATCH + place, found.map(|found| found.map(|(_, value)| value)));
            }
        }
        Ok(())
    }

    /// Whether the map has the key.
    ///
    /// # Errors
    ///
    /// As `get_raw`.
    pub fn contains_key(&self, key: &K) -> MapResult<bool> {
        self.get_with(key, |_| ()).map(|found| found.is_some())
    }

    /// Puts a value under a key; true when the key had one, which is replaced.
    ///
    /// # Errors
    ///
    /// `Value` where the codec refuses it; `Key` for one that is too long; what a change can fail
    /// with. Nothing is changed then.
    pub fn insert(&self, writer: &mut Writer<'_>, key: &K, value: &V) -> MapResult<bool> {
        let value = C::encode(value).map_err(|cause| Self::refused(key, cause))?;
        key.with_bytes(|key| self.core.insert(writer, key, &value)).map_err(MapError::Key)?
    }

    /// Removes a key with its value; false when it was not there.
    ///
    /// # Errors
    ///
    /// What a change can fail with.
    pub fn remove(&self, writer: &mut Writer<'_>, key: &K) -> MapResult<bool> {
        key.with_bytes(|key| self.core.remove(writer, key)).map_err(MapError::Key)?
    }

    /// Removes a key and returns its value.
    ///
    /// # Errors
    ///
    /// As `get` and `remove`; a value that the codec refuses stays.
    pub fn take(&self, writer: &mut Writer<'_>, key: &K) -> MapResult<Option<C::Owned>> {
        let value = self.get(key)?;
        if value.is_some() {
            self.remove(writer, key)?;
        }
        Ok(value)
    }

    /// One key of the map, there or not, to look at and change.
    ///
    /// # Errors
    ///
    /// As `get_raw`; `Key` for one that is too long.
    pub fn entry<'m, 'w, 'f>(
        &'m self,
        writer: &'w mut Writer<'f>,
        key: &K,
    ) -> MapResult<Entry<'m, 'w, 'f, V, C>> {
        let bytes = key.with_bytes(<[u8]>::to_vec).map_err(MapError::Key)?;
        Entry::new(&self.core, writer, bytes)
    }

    /// Makes room in the table for so many keys more.
    ///
    /// # Errors
    ///
    /// As `open`, where the table has to be made anew.
    pub fn reserve(&self, additional: u64) -> MapResult<()> {
        self.core.reserve(additional)
    }

    /// Puts many values under their keys, under one writer; a key that is new meets no other, so no
    /// entry is read for it.
    ///
    /// # Errors
    ///
    /// As `insert`, at the first that fails; those before it stay.
    pub fn extend<'a>(
        &self,
        writer: &mut Writer<'_>,
        entries: impl IntoIterator<Item = (&'a K, &'a V)>,
    ) -> MapResult<()>
    where
        K: 'a,
        V: 'a,
    {
        let entries = entries.into_iter();
        let (least, _) = entries.size_hint();
        self.reserve(least as u64)?;
        for (key, value) in entries {
            self.insert(writer, key, value)?;
        }
        Ok(())
    }

    /// Removes what `keep` does not want: it is shown key and value as bytes. Entries that cannot
    /// be read stay.
    ///
    /// # Errors
    ///
    /// The first that a change failed with.
    pub fn retain(
        &self,
        writer: &mut Writer<'_>,
        mut keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> MapResult<()> {
        self.core.retain(writer, &mut keep)
    }

    /// Keys there are.
    ///
    /// # Errors
    ///
    /// As `open`, where the table has to be made anew.
    pub fn len(&self) -> MapResult<usize> {
        Ok(usize::try_from(self.core.len()?).unwrap_or(usize::MAX))
    }

    /// Returns whether there is no key.
    ///
    /// # Errors
    ///
    /// As `len`.
    pub fn is_empty(&self) -> MapResult<bool> {
        self.len().map(|len| len == 0)
    }

    #[cold]
    fn refused(key: &K, cause: String) -> MapError {
        match key.with_bytes(<[u8]>::to_vec) {
            Ok(key) => MapError::refused(&key, cause),
            Err(cause) => MapError::Key(cause),
        }
    }
}
