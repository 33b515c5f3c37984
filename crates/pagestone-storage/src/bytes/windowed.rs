//! Bytes shown by many mappings of one size, added as the file grows and never taken away.

use std::{
    ops::Range as Span,
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
};

use super::{Access, Bytes, Range, file};
use crate::{
    error::{Cause, Error, ErrorKind, Result},
    sys::SysFile,
};

/// Mappings of a fixed number of records each, so that no record straddles two.
///
/// Window `i` starts at record `i × records`. Windows are kept in groups of 1, 2, 4, … so that
/// adding one moves none.
#[derive(Debug)]
pub(crate) struct Windows {
    groups: [OnceLock<Box<[OnceLock<Range>]>>; 40],
    /// Bytes of a window: a whole number of records.
    window_len: u64,
    access: Access,
    mapped: Mutex<u64>,
}

impl Windows {
    fn new(window_size: u64, record_size: usize, access: Access) -> Self {
        let record_size = record_size as u64;
        let window_len = (window_size / record_size).max(1) * record_size;
        Self { groups: [const { OnceLock::new() }; 40], window_len, access, mapped: Mutex::new(0) }
    }

    /// The window that shows the byte at `offset`, and where the byte lies in it.
    #[inline]
    pub(crate) fn at(&self, offset: u64) -> Option<(&Range, u64)> {
        let index = offset / self.window_len;
        let (group, place) = group_and_place(index);
        let range = self.groups.get(group)?.get()?.get(place)?.get()?;
        Some((range, offset - index * self.window_len))
    }

    /// Maps what is not mapped yet of the first `len` bytes.
    fn cover(&self, file: &SysFile, len: u64) -> Result<()> {
        let mut mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner);
        while *mapped < len.div_ceil(self.window_len) {
            let (group, place) = group_and_place(*mapped);
            let slots = self.groups.get(group).ok_or_else(|| {
                Error::refused(ErrorKind::OutOfSpace, file.path(), "too many windows")
            })?;
            let windows =
                slots.get_or_init(|| (0..1u64 << group).map(|_| OnceLock::new()).collect());
            let offset = *mapped * self.window_len;
            let range = Range::window(file, offset, (self.window_len, self.access))?;
            // The count says that this place is empty.
            drop(windows[place].set(range));
            *mapped += 1;
        }
        Ok(())
    }

    /// Runs `visit` over the pieces of an extent, window by window; all of it is mapped.
    fn pieces(&self, offset: u64, len: usize, mut visit: impl FnMut(&Range, u64, Span<usize>)) {
        let mut done = 0;
        while done < len {
            let Some((range, inside)) = self.at(offset + done as u64) else { return };
            let left = usize::try_from(self.window_len - inside).unwrap_or(usize::MAX);
            let step = left.min(len - done);
            visit(range, inside, done..done + step);
            done += step;
        }
    }
}

/// Window 0 is in group 0; windows 1 and 2 in group 1; 3 to 6 in group 2; and so on.
#[inline]
fn group_and_place(index: u64) -> (usize, usize) {
    let number = index.saturating_add(1);
    let group = number.ilog2();
    let place = number - (1 << group);
    (group as usize, usize::try_from(place).unwrap_or(usize::MAX))
}

/// The backing of many mappings.
#[derive(Debug)]
pub(crate) struct WindowedBytes {
    file: SysFile,
    windows: Windows,
}

impl WindowedBytes {
    /// Maps `file` in windows of about `window_size` bytes.
    pub(crate) fn new(
        file: SysFile,
        (window_size, record_size): (u64, usize),
        access: Access,
    ) -> Result<Self> {
        let windows = Windows::new(window_size, record_size, access);
        windows.cover(&file, file.len()?)?;
        Ok(Self { file, windows })
    }

    /// Errors when bytes below the file's length are not mapped, so that none is skipped.
    fn check(&self, offset: u64, len: usize) -> Result<()> {
        let Some(last) = (offset + len as u64).checked_sub(1) else { return Ok(()) };
        if self.windows.at(last).is_some() {
            return Ok(());
        }
        let found = self.file.len()?;
        Err(Cause::Truncated { path: self.path().to_path_buf(), expected: last + 1, found }.into())
    }
}

impl Bytes for WindowedBytes {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> Result<u64> {
        let len = self.file.len()?;
        self.windows.cover(&self.file, len)?;
        Ok(len)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.check(offset, into.len())?;
        self.windows.pieces(offset, into.len(), |range, inside, piece| {
            range.copy_out(inside, &mut into[piece]);
        });
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        // Mapped first: a window that cannot be had must not cost bytes that were written.
        self.prepare(offset.saturating_add(bytes.len() as u64))?;
        file::append(&self.file, offset, bytes)
    }

    fn prepare(&self, end: u64) -> Result<()> {
        self.windows.cover(&self.file, end)
    }

    fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check(offset, bytes.len())?;
        self.windows.pieces(offset, bytes.len(), |range, inside, piece| {
            range.copy_in(inside, &bytes[piece]);
        });
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        self.file.truncate(len)
    }

    fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    fn windows(&self) -> Option<&Windows> {
        Some(&self.windows)
    }

    fn file(&self) -> Option<&SysFile> {
        Some(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::group_and_place;

    #[test]
    fn groups_double() {
        let places: Vec<_> = (0..8).map(group_and_place).collect();
        let expected = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0)];
        assert_eq!(places, expected);
    }
}
