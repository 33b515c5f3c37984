//! A set of row indexes, a bit for each row.

/// A set of row indexes, kept as bits: for sets of many rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    row_count: u64,
}

impl RowSet {
    /// An empty set of rows below `row_count`; takes a bit for each.
    #[must_use]
    pub fn new(row_count: u64) -> Self {
        let words = usize::try_from(row_count.div_ceil(64)).unwrap_or(usize::MAX);
        Self { words: vec![0; words], row_count }
    }

    /// Adds a row; returns whether it was not there. A row beyond the count is not added.
    #[inline]
    pub fn insert(&mut self, row: u64) -> bool {
        let Some((word, bit)) = self.place(row) else { return false };
        let Some(word) = self.words.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Takes a row out; returns whether it was there.
    pub fn remove(&mut self, row: u64) -> bool {
        let Some((word, bit)) = self.place(row) else { return false };
        let Some(word) = self.words.get_mut(word) else { return false };
        let was_there = *word & bit != 0;
        *word &= !bit;
        was_there
    }

    /// Returns whether a row is there.
    #[must_use]
    #[inline]
    pub fn contains(&self, row: u64) -> bool {
        self.place(row)
            .and_then(|(word, bit)| Some(self.words.get(word)? & bit != 0))
            .unwrap_or(false)
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Returns whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Adds the rows of another set, of those below the count of this one.
    pub fn union_with(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
        self.cut();
    }

    /// Leaves the rows that another set has too.
    pub fn intersect_with(&mut self, other: &Self) {
        for (at, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(at).copied().unwrap_or(0);
        }
    }

    /// Iterates the rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        (0..).zip(&self.words).flat_map(|(number, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| u64::from(left.trailing_zeros()))?;
                left &= left - 1;
                Some(64 * number + bit)
            })
        })
    }

    /// No bit stands for a row beyond the count.
    fn cut(&mut self) {
        let used = self.row_count % 64;
        if let Some(last) = self.words.last_mut()
            && 0 < used
        {
            *last &= (1 << used) - 1;
        }
    }

    #[inline]
    fn place(&self, row: u64) -> Option<(usize, u64)> {
        let word = usize::try_from(row / 64).ok()?;
        (row < self.row_count).then_some((word, 1 << (row % 64)))
    }
}
