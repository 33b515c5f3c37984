//! The rules of the protocol, each of which can be broken by name.

/// A broken rule: what the faulty store does in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// R1: stores the pointer, then what it points to.
    PublishFirst,
    /// R2: overwrites the committed word.
    OverwriteCommitted,
    /// R3: leaves the uncommitted words after a power loss.
    NoScrub,
    /// R3: leaves the uncommitted bitmaps after a power loss.
    NoScrubOfBitmaps,
    /// R4: returns from a commit without the second sync.
    NoSecondSync,
    /// R5: hands freed cells out again at once.
    CellsReusedAtOnce,
    /// R5: hands freed slab slots out again at once.
    SlotsReusedAtOnce,
    /// R5: hands freed ranges out again at once.
    RangesReusedAtOnce,
    /// R6: rewrites the superblock slot that is valid.
    SameSuperblock,
    /// R7: keeps only the newest blocks after a kill.
    KeepOnlyNewest,
    /// R8: clears the clean mark without a sync.
    CleanMarkUnsynced,
    /// R9: stores the boot id before recovery.
    BootFirst,
    /// R10: opens an unclean file without a sync.
    NoSyncAtOpen,
    /// M2: commits with the sync of the superblock alone.
    OneSync,
    /// M2: commits with the data sync outside the lock only.
    OnlyUnlockedSync,
    /// Leaves the old checksum in the superblock slot until the new one is stored.
    OldChecksumStays,
    /// Stores no boot id after an open of a clean file.
    NoBootIdAfterClean,
    /// Compares the boot id, but not the mount id.
    MountIgnored,
    /// Forgets that what only the committed word uses waits for the commit.
    QuarantineForgotten,
    /// Hands private space out under a pin.
    PinIgnoredPrivate,
    /// Releases quarantined space at the commit, whatever is pinned.
    PinIgnoredAtCommit,
    /// Retires the old version before the publish.
    RetireFirst,
    /// Does not ask for the locks of reading processes at a commit.
    LocksIgnoredAtCommit,
    /// Does not ask for the locks of reading processes at an open.
    LocksIgnoredAtOpen,
    /// Reads the published generation again only when no word fits.
    ReaderLooksOnce,
    /// A reader believes a generation that was announced before the machine lost power.
    ReaderTrustsOldAnnouncement,
    /// Announces a generation before its second sync.
    PublishedEarly,
    /// Leaves the announced generation as the killed writer left it.
    PublishedNotSetAtOpen,
    /// Adopts a range without zeroing it.
    RangeNotZeroed,
    /// Stores a region's header after its directory word.
    HeaderLate,
    /// Changes the kind of a region in its committed word.
    DirectoryInPlace,
    /// Punches a range when it is given back.
    PunchEarly,
    /// Cuts the tail before the shorter length is committed.
    CutEarly,
    /// Cuts the tail although something in it is pinned.
    CutUnderPin,
    /// Sweeps with the tag of the open epoch.
    SweepWithOpenTag,
    /// Never sweeps.
    NoSweep,
    /// Sweeps without clearing the other word.
    SweepKeepsOther,
    /// Sweeps all but tombstones.
    SweepSkipsTombstones,
    /// Sweeps all but the directory.
    SweepSkipsDirectory,
    /// Sweeps all but bitmaps.
    SweepSkipsBitmaps,
    /// Compares tags by a signed half window.
    HalfWindow,
    /// Discards word by word without a mark.
    DiscardUnmarked,
    /// Clears the discard mark before the seals.
    DiscardUnmarksFirst,
    /// Discards while a commit is under way.
    DiscardInCommit,
    /// Hands discarded space out at once.
    DiscardFreesAtOnce,
    /// Appends to the same segment after a discard.
    DiscardAppendsOn,
    /// Commits by itself inside a group.
    AutoCommitInGroup,
    /// Closes with the first sync outside the lock.
    CloseUnlocked,
    /// Stores the clean mark before the commit of the close.
    CleanEarly,
    /// Keeps roots in the superblock.
    RootInSuperblock,
    /// Keeps counters in the superblock.
    CounterInSuperblock,
    /// Writes a committed block in place.
    PrivateInPlace,
    /// Reuses a removed index with its first generation.
    TombstoneForgetsGeneration,
    /// Empties the word of a removed index.
    TombstoneEmpty,
    /// Keeps one bitmap per slab.
    SlabOneBitmap,
    /// Does not copy the committed bitmap.
    SlabBitmapNotCopied,
    /// Tags a bitmap before the copy.
    SlabTagFirst,
    /// Raises a slot's generation on remove.
    SlabGenerationOnRemove,
    /// Lets a slot's generation wrap.
    SlabGenerationWraps,
    /// Gives a slab number again.
    SlabNumberReused,
    /// Sets a slot's bit before its bytes.
    SlabBitFirst,
    /// A reader looks at the generation before the bit.
    ReaderGenerationFirst,
    /// Publishes the slot of a log entry before the entry.
    SlotBeforeEntry,
    /// Stores the ends of segments before the first sync.
    EndsUnlocked,
    /// Leaves the end of an earlier segment at adoption.
    EndNotReset,
    /// Salvages beyond the committed end.
    SalvageReadsOn,
    /// Forgets that a segment is sealed.
    NoSealedBit,
    /// Leaves the log entry of the operation in flight.
    OrphanStays,
    /// Drops a tombstone with the segment it stands in.
    TombstoneDropped,
    /// Moves an entry with its old sequence.
    SequenceKept,
    /// Goes on after a failed sync.
    FailedSyncIgnored,
    /// Takes the file of a failed sync for that of a kill.
    PoisonNotStored,
    /// Is killed between a failed sync and its mark. No rule of the protocol helps here: a known
    /// gap, kept so that it stays visible.
    KilledBeforePoison,
    /// Rolls back after a failed sync only what the cache shows.
    PoisonTrustsCache,
    /// Reads the superblock from the cache after a failed sync.
    PoisonReadsCachedSuperblock,
    /// Leaves in the cache the superblock that a failed sync has not brought to the device.
    PoisonLeavesCachedSuperblock,
    /// Leaves the clean mark as the cache shows it after a failed sync.
    PoisonTrustsCleanMark,
    /// Distrusts the cache after a failed sync only if the boot id is that of this boot.
    PoisonAsksBootId,
    /// Calls the relocation hook after the publish.
    HookAfterPublish,
    /// Takes a sweep for done after its first step.
    SweepStopsHalfway,
}

impl Mutant {
    /// Every broken rule.
    pub const ALL: [Self; Self::SweepStopsHalfway as usize + 1] = [
        Self::PublishFirst,
        Self::OverwriteCommitted,
        Self::NoScrub,
        Self::NoScrubOfBitmaps,
        Self::NoSecondSync,
        Self::CellsReusedAtOnce,
        Self::SlotsReusedAtOnce,
        Self::RangesReusedAtOnce,
        Self::SameSuperblock,
        Self::KeepOnlyNewest,
        Self::CleanMarkUnsynced,
        Self::BootFirst,
        Self::NoSyncAtOpen,
        Self::OneSync,
        Self::OnlyUnlockedSync,
        Self::OldChecksumStays,
        Self::NoBootIdAfterClean,
        Self::MountIgnored,
        Self::QuarantineForgotten,
        Self::PinIgnoredPrivate,
        Self::PinIgnoredAtCommit,
        Self::RetireFirst,
        Self::LocksIgnoredAtCommit,
        Self::LocksIgnoredAtOpen,
        Self::ReaderLooksOnce,
        Self::ReaderTrustsOldAnnouncement,
        Self::PublishedEarly,
        Self::PublishedNotSetAtOpen,
        Self::RangeNotZeroed,
        Self::HeaderLate,
        Self::DirectoryInPlace,
        Self::PunchEarly,
        Self::CutEarly,
        Self::CutUnderPin,
        Self::SweepWithOpenTag,
        Self::NoSweep,
        Self::SweepKeepsOther,
        Self::SweepSkipsTombstones,
        Self::SweepSkipsDirectory,
        Self::SweepSkipsBitmaps,
        Self::HalfWindow,
        Self::DiscardUnmarked,
        Self::DiscardUnmarksFirst,
        Self::DiscardInCommit,
        Self::DiscardFreesAtOnce,
        Self::DiscardAppendsOn,
        Self::AutoCommitInGroup,
        Self::CloseUnlocked,
        Self::CleanEarly,
        Self::RootInSuperblock,
        Self::CounterInSuperblock,
        Self::PrivateInPlace,
        Self::TombstoneForgetsGeneration,
        Self::TombstoneEmpty,
        Self::SlabOneBitmap,
        Self::SlabBitmapNotCopied,
        Self::SlabTagFirst,
        Self::SlabGenerationOnRemove,
        Self::SlabGenerationWraps,
        Self::SlabNumberReused,
        Self::SlabBitFirst,
        Self::ReaderGenerationFirst,
        Self::SlotBeforeEntry,
        Self::EndsUnlocked,
        Self::EndNotReset,
        Self::SalvageReadsOn,
        Self::NoSealedBit,
        Self::OrphanStays,
        Self::TombstoneDropped,
        Self::SequenceKept,
        Self::FailedSyncIgnored,
        Self::PoisonNotStored,
        Self::KilledBeforePoison,
        Self::PoisonTrustsCache,
        Self::PoisonReadsCachedSuperblock,
        Self::PoisonLeavesCachedSuperblock,
        Self::PoisonTrustsCleanMark,
        Self::PoisonAsksBootId,
        Self::HookAfterPublish,
        Self::SweepStopsHalfway,
    ];
}

/// The protocol with some of its rules broken; the default breaks none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Variant {
    broken: u128,
}

impl Variant {
    /// The rules of §3 as written, with what the model had to add to them: see the module.
    #[must_use]
    pub const fn as_written() -> Self {
        Self { broken: 0 }
    }

    /// The same with one more rule broken.
    #[must_use]
    pub const fn breaking(self, mutant: Mutant) -> Self {
        Self { broken: self.broken | 1 << mutant as u32 }
    }

    /// Whether this rule is broken.
    #[must_use]
    pub const fn breaks(self, mutant: Mutant) -> bool {
        self.broken >> (mutant as u32) & 1 == 1
    }

    /// Whether this rule holds.
    #[must_use]
    pub const fn keeps(self, mutant: Mutant) -> bool {
        !self.breaks(mutant)
    }
}

impl From<Mutant> for Variant {
    fn from(mutant: Mutant) -> Self {
        Self::as_written().breaking(mutant)
    }
}
