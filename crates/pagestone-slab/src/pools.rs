//! The pools of a store: slabs by number and by class; where an object goes.

use std::hash::BuildHasher as _;

use pagestone_storage::raw::{Content, Marks};

use crate::{
    bits,
    class::Class,
    error::{Error, ErrorKind, Result},
    growth::{Growth, SLOT_BITS, SLOTS_MAX},
    place::Anonymous,
    slab::Slab,
};

/// Most slabs whose slots have an index of 32 bits that is never the largest.
const NUMBERED_MAX: usize = (1 << (32 - SLOT_BITS)) - 1;
/// Where a slab is looked for that is not there.
const NOWHERE: u32 = u32::MAX;

/// Whether ids of a slot that is used again become stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generations {
    /// A byte for each slot.
    Counted,
    /// All ids of a slot are the same.
    None,
}

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
pub(crate) struct Pools<C: Content + ?Sized> {
    /// By number, from `first` on, in one piece so that a look finds them in the nearest cache.
    slabs: Vec<Slab<C>>,
    /// The number of the first of `slabs`; fresh numbers go round.
    first: u32,
    rows: Vec<Row>,
    home: Anonymous,
    /// The number of the slab that was made last.
    newest: u32,
    growth: Growth,
    generations: Generations,
    numbers: Numbers,
    /// How many fresh numbers were given.
    given: u64,
    /// Small numbers that may be used again.
    unused: Vec<u32>,
    /// Fresh numbers by small ones, where slabs have both.
    smalls: Vec<u32>,
    /// Small numbers of `slabs`, where they have both.
    seconds: Vec<u32>,
}

/// The slabs of one class, in the order they were made.
#[derive(Debug)]
struct Row {
    /// Where in `slabs` the one is that is taken from: that at `from`, or none.
    current: u32,
    /// No slab before this one has room.
    from: usize,
    /// Numbers; `None` where a slab was released.
    numbers: Vec<Option<u32>>,
    /// A bit for each slab that may have a slot to take.
    room: Vec<u64>,
    slabs: usize,
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

impl<C: Content + ?Sized> Pools<C> {
    /// Pools without a slab.
    pub(crate) fn new(
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
            home: Anonymous::default(),
            newest: 0,
            growth: growth.checked()?,
            generations,
            numbers,
            given: 0,
            unused: Vec::new(),
            smalls: Vec::new(),
            seconds: Vec::new(),
        })
    }

    /// The slab of this number, if it is there.
    #[inline]
    pub(crate) fn slab(&self, number: u32) -> Option<&Slab<C>> {
        self.slabs.get(number.wrapping_sub(self.first) as usize).filter(|slab| slab.is_there())
    }

    /// What lies at `spot`.
    #[inline]
    pub(crate) fn get(&self, spot: Spot) -> Option<&C> {
        self.slabs.get(spot.number.wrapping_sub(self.first) as usize)?.get(spot.slot)
    }

    /// What lies at a spot that the caller knows to be occupied.
    #[inline]
    pub(crate) fn held(&self, spot: Spot) -> Option<&C> {
        self.slabs.get(spot.number.wrapping_sub(self.first) as usize)?.held(spot.slot)
    }

    /// As [`get`](Self::get), if ids of what lies there have this generation.
    pub(crate) fn checked(&self, spot: Spot, generation: u8) -> Option<&C> {
        self.slab(spot.number)?.checked(spot.slot, generation)
    }

    /// As [`checked`](Self::checked), where objects are as long as their slots; `None` for others.
    #[inline]
    pub(crate) fn checked_near(&self, spot: Spot, generation: u8) -> Option<&C> {
        let slab = self.slabs.get(spot.number.wrapping_sub(self.first) as usize)?;
        if self.generations == Generations::Counted {
            slab.marked(spot.slot, generation)
        } else if generation == 1 {
            slab.unmarked(spot.slot)
        } else {
            None
        }
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
        let second = *self.seconds.get(spot.number.wrapping_sub(self.first) as usize)?;
        Some(second << SLOT_BITS | spot.slot)
    }

    /// One more than the largest index that a slot can have by now.
    pub(crate) fn index_end(&self) -> u32 {
        let slabs = match self.numbers {
            Numbers::FreshAndSmall => self.smalls.len(),
            Numbers::Fresh | Numbers::Small => self.slabs.len().min(NUMBERED_MAX),
        };
        u32::try_from(slabs).unwrap_or(u32::MAX) << SLOT_BITS
    }

    /// Puts an object into the lowest vacant slot of its class; returns where, and its generation.
    #[inline]
    pub(crate) fn add(&mut self, class: Class, object: &C) -> Result<(Spot, u8)> {
        match self.add_near(class, object) {
            Some(added) => Ok(added),
            None => self.add_elsewhere(class, object),
        }
    }

    /// As [`add`](Self::add), where this is a matter of a few instructions.
    #[inline]
    pub(crate) fn add_near(&mut self, class: Class, object: &C) -> Option<(Spot, u8)> {
        let current = self.rows.get(class.index())?.current;
        let (slot, generation) = self.slabs.get_mut(current as usize)?.add_near(object)?;
        Some((Spot { number: self.first.wrapping_add(current), slot }, generation))
    }

    /// Adds where the current word or slab has no room, there is none, or an object is not as long
    /// as its slot.
    #[inline(never)]
    fn add_elsewhere(&mut self, class: Class, object: &C) -> Result<(Spot, u8)> {
        let mut has_grown = false;
        loop {
            let number = match self.rows.get_mut(class.index()).map(Row::lowest) {
                Some(Some(number)) => number,
                _ if has_grown => return Err(out_of_numbers()),
                _ => {
                    has_grown = true;
                    self.grow(class)?
                }
            };
            let at = number.wrapping_sub(self.first);
            let row = self.rows.get_mut(class.index()).ok_or_else(out_of_numbers)?;
            let slab = self.slabs.get_mut(at as usize).ok_or_else(out_of_numbers)?;
            if let Some((slot, generation)) = slab.add(object) {
                row.current = at;
                return Ok((Spot { number, slot }, generation));
            }
            slab.has_room = false;
            bits::clear(&mut row.room, slab.position as usize);
        }
    }

    /// Removes what lies at `spot`; returns false where nothing does.
    #[inline]
    pub(crate) fn remove(&mut self, spot: Spot) -> bool {
        let at = spot.number.wrapping_sub(self.first) as usize;
        let Some(slab) = self.slabs.get_mut(at) else { return false };
        let is_removed = slab.vacate(spot.slot);
        if is_removed && (!slab.has_room || slab.seems_empty()) {
            self.vacated(at);
        }
        is_removed
    }

    /// As [`remove`](Self::remove), if ids of what lies there have this generation.
    #[inline]
    pub(crate) fn remove_checked(&mut self, spot: Spot, generation: u8) -> bool {
        let at = spot.number.wrapping_sub(self.first) as usize;
        let Some(slab) = self.slabs.get_mut(at) else { return false };
        if self.generations == Generations::None {
            return generation == 1 && self.remove(spot);
        }
        if !slab.vacate_marked(spot.slot, generation) {
            return self.remove_elsewhere(spot, generation);
        }
        if !slab.has_room || slab.seems_empty() {
            self.vacated(at);
        }
        true
    }

    /// Where objects are not as long as their slots, or there is nothing.
    #[inline(never)]
    fn remove_elsewhere(&mut self, spot: Spot, generation: u8) -> bool {
        let slab = self.slab(spot.number);
        slab.is_some_and(|slab| slab.generation(spot.slot) == generation) && self.remove(spot)
    }

    /// Puts another object of the same length into an occupied slot.
    pub(crate) fn replace(&mut self, spot: Spot, object: &C) {
        if let Some(slab) = self.slabs.get_mut(spot.number.wrapping_sub(self.first) as usize) {
            slab.replace(spot.slot, object);
        }
    }

    /// Gives every slab back that has nothing in it; returns how many.
    pub(crate) fn release_empty(&mut self) -> u64 {
        let empty = self.slabs().filter(|(_, slab)| slab.live() == 0);
        let numbers: Vec<u32> = empty.map(|(number, _)| number).collect();
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
        self.seconds.clear();
    }

    /// All slabs with their numbers, in the order of these.
    pub(crate) fn slabs(&self) -> impl Iterator<Item = (u32, &Slab<C>)> {
        let numbers = (0u32..).map(|at| self.first.wrapping_add(at));
        numbers.zip(&self.slabs).filter(|(_, slab)| slab.is_there())
    }

    /// The slabs of one class with their numbers, in the order they were made.
    pub(crate) fn row(&self, class: Class) -> impl Iterator<Item = (u32, &Slab<C>)> {
        let numbers = self.rows.get(class.index()).map_or(&[][..], |row| &row.numbers);
        numbers.iter().filter_map(|&number| Some((number?, self.slab(number?)?)))
    }

    /// The classes that have slabs.
    pub(crate) fn classes(&self) -> impl Iterator<Item = Class> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| row.slabs != 0).map(|(index, _)| Class::at(index))
    }

    pub(crate) fn len(&self) -> u64 {
        self.slabs.iter().map(|slab| u64::from(slab.live())).sum()
    }

    pub(crate) fn facts(&self, class: Class) -> RowFacts {
        let mut facts = RowFacts::default();
        for (number, slab) in self.row(class) {
            facts.slabs += 1;
            facts.live += u64::from(slab.live());
            facts.slots += u64::from(slab.count());
            let (mapped, unused) = slab.mapped();
            let is_newest = number == self.newest;
            let unused = if is_newest { self.home.edge(slab.untouched()).0 } else { unused };
            facts.mapped += mapped - unused;
            facts.payload += slab.payload();
        }
        facts
    }

    /// Bytes of what finds slabs.
    pub(crate) fn directory_len(&self) -> u64 {
        let row = |row: &Row| row.numbers.capacity() * 8 + row.room.capacity() * 8;
        let rows = self.rows.iter().map(row).sum::<usize>();
        let slabs = self.slabs.capacity() * size_of::<Slab<C>>();
        let numbers = self.unused.capacity() + self.smalls.capacity() + self.seconds.capacity();
        (rows + self.rows.capacity() * size_of::<Row>() + slabs + numbers * 4) as u64
    }

    /// Bytes that are ready for slabs to come.
    pub(crate) fn spare(&self) -> u64 {
        let untouched = self.slab(self.newest).map_or(0, Slab::untouched);
        self.home.edge(untouched).1
    }

    /// Makes one more slab of a class, and returns its number.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, class: Class) -> Result<u32> {
        if self.rows.len() <= class.index() {
            self.rows.resize_with(class.index() + 1, Row::default);
        }
        let (at, number) = self.vacant_number()?;
        let second = self.second_number()?;
        let position = self.rows[class.index()].numbers.len();
        let position_32 = u32::try_from(position).map_err(|_| out_of_numbers())?;
        let slots = self.growth.slots(self.rows[class.index()].slabs, class.slot_size());
        let marks = match self.generations {
            Generations::Counted => Marks::Kept,
            Generations::None => Marks::None,
        };
        let mut slab = Slab::new(&mut self.home, class, (slots, marks))?;
        (slab.position, slab.has_room) = (position_32, true);
        let row = &mut self.rows[class.index()];
        row.numbers.push(Some(number));
        row.room.resize((position + 1).div_ceil(64), 0);
        row.has_room(position);
        row.slabs += 1;
        if self.numbers == Numbers::FreshAndSmall {
            self.unused.pop();
            self.smalls.resize(self.smalls.len().max(second as usize + 1), 0);
            self.smalls[second as usize] = number;
            self.seconds.resize(at, 0);
            self.seconds.push(second);
        }
        self.newest = number;
        if at < self.slabs.len() {
            self.unused.pop();
            self.slabs[at] = slab;
        } else {
            self.given += 1;
            self.slabs.resize_with(at, Slab::default);
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

    /// Looks at a slab in which a slot became vacant, and which was full, or is empty.
    #[cold]
    #[inline(never)]
    fn vacated(&mut self, at: usize) {
        let slab = &mut self.slabs[at];
        let (position, vacant) = (slab.position as usize, slab.vacant());
        let row = &mut self.rows[slab.class.index()];
        if !slab.has_room && vacant != 0 {
            slab.has_room = true;
            row.has_room(position);
        }
        if slab.live() != 0 {
            return;
        }
        let (count, is_worn, class) = (slab.count(), slab.is_worn(), slab.class);
        let number = self.first.wrapping_add(u32::try_from(at).unwrap_or(NOWHERE));
        if is_worn || self.growth.releases(count, self.vacant_beside(class, position)) {
            self.release(number);
        }
    }

    /// Vacant slots of a class that may be taken, without those of one slab.
    fn vacant_beside(&self, class: Class, position: usize) -> u64 {
        let row = &self.rows[class.index()];
        let with_room =
            row.room.iter().zip(0u32..).flat_map(|(&word, at)| bits::each(word, at * 64));
        let others = with_room.filter(|&other| other as usize != position);
        let numbers = others.filter_map(|other| row.numbers[other as usize]);
        numbers.filter_map(|number| self.slab(number)).map(|slab| u64::from(slab.vacant())).sum()
    }

    fn release(&mut self, number: u32) {
        let at = number.wrapping_sub(self.first) as usize;
        let Some(slab) = self.slabs.get_mut(at).map(std::mem::take) else { return };
        let row = &mut self.rows[slab.class.index()];
        let position = slab.position as usize;
        row.numbers[position] = None;
        row.current = NOWHERE;
        bits::clear(&mut row.room, position);
        row.slabs -= 1;
        if 2 * row.slabs < row.numbers.len() {
            self.close_ranks(slab.class);
        }
        match self.numbers {
            Numbers::Small => self.unused.push(number),
            Numbers::Fresh | Numbers::FreshAndSmall => {
                if let Some(&second) = self.seconds.get(at) {
                    self.smalls[second as usize] = 0;
                    self.unused.push(second);
                }
                self.forget_first();
            }
        }
    }

    /// Takes the released slabs out of the front of the directory, where they are half of it.
    fn forget_first(&mut self) {
        let gone = self.slabs.iter().take_while(|slab| !slab.is_there()).count();
        if 2 * gone < self.slabs.len() {
            return;
        }
        self.slabs.drain(..gone);
        self.seconds.drain(..gone.min(self.seconds.len()));
        self.first = self.first.wrapping_add(u32::try_from(gone).unwrap_or(0));
        for row in &mut self.rows {
            row.current = NOWHERE;
        }
    }

    /// Takes the released slabs out of a row.
    fn close_ranks(&mut self, class: Class) {
        let row = &mut self.rows[class.index()];
        row.numbers.retain(Option::is_some);
        row.room = vec![0; row.numbers.len().div_ceil(64)];
        (row.from, row.current) = (0, NOWHERE);
        for (position, number) in row.numbers.iter().flatten().enumerate() {
            let at = number.wrapping_sub(self.first) as usize;
            let Some(slab) = self.slabs.get_mut(at) else { continue };
            slab.position = u32::try_from(position).unwrap_or(NOWHERE);
            if slab.has_room {
                bits::set(&mut row.room, position);
            }
        }
    }
}

impl Default for Row {
    fn default() -> Self {
        let (numbers, room) = (Vec::new(), Vec::new());
        Self { current: NOWHERE, from: 0, numbers, room, slabs: 0 }
    }
}

impl Row {
    /// The number of the first slab that may have room.
    fn lowest(&mut self) -> Option<u32> {
        self.from = bits::lowest(&self.room, self.from)?;
        self.numbers[self.from]
    }

    /// Says that the slab at `position` has room.
    fn has_room(&mut self, position: usize) {
        bits::set(&mut self.room, position);
        if position <= self.from {
            // It is taken from before all others.
            (self.from, self.current) = (position, NOWHERE);
        }
    }
}

#[cold]
fn out_of_numbers() -> Error {
    Error::refused(ErrorKind::OutOfSpace, "every number for slots or slabs was given")
}
