//! The strings of an interner: shelves by length, the hash and the count of each string beside it.

use std::alloc::{Layout, handle_alloc_error};

use pagestone_storage::raw::{Content, Extent, Owned, Pages, Shelves};

use crate::{
    class::EXACT_MAX,
    error::{Error, ErrorKind, Result},
    growth::Growth,
    stats::{PoolStats, Stats},
};

/// Most strings of a slab, so that symbols lie close and leave the table bits of hashes.
pub(super) const SLOTS_MAX: u32 = 1 << SLOT_BITS;
pub(super) const SLOT_BITS: u32 = 10;
/// Slabs whose slots have an index of 32 bits that is never the largest.
const SLABS_MAX: usize = (1 << (32 - SLOT_BITS)) - 1;
/// The row of strings that have memory of their own.
const LONG: usize = EXACT_MAX + 1;

/// When slabs take so many bytes together, further ones are cut from huge pages. The allocator
/// gives the first ones: what it was given back it gives again without a page fault.
const HUGE_FROM: usize = 8 << 20;
const EXTENT_LEN: usize = 2 << 20;

/// Strings by index. The hash of each stands before it, which is never even, and its count, if asked for.
///
/// The first word of a vacant slot says, doubled, which one of its slab to take next: its place
/// and 1.
#[derive(Debug)]
pub(super) struct Texts<C: Content + ?Sized> {
    shelves: Shelves<C>,
    slabs: Vec<Slab<C>>,
    /// By length; the last for strings that are longer.
    rows: Vec<Row>,
    /// Numbers of slabs that are no more.
    unused: Vec<u32>,
    /// From which slabs are cut.
    extent: Option<Extent>,
    /// Bytes that slabs took so far.
    taken: usize,
    growth: Growth,
    slabs_max: usize,
    live: u64,
}

/// The slab of a number; none if it has no slots.
#[derive(Debug)]
struct Slab<C: ?Sized> {
    /// Its strings, where they are long.
    long: Box<[Option<Box<C>>]>,
    row: u16,
    slots: u16,
    live: u16,
    /// Slots that were taken once.
    used: u16,
    /// The vacant slot to take first, and 1; 0 for the first one that was never used.
    vacant: u16,
    /// Where in the row's list of slabs with room it is.
    position: u32,
}

/// The slabs of one length.
#[derive(Debug, Default)]
struct Row {
    /// Numbers of those that have room; the last is filled first.
    room: Vec<u32>,
    slabs: usize,
    slots: u64,
    live: u64,
    /// Bytes of long strings.
    long_len: u64,
}

impl<C: ?Sized> Slab<C> {
    fn none() -> Self {
        Self { long: Box::default(), row: 0, slots: 0, live: 0, used: 0, vacant: 0, position: 0 }
    }
}

impl<C: Content + ?Sized> Texts<C> {
    pub(super) fn new(growth: Growth) -> Result<Self> {
        Ok(Self {
            shelves: Shelves::new(1),
            slabs: Vec::new(),
            rows: Vec::new(),
            unused: Vec::new(),
            extent: None,
            taken: 0,
            growth: growth.checked()?,
            slabs_max: SLABS_MAX,
            live: 0,
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.live
    }

    /// One more than the largest index by now.
    pub(super) fn index_end(&self) -> u32 {
        u32::try_from(self.slabs.len()).unwrap_or(u32::MAX) << SLOT_BITS
    }

    /// The string of an index.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&C> {
        let string = self.shelves.get(index)?;
        if string.as_bytes().is_empty() { self.unlike(index, string) } else { Some(string) }
    }

    /// Whether an index has this very string.
    #[inline]
    pub(super) fn holds(&self, index: u32, string: &C) -> bool {
        if is_short(string) {
            self.shelves.holds(index, string)
        } else {
            self.get(index) == Some(string)
        }
    }

    /// The hash that a string was added with; even where there is none.
    #[inline]
    pub(super) fn hash(&self, index: u32) -> u32 {
        self.shelves.word(index)
    }

    /// How often a string was held.
    #[inline]
    pub(super) fn count(&self, index: u32) -> u32 {
        self.shelves.second(index)
    }

    /// The same, to be changed; `None` where strings are not counted.
    #[inline]
    pub(super) fn count_mut(&mut self, index: u32) -> Option<&mut u32> {
        self.shelves.second_mut(index)
    }

    #[inline]
    pub(super) fn prefetch(&self, index: u32) {
        self.shelves.prefetch(index);
    }

    /// Adds a string with its hash, held once; returns its index.
    #[inline]
    pub(super) fn add(&mut self, hash: u32, string: &C) -> Result<u32> {
        let row = row_of(string);
        let number = match self.rows.get(row).and_then(|row| row.room.last()) {
            Some(&number) => number,
            None => self.grow(row)?,
        };
        let slab = &mut self.slabs[number as usize];
        let slot = if slab.vacant == 0 { slab.used } else { slab.vacant - 1 };
        let index = number << SLOT_BITS | u32::from(slot);
        if slab.vacant == 0 {
            slab.used += 1;
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "at most 1024, doubled")]
            let next = (self.shelves.word(index) >> 1) as u16;
            slab.vacant = next;
        }
        slab.live += 1;
        let row = &mut self.rows[row];
        row.live += 1;
        if slab.live == slab.slots {
            row.room.pop();
        }
        self.live += 1;
        let fits = if is_short(string) || string.as_bytes().is_empty() {
            self.shelves.put(index, [hash, 1], string)
        } else {
            self.put_long((index, hash), string)
        };
        debug_assert!(fits, "a string of its row");
        Ok(index)
    }

    /// Removes the string of an index, which is there; its slot is not used again before
    /// [`vacated`](Self::vacated).
    #[inline]
    pub(super) fn remove(&mut self, index: u32) {
        let Some(slab) = self.slabs.get_mut((index >> SLOT_BITS) as usize) else { return };
        let row = &mut self.rows[usize::from(slab.row)];
        let long = slab.long.get_mut((index % SLOTS_MAX) as usize).and_then(Option::take);
        row.long_len -= long.map_or(0, |long| long.as_bytes().len() as u64);
        row.live -= 1;
        self.live -= 1;
        self.shelves.vacate(index);
    }

    /// Lets the slot of a string that was removed be used again.
    #[inline]
    pub(super) fn vacated(&mut self, index: u32) {
        let number = index >> SLOT_BITS;
        let Some(slab) = self.slabs.get_mut(number as usize) else { return };
        let slot = index % SLOTS_MAX;
        let row = &mut self.rows[usize::from(slab.row)];
        self.shelves.set_word(index, u32::from(slab.vacant) << 1);
        slab.vacant = slot as u16 + 1;
        if slab.live == slab.slots {
            slab.position = position(&row.room);
            row.room.push(number);
        }
        slab.live -= 1;
        if slab.live == 0 {
            self.emptied(number);
        }
    }

    /// All strings with their indexes.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &C)> {
        (0u32..).zip(&self.slabs).flat_map(move |(number, slab)| {
            let indexes = (0..u32::from(slab.used)).map(move |slot| number << SLOT_BITS | slot);
            indexes.filter_map(|index| Some((index, self.get(index)?)))
        })
    }

    /// All hashes with their indexes.
    pub(super) fn hashes(&self) -> impl Iterator<Item = (u32, u32)> {
        (0u32..).zip(&self.slabs).flat_map(move |(number, slab)| {
            let indexes = (0..u32::from(slab.used)).map(move |slot| number << SLOT_BITS | slot);
            let hashes = indexes.map(|index| (index, self.hash(index)));
            hashes.filter(|(_, hash)| hash % 2 == 1)
        })
    }

    /// Gives each string room for a count, which is 1.
    pub(super) fn with_counts(mut self) -> Self {
        let before = std::mem::replace(&mut self.shelves, Shelves::new(2));
        (self.extent, self.taken) = (None, 0);
        for number in 0..u32::try_from(self.slabs.len()).unwrap_or(u32::MAX) {
            let slab = &self.slabs[number as usize];
            let (row, slots, used) = (usize::from(slab.row), slab.slots, slab.used);
            if slots != 0 && self.open(number, (row, u32::from(slots))).is_err() {
                // As any collection of std does it when it grows.
                handle_alloc_error(Layout::new::<u64>());
            }
            for index in (0..u32::from(used)).map(|slot| number << SLOT_BITS | slot) {
                let word = before.word(index);
                let Some(string) = before.get(index) else {
                    self.shelves.set_word(index, word);
                    continue;
                };
                let fits = self.shelves.put(index, [word, 1], string);
                debug_assert!(fits, "a shelf like the one before");
            }
        }
        self
    }

    /// Removes all strings and gives their memory back.
    pub(super) fn clear(&mut self) {
        self.shelves = Shelves::new(self.shelves.head_len() / 4);
        (self.extent, self.taken, self.live) = (None, 0, 0);
        self.slabs = Vec::new();
        self.rows = Vec::new();
        self.unused = Vec::new();
    }

    /// Counts all, and an index of so many bytes.
    pub(super) fn stats(&self, index_len: u64) -> Stats {
        let pool = |(row, part): (usize, &Row)| {
            let slot_size = if row == LONG { 0 } else { row as u64 };
            let payload = part.live * slot_size + part.long_len;
            let (slabs, live) = (part.slabs as u64, part.live);
            let vacant = part.slots - live;
            PoolStats { slot_size, slabs, live, vacant, mapped: part.long_len, payload }
        };
        let mut pools: Vec<PoolStats> = self.rows.iter().enumerate().map(pool).collect();
        for (number, slab) in (0u32..).zip(&self.slabs) {
            if let Some(pool) = pools.get_mut(usize::from(slab.row)) {
                let long = size_of_val(&*slab.long);
                pool.mapped += (self.shelves.mapped(number) + long) as u64;
            }
        }
        pools.retain(|pool| pool.slabs != 0);
        let sum = |part: fn(&PoolStats) -> u64| pools.iter().map(part).sum::<u64>();
        let room: usize = self.rows.iter().map(|row| row.room.capacity()).sum();
        let directory_len = (self.shelves.directory_len()
            + self.slabs.capacity() * size_of::<Slab<C>>()
            + self.rows.capacity() * size_of::<Row>()
            + (room + self.unused.capacity()) * 4) as u64;
        let spare = self.extent.as_ref().map_or(0, Extent::rest) as u64;
        Stats {
            live: self.live,
            vacant: sum(|pool| pool.vacant),
            mapped: sum(|pool| pool.mapped) + spare + directory_len + index_len,
            payload: sum(|pool| pool.payload),
            spare,
            directory_len,
            index_len,
            pools,
        }
    }

    /// A string that looks empty: it is, or it is a long one.
    #[cold]
    fn unlike<'a>(&'a self, index: u32, empty: &'a C) -> Option<&'a C> {
        let slab = self.slabs.get((index >> SLOT_BITS) as usize)?;
        if usize::from(slab.row) != LONG {
            return Some(empty);
        }
        slab.long.get((index % SLOTS_MAX) as usize)?.as_deref()
    }

    /// Puts a long string; its slot has a head alone.
    #[cold]
    fn put_long(&mut self, (index, hash): (u32, u32), string: &C) -> bool {
        let slab = &mut self.slabs[(index >> SLOT_BITS) as usize];
        let Some(long) = slab.long.get_mut((index % SLOTS_MAX) as usize) else { return false };
        *long = Some(string.boxed());
        self.rows[LONG].long_len += string.as_bytes().len() as u64;
        string.first(0).is_some_and(|empty| self.shelves.put(index, [hash, 1], empty))
    }

    /// Makes the next slab of a row and returns its number.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, row: usize) -> Result<u32> {
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Row::default);
        }
        let size = u32::try_from(if row == LONG { 64 } else { row }).unwrap_or(u32::MAX);
        let slots = self.growth.slots(self.rows[row].slabs, size).min(SLOTS_MAX);
        let number = match self.unused.last() {
            Some(&number) => number,
            None if self.slabs.len() < self.slabs_max => {
                u32::try_from(self.slabs.len()).unwrap_or(u32::MAX)
            }
            None => return Err(out_of_symbols()),
        };
        self.open(number, (row, slots))?;
        if self.unused.pop().is_none() {
            self.slabs.push(Slab::none());
        }
        let part = &mut self.rows[row];
        let long = if row == LONG { (0..slots).map(|_| None).collect() } else { Box::default() };
        #[expect(clippy::cast_possible_truncation, reason = "at most 257, and 1024")]
        let (row, slots_there) = (row as u16, slots as u16);
        let position = position(&part.room);
        part.room.push(number);
        part.slabs += 1;
        part.slots += u64::from(slots);
        self.slabs[number as usize] =
            Slab { long, row, slots: slots_there, position, ..Slab::none() };
        Ok(number)
    }

    /// Opens the shelf of a slab.
    fn open(&mut self, number: u32, (row, slots): (usize, u32)) -> Result<()> {
        let len = if row == LONG { 0 } else { row };
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let memory = self.memory(self.shelves.len_of(len, slots))?;
        let opened = self.shelves.open(number, memory, (len, slots));
        debug_assert!(opened, "a number that is not in use");
        Ok(())
    }

    fn memory(&mut self, len: usize) -> Result<Owned<[u8]>> {
        self.taken = self.taken.saturating_add(len);
        if self.taken < HUGE_FROM || EXTENT_LEN < len || cfg!(miri) {
            return Ok(Owned::zeroed(len)?);
        }
        if let Some(memory) = self.extent.as_mut().and_then(|extent| extent.cut(len)) {
            return Ok(memory);
        }
        // What is left of the last extent is given back with it.
        let mut extent = Extent::new(EXTENT_LEN, Pages::Huge)?;
        let memory = extent.cut(len);
        self.extent = Some(extent);
        match memory {
            Some(memory) => Ok(memory),
            None => Ok(Owned::zeroed(len)?),
        }
    }

    /// Gives an empty slab back, unless its row would have little room without it.
    #[cold]
    fn emptied(&mut self, number: u32) {
        let slab = &self.slabs[number as usize];
        let (slots, row) = (slab.slots, &mut self.rows[usize::from(slab.row)]);
        let others = row.slots - row.live - u64::from(slots);
        if !self.growth.releases(u32::from(slots), others) {
            return;
        }
        row.slots -= u64::from(slots);
        row.slabs -= 1;
        let position = slab.position as usize;
        row.room.swap_remove(position);
        if let Some(&moved) = row.room.get(position) {
            self.slabs[moved as usize].position = slab_position(position);
        }
        self.slabs[number as usize] = Slab::none();
        self.taken = self.taken.saturating_sub(self.shelves.mapped(number));
        self.shelves.close(number);
        self.unused.push(number);
    }
}

/// The row of strings as long as this one.
#[inline]
fn row_of<C: Content + ?Sized>(string: &C) -> usize {
    string.as_bytes().len().min(LONG)
}

/// Whether a string has a place of its length, and is not empty.
#[inline]
fn is_short<C: Content + ?Sized>(string: &C) -> bool {
    string.as_bytes().len().wrapping_sub(1) < EXACT_MAX
}

/// Where the next slab with room will be.
fn position(room: &[u32]) -> u32 {
    slab_position(room.len())
}

fn slab_position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cold]
fn out_of_symbols() -> Error {
    Error::refused(ErrorKind::OutOfSpace, "every symbol was given")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// What is counted is what is there.
    fn check(texts: &Texts<str>, model: &HashMap<u32, String>) {
        let all: HashMap<u32, String> =
            texts.iter().map(|(index, string)| (index, string.to_owned())).collect();
        assert_eq!(all, *model);
        assert_eq!(texts.hashes().count(), model.len());
        let payload: usize = model.values().map(String::len).sum();
        let stats = texts.stats(0);
        assert_eq!((stats.live, stats.payload), (model.len() as u64, payload as u64));
        for (row, part) in texts.rows.iter().enumerate() {
            let slabs = texts.slabs.iter().filter(|slab| slab.slots != 0);
            let slabs: Vec<_> = slabs.filter(|slab| usize::from(slab.row) == row).collect();
            let sum =
                |of: fn(&Slab<str>) -> u16| slabs.iter().map(|slab| u64::from(of(slab))).sum();
            assert_eq!((part.slots, part.live), (sum(|slab| slab.slots), sum(|slab| slab.live)));
            assert_eq!(part.room.len(), slabs.iter().filter(|slab| slab.live < slab.slots).count());
            for (at, number) in part.room.iter().enumerate() {
                let slab = &texts.slabs[*number as usize];
                assert!(slab.position as usize == at && slab.live < slab.slots, "row {row}");
            }
        }
    }

    #[test]
    fn slots_are_taken_and_given_back_in_any_order() {
        let growth = Growth::default().first_slots(3).factor(1.5).slab_len_max(2000);
        let mut texts = Texts::<str>::new(growth).unwrap();
        let mut model = HashMap::new();
        let mut state = 7_u64;
        for round in 0..6000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = usize::try_from(state >> 33).unwrap();
            // Waves, so that slabs become full and empty.
            let adds = if round / 1000 % 2 == 0 { 9 } else { 2 };
            if random % 11 < adds {
                let len = [0, 1, 7, 8, 9, 256, 257, 300][random / 11 % 8];
                let string = format!("{random:x}").repeat(300)[..len].to_owned();
                let index = texts.add(u32::try_from(random).unwrap(), &string).unwrap();
                assert_eq!(texts.hash(index), u32::try_from(random).unwrap() | 1);
                assert!(
                    texts.holds(index, &string) && !texts.holds(index, &(string.clone() + "x"))
                );
                assert_eq!(model.insert(index, string), None, "{index} was taken");
            } else if let Some(&index) = model.keys().nth(random % model.len().max(1)) {
                model.remove(&index);
                texts.remove(index);
                assert_eq!((texts.get(index), texts.hash(index) % 2), (None, 0));
                texts.vacated(index);
            }
            if round % 500 == 0 {
                check(&texts, &model);
            }
            if round == 3300 {
                texts = texts.with_counts();
                assert!(model.keys().all(|index| texts.count(*index) == 1));
            }
        }
        check(&texts, &model);
        for index in model.into_keys() {
            texts.remove(index);
            texts.vacated(index);
        }
        check(&texts, &HashMap::new());
        assert!(texts.stats(0).vacant < 500, "most slabs were given back");
    }

    #[test]
    fn no_symbol_is_given_twice_when_all_were_given() {
        let mut texts = Texts::<str>::new(Growth::default().first_slots(2).factor(1.0)).unwrap();
        texts.slabs_max = 3;
        let indexes: Vec<u32> =
            ["aa", "ab", "ac", "ad", "e", "f"].map(|string| texts.add(1, string).unwrap()).to_vec();
        assert_eq!(indexes, [0, 1, 1024, 1025, 2048, 2049]);
        for string in ["ag", "h", "", "iii"] {
            assert_eq!(texts.add(1, string).unwrap_err().kind(), ErrorKind::OutOfSpace);
        }
        texts.remove(1024);
        texts.vacated(1024);
        assert_eq!((texts.add(1, "aj").unwrap(), texts.len()), (1024, 6));
        assert!((SLABS_MAX << SLOT_BITS) - 1 < u32::MAX as usize, "an index and 1 is a symbol");
    }
}
