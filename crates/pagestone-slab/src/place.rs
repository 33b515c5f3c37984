//! Where the bytes of a slab lie: anonymous memory here, a region of a file elsewhere.

use pagestone_storage::raw::{Content, Extent, Marks, Owned, Pages, Slots};

use crate::{
    class::Form,
    error::{Error, Result},
};

/// What a slab asks its place for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) form: Form,
    pub(crate) slot_size: u32,
    /// One at least.
    pub(crate) slots: u32,
    pub(crate) generations: Generations,
}

/// Whether ids of a used slot that is used again become stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generations {
    /// A byte for each slot.
    Counted,
    /// All ids of a slot are the same.
    None,
}

/// Gives places; they go back when they are dropped.
pub(crate) trait Home {
    type Place: Place;

    /// Makes a place of vacant slots, all zeros.
    fn make(&mut self, shape: Shape) -> Result<Self::Place>;

    /// Bytes that are ready for places to come.
    fn spare(&self) -> u64;
}

/// The bytes of one slab: a bitmap of occupied slots and, beside the objects, what ids and lengths
/// need. Where they lie, and who may look at them meanwhile, is the business of the place.
///
/// Slots and words that a caller asks for are below the count of slots, bits behind the last slot
/// are 0; a look at a word or slot that is not there finds it vacant.
pub(crate) trait Place {
    type Content: Content + ?Sized;

    /// How many slots there are.
    fn slots(&self) -> u32;

    /// Bytes of all of it, but the place itself.
    fn mapped(&self) -> u64;

    /// Word `index` of the bitmap, lowest slot in the lowest bit.
    fn bits(&self, index: usize) -> u64;

    /// Makes bits visible, after all that was stored to the slots they stand for.
    fn set_bits(&mut self, index: usize, bits: u64);

    /// How often a slot was used; 0 before the first time, and where it is not counted.
    fn generation(&self, slot: u32) -> u8;

    fn set_generation(&mut self, slot: u32, generation: u8);

    /// What lies in an occupied slot; `None` in any other.
    fn live(&self, slot: u32) -> Option<&Self::Content>;

    /// As [`live`](Self::live), if the slot was used so often.
    fn live_of(&self, slot: u32, generation: u8) -> Option<&Self::Content>;

    /// Puts an object into a slot that nobody looks at.
    fn put(&mut self, slot: u32, object: &Self::Content);

    /// Says that nobody looks at the slot any more.
    fn vacated(&mut self, slot: u32);

    /// All slots, one behind the other, where slots are `Exact`.
    fn slots_bytes(&self) -> &[u8];
}

/// Anonymous memory: slabs of some pages are cut from extents, longer ones stand alone, shorter
/// ones come from the allocator.
#[derive(Debug)]
pub(crate) struct Anonymous<C: ?Sized> {
    extent: Option<Extent>,
    /// Bytes that were mapped by extents so far.
    mapped: usize,
    content: std::marker::PhantomData<fn() -> Box<C>>,
}

/// Slabs from here on are cut from extents.
const CUT_MIN: usize = 4 << 10;
/// The shortest extent; and the longest, which is a huge page.
const EXTENT_MIN: usize = 256 << 10;
const EXTENT_MAX: usize = 2 << 20;
/// From here on the rest of a huge page is little beside all others.
const HUGE_FROM: usize = 128 << 20;

impl<C: ?Sized> Default for Anonymous<C> {
    fn default() -> Self {
        Self { extent: None, mapped: 0, content: std::marker::PhantomData }
    }
}

impl<C: Content + ?Sized> Anonymous<C> {
    fn memory(&mut self, len: usize) -> Result<Owned<C>> {
        if !(CUT_MIN..=EXTENT_MIN).contains(&len) || cfg!(miri) {
            return Ok(Owned::zeroed(len)?);
        }
        if let Some(memory) = self.extent.as_mut().and_then(|extent| extent.cut(len)) {
            return Ok(memory);
        }
        let pages = if self.mapped < HUGE_FROM { Pages::Small } else { Pages::Huge };
        // What is left of the last extent is given back with it.
        let wanted = (self.mapped / 8).clamp(EXTENT_MIN, EXTENT_MAX);
        let mut extent = Extent::new(wanted.next_power_of_two(), pages)?;
        self.mapped += extent.rest();
        let memory = extent.cut(len);
        self.extent = Some(extent);
        match memory {
            Some(memory) => Ok(memory),
            None => Ok(Owned::zeroed(len)?),
        }
    }
}

impl<C: Content + ?Sized> Home for Anonymous<C> {
    type Place = Memory<C>;

    fn make(&mut self, shape: Shape) -> Result<Memory<C>> {
        let Shape { form, slot_size, slots, .. } = shape;
        let count = slots as usize;
        let marks = match shape.generations {
            Generations::Counted => Marks::Kept,
            Generations::None => Marks::None,
        };
        let size = slot_size as usize;
        let memory = self.memory(size.saturating_mul(count))?;
        let slots = Slots::new(memory, (size, slots), marks);
        Ok(Memory {
            slots: slots.ok_or_else(|| Error::argument("slots longer than their memory"))?,
            form,
            lengths: match form {
                Form::Ranged => vec![0; count].into(),
                Form::Exact | Form::Spilled => Box::default(),
            },
            spilled: match form {
                Form::Spilled => (0..count).map(|_| None).collect(),
                Form::Exact | Form::Ranged => Box::default(),
            },
            spilled_len: 0,
        })
    }

    fn spare(&self) -> u64 {
        self.extent.as_ref().map_or(0, Extent::rest) as u64
    }
}

/// A slab in anonymous memory.
#[derive(Debug)]
pub(crate) struct Memory<C: Content + ?Sized> {
    slots: Slots<C>,
    form: Form,
    /// Length less 1 of each object that may be shorter than its slot.
    lengths: Box<[u16]>,
    /// What is spilled, if this is what the slab is for.
    spilled: Box<[Option<Box<C>>]>,
    spilled_len: u64,
}

impl<C: Content + ?Sized> Memory<C> {
    /// An object that is not as long as its slot.
    #[inline(never)]
    fn unlike_slot(&self, slot: u32) -> Option<&C> {
        if self.form == Form::Spilled {
            return self.spilled.get(slot as usize)?.as_deref();
        }
        let len = usize::from(*self.lengths.get(slot as usize)?) + 1;
        self.slots.slot(slot)?.first(len)
    }

    #[inline(never)]
    fn put_unlike_slot(&mut self, slot: u32, object: &C) {
        let len = object.as_bytes().len();
        if self.form == Form::Spilled {
            let before = self.spilled[slot as usize].replace(object.boxed());
            let before = before.map_or(0, |before| before.as_bytes().len());
            self.spilled_len = self.spilled_len + len as u64 - before as u64;
            return;
        }
        self.lengths[slot as usize] = u16::try_from(len.saturating_sub(1)).unwrap_or(u16::MAX);
        let fits = self.slots.put_padded(slot, object);
        debug_assert!(fits, "slots begin and end between characters");
    }
}

impl<C: Content + ?Sized> Place for Memory<C> {
    type Content = C;

    #[inline]
    fn slots(&self) -> u32 {
        self.slots.count()
    }

    fn mapped(&self) -> u64 {
        let beside = size_of_val(&*self.lengths) + size_of_val(&*self.spilled);
        (self.slots.mapped() + beside) as u64 + self.spilled_len
    }

    #[inline]
    fn bits(&self, index: usize) -> u64 {
        self.slots.word(index)
    }

    #[inline]
    fn set_bits(&mut self, index: usize, bits: u64) {
        self.slots.set_word(index, bits);
    }

    #[inline]
    fn generation(&self, slot: u32) -> u8 {
        self.slots.mark(slot)
    }

    #[inline]
    fn set_generation(&mut self, slot: u32, generation: u8) {
        self.slots.set_mark(slot, generation);
    }

    #[inline]
    fn live(&self, slot: u32) -> Option<&C> {
        let object = self.slots.occupied(slot)?;
        if self.form == Form::Exact { Some(object) } else { self.unlike_slot(slot) }
    }

    #[inline]
    fn live_of(&self, slot: u32, generation: u8) -> Option<&C> {
        let object = self.slots.occupied_marked(slot, generation)?;
        if self.form == Form::Exact { Some(object) } else { self.unlike_slot(slot) }
    }

    #[inline]
    fn put(&mut self, slot: u32, object: &C) {
        if self.form == Form::Exact {
            let fits = self.slots.put(slot, object);
            debug_assert!(fits, "an object of its class");
            return;
        }
        self.put_unlike_slot(slot, object);
    }

    #[inline]
    fn vacated(&mut self, slot: u32) {
        if self.form != Form::Spilled {
            return;
        }
        if let Some(object) = self.spilled[slot as usize].take() {
            self.spilled_len -= object.as_bytes().len() as u64;
        }
    }

    fn slots_bytes(&self) -> &[u8] {
        self.slots.bytes()
    }
}
