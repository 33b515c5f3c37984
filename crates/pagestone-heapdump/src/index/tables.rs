//! The mapped files of an index, checked at open.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use bytemuck::Pod;
use pagestone_storage as storage;
use storage::{Backing, Bias, Field, Kind, Options, Records, TrustedDir};

use crate::{
    error::{Error, Result},
    layout::{CLASS_COUNT_MAX, ClassOrderRecord, ClassRecord, ObjectRecord},
    manifest::{self, Manifest, file},
    summary::TableFacts,
};

/// The field that the object table is sorted by.
const ID: Field = Field::new(0, Kind::U64);

/// The tables that questions are answered from.
pub(super) struct Tables {
    directory: PathBuf,
    objects: Records<ObjectRecord>,
    classes: Records<ClassRecord>,
    orders: Records<ClassOrderRecord>,
    class_count: u32,
}

impl Tables {
    pub(super) fn open(dir: &TrustedDir, manifest: &Manifest) -> Result<Self> {
        let directory = dir.path().to_path_buf();
        for facts in &manifest.tables {
            check_len(&directory, facts)?;
        }
        let objects = open(dir, manifest.table(&directory, file::OBJECTS)?)?;
        let classes_facts = manifest.table(&directory, file::CLASSES)?;
        let orders_facts = manifest.table(&directory, file::CLASS_ORDERS)?;
        let (classes, orders) = (open(dir, classes_facts)?, open(dir, orders_facts)?);
        for facts in [classes_facts, orders_facts] {
            check_crc(&directory, facts)?;
        }
        let count = |records: u64| u32::try_from(records).ok().filter(|&n| n <= CLASS_COUNT_MAX);
        let class_count = count(classes.len()).filter(|&n| count(orders.len()) == Some(n));
        let Some(class_count) = class_count else {
            let path = directory.join(file::CLASS_ORDERS);
            let lens = (classes.len(), orders.len());
            return Err(Error::corrupt(&path, "number of classes", lens));
        };
        Ok(Self { directory, objects, classes, orders, class_count })
    }

    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    pub(super) fn class_count(&self) -> u32 {
        self.class_count
    }

    #[inline]
    pub(super) fn class(&self, ordinal: u32) -> Result<ClassRecord> {
        Ok(*self.classes.get(u64::from(ordinal))?)
    }

    pub(super) fn order(&self, index: u32) -> Result<ClassOrderRecord> {
        Ok(*self.orders.get(u64::from(index))?)
    }

    pub(super) fn object(&self, id: u64) -> Result<Option<ObjectRecord>> {
        match self.objects.binary_search(ID, id, Bias::Exact)? {
            Some(index) => Ok(Some(*self.objects.get(index)?)),
            None => Ok(None),
        }
    }

    pub(super) fn corrupt_object(&self, what: &'static str, found: u32) -> Error {
        Error::corrupt(self.objects.path(), what, ("one that exists", found))
    }
}

fn open<T: Pod + fmt::Debug>(dir: &TrustedDir, facts: &TableFacts) -> Result<Records<T>> {
    let options = Options::new().backing(Backing::Map).reserve(facts.byte_len);
    let records = options.open_read_only::<T>(dir.file(&facts.name))?;
    if records.len() == facts.record_count {
        return Ok(records);
    }
    let counts = (facts.record_count, records.len());
    Err(Error::corrupt(records.path(), "number of records", counts))
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
