//! pagestone-slab: the interner as it comes, with counts, and for many threads.

use pagestone_slab::{ConcurrentInterner, Interner, Symbol};

use super::StringStore;
use crate::{Result, must};

/// Strings that stay.
#[derive(Debug)]
pub struct Ours(Interner<str>);

/// Strings that are counted and can go.
#[derive(Debug)]
pub struct Counted(Interner<str>);

/// Strings for many threads, asked by one.
#[derive(Debug)]
pub struct Shared(ConcurrentInterner<str>);

impl StringStore for Ours {
    type Symbol = Symbol;

    fn new() -> Result<Self> {
        Ok(Self(Interner::new()?))
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
        Some(self.0.stats().mapped)
    }
}

impl StringStore for Counted {
    type Symbol = Symbol;
    const RELEASES: bool = true;

    fn new() -> Result<Self> {
        Ok(Self(Interner::counted()?))
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
