//! Live blocks in slot order.

use super::Heap;
use crate::{
    error::Result,
    id::BlockId,
    parts::{PARTS, exists, first_of, part_len, part_of},
    pin::Pin,
    region::lifecycle::{Keeper, published},
    shared::Found,
};

/// The live blocks of a heap; see [`Heap::blocks`].
///
/// Blocks that are made or freed meanwhile may be seen or not.
#[derive(Debug)]
pub struct Blocks<'p>(Slots<'p>);

/// The slots of a heap that name blocks.
#[derive(Debug)]
pub(super) struct Slots<'p> {
    heap: &'p Heap,
    pin: &'p Pin<'p>,
    next: u64,
}

impl<'p> Blocks<'p> {
    pub(super) fn new(heap: &'p Heap, pin: &'p Pin<'_>) -> Self {
        Self(Slots::new(heap, pin))
    }
}

impl<'p> Slots<'p> {
    pub(super) fn new(heap: &'p Heap, pin: &'p Pin<'_>) -> Self {
        Self { heap, pin, next: 0 }
    }

    pub(super) fn heap(&self) -> &'p Heap {
        self.heap
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

impl Iterator for Slots<'_> {
    type Item = Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut index = self.index();
            if index.is_none() && self.heap.shared().scan_if_behind() {
                // Another process made the table longer since.
                index = self.index();
            }
            let index = index?;
            self.next = index + 1;
            if let Some(found) = self.heap.live_at(self.pin, index).transpose() {
                return Some(found);
            }
        }
    }
}

impl<'p> Iterator for Blocks<'p> {
    type Item = Result<(BlockId, &'p [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match self.0.next()? {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        let keeper = Keeper::pin(self.0.pin.place());
        let raw = &self.0.heap.shared().raw;
        Some(Ok((found.id, published(raw, keeper, (found.at, found.len)))))
    }
}
