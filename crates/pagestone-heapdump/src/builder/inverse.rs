//! Relations from the other side: who refers to each object, and the instances of each class.
//!
//! The pairs are read once to count the values of every key, then as often as keys have to be
//! divided so that the values of those at hand fit the memory allowed.

use super::{
    list_stream::ListStream, list_writer::ListWriter, objects::for_each_object, stage::Stage,
};
use crate::{
    error::Result,
    manifest::{INBOUND, INSTANCES, ListFiles, OUTBOUND},
    summary::TableFacts,
};

/// Values that are kept at once, however little memory is allowed.
const VALUES_MIN: u64 = 64 << 10;

/// Writes the objects that refer to each object.
pub(super) fn inbound(stage: &Stage<'_, '_>) -> Result<[TableFacts; 2]> {
    let count = stage.object_count();
    let path = stage.staging.file(OUTBOUND.bytes);
    let pairs = |each: &mut dyn FnMut(u32, u32)| -> Result<()> {
        let mut lists = ListStream::open(&path, count)?;
        (0..count).try_for_each(|source| lists.next(|target| each(target, source)))
    };
    write(stage, (count, &INBOUND), pairs)
}

/// Writes the instances of each class.
pub(super) fn instances(stage: &Stage<'_, '_>) -> Result<[TableFacts; 2]> {
    let class_count = stage.class_count()?;
    let pairs = |each: &mut dyn FnMut(u32, u32)| -> Result<()> {
        let mut ordinal = 0;
        for_each_object(stage.staging, |object| {
            if object.kind != crate::layout::KindCode::Class {
                each(object.class, ordinal);
            }
            ordinal += 1;
            Ok(())
        })
    };
    write(stage, (class_count, &INSTANCES), pairs)
}

/// Writes the lists of all keys, from pairs of key and value that come by ascending value.
fn write(
    stage: &Stage<'_, '_>,
    (key_count, files): (u32, &ListFiles),
    pairs: impl Fn(&mut dyn FnMut(u32, u32)) -> Result<()>,
) -> Result<[TableFacts; 2]> {
    let mut counts = vec![0_u32; key_count as usize];
    pairs(&mut |key, _| counts[key as usize] += 1)?;
    let values_max = (stage.memory() / 4).max(VALUES_MIN);
    let mut lists = ListWriter::create(stage.staging, files)?;
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
        pairs(&mut |key, value| {
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
    lists.close()
}
