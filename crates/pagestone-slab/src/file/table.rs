//! Which string has a hash: in memory, or as the last close left it in the file.
//!
//! A cell is `32 bits of the hash | symbol`, 0 where none is. In the file, cells lie at the place
//! that their hash says or behind it (linear probing), in a power of two of them. A cell that lies
//! can only miss or lead to a string that is compared and refused.
//!
//! The table of a map in `pagestone-buffer` has other bytes: packed, in shards, with a checksum for
//! each page. What both could share would lie in the heap, which knows no keys.

use std::{collections::HashSet, thread};

use hashbrown::HashTable;

/// What precedes the cells of an image: magic, seed, count of cells, count of strings; 8 bytes
/// each.
const HEADER: usize = 32;
const MAGIC: u64 = u64::from_le_bytes(*b"PGSINTN1");
/// Parts of a table, by the first bits of the hash: one of a million strings stays in the cache
/// while it is made.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 6;
/// Cells of a table that several threads make.
const CELLS_SHARED: usize = 1 << 16;

/// A table in memory.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// None, or one for each of `PARTS`.
    parts: Vec<HashTable<u64>>,
    len: u64,
}

/// Cells for a table, by its parts.
#[derive(Debug)]
pub(super) struct Cells(Vec<Vec<u64>>);

/// What has changed since an image was made.
#[derive(Debug, Default)]
pub(super) struct Changes {
    added: Table,
    /// Symbols whose cells in the image count no more.
    gone: HashSet<u32, foldhash::fast::RandomState>,
}

/// The part of a hash that a cell has.
#[inline]
fn tag_of(hash: u64) -> u64 {
    hash >> 32
}

/// A hash from the tag alone, so that a table grows without reading strings.
#[inline]
fn spread(tag: u64) -> u64 {
    tag.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Which part of a table a tag is in.
#[inline]
fn part_of(tag: u64) -> usize {
    // A tag has 32 bits.
    (tag << 32 >> (64 - PART_BITS)) as usize
}

#[inline]
pub(super) fn cell_of(hash: u64, symbol: u32) -> u64 {
    tag_of(hash) << 32 | u64::from(symbol)
}

#[inline]
fn symbol_of(cell: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    {
        cell as u32
    }
}

fn insert_into(part: &mut HashTable<u64>, cell: u64) {
    part.insert_unique(spread(cell >> 32), cell, |cell| spread(cell >> 32));
}

impl Cells {
    pub(super) fn new() -> Self {
        Self((0..PARTS).map(|_| Vec::new()).collect())
    }

    #[inline]
    pub(super) fn push(&mut self, cell: u64) {
        if let Some(part) = self.0.get_mut(part_of(cell >> 32)) {
            part.push(cell);
        }
    }

    fn of_part(&self, part: usize) -> &[u64] {
        self.0.get(part).map_or(&[], Vec::as_slice)
    }
}

impl Table {
    /// A table of all cells; made by that many threads where there are many cells.
    pub(super) fn of(cells: &[Cells], threads: usize) -> Self {
        let len: usize = cells.iter().flat_map(|cells| &cells.0).map(Vec::len).sum();
        let make = |part: usize| {
            let cells = cells.iter().map(|cells| cells.of_part(part));
            let mut table = HashTable::with_capacity(cells.clone().map(<[u64]>::len).sum());
            cells.flatten().for_each(|cell| insert_into(&mut table, *cell));
            table
        };
        let mut parts: Vec<HashTable<u64>> = (0..PARTS).map(|_| HashTable::new()).collect();
        let each = if len < CELLS_SHARED { PARTS } else { PARTS.div_ceil(threads.max(1)) };
        let fill = |(nth, share): (usize, &mut [HashTable<u64>])| {
            for (part, table) in (nth * each..).zip(share) {
                *table = make(part);
            }
        };
        if each == PARTS {
            fill((0, &mut parts));
        } else {
            thread::scope(|scope| {
                for share in parts.chunks_mut(each).enumerate() {
                    scope.spawn(move || fill(share));
                }
            });
        }
        Self { parts, len: len as u64 }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let part = self.parts.get(part_of(tag))?;
        let found = part.find(spread(tag), |cell| cell >> 32 == tag && same(symbol_of(*cell)))?;
        Some(symbol_of(*found))
    }

    pub(super) fn insert(&mut self, cell: u64) {
        if self.parts.is_empty() {
            self.parts.resize_with(PARTS, HashTable::new);
        }
        if let Some(part) = self.parts.get_mut(part_of(cell >> 32)) {
            insert_into(part, cell);
            self.len += 1;
        }
    }

    /// Whether the symbol was there under this hash.
    pub(super) fn remove(&mut self, hash: u64, symbol: u32) -> bool {
        let cell = cell_of(hash, symbol);
        let Some(part) = self.parts.get_mut(part_of(cell >> 32)) else { return false };
        let Ok(entry) = part.find_entry(spread(cell >> 32), |other| *other == cell) else {
            return false;
        };
        entry.remove();
        self.len -= 1;
        true
    }

    fn cells(&self) -> impl Iterator<Item = u64> + Clone {
        self.parts.iter().flatten().copied()
    }

    /// The bytes that a later open looks into.
    pub(super) fn image(&self, seed: u64) -> Vec<u8> {
        image_of(self.cells(), seed)
    }
}

impl Changes {
    pub(super) fn len(&self, image: &Image<'_>) -> u64 {
        (image.len + self.added.len()).saturating_sub(self.gone.len() as u64)
    }

    #[inline]
    pub(super) fn find(
        &self,
        image: &Image<'_>,
        hash: u64,
        mut same: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        // A symbol that is gone names nothing, or another string, which is no `same` one.
        self.added.find(hash, &mut same).or_else(|| image.find(hash, same))
    }

    pub(super) fn insert(&mut self, cell: u64) {
        self.added.insert(cell);
    }

    pub(super) fn remove(&mut self, image: &Image<'_>, hash: u64, symbol: u32) {
        if !self.added.remove(hash, symbol) && image.find(hash, |other| other == symbol).is_some() {
            self.gone.insert(symbol);
        }
    }

    /// The image with its changes.
    pub(super) fn image(&self, image: &Image<'_>) -> Vec<u8> {
        let kept = image.cells().filter(|cell| !self.gone.contains(&symbol_of(*cell)));
        image_of(kept.chain(self.added.cells()), image.seed)
    }
}

/// The bytes of an image with these cells.
fn image_of(cells: impl Iterator<Item = u64> + Clone, seed: u64) -> Vec<u8> {
    let len = cells.clone().count();
    let count = (len * 2).next_power_of_two().max(8);
    let mut slots = vec![0_u64; count];
    for cell in cells {
        let mut at = home(cell >> 32, count);
        while slots.get(at).is_some_and(|slot| *slot != 0) {
            at = (at + 1) % count;
        }
        if let Some(slot) = slots.get_mut(at) {
            *slot = cell;
        }
    }
    let header = [MAGIC, seed, count as u64, len as u64];
    header.iter().chain(&slots).flat_map(|word| word.to_le_bytes()).collect()
}

/// Where the cell of a tag is looked for first.
#[inline]
fn home(tag: u64, cells: usize) -> usize {
    // The tag has 32 bits and the cells fewer than 2^33, so the product fits.
    ((tag * cells as u64) >> 32) as usize
}

/// An image in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'b> {
    pub(super) seed: u64,
    pub(super) len: u64,
    cells: &'b [[u8; 8]],
}

impl<'b> Image<'b> {
    /// Reads a header; `None` where it is none.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let (header, cells) = bytes.split_at_checked(HEADER)?;
        let (words, _) = header.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let [magic, seed, count, len] =
            [words.next()?, words.next()?, words.next()?, words.next()?];
        let (cells, rest) = cells.as_chunks::<8>();
        let right = magic == MAGIC
            && rest.is_empty()
            && cells.len() as u64 == count
            && count.is_power_of_two()
            && count <= 1 << 32
            && len < count;
        right.then_some(Self { seed, len, cells })
    }

    /// The symbol under this hash that `same` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let mut at = home(tag, self.cells.len());
        // No run of cells is longer than all of them, whatever the bytes say.
        for _ in 0..self.cells.len() {
            let cell = self.cells.get(at).map_or(0, |cell| u64::from_le_bytes(*cell));
            if cell == 0 {
                return None;
            }
            if cell >> 32 == tag && same(symbol_of(cell)) {
                return Some(symbol_of(cell));
            }
            at += 1;
            if at == self.cells.len() {
                at = 0;
            }
        }
        None
    }

    fn cells(&self) -> impl Iterator<Item = u64> + Clone {
        self.cells.iter().map(|cell| u64::from_le_bytes(*cell)).filter(|cell| *cell != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash whose cells collide often.
    fn hash(number: u32) -> u64 {
        u64::from(number % 97).wrapping_mul(0x0123_4567_89ab_cdef) | 1 << 63
    }

    #[test]
    fn an_image_is_the_table_that_it_was_made_of() {
        let mut table = Table::default();
        for number in 1..=1000 {
            table.insert(cell_of(hash(number), number));
        }
        for number in (1..=1000).step_by(3) {
            assert!(table.remove(hash(number), number));
            assert!(!table.remove(hash(number), number));
        }
        let bytes = table.image(7);
        let image = Image::read(&bytes).unwrap();
        assert_eq!((image.seed, image.len, table.len()), (7, 666, 666));
        for number in 1..=1001 {
            let expected = (number % 3 != 1 && number <= 1000).then_some(number);
            assert_eq!(table.find(hash(number), |symbol| symbol == number), expected);
            assert_eq!(image.find(hash(number), |symbol| symbol == number), expected);
        }
    }

    #[test]
    fn threads_make_the_table_that_one_makes() {
        let count = u32::try_from(CELLS_SHARED).unwrap() + 3;
        let spread_out = |number: u32| u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for threads in [1, 2, 3, 64, 100] {
            let mut cells = [Cells::new(), Cells::new()];
            for number in 1..=count {
                cells[(number % 2) as usize].push(cell_of(spread_out(number), number));
            }
            let table = Table::of(&cells, threads);
            assert_eq!(table.len(), count.into());
            for number in 1..=count {
                let found = table.find(spread_out(number), |symbol| symbol == number);
                assert_eq!(found, Some(number), "{threads} threads");
            }
        }
    }

    #[test]
    fn changes_lie_over_their_image() {
        let mut table = Table::default();
        for number in 1..=500 {
            table.insert(cell_of(hash(number), number));
        }
        let bytes = table.image(7);
        let image = Image::read(&bytes).unwrap();
        let mut changes = Changes::default();
        for number in 501..=600 {
            changes.insert(cell_of(hash(number), number));
        }
        for number in (1..=600).step_by(5) {
            changes.remove(&image, hash(number), number);
            changes.remove(&image, hash(number), number);
        }
        // A symbol of the image that has another string by now, and one that came and went.
        changes.insert(cell_of(hash(7000), 6));
        changes.insert(cell_of(hash(7001), 11));
        changes.remove(&image, hash(7001), 11);
        let names = |number: u32| (number % 5 != 1 && number <= 600).then_some(number);
        assert_eq!(changes.len(&image), 481);
        let merged = changes.image(&image);
        let merged = Image::read(&merged).unwrap();
        assert_eq!((merged.seed, merged.len), (7, 481));
        for number in 1..=601 {
            // What a symbol names now decides, as in a store.
            let same = |symbol: u32| symbol == number && symbol % 5 != 1;
            assert_eq!(changes.find(&image, hash(number), same), names(number));
            let here = merged.find(hash(number), |symbol| symbol == number);
            assert_eq!(here, names(number), "{number}");
        }
        assert_eq!(changes.find(&image, hash(7000), |symbol| symbol == 6), Some(6));
        assert_eq!(merged.find(hash(7000), |symbol| symbol == 6), Some(6));
        assert_eq!(merged.find(hash(7001), |symbol| symbol == 11), None);
    }

    #[test]
    fn bytes_that_are_no_image_are_refused_or_end() {
        let mut table = Table::default();
        table.insert(cell_of(5 << 32, 1));
        let bytes = table.image(7);
        for len in 0..bytes.len() {
            assert!(Image::read(&bytes[..len]).is_none(), "{len}");
        }
        let mut full = bytes.clone();
        full[HEADER..].fill(0xff);
        let image = Image::read(&full).unwrap();
        assert_eq!(image.find(9 << 32, |_| true), None, "it goes round once");
        assert_eq!(image.find(u64::MAX, |_| false), None);
    }
}
