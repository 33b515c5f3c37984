//! The merge of appended rows into a new version: one pass over each file, nothing sorted anew.

use pagestone_storage::{Options, Records};
use tracing::debug_span;

use crate::{
    builder::Build,
    directory,
    error::Result,
    files::{Files, KeyFile, Order, partition},
    key::{Image, image_field, swap_stored},
    manifest::{FileFacts, Manifest, TableFacts},
    output::Output,
    run::Run,
    schema::{NamedKey, StoredSchema},
    seal::{each_block, finish, publish},
};

/// Writes and publishes the rows of `files` and of the one run above them.
pub(crate) fn merge(build: &mut Build, from: (&Files, &Run)) -> Result<TableFacts> {
    let (files, run) = from;
    let path = build.directory.path().to_path_buf();
    let _span = debug_span!("merge", path = %path.display(), added = run.len()).entered();
    let canonical = build.schema.canonical().map(|(number, key)| (number, key.fields.clone()));
    let numbers = Numbers::of(files, run, canonical.as_ref().map(|(number, _)| *number));
    let name = directory::name("rows", build.version, "rec");
    build.unpublished.add(&name);
    let rows = Options::new()
        .record_size(build.schema.record_size())
        .create(build.directory.file(&name))?;
    let mut rows = Output::new(rows);
    write_rows(from, canonical.as_ref().map(|(number, _)| *number), &mut rows)?;
    let first = canonical.and_then(|(_, fields)| fields.first().copied());
    let mut keys = Vec::new();
    for (key, order) in build.schema.keys().to_vec().iter().zip(&files.orders) {
        keys.push(match order.file() {
            None => None,
            Some(file) => Some(write_key(build, (from, &numbers), (key, order, file))?),
        });
    }
    let facts = finish(rows.into_file()?, &name, (first, build))?;
    let schema = StoredSchema::of(&build.schema);
    let facts = TableFacts { version: build.version, schema, rows: facts, keys };
    publish(build, &Manifest::Table(facts.clone()))?;
    Ok(facts)
}

/// Which number each row gets.
struct Numbers {
    /// For each appended row, in the order of their new numbers, how many older rows are in
    /// front of it; empty where all are behind the older ones.
    points: Vec<u64>,
    /// For each block of older rows, how many points are below its first row.
    starts: Vec<u32>,
    /// The number of bits of a row within its block.
    shift: u32,
    /// The number of each appended row.
    added: Vec<u64>,
}

impl Numbers {
    fn of(files: &Files, run: &Run, canonical: Option<usize>) -> Self {
        let count = files.rows.len();
        let Some(number) = canonical else {
            let added = (count..count + run.len()).collect();
            return Self { points: Vec::new(), starts: Vec::new(), shift: 0, added };
        };
        let mut points = Vec::new();
        let mut added: Vec<u64> = (0..run.len()).collect();
        for (at, (point, row)) in (0..).zip(run.entries(number)) {
            points.push(point);
            if let Some(added) = added.get_mut(row as usize) {
                *added = point + at;
            }
        }
        // Some blocks more than points, so that few points lie in each.
        let mut shift = 0;
        while run.len().saturating_mul(2).max(1 << 10) < count >> shift {
            shift += 1;
        }
        let mut starts = Vec::new();
        let (mut below, mut left) = (0u32, points.as_slice());
        for block in 0..=(count >> shift) + 1 {
            while let Some((_, rest)) =
                left.split_first().filter(|(point, _)| **point < block << shift)
            {
                (below, left) = (below + 1, rest);
            }
            starts.push(below);
        }
        Self { points, starts, shift, added }
    }

    /// The number of an older row.
    #[inline]
    fn of_older(&self, row: u64) -> u64 {
        let block = usize::try_from(row >> self.shift).unwrap_or(usize::MAX);
        let Some(&[start, end]) = self.starts.get(block..).and_then(|from| from.first_chunk())
        else {
            return row.saturating_add(self.points.len() as u64);
        };
        let near = self.points.get(start as usize..end as usize).unwrap_or_default();
        let before = match near.len() {
            0..8 => near.iter().filter(|&&point| point <= row).count(),
            _ => near.partition_point(|&point| point <= row),
        };
        row + u64::from(start) + before as u64
    }

    fn of_added(&self, row: u32) -> u64 {
        self.added.get(row as usize).copied().unwrap_or(u64::MAX)
    }
}

fn write_rows(
    (files, run): (&Files, &Run),
    canonical: Option<usize>,
    into: &mut Output,
) -> Result<()> {
    let size = into.record_size();
    let row = |row: u32| {
        let start = row as usize * size;
        run.rows().get(start..start + size).unwrap_or_default()
    };
    let copy = |out: &mut Vec<u8>, rows: &[u8]| out.extend_from_slice(rows);
    if let Some(number) = canonical {
        let added = run.entries(number).map(|(point, at)| (point, row(at)));
        return interleave((&files.rows.records, into), added, copy);
    }
    let added = run.rows().chunks_exact(size).map(|row| (files.rows.len(), row));
    interleave((&files.rows.records, into), added, copy)
}

/// Writes the file of one key.
fn write_key(
    build: &mut Build,
    (from, numbers): ((&Files, &Run), &Numbers),
    (key, order, file): (&NamedKey, &Order, &KeyFile),
) -> Result<FileFacts> {
    let (files, run) = from;
    let name = directory::name(&format!("key-{}", order.number), build.version, "idx");
    build.unpublished.add(&name);
    let older_size = file.entries.records.record_size();
    let position_size = build.options.position_size_of(files.rows.len() + run.len());
    let size = older_size.max(key.len() + position_size);
    let into = Options::new().record_size(size).create(build.directory.file(&name))?;
    let mut into = Output::new(into);
    let (points, entries) = added_entries((from, numbers), (order, key.len()), size)?;
    let added = points.iter().copied().zip(entries.chunks_exact(size));
    interleave((&file.entries.records, &mut into), added, |out, entries| {
        let start = out.len();
        if size == older_size {
            out.extend_from_slice(entries);
        } else {
            for entry in entries.chunks_exact(older_size) {
                out.extend_from_slice(entry);
                out.resize(out.len() + size - older_size, 0);
            }
        }
        if !numbers.points.is_empty() {
            let copied = out.get_mut(start..).unwrap_or_default();
            renumber(numbers, copied, (size, key.len()));
        }
    })?;
    finish(into.into_file()?, &name, (Some(image_field(key.len())), build))
}

/// Gives the rows of entries their new numbers.
fn renumber(numbers: &Numbers, entries: &mut [u8], (size, len): (usize, usize)) {
    for entry in entries.chunks_exact_mut(size) {
        let position = entry.get_mut(len..).unwrap_or_default();
        if let Some(position) = position.first_chunk_mut::<8>() {
            *position = numbers.of_older(u64::from_le_bytes(*position)).to_le_bytes();
        } else if let Some(position) = position.first_chunk_mut::<4>() {
            let row = numbers.of_older(u32::from_le_bytes(*position).into());
            // A row that there is fits; one that is not stays none.
            *position = u32::try_from(row).unwrap_or(u32::MAX).to_le_bytes();
        }
    }
}

/// The entries of the appended rows in their order, and how many older ones are in front of each.
fn added_entries(
    ((files, run), numbers): ((&Files, &Run), &Numbers),
    (order, len): (&Order, usize),
    size: usize,
) -> Result<(Vec<u64>, Vec<u8>)> {
    let (mut points, mut entries) = (Vec::new(), Vec::new());
    let mut added = run.entries(order.number).enumerate().peekable();
    let (mut image, mut other) = (Image::padded(&[], len, 0), Image::padded(&[], len, 0));
    let mut group = Vec::new();
    while let Some((at, (end, row))) = added.next() {
        run.image(order.number, at, &mut image);
        group.clear();
        group.push(numbers.of_added(row));
        while let Some((_, (_, row))) = added.next_if(|&(at, _)| {
            run.image(order.number, at, &mut other);
            other.as_slice() == image.as_slice()
        }) {
            group.push(numbers.of_added(row));
        }
        // Equal keys lie in row order, also among older rows.
        group.sort_unstable();
        let mut start = end;
        if !numbers.points.is_empty()
            && let Some(last) = end.checked_sub(1)
        {
            files.image_at(order, last, &mut other)?;
            if other.as_slice() == image.as_slice() {
                start = files.lower(order, image.as_slice())?;
            }
        }
        swap_stored(image.as_mut());
        for &row in &group {
            start = partition(start..end, |place| {
                Ok(numbers.of_older(files.row_at(order, place)?) < row)
            })?;
            points.push(start);
            entries.extend_from_slice(image.as_slice());
            entries.extend_from_slice(row.to_le_bytes().get(..size - len).unwrap_or_default());
        }
    }
    Ok((points, entries))
}

/// Writes all records of one file, through `copy`, with those of `added` between them: each
/// behind so many older ones.
fn interleave<'a>(
    (from, into): (&Records<[u8]>, &mut Output),
    added: impl Iterator<Item = (u64, &'a [u8])>,
    copy: impl Fn(&mut Vec<u8>, &[u8]),
) -> Result<()> {
    let size = from.record_size();
    let mut added = added.peekable();
    let mut first = 0u64;
    each_block(from, |block| {
        let (mut rest, mut at) = (block, first);
        first += (block.len() / size) as u64;
        let out = into.held();
        while let Some((point, record)) = added.next_if(|(point, _)| *point < first) {
            let older = usize::try_from(point.saturating_sub(at)).unwrap_or(0);
            let (front, behind) = rest.split_at_checked(older * size).unwrap_or((rest, &[]));
            copy(out, front);
            out.extend_from_slice(record);
            (rest, at) = (behind, at.max(point));
        }
        copy(out, rest);
        into.settle()
    })?;
    for (_, record) in added {
        into.put(record)?;
    }
    Ok(())
}
