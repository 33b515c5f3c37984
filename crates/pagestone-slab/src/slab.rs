//! One slab: which slots are occupied, which is the lowest vacant one, and what lies in them.

use crate::{bits, class::Class, place::Place};

/// The last generation: a slot that had it rests until its slab is released.
pub(crate) const GENERATION_MAX: u8 = u8::MAX;

/// Equal slots in one place, and what the writer knows of them.
///
/// The bitmap in the place says what is occupied. All else can be counted from it again.
#[derive(Debug)]
pub(crate) struct Slab<P> {
    place: P,
    /// A bit for each word of the bitmap that has a slot to take.
    summary: Box<[u64]>,
    /// No word of the bitmap below this one has a slot to take.
    from: usize,
    /// Occupied slots.
    live: u32,
    /// Vacant slots that may be taken.
    vacant: u32,
    /// Where the slab stands.
    pub(crate) seat: Seat,
    /// Vacant slots that nobody may take, once there are some.
    resting: Option<Box<[u64]>>,
}

/// Where a slab stands among others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) number: u32,
    /// Its second number, where slabs have two.
    pub(crate) second: u32,
    pub(crate) class: Class,
    /// Which of its pool it is, in the order they were made.
    pub(crate) position: u32,
}

impl<P: Place> Slab<P> {
    /// Takes over a place without occupied slots.
    pub(crate) fn new(place: P, seat: Seat) -> Self {
        let slots = place.slots();
        let words = slots.div_ceil(64) as usize;
        let mut summary: Box<[u64]> = vec![!0; words.div_ceil(64)].into();
        if let (Some(last), used @ 1..) = (summary.last_mut(), words % 64) {
            *last = !(!0 << used);
        }
        Self { place, summary, from: 0, live: 0, vacant: slots, seat, resting: None }
    }

    pub(crate) fn slots(&self) -> u32 {
        self.place.slots()
    }

    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    #[inline]
    pub(crate) fn vacant(&self) -> u32 {
        self.vacant
    }

    pub(crate) fn place(&self) -> &P {
        &self.place
    }

    /// Bytes of it all.
    pub(crate) fn mapped(&self) -> u64 {
        let resting = self.resting.as_ref().map_or(0, |words| size_of_val(&**words));
        let books = size_of_val(&*self.summary) + resting + size_of::<Self>();
        self.place.mapped() + books as u64
    }

    /// Whether a slot is occupied; no for a slot that is not there.
    #[inline]
    pub(crate) fn is_live(&self, slot: u32) -> bool {
        self.place.bits(slot as usize / 64) >> (slot % 64) & 1 == 1
    }

    /// What lies in an occupied slot.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&P::Content> {
        self.place.live(slot)
    }

    /// As [`get`](Self::get), if the slot was used so often.
    #[inline]
    pub(crate) fn checked(&self, slot: u32, generation: u8) -> Option<&P::Content> {
        self.place.live_of(slot, generation)
    }

    #[inline]
    pub(crate) fn generation(&self, slot: u32) -> u8 {
        self.place.generation(slot)
    }

    /// Puts an object into the lowest slot that may be taken, and returns the slot.
    #[inline]
    pub(crate) fn add(&mut self, object: &P::Content) -> Option<u32> {
        self.from = bits::lowest(&self.summary, self.from)?;
        let index = self.from;
        let free = self.takeable(index);
        let bit = free & free.wrapping_neg();
        #[expect(clippy::cast_possible_truncation, reason = "below the count of words")]
        let slot = index as u32 * 64 + free.trailing_zeros();
        let generation = self.place.generation(slot).saturating_add(1);
        self.place.set_generation(slot, generation);
        self.place.put(slot, object);
        self.place.set_bits(index, self.place.bits(index) | bit);
        self.live += 1;
        self.vacant -= 1;
        if free == bit {
            bits::clear(&mut self.summary, index);
        }
        Some(slot)
    }

    /// Makes an occupied slot vacant; returns false where it is none.
    #[inline]
    pub(crate) fn vacate(&mut self, slot: u32) -> bool {
        if !self.is_live(slot) {
            return false;
        }
        let index = slot as usize / 64;
        self.place.set_bits(index, self.place.bits(index) & !(1 << (slot % 64)));
        self.place.vacated(slot);
        self.live -= 1;
        if self.place.generation(slot) == GENERATION_MAX {
            self.rest(slot);
            return true;
        }
        self.vacant += 1;
        bits::set(&mut self.summary, index);
        self.from = self.from.min(index);
        true
    }

    /// Puts another object of the same length into an occupied slot.
    pub(crate) fn replace(&mut self, slot: u32, object: &P::Content) {
        self.place.put(slot, object);
    }

    /// Whether nothing is in it and some of it can never be used again.
    pub(crate) fn is_worn(&self) -> bool {
        self.live == 0 && self.vacant < self.slots()
    }

    /// How many words the bitmap has.
    fn words(&self) -> usize {
        self.slots().div_ceil(64) as usize
    }

    /// The occupied slots that word `index` of the bitmap stands for.
    #[inline]
    pub(crate) fn occupied(&self, index: usize) -> u64 {
        self.place.bits(index)
    }

    /// Occupied slots with what lies in them, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &P::Content)> {
        (0..self.words()).flat_map(|index| {
            #[expect(clippy::cast_possible_truncation, reason = "below the count of words")]
            let slots = bits::each(self.occupied(index), index as u32 * 64);
            slots.filter_map(|slot| Some((slot, self.place.live(slot)?)))
        })
    }

    /// Keeps a vacant slot from use.
    #[cold]
    fn rest(&mut self, slot: u32) {
        let words = self.words();
        bits::set(self.resting.get_or_insert_with(|| vec![0; words].into()), slot as usize);
    }

    /// The slots of a word that may be taken.
    #[inline]
    fn takeable(&self, index: usize) -> u64 {
        let rest = self.slots() as usize - index * 64;
        let there = if rest < 64 { !(!0 << rest) } else { !0 };
        let resting = self.resting.as_ref().map_or(0, |words| words[index]);
        !(self.place.bits(index) | resting) & there
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "bytes of made-up objects")]
mod tests {
    use super::*;
    use crate::{
        class::Form,
        place::{Anonymous, Generations, Home as _, Memory, Shape},
    };

    fn slab(slot_size: u32, slots: u32, generations: Generations) -> Slab<Memory<[u8]>> {
        let shape = Shape { form: Form::Exact, slot_size, slots, generations };
        let place = Anonymous::default().make(shape).unwrap();
        Slab::new(place, Seat { number: 1, second: 0, class: Class::of(1), position: 0 })
    }

    fn fill(slab: &mut Slab<Memory<[u8]>>, len: usize) -> u32 {
        let mut count = 0u32;
        loop {
            let object: Vec<u8> = (0..len).map(|at| (count as usize * 31 + at) as u8).collect();
            let Some(slot) = slab.add(&object) else { return count };
            assert_eq!(slot, count, "the lowest first");
            count += 1;
        }
    }

    /// Lengths around words of the memory, slots around words of the bitmap and of its summary.
    #[test]
    fn every_slot_holds_its_bytes_to_the_last() {
        for len in (1..=20u32).chain([63, 64, 65, 255]) {
            for slots in [1, 2, 63, 64, 65, 127, 4095, 4096, 4097] {
                let mut slab = slab(len, slots, Generations::None);
                let count = fill(&mut slab, len as usize);
                assert!(slots == count && count == slab.slots() && slab.vacant() == 0);
                for (slot, object) in slab.iter() {
                    let first = (slot as usize * 31) as u8;
                    let right = |(at, byte): (usize, &u8)| *byte == first.wrapping_add(at as u8);
                    assert!(object.iter().enumerate().all(right), "{len} {slot} of {slots}");
                }
                assert_eq!(slab.iter().count(), count as usize);
            }
        }
    }

    #[test]
    fn the_lowest_vacant_slot_is_taken_first() {
        let mut slab = slab(8, 10_000, Generations::None);
        fill(&mut slab, 8);
        let gaps = [9_999, 64, 4_097, 63, 5];
        for gap in gaps {
            assert!(slab.vacate(gap));
            assert!(!slab.vacate(gap), "only once");
            assert_eq!(slab.get(gap), None);
        }
        for gap in [5, 63, 64, 4_097, 9_999] {
            assert_eq!(slab.add(&[1; 8]), Some(gap));
        }
        assert_eq!(slab.add(&[1; 8]), None);
        assert!(!slab.vacate(slab.slots()), "no slot behind the last");
    }

    #[test]
    fn a_slot_rests_when_its_generations_are_used_up() {
        let mut slab = slab(3, 2, Generations::Counted);
        for generation in 1..=GENERATION_MAX {
            assert_eq!(slab.add(b"abc"), Some(0));
            assert_eq!(slab.generation(0), generation);
            assert!(slab.vacate(0));
        }
        assert!(slab.is_worn());
        assert_eq!((slab.live(), slab.vacant()), (0, slab.slots() - 1));
        assert_eq!(slab.add(b"abc"), Some(1), "slot 0 would begin again");
        assert_eq!(slab.add(b"abc"), None);
    }
}
