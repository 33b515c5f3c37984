//! Strings that are stored once: by symbol, by text, counted if asked for.

use std::{
    fmt,
    hash::{BuildHasher, Hasher as _},
    num::NonZeroU32,
};

use foldhash::fast::RandomState;
use pagestone_storage::raw::Content;

use crate::{
    error::{Error, ErrorKind, Result},
    growth::Growth,
    stats::Stats,
};

mod texts; // strings by index, with their hashes and counts
mod table; // symbols by hash
mod leaving; // released symbols that are still in the table
mod frozen; // the read-only form
mod merge; // two interners in one

pub use frozen::Frozen;
pub use merge::SymbolMap;

use leaving::Leaving;
use table::Table;
use texts::Texts;

/// Strings or symbols that are looked at together, so that their cache lines come at one time.
const BATCH: usize = 16;
/// A table of so many bytes is in the caches anyway.
const CACHED: u64 = 256 << 10;

/// Names a string of an [`Interner`]: 4 bytes, `Option<Symbol>` too.
///
/// A symbol that was released names nothing until its place is used again, and then another
/// string: who releases keeps no copy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(NonZeroU32);

impl Symbol {
    /// A symbol that names nothing.
    pub(crate) const LAST: Self = Self(NonZeroU32::MAX);

    #[inline]
    fn new(index: u32) -> Self {
        // No index is the largest word.
        NonZeroU32::new(index.wrapping_add(1)).map_or(Self::LAST, Self)
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0.get() - 1
    }

    /// Returns the 32 bits to store.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0.get()
    }

    /// Takes stored bits back, which are never 0; whether they name a string shows when it is asked
    /// for.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match NonZeroU32::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Symbol({})", self.0)
    }
}

/// Strings, each stored once, in slabs by length: `Interner<str>` or `Interner<[u8]>`.
///
/// A symbol finds its string without a table of symbols: it says which slab and slot. Beside
/// the strings lie 4 bytes of the hash of each, and 4 more where strings are counted, so that a
/// release looks at those and a line of the table, and at no text; the space of a released string is
/// used again.
/// The table of hashes has 5 to 11 bytes for each string; it doubles when it is full, which takes
/// some nanoseconds for each string and hashes none. Strings of more than 256
/// bytes have memory of their own.
///
/// Hashes are keyed anew for each interner unless the hasher is chosen; it is given the bytes of a
/// string in one piece.
///
/// Lookups take `&self`, changes `&mut self`. Nothing survives the value.
///
/// ```
/// use pagestone_slab::Interner;
///
/// let mut tags = Interner::<str>::counted()?;
/// let rust = tags.intern("lang=rust")?;
/// assert_eq!(tags.intern("lang=rust")?, rust);
/// assert_eq!(tags.resolve(rust)?, "lang=rust");
/// assert_eq!(tags.lookup("lang=c"), None);
/// assert_eq!(tags.ref_count(rust)?, 2);
/// assert_eq!(tags.release(rust)?, 1);
/// assert_eq!(tags.release(rust)?, 0);
/// assert!(tags.resolve(rust).is_err());
/// # Ok::<(), pagestone_slab::Error>(())
/// ```
#[derive(Debug)]
pub struct Interner<C: Content + ?Sized = str, S = RandomState> {
    texts: Texts<C>,
    table: Table,
    /// Released symbols that are in the table until their line has come.
    leaving: Leaving,
    /// Whether strings have counts.
    counts: bool,
    hasher: S,
}

impl<C: Content + ?Sized> Interner<C> {
    /// Makes an empty interner that keeps no counts.
    ///
    /// # Errors
    ///
    /// None so far: the settings work.
    pub fn new() -> Result<Self> {
        Self::with_growth(Growth::default())
    }

    /// Makes an empty interner that counts how often each string is held: 4 bytes more for each
    /// slot.
    ///
    /// # Errors
    ///
    /// None so far: the settings work.
    pub fn counted() -> Result<Self> {
        Self::new().map(Self::with_counts)
    }

    /// Makes an empty interner whose slabs grow as they are told, up to 1,024 strings each. There
    /// can be 4,194,303 slabs.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for settings that cannot work.
    pub fn with_growth(growth: Growth) -> Result<Self> {
        Self::with_hasher(growth, RandomState::default())
    }
}

impl<C: Content + ?Sized, S: BuildHasher> Interner<C, S> {
    /// Makes an empty interner with a hasher of the caller's choice. It is to have a key that
    /// others cannot guess, where they choose the strings.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for settings that cannot work.
    pub fn with_hasher(growth: Growth, hasher: S) -> Result<Self> {
        let (texts, table) = (Texts::new(growth)?, Table::new(1, 1));
        Ok(Self { texts, table, leaving: Leaving::default(), counts: false, hasher })
    }

    /// Counts from here on how often each string is held; those that are there are copied, and count
    /// 1.
    #[must_use]
    pub fn with_counts(mut self) -> Self {
        if !self.counts {
            self.leave_all();
            self.texts = self.texts.with_counts();
            self.counts = true;
        }
        self
    }

    /// Returns the symbol of a string, which is stored if it is not there; with counts it is held
    /// once more.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when memory or symbols are short; `CountLimit` at 2³² − 1. Nothing changes.
    #[inline]
    pub fn intern(&mut self, string: &C) -> Result<Symbol> {
        self.intern_hashed(self.hash(string), string)
    }

    /// As [`intern`](Self::intern) for each string, in order, and faster where the strings are more
    /// than the caches hold.
    ///
    /// # Errors
    ///
    /// As `intern`, for the first string that has one; those before it stay.
    pub fn intern_many<'c>(
        &mut self,
        strings: impl IntoIterator<Item = &'c C>,
    ) -> Result<Vec<Symbol>> {
        let mut strings = strings.into_iter();
        let mut symbols = Vec::with_capacity(strings.size_hint().0);
        let mut batch: Vec<(u32, &C)> = Vec::with_capacity(BATCH);
        loop {
            if self.table.mapped() <= CACHED {
                let Some(string) = strings.next() else { return Ok(symbols) };
                symbols.push(self.intern(string)?);
                continue;
            }
            batch.extend(strings.by_ref().take(BATCH).map(|string| (self.hash(string), string)));
            if batch.is_empty() {
                return Ok(symbols);
            }
            for (hash, _) in &batch {
                self.table.prefetch(*hash);
            }
            for (hash, string) in batch.drain(..) {
                symbols.push(self.intern_hashed(hash, string)?);
            }
        }
    }

    /// Lends the string of a symbol.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    #[inline]
    pub fn resolve(&self, symbol: Symbol) -> Result<&C> {
        match self.texts.get(symbol.index()) {
            Some(string) => Ok(string),
            None => Err(stale(symbol)),
        }
    }

    /// Returns the symbol of a string, if it is there.
    #[inline]
    #[must_use]
    pub fn lookup(&self, string: &C) -> Option<Symbol> {
        self.find(self.hash(string), string)
    }

    /// Holds a string once more; returns how often it is held.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here; `Unsupported` without counts; `CountLimit`
    /// at 2³² − 1.
    pub fn retain(&mut self, symbol: Symbol) -> Result<u32> {
        self.resolve(symbol)?;
        if !self.counts {
            let what = "the interner keeps no counts: make it with counts";
            return Err(Error::refused(ErrorKind::Unsupported, what));
        }
        self.hold(symbol, 1)
    }

    /// Holds a string once less; returns how often it still is. At 0, and at once without counts,
    /// the string is forgotten and its space used again, that of the last 16 with the next new
    /// string.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    #[inline]
    pub fn release(&mut self, symbol: Symbol) -> Result<u32> {
        let index = symbol.index();
        let hash = self.texts.hash(index);
        if hash.is_multiple_of(2) {
            return Err(stale(symbol));
        }
        if self.counts
            && let Some(count) = self.texts.count_mut(index)
            && 1 < *count
        {
            *count -= 1;
            return Ok(*count);
        }
        self.texts.remove(index);
        self.table.prefetch(hash);
        if let Some((hash, index)) = self.leaving.replace((hash, index)) {
            self.leave(hash, index);
        }
        Ok(0)
    }

    /// Releases each symbol once; returns how many strings are forgotten. Faster than one by one
    /// where the strings are more than the caches hold.
    ///
    /// # Errors
    ///
    /// `StaleId` for the first symbol that names nothing here when its turn comes; those before it
    /// are released.
    pub fn release_many(&mut self, symbols: impl IntoIterator<Item = Symbol>) -> Result<u64> {
        let (mut symbols, mut forgotten) = (symbols.into_iter(), 0);
        let mut batch: Vec<Symbol> = Vec::with_capacity(BATCH);
        loop {
            batch.extend(symbols.by_ref().take(BATCH));
            if batch.is_empty() {
                return Ok(forgotten);
            }
            for symbol in &batch {
                self.texts.prefetch(symbol.index());
            }
            for symbol in &batch {
                self.table.prefetch(self.texts.hash(symbol.index()));
            }
            for symbol in batch.drain(..) {
                forgotten += u64::from(self.release(symbol)? == 0);
            }
        }
    }

    /// Returns how often a string is held: 1 without counts.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    pub fn ref_count(&self, symbol: Symbol) -> Result<u32> {
        self.resolve(symbol)?;
        Ok(if self.counts { self.texts.count(symbol.index()) } else { 1 })
    }

    /// Returns how many strings there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.texts.len()
    }

    /// Returns whether there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all strings with their symbols, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &C)> {
        self.texts.iter().map(|(index, string)| (Symbol::new(index), string))
    }

    /// Forgets all strings, however often they are held, and gives their memory back.
    pub fn clear(&mut self) {
        self.leaving = Leaving::default();
        self.texts.clear();
        self.table = Table::new(1, 1);
    }

    /// Returns the counts of memory; the table of hashes is [`Stats::index_len`], what lies before
    /// strings is [`PoolStats::mapped`](crate::PoolStats::mapped).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.texts.stats(self.table.mapped())
    }

    /// Ends all change: what is left can be looked at from many threads, without counts.
    #[must_use]
    pub fn freeze(mut self) -> Frozen<C, S> {
        self.leave_all();
        Frozen::new(self)
    }

    /// The hash of a string, which is odd.
    #[inline]
    fn hash(&self, string: &C) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(string.as_bytes());
        let hash = hasher.finish();
        #[expect(clippy::cast_possible_truncation, reason = "both halves, one over the other")]
        let folded = (hash >> 32 ^ hash) as u32;
        folded | 1
    }

    #[inline]
    fn find(&self, hash: u32, string: &C) -> Option<Symbol> {
        let found = self.table.find(hash, |symbol| self.texts.holds(symbol - 1, string))?;
        Symbol::from_bits(found)
    }

    #[inline]
    fn intern_hashed(&mut self, hash: u32, string: &C) -> Result<Symbol> {
        let Some(symbol) = self.find(hash, string) else { return self.insert(hash, string) };
        if self.counts {
            self.hold(symbol, 1)?;
        }
        Ok(symbol)
    }

    /// Holds a string that is there so many times more; there are counts.
    #[inline]
    fn hold(&mut self, symbol: Symbol, times: u32) -> Result<u32> {
        let Some(count) = self.texts.count_mut(symbol.index()) else { return Err(stale(symbol)) };
        let Some(more) = count.checked_add(times) else { return Err(at_limit()) };
        *count = more;
        Ok(more)
    }

    /// Takes a released symbol out of the table, after which its slot is used again.
    #[inline]
    fn leave(&mut self, hash: u32, index: u32) {
        let removed = self.table.remove(hash, index + 1);
        debug_assert!(removed, "every string is in the table");
        self.texts.vacated(index);
    }

    #[cold]
    fn leave_all(&mut self) {
        for (hash, index) in self.leaving.take() {
            self.leave(hash, index);
        }
    }

    /// Stores a string that is not there.
    #[inline(never)]
    fn insert(&mut self, hash: u32, string: &C) -> Result<Symbol> {
        if !self.leaving.is_empty() {
            self.leave_all();
        }
        let symbol = Symbol::new(self.texts.add(hash, string)?);
        if self.table.is_full(symbol.to_bits()) {
            // The new string comes in with all others.
            self.rebuild();
        } else {
            self.table.insert(hash, symbol.to_bits());
        }
        Ok(symbol)
    }

    /// Builds a table twice as large, or as large again where symbols outgrew it.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self) {
        let count = usize::try_from(self.texts.len()).unwrap_or(usize::MAX);
        let mut table = Table::new(count.saturating_mul(2).max(24), self.texts.index_end());
        for (index, hash) in self.texts.hashes() {
            table.insert(hash, index + 1);
        }
        debug_assert_eq!(table.len(), count);
        self.table = table;
    }
}

impl<S: BuildHasher> Interner<str, S> {
    /// Returns the strings of the symbols, one behind the other with `separator` between them.
    ///
    /// # Errors
    ///
    /// `StaleId` for the first symbol that names nothing here.
    pub fn join(&self, symbols: &[Symbol], separator: &str) -> Result<String> {
        let mut joined = String::new();
        for (at, &symbol) in symbols.iter().enumerate() {
            if at != 0 {
                joined.push_str(separator);
            }
            joined.push_str(self.resolve(symbol)?);
        }
        Ok(joined)
    }
}

impl<S: BuildHasher> Interner<[u8], S> {
    /// Returns the strings of the symbols, one behind the other with `separator` between them.
    ///
    /// # Errors
    ///
    /// `StaleId` for the first symbol that names nothing here.
    pub fn join(&self, symbols: &[Symbol], separator: &[u8]) -> Result<Vec<u8>> {
        let mut joined = Vec::new();
        for (at, &symbol) in symbols.iter().enumerate() {
            if at != 0 {
                joined.extend_from_slice(separator);
            }
            joined.extend_from_slice(self.resolve(symbol)?);
        }
        Ok(joined)
    }
}

#[cold]
fn stale(symbol: Symbol) -> Error {
    let why = "no string has it: released, or of another interner";
    Error::stale("symbol", u64::from(symbol.to_bits()), why)
}

#[cold]
fn at_limit() -> Error {
    Error::refused(ErrorKind::CountLimit, "a string is held 4294967295 times: no more are counted")
}

const _: () = assert!(size_of::<Option<Symbol>>() == 4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_at_its_limit_stays_there() {
        let mut interner = Interner::<str>::counted().unwrap();
        let other = interner.intern("other").unwrap();
        let symbol = interner.intern("often").unwrap();
        *interner.texts.count_mut(symbol.index()).unwrap() = u32::MAX - 1;
        assert_eq!(interner.intern("often").unwrap(), symbol);
        assert_eq!(interner.ref_count(symbol).unwrap(), u32::MAX);
        for error in [interner.retain(symbol).unwrap_err(), interner.intern("often").unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::CountLimit);
        }
        assert_eq!(interner.release(symbol).unwrap(), u32::MAX - 1);
        assert_eq!(interner.ref_count(other).unwrap(), 1);
        let mut twice = Interner::<str>::counted().unwrap();
        twice.intern("often").unwrap();
        twice.intern("often").unwrap();
        assert_eq!(twice.merge(&interner).unwrap_err().kind(), ErrorKind::CountLimit);
    }
}
