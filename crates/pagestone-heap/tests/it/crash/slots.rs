//! Operations on objects in slots of slabs, and on numbers by index.

use std::collections::BTreeMap;

use pagestone_heap::{BlockId, Counts, SlabShape, Slabs, SlotId};
use pagestone_testkit::random::Random;

use super::{
    model::{Block, Model, NUMBERS, SLOTS, bytes},
    session::{Op, Session, Steps, text},
    view::{INDICES, number_id},
};

type Done<T = ()> = Result<T, String>;

/// One operation on slabs or numbers; slabs and objects are named by their places among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlabOp {
    /// Makes a slab of a shape.
    Create(usize),
    /// Gives a slab back with all that is in it.
    Release(usize),
    /// Adds to a slab, if it has room.
    Add(usize),
    Remove(usize),
    /// Sets the number of an index; every fifth is 0.
    Set(usize, u64),
    /// Counts objects and free slots of each slab.
    Count,
}

/// Few slots, so that they are soon used again; some end in the middle of words, some slabs have
/// bitmaps of several cache lines or no generations.
pub(crate) const SHAPES: [SlabShape; 6] = [
    shape((8, 3), true),
    shape((37, 5), true),
    shape((16, 70), false),
    shape((4099, 2), true),
    shape((1, 530), true),
    shape((64, 4), true),
];

/// The most slabs at once.
const MANY: usize = 7;

const fn shape((object_len, slots): (u32, u32), generations: bool) -> SlabShape {
    SlabShape { object_len, slots, generations, mark: (object_len as u64) << 32 | 1 }
}

impl SlabOp {
    pub(crate) fn random(random: &mut Random, model: &Model) -> Self {
        let which = random.below(1 << 20) as usize;
        let live = model.contents.heaps.get(SLOTS).map_or(0, BTreeMap::len);
        match random.below(if 16 < live { 60 } else { 100 }) {
            0..28 => Self::Remove(which),
            28..38 => Self::Set(which, random.next()),
            38..42 if model.contents.slabs.len() < MANY => Self::Create(which),
            38..46 => Self::Release(which),
            46..48 => Self::Count,
            _ => Self::Add(which),
        }
    }
}

impl Session {
    fn slabs(&mut self) -> Done<Slabs> {
        let slabs = self.file()?.slabs(SLOTS).map_err(|error| text(&error))?;
        self.newest_mut().contents.heaps.entry(SLOTS.to_owned()).or_default();
        Ok(slabs)
    }

    fn objects(&mut self) -> &mut BTreeMap<BlockId, Block> {
        self.newest_mut().contents.heaps.entry(SLOTS.to_owned()).or_default()
    }

    fn pick_slab(&self, which: usize) -> Option<(u64, SlabShape)> {
        let slabs = &self.newest().contents.slabs;
        let (slab, shape) = slabs.iter().nth(which.checked_rem(slabs.len())?)?;
        Some((*slab, *shape))
    }

    pub(crate) fn change_slabs(&mut self, op: SlabOp) -> Done {
        let slabs = self.slabs()?;
        let file = self.file()?.clone();
        let mut writer = file.writer();
        match op {
            SlabOp::Create(which) => {
                let shape = SHAPES[which % SHAPES.len()];
                let slab = slabs.create(&mut writer, shape).map_err(|error| text(&error))?;
                let void = |id: &&(String, BlockId)| {
                    id.0 == SLOTS && SlotId::from_bits(id.1.to_bits()).slab() == slab
                };
                if let Some(id) = self.newest().given.iter().find(void) {
                    return Err(format!("slab {slab} was there before: {id:?}"));
                }
                self.newest_mut().contents.slabs.insert(slab, shape);
            }
            SlabOp::Release(which) => {
                let Some((slab, _)) = self.pick_slab(which) else { return Ok(()) };
                slabs.release(&mut writer, slab).map_err(|error| text(&error))?;
                self.newest_mut().contents.slabs.remove(&slab);
                let of_it = |id: &BlockId| SlotId::from_bits(id.to_bits()).slab() == slab;
                self.objects().retain(|id, _| !of_it(id));
            }
            SlabOp::Add(which) => {
                let Some((slab, shape)) = self.pick_slab(which) else { return Ok(()) };
                let content = bytes(self.seed(), shape.object_len as usize);
                let id = slabs.add(&mut writer, slab, &content).map_err(|error| text(&error))?;
                let Some(id) = id else { return Ok(()) };
                let id = BlockId::from_bits(id.to_bits());
                if !shape.generations && !self.objects().contains_key(&id) {
                    self.newest_mut().given.remove(&(SLOTS.to_owned(), id));
                }
                self.add(SLOTS, id, content)?;
            }
            SlabOp::Remove(which) => {
                let objects = self.objects();
                let count = objects.len().max(1);
                let Some(id) = objects.keys().nth(which % count).copied() else { return Ok(()) };
                let slot = SlotId::from_bits(id.to_bits());
                slabs.remove(&mut writer, slot).map_err(|error| text(&error))?;
                self.objects().remove(&id);
            }
            SlabOp::Set(which, number) => {
                drop(writer);
                return self.set((INDICES[which % INDICES.len()], number));
            }
            SlabOp::Count => {
                for (slab, shape) in self.newest().contents.slabs.clone() {
                    let (live, free) =
                        slabs.room(&mut writer, slab).map_err(|error| text(&error))?;
                    let of_it = |id: &&BlockId| SlotId::from_bits(id.to_bits()).slab() == slab;
                    let known = self.objects().keys().filter(of_it).count() as u64;
                    if live != known || u64::from(shape.slots) < live + free {
                        return Err(format!("{known} in {slab:#x}, counted {live} and {free}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, (index, number): (u32, u64)) -> Done {
        let counts = self.file()?.counts(NUMBERS).map_err(|error| text(&error))?;
        let number = if number.is_multiple_of(5) { 0 } else { number & Counts::MAX };
        let file = self.file()?.clone();
        counts.set(&mut file.writer(), index, number).map_err(|error| text(&error))?;
        let id = number_id(index);
        self.newest_mut().given.insert((NUMBERS.to_owned(), id));
        let numbers = self.newest_mut().contents.heaps.entry(NUMBERS.to_owned()).or_default();
        let bytes = number.to_le_bytes().to_vec().into();
        match number {
            0 => drop(numbers.remove(&id)),
            _ => drop(numbers.insert(id, Block { bytes, flags: 0 })),
        }
        Ok(())
    }

    /// Empties and fills every slab, then releases all; errors when a slot or a slab is lost.
    pub(crate) fn drain_slabs(&mut self, steps: &mut Steps) -> Done {
        if !self.newest().contents.heaps.contains_key(SLOTS) {
            return Ok(());
        }
        while !self.objects().is_empty() {
            self.apply(Op::Slab(SlabOp::Remove(0)), steps)?;
        }
        self.apply(Op::Commit, steps)?;
        for place in 0..self.newest().contents.slabs.len() {
            let (_, shape) = self.pick_slab(place).ok_or("no slab")?;
            let before = self.objects().len();
            for _ in 0..if shape.slots < 10 { shape.slots } else { 0 } {
                self.apply(Op::Slab(SlabOp::Add(place)), steps)?;
            }
            let added = self.objects().len() - before;
            if shape.slots < 10 && added != shape.slots as usize {
                return Err(format!("{added} of {shape:?} can be used"));
            }
        }
        self.apply(Op::Slab(SlabOp::Count), steps)?;
        while !self.newest().contents.slabs.is_empty() {
            self.apply(Op::Slab(SlabOp::Release(0)), steps)?;
        }
        for _ in 0..2 {
            self.apply(Op::Slab(SlabOp::Set(0, self.seed() | 1)), steps)?;
            self.apply(Op::CommitShared, steps)?;
        }
        match self.file()?.stats().region_counts {
            [.., 0] => Ok(()),
            counts => Err(format!("slabs stay: {counts:?}")),
        }
    }
}
