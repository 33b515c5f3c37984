//! Contents of equal lengths on shelves, a bit and a head of words for each, behind one address.
#![expect(unsafe_code, reason = "one check of a directory stands for the bounds of its memory")]

use std::{marker::PhantomData, ptr::NonNull};

use super::{content::Content, owned::Owned};
use crate::search::keys::prefetch_line;

/// Places of a shelf, at most: the low bits of an index.
const PLACE_BITS: u32 = 10;
/// Bytes of a word of a head.
const WORD: usize = 4;

/// Shelves by number, each with places for contents of one length and for each place a head: one
/// word or two, which mean what the caller says, but that the first is odd where there is content.
///
/// An index is a shelf's number and, in its low 10 bits, a place. Heads lie together, and so do
/// contents: a look at content touches the directory, 16 bytes for each shelf, a bit and the lines
/// of the content; a look at a head none of those.
///
/// ```
/// use pagestone_storage::raw::{Owned, Shelves};
///
/// let mut shelves = Shelves::<str>::new(1);
/// assert!(shelves.open(2, Owned::zeroed(shelves.len_of(5, 100))?, (5, 100)));
/// let index = 2 << 10 | 99;
/// assert!(shelves.put(index, [7, 0], "grün"));
/// assert_eq!(shelves.get(index), Some("grün"));
/// assert!(shelves.holds(index, "grün") && !shelves.holds(index, "blau!"));
/// shelves.vacate(index);
/// assert_eq!((shelves.get(index), shelves.word(index)), (None, 0));
/// # Ok::<(), pagestone_storage::Error>(())
/// ```
#[derive(Debug)]
pub struct Shelves<C: Content + ?Sized> {
    /// By number, as long as `memories`.
    directory: Vec<Shelf>,
    /// What the shelves of the same number lie in.
    memories: Vec<Option<Owned<[u8]>>>,
    /// Bytes of a head.
    head: usize,
    content: PhantomData<fn() -> Box<C>>,
}

/// Where the places of a shelf are.
#[derive(Debug, Clone, Copy)]
struct Shelf {
    /// V1: the first of `count` contents of `len` bytes each. Before it lie, further and further
    /// down, a byte for the bits of each 8 places, and, aligned to 4, `count` heads, the first of
    /// them lowest. All lie within the memory of the same number, which stays where it is until
    /// this is `NONE`.
    /// V2: where the bit of a place is set, its `len` bytes are content, put by `put`.
    base: NonNull<u8>,
    count: u32,
    len: u32,
}

// SAFETY: the bytes belong to the memories, and change under `&mut self` alone.
unsafe impl<C: Content + ?Sized> Send for Shelves<C> {}
// SAFETY: as above.
unsafe impl<C: Content + ?Sized> Sync for Shelves<C> {}

impl Shelf {
    const NONE: Self = Self { base: NonNull::dangling(), count: 0, len: 0 };
}

impl<C: Content + ?Sized> Shelves<C> {
    /// No shelves; heads will have so many words, 1 or 2.
    #[must_use]
    pub fn new(words: usize) -> Self {
        let head = words.clamp(1, 2) * WORD;
        Self { directory: Vec::new(), memories: Vec::new(), head, content: PhantomData }
    }

    /// Returns the bytes of a head.
    #[must_use]
    pub fn head_len(&self) -> usize {
        self.head
    }

    /// Returns how much memory a shelf of `count` places for contents of `len` bytes needs.
    #[must_use]
    pub fn len_of(&self, len: u32, count: u32) -> usize {
        self.before(count).saturating_add((len as usize).saturating_mul(count as usize))
    }

    /// Makes a shelf of `count` places, at most 1024, for contents of `len` bytes, in memory that
    /// holds nothing yet. Returns false, and does nothing, when they do not fit or the shelf is
    /// there.
    pub fn open(&mut self, number: u32, memory: Owned<[u8]>, (len, count): (u32, u32)) -> bool {
        let at = number as usize;
        let fits = self.len_of(len, count) <= memory.len();
        let is_there = self.memories.get(at).is_some_and(Option::is_some);
        if !fits || is_there || !memory.is_fresh() || 1 << PLACE_BITS < count {
            return false;
        }
        let base = memory.base().as_ptr().wrapping_add(self.before(count));
        let Some(base) = NonNull::new(base) else { return false };
        if self.directory.len() <= at {
            if self.directory.capacity() <= at {
                // A quarter more at a time, since it is memory beside what the shelves hold.
                let more = at + 1 - self.directory.len() + at / 4;
                self.directory.reserve_exact(more);
                self.memories.reserve_exact(more);
            }
            self.directory.resize(at + 1, Shelf::NONE);
            self.memories.resize_with(at + 1, || None);
        }
        // V1 holds, as compared above, and V2: all bits are 0.
        self.directory[at] = Shelf { base, count, len };
        self.memories[at] = Some(memory);
        true
    }

    /// Takes a shelf away with all that lies on it.
    pub fn close(&mut self, number: u32) {
        if let Some(shelf) = self.directory.get_mut(number as usize) {
            *shelf = Shelf::NONE;
            self.memories[number as usize] = None;
        }
    }

    /// Returns the bytes of a shelf's memory, 0 where there is none.
    #[must_use]
    pub fn mapped(&self, number: u32) -> usize {
        self.memories.get(number as usize).and_then(Option::as_ref).map_or(0, Owned::len)
    }

    /// Returns the bytes of what finds shelves.
    #[must_use]
    pub fn directory_len(&self) -> usize {
        self.directory.capacity() * size_of::<Shelf>()
            + self.memories.capacity() * size_of::<Option<Owned<[u8]>>>()
    }

    /// Lends the content at an index; `None` where there is none.
    #[inline]
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&C> {
        let bytes = self.bytes(index)?;
        // SAFETY: `bytes` returns nothing but content.
        Some(unsafe { C::whole(bytes) })
    }

    /// Whether this very content is at an index.
    #[inline]
    #[must_use]
    pub fn holds(&self, index: u32, content: &C) -> bool {
        let content = content.as_bytes();
        match self.directory.get((index >> PLACE_BITS) as usize) {
            Some(row) if row.len as usize == content.len() => {
                self.bytes(index).is_some_and(|bytes| same(bytes, content))
            }
            _ => false,
        }
    }

    /// Returns the first word of a head; 0 where there is no place.
    #[inline]
    #[must_use]
    pub fn word(&self, index: u32) -> u32 {
        self.head(index).map_or(0, |head| {
            // SAFETY: `head` returns heads, which have a first word.
            unsafe { head.read() }
        })
    }

    /// Returns the second word of a head; 0 where there is none.
    #[inline]
    #[must_use]
    pub fn second(&self, index: u32) -> u32 {
        match self.head(index) {
            Some(head) if self.head == 2 * WORD => {
                // SAFETY: `head` returns heads, which have two words here.
                unsafe { head.wrapping_add(1).read() }
            }
            _ => 0,
        }
    }

    /// Says that there is no content at an index; the first word of the head becomes 0. Does nothing
    /// where there is no place.
    #[inline]
    pub fn vacate(&mut self, index: u32) {
        let Some((row, place)) = self.place(index) else { return };
        let bits = row.bits(place);
        // SAFETY: `bits` is within the memory, since `place` returns places that are there (V1).
        let bits = unsafe { &mut *bits };
        *bits &= !(1 << (place % 8));
        self.set_word(index, 0);
    }

    /// Sets the first word of the head of a place without content, but for its lowest bit, which
    /// becomes 0. Does nothing where there is no place.
    #[inline]
    pub fn set_word(&mut self, index: u32, word: u32) {
        if let Some(head) = self.head(index) {
            // SAFETY: `head` returns heads, which have a first word.
            unsafe { head.write(word & !1) }
        }
    }

    /// Lends the second word of a head; `None` where there is none.
    #[inline]
    #[must_use]
    pub fn second_mut(&mut self, index: u32) -> Option<&mut u32> {
        if self.head == WORD {
            return None;
        }
        let second = self.head(index)?.wrapping_add(1);
        // SAFETY: `head` returns heads, which have two words here, aligned as words; `&mut self` is
        // alone with it.
        Some(unsafe { &mut *second })
    }

    /// Puts content and its head, whose first word becomes odd; returns false, and does nothing,
    /// when the content is not as long as those of the row, or there is no place.
    #[inline]
    pub fn put(&mut self, index: u32, [first, second]: [u32; 2], content: &C) -> bool {
        let bytes = content.as_bytes();
        let (Some((row, place)), Some(head)) = (self.place(index), self.head(index)) else {
            return false;
        };
        if row.len as usize != bytes.len() {
            return false;
        }
        let to = row.content(place);
        // SAFETY: the place has `len` bytes (V1), which `&mut self` is alone with, so `bytes` lie
        // elsewhere. What was content there is so as a whole again (V2).
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) }
        let bits = row.bits(place);
        // SAFETY: `bits` is within the memory, since `place` returns places that are there (V1).
        let bits = unsafe { &mut *bits };
        *bits |= 1 << (place % 8);
        // SAFETY: `head` returns heads, which have a first word.
        unsafe { head.write(first | 1) }
        if let Some(word) = self.second_mut(index) {
            *word = second;
        }
        true
    }

    /// Hints that the head of an index is needed soon.
    #[inline]
    pub fn prefetch(&self, index: u32) {
        if let Some(head) = self.head(index) {
            prefetch_line(head.cast());
        }
    }

    /// The content at an index.
    #[inline]
    fn bytes(&self, index: u32) -> Option<&[u8]> {
        let (row, place) = self.place(index)?;
        // SAFETY: it is within the memory, since `place` returns places that are there (V1).
        let bits = unsafe { row.bits(place).read() };
        if bits >> (place % 8) & 1 == 0 {
            return None;
        }
        let from = row.content(place);
        // SAFETY: the place has `len` bytes (V1), which are content (V2) and change under `&mut
        // self` alone.
        Some(unsafe { std::slice::from_raw_parts(from.as_ptr(), row.len as usize) })
    }

    /// The shelf of an index, and the place, which is there.
    #[inline]
    fn place(&self, index: u32) -> Option<(&Shelf, usize)> {
        let row = self.directory.get((index >> PLACE_BITS) as usize)?;
        let place = index % (1 << PLACE_BITS);
        if place < row.count { Some((row, place as usize)) } else { None }
    }

    /// The first word of the head of a place that is there: aligned, and with its second word, if
    /// it has one, within the memory (V1).
    #[inline]
    fn head(&self, index: u32) -> Option<*mut u32> {
        let (row, place) = self.place(index)?;
        let heads = row.base.as_ptr().wrapping_sub(self.before(row.count));
        Some(heads.wrapping_add(place * self.head).cast())
    }

    /// Bytes that lie before the contents of so many places.
    #[inline]
    fn before(&self, count: u32) -> usize {
        count as usize * self.head + (count as usize).div_ceil(8)
    }
}

impl Shelf {
    /// The byte that has the bit of a place.
    #[inline]
    fn bits(&self, place: usize) -> *mut u8 {
        self.base.as_ptr().wrapping_sub(1 + place / 8)
    }

    /// The first byte of the content of a place.
    #[inline]
    fn content(&self, place: usize) -> NonNull<u8> {
        // SAFETY: callers have the place from `Shelves::place`, so it is there (V1).
        unsafe { self.base.add(place * self.len as usize) }
    }
}

/// Hints that the cache line of a value is needed soon.
#[inline]
pub fn prefetch<T>(value: &T) {
    prefetch_line(std::ptr::from_ref(value).cast());
}

/// Whether bytes of equal length are the same, by few loads where they are few.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        0..4 | 33.. => one == other,
        4..8 => ends::<u32>(one, other),
        8..17 => ends::<u64>(one, other),
        17..33 => ends::<u128>(one, other),
    }
}

/// Whether the first and the last bytes, which may overlap, are the same.
#[inline]
fn ends<T: bytemuck::AnyBitPattern + Eq>(one: &[u8], other: &[u8]) -> bool {
    let Some(last) = one.len().min(other.len()).checked_sub(size_of::<T>()) else { return false };
    let word = |bytes: &[u8], at: usize| {
        // SAFETY: `at` is at most `last`, so it ends within the shorter of both; any bytes are
        // a `T`.
        unsafe { bytes.as_ptr().wrapping_add(at).cast::<T>().read_unaligned() }
    };
    (word(one, 0) == word(other, 0)) & (word(one, last) == word(other, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_that_are_not_there_hold_nothing() {
        let mut shelves = Shelves::<[u8]>::new(2);
        let memory = |len| Owned::zeroed(len).unwrap();
        assert!(!shelves.open(0, memory(64), (8, 4)), "4 * 16 bytes and 1 for bits");
        assert!(!shelves.open(0, memory(1 << 14), (0, 1025)));
        let mut used = memory(64);
        used.bytes_mut()[60] = 1;
        assert!(!shelves.open(0, used, (1, 1)), "heads are 0 at first");
        assert!(shelves.open(3, memory(128), (8, 4)) && !shelves.open(3, memory(128), (8, 4)));
        for index in [0, 1, 3 << 10 | 4, 3 << 10 | 1023, 4 << 10, u32::MAX] {
            assert!(!shelves.put(index, [1, 1], b"12345678"), "{index}");
            assert_eq!(shelves.second_mut(index), None, "{index}");
            shelves.vacate(index);
            shelves.set_word(index, 7);
            shelves.prefetch(index);
            assert_eq!(
                (shelves.get(index), shelves.word(index), shelves.second(index)),
                (None, 0, 0)
            );
            assert!(!shelves.holds(index, b"12345678") && !shelves.holds(index, b""));
        }
        assert!(shelves.put(3 << 10 | 3, [6, 5], b"12345678"));
        assert!(!shelves.put(3 << 10 | 2, [6, 5], b"1234567"));
        assert_eq!((shelves.word(3 << 10 | 3), shelves.second(3 << 10 | 3)), (7, 5));
        assert_eq!((shelves.mapped(3), shelves.mapped(2), shelves.mapped(9)), (128, 0, 0));
        shelves.close(3);
        shelves.close(9);
        assert_eq!((shelves.get(3 << 10 | 3), shelves.mapped(3)), (None, 0));
        assert!(shelves.open(3, memory(64), (0, 7)) && shelves.put(3 << 10, [0, 0], b""));
        assert_eq!(shelves.get(3 << 10), Some(&[][..]));
    }

    #[test]
    fn contents_keep_to_their_places() {
        for words in [1, 2] {
            for len in [0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 64, 255, 256_u32] {
                let mut shelves = Shelves::<[u8]>::new(words);
                let memory = Owned::zeroed(shelves.len_of(len, 10)).unwrap();
                assert!(shelves.open(0, memory, (len, 10)));
                let content = |index: u32| vec![u8::try_from(index).unwrap() + 1; len as usize];
                for index in [9, 4, 0, 2, 7, 3, 1, 8, 6, 5] {
                    assert!(shelves.put(index, [index * 100, index], &content(index)));
                }
                for index in 0..10 {
                    let right = content(index);
                    assert_eq!(shelves.get(index), Some(&right[..]));
                    assert_eq!(shelves.word(index), (index * 100) | 1);
                    assert_eq!(shelves.second(index), if words == 2 { index } else { 0 });
                    assert!(shelves.holds(index, &right));
                    for at in 0..len as usize {
                        let mut wrong = right.clone();
                        wrong[at] ^= 0x40;
                        assert!(!shelves.holds(index, &wrong), "byte {at} of {len}");
                    }
                }
                assert_eq!(shelves.second_mut(2).is_some(), words == 2);
                shelves.vacate(2);
                assert_eq!(shelves.word(2), 0);
                shelves.set_word(2, 9);
                assert_eq!((shelves.get(2), shelves.word(2)), (None, 8));
                assert!(!shelves.holds(2, &content(2)));
                assert_eq!(shelves.get(1), Some(&content(1)[..]));
                assert_eq!(shelves.get(3), Some(&content(3)[..]));
            }
        }
    }
}
