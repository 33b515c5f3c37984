//! A reader beside a writer of another process: which generation it shows, and what it holds.
//!
//! The writer says on the owner page which generation it committed last. A get looks there again
//! after it has loaded the words of a slot, and chooses anew when that moved. While anything is
//! borrowed the process holds the generation that it started from, so that the writer uses no space
//! again that this or a later generation names. See docs/durability.md, "Readers in other
//! processes".

#[cfg(all(loom, test))]
mod interleavings; // all orders of loads, stores and locks

use std::sync::{PoisonError, atomic::Ordering};

use pagestone_storage::raw::Identity;

use crate::{
    engine::{
        Engine,
        open::{Owner, boot_word, superblock_beside_a_writer},
    },
    error::{Error, ErrorKind, Result},
    layout::owner,
    shared::Shared,
    sync::{AtomicBool, AtomicU64, Mutex},
};

/// How often something that moves is looked at before it is given up: a writer commits a few
/// thousand times a second, and a look takes microseconds.
pub(crate) const LOOKS: u32 = 1000;

/// How often a directory or names are read before a commit in the way is borne.
const SCANS: u32 = 16;

/// The largest generation that a word of an owner page is believed to mean.
const GENERATION_MAX: u64 = u64::MAX >> 24;

/// The words of the owner page that a generation was chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    published: u64,
    boot: u64,
    /// Who goes by superblocks has to look again when the sync of one failed.
    poisoned: u64,
}

/// What is read again after a commit.
#[derive(Debug, Clone, Copy)]
enum What {
    Directory,
    Names,
}

/// What a read-only open knows beside its mapping.
#[derive(Debug)]
pub(crate) struct Follower {
    /// Boot and mount of this process.
    identity: Identity,
    published: AtomicU64,
    boot: AtomicU64,
    poisoned: AtomicU64,
    /// The published word that alone says that nothing moved. Where it does not, since it is of
    /// another life of the machine and not what the superblock says, a number that no generation
    /// has and that is there once.
    quick: AtomicU64,
    /// Counts the generations that were chosen, by two; odd while one is being chosen.
    turn: AtomicU64,
    /// The turn in which the directory was read, and that of the names.
    scanned: AtomicU64,
    named: AtomicU64,
    /// Kept while a generation is chosen.
    choosing: Mutex<()>,
    /// Why nothing can be shown, until that is over.
    trouble: Mutex<Option<(ErrorKind, String)>>,
    /// Whether a hold was refused: what was borrowed since then could be used again.
    broken: AtomicBool,
}

impl Follower {
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            identity,
            published: AtomicU64::new(0),
            boot: AtomicU64::new(0),
            poisoned: AtomicU64::new(0),
            quick: AtomicU64::new(u64::MAX),
            turn: AtomicU64::new(0),
            scanned: AtomicU64::new(0),
            named: AtomicU64::new(0),
            choosing: Mutex::new(()),
            trouble: Mutex::new(None),
            broken: AtomicBool::new(false),
        }
    }

    /// The published word that the generation was chosen by. Loaded before the epoch: whoever sees
    /// an older epoch than that of the page sees that the page has moved.
    #[inline]
    pub(crate) fn quick(&self) -> u64 {
        self.quick.load(Ordering::Acquire)
    }

    /// What the generation was chosen by.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            published: self.published.load(Ordering::Acquire),
            boot: self.boot.load(Ordering::Acquire),
            poisoned: self.poisoned.load(Ordering::Acquire),
        }
    }

    /// Whether the generation was chosen by these words.
    fn is_of(&self, says: Seen) -> bool {
        self.turn() != 0 && self.seen() == says
    }

    /// Another generation is about to be chosen: whoever looks meanwhile looks again. The turn is
    /// odd until [`see`](Self::see).
    fn unsettle(&self) {
        let turn = self.turn.fetch_add(1, Ordering::AcqRel);
        self.quick.store(!turn, Ordering::Release);
    }

    /// Says by what `generation` was chosen.
    fn see(&self, seen: Seen, generation: u64) {
        self.boot.store(seen.boot, Ordering::Release);
        self.poisoned.store(seen.poisoned, Ordering::Release);
        self.published.store(seen.published, Ordering::Release);
        // The next commit moves the word from there, whoever makes it.
        let tells = seen.published == generation;
        let turn = self.turn.fetch_add(1, Ordering::AcqRel);
        self.quick.store(if tells { generation } else { !turn }, Ordering::Release);
    }

    /// Nothing could be chosen by these words: whatever the page says is looked at anew, also what
    /// it said before.
    fn forget(&self, seen: Seen) {
        let turn = self.turn.fetch_add(2, Ordering::AcqRel);
        self.quick.store(!turn, Ordering::Release);
        self.published.store(!seen.published, Ordering::Release);
    }

    fn turn(&self) -> u64 {
        self.turn.load(Ordering::Acquire)
    }

    fn is_scanned(&self) -> bool {
        self.scanned.load(Ordering::Acquire) == self.turn()
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn fail(&self, kind: ErrorKind, what: String) {
        tracing::warn!(?kind, what, "nothing can be shown");
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some((kind, what));
    }

    fn recover(&self) {
        if !self.is_broken() {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// What `words` shows in the generation that was `chosen` by what the page says, and says `still`
/// behind it; `None` where none can be chosen. `words` and `still` acquire.
#[inline]
pub(crate) fn settle<S, W>(
    chosen: impl Fn() -> S,
    still: impl Fn(&S) -> bool,
    words: impl Fn() -> W,
    choose: impl Fn() -> bool,
) -> Option<W> {
    loop {
        let seen = chosen();
        let found = words();
        // The loads of the words acquire, so this look comes after them: all were loaded in the
        // generation that was chosen.
        if still(&seen) {
            return Some(found);
        }
        if !choose() {
            return None;
        }
    }
}

impl Shared {
    /// Whether nothing was committed since the generation was chosen by whose word `quick` is.
    #[inline]
    pub(crate) fn still_says(&self, follower: &Follower, quick: u64) -> bool {
        let published = self.raw.load(owner::PUBLISHED, Ordering::Acquire);
        published == quick || self.is_slowly_still(follower, quick)
    }

    #[cold]
    #[inline(never)]
    fn is_slowly_still(&self, follower: &Follower, quick: u64) -> bool {
        // The last look shows that no other generation was chosen since the first one.
        GENERATION_MAX < quick && self.is_current(follower) && follower.quick() == quick
    }

    /// Whether the page says what the generation was chosen by.
    fn is_current(&self, follower: &Follower) -> bool {
        follower.is_of(self.owner_says())
    }

    /// What the owner page says now.
    pub(crate) fn owner_says(&self) -> Seen {
        let word = |at| self.raw.load(at, Ordering::Acquire);
        Seen {
            published: word(owner::PUBLISHED),
            boot: word(owner::BOOT),
            poisoned: word(owner::POISONED),
        }
    }

    /// Chooses the generation that is committed now; false where none can be shown.
    #[cold]
    #[inline(never)]
    pub(crate) fn catch_up(&self, follower: &Follower) -> bool {
        let _choosing = follower.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..LOOKS {
            let seen = self.owner_says();
            if follower.is_of(seen) {
                return true;
            }
            match self.generation_of(follower, seen) {
                Ok(generation) => {
                    follower.unsettle();
                    self.set_generation(generation);
                    follower.see(seen, generation);
                    follower.recover();
                }
                Err(error) => {
                    follower.fail(error.kind(), error.to_string());
                    follower.forget(seen);
                    return false;
                }
            }
        }
        follower.forget(self.owner_says());
        let what = "the published generation does not stand still";
        follower.fail(ErrorKind::Corrupt, format!("{}: {what}", self.path().display()));
        false
    }

    /// The generation that the page's words mean: what is published counts while the machine and
    /// the mount are those of the writer, else the newest superblock.
    fn generation_of(&self, follower: &Follower, seen: Seen) -> Result<u64> {
        let identity = &follower.identity;
        let before = Owner::new(identity, |at| self.raw.load(at, Ordering::Acquire));
        let known = before.is_same() && seen.boot == boot_word(identity);
        if known && (1..=GENERATION_MAX).contains(&seen.published) {
            return Ok(seen.published);
        }
        let found = superblock_beside_a_writer(&self.raw, &before)?;
        if found.uuid != self.uuid {
            let what = "another file has taken the place of the one that was opened";
            return Err(Error::refused(ErrorKind::Corrupt, self.path(), what));
        }
        Ok(found.generation)
    }

    /// Before anything is borrowed: holds the committed generation for other processes to see, and
    /// knows its regions. Returns what [`release`](Self::release) takes.
    #[inline]
    pub(crate) fn hold(&self) -> Option<u64> {
        self.follower.as_ref().and_then(|follower| self.hold_as(follower))
    }

    fn hold_as(&self, follower: &Follower) -> Option<u64> {
        if !self.is_current(follower) {
            self.catch_up(follower);
        }
        let generation = self.generation();
        if let Err(error) = self.raw.hold(generation) {
            follower.fail(ErrorKind::Io, format!("{error}; open the file again"));
            // Not while another thread's scan says where blocks are.
            let _state = self.lock();
            follower.broken.store(true, Ordering::Release);
            self.forget_places();
            return None;
        }
        if !follower.is_scanned() {
            self.scan_again(follower);
        }
        Some(generation)
    }

    pub(crate) fn release(&self, generation: u64) {
        self.raw.release(generation);
    }

    /// Reads the directory where a commit came since it was read; true when that was so. The
    /// caller holds a generation.
    pub(crate) fn scan_if_behind(&self) -> bool {
        let behind = self.follower.as_ref().filter(|follower| !follower.is_scanned());
        behind.is_some_and(|follower| self.scan_again(follower))
    }

    #[cold]
    #[inline(never)]
    fn scan_again(&self, follower: &Follower) -> bool {
        self.scan_of(follower, What::Directory)
    }

    /// Reads the names where a commit came since they were read. The caller holds a generation.
    fn names_again(&self, follower: &Follower) -> bool {
        self.scan_of(follower, What::Names)
    }

    /// Reads the directory, or names too, until no commit comes in the way.
    fn scan_of(&self, follower: &Follower, what: What) -> bool {
        let scanned = match what {
            What::Directory => &follower.scanned,
            What::Names => &follower.named,
        };
        let mut state = self.lock();
        for look in 1..=SCANS {
            let turn = follower.turn();
            if follower.is_broken() || scanned.load(Ordering::Acquire) == turn {
                return !follower.is_broken();
            }
            if !turn.is_multiple_of(2) {
                // Another thread is choosing: the epoch may be of before still.
                self.catch_up(follower);
                continue;
            }
            let mut engine = Engine { shared: self, state: &mut state };
            let done = match what {
                What::Directory => engine.follow_directory(),
                What::Names => engine.follow_names(),
            };
            let stood = self.is_current(follower) && follower.turn() == turn;
            match done {
                Ok(()) => {
                    // What a commit took away meanwhile is held; what it added is found later.
                    scanned.store(turn, Ordering::Release);
                    follower.recover();
                    if stood {
                        return true;
                    }
                }
                Err(error) if stood || look == SCANS => {
                    follower.fail(error.kind(), error.to_string());
                    self.forget_places();
                    return false;
                }
                Err(_) => {}
            }
            self.catch_up(follower);
        }
        true
    }

    /// What is known of the file is of before, or not safe to look at: no place is one of a block.
    fn forget_places(&self) {
        self.units.set(0, self.raw.len(), None);
    }

    /// The generation that is committed at this moment.
    pub(crate) fn sequence(&self) -> u64 {
        if let Some(follower) = &self.follower
            && !self.is_current(follower)
        {
            self.catch_up(follower);
        }
        self.generation()
    }

    /// Stores and roots as committed now; nothing to do where this process writes.
    pub(crate) fn follow_names(&self) {
        let Some(follower) = &self.follower else { return };
        let Some(held) = self.hold() else { return };
        if follower.named.load(Ordering::Acquire) != follower.turn() {
            self.names_again(follower);
        }
        self.release(held);
    }

    /// Why nothing can be shown, if that is so.
    #[cold]
    pub(crate) fn trouble(&self) -> Option<Error> {
        let follower = self.follower.as_ref()?;
        let trouble = follower.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, what) = trouble.clone()?;
        Some(Error::refused(kind, self.path(), what))
    }
}
