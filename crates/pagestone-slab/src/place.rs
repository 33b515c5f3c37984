//! Where slabs lie: anonymous memory, one slab behind the other.

use pagestone_storage::raw::{Extent, Owned, Pages};

use crate::error::Result;

/// Anonymous memory: slabs of some pages are cut from extents, longer ones stand alone, shorter
/// ones come from the allocator.
///
/// An extent is address range; pages of it are used as objects come.
#[derive(Debug, Default)]
pub(crate) struct Anonymous {
    extent: Option<Extent>,
    /// Bytes that were cut from extents so far.
    cut: usize,
    /// Whether the last slab was.
    is_cut: bool,
    pages: Option<Pages>,
}

/// Slabs of this length are cut from extents.
const CUT_MIN: usize = 4 << 10;
const CUT_MAX: usize = 16 << 20;
/// The shortest extent and the longest; each is as long as eight times all before it.
const EXTENT_MIN: usize = 256 << 10;
const EXTENT_MAX: usize = 1 << 30;
/// From here on the rest of a huge page is little beside all others.
const HUGE_FROM: usize = 8 << 20;

impl Anonymous {
    /// Zeroed memory for a slab.
    pub(crate) fn memory(&mut self, len: usize) -> Result<Owned<[u8]>> {
        self.is_cut = (CUT_MIN..=CUT_MAX).contains(&len) && !cfg!(miri);
        if !self.is_cut {
            return Ok(Owned::zeroed(len)?);
        }
        if let Some(memory) = self.extent.as_mut().and_then(|extent| extent.cut(len)) {
            self.cut += len;
            return Ok(memory);
        }
        let pages = if self.cut < HUGE_FROM { Pages::Small } else { Pages::Huge };
        let wanted = (self.cut * 8).clamp(EXTENT_MIN, EXTENT_MAX).max(len);
        // Where address range is short, no more than is needed.
        let mut extent = Extent::new(wanted, pages).or_else(|_| Extent::new(len, pages))?;
        let memory = extent.cut(len);
        (self.extent, self.pages) = (Some(extent), Some(pages));
        if let Some(memory) = memory {
            self.cut += len;
            return Ok(memory);
        }
        self.is_cut = false;
        Ok(Owned::zeroed(len)?)
    }

    /// Whether the slab made last uses memory page by page, not by huge ones.
    pub(crate) fn is_paged(&self) -> bool {
        self.is_cut && self.pages == Some(Pages::Small)
    }

    /// Bytes at the end of the slab made last that have no page, where so many were never stored
    /// to; and bytes that have one and no slab.
    pub(crate) fn edge(&self, untouched: usize) -> (u64, u64) {
        let Some(extent) = self.extent.as_ref().filter(|_| self.is_cut) else { return (0, 0) };
        let (without, spare) = extent.edge(untouched);
        (without as u64, spare as u64)
    }
}
