//! Slabs: slots with generations under two tagged bitmaps.

use crate::protocol::{
    engine::{Engine, Waiting, space::slot_bit, view::slab_key},
    machine::{Result, broken},
    place::{Key, Kind, SLOT_GENERATIONS, SLOTS, tag, tag_of, tagged},
    rules::Mutant,
};

/// A slot taken for a new object, which is not there yet.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct SlotPlan {
    pub(in crate::protocol) key: Key,
    base: u32,
    slot: u32,
    generation: u64,
}

impl Engine {
    pub(super) fn slab_number(&self, base: u32) -> Result<u64> {
        Ok(self.load(base)? & 0xffff)
    }

    pub(super) fn slot_generation(&self, base: u32, slot: u32) -> Result<u64> {
        Ok(self.load(base + 7)? >> (8 * slot) & 0xff)
    }

    /// The first word of the bitmap that counts.
    fn bitmap(&self, base: u32, age_min: i32) -> Result<Option<u32>> {
        let tags = [self.load(base + 1)?, self.load(base + 4)?];
        let which = self.machine.choose(tags, self.epoch(), age_min);
        Ok(which.map(|which| base + 1 + 3 * which))
    }

    pub(in crate::protocol) fn slot_used(
        &self,
        base: u32,
        slot: u32,
        age_min: i32,
    ) -> Result<bool> {
        let Some(bitmap) = self.bitmap(base, age_min)? else { return Ok(false) };
        Ok(self.load(bitmap + 1 + slot / 2)? >> (slot % 2) & 1 == 1)
    }

    /// The bitmap of the open epoch, copied from the committed one at the first touch.
    fn open_bitmap(&mut self, base: u32) -> Result<u32> {
        let open = tag(self.epoch());
        let tags = [self.load(base + 1)?, self.load(base + 4)?];
        for (word, at) in tags.into_iter().zip([base + 1, base + 4]) {
            if word != 0 && tag_of(word) == open {
                return Ok(at);
            }
        }
        let committed = self.machine.choose(tags, self.epoch(), 1);
        if let Some(which) = committed.filter(|_| self.breaks(Mutant::SlabOneBitmap)) {
            return Ok(base + 1 + 3 * which);
        }
        let at = base + 1 + 3 * committed.map_or(0, |which| 1 - which);
        if self.breaks(Mutant::SlabTagFirst) {
            self.store(at, tagged(open, 1))?;
        }
        if self.keeps(Mutant::SlabBitmapNotCopied) {
            for part in 1..3 {
                let bits = match committed {
                    Some(which) => self.load(base + 1 + 3 * which + part)?,
                    None => 0,
                };
                self.store(at + part, bits)?;
            }
        }
        if self.keeps(Mutant::SlabTagFirst) {
            self.store(at, tagged(open, 1))?;
        }
        Ok(at)
    }

    /// Takes a free slot, of a new slab if need be.
    pub(in crate::protocol) fn plan_slot(&mut self) -> Result<Option<SlotPlan>> {
        self.reclaim();
        let mut plans = self.vacant_slots()?;
        if plans.is_empty() && self.adopt(Kind::Slab, 1)?.is_some() {
            plans = self.vacant_slots()?;
        }
        let plan = self.machine.random.pick(&plans);
        if let Some(plan) = plan {
            self.free_slots &= !slot_bit(plan.base, plan.slot);
        }
        Ok(plan)
    }

    fn vacant_slots(&self) -> Result<Vec<SlotPlan>> {
        let mut plans = Vec::new();
        for number in self.numbers(Kind::Slab) {
            let Some(region) = self.regions.0[number] else { continue };
            let base = region.base();
            for slot in 0..SLOTS {
                let before = self.slot_generation(base, slot)?;
                let free = self.free_slots & slot_bit(base, slot) != 0;
                if !free || SLOT_GENERATIONS <= before && self.keeps(Mutant::SlabGenerationWraps) {
                    continue;
                }
                let generation = if self.breaks(Mutant::SlabGenerationOnRemove) {
                    before.max(1)
                } else {
                    before % SLOT_GENERATIONS + 1
                };
                let key = slab_key(self.slab_number(base)?, slot, generation);
                plans.push(SlotPlan { key, base, slot, generation });
            }
        }
        Ok(plans)
    }

    fn set_bit(&mut self, plan: SlotPlan) -> Result<()> {
        let word = self.open_bitmap(plan.base)? + 1 + plan.slot / 2;
        let bits = self.load(word)?;
        self.store(word, bits | 1 << (plan.slot % 2))
    }

    fn set_generation(&mut self, plan: SlotPlan) -> Result<()> {
        let all = self.load(plan.base + 7)? & !(0xff << (8 * plan.slot));
        self.store(plan.base + 7, all | plan.generation << (8 * plan.slot))
    }

    pub(in crate::protocol) fn insert(&mut self, plan: SlotPlan, object: u64) -> Result<()> {
        if self.breaks(Mutant::SlabBitFirst) {
            self.set_bit(plan)?;
        }
        self.set_generation(plan)?;
        self.store(plan.base + 8 + plan.slot, object)?;
        self.set_bit(plan)
    }

    /// Removes a live object.
    pub(in crate::protocol) fn remove_object(&mut self, key: Key) -> Result<()> {
        let slot = key.index % SLOTS;
        for number in self.numbers(Kind::Slab) {
            let Some(region) = self.regions.0[number] else { continue };
            let base = region.base();
            if self.slab_number(base)? != u64::from(key.index / SLOTS) {
                continue;
            }
            let committed = self.is_committed(number)? && self.slot_used(base, slot, 1)?;
            let word = self.open_bitmap(base)? + 1 + slot / 2;
            let bits = self.load(word)?;
            self.store(word, bits & !(1 << (slot % 2)))?;
            if self.breaks(Mutant::SlabGenerationOnRemove) {
                let generation = self.slot_generation(base, slot)? % SLOT_GENERATIONS + 1;
                self.set_generation(SlotPlan { key, base, slot, generation })?;
            }
            let epoch = Some(self.epoch()).filter(|_| committed);
            self.retire(Waiting::Slots(slot_bit(base, slot)), epoch);
            return Ok(());
        }
        broken("a live object has no slab")
    }

    /// Slabs without an object.
    pub(in crate::protocol) fn empty_slabs(&self) -> Result<Vec<usize>> {
        let mut empty = Vec::new();
        for number in self.numbers(Kind::Slab) {
            let Some(region) = self.regions.0[number] else { continue };
            let used = (0..SLOTS).map(|slot| self.slot_used(region.base(), slot, 0));
            if !used.collect::<Result<Vec<bool>>>()?.contains(&true) {
                empty.push(number);
            }
        }
        Ok(empty)
    }
}
