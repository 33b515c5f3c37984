//! An interner that does not change any more.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use pagestone_storage::raw::Content;

use super::{Interner, Symbol};
use crate::{error::Result, stats::Stats};

/// What [`Interner::freeze`] leaves: symbols and strings as they were, to be shared by threads.
///
/// ```
/// use pagestone_slab::Interner;
///
/// let mut words = Interner::<str>::new()?;
/// let word = words.intern("frost")?;
/// let words = words.freeze();
/// std::thread::scope(|scope| {
///     scope.spawn(|| assert_eq!(words.lookup("frost"), Some(word)));
/// });
/// assert_eq!(words.resolve(word)?, "frost");
/// # Ok::<(), pagestone_slab::Error>(())
/// ```
#[derive(Debug)]
pub struct Frozen<C: Content + ?Sized = str, S = RandomState>(Interner<C, S>);

impl<C: Content + ?Sized, S: BuildHasher> Frozen<C, S> {
    pub(super) fn new(interner: Interner<C, S>) -> Self {
        Self(interner)
    }

    /// Lends the string of a symbol.
    ///
    /// # Errors
    ///
    /// `StaleId` for a symbol that names nothing here.
    #[inline]
    pub fn resolve(&self, symbol: Symbol) -> Result<&C> {
        self.0.resolve(symbol)
    }

    /// Returns the symbol of a string, if it is there.
    #[inline]
    #[must_use]
    pub fn lookup(&self, string: &C) -> Option<Symbol> {
        self.0.lookup(string)
    }

    /// Returns how many strings there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Returns whether there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all strings with their symbols, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &C)> {
        self.0.iter()
    }

    /// Returns the counts of memory.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }
}
