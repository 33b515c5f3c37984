//! The volatile state from the file: directory, stores, names, and the free space between blocks.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    class::GRAIN,
    engine::{Engine, index::next_generation, log::Tail},
    error::{Error, Result},
    header::read_region_header,
    id::BlockId,
    layout::{REGION_HEADER, UNIT},
    names::{self, Named, Names},
    parts::{HIDDEN, PAIR, PARTS, first_of, part_len},
    ranges::{Range, Ranges},
    region::{Region, lifecycle},
    retired::{Retired, Waste},
    space::{Run, Space},
    store::{Indices, Keeps, SYSTEM, Store},
    units::Kind,
    word::{OVERSIZE, Pair, TOMBSTONE, View, Word},
};

/// A part of a table, read at once: cheaper than a page fault for each of its pages.
struct Table(Vec<u8>);

impl Table {
    fn read(engine: &Engine<'_>, (at, len): (u64, u64)) -> Result<Self> {
        // A part lies in the file, so the length is bounded by it.
        let mut bytes = vec![0; usize::try_from(len)?];
        let raw = &engine.shared.raw;
        if engine.state.opened {
            raw.read_at(at, &mut bytes);
        } else {
            // What the device cannot read is an error here, and a signal through the mapping.
            raw.pread(at, &mut bytes)?;
        }
        Ok(Self(bytes))
    }

    fn pair(&self, offset: u64) -> Pair {
        let word = |at: u64| {
            let from = usize::try_from(at).unwrap_or(usize::MAX);
            let bytes = self.0.get(from..).and_then(|rest| rest.first_chunk());
            Word(bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes)))
        };
        Pair([word(offset), word(offset + 8)])
    }
}

/// After what the state is rebuilt.
#[derive(Debug)]
pub(crate) enum Found {
    /// A close; the record of free space lies in this range.
    Clean(Range),
    /// Anything else.
    Unclean(Tail),
    /// A discard without an open; these ranges were adopted in the epoch that is undone.
    Discarded { adopted: Vec<Waste> },
}

impl Engine<'_> {
    /// Rebuilds everything from the newest words.
    pub(crate) fn rebuild(&mut self, found: Found) -> Result<()> {
        let before = self.known_ends();
        self.scan_directory(View::Newest)?;
        self.load_stores(View::Newest)?;
        match &found {
            // The record of the close says it.
            Found::Clean(_) => self.state.logs.clear(),
            Found::Unclean(tail) => self.rebuild_segments(*tail, &before)?,
            Found::Discarded { .. } => self.rebuild_segments(Tail::Undone, &before)?,
        }
        match found {
            Found::Clean(snapshot) => {
                self.clear_gaps();
                self.state.lazy.expect(snapshot, self.state.generation);
                self.rebuild_ranges(&[]);
            }
            Found::Unclean(_) => {
                self.clear_gaps();
                self.state.retired = Retired::default();
                let named = self.rebuild_blocks()?;
                self.offer_space();
                self.give_orphans_back(&named)?;
                self.load_slabs(false)?;
                self.zero_free_space();
            }
            Found::Discarded { adopted } => {
                self.rebuild_discarded(adopted)?;
                self.load_slabs(true)?;
                self.zero_free_space();
            }
        }
        Ok(())
    }

    /// Says of all that lies between the regions that no block is there.
    ///
    /// Units of regions are not touched: readers look at them meanwhile.
    pub(crate) fn clear_gaps(&self) {
        let mut at = 0;
        for number in self.state.by_start.values() {
            let Some(region) = self.state.region(*number) else { continue };
            self.shared.units.set(at, region.range.start, None);
            at = region.range.end();
        }
        self.shared.units.set(at, self.shared.raw.len(), None);
    }

    /// Reads which regions there are, and checks that none overlap.
    pub(crate) fn scan_directory(&mut self, view: View) -> Result<()> {
        self.state.regions.clear();
        self.state.by_start.clear();
        self.state.owners.clear();
        self.state.heap_bytes = 0;
        self.state.numbers = Indices { next: 2, ..Indices::default() };
        let head = Range { start: UNIT, len: UNIT };
        self.take_in(0, Region::new(Kind::Directory, head))?;
        self.shared.directory.set(0, Some(UNIT));
        for part in 1..PARTS {
            self.shared.directory.set(part, None);
        }
        for part in 0..PARTS {
            if !self.shared.directory.has(part) {
                break;
            }
            self.scan_directory_part(part, view)?;
        }
        Ok(())
    }

    fn scan_directory_part(&mut self, part: usize, view: View) -> Result<()> {
        let first = first_of(part) / 2;
        let base = self.shared.directory.quick(first_of(part));
        let table = Table::read(self, (base, part_len(part)))?;
        for number in first + HIDDEN / 2..first + part_len(part) / PAIR / 2 {
            let offset = (number - first) * 2 * PAIR;
            let pair = table.pair(offset);
            if pair.0.iter().all(|word| word.is_empty()) {
                continue;
            }
            let at = base + offset;
            let word = self.word_of(pair, (at, view));
            let number = u32::try_from(number)?;
            let numbers = &mut self.state.numbers;
            numbers.vacant.extend(numbers.next..u64::from(number));
            numbers.next = u64::from(number) + 1;
            if word.is_empty() || word.class() == crate::region::FREE {
                numbers.vacant.push(u64::from(number));
                continue;
            }
            let Some((kind, range)) = Region::decode(word) else {
                return Err(self.corrupt(("directory word", at), 0, word.0));
            };
            self.enter_region(number, (kind, range), at)?;
        }
        self.state.numbers.vacant.retain(|number| crate::parts::exists(2 * number));
        Ok(())
    }

    /// The word that counts of a pair that was copied from `at`: with a writer beside, what counts
    /// is loaded anew.
    fn word_of(&self, pair: Pair, (at, view): (u64, View)) -> Word {
        if self.shared.follower.is_some() {
            self.shared.select(at)
        } else {
            pair.word(self.shared.tag(), view)
        }
    }

    fn enter_region(&mut self, number: u32, (kind, range): (Kind, Range), at: u64) -> Result<()> {
        let len = self.shared.raw.len();
        if range.start < 2 * UNIT || len < range.end() {
            return Err(self.corrupt(("region that a directory word names", at), len, range.end()));
        }
        let mut region = Region::new(kind, range);
        if kind == Kind::Segment && self.shared.follower.is_some() {
            // Who writes reads it when it is needed.
            let header = read_region_header(self.shared, (number, kind, range))?;
            (region.store, region.first) = (header.store.get(), header.first.get());
            region.set_incarnation(header.incarnation.get());
        }
        if matches!(kind, Kind::Directory | Kind::Table) {
            let header = read_region_header(self.shared, (number, region.kind, range))?;
            let part = usize::from(header.part);
            if PARTS <= part || range.len != part_len(part) {
                return Err(self.corrupt(
                    ("table part", range.start),
                    range.len,
                    u64::from(header.part),
                ));
            }
            region.store = header.store.get();
            region.part = header.part;
            if kind == Kind::Directory {
                if self.shared.directory.has(part) {
                    return Err(self.corrupt(
                        ("directory part", range.start),
                        0,
                        u64::from(header.part),
                    ));
                }
                self.shared.directory.set(part, Some(range.start));
            }
        }
        self.take_in(number, region)
    }

    /// Enters a region that overlaps no other.
    fn take_in(&mut self, number: u32, region: Region) -> Result<()> {
        let range = region.range;
        let before = self.state.by_start.range(..range.end()).next_back();
        let overlapped = before.and_then(|(_, number)| self.state.region(*number));
        if let Some(other) = overlapped.filter(|other| range.start < other.range.end()) {
            let end = other.range.end();
            return Err(self.corrupt(("start of a region", range.start), end, range.start));
        }
        self.state.enter(number, region);
        self.shared.units.set(range.start, range.end(), Some(region.kind));
        Ok(())
    }

    /// Reads the names, and says where the slot tables of each store lie.
    pub(crate) fn load_stores(&mut self, view: View) -> Result<()> {
        let tables =
            self.state.regions.iter().flatten().filter(|region| region.kind == Kind::Table);
        let tables: Vec<Region> = tables.copied().collect();
        let system = self.shared.store(SYSTEM);
        let system = system.unwrap_or_else(|| Arc::new(Store::new(SYSTEM, 1, Keeps::SummedBlocks)));
        self.set_parts(&system, &tables)?;
        let mut found = Names::default();
        self.read_names(&system, view, &mut found)?;
        let mut stores: Vec<Option<Arc<Store>>> = vec![Some(Arc::clone(&system))];
        for (name, (named, block)) in &found.stores {
            let Named::Store { number, generation, keeps } = *named else { continue };
            let index = usize::try_from(number)?;
            // Numbers are given out in order, so there are no more than names.
            if found.stores.len() + self.shared.names().stores.len() < index {
                return Err(self.corrupt(("store number", block.index()), 0, u64::from(number)));
            }
            let known = self.shared.store(number);
            let known = known.filter(|known| known.generation == generation);
            let store = known.unwrap_or_else(|| Arc::new(Store::new(number, generation, keeps)));
            self.set_parts(&store, &tables)?;
            if stores.len() <= index {
                stores.resize(index + 1, None);
            }
            if stores[index].replace(store).is_some() {
                return Err(self.corrupt(("store number", block.index()), 0, name.len() as u64));
            }
        }
        for gone in self.shared.stores().iter().flatten() {
            let kept = usize::try_from(gone.number).ok().and_then(|index| stores.get(index));
            if !kept.is_some_and(|kept| kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, gone))) {
                gone.undo();
                for part in 0..PARTS {
                    gone.parts.set(part, None);
                }
            }
        }
        *self.shared.stores_mut() = stores;
        *self.shared.names_mut() = found;
        Ok(())
    }

    /// Says where the slot tables of the stores lie that are known.
    pub(crate) fn set_all_parts(&self) -> Result<()> {
        let tables =
            self.state.regions.iter().flatten().filter(|region| region.kind == Kind::Table);
        let tables: Vec<Region> = tables.copied().collect();
        let stores: Vec<Arc<Store>> =
            self.shared.stores().iter().flatten().map(Arc::clone).collect();
        stores.iter().try_for_each(|store| self.set_parts(store, &tables))
    }

    fn set_parts(&self, store: &Store, tables: &[Region]) -> Result<()> {
        let mut seen = [false; PARTS];
        for table in tables.iter().filter(|table| table.store == store.number) {
            let part = usize::from(table.part);
            if std::mem::replace(&mut seen[part], true) {
                let what = ("part of a slot table", table.range.start);
                return Err(self.corrupt(what, u64::from(store.number), u64::from(table.part)));
            }
            store.parts.set(part, Some(table.range.start));
        }
        for (part, seen) in seen.iter().enumerate() {
            if !seen {
                store.parts.set(part, None);
            }
        }
        Ok(())
    }

    fn read_names(&self, system: &Store, view: View, all: &mut Names) -> Result<()> {
        for part in 0..PARTS {
            if !system.parts.has(part) {
                continue;
            }
            let first = first_of(part);
            let base = system.parts.quick(first);
            let table = Table::read(self, (base, part_len(part)))?;
            for index in first + HIDDEN..first + part_len(part) / PAIR {
                let at = base + (index - first) * PAIR;
                let pair = table.pair(at - base);
                if pair.0[0].0 | pair.0[1].0 == 0 {
                    continue;
                }
                let word = self.word_of(pair, (at, view));
                if word.is_empty() || word.class() == TOMBSTONE {
                    continue;
                }
                let Some((start, _)) = self.shared.place(word) else {
                    return Err(self.corrupt(("place of a name", at), 0, word.0));
                };
                let id = BlockId::from_bits(self.shared.header(start).id.get());
                if id.index() != index {
                    return Err(self.corrupt(("id of a name", start), index, id.index()));
                }
                let block = self.shared.found(system, id, word)?;
                let pin = self.shared.pins.take();
                let keeper = lifecycle::Keeper::pin(&pin);
                let bytes = lifecycle::published(&self.shared.raw, keeper, (block.at, block.len));
                let header = self.shared.header(start);
                let decoded = names::decode(bytes);
                let summed = header.sum_with(bytes) == header.checksum.get();
                self.shared.pins.give_back(pin);
                // A name that moved to another slot meanwhile is seen twice by who follows.
                let follows = self.shared.follower.is_some();
                match decoded.filter(|_| summed) {
                    Some((name, named)) if follows || !all.has(&name, named) => {
                        all.add(name, named, id);
                    }
                    _ => return Err(self.corrupt(("name", start), 0, block.len as u64)),
                }
            }
        }
        Ok(())
    }

    /// Ranges between the regions are free, but for those that something waits for.
    fn rebuild_ranges(&mut self, kept: &[Range]) {
        let mut taken: Vec<Range> =
            self.state.regions.iter().flatten().map(|region| region.range).collect();
        taken.extend_from_slice(kept);
        taken.push(self.state.lazy.range());
        taken.sort_unstable();
        let mut ranges = Ranges::default();
        let mut at = UNIT;
        for range in taken {
            if at < range.start {
                ranges.give(Range { start: at, len: range.start - at });
            }
            at = at.max(range.end());
        }
        let end = self.shared.raw.len() / UNIT * UNIT;
        if at < end {
            ranges.give(Range { start: at, len: end - at });
        }
        self.state.ranges = ranges;
    }

    /// Reads every slot: what no word names is free.
    ///
    /// Returns where the regions of one block start that a newest word names.
    fn rebuild_blocks(&mut self) -> Result<BTreeSet<u64>> {
        let quarantined = self.committed_only_ranges();
        self.state.lazy = crate::snapshot::Lazy::rebuilt();
        self.rebuild_ranges(&quarantined);
        for range in quarantined {
            self.state.retired.quarantine(Waste::Range(range));
        }
        self.reset_space();
        let mut named = BTreeSet::new();
        let stores: Vec<_> = self.shared.stores().iter().flatten().map(Arc::clone).collect();
        self.state.indices.clear();
        for store in &stores {
            self.scan_slots(store, &mut named)?;
        }
        Ok(named)
    }

    fn reset_space(&mut self) {
        self.state.space = Space::default();
        self.state.empties.clear();
        self.state.space.cover(self.shared.raw.len());
        for region in self.state.regions.iter_mut().flatten() {
            if region.kind == Kind::Heap {
                region.loaded = true;
                self.state.space.mark_free(region.base(), region.range.end());
            }
        }
    }

    fn offer_space(&mut self) {
        let state = &mut *self.state;
        for (number, region) in (0_u32..).zip(&mut state.regions) {
            let Some(region) = region.as_mut().filter(|region| region.kind == Kind::Heap) else {
                continue;
            };
            region.free = state.space.count(region.base(), region.range.end());
            if region.free == region.grains() {
                state.empties.push(number);
            }
            state.space.offer(region.base(), region.range.end());
        }
    }

    /// Ranges that the committed directory names and the newest one does not.
    fn committed_only_ranges(&self) -> Vec<Range> {
        let mut ranges = Vec::new();
        for number in 2..u32::try_from(self.state.numbers.next).unwrap_or(u32::MAX) {
            let Ok(at) = self.number_pair(number) else { continue };
            let newest = self.state.region(number).map(|region| region.range);
            if let Some((kind, range)) = Region::decode(self.committed(at))
                && newest != Some(range)
                && range.end() <= self.shared.raw.len()
            {
                if matches!(kind, Kind::Oversize | Kind::Segment | Kind::Slab) {
                    // A discard brings its block back to readers before it brings the region.
                    self.shared.units.set(range.start, range.end(), Some(kind));
                }
                ranges.push(range);
            }
        }
        ranges
    }

    /// Marks what the slots of one store name as used, and finds its vacant indices.
    fn scan_slots(&mut self, store: &Store, named: &mut BTreeSet<u64>) -> Result<()> {
        if store.is_log() {
            return self.scan_entries(store);
        }
        let mut indices = Indices { next: HIDDEN, ..Indices::default() };
        let tag = self.shared.tag();
        for part in 0..PARTS {
            if !store.parts.has(part) {
                continue;
            }
            let first = first_of(part);
            for index in first + HIDDEN..first + part_len(part) / PAIR {
                let at = store.parts.quick(index);
                let pair = self.shared.pair(at);
                if pair.0[0].0 | pair.0[1].0 == 0 {
                    continue;
                }
                if indices.next < index {
                    let skipped = indices.next..index;
                    indices.vacant.extend(skipped.filter(|at| crate::parts::exists(*at)));
                }
                indices.next = index + 1;
                let (newest, committed) =
                    (pair.word(tag, View::Newest), pair.word(tag, View::Committed));
                if newest.is_empty() || newest.class() == TOMBSTONE {
                    if next_generation(store, newest).is_some() {
                        indices.vacant.push(index);
                    }
                } else {
                    indices.live += 1;
                    // A number takes no space but its slot.
                    if !store.has_counts() {
                        self.mark_newest((index, at), newest, named)?;
                    }
                }
                if committed != newest && !store.has_counts() {
                    self.mark_committed((index, at), committed, named)?;
                }
            }
        }
        indices.unseen = indices.next;
        indices.vacant.reverse();
        *self.state.indices(store.number) = indices;
        Ok(())
    }

    fn mark_newest(
        &mut self,
        (index, at): (u64, u64),
        word: Word,
        named: &mut BTreeSet<u64>,
    ) -> Result<()> {
        let place = self.shared.place(word).or_else(|| self.shared.slab_place(word));
        let Some((start, _)) = place else {
            return Err(self.corrupt(("place in a slot", at), index, word.0));
        };
        let unused = if word.is_alone() {
            named.insert(start - REGION_HEADER)
        } else {
            self.state.space.mark_used(Run::of(start, word.class()))
        };
        if unused {
            Ok(())
        } else {
            Err(self.corrupt(("block that overlaps another", at), index, word.0))
        }
    }

    /// What only the committed word names is in quarantine again.
    fn mark_committed(
        &mut self,
        (index, at): (u64, u64),
        word: Word,
        named: &BTreeSet<u64>,
    ) -> Result<()> {
        if word.is_empty() || word.class() == TOMBSTONE || word.is_alone() {
            let start = (word.body() * GRAIN).saturating_sub(REGION_HEADER);
            // A slab stays where it is while its words change.
            if word.class() == OVERSIZE && named.contains(&start) {
                return Err(self.corrupt(("block that overlaps another", at), index, word.0));
            }
            return Ok(());
        }
        // A place outside every region lies in a range that is in quarantine as a whole.
        let Some((start, _)) = self.shared.place(word) else { return Ok(()) };
        let run = Run::of(start, word.class());
        if !self.state.space.mark_used(run) {
            return Err(self.corrupt(("block that overlaps another", at), index, word.0));
        }
        self.state.retired.quarantine(Waste::Run(run));
        Ok(())
    }

    /// Regions of one block that no newest slot names are given back.
    fn give_orphans_back(&mut self, named: &BTreeSet<u64>) -> Result<()> {
        let orphans: Vec<u32> = (0_u32..)
            .zip(&self.state.regions)
            .filter_map(|(number, region)| Some((number, region.as_ref()?)))
            .filter(|(_, region)| matches!(region.kind, Kind::Oversize | Kind::Slab))
            .filter(|(_, region)| !named.contains(&region.range.start))
            .map(|(number, _)| number)
            .collect();
        for number in orphans {
            self.give_back(number)?;
            self.state.changed = true;
        }
        Ok(())
    }

    /// As after an unclean end, but that pins may be held: what waited goes on waiting, and what
    /// the undone epoch used waits with it.
    fn rebuild_discarded(&mut self, adopted: Vec<Waste>) -> Result<()> {
        let before = std::mem::take(&mut self.state.space);
        let mut retired = std::mem::take(&mut self.state.retired);
        retired.drop_quarantine();
        self.rebuild_blocks()?;
        let pinned = self.shared.pins.oldest() != u64::MAX;
        let mut waiting: Vec<(u64, Waste)> = retired.waiting_of_epochs().collect();
        if pinned {
            // Their units are cleared when they wait no more: who pinned a block there finds it.
            waiting.extend(adopted.into_iter().map(|waste| (0, waste)));
        } else {
            // Nobody looks, and whoever comes finds no word that leads there.
            for waste in adopted {
                if let Waste::Range(range) = waste {
                    self.shared.units.set(range.start, range.end(), None);
                }
            }
        }
        let stamp = self.shared.pins.stamp();
        let kept: Vec<Range> = waiting
            .iter()
            .filter_map(|(_, waste)| match waste {
                Waste::Range(range) => Some(*range),
                Waste::Run(_) | Waste::Slots { .. } => None,
            })
            .collect();
        self.rebuild_ranges(&kept);
        self.wait_again(stamp, waiting);
        if pinned {
            // What waits already is free no more, so no run holds a part of it.
            let undone = self.state.space.newly_free(&before);
            self.wait_again(stamp, undone.into_iter().map(|run| (0, Waste::Run(run))).collect());
        }
        self.offer_space();
        Ok(())
    }

    /// Before anything is handed out after an open: while readers of another process hold a
    /// generation before this one, nobody knows which free space they look at. All of it waits.
    pub(crate) fn withhold(&mut self) {
        let (stamp, epoch) = (self.shared.pins.stamp(), self.state.generation);
        let free = self.state.space.newly_free(&Space::default());
        self.wait_again(stamp, free.into_iter().map(|run| (epoch, Waste::Run(run))).collect());
        for range in self.state.ranges.take_all() {
            self.state.retired.retire_as_of((stamp, epoch), Waste::Range(range));
        }
        for region in self.state.regions.iter_mut().flatten() {
            region.free = 0;
        }
        self.state.empties.clear();
        self.withhold_slots();
    }

    /// Takes what waits for pins and holds out of what a rebuild found free.
    fn wait_again(&mut self, stamp: u64, waiting: Vec<(u64, Waste)>) {
        for (epoch, waste) in waiting {
            // A run of a region that is gone waits with the region.
            let waits = match waste {
                Waste::Range(_) => true,
                Waste::Run(run) => {
                    self.state.holding(run.at()).is_some() && self.state.space.mark_used(run)
                }
                // All vacant slots wait anew when their slab is read again.
                Waste::Slots { .. } => false,
            };
            match epoch {
                _ if !waits => {}
                0 => self.state.retired.retire_private(stamp, waste),
                epoch => self.state.retired.retire_as_of((stamp, epoch), waste),
            }
        }
    }

    /// Calls `visit` with the place of every slot pair of one store.
    pub(crate) fn for_each_slot_of(
        &mut self,
        store: &Store,
        visit: &mut impl FnMut(&mut Self, u64),
    ) {
        let tables = self.state.regions.iter().flatten();
        let tables =
            tables.filter(|table| table.kind == Kind::Table && table.store == store.number);
        let ranges: Vec<Range> = tables.map(|table| table.range).collect();
        for range in ranges {
            for at in (range.start + REGION_HEADER..range.end()).step_by(16) {
                visit(self, at);
            }
        }
    }

    /// Calls `visit` with the place of every slot pair.
    pub(crate) fn for_each_slot(&mut self, visit: &mut impl FnMut(&mut Self, u64)) {
        self.for_each_of(Kind::Table, visit);
    }

    /// Calls `visit` with the place of every directory pair.
    pub(crate) fn for_each_number(&mut self, visit: &mut impl FnMut(&mut Self, u64)) {
        self.for_each_of(Kind::Directory, visit);
    }

    /// Calls `visit` with the place of every pair of the file.
    pub(crate) fn for_each_pair(&mut self, mut visit: impl FnMut(&mut Self, u64)) {
        self.for_each_slot(&mut visit);
        self.for_each_number(&mut visit);
    }

    fn for_each_of(&mut self, kind: Kind, visit: &mut impl FnMut(&mut Self, u64)) {
        let regions = self.state.regions.iter().flatten().filter(|region| region.kind == kind);
        let ranges: Vec<Range> = regions.map(|region| region.range).collect();
        for range in ranges {
            for at in (range.start + REGION_HEADER..range.end()).step_by(16) {
                visit(self, at);
            }
        }
    }

    #[cold]
    pub(crate) fn corrupt(&self, what: (&'static str, u64), expected: u64, found: u64) -> Error {
        Error::corrupt(self.shared.path(), what, expected, found)
    }
}
