//! A read-only check of a whole file: everything against everything else.

use std::{fmt, ops::ControlFlow};

use crate::{
    class::GRAIN,
    engine::Engine,
    error::{Error, ErrorKind, Result},
    header,
    id::BlockId,
    layout::{KIND_DIRECT, KIND_SUMMED, REGION_HEADER},
    names::Named,
    region::{
        Region,
        lifecycle::{Keeper, published},
    },
    space::{Run, Space},
    store::{SYSTEM, Store},
    units::Kind,
    word::{COUNT, OVERSIZE, SWEEP_EVERY, TOMBSTONE, View, Word},
};

/// How far a verification or a copy is, in slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Slots looked at.
    pub done: u64,
    /// Slots there are.
    pub total: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// Where in the file.
    pub offset: u64,
    /// What was expected and what found.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "offset {}: {}", self.offset, self.what)
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// Regions looked at.
    pub regions: u64,
    /// Live blocks looked at.
    pub blocks: u64,
    /// Bytes of their payloads.
    pub payload: u64,
    /// Payloads that were compared with a checksum.
    pub summed: u64,
    /// What is wrong, at most the first thousand.
    pub problems: Vec<Problem>,
    /// How many things are wrong.
    pub problem_count: u64,
}

impl Report {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }

    fn add(&mut self, offset: u64, what: String) {
        self.problem_count += 1;
        if self.problems.len() < 1000 {
            self.problems.push(Problem { offset, what });
        }
    }
}

/// Options of [`RegionFile::verify`](crate::RegionFile::verify).
#[derive(Default)]
#[must_use]
pub struct Verify<'h> {
    progress: Option<&'h mut dyn FnMut(Progress) -> ControlFlow<()>>,
}

impl fmt::Debug for Verify<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verify").field("progress", &self.progress.is_some()).finish()
    }
}

impl<'h> Verify<'h> {
    /// Without a hook.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `hook` every 4,096 slots how far it is; it may break off.
    pub fn progress(mut self, hook: &'h mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        self.progress = Some(hook);
        self
    }

    pub(crate) fn run(self, engine: &mut Engine<'_>) -> Result<Report> {
        let path = engine.shared.path().to_path_buf();
        let _span = tracing::info_span!("verify", path = %path.display()).entered();
        let mut check = Check {
            view: engine.shared.view,
            engine,
            report: Report::default(),
            used: Space::default(),
            named: std::collections::BTreeSet::new(),
        };
        check.superblock();
        check.regions();
        check.blocks(self.progress)?;
        check.segments();
        check.free_space();
        Ok(check.report)
    }
}

/// A verification under way.
struct Check<'c, 'a> {
    view: View,
    engine: &'c mut Engine<'a>,
    report: Report,
    /// Free space as the slots tell it.
    used: Space,
    /// Where the regions of one block start that a slot names.
    named: std::collections::BTreeSet<u64>,
}

impl Check<'_, '_> {
    fn superblock(&mut self) {
        let raw = &self.engine.shared.raw;
        match header::cached_superblock(raw) {
            Ok(found) => {
                let expected = self.engine.state.generation;
                // A commit under way, or one whose writer was killed, is not published yet.
                let begun = self.view == View::Committed && found.generation == expected + 1;
                if found.generation != expected && !begun {
                    let what =
                        format!("generation {expected} expected, {} found", found.generation);
                    self.report.add(40, what);
                }
                if raw.len() < found.len {
                    let what = format!("length {} is beyond the file's {}", found.len, raw.len());
                    self.report.add(48, what);
                }
            }
            Err(error) => self.report.add(0, error.to_string()),
        }
    }

    fn regions(&mut self) {
        let regions: Vec<(u32, Region)> = (0_u32..)
            .zip(&self.engine.state.regions)
            .filter_map(|(number, region)| Some((number, (*region)?)))
            .collect();
        self.used.cover(self.engine.shared.raw.len());
        for (number, region) in regions {
            self.report.regions += 1;
            let found = (number, region.kind, region.range);
            if let Err(error) = header::read_region_header(self.engine.shared, found) {
                self.report.add(region.range.start, error.to_string());
            }
            if region.kind == Kind::Heap {
                self.used.mark_free(region.base(), region.range.end());
            }
        }
    }

    fn blocks(
        &mut self,
        mut progress: Option<&mut dyn FnMut(Progress) -> ControlFlow<()>>,
    ) -> Result<()> {
        let tables: Vec<Region> = self
            .engine
            .state
            .regions
            .iter()
            .flatten()
            .filter(|region| region.kind == Kind::Table)
            .copied()
            .collect();
        let total = tables.iter().map(|table| (table.range.len - REGION_HEADER) / 16).sum();
        let mut done = 0;
        for table in tables {
            let Some(store) = self.engine.shared.store(table.store) else {
                let what = format!("a slot table of store {}, which has no name", table.store);
                self.report.add(table.range.start, what);
                continue;
            };
            for at in (table.base()..table.range.end()).step_by(16) {
                self.slot(&store, (&table, at));
                done += 1;
                if done % 4096 == 0
                    && let Some(hook) = &mut progress
                    && hook(Progress { done, total }).is_break()
                {
                    let what = format!("cancelled after {done} of {total} slots");
                    let path = self.engine.shared.path();
                    return Err(Error::refused(ErrorKind::Cancelled, path, what));
                }
            }
        }
        Ok(())
    }

    fn slot(&mut self, store: &Store, (table, at): (&Region, u64)) {
        let tag = self.engine.shared.tag();
        let pair = self.engine.shared.pair(at);
        let newest = pair.word(tag, self.view);
        let committed = pair.word(tag, View::Committed);
        let part = usize::from(table.part);
        let index = crate::parts::first_of(part) + (at - table.range.start) / 16;
        // The sweep keeps every word younger; one of a tag to come would count some day.
        let old = |word: &Word| !word.is_empty() && SWEEP_EVERY + 1 < u64::from(word.age(tag));
        if let Some(word) = pair.0.iter().find(|word| old(word)) {
            let what = format!("slot {index} has a tag of no epoch that was: {:#x}", word.0);
            self.report.add(at, what);
        }
        if store.is_log() {
            return self.entry((index, at), newest);
        }
        if store.has_counts() {
            let right = newest.is_empty() || newest.class() == COUNT;
            if !right {
                self.report.add(at, format!("slot {index} has no number: {:#x}", newest.0));
            }
            return;
        }
        if store.has_slabs() {
            return self.slab(store, (index, at), newest);
        }
        if committed != newest {
            self.occupy((index, at), committed, View::Committed);
        }
        if newest.is_empty() || newest.class() == TOMBSTONE {
            return;
        }
        if let Some(start) = self.occupy((index, at), newest, View::Newest) {
            self.block(store, (index, start), newest);
        }
    }

    /// Compares an entry with its slot and its checksum.
    fn entry(&mut self, (index, at): (u64, u64), word: Word) {
        if word.is_empty() || word.class() == TOMBSTONE {
            return;
        }
        let Some((id, len)) = self.engine.shared.entry_at(word) else {
            return self.report.add(at, format!("slot {index} names no entry: {:#x}", word.0));
        };
        let start = word.body() * GRAIN;
        if BlockId::from_bits(id).index() != index {
            let other = BlockId::from_bits(id).index();
            return self.report.add(start, format!("slot {index} names an entry of slot {other}"));
        }
        self.report.blocks += 1;
        self.report.payload += len;
        self.report.summed += 1;
        let header = self.engine.shared.entry_header(start);
        let seed = self.engine.seed_at(start);
        let payload = self.engine.shared.payload_of(&header, start);
        let whole = seed.zip(payload);
        if !whole.is_some_and(|(seed, payload)| header.is_right(seed, &payload)) {
            let found = header.checksum.get();
            let id = BlockId::from_bits(id);
            self.report.add(start + 20, format!("checksum of entry {id}: {found:#x} is wrong"));
        }
    }

    /// Compares a slab with its slot, its header and its bits.
    fn slab(&mut self, store: &Store, (index, at): (u64, u64), word: Word) {
        if word.is_empty() || word.class() == TOMBSTONE {
            return;
        }
        let shared = self.engine.shared;
        let Some((id, geometry)) = shared.slab_at(word).filter(|(id, _)| id.index() == index)
        else {
            return self.report.add(at, format!("slot {index} names no slab: {:#x}", word.0));
        };
        if !self.named.insert(geometry.at) {
            self.report.add(at, format!("slot {index} names space of another slab"));
        }
        self.report.blocks += 1;
        let header = shared.slab_header(geometry.at);
        if header.sum() != header.checksum.get()
            || header.reserved != [0; 28]
            || header.spare.get() != 0
        {
            let found = header.checksum.get();
            let what = format!("checksum of slab {id}: {found:#x} is wrong");
            self.report.add(geometry.at + 60, what);
        }
        let pair = shared.pair(at);
        let which = pair.0.iter().position(|other| *other == word).unwrap_or(0);
        let slots = u32::try_from(geometry.slots).unwrap_or(0);
        let tail = u32::try_from(geometry.bitmap_len() * 8).unwrap_or(0);
        for slot in 0..tail {
            if !shared.slot_bit((&geometry, which), slot) {
                continue;
            }
            let unborn = slot < slots && shared.slot_generation(&geometry, slot) == 0;
            if slots <= slot || unborn {
                let what = format!("slab {id} of store {} has no slot {slot}", store.number);
                self.report.add(geometry.bitmap(which) + u64::from(slot / 8), what);
            }
            self.report.payload += geometry.object_len;
        }
    }

    /// The entries of each log are what its slots name, or older. A reader of another process does
    /// not know where segments end.
    fn segments(&mut self) {
        if self.view == View::Committed {
            return;
        }
        let stores: Vec<_> = self.engine.shared.stores().iter().flatten().cloned().collect();
        for store in stores.iter().filter(|store| store.is_log()) {
            let report = &mut self.report;
            self.engine.check_segments(store, &mut |at, what| report.add(at, what));
        }
    }

    /// Marks the space of a word; returns where its block starts.
    fn occupy(&mut self, (index, at): (u64, u64), word: Word, view: View) -> Option<u64> {
        if word.is_empty() || word.class() == TOMBSTONE {
            return None;
        }
        let Some((start, _)) = self.engine.shared.place(word) else {
            // What only a commit names may lie in a range that was given back since.
            if view == View::Newest {
                self.report.add(at, format!("slot {index} names no place: {:#x}", word.0));
            }
            return None;
        };
        let alone = if word.class() == OVERSIZE {
            self.named.insert(start)
        } else {
            self.used.mark_used(Run::of(start, word.class()))
        };
        if !alone {
            self.report.add(at, format!("slot {index} names space of another block"));
        }
        Some(start)
    }

    fn block(&mut self, store: &Store, (index, start): (u64, u64), word: Word) {
        let header = self.engine.shared.header(start);
        let id = BlockId::from_bits(header.id.get());
        if id.index() != index {
            let what = format!("slot {index} names a block of slot {}", id.index());
            return self.report.add(start, what);
        }
        let block = match self.engine.shared.found(store, id, word) {
            Ok(block) => block,
            Err(error) => return self.report.add(start, error.to_string()),
        };
        self.report.blocks += 1;
        self.report.payload += block.len as u64;
        let pin = self.engine.shared.pins.take();
        let keeper = Keeper::pin(&pin);
        let sum = if header.kind == KIND_SUMMED {
            self.report.summed += 1;
            header.sum_with(published(&self.engine.shared.raw, keeper, (start, block.len)))
        } else {
            header.sum()
        };
        self.engine.shared.pins.give_back(pin);
        if header.kind > KIND_DIRECT || header.spare != 0 {
            self.report.add(start + 14, format!("block kind {} is unknown", header.kind));
        } else if sum != header.checksum.get() {
            let found = header.checksum.get();
            let what = format!("checksum of block {id}: expected {sum:#x}, found {found:#x}");
            self.report.add(start + 20, what);
        }
        if store.number == SYSTEM {
            self.name(&block);
        }
    }

    fn name(&mut self, block: &crate::shared::Found) {
        let pin = self.engine.shared.pins.take();
        let place = (block.at, block.len);
        let bytes = published(&self.engine.shared.raw, Keeper::pin(&pin), place);
        let known = crate::names::decode(bytes);
        self.engine.shared.pins.give_back(pin);
        match known {
            Some((_, Named::Root(_) | Named::Store { .. })) => {}
            None => self.report.add(block.at, "a name that makes no sense".to_owned()),
        }
    }

    /// What the writer takes for free is free, and nothing else is.
    fn free_space(&mut self) {
        let state = &mut *self.engine.state;
        for waste in state.retired.all() {
            if let crate::retired::Waste::Run(run) = waste {
                // Of the open epoch alone, or named by the committed word: used either way.
                self.used.mark_used(run);
            }
        }
        for region in state.regions.iter().flatten() {
            if matches!(region.kind, Kind::Oversize | Kind::Slab)
                && !self.named.contains(&region.base())
            {
                let what = format!("{} bytes with one owner, whom no slot names", region.range.len);
                self.report.add(region.range.start, what);
            }
            let counts = region.kind == Kind::Heap && region.loaded && state.touched;
            if !counts {
                continue;
            }
            let (base, end) = (region.base(), region.range.end());
            let (ours, theirs) = (state.space.count(base, end), self.used.count(base, end));
            if ours != theirs || region.free != ours {
                let what = format!(
                    "{} bytes free by the slots, {} by the list, {} by the count",
                    theirs * GRAIN,
                    ours * GRAIN,
                    region.free * GRAIN
                );
                self.report.add(region.range.start, what);
            }
        }
    }
}
