//! pagestone-slab: byte objects and typed pools, in anonymous memory.

use pagestone_slab::{ObjectId, ObjectStore, PlainId, Pool, PoolId};

use super::{SlotStore, Value};
use crate::{Result, must};

/// Byte objects by checked id, with generations or without.
#[derive(Debug)]
pub struct Objects<const GENERATIONS: bool>(ObjectStore);

/// Byte objects by checked id, as they come.
pub type Store = Objects<true>;
/// Byte objects without generations.
pub type PlainStore = Objects<false>;

/// Typed values.
#[derive(Debug)]
pub struct Typed<const WORDS: usize, I: PoolId>(Pool<Value<WORDS>, I>);

/// Typed values by ids of 4 bytes.
pub type PlainPool<const WORDS: usize> = Typed<WORDS, PlainId>;
/// Typed values by checked id.
pub type CheckedPool<const WORDS: usize> = Typed<WORDS, ObjectId>;

impl<const WORDS: usize, const GENERATIONS: bool> SlotStore<WORDS> for Objects<GENERATIONS> {
    type Id = ObjectId;

    fn new() -> Result<Self> {
        let options = ObjectStore::options();
        let options = if GENERATIONS { options } else { options.without_generations() };
        Ok(Self(options.make()?))
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

impl<const WORDS: usize, I: PoolId> SlotStore<WORDS> for Typed<WORDS, I> {
    type Id = I;

    fn new() -> Result<Self> {
        Ok(Self(Pool::new()?))
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> I {
        must(self.0.add(value))
    }

    #[inline]
    fn get(&self, id: &I) -> u64 {
        must(self.0.get(*id))[0]
    }

    #[inline]
    fn remove(&mut self, id: &mut I) {
        must(self.0.remove(*id));
    }

    fn mapped(&mut self) -> Option<u64> {
        Some(self.0.stats().mapped)
    }
}

#[inline]
pub(super) fn first_word(bytes: &[u8]) -> u64 {
    let word = must(bytes.first_chunk().ok_or("an object is short"));
    u64::from_le_bytes(*word)
}
