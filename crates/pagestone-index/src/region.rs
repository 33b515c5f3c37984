//! Tables and relations whose current version a root of a region file names.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use pagestone_heap::{HeapOptions, RegionFile, Writer};

use crate::{
    any::{AnyTable, AnyTableBuilder},
    builder::{Build, Publishes, Staged, TableBuilder},
    directory::Directory,
    error::{Error, ErrorKind, Result},
    files::Files,
    manifest::{self, Manifest, RegionFacts, RootFacts},
    options::TableOptions,
    part::Part,
    relation::{Counts, Relation, RelationBuilder},
    schema::{Record, Schema},
    seal,
    table::Table,
};

/// The heap that holds what roots of tables name.
const HEAP: &str = "pagestone-index";

/// How often a root is read again because the files that it named were gone.
const TRIES: u32 = 100;

/// A name in a region file that stands for the current version of a table or relation.
///
/// The files lie in a directory of their own, as those of any table do; which of them count is
/// said by a small block under the root, and so changes by the region file's commit, together
/// with whatever else the commit holds. The name belongs to one directory: whoever wants to use
/// [`Writer::set_root`] and [`Writer::remove_root`] on it commits before the next build.
#[derive(Debug, Clone, Copy)]
pub struct AtRoot<'f> {
    /// The region file.
    pub file: &'f RegionFile,
    /// The name.
    pub root: &'f str,
}

/// A table or relation whose files are all written, durably, and that no root names yet.
///
/// Dropped, its files are removed. It is the directory's one builder until then.
pub struct Sealed<T> {
    opened: T,
    build: Build,
    holds: Manifest,
    place: RegionFacts,
}

impl<T> Sealed<T> {
    /// Makes `opened` of files that were written.
    fn of(build: Build, holds: Manifest, open: impl FnOnce(&Build) -> Result<T>) -> Result<Self> {
        let Publishes::Region(place) = build.publishes.clone() else {
            let what = "a build that publishes by itself: `seal`";
            return Err(Error::refused(ErrorKind::InvalidArgument, build.directory.path(), what));
        };
        // The names of all files are on the device: each got its sidecar last, see `seal::finish`.
        Ok(Self { opened: open(&build)?, build, holds, place })
    }

    /// Returns the new version, to be looked at, and verified, before it is published.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.opened
    }

    /// Makes the version current: writes a small block and puts it under the root.
    ///
    /// As every change of a region file, it is seen in this process and survives a kill from the
    /// return on; it survives power loss, and other processes see it, from the writer's next
    /// commit on. A [`discard`](Writer::discard) takes it back. Files of older versions stay until
    /// a build that starts after that commit, those of versions that no commit followed too.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a writer of another file than the build was started with; `Foreign`
    /// for a root that names something else; `OutOfSpace`; `Poisoned`; `Io`. Nothing is changed
    /// then, and the files are removed.
    pub fn publish_in(self, writer: &mut Writer<'_>) -> Result<T> {
        let Self { opened, mut build, holds, place } = self;
        if uuid(writer.file()) != place.file {
            let what = "the writer is of another region file than the build";
            return Err(Error::refused(ErrorKind::InvalidArgument, writer.file().path(), what));
        }
        // What this writer does is of the next commit.
        let facts = RootFacts { generation: writer.file().generation() + 1, holds };
        let bytes = manifest::to_bytes(&facts)?;
        let heap = writer.heap_with(HEAP, HeapOptions::new().checksums(true))?;
        if let Some(id) = writer.file().root(&place.root) {
            if !heap.contains(&writer.file().pin(), id) {
                return Err(foreign_root(writer.file(), &place.root));
            }
            heap.put(writer, id, &bytes)?;
        } else {
            let id = heap.allocate_from(writer, &bytes)?;
            if let Err(error) = writer.set_root(&place.root, id) {
                // Nothing names it: should this fail too, it is lost space, not lost truth.
                drop(heap.free(writer, id));
                return Err(error.into());
            }
        }
        build.unpublished.keep();
        Ok(opened)
    }
}

impl<T: fmt::Debug> fmt::Debug for Sealed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sealed")
            .field("opened", &self.opened)
            .field("root", &self.place.root)
            .finish_non_exhaustive()
    }
}

impl<R: Record> TableBuilder<R> {
    /// Sorts and numbers the rows, builds the indexes and syncs all files, of a build that
    /// [`TableOptions::build_in`] began; [`Sealed::publish_in`] makes them current. No writer of
    /// the region file is needed meanwhile.
    ///
    /// # Errors
    ///
    /// As [`seal`](Self::seal); `InvalidArgument` for a build that publishes by itself.
    pub fn seal_unpublished(self) -> Result<Sealed<Table<R>>> {
        let (build, staged) = self.into_parts()?;
        sealed(build, staged, Table::of)
    }
}

impl AnyTableBuilder {
    /// As [`TableBuilder::seal_unpublished`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn seal_unpublished(self) -> Result<Sealed<AnyTable>> {
        let (build, staged) = self.into_parts()?;
        sealed(build, staged, AnyTable::of)
    }
}

fn sealed<T>(mut build: Build, staged: Staged, open: impl FnOnce(Part) -> T) -> Result<Sealed<T>> {
    let facts = seal::write(&mut build, staged)?;
    Sealed::of(build, Manifest::Table(facts.clone()), |build| {
        Part::of(build.directory.clone(), facts, &build.options).map(open)
    })
}

impl RelationBuilder {
    /// As [`TableBuilder::seal_unpublished`].
    ///
    /// # Errors
    ///
    /// As there, but for `Duplicate`.
    pub fn seal_unpublished(self) -> Result<Sealed<Relation>> {
        let (build, facts) = self.write()?;
        Sealed::of(build, Manifest::Relation(facts.clone()), |build| {
            Relation::of(build.directory.clone(), &facts, &build.options)
        })
    }
}

impl TableOptions {
    /// Starts a build of a table whose version a root of a region file will name, in the place
    /// of the one that it may name already. Makes the directory if it is missing, and marks it as
    /// the root's.
    ///
    /// Files of older versions, and left-overs, are removed if what the root names survives power
    /// loss; else they stay for a later build.
    ///
    /// # Errors
    ///
    /// `ReadOnly` for a region file that is open for reading only; `AlreadyExists` where a table
    /// or relation was published by itself; `Foreign` where the directory is another root's;
    /// `Locked` while somebody builds here; `Corrupt`; `OutOfSpace`; `Io`.
    pub fn build_in<R: Record>(
        self,
        directory: impl Into<Directory>,
        at: AtRoot<'_>,
    ) -> Result<TableBuilder<R>> {
        start(directory.into(), R::schema(), (self, at)).map(TableBuilder::of)
    }

    /// As [`build_in`](Self::build_in), of any schema.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn build_any_in(
        self,
        directory: impl Into<Directory>,
        schema: Schema,
        at: AtRoot<'_>,
    ) -> Result<AnyTableBuilder> {
        start(directory.into(), schema, (self, at)).map(AnyTableBuilder::of)
    }

    /// As [`build_in`](Self::build_in), of a relation of keys and values below these counts.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn build_relation_in(
        self,
        directory: impl Into<Directory>,
        (key_count, value_count): (u64, u64),
        at: AtRoot<'_>,
    ) -> Result<RelationBuilder> {
        let counts = Counts { keys: key_count, values: value_count };
        let started = start(directory.into(), counts.schema()?, (self, at))?;
        Ok(RelationBuilder::of(started, counts))
    }

    /// Opens the version of a table that a root of a region file names: in the process that
    /// writes the newest one, in others the last committed one. Writes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such root, or its files are gone; `Foreign` for a directory or
    /// root that is something else's; else as [`open`](Self::open).
    pub fn open_in<R: Record>(
        self,
        directory: impl Into<Directory>,
        at: AtRoot<'_>,
    ) -> Result<Table<R>> {
        self.part_in(&directory.into(), at).and_then(Table::checked)
    }

    /// As [`open_in`](Self::open_in), whatever the schema is.
    ///
    /// # Errors
    ///
    /// As there, but for `SchemaMismatch`.
    pub fn open_any_in(self, directory: impl Into<Directory>, at: AtRoot<'_>) -> Result<AnyTable> {
        self.part_in(&directory.into(), at).map(AnyTable::of)
    }

    /// As [`open_in`](Self::open_in), of a relation.
    ///
    /// # Errors
    ///
    /// As there, but for `SchemaMismatch`.
    pub fn open_relation_in(
        self,
        directory: impl Into<Directory>,
        at: AtRoot<'_>,
    ) -> Result<Relation> {
        let directory = directory.into();
        named(&directory, at, |holds| match holds {
            Manifest::Relation(facts) => Relation::of(directory.clone(), &facts, &self),
            _ => Err(Error::refused(ErrorKind::Foreign, directory.path(), "not a relation")),
        })
    }

    fn part_in(self, directory: &Directory, at: AtRoot<'_>) -> Result<Part> {
        named(directory, at, |holds| match holds {
            Manifest::Table(facts) => {
                let files = Files::of(directory.clone(), facts, &self)?;
                Ok(Part::above(Arc::new(files), Vec::new()))
            }
            _ => Err(Error::refused(ErrorKind::Foreign, directory.path(), "not a table")),
        })
    }
}

/// Opens what a root names, again when a build has removed it meanwhile.
fn named<T>(
    directory: &Directory,
    at: AtRoot<'_>,
    open: impl Fn(Manifest) -> Result<T>,
) -> Result<T> {
    match manifest::find_any(directory)? {
        Some(Manifest::Region(facts)) if facts.root == at.root => {}
        Some(_) => {
            let what = format!("not a directory of the root {:?}", at.root);
            return Err(Error::refused(ErrorKind::Foreign, directory.path(), what));
        }
        None => {
            let what = "no table of a region file: there is no manifest";
            return Err(Error::refused(ErrorKind::NotFound, directory.path(), what));
        }
    }
    let read = || {
        read_root(at)?.ok_or_else(|| {
            let what = format!("there is no root {:?}", at.root);
            Error::refused(ErrorKind::NotFound, at.file.path(), what)
        })
    };
    let mut facts = read()?;
    for _ in 0..TRIES {
        let version = facts.holds.version();
        match open(facts.holds) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                facts = read()?;
                if facts.holds.version() == version {
                    return Err(error);
                }
            }
            opened => return opened,
        }
    }
    let what = "other versions were published faster than they could be opened";
    Err(Error::refused(ErrorKind::NotFound, directory.path(), what))
}

/// What a root says, `None` where there is no such root.
fn read_root(at: AtRoot<'_>) -> Result<Option<RootFacts>> {
    let AtRoot { file, root } = at;
    let Some(id) = file.root(root) else { return Ok(None) };
    // Asking for a heap that is not there would make it.
    if !file.heaps().iter().any(|heap| heap == HEAP) {
        return Err(foreign_root(file, root));
    }
    let heap = file.heap(HEAP)?;
    match heap.read(id, |bytes| manifest::parse_root(bytes, file.path())) {
        Err(error) if error.kind() == pagestone_heap::ErrorKind::StaleId => {
            // Taken away, or something else's.
            if file.root(root) == Some(id) { Err(foreign_root(file, root)) } else { Ok(None) }
        }
        read => read?.map(Some),
    }
}

fn foreign_root(file: &RegionFile, root: &str) -> Error {
    let what = format!("the root {root:?} names no table or relation");
    Error::refused(ErrorKind::Foreign, file.path(), what)
}

fn uuid(file: &RegionFile) -> String {
    format!("{:032x}", u128::from_le_bytes(file.uuid()).swap_bytes())
}

/// Starts a build; what the root names stays, and what it named at the last commit.
fn start(
    directory: Directory,
    schema: Schema,
    (options, at): (TableOptions, AtRoot<'_>),
) -> Result<(Build, Arc<Mutex<Staged>>)> {
    if !at.file.is_writable() {
        let what = "a build needs the region file open for writing";
        return Err(Error::refused(ErrorKind::ReadOnly, at.file.path(), what));
    }
    directory.make()?;
    // From here to `publish_in` no other build changes what the root names.
    let lock = Arc::new(directory.lock()?);
    let current = match read_root(at) {
        // A damaged block is replaced.
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        read => read?,
    };
    let place = RegionFacts { file: uuid(at.file), root: at.root.to_owned() };
    match manifest::find_any(&directory)? {
        None => manifest::publish(&directory, &Manifest::Region(place.clone()))?,
        Some(Manifest::Region(found)) if found == place => {}
        // A copy of the region file with a uuid of its own, which names the same files.
        Some(Manifest::Region(found)) if found.root == place.root && current.is_some() => {
            manifest::publish(&directory, &Manifest::Region(place.clone()))?;
        }
        Some(Manifest::Region(found)) => {
            let what = format!("the directory of the root {:?} of a region file", found.root);
            return Err(Error::refused(ErrorKind::Foreign, directory.path(), what));
        }
        Some(Manifest::Table(_) | Manifest::Relation(_)) => {
            let what = "a table or relation was published here by itself";
            return Err(Error::refused(ErrorKind::AlreadyExists, directory.path(), what));
        }
    }
    // Before that commit a power loss may bring back an older version, whichever it is.
    let is_committed = |facts: &&RootFacts| facts.generation <= at.file.generation();
    let highest = match current.as_ref().filter(is_committed) {
        Some(facts) => directory.remove_left_overs(&facts.holds.names())?,
        None => directory.left_overs(&std::collections::BTreeSet::new())?.1,
    };
    let highest = current.map_or(highest, |facts| highest.max(facts.holds.version()));
    let (mut build, staged) = Build::begin(directory, schema, (options, lock, highest + 1))?;
    build.publishes = Publishes::Region(place);
    Ok((build, staged))
}
