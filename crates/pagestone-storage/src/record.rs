//! What can be a record, and a record that was read: borrowed where mapped, copied where not.

use std::{fmt, ops::Deref};

use bytemuck::Pod;

use crate::error::Result;

mod sealed {
    pub trait Sealed {}
    impl<T: bytemuck::Pod> Sealed for T {}
    impl Sealed for [u8] {}
}

/// A type whose values are the records of a storage.
///
/// Every `bytemuck::Pod` type is one, with its own size; `[u8]` stands for records whose size
/// is given at run time. For files that mean the same on every machine build the type from
/// [`le`](crate::le) numbers.
pub trait Record: sealed::Sealed + 'static {
    /// What a batch of records is a slice of: the type itself, or bytes.
    type Unit: Pod;

    /// A record of its own.
    type Owned: std::borrow::Borrow<Self> + fmt::Debug;

    /// The bytes of a record where the type decides them.
    #[doc(hidden)]
    const SIZE: Option<usize>;

    /// The alignment of a record.
    #[doc(hidden)]
    const ALIGN: usize;

    /// Bytes of a record as a record.
    #[doc(hidden)]
    fn view(bytes: &[u8]) -> &Self;

    /// The records of `size` bytes each that whole ones are made of.
    #[doc(hidden)]
    fn each(bytes: &[u8], size: usize) -> impl DoubleEndedIterator<Item = &Self>;

    /// A record as bytes.
    #[doc(hidden)]
    fn bytes(&self) -> &[u8];

    /// Looks at bytes, aligned or not, as a record.
    #[doc(hidden)]
    fn with<R>(bytes: &[u8], look: impl FnOnce(&Self) -> R) -> R;

    /// A record of `size` bytes that `fill` has filled.
    #[doc(hidden)]
    fn read(size: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Self::Owned>;
}

impl<T: Pod + fmt::Debug> Record for T {
    type Unit = T;
    type Owned = T;

    const SIZE: Option<usize> = Some(size_of::<T>());
    const ALIGN: usize = align_of::<T>();

    #[inline]
    fn view(bytes: &[u8]) -> &Self {
        bytemuck::from_bytes(bytes)
    }

    #[inline]
    fn each(bytes: &[u8], _size: usize) -> impl DoubleEndedIterator<Item = &Self> {
        bytemuck::cast_slice(bytes).iter()
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }

    #[inline]
    fn with<R>(bytes: &[u8], look: impl FnOnce(&Self) -> R) -> R {
        match bytemuck::try_from_bytes(bytes) {
            Ok(record) => look(record),
            Err(_) => look(&bytemuck::pod_read_unaligned(bytes)),
        }
    }

    #[inline]
    fn read(_size: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<T> {
        let mut record = T::zeroed();
        fill(bytemuck::bytes_of_mut(&mut record))?;
        Ok(record)
    }
}

impl Record for [u8] {
    type Unit = u8;
    type Owned = Box<[u8]>;

    const SIZE: Option<usize> = None;
    const ALIGN: usize = 1;

    #[inline]
    fn view(bytes: &[u8]) -> &Self {
        bytes
    }

    #[inline]
    fn each(bytes: &[u8], size: usize) -> impl DoubleEndedIterator<Item = &Self> {
        bytes.chunks_exact(size)
    }

    fn bytes(&self) -> &[u8] {
        self
    }

    fn with<R>(bytes: &[u8], look: impl FnOnce(&Self) -> R) -> R {
        look(bytes)
    }

    fn read(size: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Box<[u8]>> {
        let mut record = vec![0; size].into_boxed_slice();
        fill(&mut record)?;
        Ok(record)
    }
}

/// A record that was read; use it like a `&T`.
///
/// Borrowed from the mapping where the storage allows it, else a copy. A copy of a typed record
/// lies in this value; a copy of a `[u8]` record is the only one that allocates.
pub struct RecordRef<'a, T: Record + ?Sized>(Held<'a, T>);

enum Held<'a, T: Record + ?Sized> {
    Borrowed(&'a T),
    Copied(T::Owned),
}

impl<'a, T: Record + ?Sized> RecordRef<'a, T> {
    #[inline]
    pub(crate) fn borrowed(record: &'a T) -> Self {
        Self(Held::Borrowed(record))
    }

    #[inline]
    pub(crate) fn copied(record: T::Owned) -> Self {
        Self(Held::Copied(record))
    }

    /// Returns whether the record is a view of the mapping.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self.0, Held::Borrowed(_))
    }
}

impl<T: Record + ?Sized> Deref for RecordRef<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Held::Borrowed(record) => record,
            Held::Copied(record) => std::borrow::Borrow::borrow(record),
        }
    }
}

impl<T: Record + ?Sized> AsRef<T> for RecordRef<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: Record + ?Sized + fmt::Debug> fmt::Debug for RecordRef<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, formatter)
    }
}
