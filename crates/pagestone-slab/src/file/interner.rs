//! Strings that are stored once, in a region file: by symbol, by text, counted if asked for.

use std::{
    hash::BuildHasher,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
};

use pagestone_heap::{BlockId, Counts, Pin, RegionFile, SlabFacts, SlotId, Writer};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{
    store::{FileStats, FileStore},
    table::{Cells, Changes, Image, Table, cell_of},
};
use crate::{
    class::Class,
    error::{Error, ErrorKind, Result},
    growth::Growth,
    interner::Symbol,
};

/// Slabs whose strings are hashed by one thread, at least.
const SLABS_EACH: usize = 4;

/// Strings, each stored once, in a [`RegionFile`]; clones are views of the same interner.
///
/// A symbol finds its string without a table of symbols: it says which slab and slot, and it stays
/// across compaction and reopen. A symbol that was released names nothing until its place is used
/// again, and then another string: who releases keeps no copy.
///
/// The table that finds the symbol of a string is in memory, 8 bytes and a bit for each; after
/// [`save`](Self::save) it lies in the file, and the next open looks into it where it lies, with
/// what changes from there on beside it in memory. Otherwise it is made of all strings, on all
/// processors, when it is first needed. Lookups take no lock of the file, changes its [`Writer`];
/// counts are committed with the strings.
///
/// Several processes resolve and look up in a file that is opened for reading.
///
/// ```
/// use pagestone_heap::RegionFile;
/// use pagestone_slab::SlabFile;
///
/// let file = RegionFile::options().in_memory()?;
/// let tags = file.counted_interner("tags")?;
/// let rust = tags.intern(&mut file.writer(), b"lang=rust")?;
/// assert_eq!(tags.intern(&mut file.writer(), b"lang=rust")?, rust);
/// assert_eq!(tags.resolve(&file.pin(), rust)?, b"lang=rust");
/// assert_eq!(tags.lookup(&file.pin(), b"lang=c")?, None);
/// assert_eq!(tags.release(&mut file.writer(), rust)?, 1);
/// assert_eq!(tags.release(&mut file.writer(), rust)?, 0);
/// assert!(tags.resolve(&file.pin(), rust).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileInterner {
    strings: FileStore,
    uses: Option<Counts>,
    roots: Arc<Roots>,
    state: Arc<RwLock<State>>,
}

/// The roots that name an image of the table.
#[derive(Debug)]
struct Roots {
    /// One that counts: nothing has changed since it was made.
    valid: String,
    /// One that is looked into together with what has changed since; kept until the next save.
    stale: String,
}

/// A range of symbols whose strings are in one slab.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u32,
    slots: u32,
    slab: u64,
    class: Class,
}

/// Symbols to strings, as of one moment: what a loop asks without a lock.
#[derive(Debug, Clone)]
pub struct Resolver<'p> {
    strings: &'p FileStore,
    spans: Arc<[Span]>,
    pin: &'p Pin<'p>,
}

/// What is known of the strings, and as of when.
#[derive(Debug)]
struct State {
    spans: Arc<[Span]>,
    spans_seen: Option<Seen>,
    table: Lookup,
    table_seen: Option<Seen>,
    seed: u64,
    /// Whether no root names an image that counts, nor one that is not `table`.
    is_left: bool,
}

/// Where the table is.
#[derive(Debug)]
enum Lookup {
    Memory(Table),
    /// In this block of the file.
    Image(BlockId),
    /// There, as it was, and what has changed since.
    Changed(BlockId, Changes),
}

/// Tells one state of the strings from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    changes: u64,
    discards: u64,
    /// Of a file opened for reading: its commits.
    commits: u64,
}

fn find_span(spans: &[Span], index: u32) -> Option<(Span, SlotId)> {
    let place = spans.partition_point(|span| span.first <= index).checked_sub(1)?;
    let span = spans.get(place).copied()?;
    let slot = index - span.first;
    (slot < span.slots).then(|| (span, SlotId::without_generation(span.slab, slot)))
}

impl FileInterner {
    pub(super) fn open(file: &RegionFile, name: &str, counted: bool) -> Result<Self> {
        let is_new = !file.slab_stores().iter().any(|store| store == name);
        let strings = FileStore::of_strings(file, name, Growth::for_files())?;
        let uses = format!("{name}.uses");
        let has_counts = file.stores().contains(&uses);
        if counted && !is_new && !has_counts {
            let what = format!("interner {name:?} keeps no counts");
            return Err(Error::argument(what));
        }
        let uses = if counted || has_counts { Some(file.counts(&uses)?) } else { None };
        let state = State {
            spans: Arc::from([]),
            spans_seen: None,
            table: Lookup::Memory(Table::default()),
            table_seen: None,
            seed: 0,
            is_left: false,
        };
        let roots = Roots { valid: format!("{name}.table"), stale: format!("{name}.table.stale") };
        let (roots, state) = (Arc::new(roots), Arc::new(RwLock::new(state)));
        Ok(Self { strings, uses, roots, state })
    }

    /// Returns the file that the strings are in.
    #[must_use]
    pub fn file(&self) -> &RegionFile {
        self.strings.file()
    }

    /// Returns whether it counts how often each string is held.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.uses.is_some()
    }

    fn now(&self) -> Seen {
        let file = self.file();
        let commits = if file.is_writable() { 0 } else { file.sequence() };
        Seen { changes: self.strings.changes(), discards: file.discards(), commits }
    }

    /// The state with spans as of now.
    fn spans(&self, pin: &Pin<'_>) -> Result<RwLockReadGuard<'_, State>> {
        loop {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let now = self.now();
            if state.spans_seen == Some(now) {
                return Ok(state);
            }
            drop(state);
            let mut state = self.write_state();
            if state.spans_seen != Some(now) {
                state.spans = self.read_spans(pin)?;
                state.spans_seen = Some(now);
            }
        }
    }

    /// The state with spans and table as of now.
    fn table(&self, pin: &Pin<'_>) -> Result<RwLockReadGuard<'_, State>> {
        loop {
            let state = self.spans(pin)?;
            if state.table_seen == state.spans_seen {
                return Ok(state);
            }
            drop(state);
            self.catch_up(&mut self.write_state(), pin)?;
        }
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, State> {
        // What a panic left half done has another mark than what is seen, and is made again.
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_spans(&self, pin: &Pin<'_>) -> Result<Arc<[Span]>> {
        let marked = self.strings.marked(pin)?.into_iter();
        let span = |(facts, class, first): (SlabFacts, Class, u32)| Span {
            first,
            slots: facts.shape.slots,
            slab: facts.slab,
            class,
        };
        Ok(marked.map(span).collect())
    }

    /// Makes spans and table those of now, where they are not.
    fn catch_up(&self, state: &mut State, pin: &Pin<'_>) -> Result<()> {
        let now = self.now();
        if state.spans_seen != Some(now) {
            state.spans = self.read_spans(pin)?;
            state.spans_seen = Some(now);
        }
        if state.table_seen == Some(now) {
            return Ok(());
        }
        // What was known is of no use any more.
        (state.table, state.is_left) = (Lookup::Memory(Table::default()), false);
        if let Some(block) = self.file().root(&self.roots.valid)
            && let Ok(image) = self.image(pin, block)
        {
            (state.table, state.seed) = (Lookup::Image(block), image.seed);
        } else {
            state.seed = foldhash::quality::RandomState::default().hash_one(0_u8);
            state.table = Lookup::Memory(self.hash_all(state, pin)?);
        }
        state.table_seen = Some(now);
        Ok(())
    }

    /// The image in a block.
    fn image<'p>(&self, pin: &'p Pin<'_>, block: BlockId) -> Result<Image<'p>> {
        Image::read(self.strings.blocks().get(pin, block)?).ok_or_else(|| {
            let what = format!("{}: {block:?}: no table", self.file().path().display());
            Error::refused(ErrorKind::Corrupt, what)
        })
    }

    /// A table of all strings.
    fn hash_all(&self, state: &State, pin: &Pin<'_>) -> Result<Table> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let each = state.spans.len().div_ceil(threads).max(SLABS_EACH);
        let file = self.file();
        let hash = |spans: &[Span]| -> Result<Cells> {
            let pin = file.pin();
            let mut cells = Cells::new();
            for span in spans {
                self.hash_slab((state.seed, &pin), *span, &mut cells)?;
            }
            Ok(cells)
        };
        let cells = thread::scope(|scope| {
            let hash = &hash;
            let parts: Vec<_> =
                state.spans.chunks(each).map(|spans| scope.spawn(move || hash(spans))).collect();
            let parts = parts.into_iter().map(|part| match part.join() {
                Ok(cells) => cells,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            parts.collect::<Result<Vec<_>>>()
        })?;
        // The pin of the caller keeps what the others saw.
        let _ = pin;
        Ok(Table::of(&cells, threads))
    }

    fn hash_slab(&self, (seed, pin): (u64, &Pin<'_>), span: Span, cells: &mut Cells) -> Result<()> {
        for (id, string) in self.strings.objects_in(pin, span.slab) {
            let string = if span.class == Class::of(0) { &[] } else { string? };
            cells.push(cell_of(xxh3_64_with_seed(string, seed), span.first + id.slot() + 1));
        }
        Ok(())
    }

    #[inline]
    fn string<'p>(&self, pin: &'p Pin<'_>, (span, id): (Span, SlotId)) -> Result<&'p [u8]> {
        let string = self.strings.get(pin, id)?;
        Ok(if span.class == Class::of(0) { &[] } else { string })
    }

    fn find(
        &self,
        state: &State,
        pin: &Pin<'_>,
        (hash, string): (u64, &[u8]),
    ) -> Result<Option<u32>> {
        let same = |symbol: u32| {
            let found = find_span(&state.spans, symbol.wrapping_sub(1));
            let theirs = found.and_then(|found| self.string(pin, found).ok());
            theirs == Some(string)
        };
        Ok(match &state.table {
            Lookup::Memory(table) => table.find(hash, same),
            Lookup::Image(block) => self.image(pin, *block)?.find(hash, same),
            Lookup::Changed(block, changes) => changes.find(&self.image(pin, *block)?, hash, same),
        })
    }

    /// Returns the symbol of a string, which is stored if it is not there; with counts it is held
    /// once more.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`; `CountLimit`; `Corrupt`; `File`. Nothing changes.
    pub fn intern(&self, writer: &mut Writer<'_>, string: &[u8]) -> Result<Symbol> {
        let file = self.file().clone();
        let pin = file.pin();
        let state = self.table(&pin)?;
        let seed = state.seed;
        if let Some(symbol) = self.find(&state, &pin, (xxh3_64_with_seed(string, seed), string))? {
            let symbol = Symbol::from_bits(symbol).unwrap_or(Symbol::LAST);
            self.hold((writer, &pin), symbol)?;
            return Ok(symbol);
        }
        drop(state);
        let mut state = self.write_state();
        self.leave_image((writer, &pin), &mut state)?;
        let id = self.strings.add_string(writer, string)?;
        let Some((index, spans)) = self.strings.index_of(id, state.spans.len()) else {
            return Err(Error::refused(ErrorKind::Corrupt, "a slab of strings without indexes"));
        };
        if let Some(spans) = spans {
            let spans = spans.into_iter();
            let spans = spans.map(|(first, slots, slab, class)| Span { first, slots, slab, class });
            state.spans = spans.collect();
        }
        if let Some(uses) = &self.uses {
            uses.set(writer, index, 1)?;
        }
        let hash = xxh3_64_with_seed(string, state.seed);
        let cell = cell_of(hash, index + 1);
        match &mut state.table {
            Lookup::Memory(table) => table.insert(cell),
            Lookup::Changed(_, changes) => changes.insert(cell),
            Lookup::Image(_) => {}
        }
        self.mark(&mut state);
        Ok(Symbol::from_bits(index + 1).unwrap_or(Symbol::LAST))
    }

    /// What was just changed here is known here.
    fn mark(&self, state: &mut State) {
        let now = Some(self.now());
        (state.spans_seen, state.table_seen) = (now, now);
    }

    /// Before a change: the image of the file counts no more, but is looked into.
    fn leave_image(
        &self,
        (writer, pin): (&mut Writer<'_>, &Pin<'_>),
        state: &mut State,
    ) -> Result<()> {
        self.catch_up(state, pin)?;
        if state.is_left {
            return Ok(());
        }
        if let Lookup::Image(block) = state.table {
            // Whoever kills the process in between leaves an image that counts, and is right.
            writer.set_root(&self.roots.stale, block)?;
            writer.remove_root(&self.roots.valid)?;
            state.table = Lookup::Changed(block, Changes::default());
        } else {
            self.drop_images(writer)?;
        }
        state.is_left = true;
        Ok(())
    }

    fn drop_images(&self, writer: &mut Writer<'_>) -> Result<()> {
        for root in [&self.roots.valid, &self.roots.stale] {
            if let Some(block) = self.file().root(root) {
                // Another view may look into it.
                self.strings.count_change(writer)?;
                // Named twice by a kill, or freed before one.
                match self.strings.blocks().free(writer, block) {
                    Err(error) if error.kind() != pagestone_heap::ErrorKind::StaleId => {
                        return Err(error.into());
                    }
                    Ok(()) | Err(_) => writer.remove_root(root)?,
                };
            }
        }
        Ok(())
    }

    fn hold(&self, (writer, pin): (&mut Writer<'_>, &Pin<'_>), symbol: Symbol) -> Result<u64> {
        let Some(uses) = &self.uses else { return Ok(1) };
        let held = uses.get(pin, symbol.index())?;
        if held == Counts::MAX {
            let what = format!("{symbol:?} is held {held} times, the most that is counted");
            return Err(Error::refused(ErrorKind::CountLimit, what));
        }
        uses.set(writer, symbol.index(), held + 1)?;
        Ok(held + 1)
    }

    /// As [`intern`](Self::intern) for each string; symbols come in the same order.
    ///
    /// # Errors
    ///
    /// As `intern`, at the first that cannot be stored; those before it stay, and their symbols
    /// are in `symbols`.
    pub fn intern_many<B: AsRef<[u8]>>(
        &self,
        writer: &mut Writer<'_>,
        strings: impl IntoIterator<Item = B>,
        symbols: &mut Vec<Symbol>,
    ) -> Result<()> {
        for string in strings {
            symbols.push(self.intern(writer, string.as_ref())?);
        }
        Ok(())
    }

    /// Borrows the string of a symbol, for as long as the pin lives.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing; `Corrupt`; `File`.
    #[inline]
    pub fn resolve<'p>(&self, pin: &'p Pin<'_>, symbol: Symbol) -> Result<&'p [u8]> {
        let state = self.spans(pin)?;
        match find_span(&state.spans, symbol.index()) {
            Some(found) => self.string(pin, found),
            None => Err(no_string(symbol)),
        }
    }

    /// As [`resolve`](Self::resolve), for strings that are text.
    ///
    /// # Errors
    ///
    /// As `resolve`; `Corrupt` for bytes that are no UTF-8.
    pub fn resolve_str<'p>(&self, pin: &'p Pin<'_>, symbol: Symbol) -> Result<&'p str> {
        std::str::from_utf8(self.resolve(pin, symbol)?).map_err(|error| {
            let what = format!("{}: {symbol:?}: {error}", self.file().path().display());
            Error::refused(ErrorKind::Corrupt, what)
        })
    }

    /// What resolves many symbols without a lock: strings that are there now.
    ///
    /// # Errors
    ///
    /// `File`.
    pub fn resolver<'p>(&'p self, pin: &'p Pin<'p>) -> Result<Resolver<'p>> {
        let spans = Arc::clone(&self.spans(pin)?.spans);
        Ok(Resolver { strings: &self.strings, spans, pin })
    }

    /// Returns the symbol of a string, if it is there.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn lookup(&self, pin: &Pin<'_>, string: &[u8]) -> Result<Option<Symbol>> {
        loop {
            let state = self.table(pin)?;
            let hash = xxh3_64_with_seed(string, state.seed);
            match self.find(&state, pin, (hash, string)) {
                // A discard took the image away on the way.
                Err(_) if state.table_seen != Some(self.now()) => {}
                found => return Ok(found?.and_then(Symbol::from_bits)),
            }
        }
    }

    /// Holds a string once more; returns how often it is held.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing; `Unsupported` without counts; `CountLimit`;
    /// `File`.
    pub fn retain(&self, writer: &mut Writer<'_>, symbol: Symbol) -> Result<u64> {
        let file = self.file().clone();
        let pin = file.pin();
        self.resolve(&pin, symbol)?;
        if self.uses.is_none() {
            let what = "the interner keeps no counts: make it with counts";
            return Err(Error::refused(ErrorKind::Unsupported, what));
        }
        self.hold((writer, &pin), symbol)
    }

    /// Holds a string once less; returns how often it still is. At 0, and at once without counts,
    /// the string is forgotten; its space is used again after the next commit.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing; `Corrupt`; `File`.
    pub fn release(&self, writer: &mut Writer<'_>, symbol: Symbol) -> Result<u64> {
        let file = self.file().clone();
        let pin = file.pin();
        let mut state = self.write_state();
        self.catch_up(&mut state, &pin)?;
        let found = find_span(&state.spans, symbol.index()).ok_or_else(|| no_string(symbol))?;
        let string = self.string(&pin, found)?;
        if let Some(uses) = &self.uses {
            let left = uses.get(&pin, symbol.index())?.saturating_sub(1);
            uses.set(writer, symbol.index(), left)?;
            if left != 0 {
                return Ok(left);
            }
        }
        self.leave_image((writer, &pin), &mut state)?;
        let hash = xxh3_64_with_seed(string, state.seed);
        self.strings.remove(writer, found.1)?;
        match &mut state.table {
            Lookup::Memory(table) => drop(table.remove(hash, symbol.to_bits())),
            Lookup::Changed(block, changes) => {
                changes.remove(&self.image(&pin, *block)?, hash, symbol.to_bits());
            }
            Lookup::Image(_) => {}
        }
        let known = state.spans.len();
        if let Some(spans) = self.strings.other_spans(known) {
            let spans = spans.into_iter();
            let spans = spans.map(|(first, slots, slab, class)| Span { first, slots, slab, class });
            state.spans = spans.collect();
        }
        self.mark(&mut state);
        Ok(0)
    }

    /// Releases each symbol once; returns how many strings are forgotten.
    ///
    /// # Errors
    ///
    /// As `release`, for the first symbol that has one; those before it are released.
    pub fn release_many(
        &self,
        writer: &mut Writer<'_>,
        symbols: impl IntoIterator<Item = Symbol>,
    ) -> Result<u64> {
        let mut forgotten = 0;
        for symbol in symbols {
            forgotten += u64::from(self.release(writer, symbol)? == 0);
        }
        Ok(forgotten)
    }

    /// Returns how often a string is held: 1 without counts.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing; `Corrupt`; `File`.
    pub fn ref_count(&self, pin: &Pin<'_>, symbol: Symbol) -> Result<u64> {
        self.resolve(pin, symbol)?;
        match &self.uses {
            Some(uses) => Ok(uses.get(pin, symbol.index())?),
            None => Ok(1),
        }
    }

    /// Returns how many strings there are.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn len(&self, pin: &Pin<'_>) -> Result<u64> {
        let state = self.table(pin)?;
        Ok(match &state.table {
            Lookup::Memory(table) => table.len(),
            Lookup::Image(block) => self.image(pin, *block)?.len,
            Lookup::Changed(block, changes) => changes.len(&self.image(pin, *block)?),
        })
    }

    /// Counts what there is. Strings above 256 bytes are looked at one by one.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn stats(&self, writer: &mut Writer<'_>) -> Result<FileStats> {
        self.strings.stats(writer)
    }

    /// The blocks of the heap `NAME.spilled` that strings above 64 KiB are in: they belong to this
    /// interner, and go with their strings.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn spilled<'p>(&'p self, pin: &'p Pin<'_>) -> Result<impl Iterator<Item = BlockId> + 'p> {
        self.strings.spilled(pin)
    }

    /// Returns whether there is no string.
    ///
    /// # Errors
    ///
    /// As `len`.
    pub fn is_empty(&self, pin: &Pin<'_>) -> Result<bool> {
        Ok(self.len(pin)? == 0)
    }

    /// All strings with their symbols, in the order of symbols; those that are damaged are left
    /// out.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn strings<'p>(
        &'p self,
        pin: &'p Pin<'_>,
    ) -> Result<impl Iterator<Item = (Symbol, &'p [u8])> + 'p> {
        let places = self.places(pin)?;
        Ok(places.filter_map(|(symbol, found)| Some((symbol, self.string(pin, found).ok()?))))
    }

    /// All symbols, in order, of damaged strings too.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `File`.
    pub fn symbols<'p>(&'p self, pin: &'p Pin<'_>) -> Result<impl Iterator<Item = Symbol> + 'p> {
        Ok(self.places(pin)?.map(|(symbol, _)| symbol))
    }

    fn places<'p>(
        &'p self,
        pin: &'p Pin<'_>,
    ) -> Result<impl Iterator<Item = (Symbol, (Span, SlotId))> + 'p> {
        let spans = Arc::clone(&self.spans(pin)?.spans);
        let places = 0..spans.len();
        let spans = places.filter_map(move |place| spans.get(place).copied());
        Ok(spans.flat_map(move |span| {
            self.strings.ids_in(pin, span.slab).filter_map(move |id| {
                let symbol = span.first.checked_add(id.slot())?.checked_add(1)?;
                Some((Symbol::from_bits(symbol)?, (span, id)))
            })
        }))
    }

    /// The strings of symbols, one behind the other, with `separator` between them.
    ///
    /// # Errors
    ///
    /// As `resolve`.
    pub fn join(
        &self,
        pin: &Pin<'_>,
        symbols: impl IntoIterator<Item = Symbol>,
        separator: &[u8],
    ) -> Result<Vec<u8>> {
        let mut joined = Vec::new();
        for (nth, symbol) in symbols.into_iter().enumerate() {
            if nth != 0 {
                joined.extend_from_slice(separator);
            }
            joined.extend_from_slice(self.resolve(pin, symbol)?);
        }
        Ok(joined)
    }

    /// Forgets all strings, however often they are held.
    ///
    /// # Errors
    ///
    /// `File`.
    pub fn clear(&self, writer: &mut Writer<'_>) -> Result<()> {
        let file = self.file().clone();
        let pin = file.pin();
        let mut state = self.write_state();
        self.drop_images(writer)?;
        if let Some(uses) = &self.uses {
            self.catch_up(&mut state, &pin)?;
            for span in state.spans.iter() {
                for id in self.strings.ids_in(&pin, span.slab) {
                    uses.set(writer, span.first + id.slot(), 0)?;
                }
            }
        }
        self.strings.clear(writer)?;
        state.spans = Arc::from([]);
        state.table = Lookup::Memory(Table::default());
        self.mark(&mut state);
        Ok(())
    }

    /// Puts the table into the file, so that the next open finds strings at once; the first change
    /// makes it void. It is in force with the next commit, or close.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`; `Corrupt`; `File`.
    pub fn save(&self, writer: &mut Writer<'_>) -> Result<()> {
        let file = self.file().clone();
        let pin = file.pin();
        let mut state = self.write_state();
        self.catch_up(&mut state, &pin)?;
        let image = match &state.table {
            Lookup::Memory(table) => table.image(state.seed),
            Lookup::Changed(block, changes) => changes.image(&self.image(&pin, *block)?),
            Lookup::Image(_) => return Ok(()),
        };
        let block = self.strings.blocks().allocate_from(writer, &image)?;
        // Until the end of this, what fails leaves a table that is made again.
        state.table_seen = None;
        self.drop_images(writer)?;
        writer.set_root(&self.roots.valid, block)?;
        self.strings.count_change(writer)?;
        (state.table, state.is_left) = (Lookup::Image(block), false);
        self.mark(&mut state);
        Ok(())
    }
}

impl<'p> Resolver<'p> {
    /// Borrows the string of a symbol.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing; `Corrupt`; `File`.
    #[inline]
    pub fn resolve(&self, symbol: Symbol) -> Result<&'p [u8]> {
        let Some((span, id)) = find_span(&self.spans, symbol.index()) else {
            return Err(no_string(symbol));
        };
        let string = self.strings.get(self.pin, id)?;
        Ok(if span.class == Class::of(0) { &[] } else { string })
    }
}

#[cold]
fn no_string(symbol: Symbol) -> Error {
    Error::stale("symbol", symbol.to_bits().into(), "it names no string")
}
