//! The mapped files of an index, checked at open.

use std::path::{Path, PathBuf};

use pagestone_storage::{le::U32, le::U64};

use super::{
    entries::Entries,
    mapped::{Mapped, Opener},
    relation::Relation,
};
use crate::{
    error::{Error, Result},
    ids::PackedBlock,
    layout::{
        CLASS_COUNT_MAX, ClassOrderRecord, ClassRecord, ID_BLOCK_LEN, IdBlockRecord, KindCode,
        LongPayloadRecord, OBJECT_COUNT_MAX, ObjectRecord, RootRecord, StringRecord,
    },
    manifest::{self, INBOUND, INSTANCES, Manifest, OUTBOUND, file},
    summary::TableFacts,
};

/// Ids in a block.
#[expect(clippy::cast_possible_truncation, reason = "64")]
const ID_BLOCK_COUNT: u32 = ID_BLOCK_LEN as u32;

/// The tables that questions are answered from.
pub(super) struct Tables {
    directory: PathBuf,
    objects: Mapped<ObjectRecord>,
    long_payloads: Mapped<LongPayloadRecord>,
    id_blocks: Mapped<IdBlockRecord>,
    id_words: Mapped<U64>,
    classes: Mapped<ClassRecord>,
    orders: Mapped<ClassOrderRecord>,
    pub(super) roots: Mapped<RootRecord>,
    pub(super) outbound: Relation,
    pub(super) inbound: Relation,
    pub(super) instances: Relation,
    pub(super) tree: Entries,
    pub(super) biggest: Mapped<U32>,
    pub(super) strings: Mapped<StringRecord>,
    pub(super) string_objects: Mapped<U32>,
    object_count: u32,
    class_count: u32,
}

impl Tables {
    pub(super) fn open(opener: Opener<'_>) -> Result<Self> {
        let manifest = opener.manifest;
        let directory = opener.dir.path().to_path_buf();
        for name in [file::CLASSES, file::CLASS_ORDERS] {
            check_crc(&directory, manifest.table(&directory, name)?)?;
        }
        let count = |name, max| {
            let facts = manifest.table(&directory, name)?;
            let count = u32::try_from(facts.record_count).ok().filter(|&count| count <= max);
            count.ok_or_else(|| {
                let path = directory.join(name);
                Error::corrupt(&path, "number of records", (max, facts.record_count))
            })
        };
        let class_count = count(file::CLASSES, CLASS_COUNT_MAX)?;
        let object_count = count(file::OBJECTS, OBJECT_COUNT_MAX)?;
        let relation = |files, keys| Relation::open(opener, (files, keys, object_count));
        let tables = Self {
            objects: Mapped::open(opener, file::OBJECTS)?,
            long_payloads: Mapped::open(opener, file::LONG_PAYLOADS)?,
            id_blocks: Mapped::open(opener, file::ID_BLOCKS)?,
            id_words: Mapped::open(opener, file::ID_WORDS)?,
            classes: Mapped::open(opener, file::CLASSES)?,
            orders: Mapped::open(opener, file::CLASS_ORDERS)?,
            roots: Mapped::open(opener, file::ROOTS)?,
            outbound: relation(&OUTBOUND, object_count)?,
            inbound: relation(&INBOUND, object_count)?,
            instances: relation(&INSTANCES, class_count)?,
            tree: Entries::open(opener, object_count)?,
            biggest: Mapped::open(opener, file::BIGGEST)?,
            strings: Mapped::open(opener, file::STRINGS)?,
            string_objects: Mapped::open(opener, file::STRING_OBJECTS)?,
            directory,
            object_count,
            class_count,
        };
        let counts = (class_count as usize, tables.orders.len());
        if counts.0 != counts.1 {
            return Err(Error::corrupt(tables.orders.path(), "number of classes", counts));
        }
        Ok(tables)
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    pub(super) fn class_count(&self) -> u32 {
        self.class_count
    }

    #[inline]
    pub(super) fn class(&self, ordinal: u32) -> Result<ClassRecord> {
        self.classes.get(ordinal)
    }

    pub(super) fn order(&self, index: u32) -> Result<ClassOrderRecord> {
        self.orders.get(index)
    }

    /// The ordinal of an object, if there is one; O(log objects).
    #[inline]
    pub(super) fn ordinal(&self, id: u64) -> Result<Option<u32>> {
        let after = self.id_blocks.partition_point(|block| block.first_id.get() <= id)?;
        let Some(number) = after.checked_sub(1) else { return Ok(None) };
        // Blocks are no more than there are objects.
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let Some(block) = self.id_block(number)? else { return Ok(None) };
        let index = block.find(id).map_err(|_| self.corrupt_ids(number))?;
        let ordinal = |index| number * ID_BLOCK_COUNT + u32::try_from(index).unwrap_or(0);
        Ok(index.map(ordinal))
    }

    /// The id of an object.
    #[inline]
    pub(super) fn id(&self, ordinal: u32) -> Result<u64> {
        let block = self.id_block(ordinal / ID_BLOCK_COUNT)?;
        let index = (ordinal % ID_BLOCK_COUNT) as usize;
        block.and_then(|block| block.id(index)).ok_or_else(|| self.corrupt_ids(ordinal))
    }

    /// A block of ids; none behind the last object.
    #[inline]
    fn id_block(&self, number: u32) -> Result<Option<PackedBlock<'_>>> {
        let first = number.saturating_mul(ID_BLOCK_COUNT);
        if self.object_count <= first {
            return Ok(None);
        }
        let len = (self.object_count - first).min(ID_BLOCK_COUNT) as usize;
        let block = self.id_blocks.get(number)?;
        let words = block.words().ok_or_else(|| self.corrupt_ids(number))?;
        Ok(Some(PackedBlock { block, words: self.id_words.range(words)?, len }))
    }

    #[cold]
    fn corrupt_ids(&self, number: u32) -> Error {
        let found = format!("none for {number}");
        Error::corrupt(self.id_blocks.path(), "id of an object", ("one", found))
    }

    pub(super) fn object(&self, ordinal: u32) -> Result<ObjectRecord> {
        self.objects.get(ordinal)
    }

    /// The kind of an object.
    pub(super) fn kind(&self, record: &ObjectRecord) -> Result<KindCode> {
        record.kind().map_err(|code| self.corrupt_object("kind", code))
    }

    /// Bytes of the payload of an object.
    pub(super) fn payload_len(&self, ordinal: u32, record: &ObjectRecord) -> Result<u32> {
        if !record.is_long() {
            return Ok(u32::from(record.payload_len.get()));
        }
        let found = self.long_payloads.find(ordinal, |long| long.object.get())?;
        found.map(|long| long.payload_len.get()).ok_or_else(|| {
            let path = self.long_payloads.path();
            Error::corrupt(path, "length of a payload", ("one", format!("none of {ordinal}")))
        })
    }

    pub(super) fn corrupt_object(&self, what: &'static str, found: u32) -> Error {
        Error::corrupt(self.objects.path(), what, ("one that exists", found))
    }
}

/// Compares the length of every file with the manifest.
pub(super) fn check_lens(directory: &Path, manifest: &Manifest) -> Result<()> {
    manifest.tables.iter().try_for_each(|facts| check_len(directory, facts))
}

fn check_len(directory: &Path, facts: &TableFacts) -> Result<()> {
    let path = directory.join(&facts.name);
    if !file::ALL.contains(&facts.name.as_str()) {
        let found = facts.name.as_str();
        let manifest = directory.join(file::MANIFEST);
        return Err(Error::corrupt(&manifest, "list of files", ("a file of an index", found)));
    }
    let metadata = std::fs::symlink_metadata(&path);
    let found = metadata.map_err(|source| Error::io("open", &path, source))?.len();
    if found == facts.byte_len {
        return Ok(());
    }
    Err(Error::truncated(&path, facts.byte_len, found))
}

fn check_crc(directory: &Path, facts: &TableFacts) -> Result<()> {
    let path = directory.join(&facts.name);
    let (len, crc32) = manifest::checksum(&path)?;
    if len != facts.byte_len {
        return Err(Error::truncated(&path, facts.byte_len, len));
    }
    if crc32 == facts.crc32 {
        return Ok(());
    }
    let show = |crc: u32| format!("{crc:08x}");
    Err(Error::corrupt(&path, "checksum", (show(facts.crc32), show(crc32))))
}

/// Compares every file with the manifest.
pub(super) fn verify(directory: &Path, manifest: &Manifest) -> Result<()> {
    manifest.tables.iter().try_for_each(|facts| check_crc(directory, facts))
}
