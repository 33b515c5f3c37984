//! The second pass: what each object refers to, in the order of the objects.
//!
//! Objects are visited by ordinal. Their values lie in nearly the same order in the dump, so the
//! dump is read once, through a bounded number of pages; arrays of primitives are not looked at.

use zerocopy::{
    FromBytes as _,
    big_endian::{U32, U64},
};

use super::{
    list_writer::ListWriter, objects::for_each_object, ranks::Ranks, shapes::Shapes, stage::Stage,
};
use crate::{
    class_dump::{self, FieldType},
    error::Result,
    layout::KindCode,
    manifest::OUTBOUND,
    objects::StoredObject,
    pages::{PAGE_LEN, Pages},
    summary::TableFacts,
};

/// The finished lists.
pub(super) struct References {
    pub(super) facts: [TableFacts; 2],
    /// References of all objects, each once.
    pub(super) count: u64,
    /// References to what is not in the dump.
    pub(super) dangling_count: u64,
}

/// Writes what each object refers to, but for the reference to its class. `ranks` are those of
/// all ids, where they are known.
pub(super) fn write(stage: &mut Stage<'_, '_>, ranks: Option<Ranks>) -> Result<References> {
    let count = stage.object_count();
    let ranks = ranks.map_or_else(|| Ranks::read(stage.staging, count), Ok)?;
    let shapes = Shapes::read(stage.staging, stage.id_size())?;
    let class_objects = shapes.classes().iter().map(|class| match class.id.get() {
        0 => ClassObject::None,
        id => ranks.ordinal(id).map_or(ClassObject::Absent, ClassObject::Is),
    });
    let mut pass = Pass {
        class_objects: class_objects.collect(),
        resolver: Resolver { ranks, targets: Vec::new(), dangling_count: 0 },
        pages: stage.pages()?,
        shapes,
        id_size: stage.id_size(),
        count: 0,
    };
    let mut lists = ListWriter::create(stage.staging, &OUTBOUND)?;
    let staging = stage.staging;
    let mut progress = stage.progress();
    for_each_object(staging, |object| {
        progress.next()?;
        lists.push(pass.object(&object)?)
    })?;
    let (count, dangling_count) = (pass.count, pass.resolver.dangling_count);
    Ok(References { facts: lists.close()?, count, dangling_count })
}

/// The class object of a class.
#[derive(Debug, Clone, Copy)]
enum ClassObject {
    /// The class has no id.
    None,
    Absent,
    Is(u32),
}

struct Pass {
    class_objects: Vec<ClassObject>,
    shapes: Shapes,
    resolver: Resolver,
    pages: Pages,
    id_size: u8,
    count: u64,
}

/// Gathers what one object refers to.
struct Resolver {
    ranks: Ranks,
    targets: Vec<u32>,
    dangling_count: u64,
}

impl Resolver {
    #[inline]
    fn add(&mut self, id: u64) {
        if id == 0 {
            return;
        }
        match self.ranks.ordinal(id) {
            Some(target) => self.targets.push(target),
            None => self.dangling_count += 1,
        }
    }

    /// Adds every id of some elements.
    #[inline]
    fn add_all(&mut self, elements: &[u8], id_size: u8) {
        if id_size == 4 {
            let ids = <[U32]>::ref_from_bytes(elements).unwrap_or_default();
            for id in ids {
                self.add(u64::from(id.get()));
            }
        } else {
            let ids = <[U64]>::ref_from_bytes(elements).unwrap_or_default();
            for id in ids {
                self.add(id.get());
            }
        }
    }
}

impl Pass {
    /// What an object refers to, ascending, without its class.
    #[inline]
    fn object(&mut self, object: &StoredObject) -> Result<&[u32]> {
        self.resolver.targets.clear();
        let class = match object.kind {
            KindCode::PrimitiveArray => return Ok(&[]),
            KindCode::Class => {
                self.class(object)?;
                ClassObject::None
            }
            KindCode::Instance => {
                self.instance(object)?;
                self.class_objects[object.class as usize]
            }
            KindCode::ObjectArray => {
                self.object_array(object)?;
                self.class_objects[object.class as usize]
            }
        };
        let targets = &mut self.resolver.targets;
        if 1 < targets.len() {
            targets.sort_unstable();
            targets.dedup();
        }
        match class {
            ClassObject::None => {}
            ClassObject::Absent => self.resolver.dangling_count += 1,
            ClassObject::Is(class) => {
                self.count += 1;
                if let Ok(place) = targets.binary_search(&class) {
                    targets.remove(place);
                }
            }
        }
        self.count += targets.len() as u64;
        Ok(targets)
    }

    fn class(&mut self, object: &StoredObject) -> Result<()> {
        let class = class_dump::read(&mut self.pages, object.value_offset, self.id_size)?;
        class.relatives.iter().for_each(|&id| self.resolver.add(id));
        for field in &class.statics {
            if field.field_type == FieldType::Reference {
                self.resolver.add(field.value);
            }
        }
        Ok(())
    }

    #[inline]
    fn instance(&mut self, object: &StoredObject) -> Result<()> {
        let StoredObject { class, payload_len, value_offset, .. } = *object;
        let offsets = self.shapes.references(&mut self.pages, (class, payload_len))?;
        let Some(&last) = offsets.last() else { return Ok(()) };
        let id_size = usize::from(self.id_size);
        let end = last as usize + id_size;
        if PAGE_LEN < end {
            for &offset in offsets {
                let at = value_offset + u64::from(offset);
                self.resolver.add_all(self.pages.bytes(at, id_size)?, self.id_size);
            }
            return Ok(());
        }
        let values = self.pages.bytes(value_offset, end)?;
        for &offset in offsets {
            let offset = offset as usize;
            self.resolver.add_all(&values[offset..offset + id_size], self.id_size);
        }
        Ok(())
    }

    fn object_array(&mut self, object: &StoredObject) -> Result<()> {
        let mut left = u64::from(object.payload_len);
        let mut offset = object.value_offset;
        while 0 < left {
            // A page is a whole number of ids.
            let len = left.min(PAGE_LEN as u64);
            let elements = self.pages.bytes(offset, usize::try_from(len).unwrap_or(PAGE_LEN))?;
            self.resolver.add_all(elements, self.id_size);
            offset += len;
            left -= len;
        }
        Ok(())
    }
}
