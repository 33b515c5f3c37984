//! A copy of a file without its holes: the same ids, names and contents, one block behind the
//! other.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc};

use pagestone_storage::Location;

use crate::{
    class::{CLASS_MAX, room_of},
    engine::{Engine, Found, Given, Tail, adopt::Wanted},
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    id::BlockId,
    layout::{BLOCK_HEADER, UNIT},
    options::FileOptions,
    parts::{HIDDEN, PAIR, PARTS, first_of, part_len},
    region::{
        fitting,
        lifecycle::{Keeper, Owned, published_entry, stored},
    },
    slabs::{Geometry, region_bytes},
    store::Store,
    units::Kind,
    verify::Progress,
    word::{SLAB, TOMBSTONE, Word},
};

/// A region of a copy has at most this part of all blocks, as where a file grows.
const PARTS_OF_ALL: u64 = 16;

/// Files that are removed unless the copy was finished.
struct Unfinished(Vec<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in &self.0 {
            // The first error is the one to report; the next copy removes what stays.
            std::fs::remove_file(path).ok();
        }
    }
}

impl RegionFile {
    /// Writes a dense copy of the file, with the same ids, names, flags and contents, and a new
    /// uuid: what [`HeapMut`](crate::HeapMut) and readers of this file would see.
    ///
    /// The copy is made under a name of its own beside the target, and takes its name when all of
    /// it is on the device; on an error nothing is left. Writers of this file wait meanwhile.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; `OutOfSpace`; `Corrupt` where slot and block contradict each other;
    /// `Locked` for a file opened for reading that was committed to meanwhile; as
    /// [`FileOptions::create`].
    pub fn copy_compact(&self, location: impl Into<Location>, options: &FileOptions) -> Result<()> {
        self.copy_compact_to(&location.into(), (options, None))
    }

    /// As [`copy_compact`](Self::copy_compact), and tells `hook` every 4,096 slots how far it is;
    /// it may break off.
    ///
    /// # Errors
    ///
    /// As `copy_compact`; `Cancelled` when the hook says so. Nothing is left of the copy then.
    pub fn copy_compact_with(
        &self,
        location: impl Into<Location>,
        options: &FileOptions,
        hook: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<()> {
        self.copy_compact_to(&location.into(), (options, Some(hook)))
    }

    fn copy_compact_to(
        &self,
        target: &Location,
        (options, hook): (&FileOptions, Option<Hook<'_>>),
    ) -> Result<()> {
        let span = tracing::info_span!("copy_compact", to = %target.path().display());
        let _span = span.entered();
        Self::make_beside(target, options, |copy| copy.fill_from((self, hook)))
    }

    /// The name of a file that is not there yet.
    pub(crate) fn vacant_name(target: &Location) -> Result<String> {
        let name = target.path().file_name().map(|name| name.to_string_lossy().into_owned());
        name.filter(|_| !target.path().exists())
            .ok_or_else(|| Error::refused(ErrorKind::AlreadyExists, target.path(), "it is there"))
    }

    /// Creates a file under a name of its own beside the target, has it filled and closed, and gives
    /// it the target's name; on an error nothing is left.
    pub(crate) fn make_beside<R>(
        target: &Location,
        options: &FileOptions,
        fill: impl FnOnce(&Self) -> Result<R>,
    ) -> Result<R> {
        let name = Self::vacant_name(target)?;
        let part = target.beside(format!(".{name}.part"));
        let lock = target.beside(format!(".{name}.part.lock"));
        // What a copy left that was killed; one that is under way has the lock.
        let open = options.open(part.clone());
        match open {
            Err(error) if error.kind() == ErrorKind::Locked => return Err(error),
            _ => drop(open),
        }
        std::fs::remove_file(part.path()).ok();
        let copy = options.create(part.clone())?;
        let mut unfinished = Unfinished(vec![part.path().to_path_buf(), lock.path().to_path_buf()]);
        let filled = fill(&copy)?;
        copy.clone().close()?;
        std::fs::rename(part.path(), target.path()).map_err(|error| {
            Error::refused(ErrorKind::Io, target.path(), format!("rename: {error}"))
        })?;
        // The lock's file alone is left over.
        unfinished.0.remove(0);
        copy.shared.raw.sync_directory()?;
        Ok(filled)
    }

    /// Takes over all of another file; this one is fresh.
    fn fill_from(&self, (other, hook): (&Self, Option<Hook<'_>>)) -> Result<()> {
        if other.shared.follower.is_none() {
            return self.fill_from_own(other, hook);
        }
        // The writer of another process does not wait: a hold keeps what it frees.
        let before = other.refresh()?;
        let _pin = other.pin();
        self.fill_from_own(other, hook)?;
        if other.sequence() == before {
            return Ok(());
        }
        let what = "its writer committed meanwhile; copy a backup, or have the writer copy it";
        Err(Error::refused(ErrorKind::Locked, other.path(), what))
    }

    fn fill_from_own(&self, other: &Self, hook: Option<Hook<'_>>) -> Result<()> {
        let mut source = other.shared.lock();
        let mut state = self.shared.lock();
        let mut copy = Copy {
            from: Engine { shared: &other.shared, state: &mut source },
            to: Engine { shared: &self.shared, state: &mut state },
            hook,
            progress: Progress::default(),
            left: 0,
        };
        copy.run()
    }
}

struct Copy<'c, 'h> {
    from: Engine<'c>,
    to: Engine<'c>,
    hook: Option<Hook<'h>>,
    progress: Progress,
    /// Bytes of entries of the store at hand that are to be copied.
    left: u64,
}

/// Who is told how far a copy is.
type Hook<'h> = &'h mut dyn FnMut(Progress) -> ControlFlow<()>;

impl Copy<'_, '_> {
    fn run(&mut self) -> Result<()> {
        self.to.touch()?;
        let stores: Vec<Arc<Store>> =
            self.from.shared.stores().iter().flatten().map(Arc::clone).collect();
        let mut room = 0;
        for store in &stores {
            self.each_word(store, |copy, _, word| {
                copy.progress.total += 1;
                room += if word.class() <= CLASS_MAX { room_of(word.class()) } else { 0 };
                Ok(())
            })?;
        }
        self.make_room(room)?;
        for store in &stores {
            self.copy_store(store)?;
        }
        // What the writer knows is made from the slots, as after a kill.
        self.to.rebuild(Found::Unclean(Tail::Kept))?;
        self.to.state.changed = true;
        Ok(())
    }

    /// Adopts regions for all blocks that share them.
    fn make_room(&mut self, room: u64) -> Result<()> {
        // The end of a region may be too short for the next block.
        let mut left = (room + room / 256).next_multiple_of(UNIT);
        let longest = (room / PARTS_OF_ALL).max(1 << 20).next_power_of_two();
        let longest = longest.min(self.to.shared.options.region_size);
        while 0 < left {
            let len = fitting(left.min(longest));
            self.to.adopt(Wanted::of(Kind::Heap, len))?;
            left -= len;
        }
        Ok(())
    }

    /// Calls `visit` with part, index and word of each slot that was ever used.
    fn each_word(
        &mut self,
        store: &Store,
        mut visit: impl FnMut(&mut Self, u64, Word) -> Result<()>,
    ) -> Result<()> {
        for part in (0..PARTS).filter(|part| store.parts.has(*part)) {
            let first = first_of(part);
            for index in first + HIDDEN..first + part_len(part) / PAIR {
                let word = self.from.shared.select(store.parts.quick(index));
                if !word.is_empty() {
                    visit(self, index, word)?;
                }
            }
        }
        Ok(())
    }

    fn copy_store(&mut self, store: &Store) -> Result<()> {
        let twin = Store::new(store.number, store.generation, store.keeps);
        for part in (0..PARTS).filter(|part| store.parts.has(*part)) {
            let wanted = Wanted::of(Kind::Table, part_len(part));
            let number = self.to.adopt(Wanted { store: store.number, part, ..wanted })?;
            twin.parts.set(part, self.to.state.region(number).map(|region| region.range.start));
        }
        if store.is_log() {
            self.left = 0;
            self.each_word(store, |copy, _, word| {
                let header = copy.from.shared.header_of(word);
                copy.left += header.map_or(0, |header| header.stride());
                Ok(())
            })?;
        }
        self.each_word(store, |copy, index, word| {
            copy.tell()?;
            copy.copy_slot((store, &twin), index, word)
        })
    }

    /// Tells the hook how far the copy is, now and then.
    fn tell(&mut self) -> Result<()> {
        self.progress.done += 1;
        if self.progress.done.is_multiple_of(4096)
            && let Some(hook) = &mut self.hook
            && hook(self.progress).is_break()
        {
            let what = format!("cancelled after {} slots", self.progress.done);
            let path = self.from.shared.path();
            return Err(Error::refused(ErrorKind::Cancelled, path, what));
        }
        Ok(())
    }

    fn copy_slot(&mut self, (store, twin): (&Store, &Store), index: u64, word: Word) -> Result<()> {
        let slot = twin.parts.quick(index);
        if word.class() == TOMBSTONE || store.has_counts() {
            self.to.publish(slot, word.class(), word.body());
            return Ok(());
        }
        let shared = self.from.shared;
        if store.is_log() {
            return self.copy_entry((store, twin), (index, slot), word);
        }
        if store.has_slabs() {
            return self.copy_slab((store, index), slot);
        }
        let place = shared.place(word);
        let header = place.map(|(at, _)| shared.header(at).id.get());
        let id = BlockId::from_bits(header.unwrap_or(0));
        if id.index() != index {
            let what = ("id in a block header", word.body());
            return Err(self.from.corrupt(what, index, id.index()));
        }
        let found = shared.found(store, id, word)?;
        let len = usize::try_from(BLOCK_HEADER + found.len as u64)?;
        let bytes = stored(&shared.raw, Keeper::writer(self.from.state), (found.at, len));
        let (class, at) = self.to.take_over(bytes)?;
        self.to.publish(slot, class, at / crate::class::GRAIN);
        Ok(())
    }

    /// Copies a slab as it is; the bitmap that counts is the first one of the copy.
    fn copy_slab(&mut self, (store, index): (&Store, u64), slot: u64) -> Result<()> {
        let Some(seen) = self.from.shared.slab_of(store, index) else {
            return Err(self.from.corrupt(("slab", slot), index, 0));
        };
        let (from, which) = (seen.geometry, seen.which);
        let number = self.to.adopt(Wanted::of(Kind::Slab, region_bytes(&from)))?;
        let Some(region) = self.to.state.region(number).copied() else {
            return Err(self.to.corrupt(("slab", slot), index, u64::from(number)));
        };
        let to = Geometry { at: region.base(), ..from };
        self.to.prepare(to.at, to.at + to.len())?;
        let mut owned = Owned::taken(to.at, to.len());
        let pieces = [
            (from.at, from.bitmap(0), 0),
            (from.bitmap(which), from.bitmap(which) + from.bitmap_len(), from.bitmap(0) - from.at),
            (from.generations(), from.at + from.len(), from.generations() - from.at),
        ];
        for (start, end, offset) in pieces {
            self.copy_bytes((start, end), (&mut owned, offset))?;
        }
        self.to.publish(slot, SLAB, to.at / crate::class::GRAIN);
        Ok(())
    }

    fn copy_bytes(
        &mut self,
        (start, end): (u64, u64),
        (owned, offset): (&mut Owned, u64),
    ) -> Result<()> {
        let mut piece = vec![0; 64 << 10];
        let mut at = start;
        while at < end {
            let len = usize::try_from(end - at)?.min(piece.len());
            let Some(bytes) = piece.get_mut(..len) else { break };
            self.from.shared.raw.read_at(at, bytes);
            owned.fill(&self.to.shared.raw, offset + at - start, bytes);
            at += len as u64;
        }
        Ok(())
    }

    fn copy_entry(
        &mut self,
        (store, twin): (&Store, &Store),
        (index, slot): (u64, u64),
        word: Word,
    ) -> Result<()> {
        let shared = self.from.shared;
        let owner = shared.entry_at(word).map_or(0, |(id, _)| id);
        let id = BlockId::from_bits(owner);
        if id.index() != index {
            let what = ("id in an entry header", word.body());
            return Err(self.from.corrupt(what, index, id.index()));
        }
        let found = shared.entry_of(store, id, word)?;
        let seed = self.from.seed_at(found.at);
        let keeper = Keeper::writer(self.from.state);
        let payload = published_entry(&shared.raw, keeper, (found.at, found.len));
        // It gets a checksum of its new place: a wrong one must not become right.
        let header = shared.entry_header(found.at);
        if !seed.is_some_and(|seed| header.is_right(seed, payload)) {
            let what = ("checksum of an entry", found.at + 20);
            return Err(self.from.corrupt(what, 0, header.checksum.get().into()));
        }
        let room = header.has_room().then(|| header.room.get().into());
        self.to.reserve_segment(twin, (header.stride(), self.left))?;
        self.left = self.left.saturating_sub(header.stride());
        self.to.append_as(twin, (id, slot), Given { payload, room })
    }
}
