//! Memory that one thread appends to while others read what it has published.
#![expect(unsafe_code, reason = "memory is reached through raw pointers")]

use std::{marker::PhantomData, sync::Arc};

use super::{content::Content, owned::out_of_memory};
use crate::{bytes::Range, error::Result, published::Published};

/// The end at which content is appended; there is one.
#[derive(Debug)]
pub struct Appender<C: Content + ?Sized>(Appended<C>);

/// What was appended, for any number of threads.
#[derive(Debug)]
pub struct Appended<C: Content + ?Sized>(Arc<Shared<C>>);

#[derive(Debug)]
struct Shared<C: Content + ?Sized> {
    /// A1: mapped until dropped.
    range: Range,
    /// A2: how many bytes were appended, no more than the capacity of `range`. They are content,
    /// end to end, and never change again. The one `Appender` alone stores behind them.
    published: Published,
    content: PhantomData<fn() -> Box<C>>,
}

/// Reserves memory for `len` bytes that are appended; pages are used as they are filled.
///
/// ```
/// use pagestone_storage::raw::append_only;
///
/// let (mut appender, appended) = append_only::<str>(1 << 16)?;
/// let at = appender.append("grün");
/// assert_eq!(at, Some(0));
/// assert_eq!(appended.get(0, 5), Some("grün"));
/// assert_eq!(appended.get(0, 6), None, "not appended yet");
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
///
/// # Errors
///
/// `OutOfSpace` when memory or address range is short.
pub fn append_only<C: Content + ?Sized>(len: u64) -> Result<(Appender<C>, Appended<C>)> {
    let range = Range::anonymous(len)?;
    if range.capacity() < len {
        return Err(out_of_memory());
    }
    let shared = Arc::new(Shared { range, published: Published::new(0), content: PhantomData });
    Ok((Appender(Appended(Arc::clone(&shared))), Appended(shared)))
}

impl<C: Content + ?Sized> Appender<C> {
    /// Appends `content` and returns where it begins; `None`, and nothing happens, when it does
    /// not fit.
    pub fn append(&mut self, content: &C) -> Option<u64> {
        let (shared, bytes) = (&self.0.0, content.as_bytes());
        let at = shared.published.get();
        let end = at.checked_add(bytes.len() as u64)?;
        if shared.range.capacity() < end {
            return None;
        }
        // Nobody looks behind what is published, and `&mut self` is the one who stores (A2).
        shared.range.fill(at, bytes);
        shared.published.publish(end);
        Some(at)
    }

    /// Returns a reader of what is appended.
    #[must_use]
    pub fn appended(&self) -> Appended<C> {
        self.0.clone()
    }
}

impl<C: Content + ?Sized> Appended<C> {
    /// Returns the `len` bytes from `at` on; `None` when they were not all appended, or would begin
    /// or end inside a character. Waits for nobody.
    #[inline]
    #[must_use]
    pub fn get(&self, at: u64, len: usize) -> Option<&C> {
        let published = usize::try_from(self.0.published.get()).ok()?;
        // SAFETY: published bytes are there (A1) and never change (A2).
        let whole = unsafe { self.0.range.slice(0, published) };
        // SAFETY: A2 is what the contract asks for: no content ever takes another's place.
        unsafe { C::lend(whole, usize::try_from(at).ok()?, len) }
    }
}

impl<C: Content + ?Sized> Appended<C> {
    /// Returns how many bytes were appended.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length in bytes; nobody asks for none")]
    pub fn len(&self) -> u64 {
        self.0.published.get()
    }
}

impl<C: Content + ?Sized> Clone for Appended<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_what_was_appended_and_no_more() {
        let (mut end, appended) = append_only::<str>(64 << 10).unwrap();
        let rounds = if cfg!(miri) { 50 } else { 5000 };
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut seen = 0;
                while seen < rounds * 5 {
                    seen = appended.len();
                    let text = appended.get(0, usize::try_from(seen).unwrap()).unwrap();
                    assert!(text.ends_with('€') || text.is_empty());
                    assert_eq!(appended.get(seen, 1).filter(|_| appended.len() == seen), None);
                }
            });
            for round in 0..rounds {
                assert_eq!(end.append("é€"), Some(round * 5));
            }
            reader.join().unwrap();
        });
        assert_eq!(appended.get(1, 4), None, "half a character");
        assert_eq!(end.append(&"x".repeat(64 << 10)), None);
        assert_eq!(end.appended().len(), rounds * 5, "and nothing happened");
    }
}
