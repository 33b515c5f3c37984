//! Fields, statics and stack traces, kept as blocks, and the names in them, each once: one region
//! file, made in memory and copied into the index whole.

use std::collections::HashMap;

use pagestone_heap::{Backup, Heap, RegionFile, Writer};
use pagestone_slab::{FileInterner, SlabFile as _};
use pagestone_storage::le::U64;

use super::{
    batch::Batch, class_table::ClassEntry, stacks::Stacks, staging::Staging, symbols::Symbols,
};
use crate::{
    class_dump::{self, FieldFacts, StaticFacts},
    error::{Error, ErrorKind, Result},
    facts::{
        self, NO_BLOCK, NamePlace, StoredField, StoredFrame, StoredLayout, encode_frames, store,
    },
    layout::{TraceRecord, origin},
    manifest::{self, file},
    name,
    pages::Pages,
    scan::FrameFacts,
    summary::TableFacts,
};

/// The address range of the smallest file.
const RESERVE_MIN: u64 = 64 << 20;

/// What the first pass found.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) classes: &'a [ClassEntry],
    pub(super) stacks: &'a Stacks,
    pub(super) symbols: &'a Symbols,
    pub(super) id_size: u8,
}

/// Writes and syncs the tables.
pub(super) fn write(
    found: Found<'_>,
    staging: &Staging,
    pages: &mut Pages,
) -> Result<[TableFacts; 3]> {
    // Fields and names come from the dump, and blocks are at most some ten times as long.
    let reserve = pages.len().saturating_mul(16).max(RESERVE_MIN);
    let file = RegionFile::options().reserve(reserve).in_memory()?;
    let (interner, blocks) = (file.interner(store::NAMES)?, file.heap(store::BLOCKS)?);
    let mut writer = file.writer();
    let names = Names { interner, blocks: &blocks, symbols: found.symbols, known: HashMap::new() };
    let mut layouts = Layouts { names, pages, id_size: found.id_size };
    let layout_facts = layouts.write(found.classes, staging, &mut writer)?;
    let trace_facts = write_traces(found, staging, &mut layouts.names, &mut writer)?;
    writer.commit()?;
    drop(writer);
    let path = staging.file(file::FACTS);
    file.backup(path.as_path(), Backup::new())?;
    Ok([layout_facts, trace_facts, manifest::table_facts::<u8>(&path)?])
}

/// The numbers of names, by their ids in the dump.
struct Names<'a> {
    interner: FileInterner,
    blocks: &'a Heap,
    symbols: &'a Symbols,
    known: HashMap<u64, u64>,
}

impl Names<'_> {
    fn number(&mut self, writer: &mut Writer<'_>, id: u64) -> Result<u64> {
        if let Some(&number) = self.known.get(&id) {
            return Ok(number);
        }
        let text = match self.symbols.text(id)? {
            Some(text) => name::text(&text),
            None => format!("<symbol {id:#x}>"),
        };
        let place = match facts::padded(&text) {
            Some(short) => NamePlace::Short(self.interner.intern(writer, &short)?.to_bits()),
            None => NamePlace::Long(self.blocks.allocate_from(writer, text.as_bytes())?.to_bits()),
        };
        let number = place.number().ok_or_else(|| {
            let path = std::path::Path::new(file::FACTS);
            Error::refused(ErrorKind::Unsupported, path, "too many names")
        })?;
        self.known.insert(id, number);
        Ok(number)
    }
}

struct Layouts<'a> {
    names: Names<'a>,
    pages: &'a mut Pages,
    id_size: u8,
}

impl Layouts<'_> {
    fn write(
        &mut self,
        classes: &[ClassEntry],
        staging: &Staging,
        writer: &mut Writer<'_>,
    ) -> Result<TableFacts> {
        let mut blocks = Batch::create(&staging.file(file::LAYOUTS))?;
        let mut bytes = Vec::new();
        for class in classes {
            let mut block = NO_BLOCK;
            if class.origin & origin::DUMPED != 0 {
                let layout = self.layout(class.dump_offset, writer)?;
                if layout != StoredLayout::default() {
                    bytes.clear();
                    layout.encode(&mut bytes);
                    block = self.names.blocks.allocate_from(writer, &bytes)?.to_bits();
                }
            }
            blocks.push(U64::new(block))?;
        }
        blocks.close()
    }

    fn layout(&mut self, dump_offset: u64, writer: &mut Writer<'_>) -> Result<StoredLayout> {
        let class = class_dump::read(self.pages, dump_offset, self.id_size)?;
        let mut layout = StoredLayout::default();
        for &FieldFacts { name_id, field_type } in &class.fields {
            let name = self.names.number(writer, name_id)?;
            layout.fields.push(StoredField { name, field_type, value: 0 });
        }
        for &StaticFacts { name_id, field_type, value } in &class.statics {
            let name = self.names.number(writer, name_id)?;
            layout.statics.push(StoredField { name, field_type, value });
        }
        Ok(layout)
    }
}

fn write_traces(
    found: Found<'_>,
    staging: &Staging,
    names: &mut Names<'_>,
    writer: &mut Writer<'_>,
) -> Result<TableFacts> {
    let stacks = found.stacks;
    let ordinals: HashMap<u64, u32> =
        found.classes.iter().zip(1..).map(|(class, number)| (class.id, number)).collect();
    // Of several records with one number the last counts.
    let classes: HashMap<u32, u32> = stacks
        .serials
        .iter()
        .filter_map(|(serial, id)| Some((*serial, *ordinals.get(id)?)))
        .collect();
    let frames: HashMap<u64, &FrameFacts> =
        stacks.frames.iter().map(|frame| (frame.id, frame)).collect();
    let mut traces: Vec<TraceRecord> = Vec::new();
    let mut stored = Vec::new();
    let mut bytes = Vec::new();
    for (place, trace) in stacks.traces.iter().enumerate() {
        let end =
            stacks.traces.get(place + 1).map_or(stacks.trace_frames.len(), |next| next.first_frame);
        stored.clear();
        for id in &stacks.trace_frames[trace.first_frame..end] {
            let Some(frame) = frames.get(id) else { continue };
            stored.push(frame_of(frame, (&classes, names), writer)?);
        }
        bytes.clear();
        encode_frames(&stored, &mut bytes);
        let block = names.blocks.allocate_from(writer, &bytes)?.to_bits().into();
        let (serial, thread_serial) = (trace.serial.into(), trace.thread_serial.into());
        traces.push(TraceRecord { block, serial, thread_serial });
    }
    // Stable, so of several with one number the last given is the last.
    traces.sort_by_key(|trace| trace.serial.get());
    let mut records = Batch::create(&staging.file(file::TRACES))?;
    records.extend(&traces)?;
    records.close()
}

fn frame_of(
    frame: &FrameFacts,
    (classes, names): (&HashMap<u32, u32>, &mut Names<'_>),
    writer: &mut Writer<'_>,
) -> Result<StoredFrame> {
    let mut number = |id| if id == 0 { Ok(0) } else { names.number(writer, id) };
    Ok(StoredFrame {
        method: number(frame.method_name_id)?,
        signature: number(frame.signature_id)?,
        source: number(frame.source_id)?,
        class: classes.get(&frame.class_serial).copied().unwrap_or(0),
        line: frame.line,
    })
}
