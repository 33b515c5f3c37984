//! Equal slots of memory with a bit for each, looked at with one check.
#![expect(unsafe_code, reason = "one check stands for the bounds of three arrays")]

use super::{content::Content, owned::Owned};

/// Slots of equal size, a bit for each that says whether it is occupied, and a byte for each, its
/// mark, if asked for.
///
/// What a bit or a mark means is the caller's. A look at an occupied slot costs one comparison of
/// bounds.
///
/// ```
/// use pagestone_storage::raw::{Marks, Owned, Slots};
///
/// let memory = Owned::<str>::zeroed(8 * 100)?;
/// let Some(mut slots) = Slots::new(memory, (8, 100), Marks::Kept) else { return Ok(()) };
/// assert!(slots.put(3, "12345678") && !slots.put(3, "1234567"));
/// assert_eq!(slots.occupied(3), None, "its bit is not set");
/// slots.set_word(0, 1 << 3);
/// assert_eq!(slots.occupied(3), Some("12345678"));
/// assert_eq!(slots.occupied_marked(3, 1), None, "its mark is 0");
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
#[derive(Debug)]
pub struct Slots<C: Content + ?Sized> {
    /// S1: `size * count` bytes at least. Each slot holds zeros, or content that fills it but for
    /// zeros at its end: so it is content as a whole.
    memory: Owned<C>,
    size: usize,
    count: u32,
    /// S2: a bit for each slot, those behind the last are 0.
    words: Box<[u64]>,
    /// S3: a byte for each slot, or none at all.
    marks: Box<[u8]>,
}

/// Whether slots have marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// A byte for each.
    Kept,
    /// None: every mark is 0.
    None,
}

impl<C: Content + ?Sized> Slots<C> {
    /// Lays `count` slots of `size` bytes over memory that holds nothing yet; `None` when they do
    /// not fit.
    #[must_use]
    pub fn new(memory: Owned<C>, (size, count): (usize, u32), marks: Marks) -> Option<Self> {
        let len = size.checked_mul(count as usize)?;
        if memory.len() < len || !memory.is_fresh() {
            return None;
        }
        let words = vec![0; count.div_ceil(64) as usize].into();
        let marks = match marks {
            Marks::Kept => vec![0; count as usize].into(),
            Marks::None => Box::default(),
        };
        Some(Self { memory, size, count, words, marks })
    }

    /// Returns how many slots there are.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns the bytes of a slot.
    #[inline]
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the bytes of it all.
    #[must_use]
    pub fn mapped(&self) -> usize {
        self.memory.len() + size_of_val(&*self.words) + self.marks.len()
    }

    /// Returns all slots, one behind the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory.bytes()[..self.size * self.count as usize]
    }

    /// Returns the bits of 64 slots, the lowest in the lowest bit; 0 behind the last.
    #[inline]
    #[must_use]
    pub fn word(&self, index: usize) -> u64 {
        self.words.get(index).copied().unwrap_or(0)
    }

    /// Sets the bits of 64 slots; does nothing behind the last. Bits of slots that are not there
    /// stay 0.
    #[inline]
    pub fn set_word(&mut self, index: usize, word: u64) {
        let rest = (self.count as usize).saturating_sub(index.saturating_mul(64));
        let there = if rest < 64 { !(!0 << rest) } else { !0 };
        if let Some(stored) = self.words.get_mut(index) {
            *stored = word & there;
        }
    }

    /// Returns the mark of a slot; 0 where there is none.
    #[inline]
    #[must_use]
    pub fn mark(&self, slot: u32) -> u8 {
        self.marks.get(slot as usize).copied().unwrap_or(0)
    }

    /// Sets the mark of a slot; does nothing where there is none.
    #[inline]
    pub fn set_mark(&mut self, slot: u32, mark: u8) {
        if let Some(stored) = self.marks.get_mut(slot as usize) {
            *stored = mark;
        }
    }

    /// Returns all of a slot, whatever its bit says; `None` behind the last.
    #[inline]
    #[must_use]
    pub fn slot(&self, slot: u32) -> Option<&C> {
        if slot < self.count { Some(self.lend(slot)) } else { None }
    }

    /// Returns all of a slot if its bit is set.
    #[inline]
    #[must_use]
    pub fn occupied(&self, slot: u32) -> Option<&C> {
        if slot < self.count && self.is_set(slot) { Some(self.lend(slot)) } else { None }
    }

    /// Returns all of a slot if its bit is set and this is its mark.
    #[inline]
    #[must_use]
    pub fn occupied_marked(&self, slot: u32, mark: u8) -> Option<&C> {
        if slot < self.count && self.is_set(slot) && self.has_mark(slot, mark) {
            Some(self.lend(slot))
        } else {
            None
        }
    }

    /// Copies content that fills the slot into it; returns false, and does nothing, when it does
    /// not fill it, or there is no such slot.
    #[inline]
    pub fn put(&mut self, slot: u32, content: &C) -> bool {
        content.as_bytes().len() == self.size
            && slot < self.count
            && self.memory.put(slot as usize * self.size, content)
    }

    /// As [`put`](Self::put), of content that may be shorter: zeros fill the rest.
    pub fn put_padded(&mut self, slot: u32, content: &C) -> bool {
        slot < self.count && self.memory.put_padded((slot as usize * self.size, self.size), content)
    }

    /// Whether the bit of a slot below `count` is set.
    #[inline]
    fn is_set(&self, slot: u32) -> bool {
        debug_assert!(slot < self.count);
        // SAFETY: callers checked that `slot` is below `count`, for which there are bits (S2).
        let word = unsafe { self.words.get_unchecked(slot as usize / 64) };
        word >> (slot % 64) & 1 == 1
    }

    /// Whether this is the mark of a slot below `count`.
    #[inline]
    fn has_mark(&self, slot: u32, mark: u8) -> bool {
        debug_assert!(slot < self.count);
        if self.marks.is_empty() {
            return mark == 0;
        }
        // SAFETY: callers checked that `slot` is below `count`, and there are marks, so one for
        // each (S3).
        let stored = unsafe { self.marks.get_unchecked(slot as usize) };
        *stored == mark
    }

    /// All of a slot below `count`.
    #[inline]
    fn lend(&self, slot: u32) -> &C {
        debug_assert!(slot < self.count);
        let from = slot as usize * self.size;
        // SAFETY: callers checked that `slot` is below `count`, so it ends within the memory (S1).
        let bytes = unsafe { self.memory.bytes().get_unchecked(from..from + self.size) };
        // SAFETY: a slot is content as a whole (S1).
        unsafe { C::whole(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots<C: Content + ?Sized>(size: usize, count: u32, marks: Marks) -> Slots<C> {
        let memory = Owned::zeroed(size * count as usize).unwrap();
        Slots::new(memory, (size, count), marks).unwrap()
    }

    #[test]
    fn slots_behind_the_last_are_not_there() {
        for count in [0, 1, 63, 64, 65, 100] {
            let mut slots = slots::<[u8]>(3, count, Marks::Kept);
            for index in 0..4 {
                slots.set_word(index, !0);
            }
            assert!(!slots.put(count, b"abc") && !slots.put_padded(u32::MAX, b"a"));
            for slot in [count, count + 1, 200, u32::MAX] {
                assert_eq!(
                    (slots.slot(slot), slots.occupied(slot)),
                    (None, None),
                    "{slot} {count}"
                );
                assert_eq!((slots.occupied_marked(slot, 0), slots.mark(slot)), (None, 0));
                slots.set_mark(slot, 1);
            }
            let ones: u32 = (0..4).map(|index| slots.word(index).count_ones()).sum();
            assert_eq!((ones, slots.bytes().len()), (count, 3 * count as usize));
        }
    }

    #[test]
    fn a_slot_is_lent_as_it_was_put() {
        let mut slots = slots::<str>(4, 10, Marks::Kept);
        assert!(slots.put(9, "éab") && !slots.put(9, "ab"));
        assert!(slots.put_padded(8, "€") && !slots.put_padded(8, "12345"));
        slots.set_word(0, 0b11_0000_0000);
        slots.set_mark(9, 4);
        assert_eq!((slots.occupied(9), slots.occupied(8)), (Some("éab"), Some("€\0")));
        assert_eq!((slots.occupied_marked(9, 4), slots.occupied_marked(9, 5)), (Some("éab"), None));
        assert!(slots.put_padded(9, "xy"));
        assert_eq!((slots.slot(9), slots.slot(7)), (Some("xy\0\0"), Some("\0\0\0\0")));
        let slots = self::slots::<[u8]>(1, 10, Marks::None);
        assert_eq!((slots.mark(3), slots.occupied_marked(3, 0)), (0, None));
        assert!(Slots::new(Owned::<[u8]>::zeroed(64).unwrap(), (13, 5), Marks::None).is_none());
    }
}
