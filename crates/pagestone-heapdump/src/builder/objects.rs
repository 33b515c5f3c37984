//! The object table: sorted by id, and of several objects with one id only the first.

use std::path::Path;

use pagestone_storage as storage;
use storage::{Field, Kind};

use super::{batch::Batch, class_table::ClassTable, staging::Staging, tables::Tables};
use crate::{
    error::{Error, Result},
    layout::{KindCode, ObjectRecord},
    manifest::file,
    summary::TableFacts,
};

/// The field that the table is sorted by.
const ID: Field = Field::new(0, Kind::U64);

/// Bytes that are read at once.
const BLOCK_LEN: usize = 384 << 10;

/// The finished table.
pub(super) struct Objects {
    pub(super) facts: TableFacts,
    /// How many objects were left out.
    pub(super) duplicate_count: u64,
    /// Classes, instances, object arrays, primitive arrays.
    pub(super) kind_counts: [u64; 4],
}

impl Objects {
    pub(super) fn count(&self) -> u64 {
        self.facts.record_count
    }

    /// Sorts and syncs the table of `tables`, in up to `sort_memory` bytes.
    pub(super) fn sort(tables: &mut Tables, staging: &Staging, sort_memory: u64) -> Result<Self> {
        let Tables { objects, classes, .. } = tables;
        let storage = objects.storage();
        storage.sort_by(ID).memory(sort_memory).run()?;
        storage.sync()?;
        let mut firsts = Firsts::default();
        for_each_block(storage, |block| {
            for record in block {
                firsts.look(record);
            }
            firsts.crc.update(bytemuck::cast_slice(block));
            Ok(())
        })?;
        let path = storage.path().to_path_buf();
        let crc32 = firsts.crc.finalize();
        let mut done = Self {
            facts: TableFacts::new::<ObjectRecord>(file::OBJECTS, storage.len(), crc32),
            duplicate_count: firsts.duplicate_count,
            kind_counts: firsts.kind_counts,
        };
        if 0 < done.duplicate_count {
            let spare = staging.file(file::OBJECTS_SPARE);
            done.kind_counts = [0; 4];
            let spared = leave_out(storage, classes, (&spare, &mut done.kind_counts))?;
            done.facts = TableFacts { name: file::OBJECTS.to_owned(), ..spared };
            std::fs::rename(&spare, &path).map_err(|source| Error::io("rename", &spare, source))?;
        }
        Ok(done)
    }
}

/// What a first look at the sorted table tells.
#[derive(Default)]
struct Firsts {
    last_id: Option<u64>,
    duplicate_count: u64,
    kind_counts: [u64; 4],
    crc: crc32fast::Hasher,
}

impl Firsts {
    fn look(&mut self, record: &ObjectRecord) {
        let id = Some(record.id.get());
        self.duplicate_count += u64::from(self.last_id == id);
        self.last_id = id;
        count_kind(&mut self.kind_counts, record);
    }
}

fn count_kind(counts: &mut [u64; 4], record: &ObjectRecord) {
    let place = match record.kind() {
        Ok(KindCode::Class) => 0,
        Ok(KindCode::Instance) => 1,
        Ok(KindCode::ObjectArray) => 2,
        Ok(KindCode::PrimitiveArray) => 3,
        Err(_) => return,
    };
    counts[place] += 1;
}

/// Writes the table again with one object for each id: the one that comes first in the dump.
fn leave_out(
    sorted: &storage::Records<ObjectRecord>,
    classes: &mut ClassTable,
    (spare, kind_counts): (&Path, &mut [u64; 4]),
) -> Result<TableFacts> {
    let mut kept = Batch::create(spare)?;
    let mut first: Option<ObjectRecord> = None;
    for_each_block(sorted, |block| {
        for &record in block {
            let (keep, leave) = match first {
                Some(known) if known.id != record.id => {
                    count_kind(kind_counts, &known);
                    kept.push(known)?;
                    (record, None)
                }
                Some(known) if record.value_offset.get() < known.value_offset.get() => {
                    (record, Some(known))
                }
                Some(known) => (known, Some(record)),
                None => (record, None),
            };
            first = Some(keep);
            // Class objects are not counted as instances of anything.
            if let Some(left) = leave
                && left.kind() != Ok(KindCode::Class)
            {
                classes.subtract(left.class_ordinal(), left.payload_len.get());
            }
        }
        Ok(())
    })?;
    if let Some(last) = first {
        count_kind(kind_counts, &last);
        kept.push(last)?;
    }
    kept.close()
}

/// Calls `look` with all records, block by block.
fn for_each_block(
    records: &storage::Records<ObjectRecord>,
    mut look: impl FnMut(&[ObjectRecord]) -> Result<()>,
) -> Result<()> {
    let most = BLOCK_LEN / size_of::<ObjectRecord>();
    let capacity = usize::try_from(records.len()).map_or(most, |count| count.min(most));
    let mut block: Vec<ObjectRecord> = vec![bytemuck::Zeroable::zeroed(); capacity];
    let mut index = 0;
    while index < records.len() {
        let count = usize::try_from(records.len() - index).unwrap_or(capacity).min(capacity);
        records.read_into(index, bytemuck::cast_slice_mut(&mut block[..count]))?;
        look(&block[..count])?;
        index += count as u64;
    }
    Ok(())
}
