//! Values of one type behind one address, a bit for each: found by index alone.
#![expect(unsafe_code, reason = "memory is reached through raw pointers")]

use std::{fmt, marker::PhantomData, ptr::NonNull};

use bytemuck::Pod;

use super::owned::out_of_memory;
use crate::{bytes::Range, error::Result};

/// What the memory is aligned to: huge pages.
const UNIT: usize = if cfg!(miri) { 64 } else { 2 << 20 };
/// The most address range that values may take.
const RESERVED_MAX: u64 = 1 << 40;

/// Slots for values of one type, a bit for each that says whether it is occupied, in one piece of
/// address range that is reserved at once; memory is used as slots are.
///
/// A look at a value costs one comparison and one bit, and no look at what finds slabs.
///
/// ```
/// use pagestone_storage::raw::Flat;
///
/// let mut slots = Flat::<u64>::reserve(1 << 20)?;
/// assert!(!slots.put(7, &70), "not open yet");
/// assert!(slots.open(64));
/// assert!(slots.put(7, &70));
/// assert_eq!((slots.get(7), slots.get(8)), (Some(&70), None));
/// assert_eq!((slots.remove(7), slots.remove(7)), (Some(1 << 7), None));
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
pub struct Flat<T> {
    range: Range,
    /// F1: aligned to 8, followed by a word for each 64 slots of `capacity`, all inside `range`,
    /// which stays readable and writable until the value is dropped, through this value alone.
    words: NonNull<u64>,
    /// F2: aligned as `T`, followed by `capacity` slots, all inside `range` and apart from the
    /// words.
    slots: NonNull<T>,
    /// F3: no more than `capacity`, both whole words of slots. Bits of slots from here on are 0.
    open: usize,
    capacity: usize,
    values: PhantomData<T>,
}

// SAFETY: the bytes belong to the value alone (F1), and to no thread; `Pod` says of `T` that it has
// neither pointers nor anything that changes behind a shared borrow.
unsafe impl<T: Pod> Send for Flat<T> {}
// SAFETY: bytes change under `&mut self` alone, says `Pod` too.
unsafe impl<T: Pod> Sync for Flat<T> {}

impl<T> fmt::Debug for Flat<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = (self.open, self.capacity);
        formatter.debug_struct("Flat").field("open_of_capacity", &slots).finish_non_exhaustive()
    }
}

impl<T: Pod> Flat<T> {
    /// Reserves address range for `slots` values, or for fewer where that is more than 1 TiB, or
    /// more than the system gives.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when address range is short, or `T` has no bytes or is aligned to more than
    /// 64.
    pub fn reserve(slots: u64) -> Result<Self> {
        let size = size_of::<T>() as u64;
        if size == 0 || 64 < align_of::<T>() {
            return Err(out_of_memory());
        }
        let slots = slots.clamp(64, RESERVED_MAX / size).next_multiple_of(64);
        let wanted = slots / 8 + slots * size + 2 * UNIT as u64;
        let range = Range::anonymous(wanted)?;
        let len = usize::try_from(range.capacity()).map_err(|_| out_of_memory())?;
        let base = range.base();
        // Where less was given: as many words of slots as fit behind their bits.
        let word = 8 + 64 * size_of::<T>();
        let skipped = base.as_ptr().align_offset(UNIT).min(len);
        let count = (len - skipped) / word;
        let bits = (count * 8).next_multiple_of(UNIT);
        let count = count.min((len - skipped).saturating_sub(bits) / (64 * size_of::<T>()));
        if count == 0 {
            return Err(out_of_memory());
        }
        let words = NonNull::new(base.as_ptr().wrapping_add(skipped)).ok_or_else(out_of_memory)?;
        let slots = NonNull::new(words.as_ptr().wrapping_add(bits)).ok_or_else(out_of_memory)?;
        // F1 and F2 hold: `skipped + bits + 64 * count * size` is at most `len`, `8 * count` is at
        // most `bits`, and both begin at multiples of 64.
        let (words, slots) = (words.cast(), slots.cast());
        Ok(Self { range, words, slots, open: 0, capacity: count * 64, values: PhantomData })
    }

    /// Returns how many slots there can be: a multiple of 64.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Lets the first `slots` slots, a multiple of 64, be used; returns false, and does nothing,
    /// when there cannot be so many.
    pub fn open(&mut self, slots: usize) -> bool {
        let works = slots <= self.capacity && slots.is_multiple_of(64);
        if works {
            self.open = self.open.max(slots);
        }
        works
    }

    /// Returns the value in a slot if its bit is set.
    #[inline]
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        if index < self.open && self.load(index / 64) >> (index % 64) & 1 == 1 {
            let slot = self.slots.as_ptr().wrapping_add(index);
            // SAFETY: `index` is below `open`, so the slot is inside the range (F2, F3); any bytes
            // are a value, and they change under `&mut self` alone.
            Some(unsafe { &*slot })
        } else {
            None
        }
    }

    /// Puts a value into a slot and sets its bit; returns false, and does nothing, when the slot
    /// is not open.
    #[inline]
    pub fn put(&mut self, index: u32, value: &T) -> bool {
        let index = index as usize;
        if self.open <= index {
            return false;
        }
        let slot = self.slots.as_ptr().wrapping_add(index);
        // SAFETY: `index` is below `open`, so the slot is inside the range (F2, F3), and `&mut
        // self` is alone with it.
        unsafe { slot.write(*value) };
        self.store(index / 64, self.load(index / 64) | 1 << (index % 64));
        true
    }

    /// Puts a value into the lowest slot of those that [`word`](Self::word)`(at)` stands for whose
    /// bit is not set, sets it, and returns the slot; `None`, and nothing is done, when all are set
    /// or not open.
    #[inline]
    pub fn put_in_word(&mut self, at: usize, value: &T) -> Option<u32> {
        if self.open / 64 <= at {
            return None;
        }
        let word = self.load(at);
        if word == !0 {
            return None;
        }
        let index = at * 64 + word.trailing_ones() as usize;
        let slot = self.slots.as_ptr().wrapping_add(index);
        // SAFETY: the word is below `open`, so the slot is inside the range (F2, F3), and `&mut
        // self` is alone with it.
        unsafe { slot.write(*value) };
        self.store(at, word | (word + 1));
        u32::try_from(index).ok()
    }

    /// Clears the bit of a slot; returns the bits of its [`word`](Self::word) as they were, `None`
    /// when its own was not set.
    #[inline]
    pub fn remove(&mut self, index: u32) -> Option<u64> {
        let index = index as usize;
        if self.open <= index {
            return None;
        }
        let word = self.load(index / 64);
        let left = word & !(1 << (index % 64));
        if left == word {
            return None;
        }
        self.store(index / 64, left);
        Some(word)
    }

    /// Returns the bits of 64 slots, the lowest in the lowest bit; 0 for those that are not open.
    #[inline]
    #[must_use]
    pub fn word(&self, at: usize) -> u64 {
        if at < self.open / 64 { self.load(at) } else { 0 }
    }

    /// Clears the bits of `count` slots from `first` on, whole words of them, and gives whole pages
    /// of what they held back.
    pub fn give_back(&mut self, first: usize, count: usize) {
        let (first, end) = (first.min(self.open), first.saturating_add(count).min(self.open));
        for at in first / 64..end / 64 {
            self.store(at, 0);
        }
        let from = self.slots.as_ptr() as u64 - self.range.base().as_ptr() as u64;
        let size = size_of::<T>() as u64;
        self.range.give_back(from + first as u64 * size, (end - first) as u64 * size);
    }

    /// Asks for huge pages for the slots from `first` on, where they begin.
    pub fn advise_huge(&self, first: usize) {
        let from = self.slots.as_ptr() as u64 - self.range.base().as_ptr() as u64;
        self.range.advise_huge_from(from + first as u64 * size_of::<T>() as u64);
    }

    /// A word below `open`.
    #[inline]
    fn load(&self, at: usize) -> u64 {
        debug_assert!(at < self.open / 64);
        let word = self.words.as_ptr().wrapping_add(at);
        // SAFETY: callers checked `at` against `open`, so the word is inside the range (F1, F3),
        // and changes under `&mut self` alone.
        unsafe { *word }
    }

    /// Stores a word below `open`.
    #[inline]
    fn store(&mut self, at: usize, bits: u64) {
        debug_assert!(at < self.open / 64);
        let word = self.words.as_ptr().wrapping_add(at);
        // SAFETY: callers checked `at` against `open`, so the word is inside the range (F1, F3),
        // and `&mut self` is alone with it.
        unsafe { *word = bits };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_are_not_open_are_not_there() {
        let mut slots = Flat::<[u8; 3]>::reserve(1000).unwrap();
        assert!(1000 <= slots.capacity() && slots.capacity().is_multiple_of(64));
        assert!(!slots.open(65) && !slots.open(slots.capacity() + 64) && slots.open(128));
        for index in [128, 129, 1_000_000, u32::MAX] {
            assert!(!slots.put(index, b"abc") && slots.remove(index).is_none(), "{index}");
            assert_eq!(slots.put_in_word(index as usize / 64, b"abc"), None);
            assert_eq!((slots.get(index), slots.word(index as usize / 64)), (None, 0), "{index}");
        }
        for index in 0..128u32 {
            assert!(slots.put(index, &[index.to_le_bytes()[0]; 3]));
        }
        for index in 0..128u32 {
            assert_eq!(slots.get(index), Some(&[index.to_le_bytes()[0]; 3]));
        }
        assert_eq!((slots.word(0), slots.word(1), slots.word(2)), (!0, !0, 0));
        assert_eq!(slots.put_in_word(1, b"abc"), None);
        for index in [127, 64, 90] {
            assert_eq!(slots.remove(index), Some(slots.word(1) | 1 << (index % 64)));
            assert_eq!((slots.remove(index), slots.get(index)), (None, None));
        }
        for index in [64, 90, 127] {
            assert_eq!(slots.put_in_word(1, b"xyz"), Some(index));
            assert_eq!(slots.get(index), Some(b"xyz"));
        }
        assert_eq!((slots.word(0), slots.word(1), slots.word(2)), (!0, !0, 0));
    }

    #[test]
    fn what_is_given_back_is_vacant() {
        let mut slots = Flat::<u64>::reserve(1 << 16).unwrap();
        assert!(slots.open(1 << 16));
        for index in 0..1 << 16 {
            assert!(slots.put(index, &u64::from(index)));
        }
        slots.give_back(1 << 12, 1 << 13);
        for index in 0..1u32 << 16 {
            let there = !(1 << 12..3 << 12).contains(&index);
            assert_eq!(slots.get(index).is_some(), there, "{index}");
            assert!(slots.get(index).is_none_or(|&value| value == u64::from(index)));
        }
        assert!(slots.put(1 << 12, &5) && slots.get(1 << 12) == Some(&5));
    }

    #[test]
    fn types_without_bytes_are_refused() {
        assert!(Flat::<()>::reserve(10).is_err());
    }

    /// Only what is used takes memory.
    #[test]
    fn the_last_of_all_indexes_is_a_slot() {
        let mut slots = Flat::<u64>::reserve(1 << 32).unwrap();
        if slots.capacity() < 1 << 32 {
            return;
        }
        assert!(slots.open(1 << 32));
        assert!(slots.put(u32::MAX, &9) && slots.get(u32::MAX) == Some(&9));
        assert_eq!(slots.get(u32::MAX - 1), None);
        assert!(slots.remove(u32::MAX).is_some() && slots.get(u32::MAX).is_none());
    }
}
