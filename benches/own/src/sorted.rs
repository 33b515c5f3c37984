//! A sorted storage of 16-byte records as lookups find it: mapped, and read in place.

use pagestone_storage::{
    Backing, Mutability, Options, Records, SidecarOptions, Storage, TrustedDir,
};

use crate::{KEY, Random, Result, Scale, Words};

/// Records that are appended at once.
const BATCH: usize = 64 << 10;

/// Whether there is an accelerator, and what it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// None.
    Absent,
    /// With what the processor has.
    Simd,
    /// With portable code alone.
    Portable,
}

/// A reader of sorted records: keys some 2⁶⁴ / count apart, values by key.
#[derive(Debug)]
pub struct Sorted {
    /// The reader.
    pub records: Records<Words<2>>,
}

impl Sorted {
    /// Writes `count` records to the file `name` and opens it.
    ///
    /// # Errors
    ///
    /// Those of the storage.
    pub fn create(
        dir: &TrustedDir,
        (name, count): (&str, usize),
        accelerator: Accelerator,
    ) -> Result<Self> {
        let options = Options::new().backing(Backing::Map).mutability(Mutability::AppendOnly);
        let mut storage: Storage<Words<2>> = options.create(dir.file(name))?;
        let mut batch = Vec::with_capacity(BATCH);
        let mut left = sorted_pairs(count);
        loop {
            batch.clear();
            batch.extend(left.by_ref().take(BATCH));
            if batch.is_empty() {
                break;
            }
            storage.append(&batch)?;
        }
        if accelerator != Accelerator::Absent {
            storage.write_sidecar(SidecarOptions::new().accelerate(KEY))?;
        }
        drop(storage);
        Self::open(dir, name, accelerator)
    }

    /// Opens the file `name` that [`create`](Self::create) made.
    ///
    /// # Errors
    ///
    /// Those of the storage.
    pub fn open(dir: &TrustedDir, name: &str, accelerator: Accelerator) -> Result<Self> {
        let options = Options::new().backing(Backing::Map).mutability(Mutability::AppendOnly);
        let options = match accelerator {
            Accelerator::Portable => options.portable_search(),
            Accelerator::Simd | Accelerator::Absent => options,
        };
        Ok(Self { records: options.open_read_only(dir.file(name))? })
    }

    /// All records.
    #[must_use]
    pub fn slice(&self) -> &[Words<2>] {
        self.records.as_slice().unwrap_or_default()
    }
}

/// The records of a sorted storage: each key at least 2 above the last, the value a hash of it.
pub fn sorted_pairs(count: usize) -> impl Iterator<Item = Words<2>> {
    let mut random = Random::new(7);
    let gap = u64::MAX / (count as u64 + 1) - 2;
    let mut key = 0;
    (0..count).map(move |_| {
        key += 2 + random.next() % gap;
        Words::new(key, Random::new(key).next())
    })
}

/// Keys to look up, in random order, handed out batch by batch and over again.
#[derive(Debug)]
pub struct Probes {
    keys: Vec<u64>,
    at: usize,
}

impl Probes {
    /// Keys in one batch.
    pub const BATCH: usize = 1024;

    /// Keys of `records`.
    #[must_use]
    pub fn hits(records: &[Words<2>], scale: Scale) -> Self {
        let count = scale.count(4 << 20).next_multiple_of(Self::BATCH);
        let mut random = Random::new(3);
        let keys = (0..count).map(|_| records[random.below(records.len())].key()).collect();
        Self { keys, at: 0 }
    }

    /// Keys that `records`, which [`sorted_pairs`] made, do not have.
    #[must_use]
    pub fn misses(records: &[Words<2>], scale: Scale) -> Self {
        let mut probes = Self::hits(records, scale);
        probes.keys.iter_mut().for_each(|key| *key += 1);
        probes
    }

    /// The next batch.
    pub fn next_batch(&mut self) -> &[u64] {
        let start = self.at;
        let end = start + Self::BATCH;
        self.at = if end < self.keys.len() { end } else { 0 };
        &self.keys[start..end]
    }
}
