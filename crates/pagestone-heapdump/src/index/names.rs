//! The names of classes, checked at open.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    layout::ClassRecord,
    manifest::{self, Manifest, file},
};

/// All class names in one text.
pub(super) struct Names {
    text: String,
    path: PathBuf,
}

impl Names {
    pub(super) fn open(directory: &Path, manifest: &Manifest) -> Result<Self> {
        let facts = manifest.table(directory, file::CLASS_NAMES)?;
        let path = directory.join(file::CLASS_NAMES);
        let mut bytes = Vec::new();
        let opened =
            manifest::open_plain(&path).map_err(|source| Error::io("open", &path, source))?;
        opened
            .take(facts.byte_len)
            .read_to_end(&mut bytes)
            .map_err(|source| Error::io("read", &path, source))?;
        let found = crc32fast::hash(&bytes);
        if found != facts.crc32 {
            return Err(Error::corrupt(&path, "checksum", (facts.crc32, found)));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::corrupt(&path, "text", ("UTF-8", "other bytes")))?;
        Ok(Self { text, path })
    }

    /// The name of a class.
    pub(super) fn get(&self, class: &ClassRecord) -> Result<&str> {
        let (offset, len) = (class.name_offset.get(), class.name_len.get());
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(len as usize)?));
        range.and_then(|range| self.text.get(range)).ok_or_else(|| {
            let found = format!("{len} bytes at {offset}");
            Error::corrupt(&self.path, "place of a name", ("a text", found))
        })
    }
}
