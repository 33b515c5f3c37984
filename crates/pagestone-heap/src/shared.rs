//! What readers and the writer of one open file share.

use std::{
    path::Path,
    sync::{Arc, OnceLock, PoisonError, atomic::Ordering},
};

use pagestone_storage::raw::RawFile;

use crate::{
    class::{GRAIN, room_of},
    commits::Commits,
    epoch::Epoch,
    error::{Cause, Error, ErrorKind, Result},
    follow::{Follower, LOOKS, settle},
    id::BlockId,
    layout::{BLOCK_HEADER, BlockHeader, ENTRY_HEADER, EntryHeader, REGION_HEADER, UNIT},
    names::Names,
    options::FileOptions,
    parts::{self, Parts},
    pin::Pins,
    state::State,
    store::Store,
    sync::{AtomicU64, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    units::Units,
    word::{ENTRY, OVERSIZE, Pair, SLAB, TOMBSTONE, View, Word, tag_of},
};

/// The bits of a block header's second word that are the length.
const LEN_MASK: u64 = (1 << 48) - 1;

/// Where the word of the room lies in an entry header.
const ROOM_WORD: u64 = 24;

/// One open file.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) raw: RawFile,
    pub(crate) units: Units,
    pub(crate) pins: Pins,
    /// Which version of an id is shown: the newest by the writer's process, the committed one by
    /// a read-only open.
    pub(crate) view: View,
    /// Of a read-only open.
    pub(crate) follower: Option<Follower>,
    pub(crate) options: FileOptions,
    pub(crate) uuid: [u8; 16],
    pub(crate) directory: Parts,
    epoch: Epoch,
    generation: AtomicU64,
    /// How often a discard undid something.
    pub(crate) discards: AtomicU64,
    stores: RwLock<Vec<Option<Arc<Store>>>>,
    names: RwLock<Names>,
    poison: OnceLock<(&'static str, String)>,
    state: Mutex<State>,
    /// Writers that wait for the state.
    wanted: AtomicU64,
    /// Commits of threads that share them.
    pub(crate) commits: Commits,
}

/// A block that a lookup found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) id: BlockId,
    pub(crate) word: Word,
    /// Where the block starts.
    pub(crate) at: u64,
    /// Bytes of payload.
    pub(crate) len: usize,
    /// Bytes that a payload at this place could have.
    pub(crate) capacity: u64,
}

impl Shared {
    pub(crate) fn new(
        raw: RawFile,
        options: FileOptions,
        (uuid, follower): ([u8; 16], Option<Follower>),
    ) -> Self {
        let view = if follower.is_some() { View::Committed } else { View::Newest };
        Self {
            units: Units::new(raw.capacity()),
            raw,
            pins: Pins::new(),
            view,
            follower,
            options,
            uuid,
            directory: Parts::new(),
            epoch: Epoch::new(tag_of(1)),
            generation: AtomicU64::new(0),
            discards: AtomicU64::new(0),
            stores: RwLock::new(Vec::new()),
            names: RwLock::new(Names::default()),
            poison: OnceLock::new(),
            state: Mutex::new(State::default()),
            wanted: AtomicU64::new(0),
            commits: Commits::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.raw.path()
    }

    /// Takes the one lock of the file.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a caller's closure leaves the state whole: it is changed before or after.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the one lock of the file if nobody has it.
    pub(crate) fn try_lock(&self) -> std::sync::TryLockResult<MutexGuard<'_, State>> {
        self.state.try_lock()
    }

    /// Takes the one lock of the file, so that a shrink knows of who waits.
    pub(crate) fn lock_soon(&self) -> MutexGuard<'_, State> {
        if let Ok(state) = self.state.try_lock() {
            return state;
        }
        self.wanted.fetch_add(1, Ordering::Relaxed);
        let state = self.lock();
        self.wanted.fetch_sub(1, Ordering::Relaxed);
        state
    }

    /// Whether a writer waits.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn stores(&self) -> RwLockReadGuard<'_, Vec<Option<Arc<Store>>>> {
        self.stores.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stores_mut(&self) -> RwLockWriteGuard<'_, Vec<Option<Arc<Store>>>> {
        self.stores.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn names(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn names_mut(&self) -> RwLockWriteGuard<'_, Names> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self, number: u32) -> Option<Arc<Store>> {
        let index = usize::try_from(number).ok()?;
        self.stores().get(index).cloned().flatten()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The tag of the open epoch, for the writer.
    #[inline]
    pub(crate) fn tag(&self) -> u16 {
        self.epoch.tag()
    }

    /// Makes `generation` the committed one.
    pub(crate) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
        self.epoch.open(tag_of(generation + 1));
    }

    /// The words of a pair that is there.
    #[inline]
    pub(crate) fn pair(&self, at: u64) -> Pair {
        let pair = self.raw.load_pair(at, Ordering::Acquire).unwrap_or_default();
        Pair(pair.map(Word))
    }

    /// The word of a pair that counts, for a reader: both words are of one epoch. One of tag 0
    /// where there is none, or no pair.
    #[inline]
    pub(crate) fn select(&self, at: u64) -> Word {
        match &self.follower {
            None => self.epoch.select(View::Newest, || self.pair(at)),
            Some(follower) => self.select_committed(follower, at),
        }
    }

    /// The word of a pair that the generation names which is committed at this moment.
    #[inline]
    fn select_committed(&self, follower: &Follower, at: u64) -> Word {
        let word = settle(
            || follower.quick(),
            |quick| self.still_says(follower, *quick),
            || self.pair(at).word(self.epoch.seen(), View::Committed),
            || self.catch_up(follower),
        );
        word.unwrap_or(Word::EMPTY)
    }

    /// Finds the block of an id, as this file's readers see it.
    ///
    /// Kept short: the fewer instructions a get has, the more of them wait for memory together.
    #[inline]
    pub(crate) fn find(&self, store: &Store, id: BlockId) -> Result<Found> {
        if let Some(follower) = &self.follower {
            return self.find_beside(follower, store, id);
        }
        let at = store.parts.quick(id.index());
        loop {
            let word = self.epoch.select(View::Newest, || self.pair(at));
            let found = self.found(store, id, word);
            // A discard may take the region of a word away that was loaded before.
            if found.is_ok() || self.select(at) == word {
                return found;
            }
        }
    }

    /// As `find`, beside the writer of another process. Apart from it, so that neither has the
    /// instructions of the other.
    #[inline(never)]
    fn find_beside(&self, follower: &Follower, store: &Store, id: BlockId) -> Result<Found> {
        let mut looks = 0;
        loop {
            let at = store.parts.quick(id.index());
            let word = self.select_committed(follower, at);
            let found = self.found(store, id, word);
            // A commit may have made a region or a part of the table that is not known yet.
            looks += 1;
            if found.is_ok() || self.select(at) == word && !self.scan_if_behind() || looks == LOOKS
            {
                return found;
            }
        }
    }

    /// The block that a word of the id's slot names.
    #[inline]
    pub(crate) fn found(&self, store: &Store, id: BlockId, word: Word) -> Result<Found> {
        if let Some((at, room)) = self.place(word)
            && let Some([owner, second]) = self.raw.load_pair(at, Ordering::Relaxed)
        {
            let (len, capacity) = (second & LEN_MASK, room - BLOCK_HEADER);
            if owner == id.to_bits()
                && len <= capacity
                && let Ok(len) = usize::try_from(len)
            {
                return Ok(Found { id, word, at, len, capacity });
            }
        }
        Err(self.not_found(store, id, word))
    }

    /// Where the block of a word starts and how many bytes it has; `None` for a place that no
    /// block can have.
    #[inline]
    pub(crate) fn place(&self, word: Word) -> Option<(u64, u64)> {
        let at = word.body() * GRAIN;
        let limit = self.units.get(at)?;
        let class = word.class();
        if class == OVERSIZE {
            let end = limit.of_one_block();
            return (at % UNIT == REGION_HEADER && at < end).then(|| (at, end - at));
        }
        let room = room_of(class);
        (!word.is_empty() && at + room <= limit.of_heap()).then_some((at, room))
    }

    /// Where the slab of a word starts and how many bytes it has; `None` for a place that no slab
    /// can have.
    #[inline]
    pub(crate) fn slab_place(&self, word: Word) -> Option<(u64, u64)> {
        let at = word.body() * GRAIN;
        let end = self.units.get(at)?.of_slab();
        let right = word.class() == SLAB && at % UNIT == REGION_HEADER && at < end;
        right.then(|| (at, end - at))
    }

    /// The header of a block at a place that [`Self::place`] allowed.
    pub(crate) fn header(&self, at: u64) -> BlockHeader {
        let word = |offset| self.raw.load(at + offset, Ordering::Relaxed).to_le();
        BlockHeader::from_words([word(0), word(8), word(16)])
    }

    /// Finds the entry of an id, as this file's readers see it.
    #[inline]
    pub(crate) fn find_entry(&self, store: &Store, id: BlockId) -> Result<Found> {
        let mut looks = 0;
        loop {
            let at = store.parts.quick(id.index());
            let word = self.select(at);
            if let Some(found) = self.whole_entry(id, word) {
                return Ok(found);
            }
            looks += 1;
            if self.select(at) == word && !self.scan_if_behind() || looks == LOOKS {
                return Err(self.no_entry(store, id, word));
            }
        }
    }

    /// The entry of this id that a word names, or why there is none.
    pub(crate) fn entry_of(&self, store: &Store, id: BlockId, word: Word) -> Result<Found> {
        self.whole_entry(id, word).ok_or_else(|| self.no_entry(store, id, word))
    }

    #[inline]
    fn whole_entry(&self, id: BlockId, word: Word) -> Option<Found> {
        let (owner, len) = self.entry_at(word)?;
        let at = word.body() * GRAIN;
        let len = usize::try_from(len).ok().filter(|_| owner == id.to_bits())?;
        Some(Found { id, word, at, len, capacity: len as u64 })
    }

    /// The id and the length of the entry that a word names, if one lies there.
    #[inline]
    pub(crate) fn entry_at(&self, word: Word) -> Option<(u64, u64)> {
        self.header_of(word).map(|header| (header.id.get(), header.payload()))
    }

    /// The header of the entry that a word names, if one lies there.
    #[inline]
    pub(crate) fn header_of(&self, word: Word) -> Option<EntryHeader> {
        let at = word.body() * GRAIN;
        let end = self.units.get(at)?.of_heap();
        if word.class() != ENTRY || word.is_empty() {
            return None;
        }
        // Two checks of bounds, where four words would make four.
        let [id, sequence] = self.raw.load_pair(at, Ordering::Relaxed)?;
        let [descriptor, room] = self.raw.load_pair(at + 16, Ordering::Relaxed)?;
        let header = EntryHeader::from_words([id, sequence, descriptor, room]);
        let fits = !header.is_tombstone() && header.is_sound() && at + header.stride() <= end;
        fits.then_some(header)
    }

    /// The header of the entry at a place where one can lie.
    #[inline]
    pub(crate) fn entry_header(&self, at: u64) -> EntryHeader {
        let word = |offset| self.raw.load(at + offset, Ordering::Relaxed).to_le();
        EntryHeader::from_words([word(0), word(8), word(16), word(24)])
    }

    /// Whether the payload of the entry at `at` may have been changed where it lies.
    #[inline]
    pub(crate) fn has_room(&self, at: u64) -> bool {
        self.raw.load(at + ROOM_WORD, Ordering::Relaxed) != 0
    }

    /// Errors where the payload of an entry with room is not what its header says: a change in
    /// place was broken off by a crash.
    #[inline(never)]
    pub(crate) fn check_change(&self, at: u64, payload: &[u8]) -> Result<()> {
        let header = self.entry_header(at);
        // The room stands in for the incarnation, which readers do not know.
        let (expected, found) = (header.sum(0, payload), header.checksum.get());
        if expected == found {
            return Ok(());
        }
        let what = ("checksum of an entry that changes in place", at + 20);
        Err(Error::corrupt(self.path(), what, expected.into(), found.into()))
    }

    /// A copy of the payload of the entry at `at`, whose bounds were checked; `None` where this
    /// machine cannot hold it.
    pub(crate) fn payload_of(&self, header: &EntryHeader, at: u64) -> Option<Vec<u8>> {
        let mut payload = vec![0; usize::try_from(header.payload()).ok()?];
        self.raw.read_at(at + ENTRY_HEADER, &mut payload);
        Some(payload)
    }

    #[cold]
    #[inline(never)]
    fn no_entry(&self, store: &Store, id: BlockId, word: Word) -> Error {
        if let Some(trouble) = self.trouble() {
            return trouble;
        }
        if word.is_empty() || word.class() == TOMBSTONE {
            return self.stale(store, id, "the slot is vacant");
        }
        if !parts::exists(id.index()) {
            return self.stale(store, id, "no such slot");
        }
        let at = word.body() * GRAIN;
        match self.entry_at(word).map(|(owner, _)| BlockId::from_bits(owner)) {
            None => Error::corrupt(self.path(), ("place of an entry", at), 0, word.0),
            Some(owner) if owner.index() == id.index() => {
                Error::stale(self.path(), id, "removed, and its slot used again")
            }
            Some(owner) => {
                let (expected, found) = (id.to_bits(), owner.to_bits());
                Error::corrupt(self.path(), ("id in an entry header", at), expected, found)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn not_found(&self, store: &Store, id: BlockId, word: Word) -> Error {
        if let Some(trouble) = self.trouble() {
            return trouble;
        }
        if word.is_empty() || word.class() == TOMBSTONE {
            return self.stale(store, id, "the slot is vacant");
        }
        if !parts::exists(id.index()) {
            return self.stale(store, id, "no such slot");
        }
        match self.place(word) {
            Some((at, room)) => self.other_block(id, (at, room - BLOCK_HEADER), &self.header(at)),
            None => {
                Error::corrupt(self.path(), ("place of a block", word.body() * GRAIN), 0, word.0)
            }
        }
    }

    #[cold]
    fn stale(&self, store: &Store, id: BlockId, what: &'static str) -> Error {
        let what = if store.is_undone() { "its store was undone by a discard" } else { what };
        Error::stale(self.path(), id, what)
    }

    fn other_block(&self, id: BlockId, (at, capacity): (u64, u64), header: &BlockHeader) -> Error {
        let found = BlockId::from_bits(header.id.get());
        if found == id {
            return Error::corrupt(self.path(), ("block length", at + 8), capacity, header.len());
        }
        if found.index() == id.index() {
            return Error::stale(self.path(), id, "freed, and its slot used again");
        }
        Error::corrupt(self.path(), ("id in a block header", at), id.to_bits(), found.to_bits())
    }

    /// Errors when a sync failed since the file was opened.
    #[inline]
    pub(crate) fn check_poison(&self) -> Result<()> {
        match self.poison.get() {
            None => Ok(()),
            Some((action, cause)) => Err(Cause::Poisoned {
                path: self.path().to_path_buf(),
                action,
                cause: cause.clone(),
            }
            .into()),
        }
    }

    /// Refuses all changes from here on; returns the error to give to the caller.
    #[cold]
    pub(crate) fn poison(&self, action: &'static str, error: Error) -> Error {
        // The first cause is the one that counts.
        self.poison.get_or_init(|| (action, error.to_string()));
        tracing::error!(path = %self.path().display(), action, %error, "poisoned");
        error
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.get().is_some()
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.raw.is_writable() {
            return self.check_poison();
        }
        Err(Error::refused(ErrorKind::ReadOnly, self.path(), "opened for reading only"))
    }
}
