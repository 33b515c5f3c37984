//! Discard: the open epoch is undone as a whole.

use crate::{
    class::GRAIN,
    engine::{Engine, rebuild::Found},
    error::{Error, ErrorKind, Result},
    evacuation::Evacuation,
    id::BlockId,
    layout::{BLOCK_HEADER, ENTRY_HEADER, owner},
    options::Durability,
    region::Region,
    relocation::Relocation,
    retired::Waste,
    store::SYSTEM,
    units::Kind,
    word::{ENTRY, TOMBSTONE, Word},
};

impl Engine<'_> {
    /// Undoes everything since the last commit.
    pub(crate) fn discard(&mut self) -> Result<()> {
        self.shared.check_writable()?;
        if self.shared.options.durability == Durability::Scratch {
            let what = "scratch content cannot be undone: its space is used again at once";
            return Err(Error::refused(ErrorKind::Unsupported, self.shared.path(), what));
        }
        if !self.state.changed {
            return Ok(());
        }
        self.tell_undone();
        // Its lists are made anew, and what it moved lies where it lay.
        self.state.evacuation = Evacuation::default();
        let epoch = self.state.generation + 1;
        // From here on it has happened: an open that finds the mark goes on with it.
        self.set_word(owner::DISCARDING, epoch);
        let adopted = self.adopted_ranges();
        self.scrub();
        let held = self.shared.pins.stamp();
        if let Err(error) = self.rebuild(Found::Discarded { adopted }) {
            // What is known of the file is incomplete; the mark lets the next open go on.
            return Err(self.poison("discard", error));
        }
        self.set_word(owner::DISCARDING, 0);
        self.shared.discards.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        tracing::info!(epoch, held, "discarded");
        self.state.changed = false;
        self.state.written = 0;
        self.reclaim();
        Ok(())
    }

    /// Tells the hook of blocks that will be where the last commit has them.
    fn tell_undone(&mut self) {
        if !self.state.hook.is_set() {
            return;
        }
        let is_users = |region: &&Region| region.kind == Kind::Table && region.store != SYSTEM;
        let tables: Vec<Region> =
            self.state.regions.iter().flatten().filter(is_users).copied().collect();
        for table in tables {
            for slot in (table.base()..table.range.end()).step_by(16) {
                if let Some(relocation) = self.undone(slot) {
                    self.state.hook.tell(relocation);
                }
            }
        }
    }

    /// How a block goes back that a discard finds at another place than the last commit.
    fn undone(&self, slot: u64) -> Option<Relocation> {
        let (newest, committed) = (self.newest(slot), self.committed(slot));
        let dead = |word: Word| word.is_empty() || word.class() == TOMBSTONE;
        if newest == committed || dead(newest) || dead(committed) {
            return None;
        }
        let id = |word: Word| {
            let at =
                Some(word.body() * GRAIN).filter(|at| at + BLOCK_HEADER <= self.shared.raw.len());
            at.map(|at| BlockId::from_bits(self.shared.header(at).id.get()))
        };
        // An index that was used again names another block.
        let same = id(newest).filter(|found| Some(*found) == id(committed))?;
        let moved = newest.tag() == self.shared.tag() && newest.body() != committed.body();
        let header = if newest.class() == ENTRY { ENTRY_HEADER } else { BLOCK_HEADER };
        let payload = |word: Word| word.body() * GRAIN + header;
        let (from, to) = (payload(newest), payload(committed));
        moved.then_some(Relocation { id: same, from, to })
    }

    /// Ranges that only the open epoch has.
    fn adopted_ranges(&self) -> Vec<Waste> {
        let mut ranges = Vec::new();
        for (number, region) in (0_u32..).zip(&self.state.regions) {
            let Some(region) = region else { continue };
            let Ok(at) = self.number_pair(number) else { continue };
            let committed = Region::decode(self.committed(at));
            if committed != Some((region.kind, region.range)) && number != 0 {
                ranges.push(Waste::Range(region.range));
            }
        }
        ranges
    }

    /// Empties every word of the open epoch, the directory's last.
    pub(crate) fn scrub(&mut self) {
        let open = self.shared.tag();
        let mut clear = |engine: &mut Self, at: u64| {
            for at in [at, at + 8] {
                let word = Word(engine.shared.raw.load(at, std::sync::atomic::Ordering::Relaxed));
                if !word.is_empty() && word.age(open) == 0 {
                    engine.set_word(at, Word::EMPTY.0);
                }
            }
        };
        self.for_each_slot(&mut clear);
        self.for_each_number(&mut clear);
    }
}
