//! pagestone-slab: byte objects and typed pools, in anonymous memory.

use pagestone_slab::{ObjectId, ObjectStore, PlainId, Pool, PoolId};

use super::{SlotStore, Value};
use crate::{Result, must};

/// Byte objects by checked id, as they come.
#[derive(Debug)]
pub struct Store(ObjectStore);

/// Byte objects without generations.
#[derive(Debug)]
pub struct PlainStore(ObjectStore);

/// Typed values by ids of 4 bytes.
#[derive(Debug)]
pub struct PlainPool<const WORDS: usize>(Pool<Value<WORDS>, PlainId>);

/// Typed values by checked id.
#[derive(Debug)]
pub struct CheckedPool<const WORDS: usize>(Pool<Value<WORDS>, ObjectId>);

impl<const WORDS: usize> SlotStore<WORDS> for Store {
    type Id = ObjectId;

    fn new() -> Result<Self> {
        Ok(Self(ObjectStore::new()?))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> ObjectId {
        must(self.0.add(bytemuck::bytes_of(value)))
    }

    #[inline]
    fn get(&self, id: &ObjectId) -> u64 {
        first_word(must(self.0.get(*id)))
    }

    #[inline]
    fn remove(&mut self, id: &mut ObjectId) {
        must(self.0.remove(*id));
    }

    fn mapped(&mut self) -> Option<u64> {
        Some(self.0.stats().mapped)
    }
}

impl<const WORDS: usize> SlotStore<WORDS> for PlainStore {
    type Id = ObjectId;

    fn new() -> Result<Self> {
        Ok(Self(ObjectStore::options().without_generations().make()?))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> ObjectId {
        must(self.0.add(bytemuck::bytes_of(value)))
    }

    #[inline]
    fn get(&self, id: &ObjectId) -> u64 {
        first_word(must(self.0.get(*id)))
    }

    #[inline]
    fn remove(&mut self, id: &mut ObjectId) {
        must(self.0.remove(*id));
    }

    fn mapped(&mut self) -> Option<u64> {
        Some(self.0.stats().mapped)
    }
}

impl<const WORDS: usize> SlotStore<WORDS> for PlainPool<WORDS> {
    type Id = PlainId;

    fn new() -> Result<Self> {
        Ok(Self(Pool::new()?))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> PlainId {
        add(&mut self.0, value)
    }

    #[inline]
    fn get(&self, id: &PlainId) -> u64 {
        get(&self.0, *id)
    }

    #[inline]
    fn remove(&mut self, id: &mut PlainId) {
        must(self.0.remove(*id));
    }

    fn mapped(&mut self) -> Option<u64> {
        Some(self.0.stats().mapped)
    }
}

impl<const WORDS: usize> SlotStore<WORDS> for CheckedPool<WORDS> {
    type Id = ObjectId;

    fn new() -> Result<Self> {
        Ok(Self(Pool::new()?))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> ObjectId {
        add(&mut self.0, value)
    }

    #[inline]
    fn get(&self, id: &ObjectId) -> u64 {
        get(&self.0, *id)
    }

    #[inline]
    fn remove(&mut self, id: &mut ObjectId) {
        must(self.0.remove(*id));
    }

    fn mapped(&mut self) -> Option<u64> {
        Some(self.0.stats().mapped)
    }
}

#[inline]
fn add<const WORDS: usize, I: PoolId>(pool: &mut Pool<Value<WORDS>, I>, value: &Value<WORDS>) -> I {
    must(pool.add(value))
}

#[inline]
fn get<const WORDS: usize, I: PoolId>(pool: &Pool<Value<WORDS>, I>, id: I) -> u64 {
    must(pool.get(id))[0]
}

#[inline]
pub(super) fn first_word(bytes: &[u8]) -> u64 {
    let word = must(bytes.first_chunk().ok_or("an object is short"));
    u64::from_le_bytes(*word)
}
