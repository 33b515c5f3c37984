//! Blocks with a region of their own: copied in pieces to a range that no region has, which
//! becomes the region when all of the block is there.

use super::{Next, owners::Owners};
use crate::{
    class::GRAIN,
    engine::{Engine, adopt::Wanted},
    error::{ErrorKind, Result},
    evacuation::Long,
    layout::{BLOCK_HEADER, REGION_HEADER},
    ranges::Range,
    region::lifecycle::{Keeper, Owned, stored},
    relocation::Relocation,
    store::SYSTEM,
    units::Kind,
    word::OVERSIZE,
};

/// Bytes that are copied between two looks at the clock.
const PIECE: u64 = 256 << 10;

impl Engine<'_> {
    /// Begins to move a region of one block to the lowest range that holds it; false where there
    /// is none below.
    pub(super) fn begin_long(&mut self, number: u32, owners: &Owners) -> Result<bool> {
        let Some(region) = self.state.region(number).copied() else { return Ok(false) };
        let Some(live) = owners.find(self, region.base()) else { return Ok(false) };
        let Ok(found) = self.shared.found(live.store, live.id, live.word) else { return Ok(false) };
        let len = region.range.len;
        let part = self.state.ranges.lowest((len, u64::MAX), region.range.start);
        let Some(part) = part.filter(|_| live.word.class() == OVERSIZE) else { return Ok(false) };
        self.touch()?;
        let to = match self.take_part(Range { start: part.start, len }) {
            Ok(to) => to,
            Err(error) if error.kind() == ErrorKind::OutOfSpace => return Ok(false),
            Err(error) => return Err(error),
        };
        self.state.evacuation.long = Some(Long {
            number,
            store: live.store.number,
            slot: live.slot,
            word: live.word,
            from: region.range,
            to,
            len: BLOCK_HEADER + found.len as u64,
            copied: 0,
        });
        Ok(true)
    }

    /// The copy of a long block is no more of use.
    pub(crate) fn drop_long(&mut self) {
        if let Some(long) = self.state.evacuation.long.take() {
            self.state.ranges.give(long.to);
        }
    }

    /// Copies a piece; the last one makes the copy the block.
    pub(super) fn move_long_some(&mut self) -> Result<Next> {
        let Some(long) = self.state.evacuation.long else { return Ok(Next::More) };
        let there = self.state.region(long.number).is_some_and(|region| region.range == long.from);
        if !there || self.newest(long.slot) != long.word {
            self.drop_long();
            return Ok(Next::More);
        }
        if long.copied < long.len {
            self.copy_piece(&long);
            return Ok(Next::More);
        }
        self.publish_long(&long)?;
        Ok(Next::More)
    }

    fn copy_piece(&mut self, long: &Long) {
        let piece = PIECE.min(long.len - long.copied);
        let from = long.from.start + REGION_HEADER + long.copied;
        let len = usize::try_from(piece).unwrap_or(0);
        let bytes = stored(&self.shared.raw, Keeper::writer(self.state), (from, len));
        let mut owned = Owned::taken(long.to.start, long.to.len);
        owned.fill(&self.shared.raw, REGION_HEADER + long.copied, bytes);
        if let Some(long) = &mut self.state.evacuation.long {
            long.copied += piece;
        }
    }

    fn publish_long(&mut self, long: &Long) -> Result<()> {
        self.touch()?;
        let (from, to) = (long.from.start + REGION_HEADER, long.to.start + REGION_HEADER);
        if long.store != SYSTEM {
            let id = crate::BlockId::from_bits(self.shared.header(from).id.get());
            let (from, to) = (from + BLOCK_HEADER, to + BLOCK_HEADER);
            self.state.hook.tell(Relocation { id, from, to });
        }
        let number = self.vacant_number(Kind::Oversize)?;
        self.state.evacuation.long = None;
        self.adopt_range(number, Wanted::of(Kind::Oversize, long.to.len), long.to)?;
        let before = self.publish(long.slot, OVERSIZE, to / GRAIN);
        self.retire_word(before)?;
        let tally = &mut self.state.evacuation.tally;
        tally.blocks += 1;
        tally.payload += long.len - BLOCK_HEADER;
        self.state.evacuation.uncommitted += long.len;
        Ok(())
    }
}
