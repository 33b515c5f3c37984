//! The ids of all objects, ascending, packed by blocks: by ordinal, and the ordinal of an id.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use pagestone_storage::le::U64;

use crate::layout::IdBlockRecord;

/// One block of packed ids, with its words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedBlock<'a> {
    pub(crate) block: IdBlockRecord,
    pub(crate) words: &'a [U64],
    /// Its ids.
    pub(crate) len: usize,
}

impl PackedBlock<'_> {
    /// The id at an index; none behind the last, and where block and words contradict each other.
    #[inline]
    pub(crate) fn id(&self, index: usize) -> Option<u64> {
        if self.len <= index {
            return None;
        }
        let (_, shift, width) = self.block.place();
        let (shift, width) = (u32::from(shift), u32::from(width));
        let step = if width == 0 {
            0
        } else {
            let bit = u32::try_from(index).ok()?.checked_mul(width)?;
            let word = usize::try_from(bit / 64).ok()?;
            let low = self.words.get(word)?.get().checked_shr(bit % 64)?;
            let taken = 64_u32.checked_sub(bit % 64)?;
            let high = match width.checked_sub(taken) {
                None | Some(0) => 0,
                Some(_) => self.words.get(word.checked_add(1)?)?.get().checked_shl(taken)?,
            };
            (low | high) & u64::MAX.checked_shr(64_u32.checked_sub(width)?)?
        };
        self.block.first_id.get().checked_add(step.checked_shl(shift)?)
    }

    /// The index of an id; `Err` where block and words contradict each other.
    pub(crate) fn find(&self, id: u64) -> Result<Option<usize>, Contradiction> {
        let (mut low, mut high) = (0_usize, self.len);
        while low < high {
            let middle = low.midpoint(high);
            if self.id(middle).ok_or(Contradiction)? < id {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(Some(low).filter(|&low| self.id(low) == Some(id)))
    }
}

/// A block and its words are not of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contradiction;

/// Packs ascending ids, at most as many as a block has, into words; the low bits that all have in
/// common are left out.
pub(crate) fn pack(ids: &[u64], first_word: u64, words: &mut Vec<U64>) -> Option<IdBlockRecord> {
    let (&first, &last) = (ids.first()?, ids.last()?);
    let all = ids.iter().fold(0, |all, id| all | id.wrapping_sub(first));
    let shift = if all == 0 { 0 } else { all.trailing_zeros() };
    let step_max = last.checked_sub(first)?.checked_shr(shift)?;
    let width = 64_u32.checked_sub(step_max.leading_zeros())?;
    let mut packed = [0_u64; 64];
    for (index, id) in (0_u32..64).zip(ids) {
        let step = id.checked_sub(first)?.checked_shr(shift)?;
        let bit = index.checked_mul(width)?;
        let word = usize::try_from(bit / 64).ok()?;
        if let Some(low) = packed.get_mut(word) {
            *low |= step.checked_shl(bit % 64)?;
        }
        // What does not fit; a shift by 64 leaves nothing.
        let over = step.checked_shr(64_u32.checked_sub(bit % 64)?).unwrap_or(0);
        if let Some(high) = packed.get_mut(word.saturating_add(1)) {
            *high |= over;
        }
    }
    let used = packed.get(..usize::try_from(width).ok()?)?;
    words.extend(used.iter().map(|&word| U64::from(word)));
    let (shift, width) = (u8::try_from(shift).ok()?, u8::try_from(width).ok()?);
    IdBlockRecord::new(first, first_word, (shift, width))
}

#[cfg(test)]
mod tests {
    use super::{PackedBlock, pack};
    use crate::layout::ID_BLOCK_LEN;

    #[track_caller]
    fn check(ids: &[u64]) {
        for some in ids.chunks(ID_BLOCK_LEN) {
            let mut words = Vec::new();
            let block = pack(some, 0, &mut words).unwrap();
            assert_eq!(block.words(), Some(0..words.len()));
            let packed = PackedBlock { block, words: &words, len: some.len() };
            for (index, &id) in some.iter().enumerate() {
                assert_eq!(packed.id(index), Some(id), "{index}");
                assert_eq!(packed.find(id), Ok(Some(index)), "{id}");
                for near in [id.wrapping_sub(1), id.wrapping_add(1)] {
                    assert_eq!(packed.find(near), Ok(some.binary_search(&near).ok()), "{near}");
                }
            }
            assert_eq!(packed.id(some.len()), None);
            let bare = PackedBlock { words: &[], ..packed };
            assert!(words.is_empty() || bare.id(0).is_none() && bare.find(some[0]).is_err());
        }
    }

    #[test]
    fn ids_come_back() {
        check(&[0]);
        check(&[u64::MAX]);
        check(&(0..1_000).map(|n| 0x7000_0000 + n * 8).collect::<Vec<_>>());
        check(&(0..300).map(|n| n * n * n + 1).collect::<Vec<_>>());
        check(&[0, u64::MAX]);
        check(&(0..64).map(|n| n << 58 | 5).collect::<Vec<_>>());
        check(&(0..200).map(|n| if n < 100 { n } else { n << 56 }).collect::<Vec<_>>());
    }
}
