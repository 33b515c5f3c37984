//! `pagestone dump` and `get`: the blocks of a store.

use pagestone_heap::{BlockId, Heap, Pin};
use serde::Serialize;

use super::{open, store};
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

pub(crate) fn dump(args: &DumpArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(&args.file)?;
    let heap = store(&file, &args.store)?;
    let pin = file.pin();
    let columns = [
        ("id", Align::Left),
        ("bytes", Align::Right),
        ("flags", Align::Left),
        ("payload", Align::Left),
    ];
    let mut listing = Listing::new(out.format(), columns);
    let mut damaged = Vec::new();
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    for block in heap.blocks(&pin).take(limit) {
        let (id, bytes) = match block {
            Ok(block) => block,
            Err(error) => {
                damaged.push(error);
                continue;
            }
        };
        if args.raw {
            out.bytes(bytes)?;
        } else if out.format() == Format::Json {
            out.json(&describe(&heap, &pin, id)?)?;
        } else {
            let flags = format!("{:#010x}", heap.flags(&pin, id)?);
            let payload = if args.hex { hex(bytes) } else { glance(bytes) };
            let cells = [id.to_string(), flags, payload].map(Cell::Text);
            let [id, flags, payload] = cells;
            listing.row(out, vec![id, (bytes.len() as u64).into(), flags, payload])?;
        }
    }
    if !args.raw {
        listing.end(out)?;
        out.took()?;
    }
    damaged.iter().try_for_each(|error| out.finding(error))
}

pub(crate) fn get(args: &BlockArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(&args.file)?;
    let heap = store(&file, &args.store)?;
    let pin = file.pin();
    let id = BlockId::from_bits(args.id);
    if args.raw {
        return out.bytes(heap.get(&pin, id)?);
    }
    let block = describe(&heap, &pin, id)?;
    if out.format() == Format::Json {
        return out.json(&block);
    }
    Facts::new()
        .add("id", id)
        .add("bytes", format!("{} of {}", thousands(block.bytes), thousands(block.capacity)))
        .add("flags", format!("{:#010x}", block.flags))
        .show(out)?;
    out.line("")?;
    for (line, bytes) in heap.get(&pin, id)?.chunks(LINE).enumerate() {
        let halves: Vec<String> = bytes.chunks(LINE / 2).map(hex).collect();
        let halves = halves.join(" ");
        out.line(format_args!("{:08x}  {halves:33}  {}", line * LINE, letters(bytes)))?;
    }
    out.took()
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
fn glance(bytes: &[u8]) -> String {
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
