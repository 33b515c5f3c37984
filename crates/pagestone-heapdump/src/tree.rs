//! The tree of dominators, packed: for each object who dominates it, how far it is from the roots
//! and what it retains.
//!
//! An entry is its parent as the difference from the object, 0 for none, then the distance with a
//! bit that says whether more follows, and then how many objects it retains and their bytes. What
//! is not reached is one byte. Every 32nd entry has a head; those between are reached from there.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::{
    layout::{NONE, ROOTS},
    lists::Malformed,
    varint,
};

/// One entry in so many has a head.
pub(crate) const STRIDE: u32 = 32;

/// Where an object that can be reached stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The ordinal of the dominator, or `ROOTS`.
    pub(crate) parent: u32,
    /// Steps from the nearest root.
    pub(crate) distance: u32,
    /// Objects and their bytes, itself included; none where it retains itself alone.
    pub(crate) retained: Option<(u32, u64)>,
}

/// Appends the entry of an object, none for one that cannot be reached.
#[inline]
pub(crate) fn encode(object: u32, entry: Option<&Entry>, into: &mut Vec<u8>) {
    let Some(Entry { parent, distance, retained }) = entry else { return into.push(0) };
    // Nothing dominates itself, so that 0 is free.
    let step = match *parent {
        ROOTS => 0,
        parent => i64::from(parent).wrapping_sub(i64::from(object)),
    };
    varint::push(into, varint::fold(step).wrapping_add(1));
    let distance = u64::from(*distance).wrapping_shl(1);
    match retained {
        None => varint::push(into, distance),
        Some((count, bytes)) => {
            varint::push(into, distance | 1);
            varint::push(into, u64::from(*count));
            varint::push(into, *bytes);
        }
    }
}

/// Takes the entry of an object from the front; all of it, or `Malformed`.
#[inline]
pub(crate) fn take(
    object: u32,
    bytes: &mut &[u8],
    object_count: u32,
) -> Result<Option<Entry>, Malformed> {
    let mut number = || varint::take(bytes).ok_or(Malformed);
    let Some(step) = number()?.checked_sub(1) else { return Ok(None) };
    let parent = match varint::unfold(step) {
        0 => ROOTS,
        step => {
            let parent = i64::from(object).checked_add(step).and_then(|at| u32::try_from(at).ok());
            parent.filter(|parent| *parent < object_count).ok_or(Malformed)?
        }
    };
    let distance = number()?;
    let has_more = distance & 1 != 0;
    let distance = u32::try_from(distance.wrapping_shr(1)).ok().filter(|&steps| steps != NONE);
    let retained = if has_more {
        Some((u32::try_from(number()?).map_err(|_| Malformed)?, number()?))
    } else {
        None
    };
    Ok(Some(Entry { parent, distance: distance.ok_or(Malformed)?, retained }))
}

#[cfg(test)]
mod tests {
    use super::{Entry, encode, take};
    use crate::{
        layout::{NONE, ROOTS},
        lists::Malformed,
    };

    #[test]
    fn entries_come_back() {
        let count = NONE - 2;
        let entry = |parent, distance, retained| Some(Entry { parent, distance, retained });
        let entries = [
            (0, None),
            (0, entry(ROOTS, 0, None)),
            (0, entry(1, 1, Some((1, 0)))),
            (7, entry(6, 64, Some((2, 300)))),
            (count - 1, entry(0, NONE - 1, Some((u32::MAX, u64::MAX)))),
            (0, entry(count - 1, 70_000, None)),
        ];
        for (object, entry) in entries {
            let mut bytes = Vec::new();
            encode(object, entry.as_ref(), &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!(take(object, &mut rest, count), Ok(entry));
            assert!(rest.is_empty());
            for len in 0..bytes.len() {
                let mut cut = bytes.get(..len).unwrap();
                assert_eq!(take(object, &mut cut, count), Err(Malformed), "{len} of {bytes:?}");
            }
        }
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        let mut bytes = Vec::new();
        encode(5, Some(&Entry { parent: 9, distance: 1, retained: None }), &mut bytes);
        assert!(take(5, &mut bytes.as_slice(), 10).is_ok());
        assert_eq!(take(5, &mut bytes.as_slice(), 9), Err(Malformed));
        assert_eq!(take(0, &mut &[4, 2][..], 9), Err(Malformed), "a parent below 0");
        let long = [1, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(take(0, &mut &long[..], 9), Err(Malformed), "a distance beyond all");
    }
}
