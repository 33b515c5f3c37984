//! Tagged words: two per id, each with the epoch that stored it.
//!
//! A word is `tag 16 | class 8 | body 40`; all zero is no word. Tags count 1 to 65,535 and wrap;
//! ages count back from the open epoch, and the sweep keeps every age that matters below a wrap.

use std::hint::select_unpredictable;

/// Tags go round after this many epochs.
pub(crate) const TAGS: u64 = 65_535;
/// A sweep is due in the epoch after every generation that this divides.
pub(crate) const SWEEP_EVERY: u64 = 1 << 15;

/// The class of a word that names no place: its body is the generation that comes next.
pub(crate) const TOMBSTONE: u8 = 254;
/// The class of a block with a region of its own.
pub(crate) const OVERSIZE: u8 = 255;

/// The class of an entry in a segment.
pub(crate) const ENTRY: u8 = 253;
/// The class of a number in a table of counts.
pub(crate) const COUNT: u8 = 251;
/// The class of a slab, which has a region of its own.
pub(crate) const SLAB: u8 = 252;

const BODY_BITS: u32 = 40;
/// The bit of an end word that says that nothing is appended any more.
const SEALED: u64 = 1 << 47;
pub(crate) const BODY_MAX: u64 = (1 << BODY_BITS) - 1;

/// The tag of an epoch or generation.
pub(crate) const fn tag_of(epoch: u64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "below 65,536")]
    #[expect(clippy::as_conversions, reason = "in a const function")]
    {
        (epoch % TAGS + 1) as u16
    }
}

/// One word of a pair; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) const fn new(tag: u16, class: u8, body: u64) -> Self {
        Self((tag as u64) << 48 | (class as u64) << BODY_BITS | body & BODY_MAX)
    }

    /// What a segment's second pair holds: `tag 16 | sealed 1 | end 47`, bytes from its start.
    pub(crate) const fn end_of(tag: u16, end: u64, sealed: bool) -> Self {
        let sealed = if sealed { SEALED } else { 0 };
        Self((tag as u64) << 48 | sealed | end & (SEALED - 1))
    }

    /// The end that an end word says, and whether the segment is sealed.
    pub(crate) const fn end(self) -> (u64, bool) {
        (self.0 & (SEALED - 1), self.0 & SEALED != 0)
    }

    #[inline]
    pub(crate) const fn is_empty(self) -> bool {
        self.tag() == 0
    }

    #[inline]
    pub(crate) const fn tag(self) -> u16 {
        (self.0 >> 48) as u16
    }

    #[inline]
    pub(crate) const fn class(self) -> u8 {
        #[expect(clippy::cast_possible_truncation, reason = "the tag is cut off on purpose")]
        {
            (self.0 >> BODY_BITS) as u8
        }
    }

    /// Whether it names what has a region of its own.
    #[inline]
    pub(crate) const fn is_alone(self) -> bool {
        matches!(self.class(), OVERSIZE | SLAB)
    }

    #[inline]
    pub(crate) const fn body(self) -> u64 {
        self.0 & BODY_MAX
    }

    /// The same place under another tag.
    pub(crate) const fn retagged(self, tag: u16) -> Self {
        Self::new(tag, self.class(), self.body())
    }

    /// How many epochs ago the word was stored, counted back from the epoch of tag `open`; no
    /// word, and one of the tag 0 that is never used, is older than any.
    #[inline]
    pub(crate) const fn age(self, open: u16) -> u16 {
        let tag = self.tag();
        // Without branches: which of two words counts is as good as random to the processor, and
        // a wrong guess would keep it from fetching the next block meanwhile. A wrap of 16 bits
        // is one more than one of the 65,535 tags.
        let age = open.wrapping_sub(tag).wrapping_sub((open < tag) as u16);
        age | ((tag == 0) as u16).wrapping_neg()
    }
}

/// The age of what is no word.
pub(crate) const NEVER: u16 = u16::MAX;

/// Which version of a pair is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Stored in the open epoch or before.
    Newest,
    /// Of the last commit.
    Committed,
}

/// The two words of a pair as loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair(pub(crate) [Word; 2]);

impl Pair {
    /// The place in the pair of the word that counts, if there is one.
    #[inline]
    pub(crate) const fn which(self, open: u16, view: View) -> Option<usize> {
        let [mut first, mut second] = [self.0[0].age(open), self.0[1].age(open)];
        if matches!(view, View::Committed) {
            first |= ((first == 0) as u16).wrapping_neg();
            second |= ((second == 0) as u16).wrapping_neg();
        }
        if first == NEVER && second == NEVER {
            None
        } else if second < first {
            Some(1)
        } else {
            Some(0)
        }
    }

    /// The word that counts; one of tag 0 where there is none.
    #[inline]
    pub(crate) fn word(self, open: u16, view: View) -> Word {
        match view {
            View::Newest => self.newest(open),
            View::Committed => self.committed(open),
        }
    }

    /// The newest word; one of tag 0 where there is none.
    #[inline]
    fn newest(self, open: u16) -> Word {
        let Self([first, second]) = self;
        let later = second.age(open) < first.age(open);
        Word(select_unpredictable(later, second.0, first.0))
    }

    /// The word of the last commit; one of tag 0 where there is none.
    #[inline]
    fn committed(self, open: u16) -> Word {
        let Self([first, second]) = self;
        // One less, the age 0 of the open epoch is older than any, no word included.
        let age = |word: Word| word.age(open).wrapping_sub(1);
        let later = age(second) < age(first);
        let word = Word(select_unpredictable(later, second.0, first.0));
        // Both are of the open epoch in a damaged file alone.
        if word.tag() == open { Word::EMPTY } else { word }
    }

    /// The place in the pair that a publish of the open epoch stores to: the word of this epoch
    /// where there is one, else the one that is not committed.
    #[inline]
    pub(crate) const fn target(self, open: u16) -> usize {
        if self.0[0].age(open) == 0 {
            0
        } else if self.0[1].age(open) == 0 {
            1
        } else {
            match self.which(open, View::Committed) {
                Some(which) => 1 - which,
                None => 0,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BODY_MAX, NEVER, Pair, TAGS, View, Word, tag_of};

    #[test]
    fn words_hold_their_parts() {
        let word = Word::new(0xffff, 254, BODY_MAX);
        assert_eq!((word.tag(), word.class(), word.body()), (0xffff, 254, BODY_MAX));
        let word = word.retagged(1);
        assert_eq!((word.tag(), word.class(), word.body()), (1, 254, BODY_MAX));
    }

    #[test]
    fn ages_count_back_across_the_wrap() {
        for epoch in [1, 5, TAGS - 1, TAGS, TAGS + 1, 3 * TAGS + 7] {
            for age in [0, 1, 2, 32_768, 32_769, TAGS - 1] {
                if age <= epoch {
                    let word = Word::new(tag_of(epoch - age), 1, 1);
                    assert_eq!(u64::from(word.age(tag_of(epoch))), age, "{epoch} {age}");
                }
            }
        }
        assert_eq!(Word::EMPTY.age(7), NEVER);
        assert_eq!(Word::new(0, 3, 3).age(7), NEVER, "tag 0 is never used");
    }

    #[test]
    fn a_publish_never_takes_the_committed_word() {
        let (old, committed, open) = (Word::new(3, 1, 1), Word::new(9, 1, 2), Word::new(10, 1, 3));
        for (pair, target, newest) in [
            ([committed, old], 1, committed),
            ([old, committed], 0, committed),
            ([committed, open], 1, open),
            ([open, committed], 0, open),
            ([Word::EMPTY, committed], 0, committed),
            ([committed, Word::EMPTY], 1, committed),
            ([Word::EMPTY, Word::EMPTY], 0, Word::EMPTY),
            ([Word::EMPTY, open], 1, open),
        ] {
            let pair = Pair(pair);
            assert_eq!(pair.target(10), target, "{pair:?}");
            assert_eq!(pair.word(10, View::Newest), newest, "{pair:?}");
            assert_ne!(pair.word(10, View::Committed), open, "{pair:?}");
        }
    }
}
