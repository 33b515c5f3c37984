//! A box for each value; its address is the id.

use super::{SlotStore, Value};
use crate::{MiBox, Result, must};

const GONE: &str = "the value was removed";

/// Boxes of the program's allocator.
#[derive(Debug)]
pub struct Boxed;

/// Boxes in mimalloc, whatever the program's allocator is.
#[derive(Debug)]
pub struct MiBoxed;

impl<const WORDS: usize> SlotStore<WORDS> for Boxed {
    type Id = Option<Box<Value<WORDS>>>;

    fn new() -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> Self::Id {
        Some(Box::new(*value))
    }

    #[inline]
    fn get(&self, id: &Self::Id) -> u64 {
        must(id.as_ref().ok_or(GONE))[0]
    }

    #[inline]
    fn remove(&mut self, id: &mut Self::Id) {
        *id = None;
    }
}

impl<const WORDS: usize> SlotStore<WORDS> for MiBoxed
where
    Value<WORDS>: bytemuck::Pod,
{
    type Id = Option<MiBox<Value<WORDS>>>;

    fn new() -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn add(&mut self, value: &Value<WORDS>) -> Self::Id {
        Some(MiBox::new(*value))
    }

    #[inline]
    fn get(&self, id: &Self::Id) -> u64 {
        must(id.as_ref().ok_or(GONE)).get()[0]
    }

    #[inline]
    fn remove(&mut self, id: &mut Self::Id) {
        *id = None;
    }
}
