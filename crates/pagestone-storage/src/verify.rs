//! A read-only check of a storage: its blocks against their checksums, its order, its sidecar.

use std::ops::{ControlFlow, Range};

use tracing::debug_span;

use crate::{
    core::Core,
    error::{Cause, Error, Result},
    field::Field,
    record::Record,
    records::Records,
    sidecar::{SidecarStatus, build},
};

/// How far a long operation has come, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Records done.
    pub done: u64,
    /// Records to do.
    pub total: u64,
}

/// A block of records that does not match its checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedBlock {
    /// The records of the block.
    pub records: Range<u64>,
    /// The byte at which the block starts.
    pub offset: u64,
    /// The CRC-32 in the sidecar.
    pub expected: u32,
    /// The CRC-32 of the bytes.
    pub found: u32,
}

/// What [`Records::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Records there are.
    pub records: u64,
    /// Records that a checksum covers.
    pub records_checked: u64,
    /// Blocks that do not match, at most the first thousand.
    pub damaged: Vec<DamagedBlock>,
    /// How many blocks do not match.
    pub damaged_count: u64,
    /// The first record that is below the one before it, though the sidecar calls the records
    /// sorted.
    pub first_unsorted: Option<u64>,
    /// Bytes behind the last whole record.
    pub partial_tail: u64,
    /// The sidecar.
    pub sidecar: SidecarStatus,
}

impl Verification {
    /// Returns whether nothing is wrong. A storage without sidecar is clean: there is nothing to
    /// compare it with.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged_count == 0
            && self.first_unsorted.is_none()
            && self.partial_tail == 0
            && !matches!(self.sidecar, SidecarStatus::Unusable(_))
    }
}

/// Damaged blocks that are listed one by one.
const LISTED_MAX: usize = 1000;

impl<T: Record + ?Sized> Records<T> {
    /// Reads all records once and compares them with what the sidecar says: the checksums of its
    /// blocks, the order it names, its accelerator. Changes nothing.
    ///
    /// `progress` is told at least once per 64 KiB and may break off.
    ///
    /// # Errors
    ///
    /// `Cancelled`; `Io` and `Truncated` when the file cannot be read.
    pub fn verify(
        &self,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Verification> {
        let core = self.core();
        let _span =
            debug_span!("verify", path = %core.path().display(), len = core.len()).entered();
        let mut found = Verification {
            records: core.len(),
            records_checked: 0,
            damaged: Vec::new(),
            damaged_count: 0,
            first_unsorted: None,
            partial_tail: core.bytes().len()? % core.record_size() as u64,
            sidecar: self.sidecar().clone(),
        };
        let SidecarStatus::Usable(sidecar) = &found.sidecar else { return Ok(found) };
        let (sidecar, loaded) = (sidecar.clone(), self.loaded());
        let total = 2 * sidecar.record_count;
        let mut tell = |done| match progress(Progress { done: done / 2, total: total / 2 }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(Error::from(Cause::Cancelled { done: done / 2, total: total / 2 }))
            }
        };
        match (loaded.checksums(), loaded.check_accelerator()) {
            (Ok(Some(checksums)), Ok(())) => {
                check_blocks(core, (&checksums, sidecar.block_records), &mut found, &mut tell)?;
            }
            (Ok(None), Ok(())) => {}
            (Err(error), _) | (_, Err(error)) => {
                found.sidecar = SidecarStatus::Unusable(error.to_string());
                return Ok(found);
            }
        }
        found.first_unsorted =
            first_unsorted(core, &sidecar.sorted_by, sidecar.record_count, tell)?;
        Ok(found)
    }
}

fn check_blocks(
    core: &Core,
    (checksums, block_records): (&[u32], u64),
    found: &mut Verification,
    tell: &mut impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let covered = match &found.sidecar {
        SidecarStatus::Usable(sidecar) => sidecar.record_count,
        _ => 0,
    };
    let mut bytes = Vec::new();
    for (block, &expected) in (0..).zip(checksums) {
        let first = block * block_records;
        let end = (first + block_records).min(covered);
        let actual = build::block_crc(core, (first, end - first), &mut bytes)?;
        found.records_checked = end;
        if actual != expected {
            found.damaged_count += 1;
            if found.damaged.len() < LISTED_MAX {
                let offset = core.offset(first);
                found.damaged.push(DamagedBlock {
                    records: first..end,
                    offset,
                    expected,
                    found: actual,
                });
            }
        }
        tell(end)?;
    }
    Ok(())
}

/// The first of `count` records that is below the one before it in the order of the fields.
fn first_unsorted(
    core: &Core,
    order: &[Field],
    count: u64,
    mut tell: impl FnMut(u64) -> Result<()>,
) -> Result<Option<u64>> {
    if order.is_empty() {
        return Ok(None);
    }
    let size = core.record_size();
    let (mut last, mut block) = (Vec::new(), vec![0; (64 << 10) / size.min(64 << 10) * size]);
    let per_block = (block.len() / size) as u64;
    let mut first = 0;
    while first < count {
        let records = per_block.min(count - first);
        let len = size * usize::try_from(records).unwrap_or(0);
        core.read(first, 0, &mut block[..len])?;
        for (index, record) in (first..).zip(block[..len].chunks_exact(size)) {
            if !last.is_empty() && crate::sort::compare(order, record, &last).is_lt() {
                return Ok(Some(index));
            }
            last.clear();
            last.extend_from_slice(record);
        }
        first += records;
        tell(count + first)?;
    }
    Ok(None)
}
