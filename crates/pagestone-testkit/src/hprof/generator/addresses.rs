//! Owns the map from an object's position in the file to its id, by arithmetic alone.

use super::{GeneratorOptions, random::mix};

/// Where the heap begins.
const HEAP_START: u64 = 0x7000_0000_0000;

/// Bytes between two slots; an object begins at one of the first seven multiples of 8 in its slot.
const SLOT_SIZE: u64 = 56;

/// Slots of a block. The last one is kept for a class.
const BLOCK_SLOTS: u64 = 64;

/// Bytes of file per object, about.
const OBJECT_DUMP_LEN: u64 = 66;

/// Ids of objects and classes. Positions and ids ascend together but for some pairs of neighbours
/// in every fourth block, which change places.
#[derive(Debug)]
pub(super) struct Addresses {
    seed: u64,
    /// Blocks from one class to the next.
    class_stride: u64,
}

impl Addresses {
    pub(super) fn new(options: &GeneratorOptions, class_count: u64) -> Self {
        let blocks = options.target_len / OBJECT_DUMP_LEN / BLOCK_SLOTS;
        Self { seed: mix(options.seed), class_stride: (blocks / class_count).max(1) }
    }

    /// The id of the object at this position among the objects (classes left out).
    pub(super) fn object(&self, position: u64) -> u64 {
        let (block, place) = (position / (BLOCK_SLOTS - 1), position % (BLOCK_SLOTS - 1));
        let order = mix(self.seed ^ block);
        let mut slot = place;
        if order.is_multiple_of(4) {
            let (first, second) = ((order >> 8) % 30, 32 + (order >> 16) % 30);
            if place == first {
                slot = second;
            } else if place == second {
                slot = first;
            }
        }
        self.address(block * BLOCK_SLOTS + slot)
    }

    /// The id of the class with this index in the catalog.
    pub(super) fn class(&self, index: usize) -> u64 {
        let block = index as u64 * self.class_stride;
        self.address(block * BLOCK_SLOTS + BLOCK_SLOTS - 1)
    }

    /// An id below the heap, of no object.
    pub(super) fn dangling(bits: u64) -> u64 {
        HEAP_START - 8 - (bits & 0xffff) * 8
    }

    fn address(&self, slot: u64) -> u64 {
        let shift = ((mix(self.seed ^ !slot) >> 32) * 7) >> 32;
        HEAP_START + slot * SLOT_SIZE + shift * 8
    }
}
