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
    graph::{self, Dominators, Found, Graph, Layers, Place, Places},
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
    with_graph(stage, &roots, |outbound, inbound| {
        let graph = Graph { outbound, inbound, roots: &roots };
        if let Some(layers) = Layers::read(&graph, stage.graph_memory())? {
            return by_layers(stage, Places::find(&graph, layers, stage.staging.path())?);
        }
        let distances = distances(stage, (outbound, &roots))?;
        let mut found = Dominators::find(&graph, stage.staging.path())?;
        let counts = counts(stage, &mut found)?;
        whole(stage, &mut found, (counts, distances))
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

/// The distance of every object.
fn distances(stage: &Stage<'_, '_>, (outbound, roots): (&Outbound<'_>, &[u32])) -> Result<Waiting> {
    let found = graph::distances(outbound, roots)?;
    Waiting::write(stage, "distances.tmp", |push| {
        found.iter().try_for_each(|&distance| push(distance))
    })
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

/// The tables, row by row.
struct Writer {
    object_count: u32,
    entries: EntryWriter,
    biggest: Biggest,
    distance_max: u32,
}

impl Writer {
    fn create(stage: &Stage<'_, '_>) -> Result<Self> {
        Ok(Self {
            object_count: stage.object_count(),
            entries: EntryWriter::create(stage)?,
            biggest: Biggest::default(),
            distance_max: 0,
        })
    }

    /// Takes the place of the next object, none where it is not reached.
    #[inline]
    fn push(&mut self, found: Option<Found>) -> Result<()> {
        let Some(Found { parent, distance, sum, count }) = found else {
            return self.entries.push(None);
        };
        let parent = if parent == self.object_count { ROOTS } else { parent };
        self.distance_max = self.distance_max.max(distance);
        self.biggest.push(sum, self.entries.object);
        let retained = Some((count, sum)).filter(|_| 1 < count);
        self.entries.push(Some(&Entry { parent, distance, retained }))
    }

    fn close(
        self,
        stage: &Stage<'_, '_>,
        (reachable_count, reachable_len): (u32, u64),
    ) -> Result<Tree> {
        let mut order = Batch::create(&stage.staging.file(file::BIGGEST))?;
        for (_, object) in self.biggest.into_sorted() {
            order.push(U32::new(object))?;
        }
        let [heads, entries] = self.entries.close()?;
        Ok(Tree {
            facts: [heads, entries, order.close()?],
            reachable_count: u64::from(reachable_count),
            reachable_len,
            distance_max: self.distance_max,
        })
    }
}

/// Writes the tables from what was found by way of layers.
fn by_layers(stage: &Stage<'_, '_>, places: Places) -> Result<Tree> {
    let reached = places.reached();
    let mut summed = places.sum(|weights| {
        for_each_object(stage.staging, |object| weights.push(object.payload_len.into()))
    })?;
    let sum_of_all = summed.sum_of_all();
    let mut writer = Writer::create(stage)?;
    let mut rows = summed.rows()?;
    for_each_object(stage.staging, |object| writer.push(rows.next(object.payload_len.into())?))?;
    writer.close(stage, (reached, sum_of_all))
}

/// Writes the tables from what was found in the whole graph.
fn whole(
    stage: &Stage<'_, '_>,
    found: &mut Dominators,
    (mut counts, mut distances): (Waiting, Waiting),
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
    let reached = found.reached();
    let mut writer = Writer::create(stage)?;
    found.for_each(|_, place| {
        let (count, distance) = (counts.next()?, distances.next()?);
        let Some(Place { parent, sum }) = place else { return writer.push(None) };
        if parent == stage.object_count() {
            reachable_len += sum;
        }
        writer.push(Some(Found { parent, distance, sum, count }))
    })?;
    writer.close(stage, (reached, reachable_len))
}
