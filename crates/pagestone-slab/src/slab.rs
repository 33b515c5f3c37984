//! One slab: which slots are occupied, and what lies in them.

use pagestone_storage::raw::{Content, Marks, Slots};

use crate::{
    bits,
    class::{Class, Form},
    error::{Error, Result},
    place::Anonymous,
};

const PAGE: usize = 4 << 10;

/// Equal slots in one place.
///
/// A cache line; a look at an object that is as long as its slot needs no other but the object's
/// and that of its mark or bit.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Slab<C: Content + ?Sized> {
    /// None where objects are not as long as their slots.
    slots: Slots<C>,
    /// What they need instead.
    unlike: Option<Box<Unlike<C>>>,
    /// Which of its pool it is, in the order they were made.
    pub(crate) position: u32,
    pub(crate) class: Class,
    /// Whether its pool knows that it may have a slot to take.
    pub(crate) has_room: bool,
    /// Whether it uses memory page by page.
    is_paged: bool,
}

const _: () = assert!(size_of::<Slab<[u8]>>() == 64);

/// Objects that are not as long as their slots.
#[derive(Debug)]
struct Unlike<C: Content + ?Sized> {
    slots: Slots<C>,
    /// Length less 1 of each object that may be shorter than its slot.
    lengths: Box<[u16]>,
    /// What is spilled, if this is what the slab is for.
    spilled: Box<[Option<Box<C>>]>,
    /// Bytes of all objects.
    payload: u64,
}

/// A slab that is not there.
impl<C: Content + ?Sized> Default for Slab<C> {
    fn default() -> Self {
        let (slots, unlike) = (Slots::default(), None);
        Self { slots, unlike, position: 0, class: Class::of(0), has_room: false, is_paged: false }
    }
}

impl<C: Content + ?Sized> Slab<C> {
    /// Makes a slab of vacant slots.
    pub(crate) fn new(
        home: &mut Anonymous,
        class: Class,
        (count, marks): (u32, Marks),
    ) -> Result<Self> {
        let shape = (class.slot_size() as usize, count);
        let memory = home.memory(Slots::<C>::memory_len(shape, marks))?;
        let slots = Slots::new(memory, shape, marks)
            .ok_or_else(|| Error::argument("slots longer than their memory"))?;
        let (count, is_paged) = (count as usize, home.is_paged());
        let (lengths, spilled) = match class.form() {
            Form::Exact => return Ok(Self { slots, class, is_paged, ..Self::default() }),
            Form::Ranged => (vec![0; count].into(), Box::default()),
            Form::Spilled => (Box::default(), (0..count).map(|_| None).collect()),
        };
        let unlike = Some(Box::new(Unlike { slots, lengths, spilled, payload: 0 }));
        Ok(Self { unlike, class, is_paged, ..Self::default() })
    }

    pub(crate) fn is_there(&self) -> bool {
        self.slots().count() != 0
    }

    /// The slots, whatever lies in them.
    #[inline]
    fn slots(&self) -> &Slots<C> {
        self.unlike.as_ref().map_or(&self.slots, |unlike| &unlike.slots)
    }

    pub(crate) fn count(&self) -> u32 {
        self.slots().count()
    }

    pub(crate) fn live(&self) -> u32 {
        self.slots().live()
    }

    /// Whether nothing is in it, as far as can be told at a glance.
    #[inline]
    pub(crate) fn seems_empty(&self) -> bool {
        self.slots.live() == 0
    }

    /// Vacant slots that may be taken.
    pub(crate) fn vacant(&self) -> u32 {
        self.count() - self.live() - self.slots().resting()
    }

    /// Whether nothing is in it and some of it can never be used again.
    pub(crate) fn is_worn(&self) -> bool {
        self.live() == 0 && self.slots().resting() != 0
    }

    /// Bytes of all objects.
    pub(crate) fn payload(&self) -> u64 {
        let exact = || u64::from(self.slots.live()) * self.slots.size() as u64;
        self.unlike.as_ref().map_or_else(exact, |unlike| unlike.payload)
    }

    /// Bytes of all but the slab itself; those at its end that were never stored to where pages
    /// are not used for them.
    pub(crate) fn mapped(&self) -> (u64, u64) {
        let beside = self.unlike.as_ref().map_or(0, |unlike| unlike.beside());
        let unused = if self.is_paged { self.untouched() / PAGE * PAGE } else { 0 };
        (self.slots().mapped() as u64 + beside, unused as u64)
    }

    /// Bytes at the end of its slots that were never stored to.
    pub(crate) fn untouched(&self) -> usize {
        self.slots().mapped().saturating_sub(self.slots().used())
    }

    /// Whether a slot is occupied; no for a slot that is not there.
    pub(crate) fn is_live(&self, slot: u32) -> bool {
        self.slots().occupied(slot).is_some()
    }

    /// What lies in an occupied slot.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&C> {
        match self.slots.occupied(slot) {
            Some(object) => Some(object),
            None => self.unlike.as_ref()?.get(slot),
        }
    }

    /// As [`get`](Self::get), if the slot was used so often. Only where slots have generations and
    /// objects are as long as they.
    #[inline]
    pub(crate) fn marked(&self, slot: u32, generation: u8) -> Option<&C> {
        self.slots.marked(slot, generation)
    }

    /// What lies in a slot that the caller knows to be occupied: neither bit nor mark is looked at.
    #[inline]
    pub(crate) fn held(&self, slot: u32) -> Option<&C> {
        if self.unlike.is_none() { self.slots.slot(slot) } else { self.get(slot) }
    }

    /// As [`get`](Self::get), only where objects are as long as their slots.
    #[inline]
    pub(crate) fn unmarked(&self, slot: u32) -> Option<&C> {
        self.slots.occupied(slot)
    }

    /// As [`get`](Self::get), if ids of the slot have this generation.
    pub(crate) fn checked(&self, slot: u32, generation: u8) -> Option<&C> {
        if self.generation(slot) == generation { self.get(slot) } else { None }
    }

    /// What ids of an occupied slot have; 1 where slots have no generations.
    #[inline]
    pub(crate) fn generation(&self, slot: u32) -> u8 {
        self.slots().mark(slot)
    }

    /// As [`add`](Self::add), where this is a matter of a few instructions.
    #[inline]
    pub(crate) fn add_near(&mut self, object: &C) -> Option<(u32, u8)> {
        self.slots.add_near(object)
    }

    /// Puts an object into the lowest slot that may be taken, and returns the slot with its
    /// generation.
    pub(crate) fn add(&mut self, object: &C) -> Option<(u32, u8)> {
        match &mut self.unlike {
            None => self.slots.add(object),
            Some(unlike) => unlike.add(object),
        }
    }

    /// Makes an occupied slot vacant; returns false where it is none.
    #[inline]
    pub(crate) fn vacate(&mut self, slot: u32) -> bool {
        self.slots.vacate(slot) || (self.unlike.is_some() && self.vacate_unlike(slot))
    }

    /// As [`vacate`](Self::vacate), if the slot was used so often. Only where slots have
    /// generations and objects are as long as they.
    #[inline]
    pub(crate) fn vacate_marked(&mut self, slot: u32, generation: u8) -> bool {
        self.slots.vacate_marked(slot, generation)
    }

    #[inline(never)]
    fn vacate_unlike(&mut self, slot: u32) -> bool {
        self.unlike.as_mut().is_some_and(|unlike| unlike.vacate(slot))
    }

    /// Puts another object of the same length into an occupied slot.
    pub(crate) fn replace(&mut self, slot: u32, object: &C) {
        match &mut self.unlike {
            None => {
                let fits = self.slots.put_padded(slot, object);
                debug_assert!(fits, "an object of its class");
            }
            Some(unlike) => unlike.replace(slot, object),
        }
    }

    /// How many words of bits there are.
    fn words(&self) -> u32 {
        self.count().div_ceil(64)
    }

    /// The occupied slots among the 64 from `64 * index` on.
    pub(crate) fn occupied(&self, index: u32) -> u64 {
        self.slots().word(index)
    }

    /// All slots, one behind the other; each is as long as what lies in it.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.slots.bytes()
    }

    /// Occupied slots with what lies in them, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &C)> {
        (0..self.words()).flat_map(|index| {
            let slots = bits::each(self.occupied(index), index * 64);
            slots.filter_map(|slot| Some((slot, self.get(slot)?)))
        })
    }
}

impl<C: Content + ?Sized> Unlike<C> {
    #[inline(never)]
    fn get(&self, slot: u32) -> Option<&C> {
        let object = self.slots.occupied(slot)?;
        if let Some(spilled) = self.spilled.get(slot as usize) {
            return spilled.as_deref();
        }
        object.first(usize::from(*self.lengths.get(slot as usize)?) + 1)
    }

    fn add(&mut self, object: &C) -> Option<(u32, u8)> {
        // What is spilled leaves its slot, which has no bytes, empty.
        let (slot, mark) = self.slots.add_padded(object.first(0)?)?;
        self.put(slot, object);
        Some((slot, mark))
    }

    fn replace(&mut self, slot: u32, object: &C) {
        self.payload -= self.get(slot).map_or(0, |before| before.as_bytes().len() as u64);
        self.put(slot, object);
    }

    /// Puts an object into a slot that was taken and holds nothing that is counted.
    fn put(&mut self, slot: u32, object: &C) {
        let len = object.as_bytes().len() as u64;
        self.payload += len;
        if let Some(spilled) = self.spilled.get_mut(slot as usize) {
            *spilled = Some(object.boxed());
            return;
        }
        if let Some(stored) = self.lengths.get_mut(slot as usize) {
            *stored = u16::try_from(len.saturating_sub(1)).unwrap_or(u16::MAX);
        }
        let fits = self.slots.put_padded(slot, object);
        debug_assert!(fits, "an object of its class");
    }

    fn vacate(&mut self, slot: u32) -> bool {
        let Some(object) = self.get(slot) else { return false };
        self.payload -= object.as_bytes().len() as u64;
        if let Some(spilled) = self.spilled.get_mut(slot as usize) {
            *spilled = None;
        }
        self.slots.vacate(slot)
    }

    /// Bytes beside the slots.
    fn beside(&self) -> u64 {
        let tables = size_of_val(&*self.lengths) + size_of_val(&*self.spilled) + size_of::<Self>();
        let spilled = self.spilled.iter().flatten();
        tables as u64 + spilled.map(|object| object.as_bytes().len() as u64).sum::<u64>()
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "bytes of made-up objects")]
mod tests {
    use super::*;

    fn slab(len: usize, slots: u32, marks: Marks) -> Slab<[u8]> {
        Slab::new(&mut Anonymous::default(), Class::of(len), (slots, marks)).unwrap()
    }

    fn fill(slab: &mut Slab<[u8]>, len: usize) -> u32 {
        let mut count = 0u32;
        loop {
            let object: Vec<u8> = (0..len).map(|at| (count as usize * 31 + at) as u8).collect();
            let Some((slot, _)) = slab.add(&object) else { return count };
            assert_eq!(slot, count, "the lowest first");
            count += 1;
        }
    }

    /// Lengths around words of the memory and around classes, slots around words of the bitmap and
    /// of its summary.
    #[test]
    fn every_slot_holds_its_bytes_to_the_last() {
        for len in (1..=20usize).chain([63, 64, 65, 255, 256, 257, 1000]) {
            for slots in [1, 2, 63, 64, 65, 127, 4095, 4096, 4097] {
                let mut slab = slab(len, slots, Marks::Kept);
                let count = fill(&mut slab, len);
                assert!(slots == count && count == slab.count() && slab.vacant() == 0);
                assert_eq!(slab.payload(), u64::from(count) * len as u64);
                for (slot, object) in slab.iter() {
                    let first = (slot as usize * 31) as u8;
                    let right = |(at, byte): (usize, &u8)| *byte == first.wrapping_add(at as u8);
                    assert!(object.len() == len && object.iter().enumerate().all(right), "{slot}");
                }
                assert_eq!(slab.iter().count(), count as usize);
            }
        }
    }

    /// The same three ways to hold an object: as long as its slot, shorter, and elsewhere.
    #[test]
    fn a_slot_rests_when_its_generations_are_used_up() {
        for len in [3, 300, 70_000] {
            let object = vec![7; len];
            let mut slab = slab(len, 2, Marks::Kept);
            for generation in (1..=u8::MAX).step_by(2) {
                assert_eq!(slab.add(&object), Some((0, generation)));
                assert_eq!(slab.checked(0, generation), Some(&*object));
                assert_eq!(slab.payload(), len as u64);
                assert!(!slab.vacate_marked(0, generation.wrapping_sub(2)));
                assert_eq!(slab.checked(0, generation.wrapping_sub(2)), None);
                assert!(slab.vacate(0), "{generation} of {len}");
                assert!(!slab.vacate(0) && slab.checked(0, generation).is_none());
            }
            assert!(slab.is_worn());
            assert_eq!((slab.live(), slab.vacant(), slab.payload()), (0, 1, 0));
            let (slot, _) = slab.add(&object).unwrap();
            assert_eq!(slot, 1, "slot 0 would begin again");
            assert_eq!((slab.add(&object), slab.get(0)), (None, None));
        }
    }
}
