//! The classes seen so far, by id and by ordinal.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, Hasher, RandomState},
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, ErrorKind, Result},
    format::Primitive,
    layout::{CLASS_COUNT_MAX, origin},
    scan::ClassFacts,
};

/// What is known of a class; a class is known from the first record that mentions it.
#[derive(Debug, Clone, Default)]
pub(super) struct ClassEntry {
    pub(super) id: u64,
    pub(super) super_id: u64,
    pub(super) loader_id: u64,
    pub(super) dump_offset: u64,
    pub(super) instance_count: u64,
    pub(super) payload_len: u64,
    pub(super) name_id: u64,
    pub(super) instance_size: u32,
    pub(super) origin: u32,
}

/// The classes in the order of their first mention, behind those of the primitive arrays.
pub(super) struct ClassTable {
    entries: Vec<ClassEntry>,
    ordinals: HashMap<u64, u32, FoldingState>,
    /// The class asked for last: neighbours are often of one class.
    last: (u64, u32),
    path: PathBuf,
}

impl ClassTable {
    /// A table with nothing but the primitive arrays; `path` stands in errors.
    pub(super) fn new(path: &Path) -> Self {
        let primitive = ClassEntry { origin: origin::PRIMITIVE_ARRAY, ..ClassEntry::default() };
        let mut table = Self {
            entries: vec![primitive; Primitive::ALL.len()],
            ordinals: HashMap::with_hasher(FoldingState::new()),
            last: (0, 0),
            path: path.to_path_buf(),
        };
        // So that `last` is true from the start, a class 0 is known; it has no origin.
        table.last.1 = table.insert(0).unwrap_or_default();
        table
    }

    fn insert(&mut self, id: u64) -> Result<u32> {
        let ordinal = u32::try_from(self.entries.len())
            .ok()
            .filter(|ordinal| *ordinal < CLASS_COUNT_MAX)
            .ok_or_else(|| {
                let what = format!("more than {CLASS_COUNT_MAX} classes");
                Error::refused(ErrorKind::Unsupported, &self.path, what)
            })?;
        self.entries.push(ClassEntry { id, ..ClassEntry::default() });
        self.ordinals.insert(id, ordinal);
        Ok(ordinal)
    }

    /// The ordinal of a class, new or known.
    #[inline]
    pub(super) fn ordinal(&mut self, id: u64) -> Result<u32> {
        if self.last.0 == id {
            return Ok(self.last.1);
        }
        let ordinal = match self.ordinals.entry(id) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) => self.insert(id)?,
        };
        self.last = (id, ordinal);
        Ok(ordinal)
    }

    fn entry(&mut self, id: u64) -> Result<&mut ClassEntry> {
        let ordinal = self.ordinal(id)?;
        Ok(&mut self.entries[ordinal as usize])
    }

    /// Takes the name of a class; the last one given counts.
    pub(super) fn load(&mut self, id: u64, name_id: u64) -> Result<()> {
        let entry = self.entry(id)?;
        entry.name_id = name_id;
        entry.origin |= origin::LOADED;
        Ok(())
    }

    /// Takes the description of a class, the last one given, and returns its ordinal.
    pub(super) fn describe(&mut self, class: &ClassFacts) -> Result<u32> {
        let entry = self.entry(class.id)?;
        entry.super_id = class.super_id;
        entry.loader_id = class.loader_id;
        entry.dump_offset = class.offset;
        entry.instance_size = class.instance_size;
        entry.origin |= origin::DUMPED;
        Ok(self.last.1)
    }

    /// Counts an object of a class.
    #[inline]
    pub(super) fn add(&mut self, ordinal: u32, payload_len: u32) {
        let entry = &mut self.entries[ordinal as usize];
        entry.instance_count += 1;
        entry.payload_len += u64::from(payload_len);
    }

    /// Takes back what [`add`](Self::add) counted.
    pub(super) fn subtract(&mut self, ordinal: u32, payload_len: u32) {
        let entry = &mut self.entries[ordinal as usize];
        entry.instance_count -= 1;
        entry.payload_len -= u64::from(payload_len);
    }

    pub(super) fn entries(&self) -> &[ClassEntry] {
        &self.entries
    }
}

/// Hashes an id by one multiplication with a number that no dump can know.
#[derive(Debug, Clone, Copy)]
struct FoldingState {
    factor: u64,
}

impl FoldingState {
    fn new() -> Self {
        Self { factor: RandomState::new().hash_one(0) | 1 }
    }
}

impl BuildHasher for FoldingState {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding { factor: self.factor, hash: 0 }
    }
}

struct Folding {
    factor: u64,
    hash: u64,
}

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, id: u64) {
        let product =
            u128::from((self.hash ^ id).wrapping_add(self.factor)) * u128::from(self.factor);
        #[expect(clippy::cast_possible_truncation, reason = "the halves are folded")]
        let folded = product as u64 ^ (product >> 64) as u64;
        self.hash = folded;
    }
}
