//! A finished file of fixed-size records, as lookups read it: borrowed where mapped, else copied
//! to the stack.

use pagestone_storage::{BlockChecks, Mutability, Options, Records};

use crate::{
    directory::Directory,
    error::{Error, ErrorKind, Result},
    manifest::FileFacts,
    options::TableOptions,
};

/// Records up to this size are copied to the stack, where they are copied.
const ON_STACK: usize = 512;

/// A file that a manifest names.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) records: Records<[u8]>,
    borrows: bool,
    checks: Option<BlockChecks>,
}

impl Fixed {
    /// Opens the file that `facts` describe.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Truncated` and `Corrupt` when it has not the length that was sealed.
    pub(crate) fn open(
        directory: &Directory,
        facts: &FileFacts,
        options: &TableOptions,
    ) -> Result<Self> {
        let path = directory.manifest();
        let record_size = usize::try_from(facts.record_size).map_err(|_| {
            Error::corrupt(&path, "record size", ("a few bytes", facts.record_size))
        })?;
        let records: Records<[u8]> = Options::new()
            .backing(options.backing_of(directory))
            .mutability(Mutability::AppendOnly)
            .record_size(record_size)
            .open_read_only(directory.file(&facts.name))?;
        let (found, expected) = (records.len(), facts.record_count);
        if found < expected {
            let what = format!("{found} records of {record_size} bytes, sealed with {expected}");
            return Err(Error::refused(ErrorKind::Truncated, records.path(), what));
        }
        if expected < found {
            return Err(Error::corrupt(records.path(), "number of records", (expected, found)));
        }
        let borrows = records.as_bytes().is_some();
        let checks = if options.checks_blocks { Some(records.block_checks()?) } else { None };
        Ok(Self { records, borrows, checks })
    }

    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.records.len()
    }

    /// Whether blocks are compared with their checksums when they are first needed.
    #[inline]
    pub(crate) fn is_checked(&self) -> bool {
        self.checks.is_some()
    }

    /// Compares the blocks that were not needed yet, where blocks are compared.
    pub(crate) fn check_all(&self) -> Result<()> {
        Ok(self.checks.as_ref().map_or(Ok(()), BlockChecks::check_all)?)
    }

    /// All bytes, where they may be borrowed.
    #[inline]
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        if self.borrows && self.checks.is_none() { self.records.as_bytes() } else { None }
    }

    /// Looks at the record at `index`.
    ///
    /// # Errors
    ///
    /// `OutOfRange`; `Io` where it is not mapped.
    #[inline]
    pub(crate) fn with<T>(&self, index: u64, look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        if let Some(checks) = &self.checks {
            checks.check(index)?;
        }
        if self.borrows {
            return Ok(look(&self.records.get(index)?));
        }
        let size = self.records.record_size();
        let mut copy = [0; ON_STACK];
        if let Some(copy) = copy.get_mut(..size) {
            self.records.read_into(index, copy)?;
            return Ok(look(copy));
        }
        let mut copy = vec![0; size];
        self.records.read_into(index, &mut copy)?;
        Ok(look(&copy))
    }

    #[inline]
    pub(crate) fn prefetch(&self, index: u64) {
        if self.borrows {
            self.records.prefetch(index);
        }
    }
}
