//! pagestone-index: lookups one by one and in batches, scans, builds, opening.

use std::hint::black_box;

use pagestone_index::{Column as _, Record, Table, TableOptions};
use zerocopy::little_endian::U64;

use super::{InOrder, ROW_SIZE, TableRows, TableStore, each, phases::lookups, share, word};
use crate::{Clock, Distribution, Folder, Result, Scale, Watch, entries::Told, private_memory};

/// Keys that are looked up at once.
const BATCH: usize = 1024;

/// The row of the workload: it lies by its place, and is found by its key.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
struct Row {
    #[index(canonical)]
    place: U64,
    #[index(unique)]
    key: U64,
    link: U64,
    hash: U64,
    rest: [u8; 8],
}

/// Sixteen bytes and one index: what a build is timed on.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
struct Pair {
    #[index(unique)]
    key: U64,
    value: U64,
}

/// A row with three indexes beside its order.
#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
struct Wide {
    #[index(canonical)]
    place: U64,
    #[index(unique)]
    key: U64,
    #[index(multi)]
    group: U64,
    #[index(multi)]
    kind: U64,
    rest: [u8; 8],
}

struct Ours(Table<Row>);

impl Ours {
    fn of<'r>(folder: &Folder, rows: impl Iterator<Item = &'r [u8; ROW_SIZE]>) -> Result<Self> {
        let mut builder = TableOptions::new().create::<Row>(trusted(folder, "table"))?;
        builder.extend(rows.map(|row| Row::read(row)))?;
        Ok(Self(builder.seal()?))
    }
}

/// A directory in the folder, whose files are mapped.
fn trusted(folder: &Folder, name: &str) -> pagestone_index::Directory {
    folder.trusted_at(name).into()
}

impl TableStore for Ours {
    fn load(folder: &Folder, rows: InOrder<'_>) -> Result<Self> {
        Self::of(folder, rows.map(|(_, row)| row))
    }

    fn follow(&self, first: u64, mut next: impl FnMut(&[u8]) -> Option<u64>) -> Result<()> {
        let (by, mut key) = (self.0.by(Row::KEY), Some(first));
        while let Some(wanted) = key {
            let row = by.get(wanted)?.ok_or("no such key")?;
            let mut bytes = [0; ROW_SIZE];
            row.write(&mut bytes);
            key = next(&bytes);
        }
        Ok(())
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let mut bytes = [0; ROW_SIZE];
        for row in self.0.by(Row::PLACE).range(..)? {
            row?.write(&mut bytes);
            each(&bytes);
        }
        Ok(true)
    }
}

/// Lookups, scans and files of our table.
///
/// # Errors
///
/// Those of the table.
pub fn ours(scale: Scale) -> Result<Vec<Told>> {
    let (folder, rows) = (Folder::new()?, TableRows::new(scale));
    let count = rows.rows.len();
    let (load, store) = Clock::Process.time(|| Ours::of(&folder, rows.rows.iter()));
    let store = store?;
    let mut told = vec![Told::new("load", each(load, count), "ns/row")];
    let mut index = 0;
    for entry in std::fs::read_dir(folder.path("table"))? {
        let entry = entry?;
        let name = entry.file_name();
        // The key's file and its search tree; the rows have one of their own for their order.
        if name.to_string_lossy().starts_with("key") {
            index += entry.metadata()?.len();
        }
    }
    told.push(Told::new("index_file", share(index, count), "bytes/row"));
    told.extend(lookups(&store, &rows, scale)?);
    told.push(batch(&store, &rows, scale)?);

    let mut sum = 0u64;
    let scan = || -> Result<()> {
        for row in store.0.by(Row::PLACE).range(..)? {
            sum = sum.wrapping_add(row?.hash.get());
        }
        Ok(())
    };
    let (scan, scanned) = Clock::Thread.time(scan);
    scanned?;
    told.push(Told::new("scan", each(scan, count), "ns/row"));
    let by_key = || -> Result<()> {
        for row in store.0.by(Row::KEY).range(..)? {
            sum = sum.wrapping_add(row?.hash.get());
        }
        Ok(())
    };
    let (by_key, scanned) = Clock::Thread.time(by_key);
    scanned?;
    told.push(Told::new("scan_by_key", each(by_key, count), "ns/row"));
    black_box(sum);
    Ok(told)
}

fn batch(store: &Ours, rows: &TableRows, scale: Scale) -> Result<Told> {
    let by = store.0.by(Row::KEY);
    let keys = &rows.chain[..scale.count(4 << 20).min(rows.chain.len())];
    let mut found = vec![None; BATCH];
    let mut sum = 0u64;
    let look = || -> Result<()> {
        for keys in keys.chunks(BATCH) {
            by.get_many(keys, &mut found[..keys.len()])?;
            for row in &found[..keys.len()] {
                sum = sum.wrapping_add(row.ok_or("no such key")?.hash.get());
            }
        }
        Ok(())
    };
    let (time, looked) = Clock::Thread.time(look);
    looked?;
    black_box(sum);
    Ok(Told::new("batch", each(time, keys.len()), "ns/lookup"))
}

/// The build of a unique index over random keys, by one thread: CPU time of the process from the
/// appended rows to the published table, and the private memory that it took at most.
///
/// # Errors
///
/// Those of the table.
pub fn build(scale: Scale) -> Result<Vec<Told>> {
    let folder = Folder::new()?;
    let keys = Distribution::Random.keys(scale.count(10_000_000));
    let mut builder =
        TableOptions::new().memory(64 << 20).create::<Pair>(trusted(&folder, "pairs"))?;
    let rows = keys.iter().zip(0u64..);
    builder.extend(rows.map(|(&key, value)| Pair { key: key.into(), value: value.into() }))?;
    let (before, watch) = (private_memory()?, Watch::start()?);
    let (seal, table) = Clock::Process.time(|| builder.seal());
    let peak = watch.end()?.saturating_sub(before);
    let table = table?;
    let middle = keys[keys.len() / 2];
    let found = table.by(Pair::KEY).get(middle)?.ok_or("no such key")?;
    if found.value.get() != (keys.len() / 2) as u64 {
        return Err("another row than was appended".into());
    }
    Ok(vec![
        Told::new("seal", each(seal, keys.len()), "ns/row"),
        Told::new("memory", share(peak, 1 << 20), "MiB"),
    ])
}

/// Opening a table with three indexes, to the first row found: the median of many, by the wall.
///
/// # Errors
///
/// Those of the table.
pub fn open(scale: Scale) -> Result<Vec<Told>> {
    const TIMES: usize = 101;
    let (folder, rows) = (Folder::new()?, TableRows::new(scale));
    let mut builder = TableOptions::new().create::<Wide>(trusted(&folder, "wide"))?;
    builder.extend(rows.rows.iter().map(|row| Wide {
        place: word(row, 0).into(),
        key: word(row, 1).into(),
        group: (word(row, 3) % 1_000_000).into(),
        kind: (word(row, 3) % 100).into(),
        rest: [0; 8],
    }))?;
    drop(builder.seal()?);
    let mut times = Vec::with_capacity(TIMES);
    for index in 0..TIMES {
        let key = rows.chain[index % rows.chain.len()];
        let (time, found) = Clock::Wall.time(|| {
            let table = Table::<Wide>::open(trusted(&folder, "wide"))?;
            table.by(Wide::KEY).get(key)
        });
        let found = found?.ok_or("no such key")?;
        black_box(found);
        times.push(time);
    }
    times.sort_unstable();
    Ok(vec![Told::new("first", each(times[TIMES / 2], 1_000), "us")])
}
