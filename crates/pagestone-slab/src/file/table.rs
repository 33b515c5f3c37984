//! Which string has a hash: in memory, or as the last close left it in the file.
//!
//! A cell is `32 bits of the hash | symbol`, 0 where none is. In the file, cells lie at the place
//! that their hash says or behind it (linear probing), in a power of two of them. A cell that lies
//! can only miss or lead to a string that is compared and refused.

use hashbrown::HashTable;

/// What precedes the cells of an image: magic, seed, count of cells, count of strings; 8 bytes
/// each.
const HEADER: usize = 32;
const MAGIC: u64 = u64::from_le_bytes(*b"PGSINTN1");

/// A table in memory.
#[derive(Debug, Default)]
pub(super) struct Table(HashTable<u64>);

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

impl Table {
    pub(super) fn with_capacity(strings: usize) -> Self {
        Self(HashTable::with_capacity(strings))
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let found = self.0.find(spread(tag), |cell| cell >> 32 == tag && same(symbol_of(*cell)))?;
        Some(symbol_of(*found))
    }

    pub(super) fn insert(&mut self, cell: u64) {
        self.0.insert_unique(spread(cell >> 32), cell, |cell| spread(cell >> 32));
    }

    pub(super) fn remove(&mut self, hash: u64, symbol: u32) {
        let cell = cell_of(hash, symbol);
        if let Ok(entry) = self.0.find_entry(spread(cell >> 32), |other| *other == cell) {
            entry.remove();
        }
    }

    /// The bytes that a later open looks into.
    pub(super) fn image(&self, seed: u64) -> Vec<u8> {
        let cells = (self.0.len() * 2).next_power_of_two().max(8);
        let mut slots = vec![0_u64; cells];
        for cell in &self.0 {
            let mut at = home(cell >> 32, cells);
            while slots.get(at).is_some_and(|slot| *slot != 0) {
                at = (at + 1) % cells;
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = *cell;
            }
        }
        let header = [MAGIC, seed, cells as u64, self.0.len() as u64];
        header.iter().chain(&slots).flat_map(|word| word.to_le_bytes()).collect()
    }
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

    /// The same table in memory.
    pub(super) fn copy(&self) -> Table {
        // Bounded by the bytes there are.
        let len = usize::try_from(self.len).unwrap_or(0).min(self.cells.len());
        let mut table = Table::with_capacity(len);
        let cells = self.cells.iter().map(|cell| u64::from_le_bytes(*cell));
        for cell in cells.filter(|cell| *cell != 0) {
            table.insert(cell);
        }
        table
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
            table.remove(hash(number), number);
        }
        let bytes = table.image(7);
        let image = Image::read(&bytes).unwrap();
        assert_eq!((image.seed, image.len, image.copy().len()), (7, table.len(), table.len()));
        for number in 1..=1001 {
            let expected = (number % 3 != 1 && number <= 1000).then_some(number);
            assert_eq!(table.find(hash(number), |symbol| symbol == number), expected);
            assert_eq!(image.find(hash(number), |symbol| symbol == number), expected);
            assert_eq!(image.copy().find(hash(number), |symbol| symbol == number), expected);
        }
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
