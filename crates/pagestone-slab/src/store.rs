//! Byte objects by checked id: add, get, remove, search by value.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{
    class::{Class, OBJECT_LEN_MAX},
    error::{Error, Result},
    growth::Growth,
    id::ObjectId,
    pools::{Generations, Numbers, Pools, Spot},
    scan,
    slab::Slab,
    stats::{PoolStats, Stats},
    values::{Values, class_of},
};

type Objects = Pools<[u8]>;

/// So many values of one pool are searched for one by one; more by one walk over the pool.
const ONE_BY_ONE: usize = 4;

/// Byte objects of any length from 1 on, in anonymous memory.
///
/// Each length up to 256 bytes has a pool of its own, longer objects share size classes, eight
/// from one power of two to the next, and those above 64 KiB have memory each for itself. A pool
/// grows slab by slab and never copies an object; the lowest vacant slot is used first.
///
/// Reads take `&self` and any number of threads may read at once; changes take `&mut self`.
/// Nothing survives the value: memory is given back when it is dropped.
///
/// ```
/// use pagestone_slab::ObjectStore;
///
/// let mut store = ObjectStore::new()?;
/// let id = store.add(b"lang=rust")?;
/// assert_eq!(store.get(id)?, b"lang=rust");
/// store.remove(id)?;
/// assert!(store.get(id).is_err(), "the id is stale, for ever");
/// # Ok::<(), pagestone_slab::Error>(())
/// ```
#[derive(Debug)]
pub struct ObjectStore {
    objects: Objects,
    values: Option<Box<Values>>,
}

/// How an [`ObjectStore`] is made.
#[derive(Debug, Clone, Copy)]
pub struct ObjectStoreOptions {
    growth: Growth,
    generations: Generations,
    numbers: Numbers,
}

impl Default for ObjectStoreOptions {
    fn default() -> Self {
        let (generations, numbers) = (Generations::Counted, Numbers::Fresh);
        Self { growth: Growth::default(), generations, numbers }
    }
}

impl ObjectStoreOptions {
    /// Sets how pools grow and shrink.
    #[must_use]
    pub fn growth(mut self, growth: Growth) -> Self {
        self.growth = growth;
        self
    }

    /// Saves a byte for each slot: the id of a removed object then names whatever is put into its
    /// slot next. An id of a vacant slot is refused as ever.
    #[must_use]
    pub fn without_generations(mut self) -> Self {
        self.generations = Generations::None;
        self
    }

    /// Keeps a table of values, 4.6 to 5.5 bytes for each object, so that a search is a lookup. A
    /// value that several objects have costs some 60 bytes, and 4 to 12 for each of them.
    ///
    /// An add that finds the table full builds it again, 1.2 times as large, from all objects.
    #[must_use]
    pub fn with_value_index(mut self) -> Self {
        self.numbers = Numbers::FreshAndSmall;
        self
    }

    /// Makes an empty store; memory is taken as objects come.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for settings that cannot work.
    pub fn make(self) -> Result<ObjectStore> {
        let objects = Pools::new(self.growth, (self.generations, self.numbers))?;
        let values = (self.numbers == Numbers::FreshAndSmall).then(Box::default);
        Ok(ObjectStore { objects, values })
    }
}

impl ObjectStore {
    /// Makes an empty store with the settings of [`ObjectStoreOptions::default`].
    ///
    /// # Errors
    ///
    /// None so far: the settings work.
    pub fn new() -> Result<Self> {
        Self::options().make()
    }

    /// Returns the settings to change.
    #[must_use]
    pub fn options() -> ObjectStoreOptions {
        ObjectStoreOptions::default()
    }

    /// Adds an object, equal ones too, and returns its id.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a length of 0; `OutOfSpace` when memory is short.
    #[inline]
    pub fn add(&mut self, object: &[u8]) -> Result<ObjectId> {
        // Nothing of 0 bytes was ever added, so it is not near.
        if self.values.is_none()
            && let Some((spot, generation)) = self.objects.add_near(Class::of(object.len()), object)
        {
            return Ok(ObjectId::new(spot, generation));
        }
        self.add_elsewhere(object)
    }

    #[inline(never)]
    fn add_elsewhere(&mut self, object: &[u8]) -> Result<ObjectId> {
        if object.is_empty() {
            return Err(Error::argument("an object of 0 bytes"));
        }
        let (spot, generation) = self.objects.add(Class::of(object.len()), object)?;
        if self.values.is_some() {
            self.index(spot);
        }
        Ok(ObjectId::new(spot, generation))
    }

    /// Adds objects and returns their ids, in order.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add); nothing is added then.
    pub fn add_many<O: AsRef<[u8]>>(&mut self, objects: &[O]) -> Result<Vec<ObjectId>> {
        let mut ids = Vec::with_capacity(objects.len());
        for object in objects {
            match self.add(object.as_ref()) {
                Ok(id) => ids.push(id),
                Err(error) => {
                    for id in ids {
                        self.remove(id)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(ids)
    }

    /// Lends an object.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no object here.
    #[inline]
    pub fn get(&self, id: ObjectId) -> Result<&[u8]> {
        let (spot, generation) = id.parts();
        match self.objects.checked_near(spot, generation) {
            Some(object) => Ok(object),
            None => self.get_elsewhere(id),
        }
    }

    /// Lends an object whose slot has another length, or refuses the id.
    #[inline(never)]
    fn get_elsewhere(&self, id: ObjectId) -> Result<&[u8]> {
        let (spot, generation) = id.parts();
        self.objects.checked(spot, generation).ok_or_else(|| self.stale(id))
    }

    /// Returns whether the id names an object.
    #[inline]
    #[must_use]
    pub fn contains(&self, id: ObjectId) -> bool {
        let (spot, generation) = id.parts();
        self.objects.checked(spot, generation).is_some()
    }

    /// Removes an object; its slot is used again first. A slab that gets empty is given back when
    /// its pool has enough vacancy without it ([`Growth::keep_vacant`]).
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no object here.
    #[inline]
    pub fn remove(&mut self, id: ObjectId) -> Result<()> {
        let (spot, generation) = id.parts();
        if self.values.is_some() {
            self.forget(id);
        }
        if self.objects.remove_checked(spot, generation) { Ok(()) } else { Err(self.stale(id)) }
    }

    /// Puts another object of the same length in an object's place, and returns its id: in memory
    /// the same.
    ///
    /// # Errors
    ///
    /// `StaleId` for an id that names no object here; `InvalidArgument` for another length.
    pub fn replace(&mut self, id: ObjectId, object: &[u8]) -> Result<ObjectId> {
        let len = self.get(id)?.len();
        if len != object.len() {
            let what = format!("an object of {} bytes in the place of {len}", object.len());
            return Err(Error::argument(what));
        }
        let (spot, _) = id.parts();
        if self.values.is_some() {
            self.forget(id);
        }
        self.objects.replace(spot, object);
        if self.values.is_some() {
            self.index(spot);
        }
        Ok(id)
    }

    /// Returns an object that has this value, if there is one: with a value index by one lookup,
    /// without by comparing every object of its pool.
    #[must_use]
    pub fn search(&self, value: &[u8]) -> Option<ObjectId> {
        let class = class_of(value)?;
        if let Some(values) = &self.values {
            let spot = self.objects.second_spot(values.find(&self.objects, value)?)?;
            return Some(self.id(spot));
        }
        self.objects.row(class).find_map(|(number, slab)| {
            let slot = scan::find(slab, value)?;
            Some(self.id(Spot { number, slot }))
        })
    }

    /// Returns for each value an object that has it, in the order of `values`. Without a value
    /// index each pool is walked once, however many values are searched for in it.
    #[must_use]
    pub fn search_many<V: AsRef<[u8]>>(&self, values: &[V]) -> Vec<Option<ObjectId>> {
        if self.values.is_some() {
            return values.iter().map(|value| self.search(value.as_ref())).collect();
        }
        let mut found = vec![None; values.len()];
        let mut wanted: HashMap<Class, Vec<usize>, RandomState> = HashMap::default();
        for (at, value) in values.iter().enumerate() {
            if let Some(class) = class_of(value.as_ref()) {
                wanted.entry(class).or_default().push(at);
            }
        }
        for (class, places) in wanted {
            if places.len() <= ONE_BY_ONE {
                for at in places {
                    found[at] = self.search(values[at].as_ref());
                }
                continue;
            }
            let by_value: HashMap<&[u8], Option<ObjectId>, RandomState> =
                places.iter().map(|&at| (values[at].as_ref(), None)).collect();
            let by_value = self.walk(class, by_value);
            for at in places {
                found[at] = by_value.get(values[at].as_ref()).copied().flatten();
            }
        }
        found
    }

    /// Returns all objects with their ids, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectId, &[u8])> {
        self.objects.slabs().flat_map(objects_of)
    }

    /// Returns the objects of the pool in which objects of `len` bytes lie: up to 256 those of this
    /// length, above those of the same size class.
    pub fn iter_pool(&self, len: usize) -> impl Iterator<Item = (ObjectId, &[u8])> {
        self.objects.row(Class::of(len)).flat_map(objects_of)
    }

    /// Returns how many objects there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.objects.len()
    }

    /// Returns whether there is no object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all objects and gives their memory back; every id is stale.
    pub fn clear(&mut self) {
        self.objects.clear();
        if let Some(values) = &mut self.values {
            **values = Values::default();
        }
    }

    /// Gives back every slab without an object, whatever vacancy is to be kept; returns how many.
    pub fn release_empty(&mut self) -> u64 {
        self.objects.release_empty()
    }

    /// Returns the counts of the store and of each pool. Looks at every slab, at no object.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(&self.objects, self.values.as_ref().map_or(0, |values| values.mapped()))
    }

    /// Returns the counts of the pool in which objects of `len` bytes lie; `None` when there is no
    /// such pool now.
    #[must_use]
    pub fn pool_stats(&self, len: usize) -> Option<PoolStats> {
        let stats = PoolStats::of(&self.objects, Class::of(len));
        (0 < len && stats.slabs != 0).then_some(stats)
    }

    /// The longest object that lies in a slot.
    pub const OBJECT_LEN_MAX: usize = OBJECT_LEN_MAX;

    /// The id of an occupied slot.
    fn id(&self, spot: Spot) -> ObjectId {
        let slab = self.objects.slab(spot.number);
        ObjectId::new(spot, slab.map_or(0, |slab| slab.generation(spot.slot)))
    }

    #[cold]
    fn stale(&self, id: ObjectId) -> Error {
        let (spot, _) = id.parts();
        let why = match self.objects.slab(spot.number) {
            None => "no slab of its number: released, or of another store",
            Some(slab) if slab.count() <= spot.slot => "no such slot in its slab",
            Some(slab) if !slab.is_live(spot.slot) => "removed",
            Some(_) => "removed, and its slot used again",
        };
        Error::stale("object", id.to_bits(), why)
    }

    /// Fills in where the values of one pool are.
    fn walk<'v>(
        &self,
        class: Class,
        mut wanted: HashMap<&'v [u8], Option<ObjectId>, RandomState>,
    ) -> HashMap<&'v [u8], Option<ObjectId>, RandomState> {
        let mut missing = wanted.len();
        for slab in self.objects.row(class) {
            for (id, object) in objects_of(slab) {
                if let Some(place @ None) = wanted.get_mut(object) {
                    *place = Some(id);
                    missing -= 1;
                    if missing == 0 {
                        return wanted;
                    }
                }
            }
        }
        wanted
    }

    #[inline(never)]
    fn index(&mut self, spot: Spot) {
        let (Some(values), Some(index)) = (&mut self.values, self.objects.second_index(spot))
        else {
            return;
        };
        if let Some(object) = self.objects.get(spot) {
            values.insert(&self.objects, index, object);
        }
    }

    #[inline(never)]
    fn forget(&mut self, id: ObjectId) {
        let (spot, generation) = id.parts();
        let (Some(values), Some(index)) = (&mut self.values, self.objects.second_index(spot))
        else {
            return;
        };
        if let Some(object) = self.objects.checked(spot, generation) {
            values.remove(&self.objects, index, object);
        }
    }
}

/// The objects of a slab with their ids.
fn objects_of((number, slab): (u32, &Slab<[u8]>)) -> impl Iterator<Item = (ObjectId, &[u8])> {
    slab.iter().map(move |(slot, object)| {
        (ObjectId::new(Spot { number, slot }, slab.generation(slot)), object)
    })
}
