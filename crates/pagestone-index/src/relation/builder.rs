//! Building a relation: pairs from several threads, sorted once for each side.

use std::sync::{Arc, Mutex};

use pagestone_storage::{ByteOrder, Field, Kind, Options, Records, Storage};
use tracing::debug_span;

use super::Relation;
use crate::{
    builder::{Build, Replaces, Staged, locked},
    directory::{self, Directory},
    error::{Error, Result},
    key::image_field,
    manifest::{DirectionFacts, FileFacts, Manifest, RelationFacts},
    options::TableOptions,
    schema::{KeyOrder, Schema},
    seal,
};

/// Bytes that a writer collects before it hands them over.
const BATCH: usize = 256 << 10;
/// Bytes that are written at once.
const BLOCK: usize = 2 << 20;
/// Keys that there can be for each pair, beyond which those that have a list are listed: the ends
/// of all lists would take more than the keys and ends of those there are.
const KEYS_PER_PAIR: u64 = 4;
/// So many keys have a list each whatever pairs there are.
const KEYS_FEW: u64 = 1024;

/// Builds a relation: appends pairs, from any number of threads, then a seal, which publishes it
/// whole. A pair may come more than once, and counts once.
#[derive(Debug)]
pub struct RelationBuilder {
    build: Build,
    staged: Arc<Mutex<Staged>>,
    writer: PairWriter,
}

/// What pairs are: rows below these counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) keys: u64,
    pub(crate) values: u64,
}

impl Counts {
    fn is_wide(self) -> bool {
        1 << 32 < self.keys.max(self.values)
    }

    /// A pair as one number, the key above.
    fn field(self) -> Field {
        let kind = if self.is_wide() { Kind::U128 } else { Kind::U64 };
        Field::new(0, kind).order(ByteOrder::Little)
    }

    /// Pairs are staged like rows in the order of their one field.
    pub(crate) fn schema(self) -> Result<Schema> {
        let field = self.field();
        Schema::builder("pairs", field.size() as usize)
            .column("pair", field)
            .key("pair", KeyOrder::Canonical, &["pair"])
            .build()
    }

    fn put(self, (key, value): (u64, u64), into: &mut Vec<u8>) {
        if self.is_wide() {
            into.extend_from_slice(&value.to_le_bytes());
            into.extend_from_slice(&key.to_le_bytes());
        } else {
            into.extend_from_slice(&(key << 32 | value).to_le_bytes());
        }
    }

    fn get(self, pair: &[u8]) -> (u64, u64) {
        let low = pair.first_chunk().map_or(0, |low| u64::from_le_bytes(*low));
        if self.is_wide() {
            (pair.last_chunk().map_or(0, |high| u64::from_le_bytes(*high)), low)
        } else {
            (low >> 32, low & u64::from(u32::MAX))
        }
    }

    fn turned(self) -> Self {
        Self { keys: self.values, values: self.keys }
    }
}

impl TableOptions {
    /// Starts a build of a relation where none is yet, of keys below `key_count` and values below
    /// `value_count`: the lengths of the tables whose rows they are.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_relation(
        self,
        directory: impl Into<Directory>,
        (key_count, value_count): (u64, u64),
    ) -> Result<RelationBuilder> {
        let counts = Counts { keys: key_count, values: value_count };
        RelationBuilder::start(directory.into(), counts, (self, Replaces::Nothing))
    }

    /// Starts a build of a relation that takes the place of the one that may be there.
    ///
    /// # Errors
    ///
    /// As [`replace`](Self::replace).
    pub fn replace_relation(
        self,
        directory: impl Into<Directory>,
        (key_count, value_count): (u64, u64),
    ) -> Result<RelationBuilder> {
        let counts = Counts { keys: key_count, values: value_count };
        RelationBuilder::start(directory.into(), counts, (self, Replaces::Older))
    }
}

impl RelationBuilder {
    fn start(
        directory: Directory,
        counts: Counts,
        options: (TableOptions, Replaces),
    ) -> Result<Self> {
        Ok(Self::of(Build::start(directory, counts.schema()?, options)?, counts))
    }

    pub(crate) fn of((build, staged): (Build, Arc<Mutex<Staged>>), counts: Counts) -> Self {
        let writer = PairWriter { staged: Arc::clone(&staged), batch: Vec::new(), counts };
        Self { build, staged, writer }
    }

    /// Adds a pair.
    ///
    /// # Errors
    ///
    /// `OutOfRange` for a row that there cannot be; `OutOfSpace`; `Io`.
    #[inline]
    pub fn append(&mut self, key: u64, value: u64) -> Result<()> {
        self.writer.append(key, value)
    }

    /// Adds the pairs of an iterator.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the pairs before the failed one stay.
    pub fn extend(&mut self, pairs: impl IntoIterator<Item = (u64, u64)>) -> Result<()> {
        self.writer.extend(pairs)
    }

    /// Returns a writer for another thread.
    #[must_use]
    pub fn writer(&self) -> PairWriter {
        let counts = self.writer.counts;
        PairWriter { staged: Arc::clone(&self.staged), batch: Vec::new(), counts }
    }

    /// Sorts the pairs both ways and publishes the relation, durably.
    ///
    /// # Errors
    ///
    /// As [`TableBuilder::seal`](crate::TableBuilder::seal), but for `Duplicate`.
    pub fn seal(self) -> Result<Relation> {
        #[cfg(feature = "region")]
        self.build.check_publishes_itself()?;
        let (mut build, facts) = self.write()?;
        seal::publish(&mut build, &Manifest::Relation(facts.clone()))?;
        Relation::of(build.directory.clone(), &facts, &build.options)
    }

    /// Writes all files, durably; nothing names them.
    pub(crate) fn write(self) -> Result<(Build, RelationFacts)> {
        let Self { mut build, staged, writer } = self;
        let counts = writer.counts;
        writer.finish()?;
        let Staged { rows, ascends, .. } = Staged::of_all(staged)?;
        let mut rows = rows.into_file()?;
        let path = build.directory.path().to_path_buf();
        let _span = debug_span!("seal", path = %path.display(), pairs = rows.len()).entered();
        let (memory, threads) = (build.options.memory, build.options.threads);
        if !ascends.holds {
            rows.sort_by(counts.field()).memory(memory).threads(threads).run()?;
        }
        let (mut turned, is_in_memory) = scratch(&mut build, &rows)?;
        let forward = write(&mut build, (&rows, counts, "forward"), |pairs| {
            turned.append(pairs).map(drop).map_err(Error::from)
        })?;
        drop(rows);
        let sort = turned.sort_by(counts.field()).memory(memory).threads(threads);
        if is_in_memory {
            sort.in_place().run()?;
        } else {
            sort.run()?;
        }
        let inverse = write(&mut build, (&turned, counts.turned(), "inverse"), |_| Ok(()))?;
        drop(turned);
        let pair_count = forward.values.record_count;
        let facts = RelationFacts { version: build.version, pair_count, forward, inverse };
        Ok((build, facts))
    }
}

/// Where the pairs of the other side are sorted, and whether that is memory.
fn scratch(build: &mut Build, rows: &Records<[u8]>) -> Result<(Storage<[u8]>, bool)> {
    let options = Options::new().record_size(rows.record_size());
    if rows.len().saturating_mul(rows.record_size() as u64) <= build.options.memory / 2 {
        return Ok((options.in_memory()?, true));
    }
    let name = directory::name("turned", build.version, "rec");
    build.unpublished.add(&name);
    Ok((options.create(build.directory.file(&name))?, false))
}

/// A file of numbers that is written front to back.
struct Numbers {
    file: Storage<[u8]>,
    name: String,
    size: usize,
    block: Vec<u8>,
}

impl Numbers {
    fn create(build: &mut Build, name: String, size: usize) -> Result<Self> {
        build.unpublished.add(&name);
        let options = Options::new().record_size(size);
        let file = options.create(build.directory.file(&name))?;
        Ok(Self { file, name, size, block: Vec::with_capacity(BLOCK + 8) })
    }

    #[inline]
    fn put(&mut self, number: u64) -> Result<()> {
        self.block.extend_from_slice(number.to_le_bytes().get(..self.size).unwrap_or_default());
        if BLOCK <= self.block.len() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.append(&self.block)?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self, with: (Option<Field>, &Build)) -> Result<FileFacts> {
        self.flush()?;
        seal::finish(self.file, &self.name, with)
    }
}

/// The lists of one side while they are written.
struct Lists {
    /// The keys that have one, unless every key has.
    keys: Option<Numbers>,
    ends: Numbers,
    values: Numbers,
    /// The key of the list that is being written.
    key: Option<u64>,
    count: u64,
    ended: u64,
}

impl Lists {
    /// Goes on with a pair that is above the last one.
    #[inline]
    fn put(&mut self, key: u64, value: u64) -> Result<()> {
        if self.key != Some(key) {
            self.end_before(key)?;
            self.key = Some(key);
        }
        self.count += 1;
        self.values.put(value)
    }

    /// Ends the lists of all keys below `key`.
    fn end_before(&mut self, key: u64) -> Result<()> {
        let Some(keys) = &mut self.keys else {
            while self.ended < key {
                self.ends.put(self.count)?;
                self.ended += 1;
            }
            return Ok(());
        };
        if let Some(last) = self.key.take() {
            keys.put(last)?;
            self.ends.put(self.count)?;
        }
        Ok(())
    }

    fn finish(mut self, key_count: u64, build: &Build) -> Result<DirectionFacts> {
        self.end_before(key_count)?;
        let facts = |numbers: Numbers, accelerated| numbers.finish((accelerated, build));
        Ok(DirectionFacts {
            key_count,
            keys: match self.keys {
                Some(keys) => {
                    let field = image_field(keys.size);
                    Some(facts(keys, Some(field))?)
                }
                None => None,
            },
            ends: facts(self.ends, None)?,
            values: facts(self.values, None)?,
        })
    }
}

/// Writes the lists of one side from sorted pairs; hands each pair, turned, to `other`.
fn write(
    build: &mut Build,
    (pairs, counts, stem): (&Records<[u8]>, Counts, &str),
    mut other: impl FnMut(&[u8]) -> Result<()>,
) -> Result<DirectionFacts> {
    let [key_size, end_size, value_size] = [counts.keys, pairs.len() + 1, counts.values]
        .map(|count| build.options.position_size_of(count));
    let mut create = |kind, size| {
        let name = directory::name(stem, build.version, kind);
        Numbers::create(build, name, size)
    };
    let is_sparse = pairs.len().saturating_mul(KEYS_PER_PAIR) + KEYS_FEW < counts.keys;
    let mut lists = Lists {
        keys: if is_sparse { Some(create("keys", key_size)?) } else { None },
        ends: create("ends", end_size)?,
        values: create("values", value_size)?,
        key: None,
        count: 0,
        ended: 0,
    };
    let (mut last, mut turned) = (None, Vec::new());
    seal::each_block(pairs, |block| {
        turned.clear();
        for pair in block.chunks_exact(pairs.record_size()) {
            let pair = counts.get(pair);
            if last == Some(pair) {
                continue;
            }
            last = Some(pair);
            lists.put(pair.0, pair.1)?;
            counts.put((pair.1, pair.0), &mut turned);
        }
        other(&turned)
    })?;
    lists.finish(counts.keys, build)
}

/// Adds pairs to a relation that is being built, from one thread.
#[derive(Debug)]
pub struct PairWriter {
    staged: Arc<Mutex<Staged>>,
    batch: Vec<u8>,
    counts: Counts,
}

impl PairWriter {
    /// Adds a pair.
    ///
    /// # Errors
    ///
    /// As [`RelationBuilder::append`].
    #[inline]
    pub fn append(&mut self, key: u64, value: u64) -> Result<()> {
        let Counts { keys, values } = self.counts;
        if keys <= key || values <= value {
            return Err(Error::out_of_range(format!(
                "pair ({key}, {value}) of rows below {keys} and {values}"
            )));
        }
        self.counts.put((key, value), &mut self.batch);
        if BATCH <= self.batch.len() { self.flush() } else { Ok(()) }
    }

    /// Adds the pairs of an iterator.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); the pairs before the failed one stay.
    pub fn extend(&mut self, pairs: impl IntoIterator<Item = (u64, u64)>) -> Result<()> {
        pairs.into_iter().try_for_each(|(key, value)| self.append(key, value))
    }

    /// Hands over the last pairs.
    ///
    /// # Errors
    ///
    /// `OutOfSpace`; `Io`.
    pub fn finish(mut self) -> Result<()> {
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let appended = locked(&self.staged).append(&self.batch);
        self.batch.clear();
        appended
    }
}

impl Drop for PairWriter {
    fn drop(&mut self) {
        // As for a writer of rows: what cannot be kept is answered by the seal.
        drop(self.flush());
    }
}
