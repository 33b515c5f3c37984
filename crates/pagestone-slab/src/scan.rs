//! Looking for objects by value where no index knows them: every slot of a pool is compared.

use crate::{bits, class::Form, slab::Slab};

/// Slots that are looked at together: those of a word of the bitmap.
const TOGETHER: usize = 64;

/// The lowest occupied slot that holds `object`.
pub(crate) fn find(slab: &Slab<[u8]>, object: &[u8]) -> Option<u32> {
    if slab.class.form() != Form::Exact || object.is_empty() {
        return slab.iter().find(|(_, found)| *found == object).map(|(slot, _)| slot);
    }
    match object.len() {
        1 => find_by::<1>(slab, object),
        2 | 3 => find_by::<2>(slab, object),
        4..8 => find_by::<4>(slab, object),
        _ => find_by::<8>(slab, object),
    }
}

/// As `find`, for objects of at least `W` bytes, by their first ones.
fn find_by<const W: usize>(slab: &Slab<[u8]>, object: &[u8]) -> Option<u32> {
    let size = object.len();
    let lead = object.first_chunk::<W>()?;
    for (index, block) in (0u32..).zip(slab.bytes().chunks(TOGETHER * size)) {
        if !any::<W>(block, size, lead) {
            continue;
        }
        let mut occupied = bits::each(slab.occupied(index), 0);
        let found = occupied.find(|&slot| {
            let at = slot as usize * size;
            block.get(at..at + size) == Some(object)
        });
        if let Some(slot) = found {
            return Some(index * 64 + slot);
        }
    }
    None
}

#[expect(clippy::needless_bitwise_bool, reason = "a branch keeps it from becoming vector code")]
/// Whether any slot of the block begins with `lead`. Without a branch inside, so that it becomes
/// vector code where slots are as long as `lead`.
#[inline]
fn any<const W: usize>(block: &[u8], size: usize, lead: &[u8; W]) -> bool {
    if size == W {
        let (slots, _) = block.as_chunks::<W>();
        return slots.iter().fold(false, |any, slot| any | (slot == lead));
    }
    let slots = block.chunks_exact(size);
    slots.fold(false, |any, slot| any | (slot.first_chunk::<W>() == Some(lead)))
}
