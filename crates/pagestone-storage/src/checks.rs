//! Blocks of records that are compared with their checksums when they are first needed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    core::Core,
    error::{Error, ErrorKind, Result},
    record::Record,
    records::Records,
    sidecar::{SidecarStatus, build},
};

/// Compares blocks of records with their checksums, each once, when they are asked for; made by
/// [`Records::block_checks`]. Shared by threads.
pub struct BlockChecks {
    core: Arc<Core>,
    checksums: Vec<u32>,
    block_records: u64,
    record_count: u64,
    /// A bit for each block that was right.
    seen: Vec<AtomicU64>,
}

impl<T: Record + ?Sized> Records<T> {
    /// Loads the checksums of the sidecar, 4 bytes for each block of some 64 KiB, to compare
    /// blocks with before they are trusted.
    ///
    /// Of use where records do not change: a block that was right once is not looked at again.
    ///
    /// # Errors
    ///
    /// `Corrupt` where there are no checksums of all records; `Io`.
    pub fn block_checks(&self) -> Result<BlockChecks> {
        let refused = |what: String| Err(Error::refused(ErrorKind::Corrupt, self.path(), what));
        let sidecar = match self.sidecar() {
            SidecarStatus::Usable(sidecar) => sidecar,
            SidecarStatus::Unusable(why) => return refused(format!("sidecar: {why}")),
            SidecarStatus::Absent => return refused("no sidecar, so no checksums".to_owned()),
        };
        let Some(checksums) = self.loaded().checksums()? else {
            return refused("the sidecar has no checksums".to_owned());
        };
        let (record_count, covered) = (self.len(), sidecar.record_count);
        if covered != record_count {
            return refused(format!("checksums of {covered} records, there are {record_count}"));
        }
        let seen = checksums.chunks(64).map(|_| AtomicU64::new(0)).collect();
        let block_records = sidecar.block_records.max(1);
        let core = Arc::clone(self.core());
        Ok(BlockChecks { core, checksums, block_records, record_count, seen })
    }
}

impl BlockChecks {
    /// Compares the block of a record with its checksum, unless it was right before; there is
    /// nothing to compare behind the last record.
    ///
    /// # Errors
    ///
    /// `Corrupt`, which names the block; `Io`.
    #[inline]
    pub fn check(&self, index: u64) -> Result<()> {
        let block = index / self.block_records;
        let bit = 1 << (block % 64);
        match usize::try_from(block / 64).ok().and_then(|word| self.seen.get(word)) {
            // Relaxed: the bit says of bytes on which nobody stores that they were right.
            Some(seen) if seen.load(Ordering::Relaxed) & bit == 0 => {
                self.compare(block)?;
                seen.fetch_or(bit, Ordering::Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Compares all blocks that were not right before.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), of the first one that differs.
    pub fn check_all(&self) -> Result<()> {
        (0..self.checksums.len() as u64)
            .try_for_each(|block| self.check(block * self.block_records))
    }

    #[cold]
    fn compare(&self, block: u64) -> Result<()> {
        let first = block * self.block_records;
        let Some(&expected) = usize::try_from(block).ok().and_then(|at| self.checksums.get(at))
        else {
            return Ok(());
        };
        let found = build::block_crc(&self.core, (first, self.block_records), &mut Vec::new())?;
        if found == expected {
            return Ok(());
        }
        let end = first.saturating_add(self.block_records).min(self.record_count);
        let what = format!(
            "checksum of records {first}..{end} at offset {}: expected {expected:#010x}, found \
             {found:#010x}",
            self.core.offset(first)
        );
        Err(Error::refused(ErrorKind::Corrupt, self.core.path(), what))
    }
}

impl fmt::Debug for BlockChecks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen: u32 =
            self.seen.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        formatter
            .debug_struct("BlockChecks")
            .field("blocks", &self.checksums.len())
            .field("seen", &seen)
            .finish_non_exhaustive()
    }
}
