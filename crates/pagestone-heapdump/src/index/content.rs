//! What is in objects and classes: fields, elements, static fields, stack traces.
//!
//! Names and layouts lie in the index, values in the dump, which must still be there.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use pagestone_heap::{BlockId, Heap, RegionFile};
use pagestone_slab::{FileInterner, SlabFile as _, Symbol};
use pagestone_storage::le::U64;
use serde::Serialize;

use super::{
    HeapIndex,
    mapped::{Files, Lazy, Mapped},
};
use crate::{
    checks::BlockChecks,
    class_dump::FieldType,
    error::{Error, ErrorKind, Result},
    facts::{NO_BLOCK, NamePlace, StoredLayout, decode_frames, store, unpadded},
    format::Primitive,
    layout::{KindCode, TraceRecord},
    manifest::file,
    pages::{PAGE_LEN, Pages},
    samples,
    summary::{Packing, Summary},
};

/// Superclasses that are followed: no program has as many, but a damaged index can.
const DEPTH_MAX: usize = 512;

/// The value of a field or element.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Value {
    /// The id of an object, 0 for none; the dump need not hold it.
    Reference(u64),
    /// A truth value.
    Boolean(bool),
    /// A UTF-16 unit.
    Char(u16),
    /// A 32-bit float.
    Float(f32),
    /// A 64-bit float.
    Double(f64),
    /// A signed byte.
    Byte(i8),
    /// A signed 16-bit number.
    Short(i16),
    /// A signed 32-bit number.
    Int(i32),
    /// A signed 64-bit number.
    Long(i64),
}

impl Value {
    #[expect(clippy::cast_possible_truncation, reason = "the value is in the low bits")]
    fn new(field_type: FieldType, bits: u64) -> Self {
        match field_type {
            FieldType::Reference => Self::Reference(bits),
            FieldType::Primitive(Primitive::Boolean) => Self::Boolean(bits != 0),
            FieldType::Primitive(Primitive::Char) => Self::Char(bits as u16),
            FieldType::Primitive(Primitive::Float) => Self::Float(f32::from_bits(bits as u32)),
            FieldType::Primitive(Primitive::Double) => Self::Double(f64::from_bits(bits)),
            FieldType::Primitive(Primitive::Byte) => Self::Byte((bits as u8).cast_signed()),
            FieldType::Primitive(Primitive::Short) => Self::Short((bits as u16).cast_signed()),
            FieldType::Primitive(Primitive::Int) => Self::Int((bits as u32).cast_signed()),
            FieldType::Primitive(Primitive::Long) => Self::Long(bits.cast_signed()),
        }
    }
}

/// A field with its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Field<'a> {
    /// Its name.
    pub name: String,
    /// The name of the class that declares it: a subclass may have one of the same name.
    pub class_name: &'a str,
    /// Its value.
    pub value: Value,
}

/// A frame of a stack trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// The class of the method, where the dump names it.
    pub class_name: Option<&'a str>,
    /// The name of the method.
    pub method: Option<String>,
    /// The parameters and the result of the method, as in `(I)V`.
    pub signature: Option<String>,
    /// The name of the source file.
    pub source: Option<String>,
    /// Above 0 the line, else −1 unknown, −2 compiled, −3 native.
    pub line: i32,
}

/// A stack trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StackTrace<'a> {
    /// Its number in the dump.
    pub serial: u32,
    /// The number of its thread, 0 for none.
    pub thread_serial: u32,
    /// The innermost first.
    pub frames: Vec<Frame<'a>>,
}

/// The region file with names, layouts and traces.
struct Facts {
    file: RegionFile,
    names: FileInterner,
    blocks: Heap,
}

/// The blocks and names of the index, and the dump.
pub(super) struct Content {
    files: Arc<Files>,
    facts: Lazy<Facts>,
    layouts: Mapped<U64>,
    traces: Mapped<TraceRecord>,
    dump_path: PathBuf,
    /// Whether the dump is a file of the index.
    has_dump: bool,
    /// The dump, once a value was asked for.
    dump: Mutex<Option<Pages>>,
}

impl Content {
    pub(super) fn new(files: &Arc<Files>) -> Result<Self> {
        files.facts(file::FACTS)?;
        let (dump_path, has_dump) = match files.manifest.summary.packing {
            Packing::Plain => (PathBuf::from(&files.manifest.summary.dump_path), false),
            Packing::Gzip => (files.path(file::UNPACKED), true),
        };
        Ok(Self {
            files: Arc::clone(files),
            facts: Lazy::new(),
            layouts: Mapped::new(files, file::LAYOUTS)?,
            traces: Mapped::new(files, file::TRACES)?,
            dump_path,
            has_dump,
            dump: Mutex::new(None),
        })
    }

    /// The region file, which is compared with its checksums before anything in it is believed.
    fn facts(&self) -> Result<&Facts> {
        self.facts.get(|| {
            self.files.checks(file::FACTS)?.check_all()?;
            let options = RegionFile::options().reserve(self.files.facts(file::FACTS)?.byte_len);
            let file = options.open_read_only(self.files.dir.file(file::FACTS))?;
            Ok(Facts {
                names: file.interner(store::NAMES)?,
                blocks: file.heap(store::BLOCKS)?,
                file,
            })
        })
    }

    /// The name that a number stands for.
    pub(super) fn name(&self, number: u64) -> Result<String> {
        let facts = self.facts()?;
        let pin = facts.file.pin();
        let foreign = || Error::corrupt(facts.file.path(), "name", ("its number", number));
        let bytes = match NamePlace::from_number(number).ok_or_else(foreign)? {
            NamePlace::Short(bits) => {
                let symbol = Symbol::from_bits(bits).ok_or_else(foreign)?;
                unpadded(facts.names.resolve(&pin, symbol)?)
            }
            NamePlace::Long(bits) => facts.blocks.get(&pin, BlockId::from_bits(bits))?,
        };
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    pub(super) fn layout(&self, class: u32) -> Result<StoredLayout> {
        let block = self.layouts.get(class)?.get();
        if block == NO_BLOCK {
            return Ok(StoredLayout::default());
        }
        let facts = self.facts()?;
        let pin = facts.file.pin();
        let bytes = facts.blocks.get(&pin, BlockId::from_bits(block))?;
        StoredLayout::decode(bytes).ok_or_else(|| {
            let found = format!("other bytes in block {block:#x}");
            Error::corrupt(facts.file.path(), "fields of a class", ("fields", found))
        })
    }

    /// Calls `with` with the dump, which is opened and compared with what the index knows of it.
    pub(super) fn with_dump<T>(
        &self,
        summary: &Summary,
        with: impl FnOnce(&mut Pages) -> Result<T>,
    ) -> Result<T> {
        let mut dump = self.dump.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = match &mut *dump {
            Some(pages) => pages,
            vacant => {
                let path = &self.dump_path;
                let own = if self.has_dump { Some(file::UNPACKED) } else { None };
                let checks = own.map(|name| self.files.checks(name)).transpose()?;
                let pages = open_dump((path, checks.map(Arc::new)), summary)?;
                vacant.insert(pages)
            }
        };
        with(pages)
    }
}

fn open_dump(
    (path, checks): (&Path, Option<Arc<BlockChecks>>),
    summary: &Summary,
) -> Result<Pages> {
    let found = samples::checksum(path, summary.dump_len)?;
    if found != Some(summary.sample_crc32) {
        let what = "not the dump that the index was built from, or changed since";
        return Err(Error::refused(ErrorKind::Corrupt, path, what));
    }
    Ok(Pages::open(path, summary.dump_len)?.compared_with(checks))
}

/// A number that lies in the dump, high byte first.
fn number(pages: &mut Pages, offset: u64, size: u8) -> Result<u64> {
    let bytes = pages.bytes(offset, usize::from(size))?;
    Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

impl HeapIndex {
    /// Looks for the values of objects in the file at `path`: for a dump that was moved.
    ///
    /// It is compared with what the index knows of its dump when a value is asked for.
    pub fn set_dump(&mut self, path: impl AsRef<Path>) {
        self.content.dump_path = path.as_ref().to_path_buf();
        self.content.has_dump = false;
        self.content.dump = Mutex::new(None);
    }

    pub(super) fn id_size(&self) -> u8 {
        if self.summary().id_size == 4 { 4 } else { 8 }
    }

    /// Returns the fields of an instance: those of its own class first, then those of its
    /// superclasses, each class's in the order of the dump. Empty for what is no instance, none
    /// when there is no such object.
    ///
    /// # Errors
    ///
    /// `Corrupt`, also for a dump that is not the one the index was built from; `NotFound` when
    /// the dump is not there; `Io`.
    pub fn fields(&self, id: u64) -> Result<Option<Vec<Field<'_>>>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let record = self.tables.object(ordinal)?;
        if record.kind != KindCode::Instance {
            return Ok(Some(Vec::new()));
        }
        let payload_len = u64::from(record.payload_len);
        let mut fields = Vec::new();
        let mut class = Some(record.class);
        let mut offset = 0;
        for _ in 0..DEPTH_MAX {
            let Some(declaring) = class else { break };
            let described = self.tables.class(declaring)?;
            let class_name = self.names.get(&described)?;
            for field in self.content.layout(declaring)?.fields {
                let size = field.field_type.size(self.id_size());
                if payload_len < offset + u64::from(size) {
                    return Ok(Some(fields));
                }
                let at = record.value_offset + offset;
                let bits = self.content.with_dump(self.summary(), |dump| number(dump, at, size))?;
                let (name, value) =
                    (self.content.name(field.name)?, Value::new(field.field_type, bits));
                fields.push(Field { name, class_name, value });
                offset += u64::from(size);
            }
            class = self.class_ordinal(described.super_id.get())?;
        }
        Ok(Some(fields))
    }

    /// Returns the static fields of the class with an id; none when there is no such class. The
    /// dump is not needed.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn statics(&self, class_id: u64) -> Result<Option<Vec<Field<'_>>>> {
        let Some(class) = self.class_ordinal(class_id)? else { return Ok(None) };
        let class_name = self.names.get(&self.tables.class(class)?)?;
        let statics = self.content.layout(class)?.statics.into_iter();
        let fields = statics.map(|field| {
            let value = Value::new(field.field_type, field.value);
            Ok(Field { name: self.content.name(field.name)?, class_name, value })
        });
        fields.collect::<Result<_>>().map(Some)
    }

    /// Returns at most `limit` elements of an array from number `first` on. Empty for what is no
    /// array, none when there is no such object.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields).
    pub fn elements(&self, id: u64, (first, limit): (u64, usize)) -> Result<Option<Vec<Value>>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let record = self.tables.object(ordinal)?;
        let field_type = match record.kind {
            KindCode::ObjectArray => FieldType::Reference,
            KindCode::PrimitiveArray => {
                let class = record.class;
                let primitive = Primitive::ALL.get(class as usize).copied();
                let corrupt = || self.tables.corrupt_object("class", class);
                FieldType::Primitive(primitive.ok_or_else(corrupt)?)
            }
            KindCode::Class | KindCode::Instance => return Ok(Some(Vec::new())),
        };
        let size = field_type.size(self.id_size());
        let count = u64::from(record.payload_len) / u64::from(size);
        let end = first.saturating_add(limit as u64).min(count);
        let mut values = Vec::new();
        self.content.with_dump(self.summary(), |dump| {
            for place in first..end {
                let at = record.value_offset + place * u64::from(size);
                values.push(Value::new(field_type, number(dump, at, size)?));
            }
            Ok(Some(values))
        })
    }

    /// Returns the bytes of the payload of an instance or array as the dump stores them, high
    /// bytes first, from byte `first` on, at most `limit` and 32 KiB. None as for `elements`.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields).
    pub fn payload(&self, id: u64, (first, limit): (u64, usize)) -> Result<Option<Vec<u8>>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let record = self.tables.object(ordinal)?;
        if record.kind == KindCode::Class {
            return Ok(Some(Vec::new()));
        }
        let payload_len = u64::from(record.payload_len);
        let left = usize::try_from(payload_len.saturating_sub(first)).unwrap_or(PAGE_LEN);
        let len = left.min(limit).min(PAGE_LEN);
        let at = record.value_offset.saturating_add(first);
        let bytes =
            self.content.with_dump(self.summary(), |dump| Ok(dump.bytes(at, len)?.to_vec()))?;
        Ok(Some(bytes))
    }

    /// Returns the stack trace with a number; none when the dump has no such trace.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn stack_trace(&self, serial: u32) -> Result<Option<StackTrace<'_>>> {
        let traces = &self.content.traces;
        let after = traces.partition_point(|trace| trace.serial.get() <= serial)?;
        let found = match after.checked_sub(1) {
            Some(place) => traces.range(place..after)?.first(),
            None => None,
        };
        let Some(found) = found.filter(|found| found.serial.get() == serial) else {
            return Ok(None);
        };
        let facts = self.content.facts()?;
        let path = facts.file.path();
        let stored = {
            let pin = facts.file.pin();
            let id = BlockId::from_bits(found.block.get());
            decode_frames(facts.blocks.get(&pin, id)?)
        };
        let stored =
            stored.ok_or_else(|| Error::corrupt(path, "stack trace", ("frames", "other bytes")))?;
        let name = |bits| match bits {
            0 => Ok(None),
            bits => self.content.name(bits).map(Some),
        };
        let mut frames = Vec::with_capacity(stored.len());
        for frame in stored {
            let class_name = match frame.class.checked_sub(1) {
                Some(class) => Some(self.names.get(&self.tables.class(class)?)?),
                None => None,
            };
            frames.push(Frame {
                class_name,
                method: name(frame.method)?,
                signature: name(frame.signature)?,
                source: name(frame.source)?,
                line: frame.line,
            });
        }
        Ok(Some(StackTrace { serial, thread_serial: found.thread_serial.get(), frames }))
    }

    /// Returns the stack trace of an object: where it was allocated, if the JVM recorded that, and
    /// for the object of a thread where the thread is. None when there is neither.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields).
    pub fn stack_trace_of(&self, id: u64) -> Result<Option<StackTrace<'_>>> {
        for root in self.roots_of(id)? {
            if let Some(serial) = root.trace_serial
                && let Some(trace) = self.stack_trace(serial)?
            {
                return Ok(Some(trace));
            }
        }
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let record = self.tables.object(ordinal)?;
        let (offset, id_size) = (record.value_offset, u64::from(self.id_size()));
        // The serial stands before what differs between the kinds.
        let at = match record.kind {
            KindCode::Class => Some(offset + id_size),
            KindCode::Instance | KindCode::ObjectArray => offset.checked_sub(id_size + 8),
            KindCode::PrimitiveArray => offset.checked_sub(9),
        };
        let at = at.ok_or_else(|| self.tables.corrupt_object("offset", 0))?;
        let serial = self.content.with_dump(self.summary(), |dump| number(dump, at, 4))?;
        let trace = self.stack_trace(u32::try_from(serial).unwrap_or(0))?;
        Ok(trace.filter(|trace| !trace.frames.is_empty()))
    }
}
