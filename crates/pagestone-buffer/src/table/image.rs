//! A table as it lies in a file: written whole, looked into without reading all of it.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use zerocopy::{
    FromBytes, IntoBytes,
    little_endian::{U32, U64},
};

use super::{Probed, SHARDS, SLOT_MAX, TOGETHER, Table, home_of, pick, probe, shard_of, tag_of};
use crate::layout::{TABLE_MAGIC, TABLE_PAGE, TABLE_VERSION, TableHeader, TableShard};

const HEADER: usize = size_of::<TableHeader>();
const SHARD: usize = size_of::<TableShard>();
const CELL: usize = 8;

/// What a table is of: how keys become hashes, and the state of the log whose entries it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) seed: u64,
    pub(crate) incarnation: u64,
    pub(crate) sequence: u64,
}

/// What is known of a table in a file; its bytes are shown to each call.
///
/// The lists before the cells were checked. A page of cells is checked when it is first looked at.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) origin: Origin,
    parts: [Part; SHARDS],
    sums_at: usize,
    cells_at: usize,
    /// One bit for each page that was found whole.
    whole: Box<[AtomicU64]>,
}

/// Where the cells of a shard lie among all.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    homes: u64,
    first: usize,
    cells: usize,
    len: u64,
}

impl Image {
    /// Reads what stands before the cells; `None` where these are not the bytes of a table.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = TableHeader::read_from_prefix(bytes).ok()?;
        let known = header.magic == TABLE_MAGIC
            && header.version.get() == TABLE_VERSION
            && usize::try_from(header.page_size.get()) == Ok(TABLE_PAGE)
            && header.reserved.get() == 0;
        if !known {
            return None;
        }
        let cells = usize::try_from(header.cells.get()).ok()?;
        let len = cells.checked_mul(CELL)?;
        let pages = len.div_ceil(TABLE_PAGE);
        let sums_at = HEADER + SHARDS * SHARD;
        let sums_len = pages.checked_mul(4)?.checked_next_multiple_of(CELL)?;
        let cells_at = sums_at.checked_add(sums_len)?;
        if cells_at.checked_add(len)? != bytes.len() {
            return None;
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(bytes.get(..HEADER - 4)?);
        hasher.update(bytes.get(HEADER..cells_at)?);
        if hasher.finalize() != header.checksum.get() {
            return None;
        }
        let mut parts = [Part::default(); SHARDS];
        let mut first = 0_usize;
        let mut entries = 0_u64;
        for (part, shard) in parts.iter_mut().zip(rest.chunks(SHARD)) {
            let shard = TableShard::read_from_bytes(shard).ok()?;
            let (cells, len) = (usize::try_from(shard.cells.get()).ok()?, shard.entries.get());
            *part = Part { homes: shard.homes.get(), first, cells, len };
            first = first.checked_add(cells)?;
            entries = entries.checked_add(len)?;
            if shard.cells.get() < len || 1 << super::SLOT_BITS <= part.homes {
                return None;
            }
        }
        if first != cells || entries != header.entries.get() {
            return None;
        }
        let (seed, incarnation) = (header.seed.get(), header.incarnation.get());
        let origin = Origin { seed, incarnation, sequence: header.sequence.get() };
        let words = pages.div_ceil(64);
        let whole = std::iter::repeat_with(AtomicU64::default).take(words).collect();
        Some(Self { origin, parts, sums_at, cells_at, whole })
    }

    /// Slots in each shard.
    pub(crate) fn lens(&self) -> [u64; SHARDS] {
        self.parts.map(|part| part.len)
    }

    /// The bytes of a page of cells, if its checksum says so.
    #[inline]
    fn page<'b>(&self, bytes: &'b [u8], number: usize) -> Option<&'b [u8]> {
        let cells = bytes.get(self.cells_at..)?;
        let from = number * TABLE_PAGE;
        let page = cells.get(from..cells.len().min(from + TABLE_PAGE))?;
        let word = self.whole.get(number / 64)?;
        let bit = 1 << (number % 64);
        if word.load(Ordering::Relaxed) & bit == 0 {
            let at = self.sums_at + number * 4;
            let sum = u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
            if crc32fast::hash(page) != sum {
                return None;
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Some(page)
    }

    /// The cells from one on, up to an end, in those of their pages that are whole; what comes
    /// last is `None` where one is not.
    fn runs<'b>(
        &self,
        bytes: &'b [u8],
        (from, end): (usize, usize),
    ) -> impl Iterator<Item = Option<impl Iterator<Item = u64> + 'b>> {
        const CELLS: usize = TABLE_PAGE / CELL;
        let mut next = from;
        std::iter::from_fn(move || {
            if end <= next {
                return None;
            }
            let (page, skipped) = (next / CELLS, next % CELLS);
            let upto = end.min((page + 1) * CELLS);
            let cells = self.page(bytes, page);
            let cells = cells.and_then(|page| page.get(skipped * CELL..));
            let taken = upto - next;
            next = upto;
            Some(cells.map(|cells| {
                let (cells, _) = cells.as_chunks::<CELL>();
                cells.iter().take(taken).map(|cell| u64::from_le_bytes(*cell))
            }))
        })
    }

    /// As [`Table::guess`].
    #[inline]
    pub(crate) fn guess(&self, bytes: &[u8], hash: u64) -> Option<u64> {
        let part = self.parts.get(shard_of(hash))?;
        let tag = tag_of(hash);
        let home = usize::try_from(home_of(tag, part.homes)).ok()?;
        if part.cells <= home {
            return None;
        }
        let at = (part.first + home) * CELL;
        let page = self.page(bytes, at / TABLE_PAGE)?;
        let cells: &[u8; TOGETHER * CELL] = page.get(at % TABLE_PAGE..)?.first_chunk()?;
        let (cells, _) = cells.as_chunks::<CELL>();
        let (cell, _) = pick(cells.iter().map(|cell| u64::from_le_bytes(*cell)), tag);
        // The last ones of a shard may be followed by those of the next.
        (cell != 0).then_some(cell & SLOT_MAX)
    }

    /// As [`Table::find`]; `None` where the bytes are damaged.
    #[inline]
    pub(crate) fn find<E>(
        &self,
        bytes: &[u8],
        hash: u64,
        mut same: impl FnMut(u64) -> Result<bool, E>,
    ) -> Option<Result<Option<u64>, E>> {
        if let Some(slot) = self.guess(bytes, hash) {
            match same(slot) {
                Ok(true) => return Some(Ok(Some(slot))),
                Ok(false) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        self.find_slowly(bytes, hash, same)
    }

    fn find_slowly<E>(
        &self,
        bytes: &[u8],
        hash: u64,
        mut same: impl FnMut(u64) -> Result<bool, E>,
    ) -> Option<Result<Option<u64>, E>> {
        let part = self.parts.get(shard_of(hash))?;
        let tag = tag_of(hash);
        let home = usize::try_from(home_of(tag, part.homes)).ok()?;
        let range = (part.first + home.min(part.cells), part.first + part.cells);
        for cells in self.runs(bytes, range) {
            match probe(cells?, tag, &mut same) {
                Ok(Probed::End) => {}
                Ok(Probed::Found(slot)) => return Some(Ok(Some(slot))),
                Ok(Probed::Missing) => return Some(Ok(None)),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(None))
    }

    /// The cells of a shard that are taken; `None` where the bytes are damaged.
    pub(crate) fn cells(&self, bytes: &[u8], number: usize) -> Option<Vec<u64>> {
        let part = self.parts.get(number)?;
        let mut all = Vec::with_capacity(usize::try_from(part.len).ok()?.min(part.cells));
        for cells in self.runs(bytes, (part.first, part.first + part.cells)) {
            all.extend(cells?.filter(|cell| *cell != 0));
        }
        (all.len() as u64 == part.len).then_some(all)
    }
}

impl Table {
    /// Writes a table all of whose shards are here.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub(crate) fn write(&self, origin: Origin, out: &mut impl Write) -> io::Result<()> {
        let shards: Vec<TableShard> = self.shards.iter().map(super::Shard::record).collect();
        let cells = shards.iter().map(|shard| shard.cells.get()).sum();
        let entries = shards.iter().map(|shard| shard.entries.get()).sum();
        let mut header = TableHeader {
            magic: TABLE_MAGIC,
            version: U32::new(TABLE_VERSION),
            page_size: U32::new(4096),
            seed: U64::new(origin.seed),
            incarnation: U64::new(origin.incarnation),
            sequence: U64::new(origin.sequence),
            entries: U64::new(entries),
            cells: U64::new(cells),
            reserved: U32::new(0),
            checksum: U32::new(0),
        };
        let mut sums = Vec::new();
        self.for_each_page(&shards, |page| {
            sums.extend_from_slice(&crc32fast::hash(page).to_le_bytes());
            Ok(())
        })?;
        sums.resize(sums.len().next_multiple_of(CELL), 0);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(header.as_bytes().get(..HEADER - 4).unwrap_or_default());
        hasher.update(shards.as_bytes());
        hasher.update(&sums);
        header.checksum = U32::new(hasher.finalize());
        out.write_all(header.as_bytes())?;
        out.write_all(shards.as_bytes())?;
        out.write_all(&sums)?;
        self.for_each_page(&shards, |page| out.write_all(page))
    }

    fn for_each_page(
        &self,
        shards: &[TableShard],
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut page = Vec::with_capacity(TABLE_PAGE);
        for (shard, record) in self.shards.iter().zip(shards) {
            let cells = usize::try_from(record.cells.get()).unwrap_or(usize::MAX);
            for cell in shard.cells.from(0).flatten().take(cells) {
                page.extend_from_slice(&cell.load(Ordering::Relaxed).to_le_bytes());
                if page.len() == TABLE_PAGE {
                    each(&page)?;
                    page.clear();
                }
            }
        }
        if page.is_empty() { Ok(()) } else { each(&page) }
    }
}

impl super::Shard {
    /// What the file says of it: cells behind the last that is taken are left out.
    fn record(&self) -> TableShard {
        let mut end = 0;
        self.cells.for_each(0..self.cells.len(), |at, _| end = at + 1);
        TableShard {
            homes: U64::new(self.homes()),
            cells: U64::new(end),
            entries: U64::new(self.len.load(Ordering::Acquire)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::{Image, Origin, SHARDS, Table};

    const ORIGIN: Origin = Origin { seed: 1, incarnation: 2, sequence: 3 };

    fn hash(slot: u64) -> u64 {
        (slot ^ slot << 7).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn written(slots: u64) -> Vec<u8> {
        let table = Table::new();
        (1..=slots).for_each(|slot| table.insert(hash(slot), slot));
        let mut bytes = Vec::new();
        table.write(ORIGIN, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_table_is_found_in_its_bytes() {
        for slots in [0, 1, 500, 30_000] {
            let bytes = written(slots);
            let image = Image::read(&bytes).unwrap();
            assert_eq!(image.origin, ORIGIN);
            assert_eq!(image.lens().iter().sum::<u64>(), slots);
            for slot in 1..=slots + 100 {
                let same = |here| Ok::<_, Infallible>(here == slot);
                let found = image.find(&bytes, hash(slot), same).unwrap().unwrap();
                assert_eq!(found.is_some(), slot <= slots, "{slot}");
            }
            let all = (0..SHARDS).map(|shard| image.cells(&bytes, shard).unwrap().len());
            assert_eq!(all.sum::<usize>() as u64, slots);
        }
    }

    /// Flips every `step`th bit.
    #[track_caller]
    fn check_flips(slots: u64, step: usize) {
        let good = written(slots);
        for bit in (0..good.len() * 8).step_by(step) {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Some(image) = Image::read(&bytes) else { continue };
            let mut damaged = (0..SHARDS).any(|shard| image.cells(&bytes, shard).is_none());
            for slot in 1..=slots {
                match image.find(&bytes, hash(slot), |here| Ok::<_, Infallible>(here == slot)) {
                    None => damaged = true,
                    Some(found) => assert_eq!(found.unwrap(), Some(slot), "bit {bit}"),
                }
            }
            assert!(damaged, "bit {bit}");
        }
        for len in (0..good.len()).step_by(step) {
            assert!(Image::read(&good[..len]).is_none());
        }
    }

    #[test]
    fn each_flipped_bit_is_seen() {
        check_flips(40, 7);
        check_flips(1_000, 1_009);
    }
}
