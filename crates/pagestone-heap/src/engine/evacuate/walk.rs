//! The walk over a victim: its blocks by place, each copied, announced, published, retired.

use super::{
    Next,
    owners::{Live, Owners},
    room::Room,
};
use crate::{
    class::{CLASS_MAX, GRAIN, grains_of, room_of},
    engine::{Engine, block::is_class_of},
    error::Result,
    evacuation::Victim,
    layout::BLOCK_HEADER,
    region::lifecycle::{Keeper, Owned, stored},
    relocation::Relocation,
    space::Run,
    store::SYSTEM,
    word::TOMBSTONE,
};

/// Blocks between two looks at the clock.
const BLOCKS: usize = 16;
/// Grains without a block between two looks at the clock.
const GRAINS: u64 = 4096;
/// Bytes that are moved under one commit, about.
const COMMIT: u64 = 16 << 20;

/// Room that goes back when the hook panics.
struct Unpublished<'e, 'a> {
    engine: &'e mut Engine<'a>,
    run: Option<Run>,
}

impl Drop for Unpublished<'_, '_> {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            self.engine.give_room(run);
        }
    }
}

/// What became of a block.
enum Moved {
    Yes,
    /// It contradicts itself, so that nobody knows what it occupies: the region stays.
    Never,
    /// There is no room before a step of its own.
    Later,
    /// There is no room before a commit.
    Wait,
    /// There is no room.
    No,
}

impl Engine<'_> {
    /// Moves some blocks of the victim.
    pub(super) fn evacuate_some(&mut self, owners: &Owners) -> Result<Next> {
        for _ in 0..BLOCKS {
            let Some(victim) = self.state.evacuation.victim else { return Ok(Next::More) };
            let end = victim.range.end() / GRAIN;
            let stop = end.min(victim.cursor + GRAINS);
            let Some((grain, live)) = self.next_live((victim.cursor, stop), owners) else {
                self.pass(stop);
                if stop == end {
                    self.victim_done(&victim);
                }
                return Ok(Next::More);
            };
            self.pass(grain);
            match self.move_block(&live)? {
                Moved::Yes => self.pass(grain + u64::from(grains_of(live.word.class()))),
                Moved::Never => self.pass(grain + 1),
                Moved::Later => return Ok(Next::Pause),
                Moved::Wait => return self.wait_for_room(),
                Moved::No => {
                    self.put_victim_off(&victim);
                    return Ok(Next::More);
                }
            }
        }
        if COMMIT <= self.state.evacuation.uncommitted {
            return self.ask_for_commit();
        }
        Ok(Next::More)
    }

    /// The walk comes to a grain.
    fn pass(&mut self, grain: u64) {
        if let Some(victim) = &mut self.state.evacuation.victim {
            victim.cursor = grain;
        }
    }

    /// The first block that starts in some grains of the victim.
    fn next_live<'o>(
        &self,
        (mut grain, stop): (u64, u64),
        owners: &'o Owners,
    ) -> Option<(u64, Live<'o>)> {
        while let Some(used) = self.state.space.next_used(grain, stop) {
            if let Some(live) = owners.find(self, used * GRAIN) {
                return Some((used, live));
            }
            // Freed, and waiting, or the inside of a block that was.
            grain = used + 1;
        }
        None
    }

    fn move_block(&mut self, live: &Live<'_>) -> Result<Moved> {
        let Live { store, id, slot, word } = *live;
        let known = word.class() != TOMBSTONE && word.class() <= CLASS_MAX;
        let found = self.shared.found(store, id, word).ok().filter(is_class_of);
        let Some(found) = found.filter(|_| known) else { return Ok(Moved::Never) };
        let run = match self.take_room(grains_of(word.class()))? {
            Room::Taken(run) => run,
            Room::Later => return Ok(Moved::Later),
            Room::AfterCommit => return Ok(Moved::Wait),
            Room::Nowhere => return Ok(Moved::No),
        };
        let mut unpublished = Unpublished { engine: self, run: Some(run) };
        let engine = &mut *unpublished.engine;
        engine.touch()?;
        let len = BLOCK_HEADER + found.len as u64;
        let bytes = stored(
            &engine.shared.raw,
            Keeper::writer(engine.state),
            (found.at, usize::try_from(len)?),
        );
        Owned::taken(run.at(), room_of(word.class())).fill(&engine.shared.raw, 0, bytes);
        if store.number != SYSTEM {
            let (from, to) = (found.at + BLOCK_HEADER, run.at() + BLOCK_HEADER);
            engine.state.hook.tell(Relocation { id, from, to });
        }
        unpublished.run = None;
        drop(unpublished);
        let before = self.publish(slot, word.class(), run.grain);
        self.retire_word(before)?;
        self.count_moved(run, found.len as u64);
        Ok(Moved::Yes)
    }

    fn count_moved(&mut self, run: Run, payload: u64) {
        let evacuation = &mut self.state.evacuation;
        evacuation.uncommitted += u64::from(run.grains) * GRAIN;
        evacuation.tally.blocks += 1;
        evacuation.tally.payload += payload;
        if let Some(Victim { left, .. }) = &mut evacuation.victim {
            *left = left.saturating_sub(u64::from(run.grains));
        }
    }
}
