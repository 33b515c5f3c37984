//! Records on their way into a storage: appended by the thousand.

use std::{fmt, path::Path};

use bytemuck::Pod;
use pagestone_storage as storage;

use crate::{
    error::Result,
    manifest::{self, name_of},
    summary::TableFacts,
};

/// Bytes that are appended at once.
const BATCH_LEN: usize = 384 << 10;

/// A storage that is filled record by record.
pub(super) struct Batch<T: Pod + fmt::Debug> {
    storage: storage::Storage<T>,
    waiting: Vec<T>,
    capacity: usize,
    /// Of what was appended; none once the records may lie otherwise.
    crc: Option<crc32fast::Hasher>,
}

impl<T: Pod + fmt::Debug> Batch<T> {
    /// Creates the storage.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let storage = storage::Options::new().backing(storage::Backing::File).create(path)?;
        let capacity = BATCH_LEN / size_of::<T>();
        Ok(Self { storage, waiting: Vec::new(), capacity, crc: Some(crc32fast::Hasher::new()) })
    }

    #[inline]
    pub(super) fn push(&mut self, record: T) -> Result<()> {
        if self.capacity <= self.waiting.len() {
            self.flush()?;
        }
        self.waiting.push(record);
        Ok(())
    }

    /// Appends several records.
    #[inline]
    pub(super) fn extend(&mut self, records: &[T]) -> Result<()> {
        if self.waiting.len() + records.len() <= self.capacity {
            self.waiting.extend_from_slice(records);
            return Ok(());
        }
        records.chunks(self.capacity).try_for_each(|records| {
            if self.capacity < self.waiting.len() + records.len() {
                self.flush()?;
            }
            self.waiting.extend_from_slice(records);
            Ok(())
        })
    }

    /// The records given so far.
    pub(super) fn len(&self) -> u64 {
        self.storage.len() + self.waiting.len() as u64
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        if let Some(crc) = &mut self.crc {
            crc.update(bytemuck::cast_slice(&self.waiting));
        }
        self.storage.append(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// The storage, in which [`flush`](Self::flush) has put everything; it may be sorted.
    pub(super) fn storage(&mut self) -> &mut storage::Storage<T> {
        self.crc = None;
        &mut self.storage
    }

    /// Closes the storage.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        Ok(self.storage.close()?)
    }

    /// Syncs the storage and says what it is.
    pub(super) fn close(mut self) -> Result<TableFacts> {
        self.flush()?;
        let (path, count) = (self.storage.path().to_path_buf(), self.storage.len());
        self.storage.close()?;
        match self.crc {
            Some(crc) => Ok(TableFacts::new::<T>(&name_of(&path), count, crc.finalize())),
            None => manifest::table_facts::<T>(&path),
        }
    }
}
