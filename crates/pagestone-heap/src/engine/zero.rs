//! Freed space overwritten by zeros, where the file's options ask for that.

use crate::{
    class::GRAIN, engine::Engine, ranges::Range, region::lifecycle::Owned, space::Run, units::Kind,
};

impl Engine<'_> {
    /// Overwrites a run that nobody uses or sees any more.
    pub(crate) fn zero_run(&self, run: Run) {
        if self.shared.options.zero_on_free {
            self.zero_bytes(run);
        }
    }

    fn zero_bytes(&self, run: Run) {
        let len = usize::try_from(u64::from(run.grains) * GRAIN).unwrap_or(0);
        let mut owned = Owned::taken(run.at(), len as u64);
        owned.fill_with(&self.shared.raw, (0, len), |bytes| bytes.fill(0));
    }

    /// Overwrites a range that nobody uses or sees any more, where its blocks may stay.
    pub(crate) fn zero_range(&self, range: Range) {
        if !self.shared.options.zero_on_free {
            return;
        }
        if let Err(error) = self.shared.raw.zero(range.start, range.len) {
            tracing::warn!(%error, start = range.start, len = range.len, "space not zeroed");
        }
    }

    /// Overwrites all free space that is not zero: what was freed when nobody could overwrite it,
    /// as before a kill or by a discard.
    pub(crate) fn zero_free_space(&mut self) {
        if !self.shared.options.zero_on_free {
            return;
        }
        let regions = self.state.regions.iter().flatten();
        let heaps = regions.filter(|region| region.kind == Kind::Heap);
        let ranges: Vec<Range> = heaps.map(|region| region.range).collect();
        for range in ranges {
            for zone in (range.start..range.end()).step_by(1 << 20) {
                for run in self.state.space.runs(zone, range.end()) {
                    if !self.is_zero(run) {
                        self.zero_bytes(run);
                    }
                }
            }
        }
        for range in self.state.ranges.all() {
            self.zero_range(range);
            self.punch(range);
        }
    }

    fn is_zero(&self, run: Run) -> bool {
        let mut bytes = vec![0; usize::try_from(u64::from(run.grains) * GRAIN).unwrap_or(0)];
        self.shared.raw.read_at(run.at(), &mut bytes);
        bytes.iter().all(|byte| *byte == 0)
    }
}
