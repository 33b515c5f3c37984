//! The values of strings, each once, and the strings that have each value.
//!
//! Every string is read where it lies and given a fingerprint; sorted by it, those of one value
//! are neighbours. No value is stored a second time, and memory does not grow with their length.

use pagestone_index::{TableBuilder, TableOptions};
use pagestone_storage as storage;
use storage::{Backing, Field, Kind, Options};

use super::{
    batch::Batch,
    objects::{ObjectLookup, for_each_block, for_each_object},
    ranks::Ranks,
    stage::Stage,
    symbols::Symbols,
};
use crate::{
    class_dump::{self, FieldType},
    error::Result,
    format::Primitive,
    layout::{ClassRecord, FoundStringRecord, KindCode, StringRecord, origin},
    manifest::{self, file},
    name,
    pages::Pages,
    strings::{self, CharArray, StringShape, Text},
    summary::TableFacts,
};

const FINGERPRINT: Field = Field::new(0, Kind::U128);

/// The finished tables.
pub(super) struct Strings {
    pub(super) facts: Vec<TableFacts>,
    /// Strings whose characters are in the dump.
    pub(super) count: u64,
    /// Their different values.
    pub(super) distinct_count: u64,
    /// The ordinals of ids, where they were needed.
    pub(super) ranks: Option<Ranks>,
}

/// Reads all strings and writes the tables.
pub(super) fn write(stage: &mut Stage<'_, '_>) -> Result<Strings> {
    let mut found = Batch::create(&stage.staging.file(file::FOUND_STRINGS))?;
    let ranks = gather(stage, &mut found)?;
    found.flush()?;
    let storage = found.storage();
    // Stable: of one value, the objects stay in order.
    storage.sort_by(FINGERPRINT).stable().memory(stage.memory() / 2).run()?;
    let mut values = Values {
        records: TableOptions::new()
            .memory(stage.memory() / 2)
            .create(stage.staging.file(file::STRINGS))?,
        distinct_count: 0,
        others: Batch::create(&stage.staging.file(file::STRING_OBJECTS))?,
        last: None,
    };
    for_each_block(storage, |block| block.iter().try_for_each(|found| values.push(found)))?;
    let count = storage.len();
    values.end()?;
    let Values { records, others, distinct_count, .. } = values;
    drop(records.seal()?);
    let mut facts = vec![others.close()?];
    for name in file::STRING_FILES {
        let measured = manifest::table_facts::<u8>(&stage.staging.file(name))?;
        facts.push(TableFacts { name: name.to_owned(), ..measured });
    }
    Ok(Strings { facts, count, distinct_count, ranks })
}

/// Gives every string a fingerprint.
fn gather(
    stage: &mut Stage<'_, '_>,
    found: &mut Batch<FoundStringRecord>,
) -> Result<Option<Ranks>> {
    let mut pages = stage.pages()?;
    let shapes = shapes(stage, &mut pages)?;
    if shapes.is_empty() {
        return Ok(None);
    }
    let ranks = Ranks::read(stage.staging, stage.object_count())?;
    let mut objects = ObjectLookup::open(stage.staging)?;
    let staging = stage.staging;
    let mut progress = stage.progress();
    let mut ordinal = 0_u32;
    for_each_object(staging, |object| {
        let number = ordinal;
        ordinal += 1;
        progress.next()?;
        if object.kind != KindCode::Instance {
            return Ok(());
        }
        let Some((_, shape)) = shapes.iter().find(|(class, _)| *class == object.class) else {
            return Ok(());
        };
        let place = (object.value_offset, object.payload_len);
        let Some(parts) = shape.read(&mut pages, place)? else { return Ok(()) };
        let Some(array) = ranks.ordinal(parts.array_id) else { return Ok(()) };
        let Some(array) = char_array(&mut objects, array)? else { return Ok(()) };
        let Some(text) = Text::new(&parts, &array) else { return Ok(()) };
        let fingerprint = text.fingerprint(&mut pages)?;
        found.push(FoundStringRecord { fingerprint: fingerprint.into(), object: number.into() })
    })?;
    Ok(Some(ranks))
}

/// The classes of strings: one, unless the dump is odd.
fn shapes(stage: &Stage<'_, '_>, pages: &mut Pages) -> Result<Vec<(u32, StringShape)>> {
    let options = Options::new().backing(Backing::Map);
    let classes = options.open_read_only::<ClassRecord>(stage.staging.file(file::CLASSES))?;
    let names = options.open_read_only::<u8>(stage.staging.file(file::CLASS_NAMES))?;
    let mut ordinals = Vec::new();
    let (mut ordinal, mut name) = (0_u32, [0; strings::CLASS_NAME.len()]);
    for_each_block(&classes, |block| {
        for class in block {
            if class.name_len.get() as usize == name.len()
                && class.origin.get() & origin::DUMPED != 0
            {
                names.read_into(class.name_offset.get(), &mut name)?;
                if name == *strings::CLASS_NAME.as_bytes() {
                    ordinals.push((ordinal, class.dump_offset.get()));
                }
            }
            ordinal += 1;
        }
        Ok(())
    })?;
    let symbols = Symbols::open(stage.staging)?;
    let mut shapes = Vec::new();
    for (ordinal, dump_offset) in ordinals {
        let dump = class_dump::read(pages, dump_offset, stage.id_size())?;
        let mut fields: Vec<(String, FieldType)> = Vec::new();
        for field in &dump.fields {
            let text = symbols.text(field.name_id)?.unwrap_or_default();
            fields.push((name::text(&text), field.field_type));
        }
        let fields = fields.iter().map(|(name, field_type)| (name.as_str(), *field_type));
        shapes.push((ordinal, StringShape::new(fields, stage.id_size())));
    }
    Ok(shapes)
}

/// The array with an ordinal; none where the object is no array of primitives.
#[inline]
fn char_array(objects: &mut ObjectLookup, ordinal: u32) -> Result<Option<CharArray>> {
    let object = objects.get(ordinal)?;
    if object.kind != KindCode::PrimitiveArray {
        return Ok(None);
    }
    let primitive = Primitive::ALL.get(object.class as usize).copied();
    let (offset, len) = (object.value_offset, object.payload_len);
    Ok(primitive.map(|primitive| CharArray { primitive, offset, len }))
}

/// Takes strings in the order of their fingerprints.
struct Values {
    records: TableBuilder<StringRecord>,
    distinct_count: u64,
    /// The objects of each value but the first.
    others: Batch<storage::le::U32>,
    last: Option<FoundStringRecord>,
}

impl Values {
    #[inline]
    fn push(&mut self, found: &FoundStringRecord) -> Result<()> {
        if self.last.is_some_and(|last| last.fingerprint == found.fingerprint) {
            return self.others.push(found.object);
        }
        self.end()?;
        self.last = Some(*found);
        Ok(())
    }

    /// Ends the value of which strings came.
    fn end(&mut self) -> Result<()> {
        let Some(FoundStringRecord { fingerprint, object }) = self.last else { return Ok(()) };
        // Fewer than there are objects, whose ordinals have 32 bits.
        let end = u32::try_from(self.others.len()).unwrap_or(u32::MAX).into();
        let fingerprint = strings::high_half(fingerprint.get()).into();
        self.distinct_count += 1;
        // They come in the order of the table's key, so that nothing is sorted again.
        Ok(self.records.append(&StringRecord { fingerprint, object, end })?)
    }
}
