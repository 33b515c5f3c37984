//! From the length of an object to the pool it lies in.

/// Longest object that has slots of exactly its length.
pub(crate) const EXACT_MAX: usize = 256;

/// Longest object that lies in a slot; longer ones are spilled.
pub(crate) const OBJECT_LEN_MAX: usize = 64 << 10;

/// Size classes from one power of two to the next.
const STEPS: usize = 8;

/// Which pool of a store: 0 to 256 are lengths, then come size classes, then what is spilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Class(u16);

/// How the slots of a pool hold objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Every object is as long as its slot.
    Exact,
    /// An object is as long as its slot or shorter; its length stands beside.
    Ranged,
    /// Objects have memory of their own, wherever that comes from.
    Spilled,
}

impl Class {
    pub(crate) const SPILLED: Self = Self(321);

    /// The class of objects of `len` bytes.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "at most 321")]
    pub(crate) fn of(len: usize) -> Self {
        if len <= EXACT_MAX { Self(len as u16) } else { Self::of_long(len) }
    }

    #[cold]
    #[expect(clippy::cast_possible_truncation, reason = "at most 321")]
    fn of_long(len: usize) -> Self {
        if OBJECT_LEN_MAX < len {
            return Self::SPILLED;
        }
        let doubling = (len - 1).ilog2() as usize;
        let step = ((len - 1) >> (doubling - 3)) % STEPS;
        Self((EXACT_MAX + 1 + (doubling - 8) * STEPS + step) as u16)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The class of this index, which a class had.
    #[expect(clippy::cast_possible_truncation, reason = "at most 321")]
    pub(crate) fn at(index: usize) -> Self {
        Self(index as u16)
    }

    pub(crate) fn form(self) -> Form {
        if self == Self::SPILLED {
            Form::Spilled
        } else if self.index() <= EXACT_MAX {
            Form::Exact
        } else {
            Form::Ranged
        }
    }

    /// Bytes of a slot: 0 of what is spilled.
    pub(crate) fn slot_size(self) -> u32 {
        let size = match self.form() {
            Form::Exact => self.index(),
            Form::Ranged => {
                let above = self.index() - EXACT_MAX - 1;
                (EXACT_MAX / STEPS * (STEPS + 1 + above % STEPS)) << (above / STEPS)
            }
            Form::Spilled => 0,
        };
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 KiB")]
        let size = size as u32;
        size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_the_smallest_class_that_holds_it() {
        for len in 0..=OBJECT_LEN_MAX {
            let class = Class::of(len);
            assert!(len <= class.slot_size() as usize, "{len}");
            assert_eq!(Class::at(class.index()), class);
            assert_eq!(class.form() == Form::Exact, len <= EXACT_MAX);
            if class != Class::of(0) && class < Class::SPILLED {
                assert!((Class::at(class.index() - 1).slot_size() as usize) < len, "{len}");
            }
            if EXACT_MAX < len {
                assert!(class.slot_size() as usize * 8 <= len * 9, "{len} wastes an eighth");
            }
        }
        assert_eq!(Class::of(OBJECT_LEN_MAX + 1), Class::SPILLED);
        assert_eq!(Class::of(OBJECT_LEN_MAX).index() + 1, Class::SPILLED.index());
    }
}
