//! The files of an index.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use pagestone_index::{Table, TableOptions};
use pagestone_storage::{le::U32, le::U64};

use super::{
    entries::Entries,
    mapped::{Files, Lazy, Mapped},
    relation::Relation,
};
use crate::{
    error::{Error, Result},
    ids::PackedBlock,
    layout::{
        CLASS_COUNT_MAX, ClassOrderRecord, ClassRecord, FormRecord, ID_BLOCK_LEN, IdBlockRecord,
        OBJECT_BLOCK_LEN, OBJECT_COUNT_MAX, RootRecord, StringRecord,
    },
    manifest::{self, INBOUND, INSTANCES, Manifest, OUTBOUND, file},
    objects::{Block, StoredObject},
    summary::TableFacts,
};

/// Ids in a block.
#[expect(clippy::cast_possible_truncation, reason = "64")]
const ID_BLOCK_COUNT: u32 = ID_BLOCK_LEN as u32;

/// The tables that questions are answered from.
pub(super) struct Tables {
    files: Arc<Files>,
    forms: Mapped<FormRecord>,
    object_heads: Mapped<U64>,
    objects: Mapped<u8>,
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
    strings: Lazy<Table<StringRecord>>,
    pub(super) string_objects: Mapped<U32>,
    object_count: u32,
    class_count: u32,
}

impl Tables {
    pub(super) fn new(files: &Arc<Files>) -> Result<Self> {
        let count = |count: u64, (name, max)| {
            let known = u32::try_from(count).ok().filter(|&count| count <= max);
            known
                .ok_or_else(|| Error::corrupt(&files.path(name), "number of records", (max, count)))
        };
        let class_count = files.facts(file::CLASSES)?.record_count;
        let class_count = count(class_count, (file::CLASSES, CLASS_COUNT_MAX))?;
        let object_count = files.manifest.summary.object_count;
        let object_count = count(object_count, (file::MANIFEST, OBJECT_COUNT_MAX))?;
        let relation = |names, keys| Relation::new(files, (names, keys, object_count));
        let tables = Self {
            forms: Mapped::new(files, file::FORMS)?,
            object_heads: Mapped::new(files, file::OBJECT_HEADS)?,
            objects: Mapped::new(files, file::OBJECTS)?,
            id_blocks: Mapped::new(files, file::ID_BLOCKS)?,
            id_words: Mapped::new(files, file::ID_WORDS)?,
            classes: Mapped::new(files, file::CLASSES)?,
            orders: Mapped::new(files, file::CLASS_ORDERS)?,
            roots: Mapped::new(files, file::ROOTS)?,
            outbound: relation(&OUTBOUND, object_count)?,
            inbound: relation(&INBOUND, object_count)?,
            instances: relation(&INSTANCES, class_count)?,
            tree: Entries::new(files, object_count)?,
            biggest: Mapped::new(files, file::BIGGEST)?,
            strings: Lazy::new(),
            string_objects: Mapped::new(files, file::STRING_OBJECTS)?,
            files: Arc::clone(files),
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
        self.files.dir.path()
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

    /// What is known of an object.
    pub(super) fn object(&self, ordinal: u32) -> Result<StoredObject> {
        let block = ordinal as usize / OBJECT_BLOCK_LEN;
        let place = |block: usize| -> Result<usize> {
            if block == self.object_heads.len() {
                return Ok(self.objects.len());
            }
            Ok(usize::try_from(self.object_heads.at(block)?.get()).unwrap_or(usize::MAX))
        };
        let bytes = self.objects.range(place(block)?..place(block + 1)?)?;
        let objects = Block::new(self.forms.all()?, bytes);
        let object = objects.and_then(|mut block| block.nth(ordinal as usize % OBJECT_BLOCK_LEN));
        match object {
            Some(Ok(object)) => Ok(object),
            _ => Err(self.no_object(ordinal)),
        }
    }

    #[cold]
    fn no_object(&self, ordinal: u32) -> Error {
        let found = format!("none with number {ordinal}");
        Error::corrupt(self.objects.path(), "objects", ("one", found))
    }

    /// The values of strings, by fingerprint.
    pub(super) fn strings(&self) -> Result<&Table<StringRecord>> {
        self.strings.get(|| {
            // Its rows are compared block by block with checksums that lie here.
            for name in [file::STRING_FILES[0], file::STRING_FILES[2]] {
                self.files.checks(name)?.check_all()?;
            }
            let directory = self.files.dir.subdirectory(file::STRINGS)?;
            Ok(TableOptions::new().check_blocks().open(directory)?)
        })
    }

    /// Where the values of strings lie.
    pub(super) fn strings_path(&self) -> PathBuf {
        self.files.path(file::STRINGS)
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
    let metadata = metadata.map_err(|source| Error::io("open", &path, source))?;
    if !metadata.is_file() {
        let found = format!("{:?}", metadata.file_type());
        return Err(Error::corrupt(&path, "kind", ("a regular file", found)));
    }
    if metadata.len() == facts.byte_len {
        return Ok(());
    }
    Err(Error::truncated(&path, facts.byte_len, metadata.len()))
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
