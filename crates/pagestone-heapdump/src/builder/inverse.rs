//! Relations from the other side: who refers to each object, and the instances of each class.
//!
//! The pairs are read once and sorted in memory. Where they do not fit what is allowed, they are
//! read once to count the values of every key, then as often as keys have to be divided so that
//! the values of those at hand fit.

use super::{
    list_stream::ListStream, list_writer::ListWriter, objects::for_each_object, parts::Parts,
    stage::Stage,
};
use crate::{
    error::Result,
    layout::KindCode,
    manifest::{INBOUND, INSTANCES, ListFiles, OUTBOUND},
    summary::TableFacts,
};

/// Values that are kept at once, however little memory is allowed.
const VALUES_MIN: u64 = 64 << 10;

/// Pairs of key and value that can be told again and again, by ascending value.
trait Pairs {
    /// Calls `each` with every pair.
    fn tell(&self, each: impl FnMut(u32, u32)) -> Result<()>;
}

/// What each object refers to, and the object.
struct Referred<'s, 'a, 'h>(&'s Stage<'a, 'h>);

impl Pairs for Referred<'_, '_, '_> {
    fn tell(&self, mut each: impl FnMut(u32, u32)) -> Result<()> {
        let count = self.0.object_count();
        let mut lists = ListStream::open(&self.0.staging.file(OUTBOUND.bytes), count)?;
        (0..count).try_for_each(|source| lists.next(|target| each(target, source)))
    }
}

/// The class of each object, and the object.
struct Classes<'s, 'a, 'h>(&'s Stage<'a, 'h>);

impl Pairs for Classes<'_, '_, '_> {
    fn tell(&self, mut each: impl FnMut(u32, u32)) -> Result<()> {
        let mut ordinal = 0;
        for_each_object(self.0.staging, |object| {
            if object.kind != KindCode::Class {
                each(object.class, ordinal);
            }
            ordinal += 1;
            Ok(())
        })
    }
}

/// Writes the objects that refer to each object.
pub(super) fn inbound(stage: &Stage<'_, '_>) -> Result<[TableFacts; 2]> {
    write(stage, (stage.object_count(), &INBOUND), &Referred(stage))
}

/// Writes the instances of each class.
pub(super) fn instances(stage: &Stage<'_, '_>) -> Result<[TableFacts; 2]> {
    write(stage, (stage.class_count()?, &INSTANCES), &Classes(stage))
}

/// Writes the lists of all keys.
fn write(
    stage: &Stage<'_, '_>,
    (key_count, files): (u32, &ListFiles),
    pairs: &impl Pairs,
) -> Result<[TableFacts; 2]> {
    let mut lists = ListWriter::create(stage.staging, files)?;
    if !write_by_parts(stage, (key_count, pairs), &mut lists)? {
        write_by_ranges(stage, (key_count, pairs), &mut lists)?;
    }
    lists.close()
}

/// Writes the lists with all pairs in memory, unless these are too many: then nothing is written.
fn write_by_parts(
    stage: &Stage<'_, '_>,
    (key_count, pairs): (u32, &impl Pairs),
    lists: &mut ListWriter,
) -> Result<bool> {
    let mut parts = Parts::new(key_count, stage.graph_memory());
    let mut fits = true;
    pairs.tell(|key, value| fits = fits && parts.push(key, value))?;
    if !fits || stage.graph_memory() < parts.memory() {
        return Ok(false);
    }
    parts.for_each(|values| lists.push(values))?;
    Ok(true)
}

/// Writes the lists range by range, as many keys at once as the memory allows.
fn write_by_ranges(
    stage: &Stage<'_, '_>,
    (key_count, pairs): (u32, &impl Pairs),
    lists: &mut ListWriter,
) -> Result<()> {
    let mut counts = vec![0_u32; key_count as usize];
    pairs.tell(|key, _| counts[key as usize] += 1)?;
    let values_max = (stage.memory() / 4).max(VALUES_MIN);
    let mut values = Vec::new();
    let mut start = 0;
    while start < counts.len() {
        let mut end = start;
        let mut total = 0_u64;
        // The counts become the places where the lists begin; at least one key is taken.
        while end < counts.len() && (end == start || total + u64::from(counts[end]) <= values_max) {
            let count = u64::from(counts[end]);
            counts[end] = u32::try_from(total).unwrap_or(u32::MAX);
            total += count;
            end += 1;
        }
        values.clear();
        values.resize(usize::try_from(total).unwrap_or(usize::MAX), 0_u32);
        let begins = &mut counts[start..end];
        pairs.tell(|key, value| {
            if let Some(begin) = (key as usize).checked_sub(start).and_then(|at| begins.get_mut(at))
            {
                values[*begin as usize] = value;
                *begin += 1;
            }
        })?;
        let mut begin = 0;
        for &end in &counts[start..end] {
            lists.push(&values[begin as usize..end as usize])?;
            begin = end;
        }
        start = end;
    }
    Ok(())
}
