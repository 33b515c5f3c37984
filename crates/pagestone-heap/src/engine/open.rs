//! Open: which state is kept, what is rolled back, and who writes from here on.

use std::sync::atomic::Ordering;

use pagestone_storage::raw::{Identity, RawFile};

use crate::{
    engine::{Engine, Found, Tail},
    error::{Cause, Error, ErrorKind, Result},
    follow::LOOKS,
    header::{self, Committed},
    layout::{SUPERBLOCKS, UNIT, owner},
    options::{Durability, Unclean},
    word::View,
};

/// How often superblocks are read before what is wrong with both is no writer's doing.
const TRIES: u32 = 16;

/// Words of the owner page, as found at open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    clean: u64,
    discarding: u64,
    poisoned: bool,
    scratch: bool,
    /// Whether the file was last written in this life of machine, device and file.
    same: bool,
}

/// The boot id in a word; 0 is no boot.
pub(crate) fn boot_word(identity: &Identity) -> u64 {
    identity.boot[0] ^ identity.boot[1].rotate_left(32)
}

impl Owner {
    /// Reads the page before the file is mapped.
    pub(crate) fn read(raw: &RawFile, identity: &Identity) -> Result<Self> {
        let mut page = [0; owner::SIZE];
        raw.pread(owner::CLEAN, &mut page)?;
        Ok(Self::new(identity, |at| {
            let from = usize::try_from(at - owner::CLEAN).unwrap_or(usize::MAX);
            let bytes = page.get(from..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        }))
    }

    /// What the words of the page, which `word` loads, mean to a process of this identity.
    pub(crate) fn new(identity: &Identity, word: impl Fn(u64) -> u64) -> Self {
        let boot = boot_word(identity);
        let same = boot != 0
            && word(owner::BOOT) == boot
            && word(owner::DEVICE) == identity.device
            && word(owner::INODE) == identity.inode
            && word(owner::MOUNT) == identity.mount;
        Self {
            clean: word(owner::CLEAN),
            discarding: word(owner::DISCARDING),
            poisoned: word(owner::POISONED) != 0,
            scratch: word(owner::SCRATCH) != 0,
            same,
        }
    }

    /// Whether the file was last written in this life of machine, device and file.
    pub(crate) fn is_same(&self) -> bool {
        self.same
    }

    /// Whether nothing followed the close of this generation.
    pub(crate) fn is_clean(&self, generation: u64) -> bool {
        self.clean == generation && !self.poisoned
    }

    /// Whether the cache may show what is not on the device.
    pub(crate) fn distrusts_cache(&self) -> bool {
        self.poisoned
    }

    /// Errors for scratch content that outlived its writer; `Ok(true)` to empty the file.
    pub(crate) fn check_scratch(
        &self,
        raw: &RawFile,
        (found, unclean): (&Committed, Unclean),
    ) -> Result<bool> {
        if !self.scratch || self.is_clean(found.generation) {
            return Ok(false);
        }
        if unclean == Unclean::Discard {
            return Ok(true);
        }
        let what = "scratch content whose writer did not close it; open it with \
                    Unclean::Discard to start anew";
        Err(Error::refused(ErrorKind::Unclean, raw.path(), what))
    }
}

impl Engine<'_> {
    /// Makes the state of a file that was opened for writing and mapped.
    pub(crate) fn open(
        &mut self,
        found: &Committed,
        (before, identity): (Owner, Identity),
    ) -> Result<()> {
        self.state.generation = found.generation;
        self.state.committed_len = found.len;
        self.shared.set_generation(found.generation);
        let epoch = found.generation + 1;
        let clean = before.is_clean(found.generation);
        let undo = !before.same || before.poisoned || before.discarding == epoch;
        if !clean {
            self.sync("sync of an unclean file")?;
            self.state.touched = true;
        }
        if !clean && undo {
            self.roll_back(found, before)?;
        }
        let len = self.shared.raw.len();
        if len < found.len {
            let path = self.shared.path().to_path_buf();
            return Err(Cause::Truncated { path, expected: found.len, found: len }.into());
        }
        if !len.is_multiple_of(UNIT) {
            // What a growth left that did not end.
            self.shared.raw.cut((len / UNIT * UNIT).max(found.len))?;
        }
        let raw = &self.shared.raw;
        raw.store(owner::PUBLISHED, found.generation, Ordering::Release);
        let withheld = self.oldest_hold(found.generation) != u64::MAX;
        let after = if clean && !self.shared.options.untrusted && !withheld {
            Found::Clean(found.snapshot)
        } else {
            let tail = match (clean, undo) {
                (true, _) => Tail::None,
                (false, false) => Tail::Kept,
                (false, true) => Tail::Undone,
            };
            Found::Unclean(tail)
        };
        self.rebuild(after)?;
        if withheld {
            self.withhold();
        }
        // What a killed writer left and no commit has.
        self.state.changed |= !clean && !undo;
        if before.poisoned {
            self.set_word(owner::POISONED, 0);
        }
        self.set_word(owner::DISCARDING, 0);
        self.own(&identity);
        if !clean && self.shared.options.durability == Durability::Scratch {
            // The first change syncs no clean mark any more, so the scratch mark goes now.
            self.set_word(owner::SCRATCH, 1);
            self.sync("sync of the scratch mark")?;
        }
        self.state.opened = true;
        tracing::info!(generation = found.generation, clean, undo, "opened");
        Ok(())
    }

    /// Undoes what was not committed.
    fn roll_back(&mut self, found: &Committed, before: Owner) -> Result<()> {
        let looked_at = self.oldest_hold(found.generation) != u64::MAX;
        if !before.same && found.len < self.shared.raw.len() && !looked_at {
            self.shared.raw.cut(found.len)?;
        }
        if self.shared.raw.len() < found.len {
            return Ok(());
        }
        // What the open epoch stored of the directory may be there in part.
        self.scan_directory(View::Committed)?;
        self.scrub();
        if before.distrusts_cache() {
            self.store_again(found);
        }
        Ok(())
    }

    /// After a failed sync: the device may not have what the cache shows, so everything that an
    /// open relies on is stored once more.
    fn store_again(&mut self, found: &Committed) {
        self.set_word(owner::CLEAN, 0);
        self.for_each_pair(|engine, at| {
            for at in [at, at + 8] {
                let word = engine.shared.raw.load(at, Ordering::Relaxed);
                if word != 0 {
                    engine.set_word(at, word);
                }
            }
        });
        let other = SUPERBLOCKS[usize::from((found.generation + 1) & 1 == 1)];
        self.set_word(other + 504, 0);
        self.store_superblock_of(found);
    }

    /// Says whose the file is; the boot id last, when all the rest holds.
    pub(crate) fn own(&mut self, identity: &Identity) {
        self.set_word(owner::MOUNT, identity.mount);
        self.set_word(owner::INODE, identity.inode);
        self.set_word(owner::DEVICE, identity.device);
        self.set_word(owner::BOOT, boot_word(identity));
    }

    /// Reads the directory of a file that another process may write.
    pub(crate) fn follow_directory(&mut self) -> Result<()> {
        self.shared.raw.follow()?;
        self.scan_directory(View::Committed)?;
        self.clear_gaps();
        self.state.generation = self.shared.generation();
        self.set_all_parts()
    }

    /// Reads the names of a file that another process may write.
    pub(crate) fn follow_names(&mut self) -> Result<()> {
        self.follow_directory()?;
        self.load_stores(View::Committed)
    }
}

/// The newest valid superblock: of the device where the cache cannot be trusted.
pub(crate) fn superblock(raw: &RawFile, before: &Owner) -> Result<Committed> {
    if !before.distrusts_cache() {
        return header::cached_superblock(raw);
    }
    header::read_superblock(raw.path(), |offset, into| {
        raw.pread_device(offset, into).map_err(Error::from)
    })
}

/// As [`superblock`], where a writer may store one slot while the other is read, or both in turn.
pub(crate) fn superblock_beside_a_writer(raw: &RawFile, before: &Owner) -> Result<Committed> {
    for _ in 1..TRIES {
        if let Ok(found) = superblock(raw, before) {
            return Ok(found);
        }
    }
    superblock(raw, before)
}

/// Errors when a file is shorter than its superblock says, whatever is committed meanwhile.
pub(crate) fn check_len_beside_a_writer(
    raw: &RawFile,
    (before, mut found): (&Owner, Committed),
) -> Result<()> {
    for _ in 0..LOOKS {
        let len = raw.follow()?;
        if found.len <= len {
            return Ok(());
        }
        // The file is cut after a commit that says so.
        let expected = found.len;
        let now = superblock_beside_a_writer(raw, before)?;
        if now == found {
            let path = raw.path().to_path_buf();
            return Err(Cause::Truncated { path, expected, found: len }.into());
        }
        found = now;
    }
    let what = "its length does not stand still";
    Err(Error::refused(ErrorKind::Corrupt, raw.path(), what))
}
