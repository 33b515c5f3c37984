//! Builds an index: two passes over the dump, sorts, names, and a directory published whole.

mod dump_file; // the dump as bytes: plain, or unpacked on the way
mod staging; // the directory under construction
mod progress; // how far a build is, for the one after a kill
mod batch; // records on their way into a storage
mod class_table; // the classes seen so far
mod stacks; // the stack traces seen so far
mod tables; // what the scanner sees, turned into records
mod objects; // the object table, sorted, without repetitions, packed
mod ids; // their ids, packed
mod roots; // the roots that name one
mod symbols; // the symbol table, sorted
mod classes; // the class tables, named and in order
mod facts; // fields and stack traces, as blocks
mod stage; // what the steps behind the scan work with
mod ranks; // the ordinals of ids
mod shapes; // where references lie in instances
mod list_writer; // lists of ordinals, written
mod list_stream; // and read in order
mod references; // what each object refers to
mod parts; // pairs, sorted by key in parts
mod inverse; // who refers to it; the instances of classes
mod links; // references as a graph
mod strings; // what strings say
mod tree; // its dominators, and distances from the roots
mod reporter; // phases, their times, and the caller's hook

use std::{ops::ControlFlow, path::Path};

use serde::{Deserialize, Serialize};
use tracing::debug_span;

use self::{
    dump_file::DumpFile,
    facts::Found,
    objects::Objects,
    progress::{Done, Identity},
    ranks::Ranks,
    reporter::Reporter,
    stage::Stage,
    staging::Staging,
    symbols::Symbols,
    tables::Tables,
};
use crate::{
    checks,
    damage::DamageKind,
    error::Result,
    format,
    layout::SymbolRecord,
    manifest::{self, Manifest, file},
    options::{BuildReport, Existing, Phase, Progress},
    samples,
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
    let identity = Identity::of(dump)?;
    let staging = Staging::create(out, existing)?;
    let mut reporter = Reporter::new(progress, dump_file.len());
    let mut done = if let Some(done) = Done::find(&staging, &identity) {
        staging.keep_only(&done.manifest.tables, Some(file::PROGRESS))?;
        done
    } else {
        staging.keep_only(&[], None)?;
        let manifest = read(dump_file, &staging, &mut reporter)?;
        let done = Done::new(identity, manifest);
        done.save(&staging)?;
        done
    };
    let mut ranks = None;
    for step in Step::ALL {
        if !done.steps.contains(&step) {
            step.run((&mut done.manifest, &mut ranks), &staging, &mut reporter)?;
            done.steps.push(step);
            done.save(&staging)?;
        }
    }

    reporter.begin(Phase::Publish)?;
    let mut manifest = done.manifest;
    manifest.tables.sort_by(|left, right| left.name.cmp(&right.name));
    staging.keep_only(&manifest.tables, None)?;
    let checks = checks::write(staging.path(), &manifest.tables)?;
    manifest.tables.push(checks);
    manifest.tables.sort_by(|left, right| left.name.cmp(&right.name));
    staging.sync()?;
    manifest::write(&staging.file(file::MANIFEST), &manifest)?;
    staging.publish()?;
    let Manifest { summary, tables } = manifest;
    Ok(BuildReport { summary, tables, phases: reporter.finish() })
}

/// A step behind the scan: it needs the files of those before it, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    Strings,
    References,
    Inverse,
    Dominators,
}

impl Step {
    const ALL: [Self; 4] = [Self::Strings, Self::References, Self::Inverse, Self::Dominators];

    fn phase(self) -> Phase {
        match self {
            Self::Strings => Phase::Strings,
            Self::References => Phase::References,
            Self::Inverse => Phase::Inverse,
            Self::Dominators => Phase::Dominators,
        }
    }

    fn run(
        self,
        (manifest, ranks): (&mut Manifest, &mut Option<Ranks>),
        staging: &Staging,
        reporter: &mut Reporter<'_>,
    ) -> Result<()> {
        reporter.begin(self.phase())?;
        let Manifest { summary, tables } = &*manifest;
        let mut stage = Stage { staging, summary, tables, reporter };
        match self {
            Self::Strings => {
                let found = strings::write(&mut stage)?;
                *ranks = found.ranks;
                manifest.summary.string_count = found.count;
                manifest.summary.distinct_string_count = found.distinct_count;
                manifest.tables.extend(found.facts);
                // The names of fields were needed for the last time.
                let is_left = |facts: &TableFacts| !file::OF_SYMBOLS.contains(&facts.name.as_str());
                manifest.tables.retain(is_left);
            }
            Self::References => {
                let found = references::write(&mut stage, ranks.take())?;
                manifest.summary.reference_count = found.count;
                manifest.summary.dangling_count = found.dangling_count;
                manifest.tables.extend(found.facts);
            }
            Self::Inverse => {
                let facts = [inverse::inbound(&stage)?, inverse::instances(&stage)?];
                manifest.tables.extend(facts.into_iter().flatten());
            }
            Self::Dominators => {
                let found = tree::write(&stage)?;
                manifest.summary.reachable_count = found.reachable_count;
                manifest.summary.reachable_len = found.reachable_len;
                manifest.summary.distance_max = found.distance_max;
                manifest.tables.extend(found.facts);
            }
        }
        Ok(())
    }
}

/// The first pass: objects, roots, symbols and classes.
fn read(dump: DumpFile, staging: &Staging, reporter: &mut Reporter<'_>) -> Result<Manifest> {
    reporter.begin(Phase::Scan)?;
    let mut summary = empty_summary(&dump);
    let mut tables = Tables::create(staging)?;
    let mut source = dump.into_source(staging, reporter)?;
    let mut scanned = scan(&mut *source, &mut tables)?;
    let done = source.finish()?;
    drop(source);
    if done.is_broken {
        scanned.damages.add(DamageKind::Compression, scanned.len, 0);
    }
    fill_summary(&mut summary, scanned);
    let unpacked = stage::dump_path(&summary, staging);
    let sampled = samples::checksum(&unpacked, summary.dump_len)?;
    summary.sample_crc32 = sampled.unwrap_or_default();
    tables.flush()?;
    let mut facts: Vec<TableFacts> = done.unpacked.into_iter().collect();

    reporter.begin(Phase::Objects)?;
    // An eighth of the dump keeps the build's private memory small beside it.
    let sort_memory = summary.dump_len / 8;
    let id_size = if summary.id_size == 4 { 4 } else { 8 };
    let objects = Objects::write(&mut tables, staging, (sort_memory, id_size))?;
    (summary.object_count, summary.duplicate_count) = (objects.count, objects.duplicate_count);
    [_, summary.instance_count, summary.object_array_count, summary.primitive_array_count] =
        objects.kind_counts;
    facts.extend(objects.facts);
    let count = u32::try_from(objects.count).unwrap_or(u32::MAX);
    let roots = roots::write(&mut tables, staging, (count, sort_memory))?;
    (summary.root_object_count, summary.absent_root_count) =
        (roots.object_count, roots.absent_count);
    facts.push(roots.facts);

    reporter.begin(Phase::Symbols)?;
    let Tables { symbols, texts, classes, stacks, .. } = tables;
    let symbols = Symbols::sort(staging, (symbols, texts), sort_memory)?;
    facts.push(manifest::table_facts::<SymbolRecord>(&staging.file(file::SYMBOLS))?);
    facts.push(manifest::table_facts::<u8>(&staging.file(file::SYMBOL_TEXTS))?);

    reporter.begin(Phase::Classes)?;
    let found = classes::write(classes.entries(), &symbols, staging)?;
    summary.payload_len = found.payload_len;
    summary.class_count = found.dumped;
    summary.loaded_class_count = found.loaded;
    facts.extend(found.facts);
    let found = Found { classes: classes.entries(), stacks: &stacks, symbols: &symbols, id_size };
    facts.extend(facts::write(found, staging, &mut stage::pages(&summary, staging)?)?);
    Ok(Manifest { summary, tables: facts })
}

fn empty_summary(dump: &DumpFile) -> Summary {
    Summary {
        dump_path: absolute(dump.path()),
        file_len: dump.len(),
        packing: if dump.is_packed() { Packing::Gzip } else { Packing::Plain },
        dump_len: 0,
        sample_crc32: 0,
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
        string_count: 0,
        distinct_string_count: 0,
        reference_count: 0,
        dangling_count: 0,
        root_object_count: 0,
        absent_root_count: 0,
        reachable_count: 0,
        reachable_len: 0,
        distance_max: 0,
        duplicate_count: 0,
        damages: Vec::new(),
        damage_count: 0,
    }
}

/// The path that leads to the dump from anywhere.
fn absolute(dump: &Path) -> String {
    let known = std::path::absolute(dump);
    known.as_deref().unwrap_or(dump).to_string_lossy().into_owned()
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
