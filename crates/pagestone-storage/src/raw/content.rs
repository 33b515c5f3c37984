//! What memory can hold so that it is lent as it was put: bytes, or text that stays UTF-8.
#![expect(unsafe_code, reason = "text is lent unchecked, from bytes that were put in as text")]

/// What [`Owned`](super::Owned) and [`Appended`](super::Appended) lend: `[u8]` or `str`.
pub trait Content: sealed::Sealed + std::hash::Hash + Eq + Send + Sync + 'static {
    /// Returns the bytes of the content.
    fn as_bytes(&self) -> &[u8];

    /// Returns a copy of its own.
    fn boxed(&self) -> Box<Self>;

    /// Returns the first `len` bytes; `None` when there are not so many, or a character would be
    /// cut.
    fn first(&self, len: usize) -> Option<&Self>;
}

impl Content for [u8] {
    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self
    }

    fn boxed(&self) -> Box<Self> {
        self.into()
    }

    #[inline]
    fn first(&self, len: usize) -> Option<&Self> {
        self.get(..len)
    }
}

impl Content for str {
    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn boxed(&self) -> Box<Self> {
        self.into()
    }

    #[inline]
    fn first(&self, len: usize) -> Option<&Self> {
        self.get(..len)
    }
}

pub(super) mod sealed {
    /// Keeps the set of contents closed: the memory relies on what they say.
    pub trait Sealed {
        /// The `len` bytes of `whole` from `at` on; `None` when they end past it, or would cut a
        /// character.
        ///
        /// # Safety
        ///
        /// `whole` holds content of this kind and zeros, each content put with
        /// [`fits`](Self::fits) asked before.
        unsafe fn lend(whole: &[u8], at: usize, len: usize) -> Option<&Self>;

        /// All of `bytes`.
        ///
        /// # Safety
        ///
        /// `bytes` are content of this kind.
        unsafe fn whole(bytes: &[u8]) -> &Self;

        /// Whether content may take the place of the `len` bytes of `whole` from `at` on and leave
        /// content everywhere.
        ///
        /// # Safety
        ///
        /// As for [`lend`](Self::lend).
        unsafe fn fits(whole: &[u8], at: usize, len: usize) -> bool;
    }
}

impl sealed::Sealed for [u8] {
    #[inline]
    unsafe fn lend(whole: &[u8], at: usize, len: usize) -> Option<&Self> {
        whole.get(at..)?.get(..len)
    }

    #[inline]
    unsafe fn whole(bytes: &[u8]) -> &Self {
        bytes
    }

    #[inline]
    unsafe fn fits(whole: &[u8], at: usize, len: usize) -> bool {
        at <= whole.len() && len <= whole.len() - at
    }
}

impl sealed::Sealed for str {
    #[inline]
    unsafe fn lend(whole: &[u8], at: usize, len: usize) -> Option<&Self> {
        // SAFETY: zeros are UTF-8, and text that took the place of whole characters, as `fits`
        // saw to, leaves UTF-8: so the contract says that all of it is.
        let whole = unsafe { Self::from_utf8_unchecked(whole) };
        whole.get(at..at.checked_add(len)?)
    }

    #[inline]
    unsafe fn whole(bytes: &[u8]) -> &Self {
        // SAFETY: the bytes are text, says the contract.
        unsafe { Self::from_utf8_unchecked(bytes) }
    }

    #[inline]
    unsafe fn fits(whole: &[u8], at: usize, len: usize) -> bool {
        // SAFETY: the contract is the same.
        unsafe { <Self as sealed::Sealed>::lend(whole, at, len) }.is_some()
    }
}
