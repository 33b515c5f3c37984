//! Builds an index: one pass over the dump, sorts, names, and a directory published whole.

mod dump_file; // the dump as bytes: plain, or unpacked on the way
mod staging; // the directory under construction
mod batch; // records on their way into a storage
mod class_table; // the classes seen so far
mod tables; // what the scanner sees, turned into records
mod objects; // the object table, sorted and without repetitions
mod symbols; // the symbol table, sorted
mod classes; // the class tables, named and in order
mod reporter; // phases, their times, and the caller's hook

use std::{ops::ControlFlow, path::Path};

use tracing::debug_span;

use self::{
    dump_file::DumpFile, objects::Objects, reporter::Reporter, staging::Staging, tables::Tables,
};
use crate::{
    damage::DamageKind,
    error::Result,
    format,
    manifest::{self, Manifest, file},
    options::{BuildReport, Existing, Phase, Progress},
    scan::{Scanned, scan},
    summary::{Packing, Summary, TableFacts, TagCount},
};

/// Builds the index of `dump` at `out`.
pub(crate) fn build(
    (dump, out): (&Path, &Path),
    existing: Existing,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<BuildReport> {
    let _span = debug_span!("build", dump = %dump.display(), out = %out.display()).entered();
    let dump_file = DumpFile::open(dump)?;
    staging::check_outside(dump, out)?;
    let staging = Staging::create(out, existing)?;
    let mut reporter = Reporter::new(progress, dump_file.len());
    let mut parts = Parts::read(dump_file, &staging, &mut reporter)?;
    let mut manifest = parts.finish(&staging, &mut reporter)?;

    reporter.begin(Phase::Publish)?;
    manifest.tables.sort_by(|left, right| left.name.cmp(&right.name));
    staging.remove_lock_files()?;
    staging.sync()?;
    manifest::write(&staging.file(file::MANIFEST), &manifest)?;
    staging.publish()?;
    let Manifest { summary, tables } = manifest;
    Ok(BuildReport { summary, tables, phases: reporter.finish() })
}

/// What the pass over the dump left.
struct Parts {
    tables: Tables,
    summary: Summary,
    unpacked: Option<TableFacts>,
}

impl Parts {
    fn read(dump: DumpFile, staging: &Staging, reporter: &mut Reporter<'_>) -> Result<Self> {
        reporter.begin(Phase::Scan)?;
        let mut summary = empty_summary(&dump);
        let mut tables = Tables::create(staging)?;
        let mut source = dump.into_source(staging, reporter)?;
        let mut scanned = scan(&mut *source, &mut tables)?;
        let done = source.finish()?;
        if done.is_broken {
            scanned.damages.add(DamageKind::Compression, scanned.len, 0);
        }
        fill_summary(&mut summary, scanned);
        Ok(Self { tables, summary, unpacked: done.unpacked })
    }

    /// Sorts and names what was read.
    fn finish(&mut self, staging: &Staging, reporter: &mut Reporter<'_>) -> Result<Manifest> {
        let Self { tables, summary, unpacked } = self;
        let mut facts: Vec<TableFacts> = unpacked.take().into_iter().collect();
        tables.flush()?;

        reporter.begin(Phase::Objects)?;
        // An eighth of the dump keeps the build's private memory small beside it.
        let sort_memory = summary.dump_len / 8;
        let objects = Objects::sort(tables, staging, sort_memory)?;
        (summary.object_count, summary.duplicate_count) =
            (objects.count(), objects.duplicate_count);
        [_, summary.instance_count, summary.object_array_count, summary.primitive_array_count] =
            objects.kind_counts;
        facts.push(objects.facts);

        reporter.begin(Phase::Symbols)?;
        symbols::sort(tables, sort_memory)?;

        reporter.begin(Phase::Classes)?;
        let found = classes::write(tables, staging)?;
        summary.payload_len = found.payload_len;
        summary.class_count = found.dumped;
        summary.loaded_class_count = found.loaded;
        facts.extend(tables.facts(staging)?);
        facts.extend(found.facts);
        Ok(Manifest { summary: summary.clone(), tables: facts })
    }
}

fn empty_summary(dump: &DumpFile) -> Summary {
    Summary {
        dump_path: dump.path().to_string_lossy().into_owned(),
        file_len: dump.len(),
        packing: if dump.is_packed() { Packing::Gzip } else { Packing::Plain },
        dump_len: 0,
        format: String::new(),
        id_size: 0,
        timestamp_ms: 0,
        records: Vec::new(),
        sub_records: Vec::new(),
        roots: Vec::new(),
        symbol_count: 0,
        loaded_class_count: 0,
        class_count: 0,
        object_count: 0,
        instance_count: 0,
        object_array_count: 0,
        primitive_array_count: 0,
        payload_len: 0,
        duplicate_count: 0,
        damages: Vec::new(),
        damage_count: 0,
    }
}

fn fill_summary(summary: &mut Summary, scanned: Scanned) {
    summary.dump_len = scanned.len;
    summary.format = scanned.header.format;
    summary.id_size = scanned.header.id_size;
    summary.timestamp_ms = scanned.header.timestamp_ms;
    summary.records = tag_counts(&scanned.records, format::record_name);
    summary.sub_records = tag_counts(&scanned.sub_records, format::sub_record_name);
    summary.roots = tag_counts(&scanned.sub_records, format::root_name);
    summary.roots.retain(|root| format::root_name(root.tag).is_some());
    summary.symbol_count = scanned.records[usize::from(format::record::UTF8)];
    summary.damages = scanned.damages.listed;
    summary.damage_count = scanned.damages.count;
}

fn tag_counts(counts: &[u64; 256], name: impl Fn(u8) -> Option<&'static str>) -> Vec<TagCount> {
    (0..=u8::MAX)
        .zip(counts)
        .filter(|(_, count)| 0 < **count)
        .map(|(tag, &count)| {
            let name = name(tag).unwrap_or("unknown").to_owned();
            TagCount { tag, name, count }
        })
        .collect()
}
