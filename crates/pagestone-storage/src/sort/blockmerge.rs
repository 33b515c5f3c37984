//! Merges two long neighbouring runs in place, with scratch for a few blocks.
//!
//! The output is made block by block. As many records are read as are written, so blocks of the
//! input fall free about as fast as output needs a home; a few spare blocks cover the difference.
//! At last the blocks are permuted into order. This reads and writes everything twice, which is
//! still cheaper than the page faults of fresh scratch for a whole run.

use std::hint::select_unpredictable;

use crate::sort::order::WordKey;

/// Bytes of a block.
const BLOCK_BYTES: usize = 32 << 10;
/// Spare blocks: one being filled; one for each of the input blocks that are read in part (one per
/// run, and the one both runs share); one for a permutation.
const SPARE_BLOCKS: usize = 5;

/// Records of a block.
const fn block_len(record_size: usize) -> usize {
    BLOCK_BYTES / record_size
}

/// Records of scratch that [`merge_blocks`] needs.
pub(super) const fn spare_len(record_size: usize) -> usize {
    SPARE_BLOCKS * block_len(record_size)
}

/// Merges `records[..middle]` and `records[middle..]` stably, with [`spare_len`] records of scratch.
pub(super) fn merge_blocks<const N: usize, K: WordKey>(
    records: &mut [[u8; N]],
    middle: usize,
    (key, spare): (K, &mut [[u8; N]]),
) {
    let len = block_len(N);
    let mut runs = Runs { left: 0, middle, right: middle, end: records.len() };
    let mut homes = Homes::new(records.len(), middle, len);
    let tail = records.len() / len * len;
    let left_over = loop {
        let target = homes.filling * len;
        let made = runs.fill(records, &mut spare[target..target + len], key);
        if made < len {
            break made;
        }
        homes.release(&runs, len);
        if let Some(home) = homes.settle() {
            records[home * len..][..len].copy_from_slice(&spare[target..target + len]);
        }
    };
    homes.release(&runs, len);
    let last = homes.filling * len;
    records[tail..].copy_from_slice(&spare[last..last + left_over]);
    homes.restore(records, (spare, len));
}

/// The unread stretches of both runs.
struct Runs {
    left: usize,
    middle: usize,
    right: usize,
    end: usize,
}

impl Runs {
    /// Moves the next records in order to `to`, until it is full or both runs are read.
    fn fill<const N: usize, K: WordKey>(
        &mut self,
        records: &[[u8; N]],
        to: &mut [[u8; N]],
        key: K,
    ) -> usize {
        let mut made = 0;
        while made < to.len() {
            let (left, right) = (self.middle - self.left, self.end - self.right);
            let steps = left.min(right).min(to.len() - made);
            if steps == 0 {
                // One run is at its end; the other, if any is left, follows as it is.
                let (from, rest) =
                    if left == 0 { (&mut self.right, right) } else { (&mut self.left, left) };
                let count = rest.min(to.len() - made);
                to[made..made + count].copy_from_slice(&records[*from..*from + count]);
                *from += count;
                return made + count;
            }
            for slot in &mut to[made..made + steps] {
                let (a, b) = (&records[self.left], &records[self.right]);
                let right_first = key.word(b) < key.word(a);
                *slot = *select_unpredictable(right_first, b, a);
                self.right += usize::from(right_first);
                self.left += usize::from(!right_first);
            }
            made += steps;
        }
        made
    }
}

/// Where each block of output is for now.
struct Homes {
    /// Blocks of the input; homes from here on are spare.
    blocks: usize,
    /// The home of each block of output.
    order: Vec<usize>,
    /// Input blocks that are read and not yet a home.
    free: Vec<usize>,
    /// Input blocks of the left and of the right run that are or were free.
    left_freed: usize,
    right_freed: usize,
    /// The input block that both runs share, until it is read.
    shared: Option<usize>,
    /// The spare block being filled. Those before it are homes.
    filling: usize,
}

impl Homes {
    fn new(records: usize, middle: usize, len: usize) -> Self {
        let blocks = records / len;
        Self {
            blocks,
            order: Vec::with_capacity(blocks),
            free: Vec::new(),
            left_freed: 0,
            right_freed: middle.div_ceil(len),
            shared: Some(middle / len)
                .filter(|shared| !middle.is_multiple_of(len) && *shared < blocks),
            filling: 0,
        }
    }

    /// Notes which input blocks of `len` records are read.
    fn release(&mut self, runs: &Runs, len: usize) {
        let left_end = (runs.left / len).min(runs.middle / len);
        self.free.extend(self.left_freed..left_end);
        self.left_freed = left_end;
        let right_end = (runs.right / len).min(self.blocks).max(self.right_freed);
        self.free.extend(self.right_freed..right_end);
        self.right_freed = right_end;
        let read = |block: usize| runs.left == runs.middle && (block + 1) * len <= runs.right;
        self.free.extend(self.shared.take_if(|block| read(*block)));
    }

    /// Gives the block just filled a home: the input block to copy it to, or itself.
    fn settle(&mut self) -> Option<usize> {
        let home = self.free.pop();
        self.order.push(home.unwrap_or(self.blocks + self.filling));
        self.filling += usize::from(home.is_none());
        home
    }

    /// Moves every block of output to its place.
    fn restore<const N: usize>(
        &mut self,
        records: &mut [[u8; N]],
        (spare, len): (&mut [[u8; N]], usize),
    ) {
        // Chains that start at a block which is nobody's home end in a spare one.
        while let Some(free) = self.free.pop() {
            self.pull(free, records, (spare, len));
        }
        // What is left are cycles; each is opened by moving one block to the spare one.
        let opened = self.filling * len;
        for start in 0..self.order.len() {
            if self.order[start] == start {
                continue;
            }
            spare[opened..opened + len].copy_from_slice(&records[start * len..][..len]);
            let mut last = self.order[start];
            while self.order[last] != start {
                last = self.order[last];
            }
            self.order[last] = self.blocks + self.filling;
            self.pull(start, records, (spare, len));
        }
    }

    /// Fills `place`, which is free, with the block that belongs there, then the place of that one.
    fn pull<const N: usize>(
        &mut self,
        mut place: usize,
        records: &mut [[u8; N]],
        (spare, len): (&[[u8; N]], usize),
    ) {
        while place < self.blocks {
            let home = self.order[place];
            self.order[place] = place;
            if let Some(spare_home) = home.checked_sub(self.blocks) {
                let from = spare_home * len;
                records[place * len..][..len].copy_from_slice(&spare[from..from + len]);
            } else {
                records.copy_within(home * len..(home + 1) * len, place * len);
            }
            place = home;
        }
    }
}
