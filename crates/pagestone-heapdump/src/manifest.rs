//! The manifest: the file that makes a directory an index, written last and checksummed.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind, Result},
    summary::{Summary, TableFacts},
};

/// The names of the files of an index.
pub(crate) mod file {
    pub(crate) const MANIFEST: &str = "manifest";
    pub(crate) const OBJECT_HEADS: &str = "objects.heads";
    pub(crate) const OBJECTS: &str = "objects.packed";
    pub(crate) const FORMS: &str = "forms.rec";
    pub(crate) const ID_BLOCKS: &str = "ids.rec";
    pub(crate) const ID_WORDS: &str = "ids.words";
    pub(crate) const CLASSES: &str = "classes.rec";
    pub(crate) const CLASS_ORDERS: &str = "class_orders.rec";
    pub(crate) const CLASS_NAMES: &str = "class_names.txt";
    pub(crate) const LAYOUTS: &str = "layouts.rec";
    pub(crate) const TRACES: &str = "traces.rec";
    pub(crate) const FACTS: &str = "facts.pgs";
    pub(crate) const ROOTS: &str = "roots.rec";
    pub(crate) const TREE_HEADS: &str = "tree.heads";
    pub(crate) const TREE: &str = "tree.entries";
    pub(crate) const BIGGEST: &str = "biggest.rec";
    /// A table directory, and its files.
    pub(crate) const STRINGS: &str = "strings";
    pub(crate) const STRING_FILES: [&str; 3] =
        ["strings/manifest", "strings/rows.1.rec", "strings/rows.1.rec.meta"];
    pub(crate) const STRING_OBJECTS: &str = "string_objects.rec";
    pub(crate) const CHECKS: &str = "checks.rec";
    /// Made by the first note; the manifest does not list it.
    pub(crate) const NOTES: &str = "notes.pgs";
    pub(crate) const UNPACKED: &str = "dump.hprof";

    /// While an index is built.
    pub(crate) const PROGRESS: &str = "progress";
    pub(crate) const FOUND_STRINGS: &str = "found_strings.rec";
    pub(crate) const FOUND: &str = "found.rec";
    pub(crate) const SYMBOLS: &str = "symbols.rec";
    pub(crate) const SYMBOL_TEXTS: &str = "symbols.txt";
    /// The symbols, until what strings say is known.
    pub(crate) const OF_SYMBOLS: [&str; 2] = [SYMBOLS, SYMBOL_TEXTS];
    pub(crate) const FOUND_ROOTS: &str = "found_roots.rec";

    /// All of them but those that a build removes.
    pub(crate) const ALL: [&str; 29] = [
        MANIFEST,
        OBJECT_HEADS,
        OBJECTS,
        FORMS,
        ID_BLOCKS,
        ID_WORDS,
        CLASSES,
        CLASS_ORDERS,
        CLASS_NAMES,
        LAYOUTS,
        TRACES,
        FACTS,
        ROOTS,
        TREE_HEADS,
        TREE,
        BIGGEST,
        STRING_FILES[0],
        STRING_FILES[1],
        STRING_FILES[2],
        STRING_OBJECTS,
        CHECKS,
        NOTES,
        UNPACKED,
        super::OUTBOUND.heads,
        super::OUTBOUND.bytes,
        super::INBOUND.heads,
        super::INBOUND.bytes,
        super::INSTANCES.heads,
        super::INSTANCES.bytes,
    ];
}

/// The two files of a relation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListFiles {
    /// Where every sixteenth list begins.
    pub(crate) heads: &'static str,
    /// The lists.
    pub(crate) bytes: &'static str,
}

/// The references of each object, without the one to its class.
pub(crate) const OUTBOUND: ListFiles =
    ListFiles { heads: "outbound.heads", bytes: "outbound.lists" };
/// The objects that refer to each object, without those of which it is the class.
pub(crate) const INBOUND: ListFiles = ListFiles { heads: "inbound.heads", bytes: "inbound.lists" };
/// The instances of each class.
pub(crate) const INSTANCES: ListFiles =
    ListFiles { heads: "instances.heads", bytes: "instances.lists" };

/// The first word of a manifest; the version of the format follows.
const MAGIC: &str = "pagestone-heapdump-index";
const VERSION: u32 = 4;

/// The table of objects of former versions.
const FORMER_OBJECTS: &str = "objects.rec";

/// No manifest is longer: it lists a bounded number of things.
const LEN_MAX: u64 = 1 << 20;

/// Bytes that are read at once.
const BLOCK_LEN: usize = 256 << 10;

/// What a manifest says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) summary: Summary,
    pub(crate) tables: Vec<TableFacts>,
}

impl Manifest {
    /// The facts of a file of the index at `directory`.
    pub(crate) fn table(&self, directory: &Path, name: &str) -> Result<&TableFacts> {
        self.tables.iter().find(|table| table.name == name).ok_or_else(|| {
            let path = directory.join(file::MANIFEST);
            Error::corrupt(&path, "list of files", (name, "nothing"))
        })
    }
}

/// Writes and syncs the manifest at `path`.
pub(crate) fn write(path: &Path, manifest: &Manifest) -> Result<()> {
    let text = checked_text(manifest, path)?;
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| Error::io("write", path, source))
}

/// The text of a manifest, or of what is written like one: version, JSON, checksum.
pub(crate) fn checked_text(value: &impl Serialize, path: &Path) -> Result<String> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|source| Error::io("write", path, source.into()))?;
    let checked = format!("{MAGIC} {VERSION}\n{json}\n");
    Ok(format!("{checked}{}\n", checksum_line(&checked)))
}

/// Reads what [`checked_text`] wrote.
pub(crate) fn read_checked<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let mut bytes = Vec::new();
    let opened = open_plain(path).map_err(|source| Error::io("open", path, source))?;
    opened
        .take(LEN_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", path, source))?;
    parse(&bytes, path)
}

/// Whether a file of an index has this name.
pub(crate) fn is_file_name(name: &str) -> bool {
    file::ALL.contains(&name)
}

/// Whether an entry of an index's directory has this name: a file, or the directory of some.
pub(crate) fn is_entry_name(name: &str) -> bool {
    file::ALL.iter().any(|file| file.split('/').next() == Some(name))
}

/// Whether the directory is an index, damaged or not: it has a manifest that begins like one, or
/// the table of objects.
pub(crate) fn is_one(directory: &Path) -> bool {
    if [file::OBJECTS, FORMER_OBJECTS].iter().any(|name| directory.join(name).is_file()) {
        return true;
    }
    let path = directory.join(file::MANIFEST);
    let mut first = [0; MAGIC.len()];
    open_plain(&path)
        .is_ok_and(|mut file| file.read_exact(&mut first).is_ok() && first == *MAGIC.as_bytes())
}

/// Opens a regular file for reading; anything else, on which a read might wait, is an error.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "not a regular file"));
    }
    File::open(path)
}

/// Reads the manifest of the index at `directory`.
///
/// # Errors
///
/// `NotFound` where there is no directory, `NotAnIndex` where it has no manifest;
/// `UnknownVersion`; `Corrupt`; `Io`.
pub(crate) fn read(directory: &Path) -> Result<Manifest> {
    let path = directory.join(file::MANIFEST);
    if let Err(source) = open_plain(&path) {
        return Err(match source.kind() {
            io::ErrorKind::NotFound if directory.is_dir() => {
                let what = "not a finished index: it has no manifest";
                Error::refused(ErrorKind::NotAnIndex, directory, what)
            }
            io::ErrorKind::NotADirectory => {
                let what = "not a directory, so not an index";
                Error::refused(ErrorKind::NotAnIndex, directory, what)
            }
            _ => Error::io("open", &path, source),
        });
    }
    let manifest: Manifest = read_checked(&path)?;
    for table in &manifest.tables {
        let stated = table.record_count.checked_mul(u64::from(table.record_size));
        if stated != Some(table.byte_len) {
            let expected = format!("{} of {} bytes", table.record_count, table.record_size);
            return Err(Error::corrupt(&path, "length of a file", (expected, table.byte_len)));
        }
    }
    Ok(manifest)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    let foreign = || {
        let what = "not the manifest of a heap-dump index";
        Error::refused(ErrorKind::NotAnIndex, path, what)
    };
    let text = std::str::from_utf8(bytes).map_err(|_| foreign())?;
    let (first, _) = text.split_once('\n').ok_or_else(foreign)?;
    let version = first.strip_prefix(MAGIC).ok_or_else(foreign)?.trim_start();
    if version != VERSION.to_string() {
        let what = format!("index of version {version}, this program reads version {VERSION}");
        return Err(Error::refused(ErrorKind::UnknownVersion, path, what));
    }
    let lines = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n'));
    let Some((body, stated)) = lines else {
        return Err(Error::corrupt(path, "last line", ("a checksum", "nothing")));
    };
    let expected = checksum_line(&text[..=body.len()]);
    if stated != expected {
        let stated: String = stated.chars().take(40).collect();
        return Err(Error::corrupt(path, "checksum", (expected, stated)));
    }
    let json = &body[first.len()..];
    serde_json::from_str(json)
        .map_err(|source| Error::corrupt(path, "content", ("a manifest", source)))
}

/// The last line of a manifest that begins with `checked`.
fn checksum_line(checked: &str) -> String {
    format!("crc32 {:08x}", crc32fast::hash(checked.as_bytes()))
}

/// Measures a finished file of `T` records.
pub(crate) fn table_facts<T>(path: &Path) -> Result<TableFacts> {
    let (byte_len, crc32) = checksum(path)?;
    let record_count = byte_len / size_of::<T>() as u64;
    Ok(TableFacts::new::<T>(&name_of(path), record_count, crc32))
}

/// The name of a file.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a file and returns its length and CRC-32.
pub(crate) fn checksum(path: &Path) -> Result<(u64, u32)> {
    let mut crc = crc32fast::Hasher::new();
    let mut len = 0;
    let mut file = open_plain(path).map_err(|source| Error::io("open", path, source))?;
    let stated = file.metadata().map_err(|source| Error::io("stat", path, source))?.len();
    // One byte more than there is, so that the end is met.
    let capacity = usize::try_from(stated).map_or(BLOCK_LEN, |len| len.min(BLOCK_LEN - 1) + 1);
    let mut block = vec![0; capacity];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok((len, crc.finalize())),
            Ok(read) => {
                crc.update(&block[..read]);
                len += read as u64;
            }
            Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::io("read", path, source)),
        }
    }
}
