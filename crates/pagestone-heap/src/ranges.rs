//! Ranges of the file that no region has: whole units, joined, best fit.

use std::collections::{BTreeMap, BTreeSet};

/// A range of the file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl Range {
    pub(crate) const EMPTY: Self = Self { start: 0, len: 0 };

    pub(crate) fn end(self) -> u64 {
        self.start + self.len
    }
}

/// Free ranges.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    by_start: BTreeMap<u64, u64>,
    by_len: BTreeSet<(u64, u64)>,
}

impl Ranges {
    /// Takes the shortest range of at least `len`, lowest first, and gives the rest back.
    pub(crate) fn take(&mut self, len: u64) -> Option<Range> {
        let (_, start) = *self.by_len.range((len, 0)..).next()?;
        self.take_from(start, len)
    }

    /// Takes `len` from the front of the longest range, if that has so much.
    pub(crate) fn take_of_longest(&mut self, len: u64) -> Option<Range> {
        let (_, start) = *self.by_len.iter().next_back()?;
        self.take_from(start, len)
    }

    /// Takes `len` from the front of the range that starts at `start`, if that has so much.
    pub(crate) fn take_from(&mut self, start: u64, len: u64) -> Option<Range> {
        let found = *self.by_start.get(&start)?;
        if found < len {
            return None;
        }
        self.remove(start, found);
        if len < found {
            self.insert(start + len, found - len);
        }
        Some(Range { start, len })
    }

    /// The lowest range that has at least and at most so many bytes below `below`, cut off there.
    pub(crate) fn lowest(&self, lens: (u64, u64), below: u64) -> Option<Range> {
        self.usable(lens, below).next()
    }

    /// All ranges that have at least and at most so many bytes below `below`, cut off there, in
    /// order.
    pub(crate) fn usable(
        &self,
        (least, most): (u64, u64),
        below: u64,
    ) -> impl Iterator<Item = Range> + '_ {
        let starts = self.by_start.range(..below);
        let cut = starts
            .map(move |(start, len)| Range { start: *start, len: (*len).min(below - *start) });
        cut.filter(move |range| least <= range.len && range.len <= most)
    }

    /// Takes a part of a free range.
    pub(crate) fn take_part(&mut self, part: Range) {
        let before = self.by_start.range(..=part.start).next_back();
        let Some((start, len)) = before.map(|(start, len)| (*start, *len)) else { return };
        let end = start + len;
        assert!(part.end() <= end, "a range that is not free");
        self.remove(start, len);
        if start < part.start {
            self.insert(start, part.start - start);
        }
        if part.end() < end {
            self.insert(part.end(), end - part.end());
        }
    }

    /// Adds a range, which joins its neighbours.
    pub(crate) fn give(&mut self, range: Range) {
        let Range { mut start, mut len } = range;
        if let Some((before, its)) = self.by_start.range(..start).next_back()
            && before + its == start
        {
            let (before, its) = (*before, *its);
            self.remove(before, its);
            start = before;
            len += its;
        }
        if let Some(its) = self.by_start.get(&(start + len)).copied() {
            self.remove(start + len, its);
            len += its;
        }
        self.insert(start, len);
    }

    /// Drops all that lies at `end` or beyond.
    pub(crate) fn cut(&mut self, end: u64) {
        let beyond = self.by_start.range(end..).map(|(start, len)| (*start, *len));
        for (start, len) in beyond.collect::<Vec<_>>() {
            self.remove(start, len);
        }
        if let Some((start, len)) = self.by_start.iter().next_back()
            && end < start + len
        {
            let (start, len) = (*start, *len);
            self.remove(start, len);
            self.insert(start, end - start);
        }
    }

    /// The start of the free range that ends at `end`; `end` where there is none.
    pub(crate) fn tail(&self, end: u64) -> u64 {
        match self.by_start.iter().next_back() {
            Some((start, len)) if start + len == end => *start,
            _ => end,
        }
    }

    /// Takes all ranges, in their order.
    pub(crate) fn take_all(&mut self) -> Vec<Range> {
        self.by_len.clear();
        let all = std::mem::take(&mut self.by_start);
        all.into_iter().map(|(start, len)| Range { start, len }).collect()
    }

    /// All ranges, in order.
    pub(crate) fn all(&self) -> Vec<Range> {
        self.by_start.iter().map(|(start, len)| Range { start: *start, len: *len }).collect()
    }

    /// Bytes in all ranges.
    pub(crate) fn total(&self) -> u64 {
        self.by_start.values().sum()
    }

    fn insert(&mut self, start: u64, len: u64) {
        self.by_start.insert(start, len);
        self.by_len.insert((len, start));
    }

    fn remove(&mut self, start: u64, len: u64) {
        self.by_start.remove(&start);
        self.by_len.remove(&(len, start));
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, Ranges};

    #[test]
    fn neighbours_join_and_the_best_fit_is_taken() {
        let mut ranges = Ranges::default();
        for (start, len) in [(10, 5), (30, 2), (15, 5), (5, 5), (40, 10)] {
            ranges.give(Range { start, len });
        }
        assert_eq!(ranges.take(2), Some(Range { start: 30, len: 2 }));
        assert_eq!(ranges.take(10), Some(Range { start: 40, len: 10 }));
        assert_eq!(ranges.take(11), Some(Range { start: 5, len: 11 }));
        assert_eq!((ranges.total(), ranges.tail(20)), (4, 16));
        assert_eq!(ranges.lowest((4, 9), 100), Some(Range { start: 16, len: 4 }));
        assert_eq!(ranges.lowest((4, 9), 19), None);
        ranges.take_part(Range { start: 17, len: 1 });
        assert_eq!(
            ranges.usable((1, 9), 100).map(|range| range.start).collect::<Vec<_>>(),
            [16, 18]
        );
        ranges.give(Range { start: 17, len: 1 });
        assert_eq!(ranges.take_of_longest(5), None);
        assert_eq!(ranges.take_of_longest(1), Some(Range { start: 16, len: 1 }));
        assert_eq!(ranges.take_from(18, 1), None);
        assert_eq!(ranges.take_from(17, 1), Some(Range { start: 17, len: 1 }));
        for start in [17, 16] {
            ranges.give(Range { start, len: 1 });
        }
        ranges.cut(18);
        assert_eq!((ranges.total(), ranges.tail(18), ranges.tail(20)), (2, 16, 20));
        assert_eq!(ranges.take(3), None);
    }
}
