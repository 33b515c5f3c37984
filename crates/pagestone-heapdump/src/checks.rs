//! Checksums of the blocks of all files of an index: a block is compared with its own when it is
//! first looked at, so that a damaged one is an error and never an answer.
//!
//! The checksums themselves lie in a file under the same rule; those of its blocks are the last
//! thing in it, and are compared with theirs when the index is opened.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use pagestone_storage::{Backing, Options, Records, TrustedDir, le::U32};

use crate::{
    error::{Error, Result},
    manifest::{self, Manifest, file},
    summary::TableFacts,
};

/// Bytes of a block.
pub(crate) const BLOCK_LEN: usize = 32 << 10;

/// Checksums in a block of them.
const BLOCK_SUMS: u64 = 8 << 10;

/// Whether a file has checksums of its blocks; others are compared as a whole.
fn is_covered(facts: &TableFacts) -> bool {
    facts.name != file::CHECKS
}

/// The blocks of so many bytes.
fn block_count(byte_len: u64) -> u64 {
    byte_len.div_ceil(u64::try_from(BLOCK_LEN).unwrap_or(u64::MAX))
}

/// Writes the checksums of all `tables` of the index at `directory`, which are in the order of
/// their names, and syncs them.
pub(crate) fn write(directory: &Path, tables: &[TableFacts]) -> Result<TableFacts> {
    let path = directory.join(file::CHECKS);
    let mut sums: Vec<U32> = Vec::new();
    for facts in tables.iter().filter(|facts| is_covered(facts)) {
        add_file(&directory.join(&facts.name), facts, &mut sums)?;
    }
    let blocks = bytemuck::cast_slice::<_, u8>(&sums).chunks(BLOCK_LEN);
    let roots: Vec<U32> = blocks.map(sum_of).collect();
    sums.extend_from_slice(&roots);
    sums.push(sum_of(bytemuck::cast_slice(&roots)));
    let bytes = bytemuck::cast_slice(&sums);
    let write = || {
        let mut file = File::create_new(&path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| Error::io("write", &path, source))?;
    let count = u64::try_from(sums.len()).unwrap_or(u64::MAX);
    Ok(TableFacts::new::<U32>(file::CHECKS, count, crc32fast::hash(bytes)))
}

fn sum_of(block: &[u8]) -> U32 {
    U32::new(crc32fast::hash(block))
}

/// Adds the checksums of the blocks of a file.
fn add_file(path: &Path, facts: &TableFacts, sums: &mut Vec<U32>) -> Result<()> {
    each_block(path, facts.byte_len, |block| {
        sums.push(sum_of(block));
        Ok(())
    })
}

/// Calls `look` with each block of a file of `byte_len` bytes.
fn each_block(path: &Path, byte_len: u64, mut look: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut file = manifest::open_plain(path).map_err(|source| Error::io("open", path, source))?;
    let block_len = u64::try_from(BLOCK_LEN).unwrap_or(u64::MAX);
    let mut block = vec![0; usize::try_from(byte_len.min(block_len)).unwrap_or(BLOCK_LEN)];
    let mut left = byte_len;
    while 0 < left {
        let len = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        let Some(some) = block.get_mut(..len) else { break };
        match file.read_exact(some) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(Error::truncated(path, byte_len, byte_len.saturating_sub(left)));
            }
            Err(source) => return Err(Error::io("read", path, source)),
        }
        look(some)?;
        left = left.saturating_sub(block_len);
    }
    Ok(())
}

/// The checksums of an index.
#[derive(Debug)]
pub(crate) struct Checks {
    sums: Records<U32>,
    /// How many of these are of blocks of files.
    count: u64,
    /// Of the blocks of checksums.
    roots: Vec<U32>,
    seen: Seen,
}

impl Checks {
    /// Maps the checksums; the first look at any of them is a comparison of its own.
    pub(crate) fn open(dir: &TrustedDir, manifest: &Manifest) -> Result<Arc<Self>> {
        let facts = manifest.table(dir.path(), file::CHECKS)?;
        let path = dir.path().join(file::CHECKS);
        let covered = manifest.tables.iter().filter(|facts| is_covered(facts));
        let counts = covered.map(|facts| block_count(facts.byte_len));
        let count = counts.fold(0, u64::saturating_add);
        let root_count = count.div_ceil(BLOCK_SUMS);
        let expected = count.saturating_add(root_count).saturating_add(1);
        if facts.record_count != expected {
            let counts = (expected, facts.record_count);
            return Err(Error::corrupt(&path, "number of checksums", counts));
        }
        let options = Options::new().backing(Backing::Map).reserve(facts.byte_len);
        let sums = options.open_read_only::<U32>(dir.file(file::CHECKS))?;
        if sums.len() != expected {
            return Err(Error::corrupt(&path, "number of checksums", (expected, sums.len())));
        }
        let mut roots = Vec::new();
        roots.resize(usize::try_from(root_count).unwrap_or(usize::MAX), U32::new(0));
        sums.read_into(count, bytemuck::cast_slice_mut(&mut roots))?;
        let stated = sums.get(expected.saturating_sub(1))?.get();
        let found = crc32fast::hash(bytemuck::cast_slice(&roots));
        if stated != found {
            return Err(differs(&path, "checksum of the checksums", (stated, found)));
        }
        let seen = Seen::new(root_count);
        Ok(Arc::new(Self { sums, count, roots, seen }))
    }

    /// The checksums of one file that the manifest names; `path` stands in errors.
    pub(crate) fn of(
        self: &Arc<Self>,
        manifest: &Manifest,
        (name, path): (&str, &Path),
    ) -> Result<BlockChecks> {
        let mut first = 0_u64;
        for facts in manifest.tables.iter().filter(|facts| is_covered(facts)) {
            if facts.name == name {
                let (path, byte_len) = (path.to_path_buf(), facts.byte_len);
                let seen = Seen::new(block_count(byte_len));
                return Ok(BlockChecks { all: Arc::clone(self), first, path, byte_len, seen });
            }
            first = first.saturating_add(block_count(facts.byte_len));
        }
        Err(Error::corrupt(self.sums.path(), "checksums", (name, "none")))
    }

    /// The checksum with a number.
    fn sum(&self, number: u64) -> Result<u32> {
        let block = number / BLOCK_SUMS;
        if !self.seen.contains(block) {
            let first = block.saturating_mul(BLOCK_SUMS);
            let len = self.count.saturating_sub(first).min(BLOCK_SUMS);
            let mut some = vec![U32::new(0); usize::try_from(len).unwrap_or(0)];
            self.sums.read_into(first, bytemuck::cast_slice_mut(&mut some))?;
            let found = crc32fast::hash(bytemuck::cast_slice(&some));
            let root = usize::try_from(block).ok().and_then(|block| self.roots.get(block));
            let stated = root.map_or(0, |root| root.get());
            if stated != found {
                let what = "checksum of checksums";
                return Err(differs(self.sums.path(), what, (stated, found)));
            }
            self.seen.insert(block);
        }
        Ok(self.sums.get(number)?.get())
    }
}

/// The checksums of one file.
#[derive(Debug)]
pub(crate) struct BlockChecks {
    all: Arc<Checks>,
    /// The number of the first of them.
    first: u64,
    path: PathBuf,
    byte_len: u64,
    seen: Seen,
}

impl BlockChecks {
    /// Compares the blocks in which the bytes `start..end` of the file lie, those that were not
    /// right before; `bytes` is the whole file.
    ///
    /// # Errors
    ///
    /// `Corrupt`, which names the block.
    #[inline]
    pub(crate) fn check(&self, bytes: &[u8], (start, end): (usize, usize)) -> Result<()> {
        let (first, last) = (start / BLOCK_LEN, end.saturating_sub(1) / BLOCK_LEN);
        for block in first..=last {
            if !self.seen.contains(u64::try_from(block).unwrap_or(u64::MAX)) {
                self.compare_in(bytes, block)?;
            }
        }
        Ok(())
    }

    #[cold]
    fn compare_in(&self, bytes: &[u8], block: usize) -> Result<()> {
        let start = block.saturating_mul(BLOCK_LEN).min(bytes.len());
        let end = start.saturating_add(BLOCK_LEN).min(bytes.len());
        self.compare(block, bytes.get(start..end).unwrap_or_default())
    }

    /// Compares a block with its checksum; there is none behind the end of the file.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub(crate) fn compare(&self, block: usize, bytes: &[u8]) -> Result<()> {
        let number = u64::try_from(block).unwrap_or(u64::MAX);
        if block_count(self.byte_len) <= number || self.seen.contains(number) {
            return Ok(());
        }
        let stated = self.all.sum(self.first.saturating_add(number))?;
        let found = crc32fast::hash(bytes);
        if stated != found {
            let offset = block.saturating_mul(BLOCK_LEN);
            let (stated, found) =
                (format!("{stated:08x} at offset {offset}"), format!("{found:08x}"));
            return Err(Error::corrupt(&self.path, "checksum of a block", (stated, found)));
        }
        self.seen.insert(number);
        Ok(())
    }

    /// Reads the whole file and compares it, unless that was done before.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); `Truncated`; `Io`.
    pub(crate) fn check_all(&self) -> Result<()> {
        if (0..block_count(self.byte_len)).all(|block| self.seen.contains(block)) {
            return Ok(());
        }
        let mut block = 0_usize;
        each_block(&self.path, self.byte_len, |bytes| {
            self.compare(block, bytes)?;
            block = block.saturating_add(1);
            Ok(())
        })
    }
}

#[cold]
fn differs(path: &Path, what: &'static str, (stated, found): (u32, u32)) -> Error {
    Error::corrupt(path, what, (format!("{stated:08x}"), format!("{found:08x}")))
}

/// Blocks that were right once.
#[derive(Debug)]
struct Seen(Vec<AtomicU64>);

impl Seen {
    fn new(count: u64) -> Self {
        let mut words = Vec::new();
        let len = usize::try_from(count.div_ceil(64)).unwrap_or(usize::MAX);
        words.resize_with(len, AtomicU64::default);
        Self(words)
    }

    #[inline]
    fn contains(&self, block: u64) -> bool {
        let word = usize::try_from(block / 64).ok().and_then(|word| self.0.get(word));
        // Relaxed: the bit says of bytes on which nobody stores that they were right.
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 != 0)
    }

    fn insert(&self, block: u64) {
        if let Some(word) = usize::try_from(block / 64).ok().and_then(|word| self.0.get(word)) {
            word.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }
}
