//! A model of the commit protocol of `docs/durability.md` §3, checked by crashing it everywhere.
//!
//! The model is a region file small enough that ids, ranges, tags and numbers collide all the
//! time: 16 units of 12 words, 9 region numbers, 7 tag values with a sweep every third commit, two
//! generations per slab slot. Over it runs the whole protocol: two-slot superblock, directory,
//! slot tables, heap blocks, slabs, a log, roots, commit, discard, close and recovery. Memory
//! keeps what a kill keeps and loses what a power loss may lose, word by word; readers run between
//! any two stores. It is not the code of the store, and shares nothing with it.
//!
//! Two things stand here that §3 does not say, because the model failed without them. After a
//! failed sync an open stores the clean mark, every control word and the superblock it chose
//! again, whatever the boot id is; and a reading process believes `published` only where boot and
//! mount id are those of now, else the superblock. A kill between a failed sync and its mark
//! stays a gap ([`Mutant::KilledBeforePoison`]).
//!
//! A rule can be broken by name ([`Mutant`]); a checker that does not catch it sees nothing.
//!
//! ```
//! use pagestone_testkit::protocol::{Mutant, Variant, run_random};
//!
//! let outcome = run_random(1, 10, &Variant::as_written());
//! assert_eq!(outcome.violations, 0);
//! let outcome = run_random(1, 10, &Mutant::OverwriteCommitted.into());
//! assert!(outcome.first.is_some());
//! ```

mod engine; // the store, rule by rule
mod exhaustive; // every short sequence, every crash point
mod history; // random operations and crashes under oracles
mod machine; // the moments between stores
mod memory; // page cache and device
mod place; // addresses and words
mod random; // choices by seed
mod reader; // readers as state machines
mod rules; // the rules and their broken variants
mod state; // contents

pub use crate::protocol::{
    exhaustive::run_exhaustive,
    rules::{Mutant, Variant},
};

use crate::protocol::{history::World, machine::Stop};

/// What a run found.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Histories or sequences that were run.
    pub histories: u64,
    /// Moments at which the machine was stopped.
    pub crashes: u64,
    /// Images that were recovered and compared.
    pub images: u64,
    /// Histories that broke a promise.
    pub violations: u64,
    /// The first of them.
    pub first: Option<Violation>,
}

/// A broken promise and how to see it again.
#[derive(Debug, Clone)]
pub struct Violation {
    /// The seed that [`run_random`] needs with one history; the number of the sequence for
    /// [`run_exhaustive`].
    pub seed: u64,
    /// The promise.
    pub what: String,
    /// What was done until then.
    pub trace: Vec<String>,
}

impl Outcome {
    fn add(&mut self, seed: u64, world: &World, stop: Option<Stop>) {
        self.crashes += world.crashes;
        self.images += world.images;
        let what = match stop {
            None => return,
            Some(Stop::Broken(what)) => what,
            Some(stop) => format!("a stop where none was due: {stop:?}"),
        };
        self.violations += 1;
        if self.first.is_none() {
            let trace = world.trace.iter().map(|note| format!("{note:?}")).collect();
            self.first = Some(Violation { seed, what, trace });
        }
    }
}

/// Runs histories of four crashes each, with the seeds from `seed` on.
///
/// One in eight repeats torn commits of one generation instead.
#[must_use]
pub fn run_random(seed: u64, histories: u64, variant: &Variant) -> Outcome {
    let mut outcome = Outcome { histories, ..Outcome::default() };
    for seed in seed..seed.saturating_add(histories) {
        match World::new(seed, *variant) {
            Ok(mut world) => {
                let ended = if seed % 8 == 7 { world.run_torn() } else { world.run() };
                outcome.add(seed, &world, ended.err());
            }
            Err(_) => outcome.violations += 1,
        }
    }
    outcome
}
