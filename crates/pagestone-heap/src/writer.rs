//! The one writer of a file, as a guard.

use crate::{
    counts::Counts,
    engine::Engine,
    error::{Error, ErrorKind, Result},
    file::{HeapOptions, RegionFile},
    heap::Heap,
    id::BlockId,
    log::Log,
    names::Named,
    options::CommitPolicy,
    shared::Shared,
    slab::Slabs,
    state::State,
    stats::Stats,
    store::Keeps,
    sync::MutexGuard,
};

/// The right to change a file, for as long as it is held; others wait, readers do not.
///
/// What a writer did is there when each call returns, and survives a kill; it survives power loss
/// from the next commit on. Commits that happen by themselves
/// ([`CommitPolicy`](crate::CommitPolicy)) come when a writer is given back, never before.
#[derive(Debug)]
pub struct Writer<'f> {
    file: &'f RegionFile,
    state: MutexGuard<'f, State>,
}

impl<'f> Writer<'f> {
    pub(crate) fn new(file: &'f RegionFile) -> Self {
        Self { file, state: file.shared.lock_soon() }
    }

    #[inline]
    pub(crate) fn engine(&mut self) -> Engine<'_> {
        Engine { shared: &self.file.shared, state: &mut self.state }
    }

    #[inline]
    pub(crate) fn shared(&self) -> &'f Shared {
        &self.file.shared
    }

    /// Returns the file that the writer is of.
    #[must_use]
    pub fn file(&self) -> &'f RegionFile {
        self.file
    }

    /// Returns the heap of this name, which is made where there is none.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a name of more than 4,096 bytes; what a change can fail with.
    pub fn heap(&mut self, name: &str) -> Result<Heap> {
        self.heap_with(name, HeapOptions::new())
    }

    /// As [`heap`](Self::heap), with options for a heap that is made.
    ///
    /// # Errors
    ///
    /// As `heap`.
    pub fn heap_with(&mut self, name: &str, options: HeapOptions) -> Result<Heap> {
        if let Some(heap) = self.file.known_heap(name)? {
            return Ok(heap);
        }
        let keeps = if options.checksums { Keeps::SummedBlocks } else { Keeps::Blocks };
        let store = self.engine().make_store(name, keeps)?;
        Ok(Heap::new(self.file, store))
    }

    /// Returns the log of this name, which is made where there is none.
    ///
    /// # Errors
    ///
    /// As `heap`; `InvalidArgument` for a store that is a heap.
    pub fn log(&mut self, name: &str) -> Result<Log> {
        if let Some(log) = Log::known(self.file, name)? {
            return Ok(log);
        }
        let store = self.engine().make_store(name, Keeps::Entries)?;
        Ok(Log::new(self.file, store))
    }

    /// Returns the slabs of this name, which are made where there are none.
    ///
    /// # Errors
    ///
    /// As `heap`; `InvalidArgument` for a store of another kind.
    pub fn slabs(&mut self, name: &str) -> Result<Slabs> {
        if let Some(slabs) = Slabs::known(self.file, name)? {
            return Ok(slabs);
        }
        let store = self.engine().make_store(name, Keeps::Slabs)?;
        Ok(Slabs::new(self.file, store))
    }

    /// Returns the numbers of this name, which are made where there are none.
    ///
    /// # Errors
    ///
    /// As `heap`; `InvalidArgument` for a store of another kind.
    pub fn counts(&mut self, name: &str) -> Result<Counts> {
        if let Some(counts) = Counts::known(self.file, name)? {
            return Ok(counts);
        }
        let store = self.engine().make_store(name, Keeps::Counts)?;
        Ok(Counts::new(self.file, store))
    }

    /// Puts an id under a name, in place of the one that was there.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a name of more than 4,096 bytes; `OutOfSpace`; `ReadOnly`;
    /// `Poisoned`; `Io`. Nothing is changed then.
    pub fn set_root(&mut self, name: &str, id: BlockId) -> Result<()> {
        self.engine().set_name(name, Named::Root(id.to_bits()))
    }

    /// Takes a name away; false where there was none.
    ///
    /// # Errors
    ///
    /// As `set_root`.
    pub fn remove_root(&mut self, name: &str) -> Result<bool> {
        self.engine().remove_root(name)
    }

    /// Makes everything since the last commit, of every store, survive power loss: all or nothing.
    ///
    /// Space freed before it can be used again after it. Two syncs of the file; without a change
    /// since the last commit, and for scratch content, it does nothing.
    ///
    /// # Errors
    ///
    /// `Poisoned`, and `Io` when a sync failed, which poisons: what the device has is unknown
    /// until the file is opened again, and changes are refused until then.
    /// `CommitOutcomeUnknown` when that was the second sync; `Truncated` when the file was cut or
    /// lost its name.
    pub fn commit(&mut self) -> Result<()> {
        self.engine().commit()
    }

    /// Undoes everything since the last commit, of every writer and every store. Ids handed out
    /// since then are void.
    ///
    /// Cost: all slots are read.
    ///
    /// # Errors
    ///
    /// `Unsupported` for scratch content, whose space was used again; `Poisoned`; `ReadOnly`;
    /// `Corrupt`.
    pub fn discard(&mut self) -> Result<()> {
        self.engine().discard()
    }

    /// Counts what there is.
    #[must_use]
    pub fn stats(&mut self) -> Stats {
        Stats::of(&self.engine())
    }

    fn is_commit_due(&self) -> bool {
        let state = &self.state;
        if !state.changed || self.file.shared.is_poisoned() {
            return false;
        }
        match self.file.shared.options.policy {
            CommitPolicy::Manual => false,
            CommitPolicy::EveryOp => true,
            CommitPolicy::Interval(time) => {
                state.last_commit.is_some_and(|last| time <= last.elapsed())
            }
            CommitPolicy::Bytes(bytes) => bytes <= state.written,
            CommitPolicy::Quarantine(bytes) => bytes <= state.retired.quarantined(),
        }
    }

    /// Errors when `heap` is of another file.
    #[inline]
    pub(crate) fn check(&self, shared: &Shared) -> Result<()> {
        if std::ptr::eq(self.shared(), shared) {
            return Ok(());
        }
        let what = "the writer is of another file";
        Err(Error::refused(ErrorKind::InvalidArgument, shared.path(), what))
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.is_commit_due() && !std::thread::panicking() {
            // A failure poisons, so the next change or commit tells.
            if let Err(error) = self.engine().commit() {
                tracing::error!(%error, "automatic commit");
            }
        }
    }
}
