//! A file and what a get needs to borrow from it: found once, not at every get.
#![expect(unsafe_code, reason = "borrows records from the mapping, under its invariant M3")]

use std::{hint, marker::PhantomData, sync::Arc};

use crate::{
    core::{Base, Core},
    record::Record,
};

/// The file of a reader, with the first byte of its mapping where records of type `T` may be
/// borrowed from one.
pub(crate) struct Lending<T: Record + ?Sized> {
    core: Arc<Core>,
    /// Invariant N1: if there is one, `core` lends its published records from it, and they have
    /// the size and the alignment of `T`.
    base: Option<Base>,
    record: PhantomData<fn(&T)>,
}

impl<T: Record + ?Sized> Lending<T> {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let size = core.record_size();
        let fits = T::SIZE.is_none_or(|of_type| of_type == size) && size.is_multiple_of(T::ALIGN);
        let base = core.base().filter(|base| fits && base.is_aligned(T::ALIGN));
        Self { core, base, record: PhantomData }
    }

    #[inline]
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Borrows a published record from one mapping where that is allowed.
    #[inline]
    pub(crate) fn record(&self, index: u64) -> Option<&[u8]> {
        let base = self.base?;
        if self.core.len() <= index {
            return None;
        }
        let size = T::SIZE.unwrap_or_else(|| self.core.record_size());
        // SAFETY: (1) the record is published, so the file has its bytes, and `core`, which lends
        // them (N1), says that nobody changes or cuts them; (2) they have this size (N1); (3) the
        // mapping lives as long as `core`, which `self` keeps.
        let bytes = unsafe { base.slice(index * size as u64, size) };
        // SAFETY: the mapping starts at a multiple of the alignment, and so does every record,
        // whose size is one too (N1).
        unsafe { hint::assert_unchecked((bytes.as_ptr() as usize).is_multiple_of(T::ALIGN)) };
        Some(bytes)
    }
}
