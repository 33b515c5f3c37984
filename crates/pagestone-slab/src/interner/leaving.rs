//! The last symbols that were released: they leave the table when its lines have come.

/// How many wait at most.
const WAITING: usize = 16;

/// Hashes and indexes in the order they came.
///
/// A release reads the hash of a string and then the line of the table that it chose, each most
/// likely out of the nearest cache. The second look is made some releases later, so that those in
/// between do not wait for it.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    waiting: [Option<(u32, u32)>; WAITING],
    count: usize,
    /// Which one to take out next.
    at: usize,
}

impl Leaving {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes one in; returns the first that came where too many wait.
    #[inline]
    pub(super) fn replace(&mut self, symbol: (u32, u32)) -> Option<(u32, u32)> {
        let before = self.waiting[self.at % WAITING].replace(symbol);
        self.at = (self.at + 1) % WAITING;
        self.count += usize::from(before.is_none());
        before
    }

    /// Takes all out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = (u32, u32)> + use<> {
        std::mem::take(self).waiting.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_came_goes_first() {
        let mut leaving = Leaving::default();
        let all: Vec<(u32, u32)> = (0..50).map(|at| (at, at + 100)).collect();
        let gone: Vec<(u32, u32)> =
            all.iter().filter_map(|symbol| leaving.replace(*symbol)).collect();
        assert_eq!((gone.len(), leaving.is_empty()), (50 - WAITING, false));
        assert_eq!(gone, all[..50 - WAITING]);
        let mut rest: Vec<(u32, u32)> = leaving.take().collect();
        rest.sort_unstable();
        assert_eq!((rest, leaving.is_empty()), (all[50 - WAITING..].to_vec(), true));
    }
}
