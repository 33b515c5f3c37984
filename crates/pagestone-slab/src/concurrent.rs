//! An interner that many threads use at once: looks take no lock, inserts one of several.

use std::{
    hash::BuildHasher,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use pagestone_storage::raw::{Appended, Appender, Content, append_only};

use crate::{
    error::{Error, ErrorKind, Result},
    interner::Symbol,
};

mod table;

use table::Tables;

/// Shards, each with a lock of its own for inserts.
const SHARDS: usize = 1 << SHARD_BITS;
const SHARD_BITS: u32 = 4;
/// Bits of a string's number in its shard.
const NUMBER_BITS: u32 = 32 - SHARD_BITS;
/// Places of the first table, and entries of the first part, of a shard.
const FIRST_BITS: u32 = 6;
/// Tables, each twice the one before.
const TABLES: usize = (NUMBER_BITS + 2 - FIRST_BITS) as usize;
/// Parts of the entries, each as long as all before it together, but the first two.
const PARTS: usize = (NUMBER_BITS + 1 - FIRST_BITS) as usize;
/// Texts of a shard: the first has 64 KiB, each later one twice as much.
const TEXTS: usize = 19;
const TEXT_BITS: u32 = 16;
/// Bits of the place in a text, and of which text.
const AT_BITS: u32 = 34;
const WHICH_BITS: u32 = 6;
/// Longest string.
const LEN_MAX: usize = (1 << (64 - AT_BITS - WHICH_BITS)) - 2;

/// Strings that are stored once, for many threads: `ConcurrentInterner<str>` or `<[u8]>`.
///
/// `resolve` and `lookup`, and `intern` of a string that is there, wait for nobody. An `intern` of
/// a new string takes the lock of one of 16 shards. Nothing is ever released. Strings have at most
/// 16,777,214 bytes; a shard holds 2²⁷ of them. Tables that were outgrown stay until the
/// interner is dropped, together no longer than the last one.
///
/// ```
/// use pagestone_slab::ConcurrentInterner;
///
/// let words = ConcurrentInterner::<str>::new();
/// let symbols = std::thread::scope(|scope| {
///     let threads = [0, 1].map(|_| scope.spawn(|| words.intern("frost")));
///     threads.map(|thread| thread.join().map_err(drop))
/// });
/// let [Ok(Ok(one)), Ok(Ok(other))] = symbols else { return };
/// assert_eq!(one, other);
/// assert_eq!(words.resolve(one).ok(), Some("frost"));
/// ```
#[derive(Debug)]
pub struct ConcurrentInterner<C: Content + ?Sized = str, S = RandomState> {
    shards: Box<[Shard<C>]>,
    hasher: S,
}

/// A part of the strings, chosen by hash.
#[derive(Debug)]
struct Shard<C: Content + ?Sized> {
    tables: Tables<TABLES>,
    /// By number less 1: length and 1, which text, where in it; 0 before it is there.
    entries: [OnceLock<Box<[AtomicU64]>>; PARTS],
    texts: [OnceLock<Appended<C>>; TEXTS],
    /// How many strings there are; raised after all else of a string is stored.
    count: AtomicU32,
    end: Mutex<End<C>>,
}

/// Where the next text goes.
#[derive(Debug)]
struct End<C: Content + ?Sized> {
    appender: Option<Appender<C>>,
    /// Texts that were begun.
    begun: usize,
}

impl<C: Content + ?Sized> ConcurrentInterner<C> {
    /// Makes an empty interner, whose hashes have a key of their own.
    #[must_use]
    pub fn new() -> Self {
        Self::with_hasher(RandomState::default())
    }
}

impl<C: Content + ?Sized> Default for ConcurrentInterner<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Content + ?Sized, S: BuildHasher> ConcurrentInterner<C, S> {
    /// Makes an empty interner with a hasher of the caller's choice.
    #[must_use]
    pub fn with_hasher(hasher: S) -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::new()).collect(), hasher }
    }

    /// Returns the symbol of a string, which is stored if it is not there.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a string that is too long; `OutOfSpace` when memory or symbols are
    /// short.
    #[inline]
    pub fn intern(&self, string: &C) -> Result<Symbol> {
        let hash = self.hasher.hash_one(string);
        let (at, shard) = self.shard(hash);
        let number = match shard.find(hash, string) {
            Some(number) => number,
            None => shard.insert(hash, string, &self.hasher)?,
        };
        Ok(symbol(at, number))
    }

    /// Returns the symbol of a string, if it is there.
    #[inline]
    #[must_use]
    pub fn lookup(&self, string: &C) -> Option<Symbol> {
        let hash = self.hasher.hash_one(string);
        let (at, shard) = self.shard(hash);
        Some(symbol(at, shard.find(hash, string)?))
    }

    /// Lends the string of a symbol.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    #[inline]
    pub fn resolve(&self, symbol: Symbol) -> Result<&C> {
        let bits = symbol.to_bits();
        let shard = &self.shards[bits as usize % SHARDS];
        shard.text(bits >> SHARD_BITS).ok_or_else(|| {
            let why = "no string has it: it is of another interner";
            Error::stale("symbol", u64::from(bits), why)
        })
    }

    /// Returns how many strings there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shards.iter().map(|shard| u64::from(shard.count.load(Ordering::Acquire))).sum()
    }

    /// Returns whether there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the strings that are there with their symbols, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &C)> {
        self.shards.iter().enumerate().flat_map(|(at, shard)| {
            let count = shard.count.load(Ordering::Acquire);
            let strings = (1..=count).filter_map(|number| Some((number, shard.text(number)?)));
            strings.map(move |(number, string)| (symbol(at, number), string))
        })
    }

    /// Returns the bytes of tables, of what finds texts, and of the texts themselves.
    #[must_use]
    pub fn mapped(&self) -> u64 {
        self.shards.iter().map(Shard::mapped).sum()
    }

    #[inline]
    fn shard(&self, hash: u64) -> (usize, &Shard<C>) {
        let at = (hash >> (64 - SHARD_BITS)) as usize;
        (at, &self.shards[at])
    }
}

impl<C: Content + ?Sized> Shard<C> {
    fn new() -> Self {
        Self {
            tables: Tables::new(FIRST_BITS),
            entries: std::array::from_fn(|_| OnceLock::new()),
            texts: std::array::from_fn(|_| OnceLock::new()),
            count: AtomicU32::new(0),
            end: Mutex::new(End { appender: None, begun: 0 }),
        }
    }

    #[inline]
    fn find(&self, hash: u64, string: &C) -> Option<u32> {
        self.tables.find(hash, |number| self.text(number) == Some(string))
    }

    /// The string of a number.
    #[inline]
    fn text(&self, number: u32) -> Option<&C> {
        let entry = self.entry(number)?.load(Ordering::Acquire);
        let len = (entry >> (AT_BITS + WHICH_BITS)).checked_sub(1)?;
        let which = entry >> AT_BITS & ((1 << WHICH_BITS) - 1);
        let text = self.texts.get(usize::try_from(which).ok()?)?.get()?;
        text.get(entry & ((1 << AT_BITS) - 1), usize::try_from(len).ok()?)
    }

    /// The entry of a number, if its part is there.
    #[inline]
    fn entry(&self, number: u32) -> Option<&AtomicU64> {
        let (part, at) = place(number)?;
        self.entries.get(part)?.get()?.get(at)
    }

    /// Stores a string, unless another thread was faster.
    #[cold]
    #[inline(never)]
    fn insert<S: BuildHasher>(&self, hash: u64, string: &C, hasher: &S) -> Result<u32> {
        if LEN_MAX < string.as_bytes().len() {
            return Err(Error::argument(format!("strings longer than {LEN_MAX} bytes")));
        }
        // What a panic interrupts has published nothing.
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = self.find(hash, string) {
            return Ok(number);
        }
        let number = self.count.load(Ordering::Relaxed) + 1;
        let Some((part, at)) = place(number).filter(|_| number < 1 << (NUMBER_BITS - 1)) else {
            return Err(out_of_symbols());
        };
        let (which, start) = self.append(&mut end, string)?;
        let len = string.as_bytes().len() as u64 + 1;
        let entry = len << (AT_BITS + WHICH_BITS) | (which as u64) << AT_BITS | start;
        let entries = self.entries[part].get_or_init(|| {
            let count = if part == 0 {
                1 << FIRST_BITS
            } else {
                1usize << (FIRST_BITS as usize + part - 1)
            };
            (0..count).map(|_| AtomicU64::new(0)).collect()
        });
        entries[at].store(entry, Ordering::Release);
        let rehash = |number| Some(hasher.hash_one(self.text(number)?));
        if !self.tables.insert((hash, number), rehash) {
            return Err(out_of_symbols());
        }
        self.count.store(number, Ordering::Release);
        Ok(number)
    }

    /// Appends to the text, or begins the next one: which, and where.
    fn append(&self, end: &mut End<C>, string: &C) -> Result<(usize, u64)> {
        loop {
            if let Some(at) = end.appender.as_mut().and_then(|appender| appender.append(string)) {
                return Ok((end.begun - 1, at));
            }
            if end.begun == TEXTS {
                let what = "the texts of a shard are full";
                return Err(Error::refused(ErrorKind::OutOfSpace, what));
            }
            let (appender, text) = append_only(1 << (TEXT_BITS as usize + end.begun))?;
            self.texts[end.begun].get_or_init(|| text);
            end.appender = Some(appender);
            end.begun += 1;
        }
    }

    fn mapped(&self) -> u64 {
        let entries = self.entries.iter().filter_map(OnceLock::get);
        let entries: usize = entries.map(|part| size_of_val(&**part)).sum();
        let texts: u64 = self.texts.iter().filter_map(OnceLock::get).map(Appended::len).sum();
        self.tables.mapped() + (entries + size_of::<Self>()) as u64 + texts
    }
}

/// The part and the place in it of the entry of a number.
#[inline]
fn place(number: u32) -> Option<(usize, usize)> {
    let index = number.checked_sub(1)?;
    let part = (index >> FIRST_BITS).checked_ilog2().map_or(0, |log| log + 1);
    let first = if part == 0 { 0 } else { 1 << (FIRST_BITS + part - 1) };
    Some((part as usize, (index - first) as usize))
}

#[inline]
fn symbol(shard: usize, number: u32) -> Symbol {
    #[expect(clippy::cast_possible_truncation, reason = "one of 16")]
    let shard = shard as u32;
    // Numbers begin at 1, so no symbol is 0.
    Symbol::from_bits(number << SHARD_BITS | shard).unwrap_or(Symbol::LAST)
}

#[cold]
fn out_of_symbols() -> Error {
    Error::refused(ErrorKind::OutOfSpace, "every symbol of a shard was given")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn entries_lie_one_behind_the_other() {
        let mut expected = (0, 0);
        assert_eq!(place(0), None);
        for number in 1..5000 {
            assert_eq!(place(number), Some(expected), "{number}");
            expected.1 += 1;
            let (part, at) = expected;
            if at == (if part == 0 { 64 } else { 64 << (part - 1) }) {
                expected = (part + 1, 0);
            }
        }
        let (part, at) = place((1 << (NUMBER_BITS - 1)) - 1).unwrap();
        assert!(part < PARTS && at < 1 << (FIRST_BITS as usize + part - 1));
    }
}
