//! The roots: those that name an object of the dump, in the order of the objects.

use pagestone_storage::{Field, Kind};

use super::{batch::Batch, ids, objects::for_each_block, staging::Staging, tables::Tables};
use crate::{
    error::Result,
    layout::{FoundRootRecord, NONE, RootRecord},
    manifest::file,
    summary::TableFacts,
};

const ID: Field = Field::new(0, Kind::U64);

/// The finished table.
pub(super) struct Roots {
    pub(super) facts: TableFacts,
    /// How many roots name no object of the dump.
    pub(super) absent_count: u64,
    /// How many different objects are named.
    pub(super) object_count: u64,
}

/// Sorts the roots of `tables`, in up to `sort_memory` bytes, and writes those of the `count`
/// objects.
pub(super) fn write(
    tables: &mut Tables,
    staging: &Staging,
    (count, sort_memory): (u32, u64),
) -> Result<Roots> {
    let found = tables.roots.storage();
    found.sort_by(ID).stable().memory(sort_memory).run()?;
    let mut roots = Batch::create(&staging.file(file::ROOTS))?;
    let (mut absent_count, mut object_count, mut last) = (0, 0, NONE);
    // Both ascend by id: each block of roots is merged with the ids, which are cheap to read.
    for_each_block(found, |block| {
        let mut rest = block;
        let mut ordinal = 0_u32;
        ids::for_each(staging, count, |id| {
            while let [root, after @ ..] = rest
                && root.id.get() <= id
            {
                rest = after;
                if root.id.get() < id {
                    absent_count += 1;
                    continue;
                }
                object_count += u64::from(last != ordinal);
                last = ordinal;
                roots.push(record(root, ordinal))?;
            }
            ordinal += 1;
            Ok(())
        })?;
        absent_count += rest.len() as u64;
        Ok(())
    })?;
    Ok(Roots { facts: roots.close()?, absent_count, object_count })
}

fn record(root: &FoundRootRecord, ordinal: u32) -> RootRecord {
    RootRecord {
        object: ordinal.into(),
        thread_serial: root.thread_serial,
        number: root.number,
        tag: root.tag,
    }
}
