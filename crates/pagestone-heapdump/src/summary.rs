//! What an index says about its dump as a whole.

use serde::{Deserialize, Serialize};

use crate::damage::Damage;

/// How the dump's bytes were packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Packing {
    /// Not at all.
    Plain,
    /// In gzip members; the index holds the unpacked dump.
    Gzip,
}

/// How often a tag occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TagCount {
    /// The tag of a record or type byte of a sub-record.
    pub tag: u8,
    /// Its name; `unknown` for tags outside the format.
    pub name: String,
    /// How often it occurs.
    pub count: u64,
}

/// A file of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TableFacts {
    /// Its name inside the directory.
    pub name: String,
    /// Bytes of a record.
    pub record_size: u32,
    /// Its records.
    pub record_count: u64,
    /// Its bytes.
    pub byte_len: u64,
    /// CRC-32 of its bytes.
    pub crc32: u32,
}

impl TableFacts {
    /// The facts of a file of `T` records.
    pub(crate) fn new<T>(name: &str, record_count: u64, crc32: u32) -> Self {
        let record_size = u32::try_from(size_of::<T>()).unwrap_or(u32::MAX);
        let byte_len = record_count.saturating_mul(u64::from(record_size));
        Self { name: name.to_owned(), record_size, record_count, byte_len, crc32 }
    }
}

/// What an index says about its dump as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Where the dump was when the index was built.
    pub dump_path: String,
    /// Bytes of that file.
    pub file_len: u64,
    /// How it was packed.
    pub packing: Packing,
    /// Bytes of the unpacked dump.
    pub dump_len: u64,
    /// CRC-32 of some parts of the unpacked dump: enough to tell it from another.
    pub sample_crc32: u32,
    /// The text of the dump's header: `JAVA PROFILE 1.0.2` and the like.
    pub format: String,
    /// Bytes of an identifier: 4 or 8.
    pub id_size: u32,
    /// When the dump was made, in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: u64,
    /// Records by tag, ascending; one that the end of the file cuts is counted.
    pub records: Vec<TagCount>,
    /// Sub-records by type, ascending, roots too; a damaged one is counted.
    pub sub_records: Vec<TagCount>,
    /// Roots by kind.
    pub roots: Vec<TagCount>,
    /// `UTF8` records: symbols of the JVM.
    pub symbol_count: u64,
    /// Different classes that a `LOAD_CLASS` record names.
    pub loaded_class_count: u64,
    /// Different classes that a `CLASS_DUMP` describes.
    pub class_count: u64,
    /// Objects, class objects included.
    pub object_count: u64,
    /// Instances of classes.
    pub instance_count: u64,
    /// Arrays of references.
    pub object_array_count: u64,
    /// Arrays of numbers, characters or truth values.
    pub primitive_array_count: u64,
    /// Bytes of all instances and arrays.
    pub payload_len: u64,
    /// Strings whose characters are in the dump.
    pub string_count: u64,
    /// Their different values.
    pub distinct_string_count: u64,
    /// References of all objects, each once for the object that holds it.
    pub reference_count: u64,
    /// References to objects that the dump does not hold, in fields, elements and to classes.
    pub dangling_count: u64,
    /// Different objects of the dump that roots name.
    pub root_object_count: u64,
    /// Roots that name no object of the dump.
    pub absent_root_count: u64,
    /// Objects that can be reached from the roots.
    pub reachable_count: u64,
    /// Bytes of those objects.
    pub reachable_len: u64,
    /// Steps from the roots to the object that is farthest from them.
    pub distance_max: u32,
    /// Repeated objects that were left out: of several with one id the first counts.
    pub duplicate_count: u64,
    /// What could not be read, in file order; only the first ones, and where the dump ends.
    pub damages: Vec<Damage>,
    /// How many damages there are.
    pub damage_count: u64,
}

impl Summary {
    /// Returns whether the whole dump was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.damage_count == 0
    }

    /// Returns the damage at which reading stopped, if the dump is cut.
    #[must_use]
    pub fn truncation(&self) -> Option<Damage> {
        self.damages.iter().copied().find(Damage::is_end)
    }
}
