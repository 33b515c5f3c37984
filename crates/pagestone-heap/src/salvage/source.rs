//! The bytes of a file that nothing is known of: read by system calls, never mapped.

use std::path::Path;

use pagestone_storage::{
    Location,
    raw::{Opening, RawFile},
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

use crate::{
    error::Result,
    id::BlockId,
    layout::{ENTRY_HEADER, EntryHeader, REGION_MAGIC, RegionHeader, seed_of},
};

/// Bytes that are read together.
const WINDOW: usize = 1 << 20;
/// Bytes that are given up together where the device cannot read.
const PAGE: u64 = 4096;
/// The longest piece of [`Source::get`].
pub(super) const PIECE: u64 = 256 << 10;

/// A file, and a window of it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) raw: RawFile,
    len: u64,
    window: Vec<u8>,
    at: u64,
    /// Pages that the device could not read since somebody asked.
    unread: Vec<(u64, u64)>,
}

impl Source {
    pub(super) fn open(location: &Location) -> Result<Self> {
        let raw = RawFile::open(location, Opening::Read, 0)?;
        let len = raw.len();
        Ok(Self { raw, len, window: Vec::new(), at: 0, unread: Vec::new() })
    }

    pub(super) fn path(&self) -> &Path {
        self.raw.path()
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Forgets what was read: a writer may have changed it.
    pub(super) fn look_again(&mut self) -> Result<()> {
        self.len = self.raw.refresh_len()?;
        self.window.clear();
        Ok(())
    }

    /// Places and lengths that could not be read since the last call.
    pub(super) fn take_unread(&mut self) -> Vec<(u64, u64)> {
        std::mem::take(&mut self.unread)
    }

    /// Bytes at `at`, at most [`PIECE`]; fewer at the end of the file, zeros where the device cannot
    /// read.
    pub(super) fn get(&mut self, at: u64, len: u64) -> &[u8] {
        let len = len.min(PIECE).min(self.len.saturating_sub(at));
        let inside = self.at <= at && at + len <= self.at + self.window.len() as u64;
        if !inside {
            self.fill(at);
        }
        let from = usize::try_from(at.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(len).unwrap_or(0));
        self.window.get(from..to).unwrap_or_default()
    }

    fn fill(&mut self, at: u64) {
        let start = at / PAGE * PAGE;
        let len = usize::try_from(self.len.saturating_sub(start)).unwrap_or(WINDOW).min(WINDOW);
        self.window.clear();
        self.window.resize(len, 0);
        self.at = start;
        if self.raw.pread(start, &mut self.window).is_ok() {
            return;
        }
        self.window.fill(0);
        for (page, bytes) in (start..).step_by(4096).zip(self.window.chunks_mut(4096)) {
            if self.raw.pread(page, bytes).is_err() {
                bytes.fill(0);
                match self.unread.last_mut() {
                    Some((from, len)) if *from + *len == page => *len += PAGE,
                    _ => self.unread.push((page, PAGE)),
                }
            }
        }
    }

    /// Some bytes past the window, for looks here and there.
    pub(super) fn peek(&self, at: u64, into: &mut [u8]) -> bool {
        let end = at.checked_add(into.len() as u64);
        end.is_some_and(|end| end <= self.len) && self.raw.pread(at, into).is_ok()
    }

    /// The little-endian word at `at`; 0 past the end.
    pub(super) fn word(&mut self, at: u64) -> u64 {
        self.get(at, 8).first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// The region header at `at`, if its checksum is right and it is of the file `uuid`, if that is
    /// known.
    pub(super) fn region_header(&self, at: u64, uuid: Option<&[u8; 16]>) -> Option<RegionHeader> {
        let mut header = RegionHeader::new_zeroed();
        if !self.peek(at, header.as_mut_bytes()) || header.magic != REGION_MAGIC {
            return None;
        }
        let plain = header.reserved == [0; 4] && header.spare.get() == 0;
        let ours = uuid.is_none_or(|uuid| header.uuid == *uuid);
        (plain && ours && header.checksum.get() == header.sum()).then_some(header)
    }

    /// The entry header at `at`; `None` past the end of the file.
    pub(super) fn entry_header(&mut self, at: u64) -> Option<EntryHeader> {
        EntryHeader::read_from_bytes(self.get(at, 32)).ok()
    }

    /// The checksum of the entry at `at` in a segment of this incarnation.
    pub(super) fn entry_sum(&mut self, (header, at): (&EntryHeader, u64), incarnation: u64) -> u32 {
        let mut hasher = header.hasher(seed_of(incarnation));
        let mut from = at + ENTRY_HEADER;
        let end = from.saturating_add(header.payload());
        while from < end {
            let bytes = self.get(from, end - from);
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            from += bytes.len() as u64;
        }
        hasher.finalize()
    }

    /// The payload of the entry at `at`; `None` where it is not the one of this id any more.
    pub(super) fn payload(
        &mut self,
        (id, at): (BlockId, u64),
        incarnation: u64,
    ) -> Option<Vec<u8>> {
        let header = self.entry_header(at).filter(|header| header.id.get() == id.to_bits())?;
        let mut payload = Vec::new();
        let mut from = at + ENTRY_HEADER;
        let end = (from + header.payload()).min(self.len);
        while from < end {
            let bytes = self.get(from, end - from);
            payload.extend_from_slice(bytes);
            from += bytes.len() as u64;
        }
        let whole = header.sum(seed_of(incarnation), &payload) == header.checksum.get();
        whole.then_some(payload)
    }
}
