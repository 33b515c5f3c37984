//! What the scanner sees, turned into records.

use super::{batch::Batch, class_table::ClassTable, staging::Staging};
use crate::{
    error::Result,
    layout::{KindCode, ObjectRecord, SymbolRecord},
    manifest::{self, file},
    scan::{ClassFacts, ObjectFacts, Shape, Visitor},
    summary::TableFacts,
};

/// The tables of an index that grow during the pass over the dump.
pub(super) struct Tables {
    pub(super) objects: Batch<ObjectRecord>,
    pub(super) symbols: Batch<SymbolRecord>,
    pub(super) texts: Batch<u8>,
    pub(super) classes: ClassTable,
}

impl Tables {
    pub(super) fn create(staging: &Staging) -> Result<Self> {
        Ok(Self {
            objects: Batch::create(&staging.file(file::OBJECTS))?,
            symbols: Batch::create(&staging.file(file::SYMBOLS))?,
            texts: Batch::create(&staging.file(file::SYMBOL_TEXTS))?,
            classes: ClassTable::new(&staging.file(file::CLASSES)),
        })
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.objects.flush()?;
        self.symbols.flush()?;
        self.texts.flush()
    }

    /// Syncs the symbol tables and says what they are.
    pub(super) fn facts(&mut self, staging: &Staging) -> Result<[TableFacts; 2]> {
        self.symbols.storage().sync()?;
        self.texts.storage().sync()?;
        let symbols = staging.file(file::SYMBOLS);
        let texts = staging.file(file::SYMBOL_TEXTS);
        Ok([manifest::table_facts::<SymbolRecord>(&symbols)?, manifest::table_facts::<u8>(&texts)?])
    }
}

impl Visitor for Tables {
    fn text(&mut self, id: u64, text: &[u8]) -> Result<()> {
        let text_offset = self.texts.len().into();
        let text_len = u32::try_from(text.len()).unwrap_or(u32::MAX).into();
        self.texts.extend(text)?;
        self.symbols.push(SymbolRecord { id: id.into(), text_offset, text_len })
    }

    fn load_class(&mut self, class_id: u64, name_id: u64) -> Result<()> {
        self.classes.load(class_id, name_id)
    }

    fn class(&mut self, class: &ClassFacts) -> Result<()> {
        let ordinal = self.classes.describe(class)?;
        self.objects.push(ObjectRecord {
            id: class.id.into(),
            value_offset: class.offset.into(),
            payload_len: class.statics_len.into(),
            class_and_kind: ObjectRecord::pack(ordinal, KindCode::Class),
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
        self.objects.push(ObjectRecord {
            id: object.id.into(),
            value_offset: object.value_offset.into(),
            payload_len: object.payload_len.into(),
            class_and_kind: ObjectRecord::pack(ordinal, kind),
        })
    }
}
