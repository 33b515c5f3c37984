//! Entries that are gathered in memory, appended by one write, and then published.

use zerocopy::{IntoBytes, little_endian::U64};

use super::Given;
use crate::{
    class::GRAIN,
    engine::Engine,
    error::Result,
    id::BlockId,
    layout::{ENTRY_HEADER, EntryHeader},
    region::{Region, lifecycle::Owned},
    relocation::Relocation,
    store::Store,
    word::ENTRY,
};

/// Bytes of a run from which on it is appended.
const LONG: usize = 128 << 10;

/// Entries that follow each other from the end of a segment on, in memory.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// The segment they shall go to, as it is now.
    to: Option<(u32, Region)>,
    bytes: Vec<u8>,
    entries: Vec<Gathered>,
}

/// One entry of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathered {
    pub(super) id: BlockId,
    pub(super) slot: u64,
    /// Where it lies; 0 where it is new.
    pub(super) old: u64,
    /// Where it goes, counted from the start of the run.
    pub(super) place: u64,
    pub(super) stride: u64,
}

impl Run {
    /// Whether it is long enough to be appended.
    pub(super) fn is_long(&self) -> bool {
        LONG <= self.bytes.len()
    }

    /// Whether an entry of `stride` bytes fits behind the others.
    pub(super) fn has_room(&self, stride: u64) -> bool {
        let used = self.bytes.len() as u64;
        let to = self.to.as_ref();
        to.is_some_and(|(_, region)| region.segment.end + used + stride <= region.range.end())
    }

    /// Adds an entry for which there is room, with the sequence of its place, to be published in
    /// the slot at `slot` in place of the one at `old`.
    pub(super) fn push(
        &mut self,
        (slot, old): (u64, u64),
        mut header: EntryHeader,
        payload: &[u8],
    ) {
        let Some((_, region)) = &self.to else { return };
        let place = self.bytes.len() as u64;
        header.sequence = U64::new(region.sequence_at(region.segment.end + place));
        let (id, stride) = (BlockId::from_bits(header.id.get()), header.stride());
        self.entries.push(Gathered { id, slot, old, place, stride });
        self.write(header, payload);
    }

    /// Adds a tombstone for which there is room. It keeps its sequence, and its slot stays as it
    /// is.
    pub(super) fn push_tombstone(&mut self, header: EntryHeader) {
        self.write(header, &[]);
    }

    fn write(&mut self, mut header: EntryHeader, payload: &[u8]) {
        let Some((_, region)) = &self.to else { return };
        header.seal(region.seed(), payload);
        let end = self.bytes.len() as u64 + header.stride();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(usize::try_from(end).unwrap_or(usize::MAX), 0);
    }
}

impl Engine<'_> {
    /// Adds entries, which are checked and written together; their ids are noted in `ids` as they
    /// are published.
    pub(crate) fn log_add_many<B: AsRef<[u8]>>(
        &mut self,
        store: &Store,
        entries: impl Iterator<Item = B>,
        ids: &mut Vec<BlockId>,
    ) -> Result<()> {
        self.touch()?;
        let mut run = Run::default();
        for payload in entries {
            let added = self.gather(store, payload.as_ref(), (&mut run, ids));
            if let Err(error) = added {
                // Those before it stay.
                self.append_new(store, &mut run, ids)?;
                return Err(error);
            }
        }
        self.append_new(store, &mut run, ids)
    }

    /// Takes a new entry into a run, which is appended first where it has no room.
    fn gather(
        &mut self,
        store: &Store,
        payload: &[u8],
        (run, ids): (&mut Run, &mut Vec<BlockId>),
    ) -> Result<()> {
        let given = Given { payload, room: None };
        self.check_entry(given)?;
        if LONG < payload.len() {
            self.append_new(store, run, ids)?;
            ids.push(self.log_add(store, given)?);
            return Ok(());
        }
        let header = super::entry_header(BlockId::from_bits(0), given)?;
        let stride = header.stride();
        if run.is_long() || !run.has_room(stride) {
            self.append_new(store, run, ids)?;
            self.begin_run(store, run, stride)?;
        }
        let (id, slot) = self.take_id(store)?;
        run.push((slot, 0), EntryHeader { id: U64::new(id.to_bits()), ..header }, payload);
        self.state.written += payload.len() as u64;
        Ok(())
    }

    /// Appends the entries of a run, which are new; gives their ids back where that fails.
    fn append_new(&mut self, store: &Store, run: &mut Run, ids: &mut Vec<BlockId>) -> Result<()> {
        let new: Vec<BlockId> = run.entries.iter().map(|entry| entry.id).collect();
        match self.append_run(store, run) {
            Ok(()) => {
                for id in new {
                    self.count_new(store, id);
                    store.count_change();
                    ids.push(id);
                }
                Ok(())
            }
            Err(error) => {
                new.into_iter().rev().for_each(|id| self.untake_id(store, id));
                Err(error)
            }
        }
    }

    /// Begins a run, which is empty, in a segment with room for `stride` bytes.
    pub(super) fn begin_run(&mut self, store: &Store, run: &mut Run, stride: u64) -> Result<()> {
        let number = self.make_room(store, stride)?;
        run.to = self.state.region(number).map(|region| (number, *region));
        Ok(())
    }

    /// Appends the entries of a run by one write, then publishes them in their order: after a kill
    /// those that are not published are at the end of the log, where an open cuts them off.
    pub(super) fn append_run(&mut self, store: &Store, run: &mut Run) -> Result<()> {
        let Some((number, region)) = run.to.take() else { return Ok(()) };
        let (at, len) = (region.segment.end, run.bytes.len() as u64);
        if self.state.hook.is_set() {
            for entry in run.entries.iter().filter(|entry| entry.old != 0) {
                self.tell_move(entry.id, (entry.old, at + entry.place));
            }
        }
        let mut owned = Owned::taken(at, len);
        owned.write(&self.shared.raw, 0, &run.bytes)?;
        self.end_at((number, at + len));
        for entry in run.entries.drain(..) {
            self.publish_at(store, (number, at), &entry);
        }
        run.bytes.clear();
        Ok(())
    }

    /// Tells the hook of an entry that moves, before anything of that is stored: where the hook
    /// panics the entry stays where it is.
    pub(super) fn tell_move(&mut self, id: BlockId, (from, to): (u64, u64)) {
        if self.state.hook.is_set() {
            let (from, to) = (from + ENTRY_HEADER, to + ENTRY_HEADER);
            self.state.hook.tell(Relocation { id, from, to });
        }
    }

    /// Says that entries were appended to a segment up to `end`.
    pub(super) fn end_at(&mut self, (number, end): (u32, u64)) {
        if let Some(region) = self.state.region_mut(number) {
            region.segment.end = end;
            region.prepared = region.prepared.max(end);
        }
    }

    /// Publishes an entry of a run that was appended from `at` on to a segment.
    pub(super) fn publish_at(&mut self, store: &Store, (number, at): (u32, u64), entry: &Gathered) {
        self.publish(entry.slot, ENTRY, (at + entry.place) / GRAIN);
        self.segments(store).known.note(entry.id.index(), entry.id.generation(), entry.stride);
        if let Some(region) = self.state.region_mut(number) {
            region.segment.live += entry.stride;
        }
        if let Some((_, region)) = self.state.holding(entry.old) {
            region.segment.live = region.segment.live.saturating_sub(entry.stride);
        }
    }
}
