//! A hash table of slots that readers look into without a lock.
//!
//! It knows no keys: a cell holds part of a hash beside a slot, and whoever asks says which of the
//! slots with that hash is meant. So it grows without reading a key. Cells lie in the order of
//! their hashes, each at the place that its hash says or behind it (linear probing, kept sorted),
//! which makes a miss as short as a hit and growth a pass from left to right.

mod cells; // cells that grow and never move
mod image; // a table as it lies in a file

use std::{
    hint,
    sync::atomic::{AtomicBool, AtomicU64, Ordering, fence},
};

pub(crate) use image::{Image, Origin};

use cells::Cells;

/// Parts of the table, each with its own growth; the first bits of a hash say which.
pub(crate) const SHARDS: usize = 16;
const SHARD_BITS: u32 = SHARDS.ilog2();
/// Bits of a cell that are the slot; the others are of the hash.
const SLOT_BITS: u32 = 36;
/// No slot of a table is greater.
pub(crate) const SLOT_MAX: u64 = (1 << SLOT_BITS) - 1;
/// Bits of the hash in a cell.
const TAG_BITS: u32 = 64 - SLOT_BITS;

/// The shard of a hash.
pub(crate) const fn shard_of(hash: u64) -> usize {
    (hash >> (64 - SHARD_BITS)) as usize
}

/// What stands in a cell besides the slot.
const fn tag_of(hash: u64) -> u64 {
    hash << SHARD_BITS >> SLOT_BITS
}

/// The cell of a slot under a hash. No slot is 0, and so no cell that is taken.
pub(crate) const fn cell_of(hash: u64, slot: u64) -> u64 {
    tag_of(hash) << SLOT_BITS | slot & SLOT_MAX
}

const fn tag_in(cell: u64) -> u64 {
    cell >> SLOT_BITS
}

/// The place of a hash among as many homes.
const fn home_of(tag: u64, homes: u64) -> u64 {
    // Below 2^36 homes, so no product is lost.
    (tag * homes) >> TAG_BITS
}

/// Looks at cells from a home on; the slot that `same` accepts.
fn probe<E>(
    cells: impl Iterator<Item = u64>,
    tag: u64,
    same: &mut impl FnMut(u64) -> Result<bool, E>,
) -> Result<Probed, E> {
    for cell in cells {
        if cell == 0 || tag < tag_in(cell) {
            return Ok(Probed::Missing);
        }
        if tag_in(cell) == tag && same(cell & SLOT_MAX)? {
            return Ok(Probed::Found(cell & SLOT_MAX));
        }
    }
    Ok(Probed::End)
}

/// The first of some cells with this tag, or 0, and whether there is none behind them; without a
/// branch on what the cells hold, so that a processor goes on to what follows while it waits for
/// them.
#[inline]
fn pick(cells: impl DoubleEndedIterator<Item = u64>, tag: u64) -> (u64, bool) {
    cells.rev().fold((0, false), |(found, ends), cell| {
        let found = if tag_in(cell) == tag { cell } else { found };
        (found, if cell == 0 || tag < tag_in(cell) { true } else { ends })
    })
}

/// Cells that are looked at together.
const TOGETHER: usize = 8;

/// What a look at cells found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probed {
    Found(u64),
    /// A vacant cell, or one of a greater hash.
    Missing,
    /// The end of the cells that were looked at.
    End,
}

/// The table: read by many threads, changed by one at a time.
#[derive(Debug)]
pub(crate) struct Table {
    shards: [Shard; SHARDS],
}

/// Changes are between an odd count and the next even one; a reader that missed a slot while the
/// count moved looks again.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    count: AtomicU64,
    /// Whether the cells are here, and not in an image.
    is_here: AtomicBool,
    homes: AtomicU64,
    len: AtomicU64,
    cells: Cells,
}

impl Table {
    /// An empty table.
    pub(crate) fn new() -> Self {
        let shards = std::array::from_fn(|_| Shard::new());
        Self { shards }
    }

    /// A table whose shards hold as many slots, in an image.
    pub(crate) fn of_image(lens: [u64; SHARDS]) -> Self {
        let table = Self::new();
        for (shard, len) in table.shards.iter().zip(lens) {
            shard.is_here.store(false, Ordering::Relaxed);
            shard.len.store(len, Ordering::Relaxed);
        }
        table
    }

    /// Slots there are.
    pub(crate) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.len.load(Ordering::Acquire)).sum()
    }

    fn shard(&self, hash: u64) -> &Shard {
        // Four bits are below 16.
        &self.shards[shard_of(hash) % SHARDS]
    }

    /// Whether the shard of a hash is here and not in the image.
    #[inline]
    pub(crate) fn is_here(&self, hash: u64) -> bool {
        self.shard(hash).is_here.load(Ordering::Acquire)
    }

    /// The numbers of the shards that are in the image.
    pub(crate) fn elsewhere(&self) -> Vec<usize> {
        let shards = self.shards.iter().enumerate();
        let elsewhere = shards.filter(|(_, shard)| !shard.is_here.load(Ordering::Acquire));
        elsewhere.map(|(number, _)| number).collect()
    }

    /// The slot under this hash that `same` accepts.
    ///
    /// # Errors
    ///
    /// The first of `same`.
    #[inline]
    pub(crate) fn find<E>(
        &self,
        hash: u64,
        mut same: impl FnMut(u64) -> Result<bool, E>,
    ) -> Result<Option<u64>, E> {
        let shard = self.shard(hash);
        let before = shard.count.load(Ordering::Acquire);
        let (cell, ends) = shard.look(tag_of(hash));
        if cell == 0 && ends && before.is_multiple_of(2) {
            // The loads of the cells come before this one.
            fence(Ordering::Acquire);
            if shard.count.load(Ordering::Relaxed) == before {
                return Ok(None);
            }
        } else if cell != 0 && same(cell & SLOT_MAX)? {
            return Ok(Some(cell & SLOT_MAX));
        }
        self.find_slowly(hash, same)
    }

    fn find_slowly<E>(
        &self,
        hash: u64,
        mut same: impl FnMut(u64) -> Result<bool, E>,
    ) -> Result<Option<u64>, E> {
        let shard = self.shard(hash);
        let tag = tag_of(hash);
        loop {
            let before = shard.count.load(Ordering::Acquire);
            if !before.is_multiple_of(2) {
                hint::spin_loop();
                continue;
            }
            let home = home_of(tag, shard.homes.load(Ordering::Relaxed));
            let mut found = Probed::End;
            for cells in shard.cells.from(home) {
                let cells = cells.iter().map(|cell| cell.load(Ordering::Relaxed));
                found = probe(cells, tag, &mut same)?;
                if found != Probed::End {
                    break;
                }
            }
            if let Probed::Found(slot) = found {
                return Ok(Some(slot));
            }
            // The loads of the cells come before this one.
            fence(Ordering::Acquire);
            if shard.count.load(Ordering::Relaxed) == before {
                return Ok(None);
            }
        }
    }

    /// Loads the cell at the home of a hash, so that later looks find it in the cache.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        let shard = self.shard(hash);
        shard.cells.load(home_of(tag_of(hash), shard.homes.load(Ordering::Relaxed)))
    }

    /// The first slot near its home with the hash of this one, whosever it is: what is looked for
    /// most likely.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<u64> {
        let (cell, _) = self.shard(hash).look(tag_of(hash));
        (cell != 0).then_some(cell & SLOT_MAX)
    }

    /// Enters a slot under a hash. The caller is the only one that changes the table.
    pub(crate) fn insert(&self, hash: u64, slot: u64) {
        self.shard(hash).insert(cell_of(hash, slot));
    }

    /// Takes a slot out; false where it is not there. The caller is the only one that changes the
    /// table.
    pub(crate) fn remove(&self, hash: u64, slot: u64) -> bool {
        self.shard(hash).remove(cell_of(hash, slot))
    }

    /// Makes room for as many slots in all, if hashes are even.
    pub(crate) fn reserve(&self, len: u64) {
        for shard in self.shards.iter().filter(|shard| shard.is_here.load(Ordering::Acquire)) {
            shard.change(|| shard.spread(len.div_ceil(SHARDS as u64)));
        }
    }

    /// Puts these cells in place of all that a shard has.
    pub(crate) fn replace(&self, number: usize, mut cells: Vec<u64>) {
        cells.sort_unstable();
        if let Some(shard) = self.shards.get(number) {
            shard.change(|| shard.fill(&cells));
        }
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            is_here: AtomicBool::new(true),
            homes: AtomicU64::new(0),
            len: AtomicU64::new(0),
            cells: Cells::new(),
        }
    }

    /// [`pick`] of the cells from the home of a tag on.
    #[inline]
    fn look(&self, tag: u64) -> (u64, bool) {
        let home = home_of(tag, self.homes.load(Ordering::Relaxed));
        let cells: Option<&[AtomicU64; TOGETHER]> =
            self.cells.from(home).next().and_then(<[AtomicU64]>::first_chunk);
        match cells {
            Some(cells) => pick(cells.iter().map(|cell| cell.load(Ordering::Relaxed)), tag),
            None => (0, false),
        }
    }

    /// Runs a change that readers do not see in parts.
    fn change<R>(&self, change: impl FnOnce() -> R) -> R {
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Relaxed);
        // The stores of the change come behind this one.
        fence(Ordering::Release);
        let done = change();
        self.count.store(count + 2, Ordering::Release);
        done
    }

    fn homes(&self) -> u64 {
        self.homes.load(Ordering::Relaxed)
    }

    /// Slots that can be entered before the shard has to grow: seven eighths.
    fn limit(&self) -> u64 {
        self.homes() - self.homes() / 8
    }

    fn insert(&self, cell: u64) {
        let len = self.len.load(Ordering::Relaxed) + 1;
        self.change(|| {
            if self.limit() < len {
                self.spread(len + len / 4);
            }
            self.enter(cell);
        });
        self.len.store(len, Ordering::Release);
    }

    /// Puts a cell behind those of its hash; the ones behind it move on by one to the next vacant.
    fn enter(&self, cell: u64) {
        let mut at = home_of(tag_in(cell), self.homes());
        let mut carried = cell;
        loop {
            if at == self.cells.len() {
                self.cells.grow();
            }
            let here = self.cells.load(at);
            if here == 0 {
                self.cells.store(at, carried);
                return;
            }
            if tag_in(carried) < tag_in(here) {
                self.cells.store(at, carried);
                carried = here;
            }
            at += 1;
        }
    }

    fn remove(&self, cell: u64) -> bool {
        let mut at = home_of(tag_in(cell), self.homes());
        loop {
            let here = self.cells.load(at);
            if here == cell {
                break;
            }
            if here == 0 || tag_in(cell) < tag_in(here) {
                return false;
            }
            at += 1;
        }
        self.change(|| {
            // Whoever stands behind its home moves back into the gap.
            loop {
                let next = self.cells.load(at + 1);
                if next == 0 || home_of(tag_in(next), self.homes()) == at + 1 {
                    break;
                }
                self.cells.store(at, next);
                at += 1;
            }
            self.cells.store(at, 0);
        });
        let len = self.len.load(Ordering::Relaxed);
        self.len.store(len.saturating_sub(1), Ordering::Release);
        true
    }

    /// Gives the cells new homes, so many that `len` slots fit: in place, first all to the right
    /// end, then one by one to where they belong. Fewer homes than there are it does not make.
    fn spread(&self, len: u64) {
        // An eighth stays vacant, and a 32nd with some more is for what the last homes push on.
        let wanted = len + len / 6 + 8;
        let cells = &self.cells;
        let before = cells.len();
        while cells.len() < wanted + wanted / 32 + 16 {
            cells.grow();
        }
        let homes = cells.len() - cells.len() / 32 - 16;
        if homes <= self.homes() {
            return;
        }
        let mut end = 0;
        cells.for_each(0..before, |_, cell| {
            end = end.max(home_of(tag_in(cell), homes)) + 1;
        });
        while cells.len() < end {
            cells.grow();
        }
        let mut to = cells.len();
        for from in (0..before).rev() {
            let cell = cells.load(from);
            if cell != 0 {
                to -= 1;
                cells.store(from, 0);
                cells.store(to, cell);
            }
        }
        let mut next = 0;
        cells.for_each(to..cells.len(), |from, cell| {
            let at = home_of(tag_in(cell), homes).max(next);
            cells.store(from, 0);
            cells.store(at, cell);
            next = at + 1;
        });
        self.homes.store(homes, Ordering::Relaxed);
    }

    /// Makes the shard hold these cells, which are sorted.
    fn fill(&self, sorted: &[u64]) {
        self.cells.for_each(0..self.cells.len(), |at, _| self.cells.store(at, 0));
        self.len.store(0, Ordering::Relaxed);
        self.spread(sorted.len() as u64);
        let mut next = 0;
        for cell in sorted {
            let at = home_of(tag_in(*cell), self.homes()).max(next);
            while self.cells.len() <= at {
                self.cells.grow();
            }
            self.cells.store(at, *cell);
            next = at + 1;
        }
        self.len.store(sorted.len() as u64, Ordering::Release);
        self.is_here.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        convert::Infallible,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
    };

    use super::{SHARDS, SLOT_MAX, Table, cell_of, home_of, shard_of, tag_in};

    fn mix(seed: u64) -> u64 {
        let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn has(table: &Table, hash: u64, slot: u64) -> bool {
        let found = table.find::<Infallible>(hash, |here| Ok(here == slot));
        found.unwrap() == Some(slot)
    }

    /// Cells are sorted, none is before its home, none vacant between a home and its cell.
    #[track_caller]
    fn check(table: &Table, expected: &BTreeMap<u64, u64>) {
        assert_eq!(table.len(), expected.len() as u64);
        let mut count = 0;
        for shard in &table.shards {
            let (mut last, mut vacant) = (0, None);
            shard.cells.for_each(0..shard.cells.len(), |_, _| count += 1);
            for at in 0..shard.cells.len() {
                let cell = shard.cells.load(at);
                if cell == 0 {
                    vacant = Some(at);
                    continue;
                }
                let home = home_of(tag_in(cell), shard.homes());
                assert!(last <= tag_in(cell), "out of order at {at}");
                assert!(home <= at && vacant.is_none_or(|vacant| vacant < home), "{at}: {home}");
                last = tag_in(cell);
            }
        }
        assert_eq!(count, expected.len());
        for (slot, hash) in expected {
            assert!(has(table, *hash, *slot), "{slot}");
        }
    }

    fn churn(hash_of: impl Fn(u64) -> u64, most: u64) {
        let table = Table::new();
        let mut expected = BTreeMap::new();
        for round in 0..4 * most {
            let slot = 1 + mix(round) % most;
            let hash = hash_of(slot);
            if expected.remove(&slot).is_some() {
                assert!(table.remove(hash, slot) && !table.remove(hash, slot));
            } else {
                assert!(!has(&table, hash, slot));
                table.insert(hash, slot);
                expected.insert(slot, hash);
            }
            if round % (most / 4) == 0 {
                check(&table, &expected);
            }
        }
        check(&table, &expected);
    }

    #[test]
    fn slots_come_and_go() {
        churn(mix, 40_000);
    }

    #[test]
    fn equal_hashes_are_kept_apart_by_slots() {
        churn(|_| 0, 400);
        churn(|_| u64::MAX, 400);
        // The greatest hash of every shard, and many of few.
        churn(|slot| mix(slot % 16) | u64::MAX >> 8, 400);
        churn(|slot| mix(slot % 7), 2_000);
    }

    #[test]
    fn cells_keep_slot_and_hash() {
        let hash = 0xf123_4567_89ab_cdef;
        assert_eq!(shard_of(hash), 15);
        assert_eq!(cell_of(hash, SLOT_MAX), 0x1234_567f_ffff_ffff);
        assert_eq!(home_of(tag_in(u64::MAX), 1000), 999);
    }

    #[test]
    fn replaced_shards_have_what_they_are_given() {
        let table = Table::new();
        table.reserve(10_000);
        let mut expected = BTreeMap::new();
        for round in [500, 20_000, 100] {
            expected.clear();
            let mut cells = vec![Vec::new(); SHARDS];
            for slot in 1..=round {
                cells[shard_of(mix(slot))].push(cell_of(mix(slot), slot));
                expected.insert(slot, mix(slot));
            }
            for (number, cells) in cells.into_iter().enumerate() {
                table.replace(number, cells);
            }
            check(&table, &expected);
        }
    }

    #[test]
    fn memory_stays_below_the_bound_while_it_grows() {
        let table = Table::new();
        for slot in 1..200_000_u64 {
            table.insert(mix(slot), slot);
            if 20_000 < slot && slot.is_multiple_of(97) {
                let bytes: u64 = table.shards.iter().map(|shard| 8 * shard.cells.len()).sum();
                assert!(bytes < 16 * slot, "{bytes} for {slot}");
            }
        }
    }

    #[test]
    fn a_reader_beside_a_writer_misses_nothing_that_stays() {
        let table = Table::new();
        let kept = AtomicU64::new(0);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut round = 0;
                while !done.load(Ordering::Acquire) {
                    round += 1;
                    let upto = kept.load(Ordering::Acquire);
                    if upto != 0 {
                        let slot = 2 * (1 + mix(round) % upto);
                        assert!(has(&table, mix(slot), slot), "{slot}");
                    }
                }
            });
            for slot in (2..120_000).step_by(2) {
                // Odd ones come and go.
                table.insert(mix(slot + 1), slot + 1);
                table.insert(mix(slot), slot);
                kept.store(slot / 2, Ordering::Release);
                assert!(table.remove(mix(slot + 1), slot + 1));
            }
            done.store(true, Ordering::Release);
        });
    }
}
