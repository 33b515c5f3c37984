//! Counts with AVX2 and AVX-512.
#![expect(unsafe_code, reason = "SIMD loads, and calls that need a detected CPU feature")]
#![expect(clippy::inline_always, reason = "has to compile with the CPU features of the caller")]
#![expect(clippy::cast_ptr_alignment, reason = "all loads here are unaligned ones")]

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_cmpeq_epi16, _mm256_cmpgt_epi64, _mm256_loadu_si256, _mm256_max_epu16,
    _mm256_movemask_epi8, _mm256_packs_epi16, _mm256_packs_epi32, _mm256_set1_epi16,
    _mm256_set1_epi64x, _mm512_cmplt_epi64_mask, _mm512_loadu_si512, _mm512_set1_epi64,
};

use crate::search::{
    count::{Counter, Work},
    tree::shape::{Marks, Node},
};

/// Counts with AVX2; the bit operations that came with it are asked for too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has = std::is_x86_feature_detected!("avx2")
            && std::is_x86_feature_detected!("popcnt")
            && std::is_x86_feature_detected!("lzcnt")
            && std::is_x86_feature_detected!("bmi1")
            && std::is_x86_feature_detected!("bmi2");
        has.then_some(Self(()))
    }

    /// Does the work, compiled for this counter.
    #[inline(always)]
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: an `Avx2` is made by `detect` alone, so the CPU has the features.
        unsafe { run_avx2(work, self) }
    }
}

impl Counter for Avx2 {
    #[inline(always)]
    fn words_below(self, node: &Node, probe: i64) -> usize {
        // SAFETY: an `Avx2` is made by `detect` alone, so the CPU has the features.
        unsafe { words_below_avx2(node, probe) }
    }

    #[inline(always)]
    fn marks_below(self, marks: &Marks, probe: u16) -> usize {
        // SAFETY: an `Avx2` is made by `detect` alone, so the CPU has the features.
        unsafe { marks_below_avx2(marks, probe) }
    }
}

/// Counts words with AVX-512F and marks with AVX2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(Avx2);

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let avx2 = Avx2::detect()?;
        std::is_x86_feature_detected!("avx512f").then_some(Self(avx2))
    }

    /// Does the work, compiled for this counter.
    #[inline(always)]
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        // SAFETY: an `Avx512` is made by `detect` alone, so the CPU has the features.
        unsafe { run_avx512(work, self) }
    }
}

impl Counter for Avx512 {
    #[inline(always)]
    fn words_below(self, node: &Node, probe: i64) -> usize {
        // SAFETY: an `Avx512` is made by `detect` alone, so the CPU has the features.
        unsafe { words_below_avx512(node, probe) }
    }

    #[inline(always)]
    fn marks_below(self, marks: &Marks, probe: u16) -> usize {
        self.0.marks_below(marks, probe)
    }
}

#[target_feature(enable = "avx2,popcnt,lzcnt,bmi1,bmi2")]
fn run_avx2<W: Work>(work: W, counter: Avx2) -> W::Output {
    work.run(counter)
}

#[target_feature(enable = "avx512f,avx2,popcnt,lzcnt,bmi1,bmi2")]
fn run_avx512<W: Work>(work: W, counter: Avx512) -> W::Output {
    work.run(counter)
}

#[inline]
#[target_feature(enable = "avx2,popcnt,lzcnt,bmi1,bmi2")]
fn words_below_avx2(node: &Node, probe: i64) -> usize {
    let probe = _mm256_set1_epi64x(probe);
    let below = |quarter: usize| {
        let place = node[quarter * 32..].as_ptr().cast::<__m256i>();
        // SAFETY: `quarter` is 0 to 3, and a node has four stretches of 32 bytes.
        let words = unsafe { _mm256_loadu_si256(place) };
        _mm256_cmpgt_epi64(probe, words)
    };
    // Packing mixes the lanes, which a count does not mind; each word leaves two bits.
    let low = _mm256_packs_epi32(below(0), below(1));
    let high = _mm256_packs_epi32(below(2), below(3));
    let mask = _mm256_movemask_epi8(_mm256_packs_epi16(low, high));
    (mask.count_ones() / 2) as usize
}

#[inline]
#[target_feature(enable = "avx2,popcnt,lzcnt,bmi1,bmi2")]
fn marks_below_avx2(marks: &Marks, probe: u16) -> usize {
    let probe = _mm256_set1_epi16(probe.cast_signed());
    let reached = |half: usize| {
        let place = marks[half * 32..].as_ptr().cast::<__m256i>();
        // SAFETY: `half` is 0 or 1, and the marks have two stretches of 32 bytes.
        let marks = unsafe { _mm256_loadu_si256(place) };
        _mm256_cmpeq_epi16(_mm256_max_epu16(marks, probe), marks)
    };
    let reached = _mm256_movemask_epi8(_mm256_packs_epi16(reached(0), reached(1)));
    reached.count_zeros() as usize
}

#[inline]
#[target_feature(enable = "avx512f,avx2,popcnt,lzcnt,bmi1,bmi2")]
fn words_below_avx512(node: &Node, probe: i64) -> usize {
    let probe = _mm512_set1_epi64(probe);
    let below = |half: usize| {
        let place = node[half * 64..].as_ptr().cast::<__m512i>();
        // SAFETY: `half` is 0 or 1, and a node has two stretches of 64 bytes.
        let words = unsafe { _mm512_loadu_si512(place) };
        u32::from(_mm512_cmplt_epi64_mask(words, probe))
    };
    (below(0) | below(1) << 8).count_ones() as usize
}
