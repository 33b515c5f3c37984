//! The ids of all objects, ascending, packed by blocks: by ordinal, and the ordinal of an id.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use pagestone_storage::le::U64;

use crate::layout::{ID_BLOCK_LEN, IdBlockRecord};

/// The packed ids, as they lie in their two files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedIds<'a> {
    pub(crate) blocks: &'a [IdBlockRecord],
    pub(crate) words: &'a [U64],
    pub(crate) count: u32,
}

impl PackedIds<'_> {
    /// The id of the object with an ordinal; none where there is no such object, or the files
    /// contradict each other.
    #[inline]
    pub(crate) fn id(&self, ordinal: u32) -> Option<u64> {
        if self.count <= ordinal {
            return None;
        }
        let ordinal = usize::try_from(ordinal).ok()?;
        self.id_in(self.blocks.get(ordinal / ID_BLOCK_LEN)?, ordinal % ID_BLOCK_LEN)
    }

    #[inline]
    fn id_in(&self, block: &IdBlockRecord, index: usize) -> Option<u64> {
        let (first_word, shift, width) = block.place();
        let (shift, width) = (u32::from(shift), u32::from(width));
        let step = if width == 0 {
            0
        } else {
            let bit = u32::try_from(index).ok()?.checked_mul(width)?;
            let word =
                usize::try_from(first_word).ok()?.checked_add(usize::try_from(bit / 64).ok()?)?;
            let low = self.words.get(word)?.get().checked_shr(bit % 64)?;
            let taken = 64_u32.checked_sub(bit % 64)?;
            let high = match width.checked_sub(taken) {
                None | Some(0) => 0,
                Some(_) => self.words.get(word.checked_add(1)?)?.get().checked_shl(taken)?,
            };
            (low | high) & u64::MAX.checked_shr(64_u32.checked_sub(width)?)?
        };
        block.first_id.get().checked_add(step.checked_shl(shift)?)
    }

    /// The ordinal of the object with an id, if there is one; O(log objects).
    pub(crate) fn ordinal(&self, id: u64) -> Option<u32> {
        let after = self.blocks.partition_point(|block| block.first_id.get() <= id);
        let number = after.checked_sub(1)?;
        let block = self.blocks.get(number)?;
        let first = u32::try_from(number.checked_mul(ID_BLOCK_LEN)?).ok()?;
        let len = usize::try_from(self.count.checked_sub(first)?).ok()?.min(ID_BLOCK_LEN);
        let (mut low, mut high) = (0_usize, len);
        while low < high {
            let middle = low.midpoint(high);
            if self.id_in(block, middle)? < id {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        if low < len && self.id_in(block, low)? == id {
            return first.checked_add(u32::try_from(low).ok()?);
        }
        None
    }
}

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
    use super::{PackedIds, pack};
    use crate::layout::ID_BLOCK_LEN;

    #[track_caller]
    fn check(ids: &[u64]) {
        let (mut blocks, mut words) = (Vec::new(), Vec::new());
        for block in ids.chunks(ID_BLOCK_LEN) {
            let first_word = u64::try_from(words.len()).unwrap();
            blocks.push(pack(block, first_word, &mut words).unwrap());
        }
        let count = u32::try_from(ids.len()).unwrap();
        let packed = PackedIds { blocks: &blocks, words: &words, count };
        for (ordinal, &id) in (0..).zip(ids) {
            assert_eq!(packed.id(ordinal), Some(id), "{ordinal}");
            assert_eq!(packed.ordinal(id), Some(ordinal), "{id}");
            for near in [id.wrapping_sub(1), id.wrapping_add(1)] {
                let expected = ids.binary_search(&near).ok().map(|at| u32::try_from(at).unwrap());
                assert_eq!(packed.ordinal(near), expected, "{near}");
            }
        }
        assert_eq!(packed.id(count), None);
    }

    #[test]
    fn ids_come_back() {
        check(&[]);
        check(&[0]);
        check(&[u64::MAX]);
        check(&(0..1_000).map(|n| 0x7000_0000 + n * 8).collect::<Vec<_>>());
        check(&(0..300).map(|n| n * n * n + 1).collect::<Vec<_>>());
        check(&[0, u64::MAX]);
        check(&(0..64).map(|n| n << 58 | 5).collect::<Vec<_>>());
        check(&(0..200).map(|n| if n < 100 { n } else { n << 56 }).collect::<Vec<_>>());
    }
}
