//! What the scanner sees, turned into records.

use super::{batch::Batch, class_table::ClassTable, stacks::Stacks, staging::Staging};
use crate::{
    error::Result,
    layout::{self, FoundRecord, FoundRootRecord, KindCode, SymbolRecord},
    manifest::file,
    scan::{ClassFacts, FrameFacts, LoadFacts, ObjectFacts, RootFacts, Shape, Visitor},
};

/// The tables of an index that grow during the pass over the dump.
pub(super) struct Tables {
    pub(super) objects: Batch<FoundRecord>,
    pub(super) symbols: Batch<SymbolRecord>,
    pub(super) texts: Batch<u8>,
    pub(super) classes: ClassTable,
    pub(super) roots: Batch<FoundRootRecord>,
    pub(super) stacks: Stacks,
}

impl Tables {
    pub(super) fn create(staging: &Staging) -> Result<Self> {
        Ok(Self {
            objects: Batch::create(&staging.file(file::FOUND))?,
            symbols: Batch::create(&staging.file(file::SYMBOLS))?,
            texts: Batch::create(&staging.file(file::SYMBOL_TEXTS))?,
            classes: ClassTable::new(&staging.file(file::CLASSES)),
            roots: Batch::create(&staging.file(file::FOUND_ROOTS))?,
            stacks: Stacks::default(),
        })
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.objects.flush()?;
        self.roots.flush()?;
        self.symbols.flush()?;
        self.texts.flush()
    }
}

impl Visitor for Tables {
    fn text(&mut self, id: u64, text: &[u8]) -> Result<()> {
        let text_offset = self.texts.len().into();
        let text_len = u32::try_from(text.len()).unwrap_or(u32::MAX).into();
        self.texts.extend(text)?;
        self.symbols.push(SymbolRecord { id: id.into(), text_offset, text_len })
    }

    fn load_class(&mut self, class: &LoadFacts) -> Result<()> {
        self.stacks.load(class);
        self.classes.load(class.class_id, class.name_id)
    }

    fn frame(&mut self, frame: &FrameFacts) -> Result<()> {
        self.stacks.frame(frame);
        Ok(())
    }

    fn trace(&mut self, trace_serial: u32, thread_serial: u32) -> Result<()> {
        self.stacks.trace(trace_serial, thread_serial);
        Ok(())
    }

    fn trace_frame(&mut self, frame_id: u64) -> Result<()> {
        self.stacks.trace_frame(frame_id);
        Ok(())
    }

    fn root(&mut self, root: &RootFacts) -> Result<()> {
        self.roots.push(FoundRootRecord {
            id: root.id.into(),
            thread_serial: root.thread_serial.into(),
            number: root.number.into(),
            tag: root.tag,
        })
    }

    fn class(&mut self, class: &ClassFacts) -> Result<()> {
        let ordinal = self.classes.describe(class)?;
        self.objects.push(FoundRecord {
            id: class.id.into(),
            value_offset: class.offset.into(),
            payload_len: class.statics_len.into(),
            class_and_kind: layout::pack_class(ordinal, KindCode::Class),
        })
    }

    #[inline]
    fn object(&mut self, object: &ObjectFacts) -> Result<()> {
        let (ordinal, kind) = match object.shape {
            Shape::Instance { class_id } => (self.classes.ordinal(class_id)?, KindCode::Instance),
            Shape::ObjectArray { class_id } => {
                (self.classes.ordinal(class_id)?, KindCode::ObjectArray)
            }
            Shape::PrimitiveArray(primitive) => (primitive as u32, KindCode::PrimitiveArray),
        };
        self.classes.add(ordinal, object.payload_len);
        self.objects.push(FoundRecord {
            id: object.id.into(),
            value_offset: object.value_offset.into(),
            payload_len: object.payload_len.into(),
            class_and_kind: layout::pack_class(ordinal, kind),
        })
    }
}
