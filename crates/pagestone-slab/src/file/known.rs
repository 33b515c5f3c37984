//! What the writer knows of the slabs of a store: which have room for which length.

use std::collections::{BTreeMap, BTreeSet};

use pagestone_heap::{SlabFacts, SlabShape, Slabs, SlotId, Writer};

use super::store::slot_len;
use crate::{
    class::Class,
    error::{Error, ErrorKind, Result},
    growth::Growth,
};

/// Most slots of a slab in a file.
const SLOTS_MAX: u32 = 1 << 20;

/// One slab.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) number: u64,
    /// The index of its first slot, where slots have indexes.
    pub(super) first_index: u32,
    pub(super) slots: u32,
    pub(super) live: u64,
    /// Bytes of its region.
    pub(super) len: u64,
}

/// First index, slots, number and class of a slab.
pub(super) type Slots = (u32, u32, u64, Class);

/// The slabs of a class.
#[derive(Debug, Default)]
pub(super) struct Pool {
    slabs: Vec<Known>,
    /// Places in `slabs` that may have room; the lowest is used first.
    open: BTreeSet<usize>,
}

/// The slabs of a store, made from the file when they are asked for.
#[derive(Debug)]
pub(super) struct Pools {
    growth: Growth,
    /// Whether slots have indexes, and no generations.
    indexed: bool,
    classes: BTreeMap<Class, Pool>,
    /// Class and place of each slab.
    places: BTreeMap<u64, (Class, usize)>,
    /// The state of the slabs that this is of.
    made_at: Option<(u64, u64)>,
}

/// The caller's bits of a slab: its class and the index of its first slot.
fn mark_of(class: Class, first_index: u32) -> u64 {
    class.index() as u64 | u64::from(first_index) << 32
}

/// The class of a slab and the index of its first slot; `None` for bits that no slab of ours has.
pub(super) fn read_mark(mark: u64) -> Option<(Class, u32)> {
    let index = usize::try_from(mark & 0xffff_ffff).ok()?;
    let first_index = u32::try_from(mark >> 32).ok()?;
    (index <= Class::SPILLED.index()).then(|| (Class::at(index), first_index))
}

/// The class of a slab and the index of its first slot, where all that it is made as goes together.
pub(super) fn read_shape(slabs: &Slabs, facts: &SlabFacts, indexed: bool) -> Result<(Class, u32)> {
    let SlabShape { object_len, slots, generations, mark } = facts.shape;
    let read = read_mark(mark).filter(|(class, first)| {
        object_len as usize == slot_len(*class)
            && generations != indexed
            // The largest index is no symbol.
            && if indexed { first.checked_add(slots).is_some_and(|end| end < u32::MAX) } else { *first == 0 }
    });
    read.ok_or_else(|| {
        let what = format!("a slab of {slots} objects of {object_len} bytes marked {mark:#x}");
        corrupt(slabs, facts, &what)
    })
}

#[cold]
pub(super) fn corrupt(slabs: &Slabs, facts: &SlabFacts, what: &str) -> Error {
    let what = format!("{}: offset {}: {what}", slabs.file().path().display(), facts.offset);
    Error::refused(ErrorKind::Corrupt, what)
}

impl Pools {
    /// Of objects by id.
    pub(super) fn of_objects(growth: Growth) -> Self {
        let (classes, places) = (BTreeMap::new(), BTreeMap::new());
        Self { growth, indexed: false, classes, places, made_at: None }
    }

    /// Of strings by index.
    pub(super) fn of_strings(growth: Growth) -> Self {
        Self { indexed: true, ..Self::of_objects(growth) }
    }

    /// Whether slots have indexes.
    pub(super) fn is_indexed(&self) -> bool {
        self.indexed
    }

    /// Slabs there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The index of a slot.
    pub(super) fn index_of(&self, id: SlotId) -> Option<u32> {
        let (class, place) = self.places.get(&id.slab())?;
        let known = self.classes.get(class)?.slabs.get(*place)?;
        known.first_index.checked_add(id.slot())
    }

    /// The slabs in the order of their first indexes.
    pub(super) fn spans(&self) -> Vec<Slots> {
        let slabs = self.classes.iter().flat_map(|(class, pool)| {
            let spans = pool.slabs.iter();
            spans.map(|known| (known.first_index, known.slots, known.number, *class))
        });
        let mut spans: Vec<_> = slabs.collect();
        spans.sort_unstable_by_key(|(first_index, ..)| *first_index);
        spans
    }

    /// Makes this again where it may be wrong: the first time, after a discard, and when another
    /// view of the store changed something.
    fn refresh(&mut self, writer: &mut Writer<'_>, slabs: &Slabs) -> Result<()> {
        let now = seen(slabs);
        if self.made_at != Some(now) {
            self.reload(writer, slabs)?;
            self.made_at = Some(now);
        }
        Ok(())
    }

    fn reload(&mut self, writer: &mut Writer<'_>, slabs: &Slabs) -> Result<()> {
        self.classes.clear();
        self.places.clear();
        // An error on the way leaves what is known half made.
        self.made_at = None;
        let file = slabs.file().clone();
        let listed = slabs.list(&file.pin())?;
        for facts in listed {
            let (class, first_index) = read_shape(slabs, &facts, self.indexed)?;
            let (live, vacant) = slabs.room(writer, facts.slab)?;
            let (number, slots, len) = (facts.slab, facts.shape.slots, facts.len);
            let known = Known { number, first_index, slots, live, len };
            self.enter(class, known, vacant != 0);
        }
        Ok(())
    }

    fn enter(&mut self, class: Class, known: Known, has_room: bool) {
        let pool = self.classes.entry(class).or_default();
        let place = pool.slabs.len();
        self.places.insert(known.number, (class, place));
        pool.slabs.push(known);
        if has_room {
            pool.open.insert(place);
        }
    }

    /// Puts the bytes of a slot into the first slab of a class that has room, or into a new one.
    pub(super) fn add(
        &mut self,
        (writer, slabs): (&mut Writer<'_>, &Slabs),
        class: Class,
        slot: &[u8],
    ) -> Result<SlotId> {
        self.refresh(writer, slabs)?;
        // An error on the way leaves what is known behind the file, and it is made again.
        self.made_at = None;
        let mut added = self.add_to_known((writer, slabs), class, slot)?;
        if added.is_none() {
            self.look_for_room(writer, slabs, class)?;
            added = self.add_to_known((writer, slabs), class, slot)?;
        }
        if added.is_none() {
            self.grow(writer, slabs, (class, slot.len()))?;
            added = self.add_to_known((writer, slabs), class, slot)?;
        }
        self.made_at = Some(seen(slabs));
        added.ok_or_else(|| {
            Error::refused(ErrorKind::OutOfSpace, "a slab that was just made has no room")
        })
    }

    fn add_to_known(
        &mut self,
        (writer, slabs): (&mut Writer<'_>, &Slabs),
        class: Class,
        slot: &[u8],
    ) -> pagestone_heap::Result<Option<SlotId>> {
        let Some(pool) = self.classes.get_mut(&class) else { return Ok(None) };
        while let Some(place) = pool.open.first().copied() {
            if let Some(known) = pool.slabs.get_mut(place)
                && let Some(id) = slabs.add(writer, known.number, slot)?
            {
                known.live += 1;
                return Ok(Some(id));
            }
            pool.open.remove(&place);
        }
        Ok(None)
    }

    /// Slots that waited may be free by now.
    fn look_for_room(
        &mut self,
        writer: &mut Writer<'_>,
        slabs: &Slabs,
        class: Class,
    ) -> Result<()> {
        let Some(pool) = self.classes.get_mut(&class) else { return Ok(()) };
        for (place, known) in pool.slabs.iter().enumerate() {
            if known.live < u64::from(known.slots) && slabs.room(writer, known.number)?.1 != 0 {
                pool.open.insert(place);
            }
        }
        Ok(())
    }

    fn grow(
        &mut self,
        writer: &mut Writer<'_>,
        slabs: &Slabs,
        (class, len): (Class, usize),
    ) -> Result<()> {
        let object_len = u32::try_from(len).unwrap_or(u32::MAX);
        let count = self.classes.get(&class).map_or(0, |pool| pool.slabs.len());
        let slots = self.growth.slots(count, object_len).min(SLOTS_MAX);
        let first_index = if self.indexed { self.vacant_indexes(slots)? } else { 0 };
        let mark = mark_of(class, first_index);
        let shape = SlabShape { object_len, slots, generations: !self.indexed, mark };
        let number = slabs.create(writer, shape)?;
        let known = Known { number, first_index, slots, live: 0, len: 0 };
        self.enter(class, known, true);
        Ok(())
    }

    /// The first of so many indexes in a row that no slab has.
    fn vacant_indexes(&self, count: u32) -> Result<u32> {
        let mut at = 0_u32;
        for (first, slots, ..) in self.spans() {
            if count <= first.saturating_sub(at) {
                return Ok(at);
            }
            at = at.max(first.saturating_add(slots));
        }
        // The largest index is no symbol.
        if u32::MAX - at <= count {
            let what = "2^32 - 1 symbols are used up";
            return Err(Error::refused(ErrorKind::OutOfSpace, what));
        }
        Ok(at)
    }

    /// The class of the slab of an id, where there is one.
    pub(super) fn class_of(
        &mut self,
        (writer, slabs): (&mut Writer<'_>, &Slabs),
        id: SlotId,
    ) -> Result<Option<Class>> {
        self.refresh(writer, slabs)?;
        Ok(self.places.get(&id.slab()).map(|(class, _)| *class))
    }

    /// Removes an object; gives its slab back when that is empty and others have room enough.
    pub(super) fn remove(
        &mut self,
        (writer, slabs): (&mut Writer<'_>, &Slabs),
        id: SlotId,
    ) -> Result<()> {
        self.refresh(writer, slabs)?;
        slabs.remove(writer, id)?;
        self.made_at = None;
        self.count_removed((writer, slabs), id)?;
        self.made_at = Some(seen(slabs));
        Ok(())
    }

    fn count_removed(
        &mut self,
        (writer, slabs): (&mut Writer<'_>, &Slabs),
        id: SlotId,
    ) -> Result<()> {
        let Some((class, place)) = self.places.get(&id.slab()).copied() else { return Ok(()) };
        let Some(pool) = self.classes.get_mut(&class) else { return Ok(()) };
        let Some(known) = pool.slabs.get_mut(place) else { return Ok(()) };
        known.live = known.live.saturating_sub(1);
        if pool.open.last() != Some(&place) {
            pool.open.insert(place);
        }
        let (number, slots) = (known.number, known.slots);
        if known.live != 0 {
            return Ok(());
        }
        let others = pool.slabs.iter().filter(|other| other.number != number);
        let vacant: u64 = others.map(|other| u64::from(other.slots) - other.live).sum();
        if self.growth.releases(slots, vacant) {
            self.release(writer, slabs, number)?;
        }
        Ok(())
    }

    fn release(&mut self, writer: &mut Writer<'_>, slabs: &Slabs, number: u64) -> Result<()> {
        slabs.release(writer, number)?;
        let Some((class, place)) = self.places.remove(&number) else { return Ok(()) };
        let Some(pool) = self.classes.get_mut(&class) else { return Ok(()) };
        // The order of the others stays, so that the lowest is used first.
        pool.slabs.remove(place);
        let open = std::mem::take(&mut pool.open);
        pool.open = open
            .into_iter()
            .filter(|other| *other != place)
            .map(|other| if place < other { other - 1 } else { other })
            .collect();
        for (place, known) in pool.slabs.iter().enumerate().skip(place) {
            self.places.insert(known.number, (class, place));
        }
        Ok(())
    }

    /// Gives all slabs back.
    pub(super) fn clear(&mut self, writer: &mut Writer<'_>, slabs: &Slabs) -> Result<()> {
        self.made_at = None;
        self.refresh(writer, slabs)?;
        let numbers: Vec<u64> = self.places.keys().copied().collect();
        for number in numbers {
            self.release(writer, slabs, number)?;
        }
        self.made_at = Some(seen(slabs));
        Ok(())
    }

    /// The slabs by class, as the file has them.
    pub(super) fn classes(
        &mut self,
        writer: &mut Writer<'_>,
        slabs: &Slabs,
    ) -> Result<impl Iterator<Item = (Class, &[Known])>> {
        self.made_at = None;
        self.refresh(writer, slabs)?;
        Ok(self.classes.iter().map(|(class, pool)| (*class, pool.slabs.as_slice())))
    }
}

/// Tells one state of the slabs from the others.
fn seen(slabs: &Slabs) -> (u64, u64) {
    (slabs.changes(), slabs.file().discards())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strings whose slabs have these indexes.
    fn pools(slabs: impl IntoIterator<Item = (u32, u32)>) -> Pools {
        let mut pools = Pools::of_strings(Growth::for_files());
        for (number, (first_index, slots)) in (0..).zip(slabs) {
            let known = Known { number, first_index, slots, live: 0, len: 0 };
            pools.enter(Class::of(1), known, true);
        }
        pools
    }

    #[track_caller]
    fn check(slabs: &[(u32, u32)], count: u32, expected: Option<u32>) {
        let found = pools(slabs.iter().copied()).vacant_indexes(count);
        match expected {
            Some(first) => assert_eq!(found.unwrap(), first),
            None => assert_eq!(found.unwrap_err().kind(), ErrorKind::OutOfSpace),
        }
    }

    #[test]
    fn the_first_gap_that_is_wide_enough_is_taken() {
        check(&[], 7, Some(0));
        check(&[(20, 5), (0, 10)], 10, Some(10));
        check(&[(20, 5), (0, 10)], 11, Some(25));
        // The last index has no symbol, and the one before no slab behind it.
        check(&[(0, u32::MAX - 8)], 7, Some(u32::MAX - 8));
        check(&[(0, u32::MAX - 8)], 8, None);
        check(&[(0, u32::MAX)], 1, None);
    }

    #[test]
    fn symbols_that_are_used_up_are_an_error() {
        let all = (0..1 << 12).map(|nth| (nth << 20, SLOTS_MAX));
        let mut pools = pools(all);
        assert_eq!(pools.vacant_indexes(1).unwrap_err().kind(), ErrorKind::OutOfSpace);
        let last = pools.classes.get_mut(&Class::of(1)).unwrap().slabs.pop().unwrap();
        assert_eq!(pools.vacant_indexes(SLOTS_MAX - 2).unwrap(), last.first_index);
    }
}
