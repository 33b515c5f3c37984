//! A copy of a file as it was at one commit, made while the file is in use.
//!
//! Under the lock, right after a commit, the control words are copied: directory and slot tables,
//! which are then of that generation and nothing newer. The blocks are copied without the lock: a
//! pin that was taken with it keeps the bytes of that generation as they are.

use std::{
    fmt,
    ops::{ControlFlow, Range},
};

use pagestone_storage::{Location, raw::NewFile};
use zerocopy::IntoBytes;

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    header::Committed,
    layout::{REGION_HEADER, SUPERBLOCKS, UNIT},
    options::Durability,
    pin::Pin,
    region::Region,
    units::Kind,
    word::{Pair, View, Word},
};

/// Bytes that are copied together.
const PIECE: usize = 1 << 20;
/// How often the tables are copied beside a writer of another process that commits meanwhile.
const TRIES: u32 = 32;

/// How far a backup is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// Bytes copied.
    pub done: u64,
    /// Bytes that are to be copied.
    pub total: u64,
}

/// Options of [`RegionFile::backup`].
#[derive(Default)]
#[must_use]
pub struct Backup<'h> {
    progress: Option<&'h mut dyn FnMut(Copied) -> ControlFlow<()>>,
}

impl fmt::Debug for Backup<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Backup").field("progress", &self.progress.is_some()).finish()
    }
}

impl<'h> Backup<'h> {
    /// Without a hook.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells `hook` after every MiB how far the backup is; it may break off.
    pub fn progress(mut self, hook: &'h mut dyn FnMut(Copied) -> ControlFlow<()>) -> Self {
        self.progress = Some(hook);
        self
    }
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackedUp {
    /// The generation of the commit that it shows.
    pub generation: u64,
    /// Bytes that were copied; the rest of its length is holes.
    pub copied: u64,
    /// Its length.
    pub len: u64,
}

impl RegionFile {
    /// Commits, and makes a file at `to` that opens with exactly this commit's state. Readers and
    /// writers go on while most of it is copied; a writer waits for the commit and for the copy of
    /// the slot tables, 16 bytes per block.
    ///
    /// The copy has its name when it is whole and on the device, and never before. It keeps the
    /// file's [`uuid`](Self::uuid), mode and, where that is allowed, owner. Its first open reads
    /// all slots, as after a power loss. While it is made, space that is freed is not used again.
    ///
    /// A file that was opened for reading is copied as of its last commit, also while another
    /// process writes it.
    ///
    /// ```
    /// use pagestone_heap::{Backup, RegionFile};
    /// # use pagestone_storage::TrustedDir;
    /// # let temporary = tempfile::tempdir()?;
    /// # // SAFETY: nobody else writes or cuts files in this directory.
    /// # let dir = unsafe { TrustedDir::assert(temporary.path()) };
    /// let file = RegionFile::options().create(dir.file("app.pgs"))?;
    /// let id = file.heap("posts")?.allocate_from(&mut file.writer(), b"hello")?;
    /// file.backup(dir.file("app.backup"), Backup::new())?;
    /// let backup = RegionFile::options().open_read_only(dir.file("app.backup"))?;
    /// assert_eq!(backup.heap("posts")?.get(&backup.pin(), id)?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where something has the name `to`; `OutOfSpace` of the target's device;
    /// `Cancelled` when the hook says so; `Unsupported` for scratch content, of which there is no
    /// commit; `Locked`, also for a file opened for reading whose writer commits all the time;
    /// `Io`; those of a commit. No file is left then, but for an empty lock file,
    /// and this file is as good as before.
    pub fn backup(&self, to: impl Into<Location>, options: Backup<'_>) -> Result<BackedUp> {
        let to = to.into();
        let _span = tracing::info_span!("backup", to = %to.path().display()).entered();
        if self.shared.options.durability == Durability::Scratch {
            let what = "scratch content is not committed, so there is no state to back up";
            return Err(Error::refused(ErrorKind::Unsupported, self.path(), what));
        }
        let target = NewFile::create(&to, &self.shared.raw)?;
        let (pin, plan) = self.begin_backup(&target)?;
        plan.copy_blocks((&pin, &target), options.progress)?;
        drop(pin);
        target.publish()?;
        tracing::info!(generation = plan.generation, bytes = plan.total, "backed up");
        Ok(BackedUp { generation: plan.generation, copied: plan.total, len: plan.len })
    }

    /// Commits and copies all control words; the pin keeps the rest as it is.
    fn begin_backup(&self, target: &NewFile) -> Result<(Pin<'_>, Plan)> {
        if !self.shared.raw.is_writable() {
            return self.begin_beside(target);
        }
        let mut state = self.shared.lock();
        let mut engine = Engine { shared: &self.shared, state: &mut state };
        engine.commit()?;
        let pin = self.pin();
        let plan = Plan::write(&engine, target)?;
        Ok((pin, plan))
    }

    /// As `begin_backup` beside a writer of another process, over again when it commits meanwhile.
    fn begin_beside(&self, target: &NewFile) -> Result<(Pin<'_>, Plan)> {
        for _ in 0..TRIES {
            let before = self.refresh()?;
            let pin = self.pin();
            let mut state = self.shared.lock();
            let engine = Engine { shared: &self.shared, state: &mut state };
            let plan = Plan::write(&engine, target);
            drop(state);
            if self.sequence() == before {
                return Ok((pin, plan?));
            }
        }
        let what = "its writer commits too often for a copy of its tables; have it make the backup";
        Err(Error::refused(ErrorKind::Locked, self.path(), what))
    }
}

/// What is copied.
#[derive(Debug)]
struct Plan {
    generation: u64,
    len: u64,
    total: u64,
    tables: Vec<Region>,
    /// Regions of blocks, in the order of the file.
    blocks: Vec<Range<u64>>,
    /// The bitmaps of slabs, which later epochs change while blocks are copied, with their places.
    bitmaps: Vec<(u64, Vec<u8>)>,
}

impl Plan {
    /// Copies the control words of the committed generation.
    fn write(engine: &Engine<'_>, target: &NewFile) -> Result<Self> {
        let plan = Self::new(engine)?;
        target.set_len(plan.len)?;
        for region in &plan.tables {
            copy_table(engine, region, target)?;
        }
        plan.write_head(engine, target)?;
        Ok(plan)
    }

    fn new(engine: &Engine<'_>) -> Result<Self> {
        let regions = engine.state.by_start.values();
        let regions = regions.filter_map(|number| engine.state.region(*number)).copied();
        let (tables, blocks): (Vec<_>, Vec<_>) =
            regions.partition(|region| matches!(region.kind, Kind::Directory | Kind::Table));
        let total = tables.iter().chain(&blocks).map(|region| region.range.len).sum();
        Ok(Self {
            generation: engine.shared.generation(),
            len: engine.state.end(),
            total,
            tables,
            blocks: blocks.iter().map(|region| region.range.start..region.range.end()).collect(),
            bitmaps: committed_bitmaps(engine)?,
        })
    }

    /// Writes the superblock; the rest of the first unit stays zero, as of a file that no boot of
    /// any machine has had open.
    fn write_head(&self, engine: &Engine<'_>, target: &NewFile) -> Result<()> {
        let superblock = Committed {
            generation: self.generation,
            len: self.len,
            snapshot: crate::ranges::Range::EMPTY,
            region_count: engine.state.by_start.len() as u64,
            region_size: engine.shared.options.region_size,
            uuid: engine.shared.uuid,
            read_compatible: 0,
        };
        let slot = SUPERBLOCKS[usize::from(self.generation & 1 == 1)];
        target.write_at(slot, superblock.encode().as_bytes())?;
        Ok(())
    }

    fn copy_blocks(
        &self,
        (pin, target): (&Pin<'_>, &NewFile),
        mut progress: Option<&mut dyn FnMut(Copied) -> ControlFlow<()>>,
    ) -> Result<()> {
        let raw = &pin.shared().raw;
        let mut done: u64 = self.tables.iter().map(|table| table.range.len).sum();
        let mut memory = vec![0; PIECE];
        for region in &self.blocks {
            for at in region.clone().step_by(PIECE) {
                let len = usize::try_from(region.end - at).unwrap_or(PIECE).min(PIECE);
                raw.pread(at, &mut memory[..len])?;
                target.write_at(at, &memory[..len])?;
                done += len as u64;
                if let Some(hook) = &mut progress
                    && hook(Copied { done, total: self.total }).is_break()
                {
                    let what = format!("cancelled after {done} of {} bytes", self.total);
                    return Err(Error::refused(ErrorKind::Cancelled, raw.path(), what));
                }
            }
        }
        for (at, bitmap) in &self.bitmaps {
            target.write_at(*at, bitmap)?;
        }
        Ok(())
    }
}

/// The committed bitmap of each slab: an eighth of a byte per slot.
fn committed_bitmaps(engine: &Engine<'_>) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut found = Vec::new();
    let stores: Vec<_> = engine.shared.stores().iter().flatten().cloned().collect();
    for store in stores.iter().filter(|store| store.has_slabs()) {
        for pair in (0..store.parts.end()).filter_map(|index| store.parts.pair(index)) {
            let words = engine.shared.pair(pair);
            let Some(which) = words.which(engine.shared.tag(), View::Committed) else { continue };
            let word = words.0.get(which).copied().unwrap_or_default();
            // One that names no slab is copied as it is: an open of the copy says so.
            let Some((_, geometry)) = engine.shared.slab_at(word) else { continue };
            let mut bitmap = vec![0; usize::try_from(geometry.bitmap_len())?];
            engine.shared.raw.read_at(geometry.bitmap(which), &mut bitmap);
            found.push((geometry.bitmap(which), bitmap));
        }
    }
    Ok(found)
}

/// Copies a table with the words of the committed version alone.
fn copy_table(engine: &Engine<'_>, table: &Region, target: &NewFile) -> Result<()> {
    let (raw, tag) = (&engine.shared.raw, engine.shared.tag());
    let mut memory = vec![0; usize::try_from(UNIT)?];
    for at in (table.range.start..table.range.end()).step_by(memory.len()) {
        raw.read_at(at, &mut memory);
        let header = if at == table.range.start { usize::try_from(REGION_HEADER)? } else { 0 };
        for bytes in memory[header..].chunks_exact_mut(16) {
            keep_committed(bytes, tag);
        }
        target.write_at(at, &memory)?;
    }
    Ok(())
}

/// Empties what is not the committed word of a pair.
fn keep_committed(bytes: &mut [u8], tag: u16) {
    let word = |bytes: &[u8]| Word(bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)));
    let (one, other) = bytes.split_at_mut(8);
    let committed = Pair([word(one), word(other)]).which(tag, View::Committed);
    for (which, bytes) in [one, other].into_iter().enumerate() {
        if committed != Some(which) {
            bytes.fill(0);
        }
    }
}
