//! The only place that forms slices of a region file: of space the writer owns, and of blocks that
//! are published.
//!
//! Space goes round: *vacant* (the allocator has it), *owned* (an [`Owned`] exists: one operation
//! of the one writer fills it, nobody else looks), *published* (a word names it: anybody under a
//! pin looks, nobody stores), *retired* (no word names it, pins may hold it), vacant again. The
//! invariants that make this sound:
//!
//! - L1: an `Owned` is made only of space that the allocator just took out of its bitmap of free
//!   grains, that was just adopted, that lies behind the end of a segment, or of a free range that
//!   the allocator keeps for one. No word of the newest state names it, nor of the committed one:
//!   such space is not free, it is used or in quarantine. What an `Owned` is resized by was just
//!   adopted behind it, or is given up. Space that nobody sees any more is owned once more before it
//!   is vacant, where it is to be zeroed.
//! - L2: space is retired after the publish that replaced it, and becomes free only when no pin of
//!   this process is as old as the retirement. A slice of a published block borrows its pin, or
//!   the exclusive owner, for as long as it lives.
//! - L3: published bytes are not stored to; but those of [`private_mut`] and [`entry_mut`], which
//!   borrow the exclusive owner, so that no slice of the block or entry exists.
//! - L4: control words (superblock, owner page, directory, slots) lie in regions of other kinds
//!   than blocks: every place that a slot names is checked against the kind of its unit first.
#![expect(unsafe_code, reason = "the home of slices of region files")]

use pagestone_storage::raw::RawFile;

use crate::{
    error::Result,
    layout::{BLOCK_HEADER, ENTRY_HEADER},
    pin::Place,
};

/// Space that one operation of the writer owns.
#[derive(Debug)]
pub(crate) struct Owned {
    at: u64,
    len: u64,
}

impl Owned {
    /// Takes over space for which L1 holds.
    pub(crate) fn taken(at: u64, len: u64) -> Self {
        Self { at, len }
    }

    /// The first byte.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Copies `bytes` to `offset` bytes from the start.
    #[inline]
    pub(crate) fn fill(&mut self, raw: &RawFile, offset: u64, bytes: &[u8]) {
        self.check(offset, bytes.len());
        // SAFETY: the space is owned, so nobody else looks at or stores to it (L1); the check
        // above keeps inside it.
        unsafe { raw.fill(self.at + offset, bytes) }
    }

    /// Lends `len` bytes from `offset` on to be filled, then has them recorded.
    pub(crate) fn fill_with<R>(
        &mut self,
        raw: &RawFile,
        (offset, len): (u64, usize),
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        self.check(offset, len);
        // SAFETY: the space is owned, so nobody else looks at or stores to it (L1), and `&mut
        // self` keeps it from being lent twice; the check above keeps inside it.
        let lent = unsafe { raw.slice_mut(self.at + offset, len) };
        let answer = fill(lent);
        raw.stored(self.at + offset, len as u64);
        answer
    }

    /// Bytes of the space.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Says that the space ends elsewhere: L1 holds for what it is longer.
    pub(crate) fn resize(&mut self, len: u64) {
        self.len = len;
    }

    /// Writes `bytes` to `offset` bytes from the start by a system call; nobody looks there (L1).
    pub(crate) fn write(&mut self, raw: &RawFile, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check(offset, bytes.len());
        Ok(raw.write_at(self.at + offset, bytes)?)
    }

    /// Reads what was written before.
    pub(crate) fn read(&self, raw: &RawFile, offset: u64, into: &mut [u8]) -> Result<()> {
        self.check(offset, into.len());
        Ok(raw.pread(self.at + offset, into)?)
    }

    fn check(&self, offset: u64, len: usize) {
        let end = offset.checked_add(len as u64);
        assert!(end.is_some_and(|end| end <= self.len), "a store outside of owned space");
    }
}

/// What keeps a published block from reuse while a slice of it lives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeper<'k>(std::marker::PhantomData<&'k ()>);

impl<'k> Keeper<'k> {
    /// A pin that is held for `'k`.
    pub(crate) fn pin(_pin: &'k Place) -> Self {
        Self(std::marker::PhantomData)
    }

    /// The borrow of the writer's state, without which nothing is retired, reused or changed.
    pub(crate) fn writer(_state: &'k crate::state::State) -> Self {
        Self(std::marker::PhantomData)
    }

    /// The borrow of the one owner, through whom alone anything could be retired and reused.
    pub(crate) fn owner<T: ?Sized>(_owner: &'k T) -> Self {
        Self(std::marker::PhantomData)
    }
}

/// The payload of the published block at `at`, which a lookup found while `_keeper` held.
#[inline]
pub(crate) fn published<'k>(
    raw: &'k RawFile,
    _keeper: Keeper<'k>,
    (at, len): (u64, usize),
) -> &'k [u8] {
    // SAFETY: a word named the block after the keeper was there, so it is not reused while the
    // keeper lives (L2), and nobody stores to published bytes (L3).
    unsafe { raw.slice(at + BLOCK_HEADER, len) }
}

/// Bytes of a published block, header included, that a lookup found while `_keeper` held.
#[inline]
pub(crate) fn stored<'k>(
    raw: &'k RawFile,
    _keeper: Keeper<'k>,
    (at, len): (u64, usize),
) -> &'k [u8] {
    // SAFETY: a word named the block after the keeper was there, so it is not reused while the
    // keeper lives (L2), and nobody stores to published bytes (L3).
    unsafe { raw.slice(at, len) }
}

/// The payload of the published entry at `at`, which a lookup found while `_keeper` held.
#[inline]
pub(crate) fn published_entry<'k>(
    raw: &'k RawFile,
    _keeper: Keeper<'k>,
    (at, len): (u64, usize),
) -> &'k [u8] {
    // SAFETY: a word named the entry after the keeper was there, so its segment is not reused
    // while the keeper lives (L2), and nobody stores to what was appended (L3).
    unsafe { raw.slice(at + ENTRY_HEADER, len) }
}

/// Bytes from `place` on in the room of a published entry, to be changed in place; `owner` is the
/// exclusive owner of the file.
pub(crate) fn entry_mut<'k, T: ?Sized>(
    raw: &'k RawFile,
    _owner: &'k mut T,
    (place, len): (u64, usize),
) -> &'k mut [u8] {
    // SAFETY: the mutable borrow of the one owner shows that no slice of the entry exists and that
    // nobody else looks meanwhile (L3); the room belongs to the entry, so to no other.
    unsafe { raw.slice_mut(place, len) }
}

/// Bytes of a segment that a writer of before appended, published or not, or left as zeros; or that
/// this one appended.
#[inline]
pub(crate) fn appended<'k>(
    raw: &'k RawFile,
    _writer: Keeper<'k>,
    (at, len): (u64, usize),
) -> &'k [u8] {
    // SAFETY: nobody but the writer stores to bytes of a segment or gives them back; the borrow of
    // its state (`Keeper::writer`) shows that it does not meanwhile (L1).
    unsafe { raw.slice(at, len) }
}

/// The payload of the block at `at`, which is private to the open epoch, to be changed in place;
/// `owner` is the exclusive owner of the file.
pub(crate) fn private_mut<'k, T: ?Sized>(
    raw: &'k RawFile,
    _owner: &'k mut T,
    (at, len): (u64, usize),
) -> &'k mut [u8] {
    // SAFETY: the mutable borrow of the one owner shows that no slice of the block exists and that
    // nobody else looks meanwhile (L3).
    unsafe { raw.slice_mut(at + BLOCK_HEADER, len) }
}
