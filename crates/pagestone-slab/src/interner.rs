//! Strings that are stored once: by symbol, by text, counted if asked for.

use std::{fmt, hash::BuildHasher, num::NonZeroU32};

use foldhash::fast::RandomState;
use pagestone_storage::raw::Content;

use crate::{
    class::Class,
    error::{Error, ErrorKind, Result},
    growth::{Growth, SLOT_BITS},
    place::{Anonymous, Generations},
    pools::{Numbers, Pools, Spot},
    stats::Stats,
    table::Table,
};

mod counts; // how often each string is held
mod frozen; // the read-only form
mod merge; // two interners in one

pub use frozen::Frozen;
pub use merge::SymbolMap;

use counts::Counts;

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
    fn new(spot: Spot) -> Self {
        // No index is the largest word.
        NonZeroU32::new(spot.index() + 1).map_or(Self::LAST, Self)
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
/// A symbol finds its string without a table of symbols: it says which slab and slot. The space of
/// a released string is used again. The table of hashes has 4 bytes for each string and doubles,
/// hashing all strings, when it is full. Hashes are keyed anew for each interner unless the hasher
/// is chosen.
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
    strings: Pools<Anonymous<C>>,
    table: Table,
    counts: Option<Counts>,
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

    /// Makes an empty interner whose slabs grow as they are told.
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
        let strings =
            Pools::new(Anonymous::default(), growth, (Generations::None, Numbers::Small))?;
        Ok(Self { strings, table: Table::new(1, 1), counts: None, hasher })
    }

    /// Counts from here on how often each string is held; those that are there count 1.
    #[must_use]
    pub fn with_counts(mut self) -> Self {
        if self.counts.is_none() {
            let mut counts = Counts::default();
            for slab in self.strings.slabs() {
                for (slot, _) in slab.iter() {
                    counts.first(Spot { number: slab.seat.number, slot }.index(), slab.slots());
                }
            }
            self.counts = Some(counts);
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
        let hash = self.hash(string);
        if let Some(symbol) = self.find(hash, string) {
            if let Some(counts) = &mut self.counts {
                counts.retain(symbol.index(), 1)?;
            }
            return Ok(symbol);
        }
        self.insert(hash, string)
    }

    /// As [`intern`](Self::intern) for each string, in order.
    ///
    /// # Errors
    ///
    /// As `intern`, for the first string that has one; those before it stay.
    pub fn intern_many<'c>(
        &mut self,
        strings: impl IntoIterator<Item = &'c C>,
    ) -> Result<Vec<Symbol>> {
        strings.into_iter().map(|string| self.intern(string)).collect()
    }

    /// Lends the string of a symbol.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    #[inline]
    pub fn resolve(&self, symbol: Symbol) -> Result<&C> {
        match self.strings.get_at(symbol.index()) {
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
        let Some(counts) = &mut self.counts else {
            let what = "the interner keeps no counts: make it with counts";
            return Err(Error::refused(ErrorKind::Unsupported, what));
        };
        counts.retain(symbol.index(), 1)
    }

    /// Holds a string once less; returns how often it still is. At 0, and at once without counts,
    /// the string is forgotten and its space used again.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    #[inline]
    pub fn release(&mut self, symbol: Symbol) -> Result<u32> {
        let index = symbol.index();
        let Some(string) = self.strings.get_at(index) else { return Err(stale(symbol)) };
        if let Some(counts) = &mut self.counts {
            let left = counts.release(index);
            if left != 0 {
                return Ok(left);
            }
        }
        let (hash, len) = (self.hash(string), string.as_bytes().len());
        self.table.remove(hash, symbol.to_bits());
        self.strings.remove(Spot::at(index), len);
        Ok(0)
    }

    /// Releases each symbol once; returns how many strings are forgotten.
    ///
    /// # Errors
    ///
    /// `StaleId` for the first symbol that names nothing here when its turn comes; those before it
    /// are released.
    pub fn release_many(&mut self, symbols: impl IntoIterator<Item = Symbol>) -> Result<u64> {
        let mut forgotten = 0;
        for symbol in symbols {
            forgotten += u64::from(self.release(symbol)? == 0);
        }
        Ok(forgotten)
    }

    /// Returns how often a string is held: 1 without counts.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    pub fn ref_count(&self, symbol: Symbol) -> Result<u32> {
        self.resolve(symbol)?;
        Ok(self.counts.as_ref().map_or(1, |counts| counts.get(symbol.index())))
    }

    /// Returns how many strings there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.strings.len()
    }

    /// Returns whether there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns all strings with their symbols, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &C)> {
        iterate(&self.strings)
    }

    /// Forgets all strings, however often they are held, and gives their memory back.
    pub fn clear(&mut self) {
        self.strings.clear();
        self.table = Table::new(1, 1);
        self.counts = self.counts.as_ref().map(|_| Counts::default());
    }

    /// Returns the counts of memory; the table of hashes is [`Stats::index_len`], with the counts
    /// of each string.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let counts = self.counts.as_ref().map_or(0, Counts::mapped);
        Stats::of(&self.strings, self.table.mapped() + counts)
    }

    /// Ends all change: what is left can be looked at from many threads, without counts.
    #[must_use]
    pub fn freeze(self) -> Frozen<C, S> {
        Frozen::new(Interner { counts: None, ..self })
    }

    #[inline]
    fn hash(&self, string: &C) -> u64 {
        self.hasher.hash_one(string)
    }

    #[inline]
    fn find(&self, hash: u64, string: &C) -> Option<Symbol> {
        let found =
            self.table.find(hash, |symbol| self.strings.get_at(symbol - 1) == Some(string))?;
        Symbol::from_bits(found)
    }

    /// Stores a string that is not there.
    #[inline(never)]
    fn insert(&mut self, hash: u64, string: &C) -> Result<Symbol> {
        let spot = self.strings.add(Class::of_content(string), string)?;
        let symbol = Symbol::new(spot);
        if self.table.is_full(symbol.to_bits()) {
            // The new string comes in with all others.
            self.rebuild();
        } else {
            self.table.insert(hash, symbol.to_bits());
        }
        if let Some(counts) = &mut self.counts {
            let slots = self.strings.slab(spot.number).map_or(0, crate::slab::Slab::slots);
            counts.first(spot.index(), slots);
        }
        Ok(symbol)
    }

    /// Builds a table twice as large, or as large again where much of it was released.
    #[cold]
    #[inline(never)]
    fn rebuild(&mut self) {
        let count = usize::try_from(self.strings.len()).unwrap_or(usize::MAX);
        let mut table = Table::new(count.saturating_mul(2).max(28), self.strings.index_end());
        for (symbol, string) in iterate(&self.strings) {
            table.insert(self.hash(string), symbol.to_bits());
        }
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

fn iterate<C: Content + ?Sized>(
    strings: &Pools<Anonymous<C>>,
) -> impl Iterator<Item = (Symbol, &C)> {
    strings.slabs().flat_map(|slab| {
        let number = slab.seat.number;
        slab.iter().map(move |(slot, string)| (Symbol::new(Spot { number, slot }), string))
    })
}

#[cold]
fn stale(symbol: Symbol) -> Error {
    let why = "no string has it: released, or of another interner";
    Error::stale("symbol", u64::from(symbol.to_bits()), why)
}

const _: () = assert!(size_of::<Option<Symbol>>() == 4 && SLOT_BITS < 32);
