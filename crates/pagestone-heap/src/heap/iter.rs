//! Live blocks in slot order.

use super::Heap;
use crate::{
    error::Result,
    id::BlockId,
    parts::{PARTS, exists, first_of, part_len, part_of},
    pin::Pin,
    region::lifecycle::{Keeper, published},
};

/// The live blocks of a heap; see [`Heap::blocks`].
///
/// Blocks that are made or freed meanwhile may be seen or not.
#[derive(Debug)]
pub struct Blocks<'p> {
    heap: &'p Heap,
    pin: &'p Pin<'p>,
    next: u64,
}

impl<'p> Blocks<'p> {
    pub(super) fn new(heap: &'p Heap, pin: &'p Pin<'_>) -> Self {
        Self { heap, pin, next: 0 }
    }

    /// The first index from `next` on that a part has.
    fn index(&self) -> Option<u64> {
        let mut index = self.next;
        let parts = &self.heap.store.parts;
        loop {
            let part = part_of(index);
            if PARTS <= part {
                return None;
            }
            if !parts.has(part) {
                index = first_of(part) + part_len(part) / 16;
            } else if exists(index) {
                return Some(index);
            } else {
                index += 1;
            }
        }
    }
}

impl<'p> Iterator for Blocks<'p> {
    type Item = Result<(BlockId, &'p [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let index = self.index()?;
            self.next = index + 1;
            match self.heap.live_at(self.pin, index) {
                Ok(None) => {}
                Ok(Some(found)) => {
                    let keeper = Keeper::pin(self.pin.place());
                    let raw = &self.heap.shared().raw;
                    return Some(Ok((found.id, published(raw, keeper, (found.at, found.len)))));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
