//! The object table: sorted by id, of several objects with one id only the first, and packed.

use pagestone_storage as storage;
use storage::{Backing, Field, Kind, Options, Records, le::U64};

use super::{
    batch::Batch, class_table::ClassTable, ids::IdPacker, staging::Staging, tables::Tables,
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::Primitive,
    layout::{FormRecord, FoundRecord, KindCode, NONE, OBJECT_BLOCK_LEN, OBJECT_COUNT_MAX},
    manifest::file,
    objects::{self, BLOCK_LEN_MAX, Block, Formed, StoredObject},
    summary::TableFacts,
};

/// The field that the table is sorted by.
const ID: Field = Field::new(0, Kind::U64);

/// Bytes that are read at once.
const BLOCK_LEN: usize = 384 << 10;

/// The finished table.
pub(super) struct Objects {
    pub(super) facts: [TableFacts; 5],
    pub(super) count: u64,
    /// How many objects were left out.
    pub(super) duplicate_count: u64,
    /// Classes, instances, object arrays, primitive arrays.
    pub(super) kind_counts: [u64; 4],
}

impl Objects {
    /// Sorts what `tables` found, in up to `sort_memory` bytes, and writes the tables; ids have
    /// `id_size` bytes in the dump.
    pub(super) fn write(
        tables: &mut Tables,
        staging: &Staging,
        (sort_memory, id_size): (u64, u8),
    ) -> Result<Self> {
        let Tables { objects, classes, .. } = tables;
        let storage = objects.storage();
        storage.sort_by(ID).memory(sort_memory).run()?;
        let mut packer = Packer::create(staging, id_size)?;
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
    forms: Forms,
    heads: Batch<U64>,
    bytes: Batch<u8>,
    waiting: Vec<Formed>,
    packed: Vec<u8>,
    count: u32,
    duplicate_count: u64,
    kind_counts: [u64; 4],
}

impl Packer {
    fn create(staging: &Staging, id_size: u8) -> Result<Self> {
        Ok(Self {
            ids: IdPacker::create(staging)?,
            forms: Forms::create(staging, id_size)?,
            heads: Batch::create(&staging.file(file::OBJECT_HEADS))?,
            bytes: Batch::create(&staging.file(file::OBJECTS))?,
            waiting: Vec::with_capacity(OBJECT_BLOCK_LEN),
            packed: Vec::new(),
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
        if OBJECT_COUNT_MAX <= self.count {
            return Err(Self::too_much());
        }
        let place = match found.kind() {
            Ok(KindCode::Class) => 0,
            Ok(KindCode::Instance) => 1,
            Ok(KindCode::ObjectArray) => 2,
            Ok(KindCode::PrimitiveArray) => 3,
            // The scan wrote no other kind.
            Err(_) => return Ok(()),
        };
        self.kind_counts[place] += 1;
        self.ids.push(found.id.get())?;
        self.waiting.push(self.forms.of(found, place)?);
        self.count += 1;
        if self.waiting.len() < OBJECT_BLOCK_LEN {
            return Ok(());
        }
        self.pack()
    }

    fn pack(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.packed.clear();
        objects::pack(&self.waiting, &mut self.packed).ok_or_else(Self::too_much)?;
        self.waiting.clear();
        self.heads.push(self.bytes.len().into())?;
        self.bytes.extend(&self.packed)
    }

    #[cold]
    fn too_much() -> Error {
        let what = "more than 2^32 objects or 2^48 bytes";
        Error::refused(ErrorKind::Unsupported, std::path::Path::new(file::OBJECTS), what)
    }

    fn close(mut self) -> Result<Objects> {
        self.pack()?;
        let [blocks, words] = self.ids.close()?;
        let (forms, heads) = (self.forms.records.close()?, self.heads.close()?);
        Ok(Objects {
            facts: [forms, heads, self.bytes.close()?, blocks, words],
            count: u64::from(self.count),
            duplicate_count: self.duplicate_count,
            kind_counts: self.kind_counts,
        })
    }
}

/// The forms met so far: of each class at most one for each kind, and one for the instances that
/// are not as long as the first.
struct Forms {
    records: Batch<FormRecord>,
    /// By class and kind, instances of other lengths last; `NONE` for what was not met.
    known: Vec<[(u32, FormRecord); 5]>,
    id_size: u8,
}

/// The place of instances that are not as long as the first.
const ODD: usize = 4;

impl Forms {
    fn create(staging: &Staging, id_size: u8) -> Result<Self> {
        let records = Batch::create(&staging.file(file::FORMS))?;
        Ok(Self { records, known: Vec::new(), id_size })
    }

    /// An object with its form; `kind` is the place of its kind.
    #[inline]
    fn of(&mut self, found: &FoundRecord, kind: usize) -> Result<Formed> {
        let class = found.class_ordinal() as usize;
        if self.known.len() <= class {
            let vacant: (u32, FormRecord) = (NONE, bytemuck::Zeroable::zeroed());
            self.known.resize(class + 1, [vacant; 5]);
        }
        let (payload_len, value_offset) = (found.payload_len.get(), found.value_offset.get());
        let mut kind = kind;
        loop {
            let (number, form) = self.known[class][kind];
            if number == NONE {
                self.known[class][kind] = self.add(found, kind)?;
            } else if form.unit == 0 && form.payload_len.get() != payload_len {
                kind = ODD;
            } else {
                return Ok(Formed { number, form, payload_len, value_offset });
            }
        }
    }

    #[cold]
    fn add(&mut self, found: &FoundRecord, kind: usize) -> Result<(u32, FormRecord)> {
        let id_size = self.id_size;
        // What lies between two objects: the tag and what a sub-record begins with.
        let (unit, lead) = match (kind, found.kind()) {
            (ODD, _) => (1, 9 + 2 * id_size),
            (_, Ok(KindCode::Instance)) => (0, 9 + 2 * id_size),
            (_, Ok(KindCode::ObjectArray)) => (id_size, 9 + 2 * id_size),
            (_, Ok(KindCode::PrimitiveArray)) => {
                let primitive = Primitive::ALL.get(found.class_ordinal() as usize);
                (primitive.map_or(1, |primitive| primitive.size()), 10 + id_size)
            }
            // Their values are told; the next object lies anywhere.
            _ => (0, 1),
        };
        let payload_len = if unit == 0 { found.payload_len } else { 0.into() };
        let form = FormRecord { class_and_kind: found.class_and_kind, payload_len, unit, lead };
        // Fewer than five for each class.
        let number = u32::try_from(self.records.len()).unwrap_or(NONE);
        self.records.push(form)?;
        Ok((number, form))
    }
}

/// Calls `each` with all objects in the order of their ordinals.
pub(super) fn for_each_object(
    staging: &Staging,
    mut each: impl FnMut(StoredObject) -> Result<()>,
) -> Result<()> {
    let options = Options::new().backing(Backing::File);
    let heads = options.open_read_only::<U64>(staging.file(file::OBJECT_HEADS))?;
    let bytes = options.open_read_only::<u8>(staging.file(file::OBJECTS))?;
    let forms = read_all(&options.open_read_only::<FormRecord>(staging.file(file::FORMS))?)?;
    let (mut some, mut index) = (Vec::new(), 0);
    while index < heads.len() {
        let count = (heads.len() - index).min(512);
        // The blocks lie one behind the other: the last ends where the next one begins.
        let start = heads.get(index)?.get();
        let end = match index + count {
            last if last < heads.len() => heads.get(last)?.get(),
            _ => bytes.len(),
        };
        let len = blocks_len((start, end), count).ok_or_else(|| malformed(staging, index))?;
        some.resize(len, 0);
        bytes.read_into(start, &mut some)?;
        let mut rest = some.as_slice();
        for number in index..index + count {
            let mut block = Block::new(&forms, rest).ok_or_else(|| malformed(staging, number))?;
            for object in &mut block {
                each(object.map_err(|_| malformed(staging, number))?)?;
            }
            rest = block.rest();
        }
        index += count;
    }
    Ok(())
}

/// The bytes from the beginning of so many blocks to their end; none where they cannot be as many.
fn blocks_len((start, end): (u64, u64), count: u64) -> Option<usize> {
    let len = usize::try_from(end.checked_sub(start)?).ok()?;
    (len <= usize::try_from(count).ok()?.checked_mul(BLOCK_LEN_MAX)?).then_some(len)
}

#[cold]
fn malformed(staging: &Staging, block: u64) -> Error {
    let path = staging.file(file::OBJECTS);
    Error::corrupt(&path, "objects", ("a block", format!("other bytes in block {block}")))
}

/// Objects by ordinal. The files are mapped, and what is looked at is copied; neighbours of the
/// object asked for last cost nothing.
pub(super) struct ObjectLookup {
    forms: Vec<FormRecord>,
    heads: Records<U64>,
    bytes: Records<u8>,
    copied: Vec<u8>,
    block: Option<u64>,
    objects: Vec<StoredObject>,
}

impl ObjectLookup {
    pub(super) fn open(staging: &Staging) -> Result<Self> {
        let options = Options::new().backing(Backing::Map);
        Ok(Self {
            forms: read_all(&options.open_read_only(staging.file(file::FORMS))?)?,
            heads: options.open_read_only(staging.file(file::OBJECT_HEADS))?,
            bytes: options.open_read_only(staging.file(file::OBJECTS))?,
            copied: Vec::new(),
            block: None,
            objects: Vec::new(),
        })
    }

    /// The object with an ordinal.
    #[inline]
    pub(super) fn get(&mut self, ordinal: u32) -> Result<StoredObject> {
        let (block, place) =
            (ordinal as usize / OBJECT_BLOCK_LEN, ordinal as usize % OBJECT_BLOCK_LEN);
        let block = block as u64;
        if self.block != Some(block) {
            self.read(block, place + 1)?;
        } else if self.objects.len() <= place {
            self.read(block, OBJECT_BLOCK_LEN)?;
        }
        self.objects.get(place).copied().ok_or_else(|| self.malformed(block))
    }

    /// Reads the first `count` objects of a block.
    fn read(&mut self, block: u64, count: usize) -> Result<()> {
        self.block = None;
        let start = self.heads.get(block)?.get();
        let end = match block + 1 {
            next if next < self.heads.len() => self.heads.get(next)?.get(),
            _ => self.bytes.len(),
        };
        let len = blocks_len((start, end), 1).ok_or_else(|| self.malformed(block))?;
        self.copied.resize(len, 0);
        self.bytes.read_into(start, &mut self.copied)?;
        self.objects.clear();
        let objects = Block::new(&self.forms, &self.copied).ok_or_else(|| self.malformed(block))?;
        for object in objects.take(count) {
            self.objects.push(object.map_err(|_| self.malformed(block))?);
        }
        self.block = Some(block);
        Ok(())
    }

    #[cold]
    fn malformed(&self, block: u64) -> Error {
        let found = format!("other bytes in block {block}");
        Error::corrupt(self.bytes.path(), "objects", ("a block", found))
    }
}

/// All records of a file.
fn read_all<T: bytemuck::Pod + std::fmt::Debug>(records: &Records<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for_each_block(records, |block| {
        all.extend_from_slice(block);
        Ok(())
    })?;
    Ok(all)
}

/// Calls `look` with all records, block by block.
pub(super) fn for_each_block<T: bytemuck::Pod + std::fmt::Debug>(
    records: &Records<T>,
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
