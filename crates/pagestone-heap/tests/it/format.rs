//! The layouts are as docs/format.md says.

use std::{fs, mem::offset_of, path::Path};

use pagestone_testkit::{LayoutField, check_layout};
use zerocopy::FromZeros;

// The private file itself, so that no struct becomes public for a test.
#[path = "../../src/layout.rs"]
#[expect(dead_code, reason = "only the places of the fields are looked at")]
mod private;

use private::{
    BlockHeader, EntryHeader, NameHeader, RegionHeader, SlabHeader, SnapshotHeader, SnapshotRegion,
    SnapshotSegment, SnapshotStore, Superblock, owner,
};

/// The fields of a struct, whose sizes are told by a value of it.
macro_rules! fields {
    ($stored:ty: $($field:ident)*) => {{
        let stored = <$stored>::new_zeroed();
        [$(LayoutField {
            name: stringify!($field),
            offset: offset_of!($stored, $field),
            size: size_of_val(&stored.$field),
        }),*]
    }};
}

#[track_caller]
fn check(section: &str, fields: &[LayoutField]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format.md");
    check_layout(&fs::read_to_string(path).unwrap(), section, fields).unwrap();
}

#[test]
fn superblock() {
    check(
        "Superblock",
        &fields!(Superblock: magic version incompatible read_compatible spare uuid generation len
            region_count region_size snapshot_offset snapshot_len reserved checksum),
    );
}

#[test]
fn owner_page() {
    let words = [
        ("clean", owner::CLEAN),
        ("published", owner::PUBLISHED),
        ("discarding", owner::DISCARDING),
        ("poisoned", owner::POISONED),
        ("boot", owner::BOOT),
        ("device", owner::DEVICE),
        ("inode", owner::INODE),
        ("mount", owner::MOUNT),
        ("scratch", owner::SCRATCH),
    ];
    let field = |(name, at)| {
        let offset = usize::try_from(at).unwrap() - 8192;
        LayoutField { name, offset, size: 8 }
    };
    check("Owner page", &words.map(field));
}

#[test]
fn region_header() {
    check(
        "Region header",
        &fields!(RegionHeader: magic kind part spare number store uuid incarnation len first
            reserved checksum),
    );
}

#[test]
fn block_header() {
    check("Block header", &fields!(BlockHeader: id len kind spare flags checksum));
}

#[test]
fn entry_header() {
    let entry = fields!(EntryHeader: id sequence len checksum room room_checksum);
    check("Entry header", &entry);
}

#[test]
fn slab_header() {
    check(
        "Slab header",
        &fields!(SlabHeader: id object_len slots flags spare mark reserved checksum),
    );
}

#[test]
fn name() {
    check("Name", &fields!(NameHeader: kind flags spare generation value reserved));
}

#[test]
fn snapshot() {
    check(
        "Snapshot header",
        &fields!(SnapshotHeader: magic generation region_count store_count segment_count checksum),
    );
    check("Snapshot region", &fields!(SnapshotRegion: number free offset start spare checksum));
    check("Snapshot store", &fields!(SnapshotStore: number vacant_from next live vacant));
    check(
        "Snapshot segment",
        &fields!(SnapshotSegment: number store start first incarnation end live),
    );
}
