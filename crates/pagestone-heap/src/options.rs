//! How a region file is created and opened.

use std::time::Duration;

use pagestone_storage::Location;

use crate::{
    error::{Error, ErrorKind, Result},
    file::RegionFile,
};

/// What survives which crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Durability {
    /// For rebuildable content. Freed space is used again at once and nothing is synced; after an
    /// unclean end the file is refused unless [`FileOptions::unclean`] says to start anew.
    Scratch,
    /// When a call returns, its effect survives a kill of your program, at no disk cost per call.
    /// If the machine loses power you get the last commit; everything since is undone as a whole,
    /// and ids handed out since then are void.
    #[default]
    Process,
}

/// When commits happen by themselves: always between two writers, never inside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CommitPolicy {
    /// Only when asked for.
    #[default]
    Manual,
    /// Whenever a writer that changed something is given back.
    EveryOp,
    /// When a writer is given back and the last commit is this long ago.
    Interval(Duration),
    /// When a writer is given back and this many bytes of blocks were written since the last
    /// commit.
    Bytes(u64),
    /// When a writer is given back and this many freed bytes wait for a commit.
    Quarantine(u64),
}

/// What to do with a scratch file that was not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Unclean {
    /// Refuse it with [`ErrorKind::Unclean`].
    #[default]
    Refuse,
    /// Empty it.
    Discard,
}

/// Options of a region file, in the manner of `std::fs::OpenOptions`.
///
/// ```
/// use pagestone_heap::{Durability, RegionFile};
///
/// let file = RegionFile::options().durability(Durability::Scratch).in_memory()?;
/// # Ok::<(), pagestone_heap::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct FileOptions {
    pub(crate) region_size: u64,
    pub(crate) reserve: u64,
    pub(crate) durability: Durability,
    pub(crate) policy: CommitPolicy,
    pub(crate) unclean: Unclean,
    pub(crate) untrusted: bool,
    pub(crate) zero_on_free: bool,
}

/// Regions of blocks are at least this long.
pub const REGION_SIZE_MIN: u64 = 1 << 20;
/// Regions of blocks are at most this long.
pub const REGION_SIZE_MAX: u64 = 1 << 30;

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            region_size: 32 << 20,
            reserve: 1 << 40,
            durability: Durability::default(),
            policy: CommitPolicy::default(),
            unclean: Unclean::default(),
            untrusted: false,
            zero_on_free: false,
        }
    }
}

impl FileOptions {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// The longest region of blocks, in bytes; a power of two from [`REGION_SIZE_MIN`] to
    /// [`REGION_SIZE_MAX`]. Regions start at 1 MiB and become longer with the file. Of meaning at
    /// creation only. The default is 32 MiB.
    pub fn region_size(mut self, bytes: u64) -> Self {
        self.region_size = bytes;
        self
    }

    /// Bytes of address range to reserve: the file cannot grow beyond while it is open. The
    /// default is 1 TiB; less is taken where the system refuses.
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// What survives which crash.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// When commits happen by themselves.
    pub fn commit_policy(mut self, policy: CommitPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// What to do with a scratch file that was not closed.
    pub fn unclean(mut self, unclean: Unclean) -> Self {
        self.unclean = unclean;
        self
    }

    /// Whether a clean file's record of free space is ignored and rebuilt from the slot tables,
    /// with every overlap refused: for files that come from others. Costs what the open of an
    /// unclean file costs.
    pub fn untrusted(mut self, untrusted: bool) -> Self {
        self.untrusted = untrusted;
        self
    }

    /// Whether freed space is overwritten with zeros, so that old content does not stay in the
    /// file: when the space can be used again, which is after the commit and when no pin sees it
    /// any more. On the device that is after the sync that follows, which
    /// [`RegionFile::close`] makes. Costs a store to each freed byte, and the read of all free
    /// space after a discard or an unclean end.
    ///
    /// What a copy-on-write file system or the device keeps of old blocks is beyond reach, as is
    /// what was freed while a file was open without this option and closed since.
    pub fn zero_on_free(mut self, zero_on_free: bool) -> Self {
        self.zero_on_free = zero_on_free;
        self
    }

    /// Creates a file.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; `Locked`; `Unsupported` where the location carries no
    /// [`TrustedDir`](pagestone_storage::TrustedDir) promise or the file system is a network one;
    /// `OutOfSpace`; `InvalidArgument` for a region size out of bounds; `Io`.
    pub fn create(&self, location: impl Into<Location>) -> Result<RegionFile> {
        self.check()?;
        RegionFile::create_at(&location.into(), self)
    }

    /// Opens a file for writing; the state after a crash is what [`Durability`] says.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Locked` while another writer has it, for scratch content a reader too;
    /// `Corrupt`, `Truncated` or
    /// `UnknownVersion` for what the bytes are; `Unclean` for scratch content that was not closed;
    /// `Unsupported` as for `create`; `Io`.
    ///
    /// Cost: constant for a file that was closed; else 16 bytes per block are read.
    pub fn open(&self, location: impl Into<Location>) -> Result<RegionFile> {
        self.check()?;
        RegionFile::open_at(&location.into(), self)
    }

    /// Opens a file, or creates it where there is none, or only the beginning of one whose creator
    /// was killed.
    ///
    /// # Errors
    ///
    /// As `open` and `create`.
    pub fn open_or_create(&self, location: impl Into<Location>) -> Result<RegionFile> {
        let location = location.into();
        match self.open(location.clone()) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.create(location),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated) => {
                RegionFile::create_anew_at(&location, (self, error))
            }
            other => other,
        }
    }

    /// Opens a file for reading, without a store to it: a writer may have it meanwhile, in this
    /// process or another, and each read shows what is committed at that moment.
    ///
    /// # Errors
    ///
    /// As `open`; `Locked` while a writer of scratch content has it, or changes committed bytes in
    /// place, or has it open and its lock file cannot be read.
    pub fn open_read_only(&self, location: impl Into<Location>) -> Result<RegionFile> {
        self.check()?;
        RegionFile::open_read_only_at(&location.into(), self)
    }

    /// Makes a file in anonymous memory, which is gone when it is dropped.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` where no address range is left; `InvalidArgument` as for `create`.
    pub fn in_memory(&self) -> Result<RegionFile> {
        self.check()?;
        RegionFile::new_in_memory(self)
    }

    fn check(&self) -> Result<()> {
        let size = self.region_size;
        let fits = (REGION_SIZE_MIN..=REGION_SIZE_MAX).contains(&size);
        if fits && size.is_power_of_two() {
            return Ok(());
        }
        let what = format!("a region size of {size} bytes is no power of two from 1 MiB to 1 GiB");
        Err(Error::refused(ErrorKind::InvalidArgument, std::path::Path::new("options"), what))
    }
}
