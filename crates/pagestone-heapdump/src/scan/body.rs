//! The part of a record that was not read yet, bounded by the record's length.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::input::{Input, u64_of};
use crate::error::Error;

/// Why reading a record stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The record is shorter than what it must hold.
    Overrun,
    /// The file is.
    EndOfFile,
    /// A type code that does not exist.
    UnknownType,
    /// Nothing is wrong with the dump.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The rest of a record.
pub(super) struct Body<'i, 's> {
    input: &'i mut Input<'s>,
    left: u64,
}

impl<'i, 's> Body<'i, 's> {
    pub(super) fn new(input: &'i mut Input<'s>, len: u64) -> Self {
        Self { input, left: len }
    }

    /// The rest of the file.
    pub(super) fn all(input: &'i mut Input<'s>) -> Self {
        Self::new(input, u64::MAX)
    }

    #[inline]
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The offset in the dump of the next byte.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// Takes bytes, at most 64 KiB.
    #[inline]
    pub(super) fn take_bytes(&mut self, len: usize) -> Result<&[u8], Stop> {
        self.left = self.left.checked_sub(u64_of(len)).ok_or(Stop::Overrun)?;
        self.input.take(len)?.ok_or(Stop::EndOfFile)
    }

    /// Takes bytes as what they mean.
    #[inline]
    pub(super) fn take<T>(&mut self) -> Result<&T, Stop>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let bytes = self.take_bytes(size_of::<T>())?;
        T::ref_from_bytes(bytes).map_err(|_| Stop::EndOfFile)
    }

    #[inline]
    pub(super) fn skip(&mut self, len: u64) -> Result<(), Stop> {
        self.left = self.left.checked_sub(len).ok_or(Stop::Overrun)?;
        if self.input.skip(len)? { Ok(()) } else { Err(Stop::EndOfFile) }
    }

    pub(super) fn skip_rest(&mut self) -> Result<(), Stop> {
        self.skip(self.left)
    }
}
