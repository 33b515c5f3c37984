//! The scanner: reads a dump once, front to back, and tells a visitor what is in it.
//!
//! Bounded in memory whatever the bytes say: one buffer, no allocation per record.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

mod input; // the buffered bytes, with their offset
mod body; // the rest of a record, bounded by its length
mod layout; // what the bytes mean
mod segment; // the sub-records
mod header; // the first bytes
#[cfg(test)]
mod tests; // dumps cut and changed at every byte

use crate::{
    damage::{Damage, DamageKind},
    error::Result,
    format::record,
};

use self::{
    body::{Body, Stop},
    input::Input,
    layout::{FrameBody, Id, Id4, Id8, LoadClassBody, RecordHead, TraceHead},
};
pub(crate) use self::{
    header::{HEADER_SIZE_MAX, Header, parse_header},
    input::Source,
};

/// The longest text that is kept whole: a JVM's symbols are shorter.
pub(crate) const TEXT_LEN_MAX: usize = 65_535;

/// How many damages are listed; more are counted.
const DAMAGE_LISTED_MAX: usize = 64;

/// What the scanner found, as it passes by.
pub(crate) trait Visitor {
    /// A `UTF8` record.
    fn text(&mut self, id: u64, text: &[u8]) -> Result<()>;
    /// A `LOAD_CLASS` record.
    fn load_class(&mut self, class: &LoadFacts) -> Result<()>;
    /// A `FRAME` record.
    fn frame(&mut self, frame: &FrameFacts) -> Result<()>;
    /// The numbers of a `TRACE` record: its serial and that of its thread.
    fn trace(&mut self, trace_serial: u32, thread_serial: u32) -> Result<()>;
    /// A frame of the trace told last.
    fn trace_frame(&mut self, frame_id: u64) -> Result<()>;
    /// A root.
    fn root(&mut self, root: &RootFacts) -> Result<()>;
    /// A `CLASS_DUMP`, read whole.
    fn class(&mut self, class: &ClassFacts) -> Result<()>;
    /// An object other than a class, all of whose payload is there.
    fn object(&mut self, object: &ObjectFacts) -> Result<()>;
}

/// A `LOAD_CLASS` record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoadFacts {
    pub(crate) serial: u32,
    pub(crate) class_id: u64,
    pub(crate) name_id: u64,
}

/// A `FRAME` record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameFacts {
    pub(crate) id: u64,
    pub(crate) method_name_id: u64,
    pub(crate) signature_id: u64,
    pub(crate) source_id: u64,
    pub(crate) class_serial: u32,
    /// Above 0 a line, else why there is none.
    pub(crate) line: i32,
}

/// A root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RootFacts {
    pub(crate) tag: u8,
    pub(crate) id: u64,
    /// 0 where the kind has none.
    pub(crate) thread_serial: u32,
    /// A frame number, or of a thread the serial of its trace; 0 where the kind has none.
    pub(crate) number: u32,
}

/// A `CLASS_DUMP`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClassFacts {
    pub(crate) id: u64,
    pub(crate) super_id: u64,
    pub(crate) loader_id: u64,
    pub(crate) instance_size: u32,
    /// Bytes of the values of its static fields.
    pub(crate) statics_len: u32,
    /// Offset of its id.
    pub(crate) offset: u64,
}

/// What an object is an instance of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Instance { class_id: u64 },
    ObjectArray { class_id: u64 },
    PrimitiveArray(crate::format::Primitive),
}

/// An instance or array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ObjectFacts {
    pub(crate) id: u64,
    pub(crate) shape: Shape,
    /// Offset of the first value.
    pub(crate) value_offset: u64,
    pub(crate) payload_len: u32,
}

/// What a scan came to.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) header: Header,
    /// Bytes that were read.
    pub(crate) len: u64,
    /// Records by tag.
    pub(crate) records: [u64; 256],
    /// Sub-records by type byte.
    pub(crate) sub_records: [u64; 256],
    pub(crate) damages: Damages,
}

/// The damages met: the first ones, and how many there are.
#[derive(Debug, Default)]
pub(crate) struct Damages {
    pub(crate) listed: Vec<Damage>,
    pub(crate) count: u64,
}

impl Damages {
    pub(crate) fn add(&mut self, kind: DamageKind, offset: u64, tag: u8) {
        let damage = Damage { kind, offset, tag };
        self.count = self.count.saturating_add(1);
        if self.listed.len() < DAMAGE_LISTED_MAX {
            self.listed.push(damage);
        } else if let Some(last) = self.listed.last_mut()
            && damage.is_end()
        {
            // Where the dump stops is always told.
            *last = damage;
        }
    }
}

/// Reads a dump from `source` and tells `visitor` what is in it.
///
/// Damage inside the dump is not an error: it is listed, and what can be read is.
///
/// # Errors
///
/// `NotADump`; those of the source and of the visitor.
pub(crate) fn scan(source: &mut dyn Source, visitor: &mut impl Visitor) -> Result<Scanned> {
    let mut input = Input::new(source);
    let header = header::read(&mut input)?;
    let scan = Scan {
        heap: Heap::Missing,
        part: (0, 0),
        done: Scanned {
            header,
            len: 0,
            records: [0; 256],
            sub_records: [0; 256],
            damages: Damages::default(),
        },
        visitor,
    };
    match scan.done.header.id_size {
        4 => scan.run::<Id4>(input),
        _ => scan.run::<Id8>(input),
    }
}

/// What has been seen of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heap {
    Missing,
    /// Segments that wait for their end record.
    Open,
    Complete,
}

/// A scan under way.
struct Scan<'v, V> {
    heap: Heap,
    /// Offset and tag of the record or sub-record being read.
    part: (u64, u8),
    done: Scanned,
    visitor: &'v mut V,
}

impl<V: Visitor> Scan<'_, V> {
    fn run<I: Id>(mut self, mut input: Input<'_>) -> Result<Scanned> {
        loop {
            let start = input.offset();
            let head = match Body::all(&mut input).take::<RecordHead>() {
                Ok(head) => *head,
                Err(Stop::Failed(error)) => return Err(error),
                Err(_) => {
                    self.end_of_file(start, input.end_offset());
                    break;
                }
            };
            count(&mut self.done.records, head.tag);
            self.part = (start, head.tag);
            let mut body = Body::new(&mut input, u64::from(head.body_len.get()));
            match self.whole_record::<I>(head.tag, &mut body) {
                Ok(()) => self.heap_after(head.tag),
                Err(Stop::Failed(error)) => return Err(error),
                Err(_) => {
                    let (offset, tag) = self.part;
                    self.done.damages.add(DamageKind::Truncated, offset, tag);
                    break;
                }
            }
        }
        self.done.len = input.end_offset();
        Ok(self.done)
    }

    /// Reads a record to its end; it stops only where the file does.
    fn whole_record<I: Id>(&mut self, tag: u8, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        match self.record::<I>(tag, body) {
            Err(Stop::Overrun | Stop::UnknownType) => {
                let (offset, tag) = self.part;
                self.done.damages.add(DamageKind::ShortRecord, offset, tag);
            }
            read => read?,
        }
        body.skip_rest()
    }

    fn heap_after(&mut self, tag: u8) {
        self.heap = match (tag, self.heap) {
            (record::HEAP_DUMP_SEGMENT, _) => Heap::Open,
            (record::HEAP_DUMP_END, _) | (record::HEAP_DUMP, Heap::Missing) => Heap::Complete,
            (_, heap) => heap,
        };
    }

    /// The file ends, at a record's border or inside the head of one.
    fn end_of_file(&mut self, start: u64, end: u64) {
        if start < end {
            self.done.damages.add(DamageKind::Truncated, start, 0);
        } else if self.heap != Heap::Complete {
            self.done.damages.add(DamageKind::MissingEnd, end, 0);
        }
    }

    /// Reads what is of interest in a record.
    fn record<I: Id>(&mut self, tag: u8, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        match tag {
            record::UTF8 => self.text::<I>(body),
            record::LOAD_CLASS => {
                let load = body.take::<LoadClassBody<I>>()?;
                Ok(self.visitor.load_class(&LoadFacts {
                    serial: load.serial.get(),
                    class_id: load.class_id.get(),
                    name_id: load.name_id.get(),
                })?)
            }
            record::FRAME => {
                let frame = body.take::<FrameBody<I>>()?;
                Ok(self.visitor.frame(&FrameFacts {
                    id: frame.id.get(),
                    method_name_id: frame.method_name_id.get(),
                    signature_id: frame.signature_id.get(),
                    source_id: frame.source_id.get(),
                    class_serial: frame.class_serial.get(),
                    line: frame.line.get(),
                })?)
            }
            record::TRACE => self.trace::<I>(body),
            record::HEAP_DUMP | record::HEAP_DUMP_SEGMENT => self.segment::<I>(body),
            _ => Ok(()),
        }
    }

    fn text<I: Id>(&mut self, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        let id = body.take::<I>()?.get();
        let len = usize::try_from(body.left()).unwrap_or(TEXT_LEN_MAX).min(TEXT_LEN_MAX);
        let text = body.take_bytes(len)?;
        self.visitor.text(id, text)?;
        if 0 < body.left() {
            self.done.damages.add(DamageKind::LongText, self.part.0, record::UTF8);
        }
        Ok(())
    }
}

impl<V: Visitor> Scan<'_, V> {
    fn trace<I: Id>(&mut self, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        let head = *body.take::<TraceHead>()?;
        self.visitor.trace(head.serial.get(), head.thread_serial.get())?;
        for _ in 0..head.frame_count.get() {
            let id = body.take::<I>()?.get();
            self.visitor.trace_frame(id)?;
        }
        Ok(())
    }
}

fn count(counts: &mut [u64; 256], tag: u8) {
    if let Some(count) = counts.get_mut(usize::from(tag)) {
        *count = count.saturating_add(1);
    }
}
