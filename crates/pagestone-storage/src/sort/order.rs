//! What records are ordered by, and the order-preserving words made from fields.

use std::{cmp::Ordering, fmt};

use crate::field::{ByteOrder, Field, Kind};

/// Compares two whole records.
pub(crate) type Comparator<'a> = dyn Fn(&[u8], &[u8]) -> Ordering + Sync + 'a;

/// Makes the word that orders a record.
pub(crate) type WordFn<'a> = dyn Fn(&[u8]) -> u64 + Sync + 'a;

/// The order of a sort.
#[derive(Clone, Copy)]
pub(crate) enum Order<'a> {
    /// By the value of one field of at most 8 bytes.
    Field(Field),
    /// By a comparator.
    Compare(&'a Comparator<'a>),
    /// By a comparator whose order refines that of a field: `prefix(a) < prefix(b)` implies that
    /// the comparator says less.
    Prefixed(Field, &'a Comparator<'a>),
}

impl fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.debug_tuple("Field").field(field).finish(),
            Self::Compare(_) => f.write_str("Compare"),
            Self::Prefixed(field, _) => f.debug_tuple("Prefixed").field(field).finish(),
        }
    }
}

/// Makes the word that orders a record; never panics, so records may be in scratch meanwhile.
pub(super) trait WordKey: Copy + Send + Sync {
    /// The word of `record`; records sort by it, ascending.
    fn word<const N: usize>(&self, record: &[u8; N]) -> u64;

    /// The same key in its general form.
    fn general(&self) -> FieldKey;
}

/// An eight-byte little-endian integer: one load and one XOR.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainKey {
    pub(super) offset: usize,
    pub(super) flip: u64,
}

impl PlainKey {
    /// The key of `field`, if it is simple enough.
    pub(super) fn of(field: Field) -> Option<Self> {
        let flip = match field.kind() {
            Kind::U64 => 0,
            Kind::I64 => 1 << 63,
            _ => return None,
        };
        let is_little = field.byte_order() == ByteOrder::Little;
        is_little.then_some(Self { offset: field.offset() as usize, flip })
    }
}

impl WordKey for PlainKey {
    #[inline]
    fn word<const N: usize>(&self, record: &[u8; N]) -> u64 {
        load(record, self.offset) ^ self.flip
    }

    fn general(&self) -> FieldKey {
        FieldKey {
            window: self.offset,
            bytes: ByteOrder::Little,
            left: 0,
            mask: u64::MAX,
            negative: 0,
            flip: self.flip,
        }
    }
}

/// Any field of at most 8 bytes: the value in the leading bits of the word, whatever its width.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldKey {
    /// Start of the eight bytes that hold the field.
    window: usize,
    bytes: ByteOrder,
    /// Moves the field to the leading bits.
    left: u32,
    /// The bits of the field, once there.
    mask: u64,
    /// Bits to invert in a negative float.
    negative: u64,
    /// Bits to invert always.
    flip: u64,
}

impl FieldKey {
    /// The key of `field` in records of `record_size` bytes, if it lies inside them.
    pub(super) fn new(field: Field, record_size: usize) -> Option<Self> {
        let (size, offset) = (field.size() as usize, field.offset() as usize);
        if 8 < size || record_size < offset.checked_add(size)? {
            return None;
        }
        let window = offset.min(record_size.saturating_sub(8));
        let inside = offset - window;
        let bytes = match field.kind() {
            Kind::Bytes(_) => ByteOrder::Big,
            _ => field.byte_order(),
        };
        let before = match bytes {
            ByteOrder::Little => 8 - inside - size,
            ByteOrder::Big => inside,
        };
        let mask = u64::MAX << (64 - 8 * size);
        let (negative, flip) = match field.kind() {
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 => (0, 1 << 63),
            Kind::F32 | Kind::F64 => (mask & (u64::MAX >> 1), 1 << 63),
            _ => (0, 0),
        };
        let left = u32::try_from(8 * before).ok()?;
        Some(Self { window, bytes, left, mask, negative, flip })
    }

    /// The word of a record of the size given to [`FieldKey::new`].
    pub(super) fn word_of(&self, record: &[u8]) -> u64 {
        if let Some(bytes) = record.get(self.window..).and_then(<[u8]>::first_chunk) {
            return self.image(u64::from_le_bytes(*bytes));
        }
        // Records below eight bytes.
        let mut window = [0; 8];
        for (to, from) in window.iter_mut().zip(record.iter().skip(self.window)) {
            *to = *from;
        }
        self.image(u64::from_le_bytes(window))
    }

    #[inline]
    fn image(&self, loaded: u64) -> u64 {
        let loaded = match self.bytes {
            ByteOrder::Little => loaded,
            ByteOrder::Big => loaded.swap_bytes(),
        };
        let value = (loaded << self.left) & self.mask;
        let sign = 0_u64.wrapping_sub(value >> 63);
        value ^ (sign & self.negative) ^ self.flip
    }
}

impl WordKey for FieldKey {
    #[inline]
    fn word<const N: usize>(&self, record: &[u8; N]) -> u64 {
        self.image(load(record, self.window))
    }

    fn general(&self) -> FieldKey {
        *self
    }
}

/// The key of a field that the caller says is inside records of `record_size` bytes.
pub(super) fn field_key(field: Field, record_size: usize) -> FieldKey {
    let Some(key) = FieldKey::new(field, record_size) else {
        unreachable!("{field:?} reaches past a record of {record_size} bytes");
    };
    key
}

/// Words of records of any size, for merges.
#[derive(Clone, Copy)]
pub(super) enum Words {
    Field(FieldKey),
    /// All alike: the comparator alone decides.
    Same,
}

impl Words {
    pub(super) fn new(order: Order<'_>, record_size: usize) -> Self {
        match order {
            Order::Field(field) | Order::Prefixed(field, _) => {
                Self::Field(field_key(field, record_size))
            }
            Order::Compare(_) => Self::Same,
        }
    }

    #[inline]
    pub(super) fn of(&self, record: &[u8]) -> u64 {
        match self {
            Self::Field(key) => key.word_of(record),
            Self::Same => 0,
        }
    }
}

/// The eight bytes at `offset`, or the last eight if that is further; records have at least eight.
#[inline]
fn load<const N: usize>(record: &[u8; N], offset: usize) -> u64 {
    // The `min` lets the compiler drop the bounds check; `offset + 8 <= N` by construction.
    let at = offset.min(const { N.saturating_sub(8) });
    record[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
