//! The sampled static tree over sorted records: a few bytes per group of them, by which a search
//! ends in one cache line of the records.
//!
//! The bytes may be stale or damaged: every answer is checked in the records, and found there
//! without the tree if the check fails.
#![expect(unsafe_code, reason = "loads at places clamped just before; checking again costs 10 %")]
#![expect(clippy::inline_always, reason = "has to compile with the CPU features of the caller")]

pub(crate) mod shape; // what lies where; see docs/format.md
mod build; // the bytes from the records
pub(crate) mod counts; // computed places instead, for keys that lie evenly
mod batch; // many searches at once

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::search::{
    Keys, bound,
    count::{Counter, Simd, Work},
    keys::word_index,
};
use counts::Counts;
use shape::{FANOUT, GROUP, Level, Marks, Node, STRETCH, TreeLayout, image, mark, word};

/// A sampled tree over sorted records.
///
/// Every answer is right whatever the bytes of the tree, as long as the records are sorted.
/// [`stale_count`](Self::stale_count) tells how often the tree did not help.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    layout: TreeLayout,
    parts: Parts<'a>,
    /// Instead of nodes and marks, of which there are none then.
    counts: Option<Counts<'a>>,
    simd: Simd,
    stale_count: AtomicU64,
}

/// Where a search looks, apart from the count of stale answers: loops hold a copy in registers.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    /// Invariant T1: all nodes of the layout.
    nodes: &'a [Node],
    /// Invariant T2: the lowest level, one word per group and padding.
    words: &'a [[u8; 8]],
    /// One per group.
    marks: &'a [Marks],
    /// Invariant T3: if there are records, it is a place in `words` and in `marks`.
    last_group: u64,
    record_count: u64,
}

impl<'a> Tree<'a> {
    /// The tree, or the counts, in `bytes` over `n` records, written by [`build`](Self::build) or
    /// not; `None` if the bytes are fewer than those over `n` records take. O(log n).
    pub(crate) fn open(bytes: &'a [u8], n: u64, (form, simd): (Form, Simd)) -> Option<Self> {
        let layout = TreeLayout::new(n);
        if form == Form::Counts && 0 < n {
            let counts = Some(Counts::open(bytes, n)?);
            let none = Parts { nodes: &[], words: &[], marks: &[], last_group: 0, record_count: n };
            return Some(Self {
                layout,
                parts: none,
                counts,
                simd,
                stale_count: AtomicU64::new(0),
            });
        }
        let bytes = bytes.get(..usize::try_from(layout.byte_len()).ok()?)?;
        let (nodes, marks) = bytes.split_at(word_index(layout.nodes_byte_len()));
        let (nodes, _) = nodes.as_chunks();
        let (marks, _) = marks.as_chunks();
        let lowest = layout.levels().last().map_or(0, |level| word_index(level.first_node));
        let (words, _) = nodes[lowest..].as_flattened().as_chunks();
        let last_group = layout.group_count().saturating_sub(1);
        let parts = Parts { nodes, words, marks, last_group, record_count: n };
        Some(Self { layout, parts, counts: None, simd, stale_count: AtomicU64::new(0) })
    }

    /// How many answers the tree led astray, so that they were found without it: 0 for the tree of
    /// these records. A tree that goes on missing had better be built again.
    pub(crate) fn stale_count(&self) -> u64 {
        self.stale_count.load(Ordering::Relaxed)
    }

    /// The first record whose key is not below `probe`, or the number of records.
    pub(crate) fn lower_bound(&self, keys: impl Keys, probe: u64) -> u64 {
        self.simd.run(One { tree: self, keys, key: probe })
    }

    /// The first record whose key is above `probe`, or the number of records.
    pub(crate) fn upper_bound(&self, keys: impl Keys, probe: u64) -> u64 {
        match probe.checked_add(1) {
            Some(above) => self.lower_bound(keys, above),
            None => self.layout.record_count(),
        }
    }

    /// The records whose key is `prefix`: those in which [`lower_bound_by`] has to look for a
    /// wide key of which `prefix` is the image of the first eight bytes.
    ///
    /// [`lower_bound_by`]: crate::search::lower_bound_by
    pub(crate) fn narrow(&self, keys: impl Keys, prefix: u64) -> Range<u64> {
        let start = self.lower_bound(keys, prefix);
        let is_found = start < self.layout.record_count() && keys.key_at(start) <= prefix;
        start..if is_found { self.upper_bound(keys, prefix) } else { start }
    }

    #[inline(always)]
    fn lower_bound_with(&self, keys: impl Keys, probe: Probe<impl Counter>) -> u64 {
        let Some((top, lower)) = self.layout.levels().split_first() else {
            return 0;
        };
        let parts = self.parts;
        let start = if let Some(counts) = self.counts {
            counts.start(counts.cell(probe.key))
        } else {
            let mut place = parts.top(top, probe);
            for level in lower {
                place = parts.descend(level, place, probe);
            }
            parts.stretch(place, probe)
        };
        // An answer at the edge is checked in the record before.
        keys.prefetch(start.saturating_sub(1), 1);
        let count = parts.count(keys, start, probe.key);
        if proves(count) { start + count } else { self.settle(keys, probe.key, start + count) }
    }

    /// Checks an answer at the edge of a stretch in the records, and mends it.
    #[inline(always)]
    fn settle(&self, keys: impl Keys, probe: u64, at: u64) -> u64 {
        if self.parts.holds(keys, probe, at) { at } else { self.mend(keys, probe, at) }
    }

    /// The answer for a probe whose stretch ended at `at` without reaching it: several stretches
    /// of a group can share the probe's mark, and a cell can hold many records; else the tree is
    /// stale.
    #[cold]
    #[inline(never)]
    fn mend(&self, keys: impl Keys, probe: u64, at: u64) -> u64 {
        let end = match self.counts {
            Some(counts) => counts.end(counts.cell(probe)).max(at),
            None => self.end_of_marks(probe, at),
        };
        let in_group = bound::lower_bound_by(at..end, |index| keys.key_at(index).cmp(&probe));
        if self.parts.holds(keys, probe, in_group) {
            return in_group;
        }
        self.stale_count.fetch_add(1, Ordering::Relaxed);
        bound::lower_bound(self.parts.record_count, keys, probe)
    }

    /// Where the stretches of the group of the record before `at` end that can share the mark of
    /// `probe`.
    fn end_of_marks(&self, probe: u64, at: u64) -> u64 {
        let group = at.saturating_sub(1) / GROUP;
        let place = word_index(group);
        let base = place.checked_sub(1).map_or(0, |before| last_image(&self.parts.words[before]));
        let probe_mark = mark(probe, base, last_image(&self.parts.words[place]));
        let (marks, _) = self.parts.marks[place].as_chunks::<2>();
        let through =
            marks.iter().take_while(|mark| u16::from_le_bytes(**mark) <= probe_mark).count();
        let end = (through as u64 + 1).min(shape::MARKS) * STRETCH + group * GROUP;
        end.min(self.parts.record_count)
    }
}

impl Parts<'_> {
    /// The word of the top level under which `probe` belongs: a node of the next level, or a
    /// group, or one past the last of them.
    #[inline(always)]
    fn top(self, level: &Level, probe: Probe<impl Counter>) -> u64 {
        let (node, second) = (&self.nodes[0], self.nodes.get(1));
        let mut below = probe.words_below(node);
        if let Some(second) = second
            && FANOUT < level.word_count
        {
            below += probe.words_below(second);
        }
        below
    }

    /// The word of a lower level under which `probe` belongs, by the node that the level above
    /// led to, wherever that is: a node of the next level, or a group, or anything if the tree is
    /// damaged.
    #[inline(always)]
    fn descend(self, level: &Level, node: u64, probe: Probe<impl Counter>) -> u64 {
        let node = node.min(level.node_count() - 1);
        let place = word_index(level.first_node + node);
        // SAFETY: (1) `node < level.node_count()` by the line before last, and a level has a node;
        // (2) the nodes of a level lie within those of the layout (L1), which are all here (T1).
        let words = unsafe { self.nodes.get_unchecked(place) };
        node * FANOUT + probe.words_below(words)
    }

    /// The first record of the stretch of `group`, or of the last group, to which `probe` belongs.
    #[inline(always)]
    fn stretch(self, group: u64, probe: Probe<impl Counter>) -> u64 {
        let group = group.min(self.last_group);
        let place = word_index(group);
        // SAFETY: `place <= self.last_group` by the clamp, which is a place in `marks` (T3).
        let marks = unsafe { self.marks.get_unchecked(place) };
        // SAFETY: `place <= self.last_group` by the clamp, which is a place in `words` (T3).
        let top = unsafe { self.words.get_unchecked(place) };
        let base = match place.checked_sub(1) {
            // SAFETY: `before < place`, which is a place in `words` as above.
            Some(before) => last_image(unsafe { self.words.get_unchecked(before) }),
            None => 0,
        };
        let probe_mark = mark(probe.key, base, last_image(top));
        let below = probe.counter.marks_below(marks, probe_mark) as u64;
        (group * GROUP + below * STRETCH).min(self.record_count)
    }

    /// How many records of the stretch from `start` are below `probe`.
    #[inline(always)]
    fn count(self, keys: impl Keys, start: u64, probe: u64) -> u64 {
        let left = self.record_count - start;
        // A constant length lets the count be unrolled.
        if STRETCH <= left {
            keys.count_below(start, STRETCH, probe)
        } else {
            keys.count_below(start, left, probe)
        }
    }

    #[inline(always)]
    fn holds(self, keys: impl Keys, probe: u64, at: u64) -> bool {
        let is_above_lower = at < 1 || keys.key_at(at - 1) < probe;
        let is_reached = self.record_count <= at || probe <= keys.key_at(at);
        is_above_lower && is_reached
    }
}

/// What the bytes of an accelerator are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Nodes and marks, for any keys.
    Nodes,
    /// Counts, for keys that lie evenly.
    Counts,
}

impl Form {
    /// The form of this code in a sidecar.
    pub(crate) fn of_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Nodes),
            1 => Some(Self::Counts),
            _ => None,
        }
    }

    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Nodes => 0,
            Self::Counts => 1,
        }
    }

    /// Bytes over so many records.
    pub(crate) fn byte_len(self, record_count: u64) -> u64 {
        match self {
            Self::Nodes => TreeLayout::new(record_count).byte_len(),
            Self::Counts => counts::byte_len(record_count),
        }
    }
}

/// True if the count of a stretch is proof enough: records on both sides of the answer took part.
#[inline(always)]
fn proves(count: u64) -> bool {
    0 < count && count < STRETCH
}

/// The image of the last key under a word.
#[inline(always)]
fn last_image(word: &[u8; 8]) -> u64 {
    image(i64::from_le_bytes(*word))
}

/// A key looked for, and what counts the keys below it.
#[derive(Clone, Copy)]
struct Probe<C> {
    key: u64,
    counter: C,
}

impl<C: Counter> Probe<C> {
    #[inline(always)]
    fn words_below(self, node: &Node) -> u64 {
        self.counter.words_below(node, word(self.key)) as u64
    }
}

struct One<'t, K> {
    tree: &'t Tree<'t>,
    keys: K,
    key: u64,
}

impl<K: Keys> Work for One<'_, K> {
    type Output = u64;

    #[inline(always)]
    fn run(self, counter: impl Counter) -> u64 {
        self.tree.lower_bound_with(self.keys, Probe { key: self.key, counter })
    }
}
