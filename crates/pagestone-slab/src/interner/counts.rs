//! How often each string is held: a word for each slot.

use crate::{
    error::{Error, ErrorKind, Result},
    growth::{SLOT_BITS, SLOTS_MAX},
};

/// Counts by slab and slot.
#[derive(Debug, Default)]
pub(super) struct Counts(Vec<Box<[u32]>>);

impl Counts {
    /// Says that the string at `index` is held once, whose slab has so many slots.
    pub(super) fn first(&mut self, index: u32, slots: u32) {
        let slab = (index >> SLOT_BITS) as usize;
        if self.0.len() <= slab {
            self.0.resize_with(slab + 1, Box::default);
        }
        // Numbers of slabs are used again, by slabs of other lengths.
        if self.0[slab].len() < slots as usize {
            self.0[slab] = self.grown(slab, slots);
        }
        self.0[slab][(index % SLOTS_MAX) as usize] = 1;
    }

    pub(super) fn get(&self, index: u32) -> u32 {
        let slab = self.0.get((index >> SLOT_BITS) as usize);
        slab.and_then(|slab| slab.get((index % SLOTS_MAX) as usize)).copied().unwrap_or(0)
    }

    /// Counts `times` more and returns how many there are.
    #[inline]
    pub(super) fn retain(&mut self, index: u32, times: u32) -> Result<u32> {
        let slab = self.0.get_mut((index >> SLOT_BITS) as usize);
        let count = slab.and_then(|slab| slab.get_mut((index % SLOTS_MAX) as usize));
        match count.map(|count| (count.checked_add(times), count)) {
            Some((Some(more), count)) => {
                *count = more;
                Ok(more)
            }
            _ => Err(at_limit()),
        }
    }

    /// Counts one less and returns how many are left.
    #[inline]
    pub(super) fn release(&mut self, index: u32) -> u32 {
        let slab = self.0.get_mut((index >> SLOT_BITS) as usize);
        let Some(count) = slab.and_then(|slab| slab.get_mut((index % SLOTS_MAX) as usize)) else {
            return 0;
        };
        *count = count.saturating_sub(1);
        *count
    }

    pub(super) fn mapped(&self) -> u64 {
        let slabs: usize = self.0.iter().map(|slab| size_of_val(&**slab)).sum();
        (slabs + self.0.capacity() * size_of::<Box<[u32]>>()) as u64
    }

    fn grown(&self, slab: usize, slots: u32) -> Box<[u32]> {
        let mut grown = vec![0; slots as usize];
        grown[..self.0[slab].len()].copy_from_slice(&self.0[slab]);
        grown.into()
    }
}

#[cold]
fn at_limit() -> Error {
    Error::refused(ErrorKind::CountLimit, "a string is held 4294967295 times: no more are counted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_at_its_limit_stays_there() {
        let mut counts = Counts::default();
        counts.first(3, 4);
        counts.0[0][3] = u32::MAX - 1;
        assert_eq!(counts.retain(3, 1).unwrap(), u32::MAX);
        assert_eq!(counts.retain(3, 1).unwrap_err().kind(), ErrorKind::CountLimit);
        assert_eq!(counts.get(3), u32::MAX);
        assert_eq!(counts.release(3), u32::MAX - 1);
        assert_eq!(counts.get(9), 0);
    }

    #[test]
    fn a_longer_slab_of_the_same_number_keeps_what_is_there() {
        let mut counts = Counts::default();
        counts.first(1, 2);
        counts.first(100, 200);
        assert_eq!((counts.get(1), counts.get(100)), (1, 1));
    }
}
