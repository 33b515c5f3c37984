//! Dominators, what objects retain, and their distances from the roots.

use std::{
    cmp::Reverse,
    fs::File,
    io::{BufReader, BufWriter, Read as _, Write as _},
};

use pagestone_storage as storage;
use storage::{
    Backing, Options,
    le::{U32, U64},
};

use super::{
    batch::Batch,
    links::{Outbound, with_graph},
    objects::{for_each_block, for_each_object},
    stage::Stage,
};
use crate::{
    error::{Error, Result},
    graph::{self, Dominators, Graph},
    layout::{ROOTS, RootRecord},
    manifest::file,
    summary::TableFacts,
    tree::{self, Entry, STRIDE},
};

/// Objects in the table of the biggest.
const BIGGEST_COUNT: usize = 1 << 16;

/// The finished tables.
pub(super) struct Tree {
    pub(super) facts: [TableFacts; 3],
    pub(super) reachable_count: u64,
    pub(super) reachable_len: u64,
    pub(super) distance_max: u32,
}

/// Finds the dominators and writes the tables.
pub(super) fn write(stage: &Stage<'_, '_>) -> Result<Tree> {
    let roots = roots(stage)?;
    with_graph(stage, |outbound, inbound| {
        let (distances, distance_max) = distances(stage, (outbound, &roots))?;
        let graph = Graph { outbound, inbound, roots: &roots };
        let mut found = Dominators::find(&graph, stage.staging.path())?;
        let counts = counts(stage, &mut found)?;
        tables(stage, &mut found, (counts, distances, distance_max))
    })
}

/// The objects that roots name.
fn roots(stage: &Stage<'_, '_>) -> Result<Vec<u32>> {
    let options = Options::new().backing(Backing::File);
    let records = options.open_read_only::<RootRecord>(stage.staging.file(file::ROOTS))?;
    let mut roots = Vec::new();
    for_each_block(&records, |block| {
        roots.extend(block.iter().map(|root| root.object.get()));
        Ok(())
    })?;
    roots.dedup();
    Ok(roots)
}

/// Numbers that wait in a file, in the order of the objects.
struct Waiting {
    reader: BufReader<File>,
    path: std::path::PathBuf,
}

impl Waiting {
    /// Writes what `fill` gives.
    fn write(
        stage: &Stage<'_, '_>,
        name: &str,
        fill: impl FnOnce(&mut dyn FnMut(u32) -> Result<()>) -> Result<()>,
    ) -> Result<Self> {
        let path = stage.staging.file(name);
        let failed = |action| move |source| (action, source);
        let named = |(action, source)| Error::io(action, &path, source);
        let made = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let mut writer = BufWriter::new(made.map_err(failed("create")).map_err(named)?);
        fill(&mut |number| {
            writer.write_all(&number.to_le_bytes()).map_err(failed("write")).map_err(named)
        })?;
        let written = writer.into_inner().map_err(|error| named(("write", error.into_error())))?;
        let mut reader = BufReader::new(written);
        std::io::Seek::rewind(&mut reader).map_err(|source| named(("seek", source)))?;
        Ok(Self { reader, path })
    }

    #[inline]
    fn next(&mut self) -> Result<u32> {
        let mut bytes = [0; 4];
        let read = self.reader.read_exact(&mut bytes);
        read.map_err(|source| Error::io("read", &self.path, source))?;
        Ok(u32::from_le_bytes(bytes))
    }
}

/// The distance of every object, and the longest.
fn distances(
    stage: &Stage<'_, '_>,
    (outbound, roots): (&Outbound, &[u32]),
) -> Result<(Waiting, u32)> {
    let found = graph::distances(outbound, roots)?;
    let reached = found.iter().copied().filter(|&distance| distance != graph::UNREACHED);
    let distance_max = reached.max().unwrap_or(0);
    let waiting = Waiting::write(stage, "distances.tmp", |push| {
        found.iter().try_for_each(|&distance| push(distance))
    })?;
    Ok((waiting, distance_max))
}

/// How many objects each one retains, 0 for what is not reached.
fn counts(stage: &Stage<'_, '_>, found: &mut Dominators) -> Result<Waiting> {
    found.sum(|_| Ok(1))?;
    Waiting::write(stage, "counts.tmp", |push| {
        found.for_each_sum(|_, sum| push(u32::try_from(sum).unwrap_or(u32::MAX)))
    })
}

/// The objects that retain the most, of those that come in order.
#[derive(Default)]
struct Biggest {
    /// More than are wanted, so that choosing among them is rare.
    some: Vec<(Reverse<u64>, u32)>,
    /// What no longer is enough, as there are as many with more, or as much and lower numbers.
    least: Option<u64>,
}

impl Biggest {
    #[inline]
    fn push(&mut self, sum: u64, object: u32) {
        if self.least.is_some_and(|least| sum <= least) {
            return;
        }
        self.some.push((Reverse(sum), object));
        if self.some.len() == BIGGEST_COUNT / 2 * 3 {
            let (_, (Reverse(least), _), _) = self.some.select_nth_unstable(BIGGEST_COUNT - 1);
            self.least = Some(*least);
            self.some.truncate(BIGGEST_COUNT);
        }
    }

    /// The most first; of equals, the lowest number.
    fn into_sorted(mut self) -> Vec<(Reverse<u64>, u32)> {
        self.some.sort_unstable();
        self.some.truncate(BIGGEST_COUNT);
        self.some
    }
}

/// The packed tree, written in the order of the objects.
struct EntryWriter {
    heads: Batch<U64>,
    bytes: Batch<u8>,
    object: u32,
    entry: Vec<u8>,
}

impl EntryWriter {
    fn create(stage: &Stage<'_, '_>) -> Result<Self> {
        Ok(Self {
            heads: Batch::create(&stage.staging.file(file::TREE_HEADS))?,
            bytes: Batch::create(&stage.staging.file(file::TREE))?,
            object: 0,
            entry: Vec::new(),
        })
    }

    /// Appends the entry of the next object, none where it is not reached.
    #[inline]
    fn push(&mut self, entry: Option<&Entry>) -> Result<()> {
        if self.object.is_multiple_of(STRIDE) {
            self.heads.push(self.bytes.len().into())?;
        }
        self.entry.clear();
        tree::encode(self.object, entry, &mut self.entry);
        self.object += 1;
        self.bytes.extend(&self.entry)
    }

    /// Syncs both files and says what they are.
    fn close(self) -> Result<[TableFacts; 2]> {
        Ok([self.heads.close()?, self.bytes.close()?])
    }
}

fn tables(
    stage: &Stage<'_, '_>,
    found: &mut Dominators,
    (mut counts, mut distances, distance_max): (Waiting, Waiting, u32),
) -> Result<Tree> {
    let payloads = Waiting::write(stage, "payloads.tmp", |push| {
        for_each_object(stage.staging, |object| push(object.payload_len))
    });
    let mut payloads = payloads?;
    let mut reachable_len = 0;
    let mut next = 0;
    found.sum(|object| {
        // What is not reached is not asked for.
        while next < object {
            payloads.next()?;
            next += 1;
        }
        next += 1;
        payloads.next().map(u64::from)
    })?;
    let mut writer = EntryWriter::create(stage)?;
    let mut biggest = Biggest::default();
    found.for_each(|object, place| {
        let (count, distance) = (counts.next()?, distances.next()?);
        let Some(place) = place else { return writer.push(None) };
        let is_top = place.parent == stage.object_count();
        let parent = if is_top { ROOTS } else { place.parent };
        if is_top {
            reachable_len += place.sum;
        }
        let retained = Some((count, place.sum)).filter(|_| 1 < count);
        writer.push(Some(&Entry { parent, distance, retained }))?;
        biggest.push(place.sum, object);
        Ok(())
    })?;
    let mut order = Batch::create(&stage.staging.file(file::BIGGEST))?;
    for (_, object) in biggest.into_sorted() {
        order.push(U32::new(object))?;
    }
    let [heads, entries] = writer.close()?;
    Ok(Tree {
        facts: [heads, entries, order.close()?],
        reachable_count: u64::from(found.reached()),
        reachable_len,
        distance_max,
    })
}
