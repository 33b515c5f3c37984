//! What the bytes of a region file mean: superblock, region header, block header, names, snapshot.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::mem::offset_of;

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

pub(crate) const MAGIC: [u8; 8] = *b"PAGESTON";
pub(crate) const VERSION: u32 = 1;
/// The unit of region places and lengths.
pub(crate) const UNIT: u64 = 64 << 10;
/// Bytes of a region header; no block lies there, and no slot.
pub(crate) const REGION_HEADER: u64 = 64;
/// Bytes of a block header.
pub(crate) const BLOCK_HEADER: u64 = 24;
/// Where the superblock slot of a generation lies.
pub(crate) const SUPERBLOCKS: [u64; 2] = [0, 4096];
pub(crate) const SUPERBLOCK_SIZE: usize = 512;

/// Words of the owner page.
pub(crate) mod owner {
    /// The generation of the close that nothing followed.
    pub(crate) const CLEAN: u64 = 8192;
    /// The newest generation whose commit has returned.
    pub(crate) const PUBLISHED: u64 = 8200;
    /// The epoch that a discard is undoing.
    pub(crate) const DISCARDING: u64 = 8208;
    /// Not 0 after a failed sync.
    pub(crate) const POISONED: u64 = 8216;
    /// The boot in which the file was last opened for writing, folded to a word; stored last.
    pub(crate) const BOOT: u64 = 8224;
    pub(crate) const DEVICE: u64 = 8232;
    pub(crate) const INODE: u64 = 8240;
    pub(crate) const MOUNT: u64 = 8248;
    /// Not 0 while the newest writer keeps no promise about a crash.
    pub(crate) const SCRATCH: u64 = 8256;
    /// Bytes of all of them.
    pub(crate) const SIZE: usize = 72;
}

/// See docs/format.md, "Superblock".
#[derive(Debug, Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Superblock {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U32,
    pub(crate) incompatible: U32,
    pub(crate) read_compatible: U32,
    pub(crate) spare: U32,
    pub(crate) uuid: [u8; 16],
    pub(crate) generation: U64,
    pub(crate) len: U64,
    pub(crate) region_count: U64,
    pub(crate) region_size: U64,
    pub(crate) snapshot_offset: U64,
    pub(crate) snapshot_len: U64,
    pub(crate) reserved: [u8; 420], // written as zero, rejected otherwise
    pub(crate) checksum: U32,       // CRC-32 of the 508 bytes before it
}

const _: () = assert!(
    size_of::<Superblock>() == SUPERBLOCK_SIZE
        && offset_of!(Superblock, generation) == 40
        && offset_of!(Superblock, checksum) == 508
);

/// See docs/format.md, "Region header".
#[derive(Debug, Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RegionHeader {
    pub(crate) magic: [u8; 4],
    pub(crate) kind: u8,
    pub(crate) part: u8,
    pub(crate) spare: U16,
    pub(crate) number: U32,
    pub(crate) store: U32,
    pub(crate) uuid: [u8; 16],
    pub(crate) incarnation: U64,
    pub(crate) len: U64,
    pub(crate) first: U64, // of a segment: the sequence of its first entry; else 0
    pub(crate) reserved: [u8; 4], // written as zero, rejected otherwise
    pub(crate) checksum: U32, // CRC-32 of the 60 bytes before it
}

pub(crate) const REGION_MAGIC: [u8; 4] = *b"PGSR";

const _: () = assert!(
    size_of::<RegionHeader>() == 64
        && offset_of!(RegionHeader, uuid) == 16
        && offset_of!(RegionHeader, checksum) == 60
);

/// See docs/format.md, "Block header".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct BlockHeader {
    pub(crate) id: U64,
    pub(crate) len: [u8; 6], // 48 bits
    pub(crate) kind: u8,
    pub(crate) spare: u8,
    pub(crate) flags: U32,
    pub(crate) checksum: U32, // CRC-32 of the 20 bytes before it, and of the payload if `kind` says so
}

const _: () = assert!(size_of::<BlockHeader>() == 24 && offset_of!(BlockHeader, flags) == 16);

/// See docs/format.md, "Entry header".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct EntryHeader {
    pub(crate) id: U64, // stored last
    pub(crate) sequence: U64,
    pub(crate) len: U32,
    pub(crate) checksum: U32, // CRC-32 of a seed, the 20 bytes before it, the payload
    pub(crate) room: U32, // bytes that payloads at this place can have; 0 where they never change
    pub(crate) room_checksum: U32, // CRC-32 of the incarnation, id, sequence and room; 0 without room
}

/// See docs/format.md, "Slab header".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SlabHeader {
    pub(crate) id: U64,
    pub(crate) object_len: U32,
    pub(crate) slots: U32,
    pub(crate) flags: U32,         // 1: a generation per slot
    pub(crate) spare: U32,         // written as zero, rejected otherwise
    pub(crate) mark: U64,          // the caller's
    pub(crate) reserved: [u8; 28], // written as zero, rejected otherwise
    pub(crate) checksum: U32,      // CRC-32 of the 60 bytes before it
}

/// Bytes of a slab header.
pub(crate) const SLAB_HEADER: u64 = 64;

const _: () = assert!(size_of::<SlabHeader>() == 64 && offset_of!(SlabHeader, checksum) == 60);

/// Bytes of an entry header, before the payload.
pub(crate) const ENTRY_HEADER: u64 = 32;
/// `EntryHeader::len` of a tombstone, which has no payload.
pub(crate) const TOMBSTONE_LEN: u32 = u32::MAX;
/// The longest payload of an entry.
pub(crate) const ENTRY_LEN_MAX: u64 = 0xffff_fffe;
/// The most room of an entry.
pub(crate) const ROOM_MAX: u64 = 0xffff_fff0;

const _: () = assert!(size_of::<EntryHeader>() == 32 && offset_of!(EntryHeader, checksum) == 20);

/// `BlockHeader::kind`: the checksum covers the header alone.
pub(crate) const KIND_PLAIN: u8 = 0;
/// `BlockHeader::kind`: the checksum covers the payload too.
pub(crate) const KIND_SUMMED: u8 = 1;
/// `BlockHeader::kind`: the payload was lent for direct stores; nobody knows its checksum.
pub(crate) const KIND_DIRECT: u8 = 2;

/// See docs/format.md, "Name".
#[derive(Debug, Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct NameHeader {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) spare: U16,
    pub(crate) generation: U32,
    pub(crate) value: U64,
    pub(crate) reserved: [u8; 8], // written as zero, rejected otherwise
}

const _: () = assert!(size_of::<NameHeader>() == 24 && offset_of!(NameHeader, value) == 8);

/// See docs/format.md, "Snapshot header".
#[derive(Debug, Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SnapshotHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) generation: U64,
    pub(crate) region_count: U32,
    pub(crate) store_count: U32,
    pub(crate) segment_count: U32,
    pub(crate) checksum: U32, // CRC-32 of the 28 bytes before it and of the lists
}

pub(crate) const SNAPSHOT_MAGIC: [u8; 8] = *b"PGSFREE1";

const _: () = assert!(size_of::<SnapshotHeader>() == 32);

/// See docs/format.md, "Snapshot region".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SnapshotRegion {
    pub(crate) number: U32,
    pub(crate) free: U32,
    pub(crate) offset: U64, // of its bitmap from the start of the snapshot; 0 where nothing is free
    pub(crate) start: U64,
    pub(crate) spare: U32,
    pub(crate) checksum: U32, // CRC-32 of generation, number and bitmap
}

const _: () = assert!(size_of::<SnapshotRegion>() == 32);

/// See docs/format.md, "Snapshot store".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SnapshotStore {
    pub(crate) number: U32,
    pub(crate) vacant_from: U32, // 4,096 slots each: no index before is vacant
    pub(crate) next: U64,
    pub(crate) live: U64,
    pub(crate) vacant: U64,
}

const _: () = assert!(size_of::<SnapshotStore>() == 32);

/// See docs/format.md, "Snapshot segment".
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SnapshotSegment {
    pub(crate) number: U32,
    pub(crate) store: U32,
    pub(crate) start: U64,
    pub(crate) first: U64,
    pub(crate) incarnation: U64,
    pub(crate) end: U64,  // the first byte behind the last entry
    pub(crate) live: U64, // bytes of entries that slots name
}

const _: () = assert!(size_of::<SnapshotSegment>() == 48);

impl Superblock {
    /// The checksum that the other bytes ask for.
    pub(crate) fn sum(&self) -> u32 {
        crc32fast::hash(self.as_bytes().get(..508).unwrap_or_default())
    }
}

impl RegionHeader {
    /// The checksum that the other bytes ask for.
    pub(crate) fn sum(&self) -> u32 {
        crc32fast::hash(self.as_bytes().get(..60).unwrap_or_default())
    }
}

impl SlabHeader {
    /// The checksum that the other bytes ask for.
    pub(crate) fn sum(&self) -> u32 {
        crc32fast::hash(self.as_bytes().get(..60).unwrap_or_default())
    }
}

/// The checksum of a segment's incarnation, from which those of its entries go on.
pub(crate) fn seed_of(incarnation: u64) -> u32 {
    crc32fast::hash(&incarnation.to_le_bytes())
}

impl EntryHeader {
    /// The checksum of the entry in a segment the checksum of whose incarnation is `seed`.
    #[inline]
    pub(crate) fn sum(&self, seed: u32, payload: &[u8]) -> u32 {
        let mut hasher = self.hasher(seed);
        hasher.update(payload);
        hasher.finalize()
    }

    /// As [`sum`](Self::sum), of a payload whose own checksum is `payload`.
    pub(crate) fn sum_before(&self, seed: u32, payload: &crc32fast::Hasher) -> u32 {
        let mut hasher = self.hasher(seed);
        hasher.combine(payload);
        hasher.finalize()
    }

    /// What the checksum goes over before the payload. An entry with room is tied to its segment by
    /// the checksum of the room, so that a reader who does not know the incarnation can compare.
    #[inline]
    pub(crate) fn hasher(&self, seed: u32) -> crc32fast::Hasher {
        let mut hasher =
            crc32fast::Hasher::new_with_initial(if self.has_room() { 0 } else { seed });
        if self.has_room() {
            hasher.update(self.as_bytes().get(24..).unwrap_or_default());
        }
        hasher.update(self.as_bytes().get(..20).unwrap_or_default());
        hasher
    }

    /// Sets both checksums, in a segment the checksum of whose incarnation is `seed`.
    #[inline]
    pub(crate) fn seal(&mut self, seed: u32, payload: &[u8]) {
        if self.has_room() {
            self.room_checksum = U32::new(self.room_sum(seed));
        }
        self.checksum = U32::new(self.sum(seed, payload));
    }

    /// The checksum of the room, in a segment the checksum of whose incarnation is `seed`.
    pub(crate) fn room_sum(&self, seed: u32) -> u32 {
        let mut hasher = crc32fast::Hasher::new_with_initial(seed);
        hasher.update(self.as_bytes().get(..16).unwrap_or_default());
        hasher.update(&self.room.to_bytes());
        hasher.finalize()
    }

    /// Whether both checksums are those of this header with this payload.
    pub(crate) fn is_right(&self, seed: u32, payload: &[u8]) -> bool {
        self.is_room_right(seed) && self.sum(seed, payload) == self.checksum.get()
    }

    /// Whether the entry has no room, or room that its checksum confirms.
    pub(crate) fn is_room_right(&self, seed: u32) -> bool {
        !self.has_room() || self.room_sum(seed) == self.room_checksum.get()
    }

    /// Whether the payload can be changed where it lies.
    pub(crate) fn has_room(&self) -> bool {
        self.room.get() != 0
    }

    /// Whether the lengths can be those of an entry.
    pub(crate) fn is_sound(&self) -> bool {
        if !self.has_room() {
            return self.room_checksum.get() == 0;
        }
        let room = u64::from(self.room.get());
        room.is_multiple_of(16) && self.payload() <= room && !self.is_tombstone()
    }

    /// The header that four words, in file order, are.
    pub(crate) fn from_words(words: [u64; 4]) -> Self {
        zerocopy::transmute!(words)
    }

    /// Whether it says that the id was removed.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.len.get() == TOMBSTONE_LEN
    }

    /// Bytes of the payload.
    pub(crate) fn payload(&self) -> u64 {
        if self.is_tombstone() { 0 } else { u64::from(self.len.get()) }
    }

    /// Bytes from this entry to the next.
    pub(crate) fn stride(&self) -> u64 {
        let held = self.payload().max(self.room.get().into());
        ENTRY_HEADER.saturating_add(held).next_multiple_of(16)
    }
}

impl BlockHeader {
    /// A header without its checksum.
    pub(crate) fn new(id: u64, len: u64, (kind, flags): (u8, u32)) -> Self {
        let mut six = [0; 6];
        for (to, from) in six.iter_mut().zip(len.to_le_bytes()) {
            *to = from;
        }
        Self {
            id: U64::new(id),
            len: six,
            kind,
            spare: 0,
            flags: U32::new(flags),
            checksum: U32::new(0),
        }
    }

    /// Bytes of the payload.
    pub(crate) fn len(&self) -> u64 {
        let mut eight = [0; 8];
        for (to, from) in eight.iter_mut().zip(self.len) {
            *to = from;
        }
        u64::from_le_bytes(eight)
    }

    /// The checksum of the header without the payload.
    pub(crate) fn sum(&self) -> u32 {
        crc32fast::hash(self.as_bytes().get(..20).unwrap_or_default())
    }

    /// The checksum that goes on over the payload.
    pub(crate) fn sum_with(&self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.as_bytes().get(..20).unwrap_or_default());
        hasher.update(payload);
        hasher.finalize()
    }

    /// The checksum that goes on over a payload whose own checksum is `payload`.
    pub(crate) fn sum_before(&self, payload: &crc32fast::Hasher) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.as_bytes().get(..20).unwrap_or_default());
        hasher.combine(payload);
        hasher.finalize()
    }

    /// The header that three words, in file order, are.
    pub(crate) fn from_words(words: [u64; 3]) -> Self {
        zerocopy::transmute!(words)
    }
}
