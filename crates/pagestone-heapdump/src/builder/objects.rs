//! The object table: sorted by id, of several objects with one id only the first, and packed.

use pagestone_storage as storage;
use storage::{Field, Kind};

use super::{
    batch::Batch, class_table::ClassTable, ids::IdPacker, staging::Staging, tables::Tables,
};
use crate::{
    error::{Error, ErrorKind, Result},
    layout::{FoundRecord, KindCode, LongPayloadRecord, OBJECT_COUNT_MAX, ObjectRecord},
    manifest::file,
    summary::TableFacts,
};

/// The field that the table is sorted by.
const ID: Field = Field::new(0, Kind::U64);

/// Bytes that are read at once.
const BLOCK_LEN: usize = 384 << 10;

/// The finished table.
pub(super) struct Objects {
    pub(super) facts: [TableFacts; 4],
    pub(super) count: u64,
    /// How many objects were left out.
    pub(super) duplicate_count: u64,
    /// Classes, instances, object arrays, primitive arrays.
    pub(super) kind_counts: [u64; 4],
}

impl Objects {
    /// Sorts what `tables` found, in up to `sort_memory` bytes, and writes the tables.
    pub(super) fn write(tables: &mut Tables, staging: &Staging, sort_memory: u64) -> Result<Self> {
        let Tables { objects, classes, .. } = tables;
        let storage = objects.storage();
        storage.sort_by(ID).memory(sort_memory).run()?;
        let mut packer = Packer::create(staging)?;
        let mut first: Option<FoundRecord> = None;
        for_each_block(storage, |block| {
            for &record in block {
                match first {
                    Some(known) if known.id == record.id => {
                        first = Some(packer.earlier(classes, (known, record)));
                    }
                    known => {
                        if let Some(known) = known {
                            packer.push(&known)?;
                        }
                        first = Some(record);
                    }
                }
            }
            Ok(())
        })?;
        if let Some(last) = first {
            packer.push(&last)?;
        }
        packer.close()
    }
}

/// Takes objects in the order of their ids.
struct Packer {
    ids: IdPacker,
    objects: Batch<ObjectRecord>,
    long_payloads: Batch<LongPayloadRecord>,
    count: u32,
    duplicate_count: u64,
    kind_counts: [u64; 4],
}

impl Packer {
    fn create(staging: &Staging) -> Result<Self> {
        Ok(Self {
            ids: IdPacker::create(staging)?,
            objects: Batch::create(&staging.file(file::OBJECTS))?,
            long_payloads: Batch::create(&staging.file(file::LONG_PAYLOADS))?,
            count: 0,
            duplicate_count: 0,
            kind_counts: [0; 4],
        })
    }

    /// The one of two objects with one id that comes first in the dump; the other is not counted.
    fn earlier(
        &mut self,
        classes: &mut ClassTable,
        (left, right): (FoundRecord, FoundRecord),
    ) -> FoundRecord {
        let is_left = left.value_offset.get() <= right.value_offset.get();
        let (kept, other) = if is_left { (left, right) } else { (right, left) };
        self.duplicate_count += 1;
        // Class objects are not counted as instances of anything.
        if other.kind() != Ok(KindCode::Class) {
            classes.subtract(other.class_ordinal(), other.payload_len.get());
        }
        kept
    }

    #[inline]
    fn push(&mut self, found: &FoundRecord) -> Result<()> {
        let packed = ObjectRecord::pack(found).filter(|_| self.count < OBJECT_COUNT_MAX);
        let Some(packed) = packed else { return Err(Self::too_much()) };
        self.ids.push(found.id.get())?;
        if packed.is_long() {
            let (object, payload_len) = (self.count.into(), found.payload_len);
            self.long_payloads.push(LongPayloadRecord { object, payload_len })?;
        }
        self.objects.push(packed)?;
        self.count += 1;
        let place = match found.kind() {
            Ok(KindCode::Class) => 0,
            Ok(KindCode::Instance) => 1,
            Ok(KindCode::ObjectArray) => 2,
            Ok(KindCode::PrimitiveArray) => 3,
            Err(_) => return Ok(()),
        };
        self.kind_counts[place] += 1;
        Ok(())
    }

    #[cold]
    fn too_much() -> Error {
        let what = "more than 2^32 objects or 2^40 bytes";
        Error::refused(ErrorKind::Unsupported, std::path::Path::new(file::OBJECTS), what)
    }

    fn close(self) -> Result<Objects> {
        let [blocks, words] = self.ids.close()?;
        Ok(Objects {
            facts: [self.objects.close()?, self.long_payloads.close()?, blocks, words],
            count: u64::from(self.count),
            duplicate_count: self.duplicate_count,
            kind_counts: self.kind_counts,
        })
    }
}

/// Calls `look` with all records, block by block.
pub(super) fn for_each_block<T: bytemuck::Pod + std::fmt::Debug>(
    records: &storage::Records<T>,
    mut look: impl FnMut(&[T]) -> Result<()>,
) -> Result<()> {
    let most = BLOCK_LEN / size_of::<T>();
    let capacity = usize::try_from(records.len()).map_or(most, |count| count.min(most));
    let mut block: Vec<T> = vec![bytemuck::Zeroable::zeroed(); capacity];
    let mut index = 0;
    while index < records.len() {
        let count = usize::try_from(records.len() - index).unwrap_or(capacity).min(capacity);
        records.read_into(index, bytemuck::cast_slice_mut(&mut block[..count]))?;
        look(&block[..count])?;
        index += count as u64;
    }
    Ok(())
}
