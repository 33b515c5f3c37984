//! The directory under construction: made beside its place, locked, published by a rename.

use std::{
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, ErrorKind, Result},
    manifest::{self, file},
    options::Existing,
    summary::TableFacts,
};

/// Files of former versions that are no more.
const FORMER: [&str; 8] = [
    "symbols.rec",
    "symbols.txt",
    "objects.rec",
    "long_payloads.rec",
    "strings.rec",
    "dominators.rec",
    "long_distances.rec",
    "retained.rec",
];

/// A directory `.NAME.building` that becomes `NAME`, or is removed when it is dropped.
///
/// It is locked while it lives, so that one found unlocked was left by a build that was killed.
pub(super) struct Staging {
    path: PathBuf,
    out: PathBuf,
    existing: Existing,
    /// Gone once published.
    lock: Option<Lock>,
}

impl Staging {
    /// Makes the directory for an index at `out`, with what a killed build left in it.
    pub(super) fn create(out: &Path, existing: Existing) -> Result<Self> {
        restore(out)?;
        check_vacant(out, existing)?;
        let path = sibling(out, "building")?;
        match fs::create_dir(&path) {
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|source| Error::io("create", &path, source))?,
        }
        let lock = lock(&path)?;
        let staging = Self { path, out: out.to_path_buf(), existing, lock: Some(lock) };
        remove_tree(&sibling(out, "replaced")?)?;
        Ok(staging)
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file of the index while it is built.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes what is no table: lock files beside the storages, and what only the build needs;
    /// `also` is kept.
    pub(super) fn keep_only(&self, tables: &[TableFacts], also: Option<&str>) -> Result<()> {
        for name in names(&self.path)? {
            let is_kept = tables.iter().any(|table| name == *table.name)
                || also.is_some_and(|also| name == also);
            if is_kept {
                continue;
            }
            let path = self.path.join(&name);
            // Of a table directory that is kept, what its manifest does not name goes.
            let of_table =
                |table: &TableFacts| Path::new(&table.name).parent() == Some(name.as_ref());
            if !tables.iter().any(of_table) {
                remove_tree(&path)?;
                continue;
            }
            for inner in names(&path)? {
                let inner = Path::new(&name).join(inner);
                if !tables.iter().any(|table| inner == Path::new(&table.name)) {
                    remove_tree(&self.path.join(inner))?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the names in the directory are on the device.
    pub(super) fn sync(&self) -> Result<()> {
        sync_directory(&self.path)
    }

    /// Gives the directory its name, durably, with the notes of the index that it replaces. A
    /// crash leaves it unpublished or published; where it replaces an index, in between, the old
    /// one may lie in `.NAME.replaced`, from where the next build takes it back.
    pub(super) fn publish(mut self) -> Result<()> {
        check_vacant(&self.out, self.existing)?;
        self.take_notes()?;
        self.sync()?;
        let replaced = sibling(&self.out, "replaced")?;
        let is_replacing = self.existing == Existing::Replace && self.out.is_dir();
        if is_replacing {
            rename(&self.out, &replaced)?;
        }
        if let Err(error) = rename(&self.path, &self.out) {
            if is_replacing {
                rename(&replaced, &self.out)?;
            }
            return Err(error);
        }
        self.lock = None;
        sync_directory(parent(&self.out))?;
        remove_tree(&replaced)
    }

    /// Gives the file of notes of the index in the way a second name in this directory: it is the
    /// same file, so a note that is added meanwhile is in both, and a damaged one stays as it is.
    fn take_notes(&self) -> Result<()> {
        // First the file that its writers lock, so that whoever comes by either name meets the others.
        let lock = format!("{}.lock", file::NOTES);
        for name in [lock.as_str(), file::NOTES] {
            let (old, new) = (self.out.join(name), self.file(name));
            if fs::symlink_metadata(&old).is_ok_and(|metadata| metadata.is_file()) {
                fs::hard_link(&old, new).map_err(|source| Error::io("link", &old, source))?;
            }
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What cannot be removed here is removed by the next build.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// Errors when the dump lies inside the index that would be replaced, or inside what earlier
/// builds of it left, and so would be removed.
pub(super) fn check_outside(dump: &Path, out: &Path) -> Result<()> {
    let canonical = fs::canonicalize(dump).map_err(|source| Error::io("open", dump, source))?;
    for place in [out.to_path_buf(), sibling(out, "building")?, sibling(out, "replaced")?] {
        if fs::canonicalize(place).is_ok_and(|place| canonical.starts_with(place)) {
            let what = "the dump lies inside the index that is to be built, or what is left of one";
            return Err(Error::refused(ErrorKind::AlreadyExists, dump, what));
        }
    }
    Ok(())
}

/// Gives an index back its name that a build took from it and was killed before another had it.
fn restore(out: &Path) -> Result<()> {
    let (replaced, building) = (sibling(out, "replaced")?, sibling(out, "building")?);
    if fs::symlink_metadata(out).is_ok() || !manifest::is_one(&replaced) {
        return Ok(());
    }
    // A build that lives is about to give another the name.
    let _lock = match fs::symlink_metadata(&building) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => None,
        _ => Some(lock(&building)?),
    };
    rename(&replaced, out)?;
    sync_directory(parent(out))
}

/// Errors unless an index may be made at `out`.
fn check_vacant(out: &Path, existing: Existing) -> Result<()> {
    let refused = |what: &str| Err(Error::refused(ErrorKind::AlreadyExists, out, what));
    match fs::symlink_metadata(out) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io("stat", out, source)),
        Ok(metadata) if !metadata.is_dir() => {
            return refused("exists and is no directory, so no index can be put there");
        }
        Ok(_) => {}
    }
    let names = names(out)?;
    let is_ours = |name: &OsString| {
        let name = name.to_string_lossy();
        let name = name.trim_end_matches(".lock");
        manifest::is_entry_name(name) || FORMER.contains(&name)
    };
    match existing {
        _ if names.is_empty() => Ok(()),
        _ if !names.iter().all(is_ours) => refused("exists and holds more than an index"),
        // Names alone prove nothing: a folder of dumps may hold a `dump.hprof`.
        Existing::Replace if manifest::is_one(out) => Ok(()),
        Existing::Replace => refused("exists and is no index"),
        Existing::Refuse if manifest::read(out).is_ok() => refused("an index exists already"),
        Existing::Refuse => refused("a damaged index exists already"),
    }
}

fn names(directory: &Path) -> Result<Vec<OsString>> {
    let failed = |source| Error::io("list", directory, source);
    let entries = fs::read_dir(directory).map_err(failed)?;
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect()
}

/// A locked directory. The lock ends with it even where a process that is being started holds a
/// copy of the descriptor for a moment.
struct Lock {
    directory: File,
    /// The process that took it: a child that was forked from it leaves it alone.
    owner: u32,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            // Closing the descriptor is the second way to the same end.
            drop(self.directory.unlock());
        }
    }
}

/// Locks a directory, which is not the target of a link.
fn lock(path: &Path) -> Result<Lock> {
    let failed = |action| move |source| Error::io(action, path, source);
    let named = fs::symlink_metadata(path).map_err(failed("stat"))?;
    let directory = File::open(path).map_err(failed("open"))?;
    let opened = directory.metadata().map_err(failed("stat"))?;
    if !named.is_dir() || (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
        let what = "in the way of the build, and no directory";
        return Err(Error::refused(ErrorKind::AlreadyExists, path, what));
    }
    let locked = || Error::refused(ErrorKind::Locked, path, "another process builds this index");
    let directory = match directory.try_lock() {
        Ok(()) => Lock { directory, owner: std::process::id() },
        Err(TryLockError::WouldBlock) => return Err(locked()),
        Err(TryLockError::Error(source)) => return Err(Error::io("lock", path, source)),
    };
    // The build that held the lock may have published the directory meanwhile.
    let still = fs::symlink_metadata(path).map_err(|_| locked())?;
    if (still.dev(), still.ino()) == (opened.dev(), opened.ino()) {
        Ok(directory)
    } else {
        Err(locked())
    }
}

/// A name beside `out`, on the same file system.
fn sibling(out: &Path, role: &str) -> Result<PathBuf> {
    let Some(name) = out.file_name() else {
        let what = "has no name of its own, so no index can be put there";
        return Err(Error::refused(ErrorKind::Unsupported, out, what));
    };
    let mut sibling = OsString::from(".");
    sibling.push(name);
    sibling.push(".");
    sibling.push(role);
    Ok(out.with_file_name(sibling))
}

fn remove_tree(path: &Path) -> Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(|source| Error::io("stat", path, source))?,
    };
    let removed = if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|source| Error::io("remove", path, source))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|source| Error::io("rename", from, source))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| Error::io("sync", path, source))
}
