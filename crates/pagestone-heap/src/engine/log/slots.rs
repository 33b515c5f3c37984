//! What the slots of a log name: read after an open or a discard, on all cores where there are
//! many, and entries that are to be looked at are fetched from memory together.

use std::{
    collections::BTreeMap,
    num::NonZero,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    class::{CLASS_MAX, GRAIN},
    engine::{Engine, index::next_generation},
    error::Result,
    layout::UNIT,
    parts::{HIDDEN, PAIR, PARTS, exists, first_of, part_len},
    region::Region,
    shared::Shared,
    store::{Indices, Store},
    units::Kind,
    word::{ENTRY, TOMBSTONE, View, Word},
};

/// Slots that one task reads.
const TASK: u64 = 1 << 16;
/// Slots whose entries are fetched together.
const BATCH: u64 = 64;

/// Does `job` for each task, on all cores when there are `many` and else in this thread; the
/// answers come in the order of the tasks.
pub(super) fn spread<T: Sync, R: Send>(
    tasks: &[T],
    many: bool,
    job: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(tasks.len());
    // Those that explore interleavings know only threads of their own.
    if !many || cores < 2 || cfg!(any(loom, shuttle)) {
        return tasks.iter().map(job).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(nth) else { return done };
            done.push((nth, job(task)));
        }
    };
    let mut answers: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    answers.sort_unstable_by_key(|(nth, _)| *nth);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// What the writer knows of regions, to be looked at by many threads.
#[derive(Clone, Copy)]
struct Map<'m> {
    shared: &'m Shared,
    store: &'m Store,
    owners: &'m [u32],
    regions: &'m [Option<Region>],
}

/// What some slots say.
#[derive(Default)]
struct Said {
    /// Indices that can be used again, ascending; never used ones between used ones too.
    vacant: Vec<u64>,
    /// The first index behind the last one that was ever used.
    next: u64,
    live: u64,
    /// Of each segment: where the last of the entries ends, and the bytes of all.
    segments: BTreeMap<u32, (u64, u64)>,
    /// For each damaged entry its segment.
    damaged: Vec<u32>,
    /// A slot that names no place in a segment of this log.
    wrong: Option<u64>,
}

impl Map<'_> {
    /// The segment of this log that an entry at `at` lies in.
    fn segment_at(&self, at: u64) -> Option<u32> {
        let number = *self.owners.get(usize::try_from(at / UNIT).ok()?)?;
        let region = self.regions.get(usize::try_from(number).ok()?)?.as_ref()?;
        let fits = region.kind == Kind::Segment
            && region.store == self.store.number
            && region.base() <= at
            && at < region.range.end();
        fits.then_some(number)
    }

    fn read(&self, indices: &Range<u64>) -> Said {
        let mut said = Said::default();
        let mut unused = Vec::new();
        let mut from = indices.start;
        let mut segment = (u32::MAX, (0, 0));
        while from < indices.end {
            let batch = from..(from + BATCH).min(indices.end);
            for index in batch.clone() {
                let word = self.newest(index);
                if word.class() == ENTRY {
                    self.shared.raw.prefetch(word.body() * GRAIN);
                }
            }
            for index in batch.clone() {
                if !exists(index) {
                    continue;
                }
                let at = self.store.parts.quick(index);
                if self.shared.pair(at).0.iter().all(|word| word.0 == 0) {
                    unused.push(index);
                    continue;
                }
                said.vacant.append(&mut unused);
                said.next = index + 1;
                let word = self.newest(index);
                if word.is_empty() || word.class() == TOMBSTONE {
                    said.vacant.extend(next_generation(self.store, word).map(|_| index));
                    continue;
                }
                said.live += 1;
                let place = word.body() * GRAIN;
                let Some(number) = self.segment_at(place) else {
                    said.wrong.get_or_insert(at);
                    continue;
                };
                let Some(header) = self.shared.header_of(word) else {
                    said.damaged.push(number);
                    continue;
                };
                if segment.0 != number {
                    said.note(segment);
                    segment = (number, (0, 0));
                }
                let stride = header.stride();
                segment.1 = (segment.1.0.max(place + stride), segment.1.1 + stride);
            }
            from = batch.end;
        }
        said.note(segment);
        said
    }

    fn newest(&self, index: u64) -> Word {
        let pair = self.shared.pair(self.store.parts.quick(index));
        pair.word(self.shared.tag(), View::Newest)
    }
}

impl Said {
    fn note(&mut self, (number, (end, live)): (u32, (u64, u64))) {
        if end != 0 {
            let known = self.segments.entry(number).or_default();
            *known = (known.0.max(end), known.1 + live);
        }
    }
}

impl Map<'_> {
    /// Whether no slot names a place in a segment where nothing can lie, or where something is
    /// appended later.
    fn is_sound(&self, indices: &Range<u64>, active: Option<u32>) -> bool {
        indices.clone().filter(|index| exists(*index)).all(|index| {
            let pair = self.shared.pair(self.store.parts.quick(index));
            let tag = self.shared.tag();
            let newest = pair.word(tag, View::Newest);
            let committed =
                if newest.tag() == tag { pair.word(tag, View::Committed) } else { newest };
            [newest, committed].iter().all(|word| self.is_sound_word(*word, active))
        })
    }

    #[inline]
    fn is_sound_word(&self, word: Word, active: Option<u32>) -> bool {
        let place = word.body() * GRAIN;
        if !self.store.is_log() {
            return CLASS_MAX < word.class() || word.is_empty() || !self.is_in_segment(place);
        }
        if word.class() == TOMBSTONE || word.is_empty() {
            return true;
        }
        let Some(number) = self.segment_at(place) else { return false };
        let Some(end) = self.end_of(number).filter(|_| word.class() == ENTRY) else { return false };
        // What is not appended to any more stays as it is, whatever its entries say.
        let fits =
            || self.shared.header_of(word).is_some_and(|header| place + header.stride() <= end);
        place < end && (active != Some(number) || fits())
    }

    fn end_of(&self, number: u32) -> Option<u64> {
        let region = self.regions.get(usize::try_from(number).ok()?)?.as_ref()?;
        Some(region.segment.end)
    }

    fn is_in_segment(&self, at: u64) -> bool {
        let number = usize::try_from(at / UNIT).ok().and_then(|unit| self.owners.get(unit));
        let region = number.and_then(|number| self.regions.get(usize::try_from(*number).ok()?));
        region.is_some_and(|region| {
            let holds = |region: &Region| region.range.start <= at && at < region.range.end();
            region.as_ref().is_some_and(|region| region.kind == Kind::Segment && holds(region))
        })
    }
}

/// The slots of a store in pieces.
fn tasks_of(store: &Store) -> Vec<Range<u64>> {
    let mut tasks = Vec::new();
    for part in (0..PARTS).filter(|part| store.parts.has(*part)) {
        let end = first_of(part) + part_len(part) / PAIR;
        let mut from = first_of(part) + HIDDEN;
        while from < end {
            let to = (from + TASK).min(end);
            tasks.push(from..to);
            from = to;
        }
    }
    tasks
}

impl Engine<'_> {
    /// Whether nothing that a slot names lies where a segment has nothing, or where something is
    /// appended later. Cost: 16 bytes per slot are read, and the headers of entries in the newest
    /// segment of each log.
    pub(crate) fn are_slots_sound(&self) -> bool {
        if self.state.logs.is_empty() {
            return true;
        }
        let stores: Vec<Arc<Store>> =
            self.shared.stores().iter().flatten().map(Arc::clone).collect();
        stores.iter().filter(|store| !store.has_counts()).all(|store| {
            let map = self.map(store);
            let active = self.state.logs.get(&store.number).and_then(|log| log.active);
            let tasks = tasks_of(store);
            let sound = spread(&tasks, 2 < tasks.len(), |task| map.is_sound(task, active));
            sound.into_iter().all(|sound| sound)
        })
    }

    fn map<'m>(&'m self, store: &'m Store) -> Map<'m> {
        let (owners, regions) = (&self.state.owners, &self.state.regions);
        Map { shared: self.shared, store, owners, regions }
    }

    /// Finds the vacant indices of a log, and counts what of each segment slots name.
    ///
    /// Sees to it that nothing is appended over an entry that a slot names: its segment ends
    /// behind it, and is sealed. Where that was not so, a damaged entry before it hid it, or
    /// somebody forged the slot.
    pub(crate) fn scan_entries(&mut self, store: &Store) -> Result<()> {
        let (tasks, map) = (tasks_of(store), self.map(store));
        let all = spread(&tasks, 2 < tasks.len(), |task| map.read(task));
        let mut indices = Indices { next: HIDDEN, ..Indices::default() };
        for (task, said) in tasks.iter().zip(all) {
            if let Some(slot) = said.wrong {
                let found = self.newest(slot).0;
                return Err(self.corrupt(("place of an entry", slot), 0, found));
            }
            if said.next != 0 {
                indices.vacant.extend((indices.next..task.start).filter(|index| exists(*index)));
                indices.vacant.extend(said.vacant);
                indices.next = said.next;
            }
            indices.live += said.live;
            for (number, (end, live)) in said.segments {
                let Some(region) = self.segment_of(store.number, number) else { continue };
                region.segment.live += live;
                if region.segment.end < end {
                    (region.segment.end, region.segment.sealed) = (end, true);
                }
            }
            for number in said.damaged {
                // A get says so. Nothing comes to lie in its place, and as long as it is named its
                // segment is not empty.
                let Some(region) = self.segment_of(store.number, number) else { continue };
                (region.segment.sealed, region.segment.live) = (true, region.segment.live + GRAIN);
            }
        }
        indices.unseen = indices.next;
        indices.vacant.reverse();
        *self.state.indices(store.number) = indices;
        Ok(())
    }
}
