//! A dump read at any offset, through a bounded number of pages.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    checks::{BLOCK_LEN, BlockChecks},
    error::{Error, Result},
};

/// Bytes of a page; no more are looked at as one.
pub(crate) const PAGE_LEN: usize = BLOCK_LEN;

/// Pages that are kept, each in the place that its number gives: neighbours in the order of ids
/// lie in few places of the dump.
const PAGE_COUNT: usize = 64;

/// A dump under pages.
#[derive(Debug)]
pub(crate) struct Pages {
    file: File,
    path: PathBuf,
    len: u64,
    slots: Vec<Page>,
    /// What lies across the border of two pages.
    joined: Vec<u8>,
    /// What each page is compared with when it is read.
    checks: Option<Arc<BlockChecks>>,
}

#[derive(Debug, Default)]
struct Page {
    /// One more than the number of the page that is here; 0 for none.
    key: u64,
    bytes: Vec<u8>,
}

impl Pages {
    /// Opens the file at `path`, of which `len` bytes are the dump.
    pub(crate) fn open(path: &Path, len: u64) -> Result<Self> {
        let file =
            crate::manifest::open_plain(path).map_err(|source| Error::io("open", path, source))?;
        let mut slots = Vec::new();
        slots.resize_with(PAGE_COUNT, Page::default);
        Ok(Self { file, path: path.to_path_buf(), len, slots, joined: Vec::new(), checks: None })
    }

    /// Compares pages with their checksums from now on.
    pub(crate) fn compared_with(mut self, checks: Option<Arc<BlockChecks>>) -> Self {
        self.checks = checks;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The bytes at an offset, at most [`PAGE_LEN`].
    ///
    /// # Errors
    ///
    /// `Truncated` where the dump ends before; `Io`.
    #[inline]
    pub(crate) fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let (number, start) = place(offset);
        let end = start.saturating_add(len);
        if end <= PAGE_LEN {
            let page = self.page(number)?;
            if self.slots.get(page).is_some_and(|page| end <= page.bytes.len()) {
                return Ok(self
                    .slots
                    .get(page)
                    .and_then(|page| page.bytes.get(start..end))
                    .unwrap_or_default());
            }
            return Err(self.cut(offset, len));
        }
        self.join(offset, len)
    }

    #[cold]
    fn cut(&self, offset: u64, len: usize) -> Error {
        let end = offset.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Error::truncated(&self.path, end, self.len)
    }

    fn join(&mut self, offset: u64, len: usize) -> Result<&[u8]> {
        let mut joined = std::mem::take(&mut self.joined);
        joined.clear();
        let mut at = offset;
        while joined.len() < len {
            let (number, start) = place(at);
            let page = self.page(number)?;
            let wanted = len.saturating_sub(joined.len());
            let rest =
                self.slots.get(page).and_then(|page| page.bytes.get(start..)).unwrap_or_default();
            let part = rest.get(..wanted.min(rest.len())).unwrap_or_default();
            if part.is_empty() {
                return Err(self.cut(offset, len));
            }
            joined.extend_from_slice(part);
            at = at.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
        self.joined = joined;
        Ok(&self.joined)
    }

    /// The index of the place in which a page lies, read if need be.
    #[inline]
    fn page(&mut self, number: u64) -> Result<usize> {
        let index = usize::try_from(number).unwrap_or(0) % PAGE_COUNT;
        if self.slots.get(index).is_some_and(|page| page.key == number.wrapping_add(1)) {
            return Ok(index);
        }
        self.read_page(number, index)
    }

    #[cold]
    fn read_page(&mut self, number: u64, index: usize) -> Result<usize> {
        let page_len = u64::try_from(PAGE_LEN).unwrap_or(u64::MAX);
        let offset = number.saturating_mul(page_len);
        let len = usize::try_from(self.len.saturating_sub(offset).min(page_len)).unwrap_or(0);
        let Some(page) = self.slots.get_mut(index) else { return Ok(index) };
        page.key = 0;
        page.bytes.resize(len, 0);
        match self.file.read_exact_at(&mut page.bytes, offset) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Error::truncated(&self.path, self.len, offset));
            }
            Err(source) => return Err(Error::io("read", &self.path, source)),
        }
        if let Some(checks) = &self.checks {
            checks.compare(index_of(number), &page.bytes)?;
        }
        page.key = number.wrapping_add(1);
        Ok(index)
    }
}

/// A page number as an index.
fn index_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The number of the page of an offset, and the place in it.
#[inline]
fn place(offset: u64) -> (u64, usize) {
    let page_len = u64::try_from(PAGE_LEN).unwrap_or(u64::MAX).max(1);
    let start = offset.checked_rem(page_len).unwrap_or(0);
    (offset.checked_div(page_len).unwrap_or(0), usize::try_from(start).unwrap_or(0))
}
