//! Interners, each made empty, without a capacity, as ours are.

use bench_own::{Result, must, strings::StringStore};
use string_interner::{DefaultHashBuilder, backend::BucketBackend, symbol::SymbolU32};

/// string-interner with its backend whose strings never move.
pub(crate) struct StringInterner(
    string_interner::StringInterner<BucketBackend<SymbolU32>, DefaultHashBuilder>,
);

impl StringStore for StringInterner {
    type Symbol = SymbolU32;

    fn new() -> Result<Self> {
        Ok(Self(string_interner::StringInterner::new()))
    }

    #[inline]
    fn intern(&mut self, string: &str) -> SymbolU32 {
        self.0.get_or_intern(string)
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a SymbolU32) -> &'a str {
        must(self.0.resolve(*symbol).ok_or("no such symbol"))
    }
}

/// lasso for one thread, with the hasher that its documentation advises for speed.
pub(crate) struct Lasso(lasso::Rodeo);

impl StringStore for Lasso {
    type Symbol = lasso::Spur;

    fn new() -> Result<Self> {
        Ok(Self(lasso::Rodeo::new()))
    }

    #[inline]
    fn intern(&mut self, string: &str) -> lasso::Spur {
        self.0.get_or_intern(string)
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a lasso::Spur) -> &'a str {
        must(self.0.try_resolve(symbol).ok_or("no such symbol"))
    }
}

/// internment, strings that stay for ever: a symbol is a reference.
pub(crate) struct Internment;

impl StringStore for Internment {
    type Symbol = internment::Intern<str>;
    const IS_GLOBAL: bool = true;

    fn new() -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn intern(&mut self, string: &str) -> Self::Symbol {
        internment::Intern::from(string)
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a Self::Symbol) -> &'a str {
        symbol
    }
}

/// internment, strings that are counted and go with their last symbol.
pub(crate) struct Arc;

impl StringStore for Arc {
    type Symbol = Option<internment::ArcIntern<str>>;
    const RELEASES: bool = true;

    fn new() -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn intern(&mut self, string: &str) -> Self::Symbol {
        Some(internment::ArcIntern::from(string))
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a Self::Symbol) -> &'a str {
        must(symbol.as_deref().ok_or("the string was released"))
    }

    #[inline]
    fn release(&mut self, symbol: &mut Self::Symbol) {
        *symbol = None;
    }
}

/// ustr: strings that stay for ever, for many threads.
pub(crate) struct Ustr;

impl StringStore for Ustr {
    type Symbol = ustr::Ustr;
    const IS_GLOBAL: bool = true;

    fn new() -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn intern(&mut self, string: &str) -> ustr::Ustr {
        ustr::ustr(string)
    }

    #[inline]
    fn resolve<'a>(&'a self, symbol: &'a ustr::Ustr) -> &'a str {
        symbol.as_str()
    }
}
