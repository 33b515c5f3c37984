//! Copies between mapped bytes and ordinary ones, by whole aligned words and without references.
#![expect(unsafe_code, reason = "words of a mapping are reached through raw pointers")]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::seam;

const WORD: usize = 8;

/// Copies `into.len()` bytes from `from` by relaxed loads of aligned words.
///
/// Another process, or another thread that stores through [`store`], may change the bytes
/// meanwhile: each aligned word is then old or new, and nothing is undefined.
///
/// # Safety
///
/// Every aligned word that overlaps `from..from + into.len()` lies in a mapping that stays in
/// place during the call.
#[inline]
pub(crate) unsafe fn load(from: *const u8, into: &mut [u8]) {
    let skip = from as usize % WORD;
    // SAFETY: the word that overlaps the first byte is mapped, says the contract.
    let first = unsafe { from.sub(skip) };
    #[expect(clippy::cast_ptr_alignment, reason = "`skip` bytes further down it is aligned")]
    let mut word = first.cast::<u64>();
    let head_len = if skip == 0 { 0 } else { (WORD - skip).min(into.len()) };
    let (head, rest) = into.split_at_mut(head_len);
    if !head.is_empty() {
        // SAFETY: the word overlaps the range, so it is mapped, says the contract.
        let bytes = unsafe { load_word(word) }.to_le_bytes();
        head.copy_from_slice(&bytes[skip..skip + head_len]);
        word = word.wrapping_add(1);
    }
    let (whole, tail) = rest.as_chunks_mut::<WORD>();
    for bytes in whole {
        // SAFETY: the word lies in the range, so it is mapped, says the contract.
        *bytes = unsafe { load_word(word) }.to_le_bytes();
        word = word.wrapping_add(1);
    }
    if !tail.is_empty() {
        // SAFETY: the word overlaps the range, so it is mapped, says the contract.
        let bytes = unsafe { load_word(word) }.to_le_bytes();
        tail.copy_from_slice(&bytes[..tail.len()]);
    }
}

/// Loads an aligned, mapped word.
///
/// # Safety
///
/// `word` is aligned, mapped for reading and otherwise only touched atomically.
#[inline]
unsafe fn load_word(word: *const u64) -> u64 {
    // SAFETY: aligned, mapped and only touched atomically, says the contract.
    let word = unsafe { AtomicU64::from_ptr(word.cast_mut()) };
    u64::from_le(word.load(Ordering::Relaxed))
}

/// Copies `bytes` to `to` by relaxed stores of aligned words.
///
/// The words at the ends keep their other bytes.
///
/// # Safety
///
/// As for [`load`], the mapping is writable, no reference to these bytes is alive, and no other
/// thread or process stores to the overlapping words.
#[inline]
pub(crate) unsafe fn store(to: *mut u8, bytes: &[u8]) {
    seam::store(to as usize, bytes);
    // SAFETY: the contract is the same.
    unsafe { put(to, bytes) }
}

/// As [`store`], but announces nothing.
///
/// # Safety
///
/// As for [`store`].
#[inline]
pub(crate) unsafe fn put(to: *mut u8, bytes: &[u8]) {
    let mut skip = to as usize % WORD;
    // SAFETY: the word that overlaps the first byte is mapped, says the contract.
    let first = unsafe { to.sub(skip) };
    #[expect(clippy::cast_ptr_alignment, reason = "`skip` bytes further down it is aligned")]
    let mut word = first.cast::<u64>();
    let mut rest = bytes;
    while !rest.is_empty() {
        let take = (WORD - skip).min(rest.len());
        let (now, later) = rest.split_at(take);
        // SAFETY: the word overlaps the range, so it is mapped and writable, says the contract.
        unsafe { store_word(word, skip, now) };
        rest = later;
        skip = 0;
        word = word.wrapping_add(1);
    }
}

/// Loads a little-endian word.
///
/// # Safety
///
/// `word` is aligned, lies in a mapping that stays in place during the call, and nobody stores to
/// it but atomically.
#[inline]
pub(crate) unsafe fn load_one(word: *mut u64, ordering: Ordering) -> u64 {
    // SAFETY: aligned, mapped and only stored to atomically, says the contract.
    let word = unsafe { AtomicU64::from_ptr(word) };
    u64::from_le(word.load(ordering))
}

/// Stores a little-endian word.
///
/// # Safety
///
/// As for [`load_one`]; the mapping is writable, and nobody borrows the word's bytes.
#[inline]
pub(crate) unsafe fn store_one(word: *mut u64, value: u64, ordering: Ordering) {
    seam::store(word as usize, &value.to_le_bytes());
    // SAFETY: aligned, mapped and only touched atomically, says the contract.
    let word = unsafe { AtomicU64::from_ptr(word) };
    word.store(value.to_le(), ordering);
}

/// Copies `bytes` to `to`, touching no byte beside them.
///
/// # Safety
///
/// `to..to + bytes.len()` is mapped for writing, and nobody else looks at or stores to it.
pub(crate) unsafe fn fill(to: *mut u8, bytes: &[u8]) {
    seam::store(to as usize, bytes);
    // SAFETY: the destination is mapped and ours alone, says the contract, so it does not overlap
    // `bytes`.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
}

/// Stores bytes into an aligned, mapped word, from its byte `skip` on.
///
/// # Safety
///
/// `word` is aligned, mapped for writing, otherwise only touched atomically, and nobody else
/// stores to it.
#[inline]
unsafe fn store_word(word: *mut u64, skip: usize, bytes: &[u8]) {
    // SAFETY: aligned, mapped and only touched atomically, says the contract.
    let word = unsafe { AtomicU64::from_ptr(word) };
    let mut whole = if bytes.len() == WORD {
        [0; WORD]
    } else {
        u64::from_le(word.load(Ordering::Relaxed)).to_le_bytes()
    };
    whole[skip..skip + bytes.len()].copy_from_slice(bytes);
    word.store(u64::from_le_bytes(whole).to_le(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::{load, store};

    #[test]
    fn ranges_at_every_offset_are_copied_and_neighbours_kept() {
        for start in 0..16 {
            for len in 0..24 {
                let mut words = [0x1111_1111_1111_1111u64; 6];
                let bytes: Vec<u8> = (0..len).map(|index| 0x80 + index).collect();
                let base = words.as_mut_ptr().cast::<u8>();
                let at = base.wrapping_add(start);
                // SAFETY: `start + len` stays below the 48 bytes of `words`, which is aligned.
                unsafe { store(at, &bytes) };
                let mut back = vec![0; bytes.len()];
                // SAFETY: as above.
                unsafe { load(at, &mut back) };
                assert_eq!(back, bytes);
                let all: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                let kept = |range: std::ops::Range<usize>| all[range].iter().all(|&b| b == 0x11);
                assert!(kept(0..start) && kept(start + bytes.len()..48));
            }
        }
    }
}
