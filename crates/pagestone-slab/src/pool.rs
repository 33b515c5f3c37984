//! Values of one type in slabs.

use std::{fmt, marker::PhantomData, num::NonZeroU32};

use bytemuck::Pod;

use crate::{
    class::{Class, OBJECT_LEN_MAX},
    error::{Error, Result},
    growth::Growth,
    id::ObjectId,
    place::{Anonymous, Generations, Memory},
    pools::{Numbers, Pools, Spot},
    slab::Slab,
    stats::{PoolStats, Stats},
};

type Values = Pools<Anonymous<[u8]>>;

/// Values of a plain type, by ids of 4 bytes, or by checked ones of 8.
///
/// `Pool<T>` has plain ids: an index and no more. That of a vacant slot is refused, that of a slot
/// that was used again names its new value. `Pool<T, ObjectId>` counts how often a slot was used,
/// a byte for each, and refuses those too.
///
/// A slot has the size of `T` up to 256 bytes, above that of the next size class. Reads take
/// `&self`, changes `&mut self`. Nothing survives the value.
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
pub struct Pool<T, I = PlainId> {
    values: Values,
    class: Class,
    types: PhantomData<fn() -> (T, I)>,
}

/// Names a slot of a [`Pool`], whatever lies in it. `Option<PlainId>` is no larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainId(NonZeroU32);

/// What names the values of a [`Pool`]: [`PlainId`] or [`ObjectId`].
pub trait PoolId: sealed::Sealed + Copy + Eq + fmt::Debug + Send + Sync + 'static {}

impl PoolId for PlainId {}
impl PoolId for ObjectId {}

mod sealed {
    use super::{Generations, Numbers, Spot, Values};

    /// How ids and slots find each other.
    #[expect(private_interfaces, reason = "nobody outside can name or call these")]
    pub trait Sealed: Sized {
        const FORM: (Generations, Numbers);

        fn of(values: &Values, spot: Spot) -> Option<Self>;

        /// The slot that the id names, if it is occupied.
        fn spot(self, values: &Values) -> Option<Spot>;

        /// The value that the id names.
        fn find(self, values: &Values) -> Option<&[u8]>;

        fn bits(self) -> u64;
    }
}

#[expect(private_interfaces, reason = "nobody outside can name or call these")]
impl sealed::Sealed for PlainId {
    const FORM: (Generations, Numbers) = (Generations::None, Numbers::Small);

    #[inline]
    fn of(_: &Values, spot: Spot) -> Option<Self> {
        NonZeroU32::new(spot.index() + 1).map(Self)
    }

    #[inline]
    fn spot(self, values: &Values) -> Option<Spot> {
        Some(Spot::at(self.0.get() - 1)).filter(|&spot| values.get(spot).is_some())
    }

    #[inline]
    fn find(self, values: &Values) -> Option<&[u8]> {
        values.get_at(self.0.get() - 1)
    }

    fn bits(self) -> u64 {
        u64::from(self.0.get())
    }
}

#[expect(private_interfaces, reason = "nobody outside can name or call these")]
impl sealed::Sealed for ObjectId {
    const FORM: (Generations, Numbers) = (Generations::Counted, Numbers::Fresh);

    #[inline]
    fn of(values: &Values, spot: Spot) -> Option<Self> {
        Some(Self::new(spot, values.slab(spot.number)?.generation(spot.slot)))
    }

    #[inline]
    fn spot(self, values: &Values) -> Option<Spot> {
        self.find(values).map(|_| self.parts().0)
    }

    #[inline]
    fn find(self, values: &Values) -> Option<&[u8]> {
        let (spot, generation) = self.parts();
        let slab = values.slab(spot.number)?;
        slab.checked(spot.slot, generation)
    }

    fn bits(self) -> u64 {
        self.to_bits()
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
        let values = Pools::new(Anonymous::default(), growth, I::FORM)?;
        Ok(Self { values, class, types: PhantomData })
    }

    /// Adds a value and returns its id.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when memory is short, or 2³² plain ids are used.
    #[inline]
    pub fn add(&mut self, value: &T) -> Result<I> {
        let spot = self.values.add(self.class, bytemuck::bytes_of(value))?;
        I::of(&self.values, spot).ok_or_else(|| Error::argument("a slot without a slab"))
    }

    /// Lends a value.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no value here.
    #[inline]
    pub fn get(&self, id: I) -> Result<&T> {
        match id.find(&self.values).and_then(typed) {
            Some(value) => Ok(value),
            None => Err(stale(id)),
        }
    }

    /// Returns whether the id names a value.
    #[must_use]
    pub fn contains(&self, id: I) -> bool {
        id.find(&self.values).is_some()
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
        let spot = id.spot(&self.values).ok_or_else(|| stale(id))?;
        self.values.remove(spot, size_of::<T>());
        Ok(())
    }

    /// Puts a value in another's place; the id stays.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no value here.
    pub fn replace(&mut self, id: I, value: &T) -> Result<()> {
        let spot = id.spot(&self.values).ok_or_else(|| stale(id))?;
        let slab = self.values.slab_mut(spot.number).ok_or_else(|| stale(id))?;
        slab.replace(spot.slot, bytemuck::bytes_of(value));
        Ok(())
    }

    /// Returns all values with their ids, slab by slab.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.values.slabs().flat_map(|slab| self.values_of(slab))
    }

    /// Returns all values with their ids, on the threads of rayon, a slab at a time.
    #[cfg(feature = "rayon")]
    #[must_use]
    pub fn par_iter(&self) -> impl rayon::iter::ParallelIterator<Item = (I, &T)>
    where
        T: Sync,
    {
        use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

        let slabs: Vec<&Slab<Memory<[u8]>>> = self.values.slabs().collect();
        slabs.into_par_iter().flat_map_iter(|slab| self.values_of(slab))
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
        Stats::of(&self.values, 0)
    }

    /// Returns the counts of slabs alone; all 0 while there is none.
    #[must_use]
    pub fn pool_stats(&self) -> PoolStats {
        PoolStats::of(&self.values, self.class)
    }

    fn values_of<'s>(
        &'s self,
        slab: &'s Slab<Memory<[u8]>>,
    ) -> impl Iterator<Item = (I, &'s T)> + use<'s, T, I> {
        let (values, number) = (&self.values, slab.seat.number);
        slab.iter().filter_map(move |(slot, value)| {
            Some((I::of(values, Spot { number, slot })?, typed(value)?))
        })
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
