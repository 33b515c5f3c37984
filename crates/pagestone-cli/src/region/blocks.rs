//! `pagestone dump` and `get`: the blocks of a heap, the entries of a log, what slabs hold.

use pagestone_buffer::EntryBuffer;
use pagestone_heap::{BlockId, Error, Heap, Pin};
use serde::Serialize;

use super::{Store, open, slabs, store};
use crate::{
    args::{BlockArgs, DumpArgs},
    output::{Align, Cell, Facts, Format, Listing, Output, hex, thousands},
};

/// Bytes of payload that a line of a table has room for.
const SHOWN: usize = 24;
/// Bytes per line of a payload.
const LINE: usize = 16;

#[derive(Serialize)]
struct Block {
    id: u64,
    bytes: u64,
    capacity: u64,
    flags: u32,
    hex: String,
}

#[derive(Serialize)]
struct Entry {
    id: u64,
    bytes: u64,
    sequence: u64,
    offset: u64,
    hex: String,
}

pub(crate) fn dump(args: &DumpArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(&args.file)?;
    let pin = file.pin();
    let damaged = match store(&file, &args.store)? {
        Store::Heap(heap) => dump_blocks(args, (&heap, &pin), out)?,
        Store::Log(log) => dump_entries(args, (&log, &pin), out)?,
        Store::Slabs(store) => slabs::dump(args, (&store, &pin), out)?,
        Store::Numbers(numbers) => slabs::dump_numbers(args, (&numbers, &pin), out)?,
    };
    if !args.raw {
        out.took()?;
    }
    damaged.iter().try_for_each(|error| out.finding(error))
}

pub(super) fn limit(args: &DumpArgs) -> usize {
    if args.limit == 0 { usize::MAX } else { args.limit }
}

/// Lists the blocks of a heap; returns those that are damaged.
fn dump_blocks(
    args: &DumpArgs,
    (heap, pin): (&Heap, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<Vec<String>> {
    let columns = [
        ("id", Align::Left),
        ("bytes", Align::Right),
        ("flags", Align::Left),
        ("payload", Align::Left),
    ];
    let mut listing = Listing::new(out.format(), columns);
    let mut damaged = Vec::new();
    for block in heap.blocks(pin).take(limit(args)) {
        let (id, bytes) = match block {
            Ok(block) => block,
            Err(error) => {
                damaged.push(error.to_string());
                continue;
            }
        };
        if args.raw {
            out.bytes(bytes)?;
        } else if out.format() == Format::Json {
            out.json(&describe(heap, pin, id)?)?;
        } else {
            let flags = format!("{:#010x}", heap.flags(pin, id)?);
            let payload = if args.hex { hex(bytes) } else { glance(bytes) };
            let cells = [id.to_string(), flags, payload].map(Cell::Text);
            let [id, flags, payload] = cells;
            listing.row(out, vec![id, (bytes.len() as u64).into(), flags, payload])?;
        }
    }
    if !args.raw {
        listing.end(out)?;
    }
    Ok(damaged)
}

/// Lists the entries of a log; returns those that are damaged.
fn dump_entries(
    args: &DumpArgs,
    (log, pin): (&EntryBuffer, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<Vec<String>> {
    let columns = [
        ("id", Align::Left),
        ("bytes", Align::Right),
        ("sequence", Align::Right),
        ("payload", Align::Left),
    ];
    let mut listing = Listing::new(out.format(), columns);
    let mut damaged = Vec::new();
    for id in log.ids(pin).take(limit(args)) {
        let entry = match describe_entry(log, pin, id) {
            Ok(entry) => entry,
            Err(error) => {
                damaged.push(error.to_string());
                continue;
            }
        };
        let bytes = log.get(pin, id)?;
        if args.raw {
            out.bytes(bytes)?;
        } else if out.format() == Format::Json {
            out.json(&entry)?;
        } else {
            let payload = if args.hex { entry.hex } else { glance(bytes) };
            let [id, payload] = [id.to_string(), payload].map(Cell::Text);
            listing.row(out, vec![id, entry.bytes.into(), entry.sequence.into(), payload])?;
        }
    }
    if !args.raw {
        listing.end(out)?;
    }
    Ok(damaged)
}

pub(crate) fn get(args: &BlockArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(&args.file)?;
    let pin = file.pin();
    match store(&file, &args.store)? {
        Store::Heap(heap) => get_block(args, (&heap, &pin), out),
        Store::Log(log) => get_entry(args, (&log, &pin), out),
        Store::Slabs(store) => slabs::get(args, (&store, &pin), out),
        Store::Numbers(numbers) => slabs::get_number(args, (&numbers, &pin), out),
    }
}

fn get_block(
    args: &BlockArgs,
    (heap, pin): (&Heap, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<()> {
    let id = BlockId::from_bits(args.id);
    let bytes = heap.get(pin, id)?;
    if args.raw {
        return out.bytes(bytes);
    }
    let block = describe(heap, pin, id)?;
    if out.format() == Format::Json {
        return out.json(&block);
    }
    let len = format!("{} of {}", thousands(block.bytes), thousands(block.capacity));
    let mut facts = Facts::new();
    facts.add("id", id).add("bytes", len).add("flags", format!("{:#010x}", block.flags));
    show(&facts, bytes, out)
}

fn get_entry(
    args: &BlockArgs,
    (log, pin): (&EntryBuffer, &Pin<'_>),
    out: &mut Output,
) -> anyhow::Result<()> {
    let id = BlockId::from_bits(args.id);
    let bytes = log.get(pin, id)?;
    if args.raw {
        return out.bytes(bytes);
    }
    let entry = describe_entry(log, pin, id)?;
    if out.format() == Format::Json {
        return out.json(&entry);
    }
    let mut facts = Facts::new();
    facts
        .add("id", id)
        .add("bytes", thousands(entry.bytes))
        .add("sequence", thousands(entry.sequence))
        .add("offset", thousands(entry.offset));
    show(&facts, bytes, out)
}

/// Shows facts, then bytes, in hexadecimal and as letters.
pub(super) fn show(facts: &Facts, bytes: &[u8], out: &mut Output) -> anyhow::Result<()> {
    facts.show(out)?;
    out.line("")?;
    for (line, bytes) in bytes.chunks(LINE).enumerate() {
        let halves: Vec<String> = bytes.chunks(LINE / 2).map(hex).collect();
        let halves = halves.join(" ");
        out.line(format_args!("{:08x}  {halves:33}  {}", line * LINE, letters(bytes)))?;
    }
    out.took()
}

fn describe_entry(log: &EntryBuffer, pin: &Pin<'_>, id: BlockId) -> Result<Entry, Error> {
    let facts = log.header(pin, id)?;
    Ok(Entry {
        id: id.to_bits(),
        bytes: facts.len,
        sequence: facts.sequence,
        offset: facts.offset,
        hex: hex(log.get(pin, id)?),
    })
}

fn describe(heap: &Heap, pin: &Pin<'_>, id: BlockId) -> anyhow::Result<Block> {
    Ok(Block {
        id: id.to_bits(),
        bytes: heap.len(pin, id)?,
        capacity: heap.capacity(pin, id)?,
        flags: heap.flags(pin, id)?,
        hex: hex(heap.get(pin, id)?),
    })
}

/// The first bytes, as letters.
pub(super) fn glance(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(first) if SHOWN < bytes.len() => format!("{}...", letters(first)),
        _ => letters(bytes),
    }
}

/// ASCII as it is, a dot for every other byte.
fn letters(bytes: &[u8]) -> String {
    let letter = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
    bytes.iter().map(letter).collect()
}
