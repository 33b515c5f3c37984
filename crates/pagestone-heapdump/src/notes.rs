//! Notes that people keep in an index: the one table that changes after the build.

use std::time::{SystemTime, UNIX_EPOCH};

use pagestone_buffer::{Buffers as _, EntryBuffer};
use pagestone_heap::{self as heap, RegionFile, Verify};
use pagestone_storage::TrustedDir;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    manifest::{self, file},
};

/// The name of the buffer in its file.
const BUFFER: &str = "notes";

/// The address range of the file: tables of it are filled at each open.
const RESERVE: u64 = 4 << 30;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// Its number, which stays.
    pub number: u64,
    /// The id of the object that it is about.
    pub object: Option<u64>,
    /// When it was written, in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: u64,
    /// What it says.
    pub text: String,
}

/// How a note lies in its entry.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    object: Option<u64>,
    timestamp_ms: u64,
    text: String,
}

/// The notes of an index.
///
/// They lie in a file of their own inside the index, which the first note makes. One process
/// writes at a time; others read meanwhile. A build that replaces the index, of the same dump or of
/// another, leaves them where they are, with the ids that they name.
#[derive(Debug, Clone)]
pub struct Notes {
    dir: TrustedDir,
}

impl Notes {
    /// The notes of the index in `dir`.
    ///
    /// # Errors
    ///
    /// As [`HeapIndex::open`](crate::HeapIndex::open), for its manifest.
    pub fn of(dir: &TrustedDir) -> Result<Self> {
        manifest::read(dir.path())?;
        Ok(Self { dir: dir.clone() })
    }

    /// Adds a note, about an object or about the dump, and returns its number. It survives a
    /// power loss once this has returned.
    ///
    /// # Errors
    ///
    /// `Locked` while another process adds one; `Corrupt` for a file that is none of notes;
    /// `OutOfSpace`; `Io`.
    pub fn add(&self, object: Option<u64>, text: &str) -> Result<u64> {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let stored = Stored { object, timestamp_ms, text: text.to_owned() };
        let options = RegionFile::options().reserve(RESERVE);
        let file = options.open_or_create(self.dir.file(file::NOTES))?;
        let bytes = serde_json::to_vec(&stored)
            .map_err(|source| Error::corrupt(file.path(), "note", ("text", source)))?;
        let notes = file.buffer(BUFFER)?;
        let mut writer = file.writer();
        let id = notes.add(&mut writer, &bytes)?;
        writer.commit()?;
        drop(writer);
        drop(notes);
        file.close()?;
        Ok(id.to_bits())
    }

    /// Returns all notes, the oldest first.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a damaged file, or for what is no note; `Io`.
    pub fn list(&self) -> Result<Vec<Note>> {
        let options = RegionFile::options().reserve(RESERVE);
        let file = match options.open_read_only(self.dir.file(file::NOTES)) {
            Err(error) if error.kind() == heap::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        check(&file)?;
        let notes = match file.buffer(BUFFER) {
            // The process that made the file was killed before it wrote a note.
            Err(error) if error.kind() == heap::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        read_all(&file, &notes)
    }
}

/// Errors when anything in the file contradicts anything else: a damaged word might hide a note.
fn check(file: &RegionFile) -> Result<()> {
    let report = match file.verify(Verify::new()) {
        // Another process adds one; a reader compares what it reads all the same.
        Err(error) if error.kind() == heap::ErrorKind::Locked => return Ok(()),
        report => report?,
    };
    match report.problems.first() {
        None => Ok(()),
        Some(problem) => {
            let found = format!("{} at offset {}", problem.what, problem.offset);
            Err(Error::corrupt(file.path(), "file of notes", ("a whole one", found)))
        }
    }
}

fn read_all(file: &RegionFile, notes: &EntryBuffer) -> Result<Vec<Note>> {
    let pin = file.pin();
    let mut all = Vec::new();
    for id in notes.ids_as_written(&pin)? {
        let stored: Stored = serde_json::from_slice(notes.get(&pin, id)?)
            .map_err(|source| Error::corrupt(file.path(), "note", ("a note", source)))?;
        let Stored { object, timestamp_ms, text } = stored;
        all.push(Note { number: id.to_bits(), object, timestamp_ms, text });
    }
    Ok(all)
}
