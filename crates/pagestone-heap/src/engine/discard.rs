//! Discard: the open epoch is undone as a whole.

use crate::{
    engine::{Engine, rebuild::Found},
    error::{Error, ErrorKind, Result},
    layout::owner,
    options::Durability,
    retired::Waste,
    word::Word,
};

impl Engine<'_> {
    /// Undoes everything since the last commit.
    pub(crate) fn discard(&mut self) -> Result<()> {
        self.shared.check_writable()?;
        if self.shared.options.durability == Durability::Scratch {
            let what = "scratch content cannot be undone: its space is used again at once";
            return Err(Error::refused(ErrorKind::Unsupported, self.shared.path(), what));
        }
        if !self.state.changed {
            return Ok(());
        }
        let epoch = self.state.generation + 1;
        // From here on it has happened: an open that finds the mark goes on with it.
        self.set_word(owner::DISCARDING, epoch);
        let adopted = self.adopted_ranges();
        self.scrub();
        let held = self.shared.pins.stamp();
        if let Err(error) = self.rebuild(Found::Discarded { adopted }) {
            // What is known of the file is incomplete; the mark lets the next open go on.
            return Err(self.poison("discard", error));
        }
        self.set_word(owner::DISCARDING, 0);
        tracing::info!(epoch, held, "discarded");
        self.state.changed = false;
        self.state.written = 0;
        self.reclaim();
        Ok(())
    }

    /// Ranges that only the open epoch has.
    fn adopted_ranges(&self) -> Vec<Waste> {
        let mut ranges = Vec::new();
        for (number, region) in (0_u32..).zip(&self.state.regions) {
            let Some(region) = region else { continue };
            let Ok(at) = self.number_pair(number) else { continue };
            let committed = crate::region::Region::decode(self.committed(at));
            if committed != Some((region.kind, region.range)) && number != 0 {
                ranges.push(Waste::Range(region.range));
            }
        }
        ranges
    }

    /// Empties every word of the open epoch, the directory's last.
    pub(crate) fn scrub(&mut self) {
        let open = self.shared.tag();
        let mut clear = |engine: &mut Self, at: u64| {
            for at in [at, at + 8] {
                let word = Word(engine.shared.raw.load(at, std::sync::atomic::Ordering::Relaxed));
                if !word.is_empty() && word.age(open) == 0 {
                    engine.set_word(at, Word::EMPTY.0);
                }
            }
        };
        self.for_each_slot(&mut clear);
        self.for_each_number(&mut clear);
    }
}
