//! The finished index: opened in constant time, asked about classes and objects.

mod answers; // what it answers
mod references; // what refers to what
mod tree; // what retains what
mod path; // how objects are reached
mod roots; // where reaching begins
mod instances; // the objects of classes
mod find; // instances by their fields
mod diff; // two dumps
mod strings; // what strings say
mod content; // fields, elements, stack traces
mod names; // the names of classes
mod tables; // the files
mod relation; // lists of objects
mod entries; // the tree of dominators, entry by entry
mod mapped; // one file, mapped when needed

use std::{cmp::Reverse, fmt, path::Path, sync::Arc};

use pagestone_storage::TrustedDir;

pub use self::{
    answers::{Class, ClassCount, Object, ObjectKind, Rank},
    content::{Field, Frame, StackTrace, Value},
    diff::{ClassDifference, StringDifference},
    find::{FindOptions, Found},
    instances::Subclasses,
    path::Follow,
    references::ObjectIds,
    roots::Root,
    strings::StringValue,
    tree::{Biggest, Retained},
};
use self::{content::Content, mapped::Files, names::Names, tables::Tables};
use crate::{
    error::Result,
    layout::{KindCode, origin},
    manifest,
    summary::{Summary, TableFacts},
};

/// A finished index of a heap dump.
///
/// Holding one guarantees that the manifest had its checksum and every file its length when it was
/// opened. A file is mapped when an answer first needs it, and each 32 KiB of it are compared with
/// their checksum when an answer first needs those: a damaged index gives errors, which name the
/// file, not other answers. The files are mapped, so many indexes can be open, in many processes;
/// nothing is ever written.
///
/// Where a build replaces an index that is open, answers from files that were mapped stay as they
/// were; a question that needs another file is an error until the new index is opened.
pub struct HeapIndex {
    files: Arc<Files>,
    tables: Tables,
    names: Names,
    content: Content,
}

impl HeapIndex {
    /// Opens the index in `dir`, in constant time: reads the manifest and compares the lengths of
    /// all other files with it. Each is mapped by the first question that needs it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `NotAnIndex` when there is no manifest, as in the directory of a killed build;
    /// `UnknownVersion`; `Corrupt` and `Truncated` when a file is not what the manifest says;
    /// `Io`.
    pub fn open(dir: &TrustedDir) -> Result<Self> {
        let manifest = manifest::read(dir.path())?;
        tables::check_lens(dir.path(), &manifest)?;
        let files = Files::open(dir, manifest)?;
        Ok(Self {
            tables: Tables::new(&files)?,
            names: Names::new(&files)?,
            content: Content::new(&files)?,
            files,
        })
    }

    /// Returns the directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.tables.path()
    }

    /// Returns what the index says about its dump as a whole.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.files.manifest.summary
    }

    /// Returns the files of the index.
    #[must_use]
    pub fn tables(&self) -> &[TableFacts] {
        &self.files.manifest.tables
    }

    /// Returns all classes with instances, the first by `rank` first, those that are equal by
    /// name; O(classes) from stored totals.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn histogram(&self, rank: Rank) -> Result<Vec<ClassCount<'_>>> {
        let mut found = Vec::new();
        for ordinal in 0..self.tables.class_count() {
            let class = self.tables.class(ordinal)?;
            let (count, bytes) = (class.instance_count.get(), class.payload_len.get());
            if 0 < count {
                let name = self.names.get(&class)?;
                let class_count = ClassCount { name, class_id: class.id.get(), count, bytes };
                found.push((class.name_rank.get(), class_count));
            }
        }
        found.sort_unstable_by_key(|(name_rank, class)| {
            let by = match rank {
                Rank::Count => class.count,
                Rank::Bytes => class.bytes,
            };
            (Reverse(by), *name_rank)
        });
        Ok(found.into_iter().map(|(_, class)| class).collect())
    }

    /// Returns the classes of a name, as `java.lang.String`, `int[]` or `java.lang.Object[][]`,
    /// in the order of their ids; O(log classes).
    ///
    /// Several loaders may each have one. For the array of a primitive type the first one, with
    /// id 0, counts its arrays; the class object follows.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn classes_named(&self, name: &str) -> Result<Vec<Class<'_>>> {
        let by_name = |index| -> Result<_> {
            let class = self.tables.class(self.tables.order(index)?.by_name.get())?;
            Ok((self.names.get(&class)?, class))
        };
        let count = self.tables.class_count();
        let first = partition(count, |index| Ok(by_name(index)?.0 < name))?;
        let mut found = Vec::new();
        for index in first..count {
            let (found_name, class) = by_name(index)?;
            if found_name != name {
                break;
            }
            found.push(Class::new(&class, found_name));
        }
        Ok(found)
    }

    /// Returns the class with an id, none when the dump does not mention it; O(log classes).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn class(&self, id: u64) -> Result<Option<Class<'_>>> {
        let Some(ordinal) = self.class_ordinal(id)? else { return Ok(None) };
        let class = self.tables.class(ordinal)?;
        Ok(Some(Class::new(&class, self.names.get(&class)?)))
    }

    /// The ordinal of the class with an id other than 0.
    fn class_ordinal(&self, id: u64) -> Result<Option<u32>> {
        if id == 0 {
            return Ok(None);
        }
        let by_id = |index| -> Result<_> {
            let ordinal = self.tables.order(index)?.by_id.get();
            Ok((ordinal, self.tables.class(ordinal)?.id.get()))
        };
        let count = self.tables.class_count();
        let index = partition(count, |index| Ok(by_id(index)?.1 < id))?;
        if count <= index {
            return Ok(None);
        }
        let (ordinal, found) = by_id(index)?;
        Ok(Some(ordinal).filter(|_| found == id))
    }

    /// Returns the object with an id, none when the dump does not hold it; O(log objects).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn object(&self, id: u64) -> Result<Option<Object<'_>>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        self.object_at((ordinal, id)).map(Some)
    }

    /// The object with an ordinal and id.
    fn object_at(&self, (ordinal, id): (u32, u64)) -> Result<Object<'_>> {
        let record = self.tables.object(ordinal)?;
        let kind = match record.kind {
            KindCode::Class => ObjectKind::Class,
            KindCode::Instance => ObjectKind::Instance,
            KindCode::ObjectArray => ObjectKind::ObjectArray,
            KindCode::PrimitiveArray => ObjectKind::PrimitiveArray,
        };
        let class = self.tables.class(record.class)?;
        let is_primitive = class.origin.get() & origin::PRIMITIVE_ARRAY != 0;
        if is_primitive != (kind == ObjectKind::PrimitiveArray) {
            return Err(self.tables.corrupt_object("class", record.class));
        }
        Ok(Object {
            id,
            kind,
            class_id: class.id.get(),
            class_name: self.names.get(&class)?,
            payload_len: u64::from(record.payload_len),
            value_offset: record.value_offset,
        })
    }

    /// Reads every file of the index and compares its checksum; O(bytes of the index).
    ///
    /// # Errors
    ///
    /// `Corrupt` and `Truncated`, naming the first file that differs; `Io`.
    pub fn verify(&self) -> Result<()> {
        tables::verify(self.path(), &self.files.manifest)
    }
}

/// The first index below `count` for which `is_before` does not hold.
fn partition(count: u32, is_before: impl Fn(u32) -> Result<bool>) -> Result<u32> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

impl fmt::Debug for HeapIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HeapIndex")
            .field("path", &self.path())
            .field("summary", &self.files.manifest.summary)
            .finish_non_exhaustive()
    }
}
