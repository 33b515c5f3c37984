//! Values of one type in slabs.

use std::{fmt, marker::PhantomData, num::NonZeroU32};

use bytemuck::Pod;

use crate::{
    class::{Class, OBJECT_LEN_MAX},
    error::{Error, Result},
    flat::FlatValues,
    growth::Growth,
    id::ObjectId,
    pools::{Generations, Numbers, Pools, Spot},
    stats::{PoolStats, Stats},
};

type Slabs = Pools<[u8]>;

/// Values of a plain type, by ids of 4 bytes, or by checked ones of 8.
///
/// `Pool<T>` has plain ids: an index and no more. That of a vacant slot is refused, that of a slot
/// that was used again names its new value. `Pool<T, ObjectId>` counts how often a slot was used,
/// a byte for each, and refuses those too.
///
/// A pool with plain ids reserves its address range at once, 2³² slots or 1 TiB, and uses memory as
/// slots are used: its slabs are equal pieces of the range, as long as [`Growth::slab_len_max`]
/// lets them be and 64 slots at least, and [`Growth::first_slots`] and [`Growth::factor`] are not
/// needed. With checked ids slabs follow each other as they say, and a slot has the size of `T` up
/// to 256 bytes, above that of the next size class.
///
/// Reads take `&self`, changes `&mut self`. Nothing survives the value.
///
/// ```
/// use pagestone_slab::Pool;
///
/// let mut points = Pool::<[f32; 3]>::new()?;
/// let id = points.add(&[1.0, 2.0, 3.0])?;
/// assert_eq!(size_of_val(&Some(id)), 4);
/// assert_eq!(points.get(id)?, &[1.0, 2.0, 3.0]);
/// assert_eq!(points.take(id)?, [1.0, 2.0, 3.0]);
/// # Ok::<(), pagestone_slab::Error>(())
/// ```
#[derive(Debug)]
pub struct Pool<T: Pod, I: PoolId = PlainId> {
    values: I::Values<T>,
}

/// Names a slot of a [`Pool`], whatever lies in it. `Option<PlainId>` is no larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainId(NonZeroU32);

/// What names the values of a [`Pool`]: [`PlainId`] or [`ObjectId`].
pub trait PoolId: sealed::Sealed + Copy + Eq + fmt::Debug + Send + Sync + 'static {}

impl PoolId for PlainId {}
impl PoolId for ObjectId {}

mod sealed {
    use super::{Growth, Pod, PoolStats, Result, Stats, fmt};

    /// How ids and slots find each other.
    pub trait Sealed: Sized {
        type Values<T: Pod>: Values<T, Self> + fmt::Debug + Send + Sync;

        fn bits(self) -> u64;
    }

    /// The slots of a pool.
    pub trait Values<T: Pod, I>: Sized {
        fn new(growth: Growth) -> Result<Self>;

        fn add(&mut self, value: &T) -> Result<I>;

        /// The value that the id names.
        fn get(&self, id: I) -> Option<&T>;

        /// Makes the slot that the id names vacant; returns false if it names none.
        fn remove(&mut self, id: I) -> bool;

        fn replace(&mut self, id: I, value: &T) -> bool;

        fn slabs(&self) -> impl Iterator<Item = u32>;

        fn values_of(&self, slab: u32) -> impl Iterator<Item = (I, &T)>;

        fn len(&self) -> u64;

        fn clear(&mut self);

        fn release_empty(&mut self) -> u64;

        fn stats(&self) -> Stats;

        fn pool_stats(&self) -> PoolStats;
    }
}

impl sealed::Sealed for PlainId {
    type Values<T: Pod> = FlatValues<T>;

    fn bits(self) -> u64 {
        u64::from(self.0.get())
    }
}

impl PlainId {
    #[inline]
    fn index(self) -> u32 {
        self.0.get() - 1
    }

    /// The id of a slot; none has the largest index.
    #[inline]
    fn of(index: u32) -> Self {
        NonZeroU32::new(index + 1).map_or(Self(NonZeroU32::MAX), Self)
    }
}

impl<T: Pod> sealed::Values<T, PlainId> for FlatValues<T> {
    fn new(growth: Growth) -> Result<Self> {
        Self::new(growth)
    }

    #[inline]
    fn add(&mut self, value: &T) -> Result<PlainId> {
        self.add(value).map(PlainId::of)
    }

    #[inline]
    fn get(&self, id: PlainId) -> Option<&T> {
        self.get(id.index())
    }

    #[inline]
    fn remove(&mut self, id: PlainId) -> bool {
        self.remove(id.index())
    }

    fn replace(&mut self, id: PlainId, value: &T) -> bool {
        self.replace(id.index(), value)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below the count of slots")]
    fn slabs(&self) -> impl Iterator<Item = u32> {
        self.slabs().map(|slab| slab as u32)
    }

    fn values_of(&self, slab: u32) -> impl Iterator<Item = (PlainId, &T)> {
        let values = self.values_of(slab as usize);
        values.map(|(index, value)| (PlainId::of(index), value))
    }

    fn len(&self) -> u64 {
        self.len()
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn release_empty(&mut self) -> u64 {
        self.release_empty()
    }

    fn stats(&self) -> Stats {
        self.stats()
    }

    fn pool_stats(&self) -> PoolStats {
        self.pool_stats()
    }
}

impl sealed::Sealed for ObjectId {
    type Values<T: Pod> = CheckedValues<T>;

    fn bits(self) -> u64 {
        self.to_bits()
    }
}

/// Values in slabs of their own, with generations.
pub struct CheckedValues<T> {
    slabs: Slabs,
    class: Class,
    types: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for CheckedValues<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("CheckedValues").field(&self.slabs).finish()
    }
}

impl<T: Pod> CheckedValues<T> {
    #[inline(never)]
    fn add_elsewhere(&mut self, value: &T) -> Result<ObjectId> {
        let (spot, generation) = self.slabs.add(self.class, bytemuck::bytes_of(value))?;
        Ok(ObjectId::new(spot, generation))
    }

    /// A value that is not as long as its slot.
    #[inline(never)]
    fn get_elsewhere(&self, id: ObjectId) -> Option<&T> {
        let (spot, generation) = id.parts();
        typed(self.slabs.checked(spot, generation)?)
    }
}

impl<T: Pod> sealed::Values<T, ObjectId> for CheckedValues<T> {
    fn new(growth: Growth) -> Result<Self> {
        let class = Class::of(size_of::<T>());
        let form = (Generations::Counted, Numbers::Fresh);
        Ok(Self { slabs: Pools::new(growth, form)?, class, types: PhantomData })
    }

    #[inline]
    fn add(&mut self, value: &T) -> Result<ObjectId> {
        match self.slabs.add_near(self.class, bytemuck::bytes_of(value)) {
            Some((spot, generation)) => Ok(ObjectId::new(spot, generation)),
            None => self.add_elsewhere(value),
        }
    }

    #[inline]
    fn get(&self, id: ObjectId) -> Option<&T> {
        let (spot, generation) = id.parts();
        if let Some(value) = self.slabs.checked_near(spot, generation) {
            return typed(value);
        }
        self.get_elsewhere(id)
    }

    #[inline]
    fn remove(&mut self, id: ObjectId) -> bool {
        let (spot, generation) = id.parts();
        self.slabs.remove_checked(spot, generation)
    }

    fn replace(&mut self, id: ObjectId, value: &T) -> bool {
        let is_there = self.get(id).is_some();
        if is_there {
            self.slabs.replace(id.parts().0, bytemuck::bytes_of(value));
        }
        is_there
    }

    fn slabs(&self) -> impl Iterator<Item = u32> {
        self.slabs.slabs().map(|(number, _)| number)
    }

    fn values_of(&self, number: u32) -> impl Iterator<Item = (ObjectId, &T)> {
        self.slabs.slab(number).into_iter().flat_map(move |slab| {
            slab.iter().filter_map(move |(slot, value)| {
                let id = ObjectId::new(Spot { number, slot }, slab.generation(slot));
                Some((id, typed(value)?))
            })
        })
    }

    fn len(&self) -> u64 {
        self.slabs.len()
    }

    fn clear(&mut self) {
        self.slabs.clear();
    }

    fn release_empty(&mut self) -> u64 {
        self.slabs.release_empty()
    }

    fn stats(&self) -> Stats {
        Stats::of(&self.slabs, 0)
    }

    fn pool_stats(&self) -> PoolStats {
        PoolStats::of(&self.slabs, self.class)
    }
}

impl PlainId {
    /// Returns the 32 bits to store.
    #[must_use]
    pub const fn to_bits(self) -> u32 {
        self.0.get()
    }

    /// Takes stored bits back, which are never 0; whether they name a value shows when it is asked
    /// for.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        match NonZeroU32::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }
}

impl fmt::Debug for PlainId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PlainId({})", self.0)
    }
}

use sealed::Values as _;

impl<T: Pod, I: PoolId> Pool<T, I> {
    /// Makes an empty pool.
    ///
    /// # Errors
    ///
    /// As [`with_growth`](Self::with_growth).
    pub fn new() -> Result<Self> {
        Self::with_growth(Growth::default())
    }

    /// Makes an empty pool that grows as it is told.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for settings that cannot work, and for a type of 0 or more than 65,536
    /// bytes, or aligned to more than its slots are.
    pub fn with_growth(growth: Growth) -> Result<Self> {
        let size = size_of::<T>();
        let class = Class::of(size);
        if size == 0 || OBJECT_LEN_MAX < size {
            return Err(Error::argument(format!("values of {size} bytes: 1 to 65,536 work")));
        }
        if !(class.slot_size() as usize).is_multiple_of(align_of::<T>()) || 64 < align_of::<T>() {
            let what = format!("values aligned to {}: 64 works at most", align_of::<T>());
            return Err(Error::argument(what));
        }
        Ok(Self { values: I::Values::new(growth)? })
    }

    /// Adds a value and returns its id.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when memory is short, or 2³² plain ids are used.
    #[inline]
    pub fn add(&mut self, value: &T) -> Result<I> {
        self.values.add(value)
    }

    /// Lends a value.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no value here.
    #[inline]
    pub fn get(&self, id: I) -> Result<&T> {
        match self.values.get(id) {
            Some(value) => Ok(value),
            None => Err(stale(id)),
        }
    }

    /// Returns whether the id names a value.
    #[must_use]
    pub fn contains(&self, id: I) -> bool {
        self.values.get(id).is_some()
    }

    /// Removes a value and returns it.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no value here.
    #[inline]
    pub fn take(&mut self, id: I) -> Result<T> {
        let value = *self.get(id)?;
        self.remove(id)?;
        Ok(value)
    }

    /// Removes a value, without looking at it.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no value here.
    #[inline]
    pub fn remove(&mut self, id: I) -> Result<()> {
        if self.values.remove(id) { Ok(()) } else { Err(stale(id)) }
    }

    /// Puts a value in another's place; the id stays.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no value here.
    pub fn replace(&mut self, id: I, value: &T) -> Result<()> {
        if self.values.replace(id, value) { Ok(()) } else { Err(stale(id)) }
    }

    /// Returns all values with their ids, slab by slab.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.values.slabs().flat_map(|slab| self.values.values_of(slab))
    }

    /// Returns all values with their ids, on the threads of rayon, a slab at a time.
    #[cfg(feature = "rayon")]
    #[must_use]
    pub fn par_iter(&self) -> impl rayon::iter::ParallelIterator<Item = (I, &T)>
    where
        T: Sync,
    {
        use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

        let slabs: Vec<u32> = self.values.slabs().collect();
        slabs.into_par_iter().flat_map_iter(|slab| self.values.values_of(slab))
    }

    /// Returns how many values there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.values.len()
    }

    /// Returns whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all values and gives their memory back.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Gives back every slab without a value; returns how many.
    pub fn release_empty(&mut self) -> u64 {
        self.values.release_empty()
    }

    /// Returns the counts of the pool; what finds slabs is in [`Stats::directory_len`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.values.stats()
    }

    /// Returns the counts of slabs alone; all 0 while there is none.
    #[must_use]
    pub fn pool_stats(&self) -> PoolStats {
        self.values.pool_stats()
    }
}

/// Slots begin where values may: the class says so, and their memory is aligned to 64.
#[inline]
fn typed<T: Pod>(bytes: &[u8]) -> Option<&T> {
    bytemuck::try_from_bytes(bytes).ok()
}

#[cold]
fn stale<I: PoolId>(id: I) -> Error {
    Error::stale("value", id.bits(), "no value has this id: removed, or of another pool")
}
