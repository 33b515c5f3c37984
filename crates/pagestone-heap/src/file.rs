//! The region file: several named stores, one writer, one commit.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use pagestone_storage::{
    Advice, Location,
    raw::{Identity, Opening, RawFile},
};

use crate::{
    counts::Counts,
    engine::{Bytes, Engine, Written, open as opening},
    error::{Error, ErrorKind, Result},
    follow::Follower,
    header,
    heap::Heap,
    id::BlockId,
    layout::{MAGIC, SUPERBLOCK_SIZE, SUPERBLOCKS, UNIT, VERSION, owner},
    log::Log,
    names::{self, NAME_LEN_MAX, Named},
    options::{Durability, FileOptions},
    pin::Pin,
    ranges::Range,
    region::Region,
    shared::Shared,
    slab::Slabs,
    stats::Stats,
    store::{Keeps, SYSTEM, Store},
    units::Kind,
    verify::{Report, Verify},
    writer::Writer,
};

/// An open region file; clones are the same open file.
///
/// All stores in it change through the one [`Writer`] and are committed together. Reading takes a
/// [`Pin`], no lock, and goes on beside the writer.
///
/// Dropping the last clone closes nothing: content survives as [`Durability`](crate::Durability)
/// says, but the next open has to read all slots. [`close`](Self::close) spares it that.
///
/// ```
/// use pagestone_heap::RegionFile;
///
/// let file = RegionFile::options().in_memory()?;
/// let posts = file.heap("posts")?;
/// let mut writer = file.writer();
/// let post = posts.allocate_from(&mut writer, b"hello")?;
/// writer.set_root("front page", post)?;
/// writer.commit()?;
/// drop(writer);
///
/// let pin = file.pin();
/// assert_eq!(posts.get(&pin, file.root("front page").unwrap())?, b"hello");
/// # Ok::<(), pagestone_heap::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RegionFile {
    pub(crate) shared: Arc<Shared>,
}

/// Options of one heap, of meaning when it is made.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct HeapOptions {
    pub(crate) checksums: bool,
}

impl HeapOptions {
    /// The default options: payloads have no checksums.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether each payload has a CRC-32, which [`RegionFile::verify`] checks. Costs its
    /// computation at each write; reads do not check it.
    pub fn checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }
}

impl RegionFile {
    /// Options to create or open a file with.
    pub fn options() -> FileOptions {
        FileOptions::new()
    }

    pub(crate) fn create_at(location: &Location, options: &FileOptions) -> Result<Self> {
        let mut raw = RawFile::open(location, Opening::Create, options.reserve)?;
        let made = keep_readers_out(&raw, options)
            .and_then(|()| Self::make(&mut raw))
            .and_then(|()| Self::fresh(raw, options));
        if made.is_err() {
            // A file without a superblock is nobody's.
            std::fs::remove_file(location.path()).ok();
        }
        made
    }

    fn make(raw: &mut RawFile) -> Result<()> {
        raw.grow(2 * UNIT)?;
        map(raw)
    }

    pub(crate) fn new_in_memory(options: &FileOptions) -> Result<Self> {
        let raw = RawFile::memory(options.reserve)?;
        raw.grow(2 * UNIT)?;
        Self::fresh(raw, options)
    }

    /// Writes generation 1: no regions but the directory.
    fn fresh(raw: RawFile, options: &FileOptions) -> Result<Self> {
        let uuid = random_bytes();
        let shared = Arc::new(Shared::new(raw, options.clone(), (uuid, None)));
        let file = Self { shared };
        let mut state = file.shared.lock();
        let mut engine = Engine { shared: &file.shared, state: &mut state };
        engine.make_empty()?;
        drop(state);
        Ok(file)
    }

    pub(crate) fn open_at(location: &Location, options: &FileOptions) -> Result<Self> {
        let span = tracing::info_span!("open", path = %location.path().display());
        let _span = span.entered();
        let mut raw = RawFile::open(location, Opening::Write, options.reserve)?;
        keep_readers_out(&raw, options)?;
        let identity = raw.identity()?;
        let before = opening::Owner::read(&raw, &identity).map_err(|error| {
            // A file too short for its owner page has no superblock either.
            header::cached_superblock(&raw).err().unwrap_or(error)
        })?;
        let found = opening::superblock(&raw, &before)?;
        if found.read_compatible != 0 {
            let what = format!("flags {:#x}: for reading only", found.read_compatible);
            return Err(Error::refused(ErrorKind::UnknownVersion, raw.path(), what));
        }
        if before.check_scratch(&raw, (&found, options.unclean))? {
            map(&mut raw)?;
            return Self::empty_again(raw, options);
        }
        map(&mut raw)?;
        let mut options = options.clone();
        options.region_size = found.region_size;
        let shared = Arc::new(Shared::new(raw, options, (found.uuid, None)));
        let mut state = shared.lock();
        Engine { shared: &shared, state: &mut state }.open(&found, (before, identity))?;
        drop(state);
        Ok(Self { shared })
    }

    /// Creates the file again whose creator was killed before it had a superblock; answers `error`
    /// where that is not so.
    pub(crate) fn create_anew_at(
        location: &Location,
        (options, error): (&FileOptions, Error),
    ) -> Result<Self> {
        let mut raw = RawFile::open(location, Opening::Write, options.reserve)?;
        // What a creation leaves: at most two units, in which no store can be, and nothing before
        // the superblock of generation 1, whose words may be there in part.
        let mut head = vec![0; usize::try_from(raw.len().min(owner::CLEAN))?];
        raw.pread(0, &mut head)?;
        let (before, slot) = head.split_at(head.len().min(usize::try_from(SUPERBLOCKS[1])?));
        let (slot, behind) = slot.split_at(slot.len().min(SUPERBLOCK_SIZE));
        let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        let begun = slot.starts_with(&MAGIC) || zero(slot.get(..8).unwrap_or(slot));
        if 2 * UNIT < raw.len() || !begun || !zero(before) || !zero(behind) {
            return Err(error);
        }
        map(&mut raw)?;
        Self::empty_again(raw, options)
    }

    /// Empties a file: its superblocks first.
    fn empty_again(raw: RawFile, options: &FileOptions) -> Result<Self> {
        raw.keep_readers_out()?;
        raw.cut(0)?;
        raw.sync()?;
        raw.grow(2 * UNIT)?;
        let file = Self::fresh(raw, options)?;
        if options.durability != Durability::Scratch {
            file.shared.raw.let_readers_in();
        }
        Ok(file)
    }

    pub(crate) fn open_read_only_at(location: &Location, options: &FileOptions) -> Result<Self> {
        let mut raw = RawFile::open(location, Opening::Read, options.reserve)?;
        let identity = raw.identity()?;
        let before = opening::Owner::read(&raw, &identity)
            .map_err(|error| header::cached_superblock(&raw).err().unwrap_or(error))?;
        let found = opening::superblock_beside_a_writer(&raw, &before)?;
        before.check_scratch(&raw, (&found, crate::Unclean::Refuse))?;
        map(&mut raw)?;
        opening::check_len_beside_a_writer(&raw, (&before, found))?;
        let mut options = options.clone();
        options.region_size = found.region_size;
        let follower = Follower::new(identity);
        let shared = Arc::new(Shared::new(raw, options, (found.uuid, Some(follower))));
        let file = Self { shared };
        file.refresh()?;
        Ok(file)
    }

    /// Makes what other processes committed known: longer tables, regions, stores and roots.
    /// Returns the generation of the last commit.
    ///
    /// Reads do this by themselves where they need it; here its cost is paid, and its errors are
    /// seen. In the process that writes it does nothing.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Truncated` and `UnknownVersion` for what the bytes are; `OutOfSpace` when the
    /// file has grown beyond [`reserve`](FileOptions::reserve); `Io`.
    pub fn refresh(&self) -> Result<u64> {
        self.shared.follow_names();
        match self.shared.trouble() {
            None => Ok(self.generation()),
            Some(trouble) => Err(trouble),
        }
    }

    /// The generation of the last commit at this moment, in whatever process. Two equal answers
    /// say that all reads between them saw one state.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.shared.sequence()
    }

    /// Returns the heap of this name, which is made where there is none.
    ///
    /// Making one takes the writer: a thread that holds it uses [`Writer::heap`].
    ///
    /// # Errors
    ///
    /// `NotFound` for a file opened for reading that has none; `InvalidArgument` for a name of
    /// more than 4,096 bytes, or of a store that is no heap; what a change of the file can fail
    /// with.
    pub fn heap(&self, name: &str) -> Result<Heap> {
        self.heap_with(name, HeapOptions::new())
    }

    /// As [`heap`](Self::heap), with options for a heap that is made.
    ///
    /// # Errors
    ///
    /// As `heap`.
    pub fn heap_with(&self, name: &str, options: HeapOptions) -> Result<Heap> {
        match self.known_heap(name)? {
            Some(heap) => Ok(heap),
            None if !self.shared.raw.is_writable() => {
                let what = format!("no store {name:?}");
                Err(Error::refused(ErrorKind::NotFound, self.path(), what))
            }
            None => self.writer().heap_with(name, options),
        }
    }

    pub(crate) fn known_heap(&self, name: &str) -> Result<Option<Heap>> {
        let Some(store) = self.known_store(name) else { return Ok(None) };
        if !matches!(store.keeps, Keeps::Blocks | Keeps::SummedBlocks) {
            let what = format!("store {name:?} is no heap");
            return Err(Error::refused(ErrorKind::InvalidArgument, self.path(), what));
        }
        Ok(Some(Heap::new(self, store)))
    }

    pub(crate) fn known_store(&self, name: &str) -> Option<Arc<Store>> {
        self.shared.follow_names();
        let number = match self.shared.names().stores.get(name)? {
            (Named::Store { number, .. }, _) => *number,
            (Named::Root(_), _) => return None,
        };
        self.shared.store(number)
    }

    /// Returns the log of this name, which is made where there is none.
    ///
    /// Making one takes the writer: a thread that holds it uses [`Writer::log`].
    ///
    /// # Errors
    ///
    /// As [`heap`](Self::heap); `InvalidArgument` for a store that is a heap.
    pub fn log(&self, name: &str) -> Result<Log> {
        match Log::known(self, name)? {
            Some(log) => Ok(log),
            None if !self.shared.raw.is_writable() => {
                let what = format!("no store {name:?}");
                Err(Error::refused(ErrorKind::NotFound, self.path(), what))
            }
            None => self.writer().log(name),
        }
    }

    /// Returns the slabs of this name, which are made where there are none.
    ///
    /// Making them takes the writer: a thread that holds it uses [`Writer::slabs`].
    ///
    /// # Errors
    ///
    /// As [`heap`](Self::heap); `InvalidArgument` for a store of another kind.
    pub fn slabs(&self, name: &str) -> Result<Slabs> {
        match Slabs::known(self, name)? {
            Some(slabs) => Ok(slabs),
            None if !self.shared.raw.is_writable() => {
                let what = format!("no store {name:?}");
                Err(Error::refused(ErrorKind::NotFound, self.path(), what))
            }
            None => self.writer().slabs(name),
        }
    }

    /// Returns the numbers of this name, which are made where there are none.
    ///
    /// Making them takes the writer: a thread that holds it uses [`Writer::counts`].
    ///
    /// # Errors
    ///
    /// As [`heap`](Self::heap); `InvalidArgument` for a store of another kind.
    pub fn counts(&self, name: &str) -> Result<Counts> {
        match Counts::known(self, name)? {
            Some(counts) => Ok(counts),
            None if !self.shared.raw.is_writable() => {
                let what = format!("no store {name:?}");
                Err(Error::refused(ErrorKind::NotFound, self.path(), what))
            }
            None => self.writer().counts(name),
        }
    }

    /// The names of all stores, in order.
    #[must_use]
    pub fn stores(&self) -> Vec<String> {
        self.shared.follow_names();
        self.shared.names().stores.keys().cloned().collect()
    }

    /// The names of the stores that are heaps, in order.
    #[must_use]
    pub fn heaps(&self) -> Vec<String> {
        self.stores_that(|keeps| matches!(keeps, Keeps::Blocks | Keeps::SummedBlocks))
    }

    /// The names of the stores that are logs, in order.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.stores_that(|keeps| keeps == Keeps::Entries)
    }

    /// The names of the stores that have slabs, in order.
    #[must_use]
    pub fn slab_stores(&self) -> Vec<String> {
        self.stores_that(|keeps| keeps == Keeps::Slabs)
    }

    fn stores_that(&self, wanted: impl Fn(Keeps) -> bool) -> Vec<String> {
        self.shared.follow_names();
        let names = self.shared.names();
        let stores = names.stores.iter().filter(|(_, (named, _))| match named {
            Named::Store { keeps, .. } => wanted(*keeps),
            Named::Root(_) => false,
        });
        stores.map(|(name, _)| name.clone()).collect()
    }

    /// Returns the id under a root's name: in the process that writes the newest one set,
    /// committed or not, in others the committed one.
    #[must_use]
    pub fn root(&self, name: &str) -> Option<BlockId> {
        self.shared.follow_names();
        self.shared.names().roots.get(name).map(|(bits, _)| BlockId::from_bits(*bits))
    }

    /// All roots, in the order of their names.
    #[must_use]
    pub fn roots(&self) -> Vec<(String, BlockId)> {
        self.shared.follow_names();
        let names = self.shared.names();
        let roots = names.roots.iter();
        roots.map(|(name, (bits, _))| (name.clone(), BlockId::from_bits(*bits))).collect()
    }

    /// Takes the one writer of the file, waiting for it.
    ///
    /// A thread that holds it already waits for ever.
    #[must_use]
    pub fn writer(&self) -> Writer<'_> {
        Writer::new(self)
    }

    /// Takes a pin: blocks that are got with it stay as they are while it lives.
    ///
    /// A pin is a full memory fence, some 20 ns; scans and batches hold one for all their reads.
    /// It keeps freed space from reuse, so it is not kept for long.
    #[must_use]
    pub fn pin(&self) -> Pin<'_> {
        Pin::new(&self.shared)
    }

    /// Commits, as [`Writer::commit`]; most of the work is done before the writer is taken, so
    /// that others are held up for less. Threads that call it at the same time share commits: all
    /// that wait for one that runs have the next together.
    ///
    /// # Errors
    ///
    /// As `Writer::commit`.
    pub fn commit(&self) -> Result<()> {
        self.shared.check_poison()?;
        // What this thread changed is of this epoch at the latest.
        let epoch = self.generation() + 1;
        let is_done = || epoch <= self.generation();
        let Some(_running) = self.shared.commits.begin(is_done) else { return Ok(()) };
        self.shared.check_poison()?;
        if let Err(error) = self.shared.raw.sync() {
            let mut state = self.shared.lock();
            let mut engine = Engine { shared: &self.shared, state: &mut state };
            return Err(engine.poison("sync before a commit", error.into()));
        }
        self.writer().commit()
    }

    /// Commits and leaves a record of free space, so that the next open is instant.
    ///
    /// Other clones, and heaps, go on working; a change through one of them makes the file unclean
    /// again. The file's lock is given up with the last of them.
    ///
    /// # Errors
    ///
    /// As `Writer::commit`. What survives then is what `Durability` says of a crash.
    pub fn close(self) -> Result<()> {
        let mut state = self.shared.lock();
        Engine { shared: &self.shared, state: &mut state }.close()
    }

    /// The generation of the last commit that this process knows; it counts from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shared.generation()
    }

    /// How often a discard undid something since the file was opened: who keeps what follows from
    /// the content elsewhere makes it anew when this moved.
    #[inline]
    #[must_use]
    pub fn discards(&self) -> u64 {
        self.shared.discards.load(Ordering::Acquire)
    }

    /// The version of the format; see docs/format.md, "Region file".
    #[must_use]
    pub fn version(&self) -> u32 {
        // No other is opened.
        VERSION
    }

    /// Sixteen bytes that were drawn when the file was made, and tell it from others.
    #[must_use]
    pub fn uuid(&self) -> [u8; 16] {
        self.shared.uuid
    }

    /// The longest region of blocks, in bytes, as said at creation.
    #[must_use]
    pub fn region_size(&self) -> u64 {
        self.shared.options.region_size
    }

    /// Whether the file was opened for changes, and not for reading only.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.shared.raw.is_writable()
    }

    /// Whether nothing was changed since the file was closed, so that an open is instant.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let word = |at| self.shared.raw.load(at, Ordering::Relaxed);
        word(owner::CLEAN) == self.generation() && word(owner::POISONED) == 0
    }

    /// The path that the file was opened by; `(memory)` for one in memory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// Counts what there is; waits for the writer.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let _pin = self.shared.follower.is_some().then(|| self.pin());
        let mut state = self.shared.lock();
        Stats::of(&Engine { shared: &self.shared, state: &mut state })
    }

    /// Reads everything and checks it against everything else; waits for the writer.
    ///
    /// Cost: every page that holds a header, a slot or a payload with a checksum is read.
    ///
    /// # Errors
    ///
    /// `Cancelled` when the hook says so; `Io` where pages cannot be read; `Locked` for a file
    /// opened for reading that seems damaged and was committed to meanwhile. What is wrong with
    /// the bytes is in the report.
    pub fn verify(&self, verify: Verify<'_>) -> Result<Report> {
        self.refresh()?;
        let _pin = self.shared.follower.is_some().then(|| self.pin());
        let before = self.sequence();
        let mut state = self.shared.lock();
        let report = verify.run(&mut Engine { shared: &self.shared, state: &mut state })?;
        if report.is_clean() || self.sequence() == before {
            return Ok(report);
        }
        let what = "a writer committed meanwhile; have it verify the file";
        Err(Error::refused(ErrorKind::Locked, self.path(), what))
    }
}

impl Engine<'_> {
    fn make_empty(&mut self) -> Result<()> {
        let mut head = Region::new(Kind::Directory, Range { start: UNIT, len: UNIT });
        self.shared.directory.set(0, Some(UNIT));
        self.shared.units.set(UNIT, 2 * UNIT, Some(Kind::Directory));
        self.state.numbers.next = 2;
        self.state.opened = true;
        self.state.lazy = crate::snapshot::Lazy::rebuilt();
        let system = Arc::new(Store::new(SYSTEM, 1, Keeps::SummedBlocks));
        *self.shared.stores_mut() = vec![Some(system)];
        let raw = &self.shared.raw;
        // The regions around the directory give it no header to check against: it has one too.
        self.write_header(0, &mut head);
        self.state.enter(0, head);
        let identity: Identity = raw.identity()?;
        self.own(&identity);
        self.set_word(owner::PUBLISHED, 1);
        self.set_word(owner::CLEAN, 1);
        self.state.committed_len = 2 * UNIT;
        self.state.generation = 1;
        self.store_superblock(1, (2 * UNIT, Range::EMPTY));
        self.shared.raw.sync()?;
        self.shared.raw.sync_directory()?;
        self.shared.set_generation(1);
        Ok(())
    }

    /// Gives a name to a store or root, or another meaning to a known one.
    pub(crate) fn set_name(&mut self, name: &str, named: Named) -> Result<()> {
        if NAME_LEN_MAX < name.len() {
            let what = format!("a name of {} bytes; {NAME_LEN_MAX} are allowed", name.len());
            return Err(Error::refused(ErrorKind::InvalidArgument, self.shared.path(), what));
        }
        let Some(system) = self.shared.store(SYSTEM) else { return Ok(()) };
        let known = match named {
            Named::Store { .. } => None,
            Named::Root(_) => self.shared.names().roots.get(name).map(|(_, block)| *block),
        };
        let bytes = names::encode(name, named);
        let block = match known {
            Some(block) => {
                self.put(&system, block, Written::new(Bytes::Bytes(&bytes)))?;
                block
            }
            None => self.allocate(&system, Bytes::Bytes(&bytes), 0)?,
        };
        self.shared.names_mut().add(name.to_owned(), named, block);
        Ok(())
    }

    /// Takes a root's name away; false where there is none.
    pub(crate) fn remove_root(&mut self, name: &str) -> Result<bool> {
        let known = self.shared.names().roots.get(name).map(|(_, block)| *block);
        let (Some(block), Some(system)) = (known, self.shared.store(SYSTEM)) else {
            return Ok(false);
        };
        self.free(&system, block)?;
        self.shared.names_mut().roots.remove(name);
        Ok(true)
    }

    /// Makes a store under a name that no store has.
    pub(crate) fn make_store(&mut self, name: &str, keeps: Keeps) -> Result<Arc<Store>> {
        let last = self.shared.stores().len().max(1);
        let number = u32::try_from(last)?;
        let [a, b, c, ..] = random_bytes();
        let generation = u32::from_le_bytes([a, b, c, 0]) / 2 + 1;
        self.set_name(name, Named::Store { number, generation, keeps })?;
        let store = Arc::new(Store::new(number, generation, keeps));
        self.shared.stores_mut().push(Some(Arc::clone(&store)));
        self.state.indices(number);
        Ok(store)
    }
}

/// Scratch content is used again at once, whoever looks: no other process may.
fn keep_readers_out(raw: &RawFile, options: &FileOptions) -> Result<()> {
    if options.durability == Durability::Scratch {
        raw.keep_readers_out()?;
    }
    Ok(())
}

/// Maps the file for stores here and there: without read-ahead, so that the page cache holds small
/// folios and a changed byte costs a page at a sync, not a megabyte.
fn map(raw: &mut RawFile) -> Result<()> {
    raw.map()?;
    // A hint that the system does not take costs bytes at a sync, nothing else.
    if let Err(error) = raw.advise(0, raw.capacity(), Advice::Random) {
        tracing::debug!(%error, "no advice");
    }
    Ok(())
}

/// Bytes that differ from file to file and store to store; no secret.
fn random_bytes() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut bytes = [0; 16];
    for part in bytes.chunks_exact_mut(8) {
        part.copy_from_slice(&RandomState::new().hash_one(7_u64).to_le_bytes());
    }
    bytes
}
