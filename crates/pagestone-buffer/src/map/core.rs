//! A map of bytes to bytes: entries with a key each, and the table that finds them.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use pagestone_heap::{Log, Pin, RegionFile, Writer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    error::{MapError, MapResult},
    saved::Saved,
};
use crate::{
    Buffers, EntryBuffer, EntryId,
    table::{SLOT_MAX, Table},
};

/// The longest key.
const KEY_LEN_MAX: usize = u16::MAX as usize;

/// The table of a map with what it stands on, shared by all clones of the map.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) buffer: EntryBuffer,
    pub(super) name: String,
    pub(super) table: Table,
    /// The table in the file, where the one in memory began as it.
    pub(super) saved: Option<Saved>,
    /// Of the hash: random for each map that was made without a table in the file.
    pub(super) seed: u64,
    /// Held by whoever changes the table; room to put an entry together in.
    scratch: Mutex<Vec<u8>>,
    /// The changes of the log that the table knows of: one more while one is under way.
    seen: AtomicU64,
    /// The discards of the file that it knows of.
    discards: AtomicU64,
    /// The commit that a map in another process was made anew at.
    refreshed: AtomicU64,
    /// Entries that the table could not take in.
    unreadable: AtomicU64,
}

/// What counts as a change since a table was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    changes: u64,
    discards: u64,
    sequence: u64,
}

impl Moment {
    pub(super) fn of(log: &Log) -> Self {
        let file = log.file();
        Self { changes: log.changes(), discards: file.discards(), sequence: file.sequence() }
    }
}

/// The key and the value of an entry; `None` where it is no entry of a map.
#[inline]
pub(crate) fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = entry.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
}

/// Puts the beginning of an entry into `entry`: all but the value.
pub(crate) fn begin_entry(entry: &mut Vec<u8>, key: &[u8]) -> MapResult<()> {
    let too_long = |_| MapError::Key(format!("{} bytes; {KEY_LEN_MAX} are allowed", key.len()));
    let len = u16::try_from(key.len()).map_err(too_long)?;
    entry.clear();
    entry.extend_from_slice(&len.to_le_bytes());
    entry.extend_from_slice(key);
    Ok(())
}

impl Core {
    pub(crate) fn open(file: &RegionFile, name: &str) -> MapResult<Self> {
        let buffer = file.buffer(name)?;
        let moment = Moment::of(&buffer.log);
        let saved = Saved::find(&buffer, name);
        let mut core = Self {
            buffer,
            name: name.to_owned(),
            table: Table::new(),
            saved: None,
            seed: RandomState::new().build_hasher().finish(),
            scratch: Mutex::default(),
            seen: AtomicU64::new(0),
            discards: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
        };
        if let Some(saved) = saved {
            core.table = Table::of_image(saved.image.lens());
            core.seed = saved.image.origin.seed;
            core.saved = Some(saved);
            core.know(moment);
        } else {
            core.rebuild(&core.lock())?;
        }
        Ok(core)
    }

    pub(super) fn know(&self, moment: Moment) {
        self.discards.store(moment.discards, Ordering::Relaxed);
        self.refreshed.store(moment.sequence, Ordering::Relaxed);
        self.seen.store(moment.changes, Ordering::Release);
    }

    pub(super) fn note_unreadable(&self, count: u64) {
        self.unreadable.store(count, Ordering::Relaxed);
    }

    /// Entries that the table could not take in.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn log(&self) -> &Log {
        &self.buffer.log
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.seed)
    }

    #[inline]
    fn is_current(&self) -> bool {
        // A change of this map says itself here before it is one of the log.
        let changes = self.log().changes();
        changes <= self.seen.load(Ordering::Acquire)
            && self.buffer.file().discards() == self.discards.load(Ordering::Relaxed)
    }

    /// Makes the table anew where something changed that it was not told of.
    #[inline]
    pub(crate) fn catch_up(&self) -> MapResult<()> {
        if self.is_current() { Ok(()) } else { self.catch_up_slowly() }
    }

    #[cold]
    fn catch_up_slowly(&self) -> MapResult<()> {
        let scratch = self.lock();
        if self.is_current() { Ok(()) } else { self.rebuild(&scratch) }
    }

    /// Makes the table anew, but for a map of another process's file without a commit since.
    pub(crate) fn refresh(&self) -> MapResult<()> {
        let file = self.buffer.file();
        file.refresh()?;
        let scratch = self.lock();
        if !file.is_writable() && file.sequence() == self.refreshed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.rebuild(&scratch)
    }

    /// Whether the entry in a slot has this key; puts it into `hit` then.
    #[inline]
    fn is_of<'p>(
        &self,
        (pin, slot): (&'p Pin<'_>, u64),
        key: &[u8],
        hit: &mut Option<(EntryId, &'p [u8])>,
    ) -> MapResult<bool> {
        let Some((id, entry)) = self.log().in_slot(pin, slot)? else { return Ok(false) };
        match split(entry) {
            Some((its, value)) if its == key => {
                *hit = Some((id, value));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The entry of a key, and its value.
    #[inline]
    pub(crate) fn find<'p>(
        &self,
        pin: &'p Pin<'_>,
        key: &[u8],
    ) -> MapResult<Option<(EntryId, &'p [u8])>> {
        self.catch_up()?;
        self.find_hash(pin, self.hash(key), key)
    }

    #[inline]
    pub(super) fn find_hash<'p>(
        &self,
        pin: &'p Pin<'_>,
        hash: u64,
        key: &[u8],
    ) -> MapResult<Option<(EntryId, &'p [u8])>> {
        let mut hit = None;
        if !self.table.is_here(hash) {
            let same = |slot| self.is_of((pin, slot), key, &mut hit);
            let saved = self.saved.as_ref();
            if let Some(found) = saved.and_then(|saved| saved.find_in(pin, hash, same)) {
                return found.map(|_| hit);
            }
            self.leave_saved()?;
        }
        self.table.find(hash, |slot| self.is_of((pin, slot), key, &mut hit))?;
        Ok(hit)
    }

    /// Fetches what `guess` looks at, for as many hashes as a processor has misses at a time.
    #[inline]
    pub(super) fn touch(&self, hashes: &[u64]) {
        // The sum keeps the loads from being left out.
        let sum = hashes.iter().fold(0_u64, |sum, hash| sum ^ self.table.touch(*hash));
        std::hint::black_box(sum);
    }

    /// What `find` will most likely look at.
    #[inline]
    pub(super) fn guess(&self, pin: &Pin<'_>, hash: u64) -> Option<u64> {
        if self.table.is_here(hash) {
            return self.table.guess(hash);
        }
        self.saved.as_ref()?.guess_in(pin, hash)
    }

    /// The slot of a key, for a change: its shard is in memory behind this.
    fn slot_of(
        &self,
        scratch: &MutexGuard<'_, Vec<u8>>,
        (hash, key): (u64, &[u8]),
    ) -> MapResult<Option<EntryId>> {
        self.take_in(scratch, hash)?;
        let mut pin = None;
        let mut id = None;
        self.table.find(hash, |slot| {
            // Most new keys meet no other of their hash, and need no pin.
            let pin = pin.get_or_insert_with(|| self.buffer.file().pin());
            let mut hit = None;
            let same = self.is_of((pin, slot), key, &mut hit);
            id = id.or(hit.map(|(id, _)| id));
            same
        })?;
        Ok(id)
    }

    /// Runs one change of the log that the table knows of.
    fn change<R>(&self, change: impl FnOnce() -> Result<R, pagestone_heap::Error>) -> MapResult<R> {
        let before = self.seen.load(Ordering::Relaxed);
        self.seen.store(before + 1, Ordering::Release);
        let changed = change();
        if changed.is_err() {
            self.seen.store(before, Ordering::Release);
        }
        Ok(changed?)
    }

    /// Puts a value under a key; true when the key had one.
    pub(crate) fn insert(
        &self,
        writer: &mut Writer<'_>,
        key: &[u8],
        value: &[u8],
    ) -> MapResult<bool> {
        let mut scratch = self.lock();
        if !self.is_current() {
            self.rebuild(&scratch)?;
        }
        begin_entry(&mut scratch, key)?;
        scratch.extend_from_slice(value);
        let hash = self.hash(key);
        if let Some(id) = self.slot_of(&scratch, (hash, key))? {
            self.change(|| self.buffer.update(writer, id, &scratch))?;
            return Ok(true);
        }
        let id = self.change(|| self.buffer.add(writer, &scratch))?;
        if SLOT_MAX < id.slot() {
            self.change(|| self.buffer.remove(writer, id))?;
            return Err(MapError::Key(format!("the map is full: slot {}", id.slot())));
        }
        self.table.insert(hash, id.slot());
        Ok(false)
    }

    /// Removes a key; false where it was not there.
    pub(crate) fn remove(&self, writer: &mut Writer<'_>, key: &[u8]) -> MapResult<bool> {
        let scratch = self.lock();
        if !self.is_current() {
            self.rebuild(&scratch)?;
        }
        let hash = self.hash(key);
        let Some(id) = self.slot_of(&scratch, (hash, key))? else { return Ok(false) };
        self.change(|| self.buffer.remove(writer, id))?;
        self.table.remove(hash, id.slot());
        Ok(true)
    }

    /// Removes the keys that `keep` does not want.
    pub(crate) fn retain(
        &self,
        writer: &mut Writer<'_>,
        keep: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> MapResult<()> {
        self.catch_up()?;
        let pin = self.buffer.file().pin();
        let mut failed = None;
        self.log().for_each_in(&pin, 0..self.log().slot_end(), |_, found| {
            let removed = match found.map(|(_, entry)| split(entry)) {
                Ok(Some((key, value))) if !keep(key, value) => self.remove(writer, key).map(drop),
                // What cannot be read is not what somebody wanted removed.
                Ok(_) | Err(_) => Ok(()),
            };
            if failed.is_none() {
                failed = removed.err();
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// Makes room for so many keys more.
    pub(crate) fn reserve(&self, additional: u64) -> MapResult<()> {
        let scratch = self.lock();
        self.take_all_in(&scratch)?;
        self.table.reserve(self.table.len().saturating_add(additional));
        Ok(())
    }

    pub(crate) fn len(&self) -> MapResult<u64> {
        self.catch_up()?;
        Ok(self.table.len())
    }
}
