//! What each object is and where it lies, packed by blocks.
//!
//! Objects mostly lie in the dump in the order of their ids, one behind the other: where one ends
//! tells where the next begins. What they have in common, their form, is a number, and each block
//! lists those it needs.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use crate::{
    layout::{FormRecord, KindCode, OBJECT_BLOCK_LEN},
    lists::Malformed,
    varint,
};

/// Offsets are below it, so that a payload may be added to one.
pub(crate) const OFFSET_MAX: u64 = 1 << 48;

/// No block is longer: its head, the numbers of forms, the bits, the places, two numbers for each
/// object.
pub(crate) const BLOCK_LEN_MAX: usize =
    2 + OBJECT_BLOCK_LEN * 4 + 8 + 8 * 6 + OBJECT_BLOCK_LEN * 2 * varint::LEN_MAX;

/// What is known of an object without a look into the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredObject {
    pub(crate) kind: KindCode,
    /// The ordinal of its class, which need not exist where a file is damaged.
    pub(crate) class: u32,
    pub(crate) payload_len: u32,
    /// Below [`OFFSET_MAX`].
    pub(crate) value_offset: u64,
}

/// The objects of one block, in order; an error ends it.
#[derive(Debug, Clone)]
pub(crate) struct Block<'a> {
    forms: &'a [FormRecord],
    /// The numbers of the forms that the block needs.
    listed: &'a [u8],
    form_size: usize,
    /// A bit for each object that does not lie where the one before says.
    moved: u64,
    /// For each object its form among those listed.
    places: &'a [u8],
    width: usize,
    numbers: &'a [u8],
    next: usize,
    len: usize,
    /// Where the object before ends.
    end: u64,
}

impl<'a> Block<'a> {
    /// The block that the bytes begin with.
    #[inline]
    pub(crate) fn new(forms: &'a [FormRecord], bytes: &'a [u8]) -> Option<Self> {
        let (&[len, listed], rest) = bytes.split_first_chunk()?;
        let len = usize::from(len);
        if len == 0 || OBJECT_BLOCK_LEN < len {
            return None;
        }
        let form_size = usize::from(listed >> 6).saturating_add(1);
        let last_form = listed & 0x3f;
        let listed_len = usize::from(last_form).saturating_add(1).saturating_mul(form_size);
        let (listed, rest) = rest.split_at_checked(listed_len)?;
        let (moved, rest) = rest.split_first_chunk()?;
        let width = usize::try_from(width(last_form)).ok()?;
        let (places, numbers) = rest.split_at_checked(width.saturating_mul(8))?;
        let moved = u64::from_le_bytes(*moved);
        Some(Self { forms, listed, form_size, moved, places, width, numbers, next: 0, len, end: 0 })
    }

    /// What lies behind the block, once all its objects were taken.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.numbers
    }

    #[inline]
    fn form(&self, index: usize) -> Option<&'a FormRecord> {
        let bit = index.checked_mul(self.width)?;
        let at = bit / 8;
        let low = u16::from(self.places.get(at).copied().unwrap_or(0));
        let high = u16::from(self.places.get(at.saturating_add(1)).copied().unwrap_or(0));
        let mask = 1_usize.checked_shl(u32::try_from(self.width).ok()?)?.checked_sub(1)?;
        let place = usize::from((high << 8 | low) >> (bit % 8)) & mask;
        let start = place.checked_mul(self.form_size)?;
        let number = self.listed.get(start..start.checked_add(self.form_size)?)?;
        let number = number.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte));
        self.forms.get(number)
    }

    #[inline]
    fn take(&mut self) -> Option<StoredObject> {
        let form = self.form(self.next)?;
        let mut value_offset = self.end.wrapping_add(u64::from(form.lead));
        if self.moved.checked_shr(u32::try_from(self.next).ok()?)? & 1 != 0 {
            let step = varint::unfold(varint::take(&mut self.numbers)?);
            value_offset = value_offset.wrapping_add(step.cast_unsigned());
        }
        let payload_len = if form.unit == 0 {
            form.payload_len.get()
        } else {
            let count = varint::take(&mut self.numbers)?;
            u32::try_from(count.checked_mul(u64::from(form.unit))?).ok()?
        };
        self.next = self.next.checked_add(1)?;
        self.end = value_offset.wrapping_add(u64::from(payload_len));
        let (kind, class) = (form.kind().ok()?, form.class_ordinal());
        (value_offset < OFFSET_MAX).then_some(StoredObject {
            kind,
            class,
            payload_len,
            value_offset,
        })
    }
}

impl Iterator for Block<'_> {
    type Item = Result<StoredObject, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Result<StoredObject, Malformed>> {
        if self.len <= self.next {
            return None;
        }
        let object = self.take().ok_or(Malformed);
        if object.is_err() {
            self.next = self.len;
        }
        Some(object)
    }
}

/// Bits that numbers up to `last` need.
fn width(last: u8) -> u32 {
    u8::BITS.saturating_sub(last.leading_zeros())
}

/// An object on its way into a block: the number of its form, and the form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formed {
    pub(crate) number: u32,
    pub(crate) form: FormRecord,
    pub(crate) payload_len: u32,
    pub(crate) value_offset: u64,
}

/// Appends the block of some objects, at most as many as a block has; none where one of them does
/// not fit its form.
pub(crate) fn pack(objects: &[Formed], into: &mut Vec<u8>) -> Option<()> {
    let mut listed: Vec<u32> = Vec::with_capacity(OBJECT_BLOCK_LEN);
    let mut places = Vec::with_capacity(OBJECT_BLOCK_LEN);
    let (mut moved, mut end, mut numbers) = (0_u64, 0_u64, Vec::new());
    for (index, object) in (0_u32..).zip(objects) {
        let known = listed.iter().position(|&number| number == object.number);
        places.push(known.unwrap_or(listed.len()));
        if known.is_none() {
            listed.push(object.number);
        }
        let expected = end.wrapping_add(u64::from(object.form.lead));
        let step = object.value_offset.wrapping_sub(expected);
        if step != 0 {
            moved |= 1_u64.checked_shl(index)?;
            varint::push(&mut numbers, varint::fold(step.cast_signed()));
        }
        match (object.payload_len, object.form.unit) {
            (len, 0) if len == object.form.payload_len.get() => {}
            (len, unit) if len.checked_rem(u32::from(unit)) == Some(0) => {
                varint::push(&mut numbers, u64::from(len.checked_div(u32::from(unit))?));
            }
            _ => return None,
        }
        end = object.value_offset.wrapping_add(u64::from(object.payload_len));
        if OFFSET_MAX <= object.value_offset {
            return None;
        }
    }
    let highest = listed.iter().max()?.to_le_bytes();
    let form_size = highest.iter().rposition(|&byte| byte != 0).unwrap_or(0).saturating_add(1);
    let last_form = u8::try_from(listed.len().checked_sub(1)?).ok()?;
    into.push(u8::try_from(objects.len()).ok()?);
    into.push(u8::try_from(form_size.checked_sub(1)?).ok()? << 6 | last_form);
    for number in listed {
        into.extend(number.to_le_bytes().into_iter().take(form_size));
    }
    into.extend(moved.to_le_bytes());
    push_places(&places, width(last_form), into)?;
    into.extend(numbers);
    Some(())
}

/// Appends `width` bits of each place, and of those that are missing in a block.
fn push_places(places: &[usize], width: u32, into: &mut Vec<u8>) -> Option<()> {
    let (mut waiting, mut bits) = (0_u32, 0_u32);
    let missing = OBJECT_BLOCK_LEN.checked_sub(places.len())?;
    for &place in places.iter().chain(std::iter::repeat_n(&0, missing)) {
        waiting |= u32::try_from(place).ok()?.checked_shl(bits)?;
        bits = bits.checked_add(width)?;
        while 8 <= bits {
            into.push(u8::try_from(waiting & 0xff).ok()?);
            waiting >>= 8;
            bits = bits.checked_sub(8)?;
        }
    }
    Some(())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "small known numbers")]
mod tests {
    use super::{Block, Formed, OFFSET_MAX, StoredObject, pack};
    use crate::{
        layout::{FormRecord, KindCode, OBJECT_BLOCK_LEN, pack_class},
        lists::Malformed,
    };

    fn forms(count: u32) -> Vec<FormRecord> {
        let form = |class: u32| FormRecord {
            class_and_kind: pack_class(class, KindCode::Instance),
            payload_len: (class * 3).into(),
            unit: u8::try_from(class % 3 * 4).unwrap(),
            lead: u8::try_from(class % 200).unwrap(),
        };
        (0..count).map(form).collect()
    }

    /// Objects of some forms, most behind one another.
    fn objects(forms: &[FormRecord], count: u32) -> Vec<Formed> {
        let mut end = 0;
        let formed = |index: u32| {
            let number = index * 7919 % u32::try_from(forms.len()).unwrap();
            let form = forms[number as usize];
            let payload_len = match form.unit {
                0 => form.payload_len.get(),
                unit => u32::from(unit) * (index * 31 % 1000),
            };
            let gap = if index % 9 == 8 { 5_000_000_000 } else { 0 };
            let value_offset = end + u64::from(form.lead) + gap;
            end = value_offset + u64::from(payload_len);
            Formed { number, form, payload_len, value_offset }
        };
        (0..count).map(formed).collect()
    }

    #[track_caller]
    fn check(form_count: u32, count: u32) {
        let forms = forms(form_count);
        let objects = objects(&forms, count);
        let mut bytes = Vec::new();
        for block in objects.chunks(OBJECT_BLOCK_LEN) {
            pack(block, &mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        for packed in objects.chunks(OBJECT_BLOCK_LEN) {
            let mut block = Block::new(&forms, rest).unwrap();
            for object in packed {
                let expected = StoredObject {
                    kind: KindCode::Instance,
                    class: object.form.class_ordinal(),
                    payload_len: object.payload_len,
                    value_offset: object.value_offset,
                };
                assert_eq!(block.next(), Some(Ok(expected)));
            }
            assert_eq!(block.next(), None);
            rest = block.rest();
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn objects_come_back() {
        check(1, 1);
        check(2, 64);
        check(40, 65);
        check(300, 1000);
        check(70_000, 200);
    }

    #[test]
    fn what_does_not_fit_its_form_is_refused() {
        let forms = forms(3);
        let object = |number: u32, payload_len, value_offset| {
            let form = forms[number as usize];
            pack(&[Formed { number, form, payload_len, value_offset }], &mut Vec::new())
        };
        assert_eq!(object(0, 0, 1), Some(()));
        assert_eq!(object(0, 1, 1), None);
        assert_eq!(object(1, 8, 1), Some(()));
        assert_eq!(object(1, 9, 1), None);
        assert_eq!(object(1, 8, OFFSET_MAX), None);
    }

    #[test]
    fn other_bytes_end_or_answer() {
        let forms = forms(300);
        let mut bytes = Vec::new();
        pack(&objects(&forms, 64), &mut bytes).unwrap();
        for cut in 0..bytes.len() {
            let read = Block::new(&forms, &bytes[..cut]).map(Iterator::last);
            assert!(matches!(read, None | Some(Some(Err(Malformed)))), "{cut}: {read:?}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                let few = forms.len() / 2;
                for forms in [&forms[..], &forms[..few], &[]] {
                    let block = Block::new(forms, &changed).into_iter().flatten();
                    for object in block.flatten() {
                        assert!(object.value_offset < OFFSET_MAX);
                    }
                }
            }
        }
    }
}
