//! Superblocks and region headers, decoded and checked.

use std::path::Path;

use pagestone_storage::raw::RawFile;
use zerocopy::{
    FromBytes, FromZeros, IntoBytes,
    little_endian::{U32, U64},
};

use crate::{
    error::{Error, ErrorKind, Result},
    layout::{
        MAGIC, REGION_MAGIC, RegionHeader, SUPERBLOCK_SIZE, SUPERBLOCKS, Superblock, UNIT, VERSION,
    },
    options::{REGION_SIZE_MAX, REGION_SIZE_MIN},
    ranges::Range,
    shared::Shared,
    units::Kind,
};

/// What the newest valid superblock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) generation: u64,
    pub(crate) len: u64,
    pub(crate) region_count: u64,
    pub(crate) region_size: u64,
    pub(crate) snapshot: Range,
    pub(crate) uuid: [u8; 16],
    pub(crate) read_compatible: u32,
}

impl Committed {
    /// The bytes of the superblock slot.
    pub(crate) fn encode(&self) -> Superblock {
        let mut superblock = Superblock {
            magic: MAGIC,
            version: U32::new(VERSION),
            incompatible: U32::new(0),
            read_compatible: U32::new(self.read_compatible),
            spare: U32::new(0),
            uuid: self.uuid,
            generation: U64::new(self.generation),
            len: U64::new(self.len),
            region_count: U64::new(self.region_count),
            region_size: U64::new(self.region_size),
            snapshot_offset: U64::new(self.snapshot.start),
            snapshot_len: U64::new(self.snapshot.len),
            reserved: [0; 420],
            checksum: U32::new(0),
        };
        superblock.checksum = U32::new(superblock.sum());
        superblock
    }
}

/// Reads both slots with `read` and takes the newest that is valid.
pub(crate) fn read_superblock(
    path: &Path,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<()>,
) -> Result<Committed> {
    let mut newest: Option<Superblock> = None;
    let mut first = [0; SUPERBLOCK_SIZE];
    for slot in SUPERBLOCKS {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        read(slot, &mut bytes)?;
        if slot == 0 {
            first = bytes;
        }
        let Ok(found) = Superblock::read_from_bytes(&bytes) else { continue };
        let parity = SUPERBLOCKS[usize::from(found.generation.get() & 1 == 1)] == slot;
        let valid = found.magic == MAGIC && found.checksum.get() == found.sum() && parity;
        let newer = newest.as_ref().is_none_or(|other| other.generation < found.generation);
        if valid && newer {
            newest = Some(found);
        }
    }
    match newest {
        Some(superblock) => check_superblock(path, &superblock),
        None => Err(no_superblock(path, &first)),
    }
}

#[cold]
fn no_superblock(path: &Path, first: &[u8; SUPERBLOCK_SIZE]) -> Error {
    let word =
        |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes: &[u8; 8]| u64::from_le_bytes(*bytes));
    if first.starts_with(&MAGIC) {
        let found = word(first.get(504..).unwrap_or_default());
        return Error::corrupt(path, ("checksum of both superblocks", 504), 0, found);
    }
    Error::corrupt(path, ("magic of a region file", 0), word(&MAGIC), word(first))
}

fn check_superblock(path: &Path, found: &Superblock) -> Result<Committed> {
    let version = found.version.get();
    if version != VERSION || found.incompatible.get() != 0 {
        let what = format!(
            "version {version} with incompatible flags {:#x}; this is version {VERSION}",
            found.incompatible.get()
        );
        return Err(Error::refused(ErrorKind::UnknownVersion, path, what));
    }
    let slot = SUPERBLOCKS[usize::from(found.generation.get() & 1 == 1)];
    let bad = |what, offset, expected, value| {
        Err(Error::corrupt(path, (what, slot + offset), expected, value))
    };
    if found.generation.get() == 0 || u64::MAX >> 24 < found.generation.get() {
        return bad("generation", 40, 1, found.generation.get());
    }
    if found.spare.get() != 0 || found.reserved != [0; 420] {
        return bad("reserved bytes", 88, 0, found.spare.get().into());
    }
    let len = found.len.get();
    if !len.is_multiple_of(UNIT) || len < 2 * UNIT {
        return bad("committed length", 48, 2 * UNIT, len);
    }
    let size = found.region_size.get();
    if !(REGION_SIZE_MIN..=REGION_SIZE_MAX).contains(&size) || !size.is_power_of_two() {
        return bad("region size", 64, REGION_SIZE_MIN, size);
    }
    let snapshot = Range { start: found.snapshot_offset.get(), len: found.snapshot_len.get() };
    let end = snapshot.start.checked_add(snapshot.len);
    let aligned = snapshot.start.is_multiple_of(UNIT) && snapshot.len.is_multiple_of(UNIT);
    if !aligned || end.is_none_or(|end| len < end) {
        return bad("place of the snapshot", 72, len, snapshot.start);
    }
    Ok(Committed {
        generation: found.generation.get(),
        len,
        region_count: found.region_count.get(),
        region_size: size,
        snapshot,
        uuid: found.uuid,
        read_compatible: found.read_compatible.get(),
    })
}

/// Reads the superblock as the page cache has it.
pub(crate) fn cached_superblock(raw: &RawFile) -> Result<Committed> {
    read_superblock(raw.path(), |offset, into| raw.pread(offset, into).map_err(Error::from))
}

/// Reads the header of a region and checks it against what the directory says.
pub(crate) fn read_region_header(
    shared: &Shared,
    (number, kind, range): (u32, Kind, Range),
) -> Result<RegionHeader> {
    let mut header = RegionHeader::new_zeroed();
    shared.raw.read_at(range.start, header.as_mut_bytes());
    let bad = |what, offset, expected, found| {
        Err(Error::corrupt(shared.path(), (what, range.start + offset), expected, found))
    };
    if header.magic != REGION_MAGIC {
        let word = u64::from(u32::from_le_bytes(header.magic));
        return bad("magic of a region", 0, u64::from(u32::from_le_bytes(REGION_MAGIC)), word);
    }
    let sum = header.sum();
    if header.checksum.get() != sum {
        return bad(
            "checksum of a region header",
            60,
            u64::from(sum),
            header.checksum.get().into(),
        );
    }
    if header.uuid != shared.uuid {
        return bad("file id in a region header", 16, 0, u64::from(number));
    }
    if header.kind != kind.code() || header.number.get() != number {
        return bad("number of a region", 8, u64::from(number), u64::from(header.number.get()));
    }
    if header.len.get() != range.len || header.reserved != [0; 4] || header.spare.get() != 0 {
        return bad("length of a region", 40, range.len, header.len.get());
    }
    Ok(header)
}
