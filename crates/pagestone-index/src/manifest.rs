//! The manifest: the file that makes files of one version a table or a relation.

use std::{collections::BTreeSet, fs::File, io, io::Read as _, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    directory::{self, Directory},
    error::{Error, ErrorKind, Result},
    schema::StoredSchema,
};

/// The first word of a manifest; the version of the format follows.
const MAGIC: &str = "pagestone-index";
const VERSION: u32 = 1;

/// No manifest is longer: it lists a bounded number of things.
const LEN_MAX: u64 = 4 << 20;

/// A file and how long it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileFacts {
    pub(crate) name: String,
    pub(crate) record_size: u64,
    pub(crate) record_count: u64,
}

/// What a manifest says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Manifest {
    Table(TableFacts),
    Relation(RelationFacts),
    Region(RegionFacts),
}

/// A table: its rows, and one file for each key that is not canonical.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableFacts {
    pub(crate) version: u64,
    pub(crate) schema: StoredSchema,
    pub(crate) rows: FileFacts,
    pub(crate) keys: Vec<Option<FileFacts>>,
}

/// A root of a region file names the current version, not this manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionFacts {
    /// The 16 bytes that tell the region file from others, in hexadecimal.
    pub(crate) file: String,
    pub(crate) root: String,
}

/// What the block under such a root says.
#[cfg(feature = "region")]
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootFacts {
    /// The commit of the region file by which it survives power loss.
    pub(crate) generation: u64,
    pub(crate) holds: Manifest,
}

/// A relation: both directions, each with the ends of its lists and the lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelationFacts {
    pub(crate) version: u64,
    pub(crate) pair_count: u64,
    pub(crate) forward: DirectionFacts,
    pub(crate) inverse: DirectionFacts,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectionFacts {
    pub(crate) key_count: u64,
    /// The keys that have a list, where most have none; else every key has one.
    pub(crate) keys: Option<FileFacts>,
    pub(crate) ends: FileFacts,
    pub(crate) values: FileFacts,
}

impl Manifest {
    pub(crate) fn version(&self) -> u64 {
        match self {
            Self::Table(table) => table.version,
            Self::Relation(relation) => relation.version,
            Self::Region(_) => 0,
        }
    }

    fn files(&self) -> Vec<&FileFacts> {
        match self {
            Self::Table(table) => {
                std::iter::once(&table.rows).chain(table.keys.iter().flatten()).collect()
            }
            Self::Relation(relation) => [&relation.forward, &relation.inverse]
                .into_iter()
                .flat_map(|side| side.keys.iter().chain([&side.ends, &side.values]))
                .collect(),
            Self::Region(_) => Vec::new(),
        }
    }

    /// The names of the files that it makes current.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.files().into_iter().map(|file| file.name.clone()).collect()
    }
}

/// The bytes of a manifest.
pub(crate) fn to_bytes(manifest: &impl Serialize) -> Result<Vec<u8>> {
    let json = serde_json::to_string_pretty(manifest)
        .map_err(|source| Error::argument(format!("the manifest cannot be written: {source}")))?;
    let checked = format!("{MAGIC} {VERSION}\n{json}\n");
    Ok(format!("{checked}{}\n", checksum_line(&checked)).into_bytes())
}

/// Makes `manifest` the one of the directory: the commit point.
pub(crate) fn publish(directory: &Directory, manifest: &Manifest) -> Result<()> {
    let bytes = to_bytes(manifest)?;
    Ok(pagestone_storage::replace_file(directory.file(directory::MANIFEST), &bytes)?)
}

/// Reads the manifest of the directory, `None` where nothing was published.
///
/// # Errors
///
/// `Foreign`, also where a region file names the version; `UnknownVersion`; `Corrupt`; `Io`.
pub(crate) fn find(directory: &Directory) -> Result<Option<Manifest>> {
    match find_any(directory)? {
        Some(Manifest::Region(RegionFacts { root, .. })) => {
            let root: String = root.chars().take(80).collect();
            let what = format!("the root {root:?} of a region file names its version: `open_in`");
            Err(Error::refused(ErrorKind::Foreign, directory.path(), what))
        }
        found => Ok(found),
    }
}

/// As [`find`], whatever names the version.
pub(crate) fn find_any(directory: &Directory) -> Result<Option<Manifest>> {
    let path = directory.manifest();
    let file = match open_plain(&path) {
        Ok(file) => file,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(source) => return Err(Error::io("open", &path, source)),
    };
    let mut bytes = Vec::new();
    file.take(LEN_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io("read", &path, source))?;
    parse(&bytes, &path).map(Some)
}

/// Reads the manifest of the directory, which is one of a table or relation.
///
/// # Errors
///
/// `NotFound` where nothing was published; else as [`find`].
pub(crate) fn read(directory: &Directory) -> Result<Manifest> {
    find(directory)?.ok_or_else(|| {
        let what = "nothing was published here: there is no manifest";
        Error::refused(ErrorKind::NotFound, directory.path(), what)
    })
}

/// Opens a regular file for reading; anything else, on which a read might wait, is an error.
fn open_plain(path: &Path) -> io::Result<File> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "not a regular file"));
    }
    File::open(path)
}

/// The manifest that these bytes are; `path` names them in errors.
pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Manifest> {
    let manifest: Manifest = checked(bytes, path)?;
    check_names(&manifest, path)?;
    Ok(manifest)
}

/// What the block under a root says; `path` names the region file in errors.
#[cfg(feature = "region")]
pub(crate) fn parse_root(bytes: &[u8], path: &Path) -> Result<RootFacts> {
    let facts: RootFacts = checked(bytes, path)?;
    check_names(&facts.holds, path)?;
    Ok(facts)
}

fn check_names(manifest: &Manifest, path: &Path) -> Result<()> {
    manifest.files().into_iter().try_for_each(|file| directory::check_name(path, &file.name))
}

/// What is between the first line and the last, which is compared.
fn checked<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    let foreign = || {
        let what = "not the manifest of a table or relation";
        Error::refused(ErrorKind::Foreign, path, what)
    };
    let text = std::str::from_utf8(bytes).map_err(|_| foreign())?;
    let (first, _) = text.split_once('\n').ok_or_else(foreign)?;
    let version = first.strip_prefix(MAGIC).ok_or_else(foreign)?.trim_start();
    if version != VERSION.to_string() {
        let version: String = version.chars().take(20).collect();
        let what = format!("version {version:?}, this program reads version {VERSION}");
        return Err(Error::refused(ErrorKind::UnknownVersion, path, what));
    }
    let lines = text.strip_suffix('\n').and_then(|text| text.rsplit_once('\n'));
    let Some((body, stated)) = lines else {
        return Err(Error::corrupt(path, "last line", ("a checksum", "nothing")));
    };
    let expected = checksum_line(text.get(..=body.len()).unwrap_or_default());
    if stated != expected {
        let stated: String = stated.chars().take(40).collect();
        return Err(Error::corrupt(path, "checksum", (expected, stated)));
    }
    serde_json::from_str(body.get(first.len()..).unwrap_or_default())
        .map_err(|source| Error::corrupt(path, "content", ("a manifest", source)))
}

/// The last line of a manifest that begins with `checked`.
fn checksum_line(checked: &str) -> String {
    format!("crc32 {:08x}", crc32fast::hash(checked.as_bytes()))
}
