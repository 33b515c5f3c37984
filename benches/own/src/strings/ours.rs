//! pagestone-slab: the interner as it comes, with counts, and for many threads.

use pagestone_slab::{ConcurrentInterner, Interner, Symbol};

use super::StringStore;
use crate::{Result, must};

/// Strings that stay, or that are counted and can go.
#[derive(Debug)]
pub struct Alone<const COUNTED: bool>(Interner<str>);

/// Strings that stay.
pub type Ours = Alone<false>;
/// Strings that are counted and can go.
pub type Counted = Alone<true>;

/// Strings for many threads, asked by one.
#[derive(Debug)]
pub struct Shared(ConcurrentInterner<str>);

impl<const COUNTED: bool> StringStore for Alone<COUNTED> {
    type Symbol = Symbol;
    const RELEASES: bool = COUNTED;

    fn new() -> Result<Self> {
        Ok(Self(if COUNTED { Interner::counted()? } else { Interner::new()? }))
    }

    #[inline]
    fn intern(&mut self, string: &str) -> Symbol {
        must(self.0.intern(string))
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a Symbol) -> &'a str {
        must(self.0.resolve(*symbol))
    }

    #[inline]
    fn release(&mut self, symbol: &mut Symbol) {
        must(self.0.release(*symbol));
    }

    fn memory(&mut self, _before: u64) -> Option<u64> {
        Some(self.0.stats().mapped)
    }
}

impl StringStore for Shared {
    type Symbol = Symbol;

    fn new() -> Result<Self> {
        Ok(Self(ConcurrentInterner::new()))
    }

    #[inline]
    fn intern(&mut self, string: &str) -> Symbol {
        must(self.0.intern(string))
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a Symbol) -> &'a str {
        must(self.0.resolve(*symbol))
    }

    fn memory(&mut self, _before: u64) -> Option<u64> {
        Some(self.0.mapped())
    }
}
