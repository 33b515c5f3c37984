//! Where search takes its keys from: any function of the index, or one field of mapped records.
#![expect(unsafe_code, reason = "loads of a field whose bounds were checked, and prefetch")]
#![expect(clippy::inline_always, reason = "has to compile with the CPU features of the caller")]

use std::cell::{Cell, RefCell};

use crate::{core::Core, error::Result, field::Field};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Bytes that are read at once where keys are asked for in order.
const BLOCK: usize = 64 << 10;

/// What stands for the index of a record that is not there; no storage has so many.
pub(crate) const ABSENT: u64 = u64::MAX;

/// Keys in ascending order, by record index, as order-preserving `u64` images.
///
/// Search asks only for keys below the count it was given. A function of the index is `Keys` too.
pub(crate) trait Keys: Copy {
    /// The key of record `index`.
    fn key_at(self, index: u64) -> u64;

    /// `index` if record `index`, one of `count`, has the key `probe`, else [`ABSENT`].
    #[inline(always)]
    fn found_at(self, index: u64, (count, probe): (u64, u64)) -> u64 {
        if index < count && self.key_at(index) == probe { index } else { ABSENT }
    }

    /// How many of the few keys `start..start + len` are below `probe`.
    #[inline(always)]
    fn count_below(self, start: u64, len: u64, probe: u64) -> u64 {
        (start..start + len).map(|index| u64::from(self.key_at(index) < probe)).sum()
    }

    /// Hints that the keys `start..start + len` are needed soon; any index may be asked.
    #[inline(always)]
    fn prefetch(self, start: u64, len: u64) {
        let _ = (start, len);
    }

    /// [`prefetch`](Self::prefetch) of the `len` keys from each of `starts` on.
    #[inline(always)]
    fn prefetch_all(self, starts: &[u64], len: u64) {
        for start in starts {
            self.prefetch(*start, len);
        }
    }
}

impl<F: Fn(u64) -> u64 + Copy> Keys for F {
    #[inline(always)]
    fn key_at(self, index: u64) -> u64 {
        self(index)
    }
}

/// The keys of fixed-size records in a byte range: `WIDTH` bytes at one offset of each record,
/// turned into their image by `X`.
///
/// # Panics
///
/// Asking for a record past the end panics; it is never read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordKeys<'a, const WIDTH: usize, X> {
    /// Invariant K1: `record_size * len <= bytes.len()`, and
    /// `field_offset + WIDTH <= record_size`.
    bytes: &'a [u8],
    record_size: usize,
    field_offset: usize,
    len: u64,
    image: X,
}

impl<'a, const WIDTH: usize, X: Fn([u8; WIDTH]) -> u64 + Copy> RecordKeys<'a, WIDTH, X> {
    /// The keys at `field_offset` of the records in `bytes`; a rest shorter than a record is
    /// ignored. `None` if the field does not lie inside a record.
    pub(crate) fn new(
        bytes: &'a [u8],
        record_size: usize,
        field_offset: usize,
        image: X,
    ) -> Option<Self> {
        let field_end = field_offset.checked_add(WIDTH)?;
        if record_size < field_end {
            return None;
        }
        let len = bytes.len().checked_div(record_size)? as u64;
        Some(Self { bytes, record_size, field_offset, len, image })
    }

    /// How many bytes behind the first byte of a field the last one of `len` fields lies.
    #[inline(always)]
    fn reach(&self, len: u64) -> usize {
        let fields = word_index(len.saturating_sub(1)).wrapping_mul(self.record_size);
        fields.wrapping_add(WIDTH.saturating_sub(1))
    }

    /// Whether `len` fields lie in one cache line, from any record on whose index is a multiple
    /// of `len`.
    #[inline(always)]
    fn is_in_line(&self, len: u64) -> bool {
        let step = self.record_size.wrapping_mul(word_index(len));
        let apart = if step == 0 { LINE } else { 1 << step.trailing_zeros().min(LINE.ilog2()) };
        self.place(0) as usize % apart + self.reach(len) < apart
    }

    /// Where the field of record `index` lies, if there is such a record.
    #[inline(always)]
    fn place(&self, index: u64) -> *const [u8; WIDTH] {
        let start = word_index(index).wrapping_mul(self.record_size);
        self.bytes.as_ptr().wrapping_add(start.wrapping_add(self.field_offset)).cast()
    }
}

impl<const WIDTH: usize, X: Fn([u8; WIDTH]) -> u64 + Copy> Keys for RecordKeys<'_, WIDTH, X> {
    #[inline(always)]
    fn key_at(self, index: u64) -> u64 {
        assert!(index < self.len, "record past the end");
        // SAFETY: `index < self.len`, checked above, so the field lies in `self.bytes` (K1).
        let field = unsafe { self.place(index).read() };
        (self.image)(field)
    }

    #[inline(always)]
    fn count_below(self, start: u64, len: u64, probe: u64) -> u64 {
        assert!(start <= self.len && len <= self.len - start, "records past the end");
        let mut place = self.place(start);
        let mut count = 0;
        for _ in 0..len {
            // SAFETY: this is one of the records `start..start + len`, which end within
            // `self.len`, checked above, so the field lies in `self.bytes` (K1).
            let field = unsafe { place.read() };
            count += u64::from((self.image)(field) < probe);
            place = place.cast::<u8>().wrapping_add(self.record_size).cast();
        }
        count
    }

    #[inline(always)]
    fn prefetch(self, start: u64, len: u64) {
        let step = self.record_size.max(LINE);
        let mut place = self.place(start).cast::<u8>();
        let last = place.wrapping_add(self.reach(len));
        while place < last {
            prefetch_line(place);
            place = place.wrapping_add(step);
        }
        prefetch_line(last);
    }

    #[inline(always)]
    fn prefetch_all(self, starts: &[u64], len: u64) {
        if self.is_in_line(len) {
            for start in starts {
                prefetch_line(self.place(*start).cast());
            }
        } else {
            for start in starts {
                self.prefetch(*start, len);
            }
        }
    }
}

/// A `u64` index as `usize`: lossless for what lies in memory, harmless for a mere hint.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "callers hold an index of something in memory")]
pub(crate) const fn word_index(index: u64) -> usize {
    index as usize
}

/// Asks for the cache line at `address`, which may be any address.
#[inline(always)]
pub(crate) fn prefetch_line(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// What is done with the keys of a field, whatever their type.
pub(crate) trait Visit {
    type Output;

    fn visit(self, keys: impl Keys) -> Self::Output;
}

/// Runs `visit` with the keys that `field` has in the records of `core`: its images, or those of
/// its first 8 bytes where it is wider.
///
/// # Errors
///
/// The first error of reading a record that is not mapped; the answer means nothing then.
pub(crate) fn with<V: Visit>(core: &Core, field: Field, visit: V) -> Result<V::Output> {
    let failed = Cell::new(None);
    let lead = field.leading();
    let key = |index: u64| {
        lead_word(core, lead, index).unwrap_or_else(|error| {
            failed.set(Some(error));
            u64::MAX
        })
    };
    let output = match core.slice(0..core.len()) {
        Some(bytes) => with_mapped((bytes, core.record_size()), lead, (&key, visit)),
        None => visit.visit(key),
    };
    match failed.take() {
        Some(error) => Err(error),
        None => Ok(output),
    }
}

/// As [`with`], for a visit that asks for keys in ascending order: records that are not mapped
/// are read in blocks rather than one by one.
pub(crate) fn with_in_order<V: Visit>(core: &Core, field: Field, visit: V) -> Result<V::Output> {
    if core.slice(0..core.len()).is_some() {
        return with(core, field, visit);
    }
    let failed = Cell::new(None);
    let lead = field.leading();
    let block = RefCell::new(Block { first: 0, bytes: Vec::new() });
    let key = |index: u64| {
        block.borrow_mut().word(core, lead, index).unwrap_or_else(|error| {
            failed.set(Some(error));
            u64::MAX
        })
    };
    let output = visit.visit(key);
    match failed.take() {
        Some(error) => Err(error),
        None => Ok(output),
    }
}

/// Neighbouring records that were read at once.
struct Block {
    first: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// The image of a field of at most 8 bytes.
    fn word(&mut self, core: &Core, lead: Field, index: u64) -> Result<u64> {
        let size = core.record_size();
        let held = (self.bytes.len() / size) as u64;
        if index < self.first || self.first + held <= index {
            let count = core.len().saturating_sub(index).min((BLOCK / size) as u64).max(1);
            self.bytes.resize(word_index(count) * size, 0);
            self.first = index;
            if let Err(error) = core.read(index, 0, &mut self.bytes) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let record = &self.bytes[word_index(index - self.first) * size..][..size];
        #[expect(clippy::cast_possible_truncation, reason = "the image of at most 8 bytes")]
        Ok(lead.image(lead.bytes(record)) as u64)
    }
}

/// As [`with`], of records that were copied to `bytes`: `size` bytes each.
pub(crate) fn with_copied<V: Visit>(
    (bytes, size): (&[u8], usize),
    field: Field,
    visit: V,
) -> V::Output {
    let lead = field.leading();
    #[expect(clippy::cast_possible_truncation, reason = "the image of at most 8 bytes")]
    let key = |index: u64| lead.image(lead.bytes(&bytes[word_index(index) * size..])) as u64;
    with_mapped((bytes, size), lead, (key, visit))
}

/// Runs `visit` with the keys of mapped records, compiled for the width of the field; with
/// `other` for widths that no number has.
fn with_mapped<V: Visit>(
    (bytes, size): (&[u8], usize),
    lead: Field,
    (other, visit): (impl Keys, V),
) -> V::Output {
    macro_rules! run {
        ($width:literal, $image:expr) => {
            match RecordKeys::<$width, _>::new(bytes, size, lead.offset() as usize, $image) {
                Some(keys) => visit.visit(keys),
                None => visit.visit(other),
            }
        };
    }
    match lead.size() {
        8 if lead.is_plain() => run!(8, u64::from_le_bytes),
        8 => run!(8, move |bytes| lead.word::<8>(bytes)),
        4 => run!(4, move |bytes| lead.word::<4>(bytes)),
        2 => run!(2, move |bytes| lead.word::<2>(bytes)),
        1 => run!(1, move |bytes| lead.word::<1>(bytes)),
        _ => visit.visit(other),
    }
}

/// The image of a field of at most 8 bytes.
pub(crate) fn lead_word(core: &Core, lead: Field, index: u64) -> Result<u64> {
    let mut copy = [0; 8];
    let bytes = if let Some(record) = core.record(index) {
        lead.bytes(record)
    } else {
        let copy = &mut copy[..lead.size() as usize];
        core.read(index, lead.offset() as usize, copy)?;
        copy
    };
    #[expect(clippy::cast_possible_truncation, reason = "the image of at most 8 bytes")]
    Ok(lead.image(bytes) as u64)
}

#[cfg(test)]
mod tests {
    use super::{LINE, RecordKeys};

    /// Fields of `WIDTH` bytes, taken `len` at a time, beside the lines that they really touch.
    fn check<const WIDTH: usize>((size, offset): (usize, usize), len: u64) -> bool {
        #[repr(align(64))]
        struct Lines([u8; 64 * LINE]);
        let lines = Lines([0; 64 * LINE]);
        let keys = RecordKeys::<WIDTH, _>::new(&lines.0, size, offset, |_| 0).unwrap();
        let is_in_line = keys.is_in_line(len);
        let line = |index: u64, byte: usize| (keys.place(index) as usize + byte) / LINE;
        for start in (0..40).step_by(usize::try_from(len).unwrap()) {
            let touches_one = line(start, 0) == line(start + len - 1, WIDTH - 1);
            assert!(touches_one || !is_in_line, "{size} {offset} {len} from {start}");
        }
        is_in_line
    }

    #[test]
    fn one_prefetch_is_asked_for_only_where_it_is_enough() {
        assert!(check::<8>((16, 0), 4));
        assert!(check::<8>((16, 8), 4));
        assert!(check::<8>((16, 4), 1));
        assert!(check::<8>((40, 0), 1));
        assert!(!check::<8>((40, 4), 1));
        assert!(!check::<8>((40, 0), 4));
        assert!(check::<4>((12, 8), 1));
        assert!(!check::<4>((12, 8), 4));
        assert!(check::<2>((64, 62), 1));
        assert!(!check::<8>((64, 0), 4));
    }
}
