//! `pagestone stats`: how the space of a region file is used.

mod slabs; // slabs, pool by pool, and numbers

use pagestone_buffer::EntryBuffer;
use pagestone_heap::{Heap, Pin, RegionFile, Stats};
use serde::Serialize;

use self::slabs::{Numbered, Slabbed};
use super::{Store as Kept, open, stores};
use crate::{
    args::RegionFileArgs,
    output::{Align, Cell, Facts, Format, Listing, Output, thousands},
};

/// Regions by what they hold, in the order of [`Stats::region_counts`].
const KINDS: [&str; 6] = ["directory", "slot tables", "blocks", "one block", "entries", "slabs"];

#[derive(Serialize)]
struct Counted {
    file: String,
    bytes: u64,
    regions: Vec<Regions>,
    free: u64,
    free_ranges: u64,
    quarantined: u64,
    stores: Vec<Store>,
    logs: Vec<Log>,
    slabs: Vec<Slabbed>,
    numbers: Vec<Numbered>,
    blocks: u64,
    entries: u64,
    objects: u64,
    payload: u64,
    file_per_payload: Option<f64>,
}

#[derive(Serialize)]
struct Regions {
    kind: &'static str,
    count: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Store {
    name: String,
    blocks: u64,
    payload: u64,
}

#[derive(Serialize)]
struct Log {
    name: String,
    entries: u64,
    payload: u64,
    /// Absent where they cannot be counted.
    #[serde(flatten)]
    space: Option<Space>,
}

#[derive(Serialize)]
struct Space {
    #[serde(rename = "segments")]
    segment_count: u64,
    capacity: u64,
    used: u64,
    live: u64,
    garbage_share: f64,
}

pub(crate) fn run(args: &RegionFileArgs, out: &mut Output) -> anyhow::Result<()> {
    let file = open(args)?;
    let mut damaged = Vec::new();
    let counted = count(&file, &mut damaged)?;
    if out.format() == Format::Json {
        out.json(&counted)?;
    } else {
        show_regions(&counted, out)?;
        out.line("")?;
        show_stores(&counted, out)?;
        out.line("")?;
        if !counted.logs.is_empty() {
            show_logs(&counted, out)?;
            out.line("")?;
        }
        if !counted.slabs.is_empty() {
            slabs::show(&counted.slabs, out)?;
            out.line("")?;
        }
        if !counted.numbers.is_empty() {
            slabs::show_numbers(&counted.numbers, out)?;
            out.line("")?;
        }
        show_facts(&counted, out)?;
        out.took()?;
    }
    damaged.iter().try_for_each(|error| out.finding(error))
}

fn count(file: &RegionFile, damaged: &mut Vec<String>) -> anyhow::Result<Counted> {
    let stats: Stats = file.stats();
    let regions = KINDS.into_iter().zip(stats.region_counts).zip(stats.region_lens);
    let pin = file.pin();
    let (mut heaps, mut logs) = (Vec::new(), Vec::new());
    let (mut slabs, mut numbers) = (Vec::new(), Vec::new());
    for (name, store) in stores(file)? {
        match store {
            Kept::Heap(heap) => heaps.push(count_blocks(name, (&heap, &pin), damaged)),
            Kept::Log(log) => logs.push(count_entries(name, (&log, &pin), damaged)),
            Kept::Slabs(store) => match Slabbed::count((file, name), &store) {
                Ok(found) => slabs.push(found),
                Err(error) => damaged.push(error.to_string()),
            },
            Kept::Numbers(store) => numbers.push(Numbered::count((file, name), &store)),
        }
    }
    let in_heaps: u64 = heaps.iter().map(|store| store.payload).sum();
    let in_logs: u64 = logs.iter().map(|log| log.payload).sum();
    let payload = in_heaps + in_logs + slabs.iter().map(Slabbed::in_slabs).sum::<u64>();
    #[expect(clippy::cast_precision_loss, reason = "a ratio to look at")]
    let ratio = (payload != 0).then(|| stats.file_len as f64 / payload as f64);
    Ok(Counted {
        file: file.path().to_string_lossy().into_owned(),
        bytes: stats.file_len,
        regions: regions.map(|((kind, count), bytes)| Regions { kind, count, bytes }).collect(),
        free: stats.free,
        free_ranges: stats.free_ranges,
        quarantined: stats.quarantined,
        blocks: heaps.iter().map(|store| store.blocks).sum(),
        entries: logs.iter().map(|log| log.entries).sum(),
        objects: slabs.iter().map(Slabbed::live).sum(),
        stores: heaps,
        logs,
        slabs,
        numbers,
        payload,
        file_per_payload: ratio,
    })
}

fn count_blocks(name: String, (heap, pin): (&Heap, &Pin<'_>), damaged: &mut Vec<String>) -> Store {
    let mut found = Store { name, blocks: 0, payload: 0 };
    for block in heap.blocks(pin) {
        match block {
            Ok((_, bytes)) => {
                found.blocks += 1;
                found.payload += bytes.len() as u64;
            }
            Err(error) => damaged.push(error.to_string()),
        }
    }
    found
}

fn count_entries(
    name: String,
    (log, pin): (&EntryBuffer, &Pin<'_>),
    damaged: &mut Vec<String>,
) -> Log {
    let mut found = Log { name, entries: 0, payload: 0, space: None };
    for id in log.ids(pin) {
        match log.header(pin, id) {
            Ok(facts) => {
                found.entries += 1;
                found.payload += facts.len;
            }
            Err(error) => damaged.push(error.to_string()),
        }
    }
    match log.counters(&mut log.file().writer()) {
        Ok(counters) => {
            found.space = Some(Space {
                segment_count: counters.segments,
                capacity: counters.capacity,
                used: counters.used,
                live: counters.live,
                garbage_share: counters.garbage_share(),
            });
        }
        Err(error) => damaged.push(error.to_string()),
    }
    found
}

fn show_regions(counted: &Counted, out: &mut Output) -> anyhow::Result<()> {
    let columns = [("regions", Align::Left), ("count", Align::Right), ("bytes", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for Regions { kind, count, bytes } in &counted.regions {
        listing.row(out, vec![Cell::text(*kind), (*count).into(), (*bytes).into()])?;
    }
    listing.end(out)
}

fn show_stores(counted: &Counted, out: &mut Output) -> anyhow::Result<()> {
    let columns = [("store", Align::Left), ("blocks", Align::Right), ("payload", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for Store { name, blocks, payload } in &counted.stores {
        listing.row(out, vec![Cell::text(name), (*blocks).into(), (*payload).into()])?;
    }
    listing.end(out)
}

fn show_logs(counted: &Counted, out: &mut Output) -> anyhow::Result<()> {
    let numbers = ["entries", "payload", "segments", "capacity", "used", "live", "garbage"];
    let numbers = numbers.map(|name| (name, Align::Right));
    let columns = std::iter::once(("log", Align::Left)).chain(numbers);
    let mut listing = Listing::new(Format::People, columns);
    for Log { name, entries, payload, space } in &counted.logs {
        let mut row = vec![Cell::text(name), (*entries).into(), (*payload).into()];
        match space {
            Some(found) => {
                let counts = [found.segment_count, found.capacity, found.used, found.live];
                row.extend(counts.map(Cell::from));
                row.push(Cell::Text(format!("{:.1} %", 100.0 * found.garbage_share)));
            }
            None => row.extend((0..5).map(|_| Cell::Absent)),
        }
        listing.row(out, row)?;
    }
    listing.end(out)
}

fn show_facts(counted: &Counted, out: &mut Output) -> anyhow::Result<()> {
    let bytes = |count: u64| format!("{} bytes", thousands(count));
    let ratio = counted.file_per_payload.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    Facts::new()
        .add("file", bytes(counted.bytes))
        .add("payload", bytes(counted.payload))
        .add("file / payload", ratio)
        .add("free in regions", bytes(counted.free))
        .add("free ranges", bytes(counted.free_ranges))
        .add("quarantined", bytes(counted.quarantined))
        .show(out)
}
