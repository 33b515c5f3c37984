//! Where the words of the model file lie and how a word is put together.

/// Units of the file beyond the control words.
pub(super) const UNITS: u32 = 16;
/// Words of a unit.
pub(super) const UNIT: u32 = 12;
/// Words of all units; the control words follow.
pub(super) const FILE: u32 = UNITS * UNIT;
/// Region numbers.
pub(super) const REGIONS: usize = 9;
/// Values of the epoch tag.
pub(super) const TAGS: u32 = 7;
/// Commits from one sweep to the next.
pub(super) const SWEEP: u32 = 3;
/// Generations of one slab slot.
pub(super) const SLOT_GENERATIONS: u64 = 2;
/// Slots of one slab.
pub(super) const SLOTS: u32 = 4;
/// Words before the first cell of a region.
pub(super) const HEADER: u32 = 4;
/// Words of one log entry.
pub(super) const ENTRY: u32 = 4;

/// Words of a superblock slot, the checksum last.
pub(super) const SUPERBLOCK: u32 = 7;
const OWNER: u32 = FILE + 2 * UNIT;
pub(super) const CLEAN: u32 = OWNER;
pub(super) const PUBLISHED: u32 = OWNER + 1;
pub(super) const BOOT: u32 = OWNER + 2;
pub(super) const MOUNT: u32 = OWNER + 3;
pub(super) const DISCARDING: u32 = OWNER + 4;
pub(super) const POISONED: u32 = OWNER + 5;
const DIRECTORY: u32 = OWNER + UNIT;
const ENDS: u32 = DIRECTORY + 18;
pub(super) const ROOT: u32 = ENDS + 18;
pub(super) const COUNTER: u32 = ROOT + 2;
const TABLES: u32 = COUNTER + 2;
/// The length of the file, a value like the others.
pub(super) const LENGTH: u32 = TABLES + 22;
/// All words of the memory.
pub(super) const WORDS: usize = LENGTH as usize + 1;

pub(super) const TOMBSTONE: u64 = 254;
pub(super) const OVERSIZE: u64 = 255;
pub(super) const LOGGED: u64 = 3;

/// First word of superblock slot 0 or 1.
pub(super) fn superblock(slot: u32) -> u32 {
    FILE + slot * UNIT
}

/// First word of a region's directory pair.
pub(super) fn directory_pair(region: usize) -> u32 {
    DIRECTORY + 2 * narrow(region)
}

/// First word of a segment's end pair.
pub(super) fn end_pair(region: usize) -> u32 {
    ENDS + 2 * narrow(region)
}

/// A small index as an address offset.
pub(super) fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What holds an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Store {
    HeapA,
    HeapB,
    Log,
    Slab,
    Root,
}

impl Store {
    /// Ids in the table every file has.
    pub(super) fn fixed(self) -> u32 {
        match self {
            Self::HeapA | Self::Log => 4,
            Self::HeapB => 3,
            Self::Slab | Self::Root => 0,
        }
    }

    /// First word of the pair of an id in the fixed table.
    pub(super) fn fixed_pair(self, index: u32) -> u32 {
        let before = match self {
            Self::HeapA => 0,
            Self::HeapB => 4,
            _ => 7,
        };
        TABLES + 2 * (before + index)
    }

    fn code(self) -> u64 {
        match self {
            Self::HeapA => 1,
            Self::HeapB => 2,
            Self::Log => 3,
            Self::Slab => 4,
            Self::Root => 5,
        }
    }
}

/// The name of one value: an id, or the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) store: Store,
    /// Index in the table; slab number times slots plus slot.
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl Key {
    pub(super) const ROOT: Self = Self { store: Store::Root, index: 0, generation: 0 };

    /// Whether `in_place` may write this one: its content may mix old and new words.
    pub(super) fn is_loose(self) -> bool {
        self.store == Store::HeapB && self.index == 2
    }

    /// The header of a block of `size` words.
    pub(super) fn header(self, size: u32) -> u64 {
        self.store.code() << 56
            | u64::from(self.index) << 48
            | u64::from(self.generation) << 16
            | u64::from(size)
    }

    /// The first word of a log entry.
    pub(super) fn first_word(self, kind: EntryKind) -> u64 {
        0x10 << 56
            | u64::from(self.index) << 48
            | u64::from(self.generation) << 16
            | u64::from(kind == EntryKind::Tombstone)
    }
}

/// What a log entry says about its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Value,
    Tombstone,
}

/// What a region holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Heap,
    Oversize,
    Slab,
    Segment,
    /// The n-th further part of store A's table.
    Table(u8),
}

const FREE: u64 = 1;

/// A range of units under a region number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Region {
    pub(super) fn base(self) -> u32 {
        self.start * UNIT
    }

    pub(super) fn end(self) -> u32 {
        (self.start + self.len) * UNIT
    }

    /// Units as bits.
    pub(super) fn units(self) -> u32 {
        ((1 << self.len) - 1) << self.start
    }

    pub(super) fn holds(self, address: u32) -> bool {
        (self.base()..self.end()).contains(&address)
    }

    pub(super) fn body(self) -> u64 {
        let kind = match self.kind {
            Kind::Heap => 2,
            Kind::Oversize => 3,
            Kind::Slab => 4,
            Kind::Segment => 5,
            Kind::Table(part) => 8 + u64::from(part),
        };
        kind << 40 | u64::from(self.start) << 8 | u64::from(self.len)
    }

    /// What a directory word names.
    pub(super) fn decode(word: u64) -> Named {
        let kind = match class(word) {
            FREE => return Named::Free,
            2 => Kind::Heap,
            3 => Kind::Oversize,
            4 => Kind::Slab,
            5 => Kind::Segment,
            8 => Kind::Table(0),
            9 => Kind::Table(1),
            _ => return Named::Nothing,
        };
        let (start, len) = (offset(word) >> 8, offset(word) & 0xff);
        let valid = 1 <= start && 1 <= len && start + len <= UNITS;
        if valid { Named::Region(Self { kind, start, len }) } else { Named::Nothing }
    }
}

/// What a directory word says of its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Region(Region),
    Free,
    /// The word is damaged.
    Nothing,
}

/// The body of a directory word that frees its number.
pub(super) fn free_body() -> u64 {
    FREE << 40
}

/// A tagged word.
pub(super) fn tagged(tag: u32, body: u64) -> u64 {
    u64::from(tag) << 48 | body
}

pub(super) fn tag_of(word: u64) -> u32 {
    (word >> 48) as u32
}

pub(super) fn body_of(word: u64) -> u64 {
    word & 0xffff_ffff_ffff
}

pub(super) fn slot_body(class: u64, offset: u32) -> u64 {
    class << 40 | u64::from(offset)
}

pub(super) fn class(word: u64) -> u64 {
    word >> 40 & 0xff
}

pub(super) fn offset(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

/// The tag of an epoch.
pub(super) fn tag(epoch: u32) -> u32 {
    1 + (epoch + TAGS - 1) % TAGS
}

/// Words of a block of this class, header included.
pub(super) fn block_size(class: u64) -> Option<u32> {
    match class {
        1 => Some(2),
        2 | OVERSIZE => Some(4),
        _ => None,
    }
}
