//! The seal: sort, number, build indexes, check, publish.

use std::collections::BTreeSet;

use pagestone_storage::{Field, Options, Records, SidecarOptions, Storage};
use tracing::debug_span;

use crate::{
    builder::{Build, Staged},
    directory,
    error::{DuplicateKeys, Error, Result},
    manifest::{self, FileFacts, Manifest, TableFacts},
    schema::{NamedKey, StoredSchema},
    sorted,
};

/// Bytes that are read and written at once.
const BLOCK: usize = 256 << 10;
/// Keys that an error lists.
const LISTED: usize = 5;

/// Seals a build; returns what its manifest says.
pub(crate) fn seal(mut build: Build, staged: Staged) -> Result<TableFacts> {
    #[cfg(feature = "region")]
    build.check_publishes_itself()?;
    let facts = write(&mut build, staged)?;
    publish(&mut build, &Manifest::Table(facts.clone()))?;
    Ok(facts)
}

/// Writes all files of a build, durably; nothing names them.
pub(crate) fn write(build: &mut Build, staged: Staged) -> Result<TableFacts> {
    let Staged { rows, ascends, .. } = staged;
    let mut rows = rows.into_file()?;
    let path = build.directory.path().to_path_buf();
    let _span = debug_span!("seal", path = %path.display(), rows = rows.len()).entered();
    if let Some((_, key)) = build.schema.canonical()
        && !ascends.holds
    {
        let sort = rows.sort_by(key.fields.clone()).stable();
        sort.memory(build.options.memory).threads(build.options.threads).run()?;
    }
    let mut keys = Vec::new();
    for (number, key) in build.schema.keys().to_vec().iter().enumerate() {
        if key.order.is_canonical() {
            if key.order.is_unique() {
                check_unique(&rows, &RowKeys { fields: &key.fields }, (build, key))?;
            }
            keys.push(None);
        } else {
            keys.push(Some(sorted::write_key(build, &rows, (number, key))?));
        }
    }
    let first = build.schema.canonical().and_then(|(_, key)| key.fields.first().copied());
    let rows_name = directory::name("rows", build.version, "rec");
    let facts = finish(rows, &rows_name, (first, build))?;
    let schema = StoredSchema::of(&build.schema);
    Ok(TableFacts { version: build.version, schema, rows: facts, keys })
}

/// Makes `manifest` current and removes what it does not name.
pub(crate) fn publish(build: &mut Build, manifest: &Manifest) -> Result<()> {
    let published = manifest::publish(&build.directory, manifest);
    let is_ours = published.is_ok()
        || manifest::find(&build.directory)
            .is_ok_and(|found| found.is_some_and(|found| found.version() == manifest.version()));
    if is_ours {
        // Also when the sync of the directory failed: the manifest may name the files.
        build.unpublished.keep();
    }
    published?;
    build.directory.remove_left_overs(&manifest.names())?;
    Ok(())
}

/// Writes what is known beside the records, syncs both, and says how long the file is.
///
/// The names of both are on the device then: the sidecar takes its place by a rename, behind which
/// the directory, in which the file got its own name before, is synced.
pub(crate) fn finish(
    mut file: Storage<[u8]>,
    name: &str,
    (accelerated, build): (Option<Field>, &Build),
) -> Result<FileFacts> {
    let mut sidecar = SidecarOptions::new().checksums().fingerprint(build.schema.fingerprint());
    if let Some(field) = accelerated.filter(|_| build.options.accelerates) {
        sidecar = sidecar.accelerate(field);
    }
    file.write_sidecar(sidecar)?;
    let facts = FileFacts {
        name: name.to_owned(),
        record_size: file.record_size() as u64,
        record_count: file.len(),
    };
    file.close()?;
    Ok(facts)
}

/// Visits all records in blocks.
pub(crate) fn each_block(
    records: &Records<[u8]>,
    mut visit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let size = records.record_size();
    let per_block = (BLOCK / size).max(1);
    if let Some(bytes) = records.as_bytes() {
        return bytes.chunks(per_block * size).try_for_each(visit);
    }
    let mut block = vec![0; per_block * size];
    let (mut first, end) = (0, records.len());
    while first < end {
        let count = (per_block as u64).min(end - first);
        let len = size * usize::try_from(count).unwrap_or(per_block);
        let block = block.get_mut(..len).unwrap_or_default();
        records.read_into(first, block)?;
        visit(block)?;
        first += count;
    }
    Ok(())
}

/// How keys are found in the records that are checked.
pub(crate) trait Keys {
    /// Whether two records have the same key.
    fn is_same(&self, one: &[u8], other: &[u8]) -> bool;

    /// The row of a record.
    fn row(&self, index: u64, record: &[u8]) -> u64;
}

struct RowKeys<'a> {
    fields: &'a [Field],
}

impl Keys for RowKeys<'_> {
    fn is_same(&self, one: &[u8], other: &[u8]) -> bool {
        self.fields.iter().all(|field| {
            let start = field.offset() as usize;
            let place = start..start + field.size() as usize;
            one.get(place.clone()) == other.get(place)
        })
    }

    fn row(&self, index: u64, _record: &[u8]) -> u64 {
        index
    }
}

pub(crate) struct StoredKeys {
    pub(crate) len: usize,
}

impl Keys for StoredKeys {
    fn is_same(&self, one: &[u8], other: &[u8]) -> bool {
        match self.len {
            8 => one.first_chunk::<8>() == other.first_chunk(),
            4 => one.first_chunk::<4>() == other.first_chunk(),
            len => one.get(..len) == other.get(..len),
        }
    }

    fn row(&self, _index: u64, record: &[u8]) -> u64 {
        let mut position = [0; 8];
        for (to, from) in position.iter_mut().zip(record.get(self.len..).unwrap_or_default()) {
            *to = *from;
        }
        u64::from_le_bytes(position)
    }
}

/// Errors unless neighbours of the sorted records differ.
pub(crate) fn check_unique(
    records: &Records<[u8]>,
    keys: &impl Keys,
    at: (&Build, &NamedKey),
) -> Result<()> {
    let mut unique = Unique::default();
    each_block(records, |block| {
        unique.look(block, (records.record_size(), keys));
        Ok(())
    })?;
    unique.check(at)
}

/// Whether neighbours differ among the sorted records seen so far.
#[derive(Debug, Default)]
pub(crate) struct Unique {
    runs: Runs,
    last: Vec<u8>,
    index: u64,
}

impl Unique {
    /// Looks at the records that follow those seen.
    pub(crate) fn look(&mut self, block: &[u8], (size, keys): (usize, &impl Keys)) {
        let (mut before, mut index) = (self.last.as_slice(), self.index);
        for record in block.chunks_exact(size) {
            if keys.is_same(before, record) && 0 < index {
                self.runs.add(keys.row(index - 1, before), keys.row(index, record));
            } else {
                self.runs.is_open = false;
            }
            (before, index) = (record, index + 1);
        }
        (self.last, self.index) = (before.to_vec(), index);
    }

    /// Errors, with the first keys, unless all differed.
    pub(crate) fn check(self, (build, key): (&Build, &NamedKey)) -> Result<()> {
        if self.runs.count == 0 {
            return Ok(());
        }
        Err(duplicates(build, key, (&self.runs.found, self.runs.count)))
    }
}

/// Runs of records that have the same key.
#[derive(Debug, Default)]
struct Runs {
    /// The first rows of the first ones, each with one of them.
    found: Vec<(u64, BTreeSet<u64>)>,
    count: u64,
    is_open: bool,
}

impl Runs {
    #[cold]
    fn add(&mut self, before: u64, row: u64) {
        if !self.is_open {
            (self.count, self.is_open) = (self.count + 1, true);
            if self.found.len() < LISTED {
                self.found.push((before, BTreeSet::from([before])));
            }
        }
        if self.count <= LISTED as u64
            && let Some((_, listed)) = self.found.last_mut()
            && listed.len() < LISTED
        {
            listed.insert(row);
        }
    }
}

/// Names the first keys that several rows have.
fn duplicates(
    build: &Build,
    key: &NamedKey,
    (found, count): (&[(u64, BTreeSet<u64>)], u64),
) -> Error {
    let name = directory::name("rows", build.version, "rec");
    let rows = Options::new()
        .record_size(build.schema.record_size())
        .open_read_only::<[u8]>(build.directory.path().join(name));
    let value = |row: u64| {
        let Ok(rows) = &rows else { return "?".to_owned() };
        let values = key.fields.iter().map(|&field| {
            rows.field(row, field).map_or_else(|_| "?".to_owned(), |value| value.to_string())
        });
        values.collect::<Vec<_>>().join(", ")
    };
    let listed: Vec<String> =
        (found.iter()).map(|(first, rows)| format!("{} on rows {rows:?}", value(*first))).collect();
    let what = format!(
        "index `{}` is unique, and {count} of its keys are on several rows: {}{}",
        key.name,
        listed.join("; "),
        if (listed.len() as u64) < count { "; …" } else { "" }
    );
    let bytes = |row: u64| {
        let mut bytes = vec![0; build.schema.record_size()];
        rows.as_ref().ok()?.read_into(row, &mut bytes).ok()?;
        Some(bytes)
    };
    let rows = found.iter().filter_map(|(first, _)| bytes(*first)).collect();
    let keys = DuplicateKeys { key: key.name.clone(), rows };
    Error::duplicate(build.directory.path(), what, keys)
}
