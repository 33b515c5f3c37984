//! The pools of a store: slabs by number and by class; where an object goes.

use std::hash::BuildHasher as _;

use pagestone_storage::raw::Content;

use crate::{
    bits,
    class::Class,
    error::{Error, ErrorKind, Result},
    growth::{Growth, SLOT_BITS, SLOTS_MAX},
    place::{Generations, Home, Place, Shape},
    slab::{Seat, Slab},
};

/// What a home's places hold.
type ContentOf<H> = <<H as Home>::Place as Place>::Content;

/// Most slabs whose slots have an index of 32 bits that is never the largest.
const NUMBERED_MAX: usize = (1 << (32 - SLOT_BITS)) - 1;

/// How slabs get their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// None is given twice, so that an id is stale for ever.
    Fresh,
    /// As `Fresh`; a second number, used again, is for an index of 32 bits beside the id.
    FreshAndSmall,
    /// From 0 on, those of released slabs again, so that number and slot are an index of 32 bits.
    Small,
}

/// Which slot of which slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) number: u32,
    pub(crate) slot: u32,
}

/// Slabs of any number of classes that share their numbers.
#[derive(Debug)]
pub(crate) struct Pools<H: Home> {
    /// By number, from `first` on; `None` where there is none any more.
    slabs: Vec<Option<Box<Slab<H::Place>>>>,
    /// The number of the first of `slabs`; fresh numbers go round.
    first: u32,
    rows: Vec<Row>,
    home: H,
    growth: Growth,
    generations: Generations,
    numbers: Numbers,
    /// How many fresh numbers were given.
    given: u64,
    /// Small numbers that may be used again.
    unused: Vec<u32>,
    /// Fresh numbers by small ones, where slabs have both.
    smalls: Vec<u32>,
}

/// The slabs of one class, in the order they were made.
#[derive(Debug, Default)]
struct Row {
    /// Numbers; `None` where a slab was released.
    numbers: Vec<Option<u32>>,
    /// A bit for each slab that has a slot to take.
    room: Vec<u64>,
    /// No slab before this one has room.
    from: usize,
    slabs: usize,
    slots: u64,
    live: u64,
    /// Slots to take.
    vacant: u64,
    payload: u64,
}

/// What a pool counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowFacts {
    pub(crate) slabs: u64,
    pub(crate) live: u64,
    pub(crate) slots: u64,
    pub(crate) mapped: u64,
    pub(crate) payload: u64,
}

impl<H: Home> Pools<H> {
    /// Pools without a slab.
    pub(crate) fn new(
        home: H,
        growth: Growth,
        (generations, numbers): (Generations, Numbers),
    ) -> Result<Self> {
        let first = match numbers {
            // An id of another store most likely has a number that this one has not.
            Numbers::Fresh | Numbers::FreshAndSmall => {
                (foldhash::fast::RandomState::default().hash_one(0u64) >> 32) as u32
            }
            Numbers::Small => 0,
        };
        Ok(Self {
            slabs: Vec::new(),
            first,
            rows: Vec::new(),
            home,
            growth: growth.checked()?,
            generations,
            numbers,
            given: 0,
            unused: Vec::new(),
            smalls: Vec::new(),
        })
    }

    /// The slab of this number, if it is there.
    #[inline]
    pub(crate) fn slab(&self, number: u32) -> Option<&Slab<H::Place>> {
        self.slabs.get(number.wrapping_sub(self.first) as usize)?.as_deref()
    }

    #[inline]
    pub(crate) fn slab_mut(&mut self, number: u32) -> Option<&mut Slab<H::Place>> {
        self.slabs.get_mut(number.wrapping_sub(self.first) as usize)?.as_deref_mut()
    }

    /// What lies at `spot`.
    #[inline]
    pub(crate) fn get(&self, spot: Spot) -> Option<&ContentOf<H>> {
        self.slab(spot.number)?.get(spot.slot)
    }

    /// The spot of an index, which [`second_index`](Self::second_index) gave.
    #[inline]
    pub(crate) fn second_spot(&self, index: u32) -> Option<Spot> {
        let number = *self.smalls.get((index >> SLOT_BITS) as usize)?;
        Some(Spot { number, slot: index % SLOTS_MAX })
    }

    /// The index of a spot whose slab has two numbers.
    #[inline]
    pub(crate) fn second_index(&self, spot: Spot) -> Option<u32> {
        Some(self.slab(spot.number)?.seat.second << SLOT_BITS | spot.slot)
    }

    /// One more than the largest index that a slot can have by now.
    pub(crate) fn index_end(&self) -> u32 {
        let slabs = self.slabs.len().max(self.smalls.len()).min(NUMBERED_MAX);
        u32::try_from(slabs).unwrap_or(u32::MAX) << SLOT_BITS
    }

    /// Puts an object into the lowest vacant slot of its class.
    #[inline]
    pub(crate) fn add(&mut self, class: Class, object: &ContentOf<H>) -> Result<Spot> {
        let number = match self.rows.get_mut(class.index()).map(Row::lowest) {
            Some(Some(number)) => number,
            _ => self.grow(class)?,
        };
        let slab = self.slab_mut(number).ok_or_else(out_of_numbers)?;
        let slot = slab.add(object).ok_or_else(out_of_numbers)?;
        let (is_full, position) = (slab.vacant() == 0, slab.seat.position as usize);
        let row = &mut self.rows[class.index()];
        row.live += 1;
        row.vacant -= 1;
        row.payload += object.as_bytes().len() as u64;
        if is_full {
            bits::clear(&mut row.room, position);
        }
        Ok(Spot { number, slot })
    }

    /// Removes what lies at `spot`, `len` bytes long; returns false where nothing does.
    #[inline]
    pub(crate) fn remove(&mut self, spot: Spot, len: usize) -> bool {
        let Some(slab) = self.slab_mut(spot.number) else { return false };
        let before = slab.vacant();
        if !slab.vacate(spot.slot) {
            return false;
        }
        let (live, vacant, seat) = (slab.live(), slab.vacant(), slab.seat);
        let row = &mut self.rows[seat.class.index()];
        row.live -= 1;
        row.vacant += u64::from(vacant - before);
        row.payload -= len as u64;
        if before == 0 && vacant != 0 {
            row.has_room(seat.position as usize);
        }
        if live == 0 {
            self.emptied(spot.number);
        }
        true
    }

    /// Gives every slab back that has nothing in it; returns how many.
    pub(crate) fn release_empty(&mut self) -> u64 {
        let empty = |slab: &&Slab<H::Place>| slab.live() == 0;
        let numbers: Vec<u32> = self.slabs().filter(empty).map(|slab| slab.seat.number).collect();
        for &number in &numbers {
            self.release(number);
        }
        numbers.len() as u64
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        if self.numbers != Numbers::Small {
            self.first = self.next_number();
        }
        self.slabs.clear();
        self.unused.clear();
        self.smalls.clear();
    }

    /// All slabs, in the order of their numbers.
    pub(crate) fn slabs(&self) -> impl Iterator<Item = &Slab<H::Place>> {
        self.slabs.iter().filter_map(Option::as_deref)
    }

    /// The slabs of one class, in the order they were made.
    pub(crate) fn row(&self, class: Class) -> impl Iterator<Item = &Slab<H::Place>> {
        let numbers = self.rows.get(class.index()).map_or(&[][..], |row| &row.numbers);
        numbers.iter().filter_map(|number| self.slab((*number)?))
    }

    /// The classes that have slabs.
    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| row.slabs != 0).map(|(index, _)| Class::at(index))
    }

    pub(crate) fn len(&self) -> u64 {
        self.rows.iter().map(|row| row.live).sum()
    }

    pub(crate) fn facts(&self, class: Class) -> RowFacts {
        let Some(row) = self.rows.get(class.index()) else { return RowFacts::default() };
        RowFacts {
            slabs: row.slabs as u64,
            live: row.live,
            slots: row.slots,
            mapped: self.row(class).map(Slab::mapped).sum(),
            payload: row.payload,
        }
    }

    /// Bytes of what finds slabs.
    pub(crate) fn directory_len(&self) -> u64 {
        let row = |row: &Row| row.numbers.capacity() * 8 + row.room.capacity() * 8;
        let rows = self.rows.iter().map(row).sum::<usize>();
        let slabs = self.slabs.capacity() * size_of::<usize>()
            + (self.unused.capacity() + self.smalls.capacity()) * 4;
        (rows + self.rows.capacity() * size_of::<Row>() + slabs) as u64
    }

    /// Bytes that are ready for slabs to come.
    pub(crate) fn spare(&self) -> u64 {
        self.home.spare()
    }

    /// Appends a slab to a pool and returns its number.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, class: Class) -> Result<u32> {
        if self.rows.len() <= class.index() {
            self.rows.resize_with(class.index() + 1, Row::default);
        }
        let (form, slot_size, generations) = (class.form(), class.slot_size(), self.generations);
        let slabs = self.rows[class.index()].slabs;
        let slots = self.growth.slots(slabs, slot_size);
        let (at, number) = self.vacant_number()?;
        let second = self.second_number()?;
        let place = self.home.make(Shape { form, slot_size, slots, generations })?;
        let row = &mut self.rows[class.index()];
        let position = row.numbers.len();
        let seat = Seat {
            number,
            second,
            class,
            position: u32::try_from(position).map_err(|_| out_of_numbers())?,
        };
        let slab = Some(Box::new(Slab::new(place, seat)));
        row.numbers.push(Some(number));
        row.room.resize((position + 1).div_ceil(64), 0);
        row.has_room(position);
        row.slabs += 1;
        row.slots += u64::from(slots);
        row.vacant += u64::from(slots);
        if self.numbers == Numbers::FreshAndSmall {
            self.unused.pop();
            self.smalls.resize(self.smalls.len().max(second as usize + 1), 0);
            self.smalls[second as usize] = number;
        }
        if at < self.slabs.len() {
            self.unused.pop();
            self.slabs[at] = slab;
        } else {
            self.given += 1;
            self.slabs.resize_with(at, || None);
            self.slabs.push(slab);
        }
        Ok(number)
    }

    /// Where the next slab goes, and its number.
    fn vacant_number(&self) -> Result<(usize, u32)> {
        match (self.numbers, self.unused.last()) {
            (Numbers::Small, Some(&number)) => Ok((number as usize, number)),
            (Numbers::Small, None) if self.slabs.len() < NUMBERED_MAX => {
                let number = u32::try_from(self.slabs.len()).map_err(|_| out_of_numbers())?;
                Ok((self.slabs.len(), number))
            }
            (Numbers::Fresh | Numbers::FreshAndSmall, _) if self.given < u64::from(u32::MAX) => {
                let number = self.next_number();
                Ok((number.wrapping_sub(self.first) as usize, number))
            }
            _ => Err(out_of_numbers()),
        }
    }

    /// The second number of the next slab; 0 where slabs have one alone.
    fn second_number(&self) -> Result<u32> {
        match self.unused.last() {
            _ if self.numbers != Numbers::FreshAndSmall => Ok(0),
            Some(&number) => Ok(number),
            None if self.smalls.len() < NUMBERED_MAX => {
                u32::try_from(self.smalls.len()).map_err(|_| out_of_numbers())
            }
            None => Err(out_of_numbers()),
        }
    }

    /// The fresh number behind all others; 0 is none.
    fn next_number(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "no more than 2^32 are given")]
        let next = self.first.wrapping_add(self.slabs.len() as u32);
        next.max(1)
    }

    /// Gives a slab back whose last object went, unless it is kept for the next one.
    #[cold]
    #[inline(never)]
    fn emptied(&mut self, number: u32) {
        let Some(slab) = self.slab(number) else { return };
        let row = &self.rows[slab.seat.class.index()];
        let others = row.vacant - u64::from(slab.vacant());
        if slab.is_worn() || self.growth.releases(slab.slots(), others) {
            self.release(number);
        }
    }

    fn release(&mut self, number: u32) {
        let at = number.wrapping_sub(self.first) as usize;
        let Some(slab) = self.slabs.get_mut(at).and_then(Option::take) else { return };
        let row = &mut self.rows[slab.seat.class.index()];
        let position = slab.seat.position as usize;
        row.numbers[position] = None;
        bits::clear(&mut row.room, position);
        row.slabs -= 1;
        row.slots -= u64::from(slab.slots());
        row.vacant -= u64::from(slab.vacant());
        if 2 * row.slabs < row.numbers.len() {
            self.close_ranks(slab.seat.class);
        }
        match self.numbers {
            Numbers::Small => self.unused.push(number),
            Numbers::Fresh | Numbers::FreshAndSmall => {
                if let Some(owner) = self.smalls.get_mut(slab.seat.second as usize) {
                    *owner = 0;
                    self.unused.push(slab.seat.second);
                }
                let gone = self.slabs.iter().take_while(|slab| slab.is_none()).count();
                if self.slabs.len() <= 2 * gone {
                    self.slabs.drain(..gone);
                    self.first = self.first.wrapping_add(u32::try_from(gone).unwrap_or(0));
                }
            }
        }
    }

    /// Takes the released slabs out of a row.
    fn close_ranks(&mut self, class: Class) {
        let mut row = std::mem::take(&mut self.rows[class.index()]);
        row.numbers.retain(Option::is_some);
        row.room = vec![0; row.numbers.len().div_ceil(64)];
        row.from = 0;
        for (position, number) in row.numbers.iter().flatten().enumerate() {
            let Some(slab) = self.slab_mut(*number) else { continue };
            slab.seat.position = u32::try_from(position).unwrap_or(u32::MAX);
            if slab.vacant() != 0 {
                bits::set(&mut row.room, position);
            }
        }
        self.rows[class.index()] = row;
    }
}

impl Row {
    /// The number of the first slab that has room.
    #[inline]
    fn lowest(&mut self) -> Option<u32> {
        self.from = bits::lowest(&self.room, self.from)?;
        self.numbers[self.from]
    }

    /// Says that the slab at `position` has room.
    fn has_room(&mut self, position: usize) {
        bits::set(&mut self.room, position);
        self.from = self.from.min(position);
    }
}

#[cold]
fn out_of_numbers() -> Error {
    Error::refused(ErrorKind::OutOfSpace, "every number for slots or slabs was given")
}
