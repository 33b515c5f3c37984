//! Stores of values, each made empty, without a capacity, as ours are.

use bench_own::{
    Result, must,
    slots::{SlotStore, Value},
};

const GONE: &str = "the value was removed";

/// slab: a vector with a list of vacant slots in it, ids without generations.
pub(crate) struct Slab<const WORDS: usize>(slab::Slab<Value<WORDS>>);

impl<const WORDS: usize> SlotStore<WORDS> for Slab<WORDS> {
    type Id = usize;

    fn new() -> Result<Self> {
        Ok(Self(slab::Slab::new()))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> usize {
        self.0.insert(*value)
    }

    #[inline]
    fn get(&self, id: &usize) -> u64 {
        must(self.0.get(*id).ok_or(GONE))[0]
    }

    #[inline]
    fn remove(&mut self, id: &mut usize) {
        self.0.remove(*id);
    }
}

/// slotmap: the same with generations of 31 bits.
pub(crate) struct SlotMap<const WORDS: usize>(
    slotmap::SlotMap<slotmap::DefaultKey, Value<WORDS>>,
);

impl<const WORDS: usize> SlotStore<WORDS> for SlotMap<WORDS> {
    type Id = slotmap::DefaultKey;

    fn new() -> Result<Self> {
        Ok(Self(slotmap::SlotMap::new()))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> Self::Id {
        self.0.insert(*value)
    }

    #[inline]
    fn get(&self, id: &Self::Id) -> u64 {
        must(self.0.get(*id).ok_or(GONE))[0]
    }

    #[inline]
    fn remove(&mut self, id: &mut Self::Id) {
        must(self.0.remove(*id).ok_or(GONE));
    }
}

/// thunderdome: the same with generations of 32 bits.
pub(crate) struct Arena<const WORDS: usize>(thunderdome::Arena<Value<WORDS>>);

impl<const WORDS: usize> SlotStore<WORDS> for Arena<WORDS> {
    type Id = thunderdome::Index;

    fn new() -> Result<Self> {
        Ok(Self(thunderdome::Arena::new()))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> Self::Id {
        self.0.insert(*value)
    }

    #[inline]
    fn get(&self, id: &Self::Id) -> u64 {
        must(self.0.get(*id).ok_or(GONE))[0]
    }

    #[inline]
    fn remove(&mut self, id: &mut Self::Id) {
        must(self.0.remove(*id).ok_or(GONE));
    }
}

/// sharded-slab: for many threads at once, pages that double.
pub(crate) struct Sharded<const WORDS: usize>(sharded_slab::Slab<Value<WORDS>>);

impl<const WORDS: usize> SlotStore<WORDS> for Sharded<WORDS> {
    type Id = usize;

    fn new() -> Result<Self> {
        Ok(Self(sharded_slab::Slab::new()))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> usize {
        must(self.0.insert(*value).ok_or("no room"))
    }

    #[inline]
    fn get(&self, id: &usize) -> u64 {
        must(self.0.get(*id).ok_or(GONE))[0]
    }

    #[inline]
    fn remove(&mut self, id: &mut usize) {
        must(self.0.take(*id).ok_or(GONE));
    }
}
