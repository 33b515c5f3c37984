//! Equal slots of memory: which are free, which is the lowest of them, and what lies in the others.
#![expect(unsafe_code, reason = "one check stands for the bounds of bits, marks and objects")]

use std::{fmt, marker::PhantomData, ptr::NonNull};

use super::{content::Content, owned::Owned};

/// What objects are aligned to, where their size allows it: a cache line.
const LINE: usize = 64;
/// The one word of slots that are not there.
static NONE: u64 = 0;

/// Slots of equal size, a bit for each that is free, and a byte for each, its mark, if asked for.
///
/// All lies in one piece of memory: bits, marks, objects. The lowest free slot is taken first. A
/// mark counts how often its slot was taken and given back: it is odd while the slot is occupied,
/// and one comparison says that the slot is and by whom. A slot whose mark would begin again rests:
/// it is neither occupied nor free.
///
/// ```
/// use pagestone_storage::raw::{Marks, Owned, Slots};
///
/// let memory = Owned::zeroed(Slots::<str>::memory_len((8, 100), Marks::Kept))?;
/// let Some(mut slots) = Slots::<str>::new(memory, (8, 100), Marks::Kept) else { return Ok(()) };
/// assert_eq!(slots.add("12345678"), Some((0, 1)));
/// assert_eq!(slots.add("1234567"), None, "it does not fill a slot");
/// assert_eq!(slots.marked(0, 1), Some("12345678"));
/// assert!(slots.vacate_marked(0, 1) && !slots.vacate_marked(0, 1));
/// assert_eq!((slots.marked(0, 1), slots.occupied(0)), (None, None));
/// assert_eq!(slots.add("abcdefgh"), Some((0, 3)));
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
pub struct Slots<C: Content + ?Sized> {
    /// S1: the first of `size * count` bytes of `rest.memory`. Each slot holds zeros, or content
    /// that fills it but for zeros at its end: so it is content as a whole.
    objects: NonNull<u8>,
    /// S2: the first of a bit for each slot, set where it is free, in whole words, followed by a
    /// bit for each word, set where it may have a bit, in whole words; all inside `rest.memory`,
    /// apart from the rest and aligned to 8. Bits behind the last slot are 0. Where there is no
    /// slot it is one word, `NONE`, which is not stored to.
    words: NonNull<u64>,
    /// S3: the first of a byte for each slot, inside `rest.memory` and apart from the rest.
    marks: Option<NonNull<u8>>,
    size: u32,
    count: u32,
    /// S4: 0, or below the count of words. No word before this one has a bit.
    from: u32,
    /// Occupied slots.
    live: u32,
    /// None where there is no slot.
    rest: Option<Box<Rest>>,
    /// S5: what the pointers point to is owned alone, as `rest.memory` is.
    content: PhantomData<Box<C>>,
}

/// What is seldom looked at.
struct Rest {
    memory: Owned<[u8]>,
    /// No slot of a word from this one on was ever taken.
    used: u32,
    /// Slots that rest.
    resting: u32,
}

/// Whether slots have marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// A byte for each.
    Kept,
    /// None: every mark is 1.
    None,
}

// SAFETY: the bytes belong to the value alone (S5), and to no thread.
unsafe impl<C: Content + ?Sized> Send for Slots<C> {}
// SAFETY: bytes change under `&mut self` alone (S5).
unsafe impl<C: Content + ?Sized> Sync for Slots<C> {}

impl<C: Content + ?Sized> fmt::Debug for Slots<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, count, live, .. } = self;
        formatter
            .debug_struct("Slots")
            .field("size", size)
            .field("count", count)
            .field("live", live)
            .finish_non_exhaustive()
    }
}

/// No slots.
impl<C: Content + ?Sized> Default for Slots<C> {
    fn default() -> Self {
        Self {
            objects: NonNull::dangling(),
            words: NonNull::from(&NONE),
            marks: None,
            size: 0,
            count: 0,
            from: 0,
            live: 0,
            rest: None,
            content: PhantomData,
        }
    }
}

/// Where the parts begin.
#[derive(Debug, Clone, Copy)]
struct Parts {
    marks: usize,
    objects: usize,
    end: usize,
}

impl Parts {
    fn of((size, count): (usize, u32), marks: Marks) -> Self {
        let words = count.div_ceil(64) as usize;
        let at = (words + words.div_ceil(64)) * 8;
        let marks_len = if marks == Marks::Kept { count as usize } else { 0 };
        let objects = (at + marks_len).next_multiple_of(LINE);
        let end = size.saturating_mul(count as usize).saturating_add(objects);
        Self { marks: at, objects, end }
    }
}

impl<C: Content + ?Sized> Slots<C> {
    /// Returns how long the memory of so many slots of `size` bytes is to be.
    #[must_use]
    pub fn memory_len(slots: (usize, u32), marks: Marks) -> usize {
        Parts::of(slots, marks).end
    }

    /// Lays `count` free slots of `size` bytes over memory that holds nothing yet; `None` when they
    /// do not fit.
    #[must_use]
    pub fn new(memory: Owned<[u8]>, (size, count): (usize, u32), marks: Marks) -> Option<Self> {
        let parts = Parts::of((size, count), marks);
        if memory.len() < parts.end || !memory.is_fresh() {
            return None;
        }
        if count == 0 {
            return Some(Self::default());
        }
        // S1 to S3: the parts lie behind each other, and end inside the memory.
        let base = memory.base().as_ptr();
        let mut slots = Self {
            objects: NonNull::new(base.wrapping_add(parts.objects))?,
            words: memory.base().cast(),
            marks: match marks {
                Marks::Kept => Some(NonNull::new(base.wrapping_add(parts.marks))?),
                Marks::None => None,
            },
            size: u32::try_from(size).ok()?,
            count,
            from: 0,
            live: 0,
            rest: Some(Box::new(Rest { memory, used: 1, resting: 0 })),
            content: PhantomData,
        };
        let words = slots.words();
        for (bits, first) in [(count, 0), (words, words)] {
            for at in 0..bits / 64 {
                slots.store(first + at, !0);
            }
            if !bits.is_multiple_of(64) {
                slots.store(first + bits / 64, !(!0 << (bits % 64)));
            }
        }
        Some(slots)
    }

    /// Returns how many slots there are.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Returns how many slots are occupied.
    #[inline]
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live
    }

    /// Returns how many slots rest.
    #[must_use]
    pub fn resting(&self) -> u32 {
        self.rest.as_ref().map_or(0, |rest| rest.resting)
    }

    /// Returns the bytes of a slot.
    #[inline]
    #[must_use]
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// Returns the bytes of it all.
    #[must_use]
    pub fn mapped(&self) -> usize {
        let rest = |rest: &Rest| rest.memory.len() + size_of::<Rest>();
        self.rest.as_deref().map_or(0, rest)
    }

    /// Returns how many bytes of the memory, from its first on, were ever stored to.
    #[must_use]
    pub fn used(&self) -> usize {
        let Some(rest) = &self.rest else { return 0 };
        let from = self.objects.as_ptr() as usize - rest.memory.base().as_ptr() as usize;
        (from + rest.used as usize * 64 * self.size()).min(rest.memory.len())
    }

    /// Returns all slots, one behind the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let Some(rest) = &self.rest else { return &[] };
        let from = self.objects.as_ptr() as usize - rest.memory.base().as_ptr() as usize;
        rest.memory.bytes().get(from..from + self.size() * self.count as usize).unwrap_or(&[])
    }

    /// Returns 64 bits, of the occupied among the slots from `64 * index` on; 0 behind the last.
    #[must_use]
    pub fn word(&self, index: u32) -> u64 {
        if self.words() <= index {
            return 0;
        }
        let rest = self.count - index * 64;
        let there = if rest < 64 { !(!0 << rest) } else { !0 };
        let mut taken = !self.load(index) & there;
        if self.resting() != 0 {
            for bit in 0..64 {
                let occupied = self.mark(index * 64 + bit) & 1 == 1;
                taken &= !(u64::from(!occupied) << bit);
            }
        }
        taken
    }

    /// Returns the mark of a slot; 0 behind the last.
    #[inline]
    #[must_use]
    pub fn mark(&self, slot: u32) -> u8 {
        if self.count <= slot {
            return 0;
        }
        let Some(marks) = self.marks else { return 1 };
        let at = marks.as_ptr().wrapping_add(slot as usize);
        // SAFETY: `slot` is below `count`, so there is its mark (S3).
        unsafe { *at }
    }

    /// Returns all of a slot, occupied or not; `None` behind the last.
    #[inline]
    #[must_use]
    pub fn slot(&self, slot: u32) -> Option<&C> {
        if slot < self.count { Some(self.lend(slot)) } else { None }
    }

    /// Returns all of an occupied slot.
    #[inline]
    #[must_use]
    pub fn occupied(&self, slot: u32) -> Option<&C> {
        let is_free = |slot: u32| self.load(slot / 64) >> (slot % 64) & 1 == 1;
        if slot < self.count && !is_free(slot) && self.mark(slot) & 1 == 1 {
            Some(self.lend(slot))
        } else {
            None
        }
    }

    /// Returns all of a slot that has this mark, which is odd, so the slot is occupied; `None`
    /// where slots have no marks.
    #[inline]
    #[must_use]
    pub fn marked(&self, slot: u32, mark: u8) -> Option<&C> {
        let marks = self.marks?;
        if self.count <= slot {
            return None;
        }
        let at = marks.as_ptr().wrapping_add(slot as usize);
        // SAFETY: `slot` is below `count`, so there is its mark (S3).
        let found = unsafe { *at };
        if found == mark { Some(self.lend(slot)) } else { None }
    }

    /// Puts content that fills a slot into the lowest free one; returns slot and mark. `None`, and
    /// nothing is done, when no slot is free or the content does not fill one.
    pub fn add(&mut self, content: &C) -> Option<(u32, u8)> {
        if self.load(self.from) == 0 {
            self.advance()?;
        }
        self.add_near(content)
    }

    /// As [`add`](Self::add) where the slot is beside the one that was taken last; `None` too where
    /// it is not, most often for one of 64.
    #[inline]
    pub fn add_near(&mut self, content: &C) -> Option<(u32, u8)> {
        let (bytes, from) = (content.as_bytes(), self.from);
        let word = self.load(from);
        if bytes.len() != self.size as usize || word == 0 {
            return None;
        }
        let (slot, mark) = self.claim((from, word));
        let to = self.objects.as_ptr().wrapping_add(slot as usize * bytes.len());
        // SAFETY: `claim` gives slots below `count`, all inside the memory (S1), whose size is that
        // of `bytes`; `&mut self` is alone with them (S5). A slot that content fills keeps S1.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
        Some((slot, mark))
    }

    /// As [`add`](Self::add), of content that may be shorter: zeros fill the rest.
    pub fn add_padded(&mut self, content: &C) -> Option<(u32, u8)> {
        if self.size() < content.as_bytes().len() {
            return None;
        }
        if self.load(self.from) == 0 {
            self.advance()?;
        }
        let (slot, mark) = self.claim((self.from, self.load(self.from)));
        self.put_padded(slot, content);
        Some((slot, mark))
    }

    /// Copies content over a slot, zeros behind it; returns false, and does nothing, when it is
    /// longer or there is no such slot.
    pub fn put_padded(&mut self, slot: u32, content: &C) -> bool {
        let bytes = content.as_bytes();
        if self.count <= slot || self.size() < bytes.len() {
            return false;
        }
        let to = self.objects.as_ptr().wrapping_add(slot as usize * self.size());
        // SAFETY: `slot` is below `count` and `bytes` are no longer than it, so all is inside the
        // memory (S1), which `&mut self` is alone with (S5).
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
        // SAFETY: the rest of the slot; zeros keep S1.
        unsafe { to.wrapping_add(bytes.len()).write_bytes(0, self.size() - bytes.len()) }
        true
    }

    /// Frees a slot that has this mark, which is odd; returns false where that is not so.
    #[inline]
    pub fn vacate_marked(&mut self, slot: u32, mark: u8) -> bool {
        let Some(marks) = self.marks else { return false };
        if self.count <= slot || mark & 1 == 0 {
            return false;
        }
        let at = marks.as_ptr().wrapping_add(slot as usize);
        // SAFETY: `slot` is below `count`, so there is its mark (S3).
        let found = unsafe { *at };
        if found != mark {
            return false;
        }
        // SAFETY: as above; `&mut self` is alone with it (S5).
        unsafe { *at = mark.wrapping_add(1) };
        self.live = self.live.wrapping_sub(1);
        if mark == u8::MAX {
            self.rest();
        } else {
            let word = self.load(slot / 64);
            self.free(slot, word);
        }
        true
    }

    /// Frees an occupied slot; returns false where it is none.
    #[inline]
    pub fn vacate(&mut self, slot: u32) -> bool {
        if self.marks.is_some() {
            return self.vacate_marked(slot, self.mark(slot));
        }
        if self.count <= slot {
            return false;
        }
        let word = self.load(slot / 64);
        if word >> (slot % 64) & 1 == 1 {
            return false;
        }
        self.live = self.live.wrapping_sub(1);
        self.free(slot, word);
        true
    }

    /// Takes the lowest slot of a word, at `from`, that has a bit; the slot is below `count`.
    #[inline]
    fn claim(&mut self, (from, word): (u32, u64)) -> (u32, u8) {
        self.store(from, word & word.wrapping_sub(1));
        self.live = self.live.wrapping_add(1);
        // Below `count`: the bit of no other slot is set (S2).
        let slot = from * 64 + word.trailing_zeros();
        let Some(marks) = self.marks else { return (slot, 1) };
        let at = marks.as_ptr().wrapping_add(slot as usize);
        // SAFETY: `slot` is below `count`, so there is its mark (S3), and `&mut self` is alone with
        // it (S5).
        let mark = unsafe { &mut *at };
        *mark = mark.wrapping_add(1);
        (slot, *mark)
    }

    /// Sets the bit of a slot below `count`, whose word this is.
    #[inline]
    fn free(&mut self, slot: u32, word: u64) {
        let index = slot / 64;
        self.store(index, word | 1 << (slot % 64));
        if word == 0 {
            let at = self.words() + index / 64;
            self.store(at, self.load(at) | 1 << (index % 64));
        }
        if index < self.from {
            self.from = index;
        }
    }

    /// Goes on to the next word that has a bit.
    #[inline(never)]
    fn advance(&mut self) -> Option<()> {
        let words = self.words();
        let mut index = self.from / 64;
        // Bits of words before `from` are out of date, or there are none.
        let mut above = !0 << (self.from % 64);
        while index < words.div_ceil(64) {
            let mut bits = self.load(words + index) & above;
            while bits != 0 {
                let at = index * 64 + bits.trailing_zeros();
                let word = self.load(at);
                if word != 0 {
                    self.store(words + index, bits);
                    self.from = at;
                    if let Some(rest) = &mut self.rest {
                        rest.used = rest.used.max(at + 1);
                    }
                    return Some(());
                }
                bits &= bits - 1;
            }
            self.store(words + index, 0);
            above = !0;
            index += 1;
        }
        None
    }

    /// Counts one more slot that rests.
    #[cold]
    #[inline(never)]
    fn rest(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.resting += 1;
        }
    }

    /// How many words have a bit for each slot.
    #[inline]
    fn words(&self) -> u32 {
        self.count.div_ceil(64)
    }

    /// A word of bits of slots, or behind them of bits of words.
    #[inline]
    fn load(&self, at: u32) -> u64 {
        debug_assert!(at == 0 || at < self.words() + self.words().div_ceil(64));
        let word = self.words.as_ptr().wrapping_add(at as usize);
        // SAFETY: callers ask for words of slots below `count`, for the word `from` (S4), or for
        // those behind them that stand for such words: all are there (S2).
        unsafe { *word }
    }

    /// Stores such a word; there are slots.
    #[inline]
    fn store(&mut self, at: u32, bits: u64) {
        debug_assert!(at < self.words() + self.words().div_ceil(64));
        let word = self.words.as_ptr().wrapping_add(at as usize);
        // SAFETY: as in `load`; there are slots, so it is not `NONE`, and `&mut self` is alone with
        // it (S5).
        unsafe { *word = bits }
    }

    /// All of a slot below `count`.
    #[inline]
    fn lend(&self, slot: u32) -> &C {
        debug_assert!(slot < self.count);
        let from = self.objects.as_ptr().wrapping_add(slot as usize * self.size as usize);
        // SAFETY: callers checked that `slot` is below `count`, so it is inside the memory (S1),
        // which changes under `&mut self` alone (S5).
        let bytes = unsafe { std::slice::from_raw_parts(from, self.size as usize) };
        // SAFETY: a slot is content as a whole (S1).
        unsafe { C::whole(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots<C: Content + ?Sized>(size: usize, count: u32, marks: Marks) -> Slots<C> {
        let memory = Owned::zeroed(Slots::<C>::memory_len((size, count), marks)).unwrap();
        Slots::new(memory, (size, count), marks).unwrap()
    }

    #[test]
    fn slots_behind_the_last_are_not_there() {
        for count in [0, 1, 63, 64, 65, 100, 4096, 4097] {
            let mut slots = slots::<[u8]>(3, count, Marks::Kept);
            for slot in 0..count {
                assert_eq!(slots.add(b"abc"), Some((slot, 1)));
            }
            assert_eq!(slots.add(b"abc"), None);
            for slot in [count, count + 1, 5000, u32::MAX] {
                assert_eq!((slots.slot(slot), slots.occupied(slot)), (None, None), "{slot}");
                assert_eq!((slots.marked(slot, 0), slots.mark(slot)), (None, 0));
                assert!(!slots.put_padded(slot, b"a") && !slots.vacate(slot));
                assert!(!slots.vacate_marked(slot, 1) && !slots.vacate_marked(slot, 0));
            }
            let ones: u32 = (0..100).map(|index| slots.word(index).count_ones()).sum();
            assert_eq!((ones, slots.bytes().len()), (count, 3 * count as usize));
            assert_eq!(slots.live(), count);
        }
    }

    /// Sizes, counts and marks around words and lines: nothing reaches into something else.
    #[test]
    fn bits_marks_and_objects_lie_apart() {
        for size in [1, 2, 3, 7, 16, 63, 64, 65] {
            for count in [1, 63, 64, 65, 129, 4097] {
                for marks in [Marks::Kept, Marks::None] {
                    let mut slots = slots::<[u8]>(size, count, marks);
                    assert!((slots.objects.as_ptr() as usize).is_multiple_of(LINE));
                    let content = |slot: u32| vec![slot.to_le_bytes()[0] | 0x80; size];
                    for round in 0..3u8 {
                        for slot in 0..count {
                            let mark = if marks == Marks::Kept { 2 * round + 1 } else { 1 };
                            assert_eq!(slots.add(&content(slot)), Some((slot, mark)));
                        }
                        for slot in 0..count {
                            assert_eq!(slots.occupied(slot), Some(&*content(slot)));
                        }
                        assert!((0..count).rev().all(|slot| slots.vacate(slot)));
                        assert!((0..count).all(|slot| slots.occupied(slot).is_none()));
                    }
                }
            }
        }
    }

    #[test]
    fn the_lowest_free_slot_is_taken_first() {
        let mut slots = slots::<[u8]>(8, 10_000, Marks::None);
        while slots.add(&[1; 8]).is_some() {}
        for gap in [9_999, 64, 4_097, 63, 5] {
            assert!(slots.vacate(gap) && !slots.vacate(gap), "only once");
            assert_eq!(slots.occupied(gap), None);
        }
        for gap in [5, 63, 64, 4_097, 9_999] {
            assert_eq!(slots.add(&[1; 8]), Some((gap, 1)));
        }
        assert_eq!(slots.add(&[1; 8]), None);
        assert!(slots.vacate(70) && slots.vacate(9_000) && slots.vacate(3));
        assert_eq!(slots.add(&[1; 8]), Some((3, 1)));
        assert_eq!(slots.add(&[1; 8]), Some((70, 1)));
    }

    #[test]
    fn a_slot_rests_when_its_marks_are_used_up() {
        let mut slots = slots::<[u8]>(3, 2, Marks::Kept);
        for mark in (1..=255).step_by(2) {
            assert_eq!(slots.add(b"abc"), Some((0, mark)));
            assert_eq!(slots.marked(0, mark), Some(&b"abc"[..]));
            assert!(!slots.vacate_marked(0, mark.wrapping_sub(2)));
            assert!(!slots.vacate_marked(0, mark - 1), "an even mark");
            assert!(slots.vacate_marked(0, mark));
            assert_eq!(slots.marked(0, mark), None);
        }
        assert_eq!((slots.live(), slots.resting(), slots.word(0)), (0, 1, 0));
        assert_eq!(slots.occupied(0), None);
        assert_eq!(slots.add(b"abc"), Some((1, 1)), "slot 0 would begin again");
        assert_eq!((slots.add(b"abc"), slots.word(0)), (None, 0b10));
        assert!(!slots.vacate(0));
    }

    #[test]
    fn a_slot_is_lent_as_it_was_put() {
        let mut slots = slots::<str>(4, 10, Marks::Kept);
        assert_eq!((slots.add("ab"), slots.add("abcde")), (None, None));
        assert_eq!((slots.add("éab"), slots.add_padded("€")), (Some((0, 1)), Some((1, 1))));
        assert_eq!(slots.add_padded("12345"), None);
        assert_eq!((slots.occupied(0), slots.occupied(1)), (Some("éab"), Some("€\0")));
        assert_eq!((slots.marked(1, 1), slots.marked(1, 3)), (Some("€\0"), None));
        assert!(slots.put_padded(0, "xy") && !slots.put_padded(0, "xyzxy"));
        assert_eq!((slots.slot(0), slots.slot(7)), (Some("xy\0\0"), Some("\0\0\0\0")));
        let slots = self::slots::<[u8]>(1, 10, Marks::None);
        assert_eq!((slots.mark(3), slots.marked(3, 1), slots.occupied(3)), (1, None, None));
        let memory = Owned::zeroed(64).unwrap();
        assert!(Slots::<[u8]>::new(memory, (13, 5), Marks::None).is_none());
    }

    #[test]
    fn memory_is_used_from_the_first_slot_on() {
        let mut slots = slots::<[u8]>(8, 1000, Marks::None);
        let head = slots.used() - 64 * 8;
        for _ in 0..65 {
            slots.add(&[1; 8]);
        }
        assert_eq!(slots.used(), head + 128 * 8);
        while slots.add(&[1; 8]).is_some() {}
        assert!(head + 8000 <= slots.used() && slots.used() <= slots.mapped());
    }
}
