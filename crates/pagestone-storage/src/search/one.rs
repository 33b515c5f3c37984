//! One search, whatever the records are.

use std::{cmp::Ordering, ops::Range};

use super::{
    Bias, bound,
    distance::distance,
    keys::{self, ABSENT, Keys, Visit},
    partition,
    tree::Tree,
};
use crate::{
    core::Core,
    error::{Error, Result},
    field::{Cut, Field, Target, Value},
    sidecar::{Loaded, accelerator::Accelerator},
};

/// What is compared with the records' fields.
#[derive(Debug, Clone, Copy)]
enum Probe<'s> {
    Image(Target),
    Bytes(&'s [u8]),
}

/// What a search by image has: only the nearest of two records is chosen by value.
static NO_VALUE: Value<'static> = Value::Unsigned(0);

/// One search: records, the field they are sorted by, and the place looked for.
///
/// Knows no record type, so that it is compiled once.
#[derive(Debug)]
pub(super) struct Search<'s> {
    core: &'s Core,
    count: u64,
    field: Field,
    value: &'s Value<'s>,
    probe: Probe<'s>,
    tree: Option<&'s Tree<'s>>,
}

impl<'s> Search<'s> {
    /// The search of all records of `core` for a value of a field.
    pub(super) fn new(
        (core, loaded): (&'s Core, &'s Loaded),
        field: Field,
        value: &'s Value<'s>,
    ) -> Result<Self> {
        field.check(core.record_size())?;
        let probe = match value {
            Value::Bytes(bytes) if !field.has_image() => Probe::Bytes(bytes),
            value => Probe::Image(field.target(value)?),
        };
        let tree = loaded.accelerator(core, field).map(Accelerator::tree);
        Ok(Search { core, count: core.len(), field, value, probe, tree })
    }

    /// The search for the value whose image is `key`, high byte first.
    pub(super) fn of_image(
        (core, loaded): (&'s Core, &'s Loaded),
        field: Field,
        key: &'s [u8],
    ) -> Result<Self> {
        field.check(core.record_size())?;
        if key.len() != field.size() as usize {
            let what = format!("an image of field {field} has {} bytes", field.size());
            return Err(Error::argument(what));
        }
        let probe = if field.has_image() {
            let image = key.iter().fold(0, |image, &byte| image << 8 | u128::from(byte));
            Probe::Image(Target::exact(image))
        } else {
            Probe::Bytes(key)
        };
        let tree = loaded.accelerator(core, field).map(Accelerator::tree);
        Ok(Search { core, count: core.len(), field, value: &NO_VALUE, probe, tree })
    }

    /// The record that answers, by the bias where none has the value.
    pub(super) fn answer(&self, bias: Bias) -> Result<Option<u64>> {
        let start = self.lower_bound()?;
        if self.is_found(start)? {
            return Ok(Some(start));
        }
        let after = Some(start).filter(|&index| index < self.count);
        let before = match (bias, start.checked_sub(1)) {
            (Bias::Exact | Bias::After, _) | (_, None) => None,
            (_, Some(last)) => Some(self.first_of_equals(last)?),
        };
        match (bias, before, after) {
            (Bias::Exact, ..) => Ok(None),
            (Bias::Before, before, _) => Ok(before),
            (Bias::After, _, after) => Ok(after),
            (Bias::Nearest, Some(before), Some(after)) => self.nearer(before, after).map(Some),
            (Bias::Nearest, before, after) => Ok(before.or(after)),
        }
    }

    pub(super) fn lower_bound(&self) -> Result<u64> {
        match self.probe {
            Probe::Image(target) => self.partition_image(target.lower),
            Probe::Bytes(probe) => self.partition_bytes(probe, |field| field < probe),
        }
    }

    pub(super) fn upper_bound(&self) -> Result<u64> {
        match self.probe {
            Probe::Image(target) => self.partition_image(target.upper),
            Probe::Bytes(probe) => self.partition_bytes(probe, |field| field <= probe),
        }
    }

    pub(super) fn equal_range(&self) -> Result<Range<u64>> {
        let start = self.lower_bound()?;
        // Most values have one record or none: a look at the next spares a second search.
        let end = match self.probe {
            Probe::Image(target) if self.is_at_or_above(start, target.upper)? => start,
            Probe::Image(target) if self.is_at_or_above(start + 1, target.upper)? => start + 1,
            _ => self.upper_bound()?,
        };
        Ok(start..end.max(start))
    }

    /// Whether the record at `start`, the lower bound, has the value.
    fn is_found(&self, start: u64) -> Result<bool> {
        match self.probe {
            Probe::Image(target) => Ok(!self.is_at_or_above(start, target.upper)?),
            Probe::Bytes(_) => Ok(start < self.upper_bound()?),
        }
    }

    /// Whether record `index` does not lie below the cut; past the last record none does.
    fn is_at_or_above(&self, index: u64, cut: Cut) -> Result<bool> {
        if self.count <= index {
            return Ok(true);
        }
        let Some(cut) = cut else { return Ok(false) };
        Ok(cut <= self.image(index)?)
    }

    /// The first record whose field equals that of the record at `index`.
    fn first_of_equals(&self, index: u64) -> Result<u64> {
        if self.field.has_image() {
            return self.partition_image(Some(self.image(index)?));
        }
        let mut bytes = vec![0; self.field.size() as usize];
        let skip = self.field.offset() as usize;
        self.core.read(index, skip, &mut bytes)?;
        self.partition_bytes(&bytes, |field| field < bytes.as_slice())
    }

    /// The number of records whose image lies below the cut; the images ascend.
    fn partition_image(&self, cut: Cut) -> Result<u64> {
        let count = self.count;
        let Some(cut) = cut else { return Ok(count) };
        let beyond_lead = 8 * self.field.size().saturating_sub(8);
        let Ok(probe) = u64::try_from(cut >> beyond_lead) else { return Ok(count) };
        if beyond_lead == 0 {
            let visit = LowerBound { tree: self.tree, count, probe };
            return keys::with(self.core, self.field, visit);
        }
        let range = self.narrow(probe)?;
        partition(range, |index| Ok(self.image(index)? < cut))
    }

    fn partition_bytes(&self, probe: &[u8], below: impl Fn(&[u8]) -> bool) -> Result<u64> {
        let mut lead = [0; 8];
        let known = probe.len().min(8);
        lead[..known].copy_from_slice(&probe[..known]);
        let lead = lead.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        let mut copy = Vec::new();
        partition(self.narrow(lead)?, |index| {
            if let Some(record) = self.core.record(index) {
                return Ok(below(self.field.bytes(record)));
            }
            // One allocation, and only for byte fields of more than 16 bytes that are copied.
            copy.resize(self.field.size() as usize, 0);
            self.core.read(index, self.field.offset() as usize, &mut copy)?;
            Ok(below(&copy))
        })
    }

    /// The records among which a wide key lies whose leading 8 bytes have this image.
    fn narrow(&self, lead: u64) -> Result<Range<u64>> {
        let count = self.count;
        match self.tree {
            Some(tree) => keys::with(self.core, self.field, Narrow { tree, lead }),
            None => Ok(0..count),
        }
    }

    #[inline]
    fn image(&self, index: u64) -> Result<u128> {
        if let Some(record) = self.core.record(index) {
            return Ok(self.field.image(self.field.bytes(record)));
        }
        let mut copy = [0; 16];
        let copy = &mut copy[..self.field.size() as usize];
        self.core.read(index, self.field.offset() as usize, copy)?;
        Ok(self.field.image(copy))
    }

    /// Which of two neighbours of a value that lies between them is nearer.
    fn nearer(&self, before: u64, after: u64) -> Result<u64> {
        let low = self.core.field(before, self.field)?;
        let high = self.core.field(after, self.field)?;
        let below = distance(&low, self.value);
        let above = distance(self.value, &high);
        Ok(if below.compare(&above) == Ordering::Greater { after } else { before })
    }
}

/// The first record whose field, of at most 8 bytes, has this image.
pub(super) fn find(
    (core, loaded): (&Core, &Loaded),
    field: Field,
    probe: u64,
) -> Result<Option<u64>> {
    let tree = loaded.accelerator(core, field).map(Accelerator::tree);
    let search = LowerBound { tree, count: core.len(), probe };
    let found = keys::with(core, field, Find(search))?;
    Ok(Some(found).filter(|&found| found != ABSENT))
}

/// The first record whose key is the probe, or [`ABSENT`].
struct Find<'s>(LowerBound<'s>);

impl Visit for Find<'_> {
    type Output = u64;

    fn visit(self, keys: impl Keys) -> u64 {
        let (count, probe) = (self.0.count, self.0.probe);
        let at = self.0.visit(keys);
        keys.found_at(at, (count, probe))
    }
}

/// The first record whose key is not below the probe.
struct LowerBound<'s> {
    tree: Option<&'s Tree<'s>>,
    count: u64,
    probe: u64,
}

impl Visit for LowerBound<'_> {
    type Output = u64;

    fn visit(self, keys: impl Keys) -> u64 {
        match self.tree {
            Some(tree) => tree.lower_bound(keys, self.probe),
            None => bound::lower_bound(self.count, keys, self.probe),
        }
    }
}

/// The records whose key is `lead`.
struct Narrow<'s> {
    tree: &'s Tree<'s>,
    lead: u64,
}

impl Visit for Narrow<'_> {
    type Output = Range<u64>;

    fn visit(self, keys: impl Keys) -> Range<u64> {
        self.tree.narrow(keys, self.lead)
    }
}
