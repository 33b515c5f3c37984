//! Many searches at once, whatever the records are.

use super::{
    bound,
    keys::{self, ABSENT, Keys, Visit},
    tree::Tree,
};
use crate::{
    core::Core,
    error::Result,
    field::Field,
    sidecar::{Loaded, accelerator::Accelerator},
};

/// Searches that go forward together.
pub(super) const BATCH: usize = 1024;

/// Looks up at most [`BATCH`] images. `found` holds something where the field can have the value
/// at all; each is replaced by the first record that has it.
pub(super) fn replace(
    (core, loaded): (&Core, &Loaded),
    field: Field,
    probes: &[u64],
    found: &mut [Option<u64>],
) -> Result<()> {
    let tree = loaded.accelerator(core, field).map(Accelerator::tree);
    keys::with(core, field, Many { tree, count: core.len(), probes, found })
}

/// Replaces each probe that is there by its first record, and by none where it is not.
struct Many<'s> {
    tree: Option<&'s Tree<'s>>,
    count: u64,
    probes: &'s [u64],
    found: &'s mut [Option<u64>],
}

impl Visit for Many<'_> {
    type Output = ();

    fn visit(self, keys: impl Keys) {
        let mut answers = [0; BATCH];
        let answers = &mut answers[..self.probes.len()];
        if let Some(tree) = self.tree {
            tree.find_many(keys, self.probes, answers);
        } else {
            bound::lower_bound_many(self.count, keys, self.probes, answers);
            for (&probe, answer) in self.probes.iter().zip(&mut *answers) {
                *answer = keys.found_at(*answer, (self.count, probe));
            }
        }
        for (found, &answer) in self.found.iter_mut().zip(&*answers) {
            // `found` holds the probe where the field can have the value at all.
            *found = (found.is_some() && answer != ABSENT).then_some(answer);
        }
    }
}
