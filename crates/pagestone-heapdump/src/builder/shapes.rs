//! Where in the instances of each class the references lie.

use pagestone_storage as storage;
use storage::{Backing, Options};

use super::{objects::for_each_block, staging::Staging};
use crate::{
    class_dump::{self, FieldType},
    error::Result,
    layout::{ClassRecord, origin},
    manifest::file,
    pages::Pages,
};

/// Superclasses that are followed: no program has as many, but a damaged dump can.
pub(crate) const DEPTH_MAX: usize = 512;

/// The classes, and for those whose instances were met their references.
pub(super) struct Shapes {
    classes: Vec<ClassRecord>,
    /// Ordinals by id.
    by_id: Vec<(u64, u32)>,
    /// Offsets of references, of all classes that were asked for.
    offsets: Vec<u32>,
    by_class: Vec<Shape>,
    id_size: u8,
}

/// One class.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    /// Its part of the offsets.
    start: u32,
    end: u32,
    /// The longest instance for which they were gathered; 0 for none.
    payload_len: u32,
}

impl Shapes {
    pub(super) fn read(staging: &Staging, id_size: u8) -> Result<Self> {
        let options = Options::new().backing(Backing::File);
        let records = options.open_read_only::<ClassRecord>(staging.file(file::CLASSES))?;
        let mut classes = Vec::new();
        for_each_block(&records, |block| {
            classes.extend_from_slice(block);
            Ok(())
        })?;
        let mut by_id: Vec<(u64, u32)> = (0..)
            .zip(&classes)
            .filter(|(_, class)| class.id.get() != 0)
            .map(|(ordinal, class)| (class.id.get(), ordinal))
            .collect();
        by_id.sort_unstable();
        let by_class = vec![Shape::default(); classes.len()];
        Ok(Self { classes, by_id, offsets: Vec::new(), by_class, id_size })
    }

    pub(super) fn classes(&self) -> &[ClassRecord] {
        &self.classes
    }

    fn class(&self, id: u64) -> Option<&ClassRecord> {
        let place = self.by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.classes.get(self.by_id[place].1 as usize)
    }

    /// The offsets of the references in an instance of a class, ascending: its own fields come
    /// first, then those of its superclasses. Only those that lie within its payload.
    #[inline]
    pub(super) fn references(
        &mut self,
        pages: &mut Pages,
        (ordinal, payload_len): (u32, u32),
    ) -> Result<&[u32]> {
        if self.by_class[ordinal as usize].payload_len < payload_len {
            self.gather(pages, (ordinal, payload_len))?;
        }
        let Shape { start, end, payload_len: gathered } = self.by_class[ordinal as usize];
        let offsets = &self.offsets[start as usize..end as usize];
        if payload_len == gathered {
            return Ok(offsets);
        }
        let id_size = u32::from(self.id_size);
        Ok(&offsets[..offsets.partition_point(|&offset| offset + id_size <= payload_len)])
    }

    #[cold]
    fn gather(&mut self, pages: &mut Pages, (ordinal, payload_len): (u32, u32)) -> Result<()> {
        let start = self.offsets.len();
        let mut class = self.classes.get(ordinal as usize).copied();
        let mut offset = 0_u32;
        for _ in 0..DEPTH_MAX {
            let Some(known) = class.filter(|known| known.origin.get() & origin::DUMPED != 0) else {
                break;
            };
            let dump = class_dump::read(pages, known.dump_offset.get(), self.id_size)?;
            for field in &dump.fields {
                let end = offset + u32::from(field.field_type.size(self.id_size));
                if payload_len < end {
                    break;
                }
                if field.field_type == FieldType::Reference {
                    self.offsets.push(offset);
                }
                offset = end;
            }
            if payload_len <= offset {
                break;
            }
            class = self.class(dump.super_id).copied();
        }
        let range = u32::try_from(start).ok().zip(u32::try_from(self.offsets.len()).ok());
        let (start, end) = range.unwrap_or((0, 0));
        self.by_class[ordinal as usize] = Shape { start, end, payload_len };
        Ok(())
    }
}
