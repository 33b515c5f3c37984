//! How many words of a tree node, or marks of a group, are below a probe: SIMD and portable.
#![expect(clippy::inline_always, reason = "has to compile with the CPU features of the caller")]

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod x86; // AVX2 and AVX-512

use crate::search::tree::shape::{Marks, Node};

/// Counts what is below a probe; a value of the type proves that the CPU can.
pub(crate) trait Counter: Copy {
    /// Words of `node` below `probe`, both in the signed order of the tree; nodes are full.
    fn words_below(self, node: &Node, probe: i64) -> usize;

    /// Marks of a group below `probe`.
    fn marks_below(self, marks: &Marks, probe: u16) -> usize;
}

/// Something that counts much; `run` is compiled once per counter, with its CPU features.
pub(crate) trait Work {
    type Output;

    /// Must be `#[inline(always)]` down to the counter.
    fn run(self, counter: impl Counter) -> Self::Output;
}

/// The counter of this CPU, found once.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Simd {
    Portable,
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    Avx2(x86::Avx2),
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    Avx512(x86::Avx512),
}

impl Simd {
    /// The best that this CPU can do.
    pub(crate) fn detect() -> Self {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            if let Some(counter) = x86::Avx512::detect() {
                return Self::Avx512(counter);
            }
            if let Some(counter) = x86::Avx2::detect() {
                return Self::Avx2(counter);
            }
        }
        Self::Portable
    }

    /// Does the work with this counter.
    #[inline(always)]
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            Self::Portable => work.run(Portable),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx2(counter) => counter.run(work),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx512(counter) => counter.run(work),
        }
    }
}

/// Counts on any CPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Counter for Portable {
    #[inline(always)]
    fn words_below(self, node: &Node, probe: i64) -> usize {
        let (words, _) = node.as_chunks::<8>();
        let below = |at: usize| i64::from_le_bytes(words[at]) < probe;
        let mut count = usize::from(below(7)) * 8;
        count += usize::from(below(count + 3)) * 4;
        count += usize::from(below(count + 1)) * 2;
        count += usize::from(below(count));
        count + usize::from(below(count))
    }

    #[inline(always)]
    fn marks_below(self, marks: &Marks, probe: u16) -> usize {
        let (marks, _) = marks.as_chunks::<2>();
        // A `u16` sum lets the compiler count eight marks per SSE2 or NEON operation.
        let below: u16 =
            marks.iter().map(|mark| u16::from(u16::from_le_bytes(*mark) < probe)).sum();
        usize::from(below)
    }
}
