//! How tables and relations are built and opened.

use pagestone_storage::Backing;

use crate::directory::Directory;

/// How a table or relation is built and opened: a value that is set once and used as often as
/// wished; every method returns a changed copy.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    pub(crate) memory: u64,
    pub(crate) threads: usize,
    pub(crate) backing: Option<Backing>,
    pub(crate) position_size: usize,
    pub(crate) accelerates: bool,
    pub(crate) checks_blocks: bool,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            threads: 1,
            backing: None,
            position_size: 4,
            accelerates: true,
            checks_blocks: false,
        }
    }
}

impl TableOptions {
    /// The defaults: 256 MiB of memory to build in, one thread, mapped where trusted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a build take up to so many bytes of private memory, and some 32 MiB; what is larger
    /// is sorted in parts, through files beside the table.
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        Self { memory: bytes, ..self }
    }

    /// Sorts with up to so many threads, 1 by default.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), ..self }
    }

    /// Chooses what a reader's bytes are held by. By default files of a trusted directory are
    /// mapped, others are read by system calls.
    #[must_use]
    pub fn backing(self, backing: Backing) -> Self {
        Self { backing: Some(backing), ..self }
    }

    /// Keeps positions in 8 bytes even where 4 are enough.
    #[must_use]
    pub fn wide_positions(self) -> Self {
        Self { position_size: 8, ..self }
    }

    /// Builds without search trees: some 0.6 bytes less for each row and index, and lookups that
    /// take about twice the time. The answers are the same.
    #[must_use]
    pub fn without_accelerators(self) -> Self {
        Self { accelerates: false, ..self }
    }

    /// Compares each block of a file, some 64 KiB, with its checksum when a lookup or a scan first
    /// needs it: damage is an error then, never a wrong answer.
    ///
    /// Each block costs one read and a CRC-32, once for each open; each lookup some comparisons of
    /// its answer with its neighbours. Batches go key by key, and nothing is lent as a slice.
    #[must_use]
    pub fn check_blocks(self) -> Self {
        Self { checks_blocks: true, ..self }
    }

    /// What reads the files of `directory`.
    pub(crate) fn backing_of(&self, directory: &Directory) -> Backing {
        let usual = if directory.is_trusted() { Backing::Map } else { Backing::File };
        self.backing.unwrap_or(usual)
    }

    /// How many bytes positions below `count` take.
    pub(crate) fn position_size_of(&self, count: u64) -> usize {
        if count <= 1 << 32 { self.position_size } else { 8 }
    }
}
