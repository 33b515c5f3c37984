//! A new file from the segments of one whose slots, directory or superblocks are damaged.

mod source; // bytes of a file that nothing is known of
mod survey; // generation, directory, and where segments lie
mod search; // segments that the directory does not name
mod names; // what stores and roots were called
mod walk; // the entries of a segment
mod fill; // the new file

use std::{fmt, ops::ControlFlow};

use pagestone_storage::Location;

use self::{fill::Plan, source::Source, survey::Survey, walk::Entries};
use crate::{
    backup::Copied,
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    id::BlockId,
    options::FileOptions,
};

/// Damage that is kept word by word; more is counted.
const KEPT: usize = 1000;

/// Options of [`RegionFile::salvage`].
#[derive(Default)]
#[must_use]
pub struct Salvage<'h> {
    file: Option<FileOptions>,
    search: bool,
    progress: Option<&'h mut dyn FnMut(Copied) -> ControlFlow<()>>,
}

impl fmt::Debug for Salvage<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Salvage");
        debug.field("file", &self.file).field("search", &self.search).finish_non_exhaustive()
    }
}

impl<'h> Salvage<'h> {
    /// Without a hook; the new file has the region size of the old one where that is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// How the new file is made.
    pub fn file_options(mut self, options: FileOptions) -> Self {
        self.file = Some(options);
        self
    }

    /// Whether segments are looked for also where the directory seems whole: for files that lost
    /// words of it and the superblocks, which tell how many there were. What was given back or
    /// undone may be found too.
    pub fn search(mut self, search: bool) -> Self {
        self.search = search;
        self
    }

    /// Tells `hook` after every MiB how much was read of what is known so far; it may break off.
    pub fn progress(mut self, hook: &'h mut dyn FnMut(Copied) -> ControlFlow<()>) -> Self {
        self.progress = Some(hook);
        self
    }
}

/// A place where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Where in the old file.
    pub offset: u64,
    /// Bytes that could not be understood.
    pub len: u64,
    /// What is wrong.
    pub what: String,
    /// The id that a damaged header names, if the header seems right otherwise.
    pub id: Option<BlockId>,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "offset {}: {} bytes: {}", self.offset, self.len, self.what)
    }
}

/// One log of a new file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvagedLog {
    /// What it is called.
    pub name: String,
    /// Whether that was its name; else it is `log-` and a number.
    pub is_named: bool,
    /// Entries there are.
    pub entries: u64,
    /// Ids that were removed and whose tombstones are there.
    pub removed: u64,
    /// Bytes of the entries, without headers.
    pub bytes: u64,
}

/// What a salvage found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Salvaged {
    /// The generation whose state it is; `None` where no superblock and no owner page says it.
    pub generation: Option<u64>,
    /// The logs of the new file.
    pub logs: Vec<SalvagedLog>,
    /// Stores that are no logs, of which nothing was taken.
    pub left_out: Vec<String>,
    /// Entries of all logs.
    pub entries: u64,
    /// Removed ids of all logs.
    pub removed: u64,
    /// Bytes of the entries of all logs, without headers.
    pub bytes: u64,
    /// Segments that were read.
    pub segments: u64,
    /// Of them those whose committed end is not known: entries that were undone, or never
    /// committed, may have come back.
    pub ends_unknown: u64,
    /// Of them those that no directory word names: entries that were removed may have come back.
    pub unnamed: u64,
    /// What is wrong, at most the first thousand.
    pub damaged: Vec<Damage>,
    /// How many things are wrong.
    pub damage_count: u64,
    /// Bytes that could not be understood.
    pub damaged_bytes: u64,
}

impl Salvaged {
    /// Returns whether nothing was damaged and nothing had to be guessed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damage_count == 0 && self.ends_unknown == 0 && self.unnamed == 0
    }

    fn add(&mut self, (offset, len): (u64, u64), what: impl Into<String>) -> Option<&mut Damage> {
        self.damage_count += 1;
        self.damaged_bytes = self.damaged_bytes.saturating_add(len);
        if KEPT <= self.damaged.len() {
            return None;
        }
        self.damaged.push(Damage { offset, len, what: what.into(), id: None });
        self.damaged.last_mut()
    }
}

/// How far it is, and who is told.
struct Pace<'h> {
    hook: Option<&'h mut dyn FnMut(Copied) -> ControlFlow<()>>,
    done: u64,
    total: u64,
    told: u64,
}

impl Pace<'_> {
    fn more(&mut self, len: u64) {
        self.total = self.total.saturating_add(len);
    }

    /// Says that so many bytes were read.
    fn step(&mut self, len: u64, source: &Source) -> Result<()> {
        self.done = self.done.saturating_add(len);
        let Some(hook) = &mut self.hook else { return Ok(()) };
        if self.done < self.told.saturating_add(1 << 20) && self.done != self.total {
            return Ok(());
        }
        self.told = self.done;
        if hook(Copied { done: self.done, total: self.total }).is_continue() {
            return Ok(());
        }
        let what = format!("cancelled after {} of {} bytes", self.done, self.total);
        Err(Error::refused(ErrorKind::Cancelled, source.path(), what))
    }
}

impl RegionFile {
    /// Makes a file at `to` from the entries in the segments of the file at `from`, under the same
    /// ids, as of the last commit. Slot tables are not read, but for the names of stores; the
    /// directory and the superblocks are, and what is wrong with them is reported and done without.
    ///
    /// Of each id the entry of the highest generation and sequence counts; where that is a
    /// tombstone the id stays removed. A damaged entry is skipped and reported; if an older content
    /// of it lies in a segment still, that comes back, and the report says so where it can. Roots
    /// are kept that name entries. Stores that are no logs are left out.
    ///
    /// What cannot be known without a directory and superblocks is guessed so that rather too much
    /// comes back than too little, and the report counts such segments:
    ///
    /// - Where the generation is in neither superblock nor on the owner page, the newest words of
    ///   the directory count as committed.
    /// - Where the directory says fewer regions than the superblock, or its words make no sense,
    ///   segments are looked for by their headers. Segments that were given back or undone, and
    ///   whose space was not used again, come back with their entries.
    /// - Where no end of a segment is known, all of its entries count whose checksums and sequences
    ///   are right: those too that were undone, or never committed.
    ///
    /// Ids that were removed so long ago that their tombstones are gone are refused by the new file
    /// too, as indices without an entry start with a generation that the old file had not reached.
    ///
    /// The new file has its name when all of it is on the device; on an error nothing is left. A
    /// writer may have the old file open: it is read as of one commit.
    ///
    /// # Errors
    ///
    /// `NotFound`; `AlreadyExists` where something has the name `to`; `OutOfSpace`; `Cancelled`
    /// when the hook says so; `Locked` for a file that is committed to all the time; `Io`. What is
    /// wrong with the bytes is in the report; bytes that the device cannot read are damage.
    ///
    /// Cost: each segment is read once, and the entries that count once more; memory for some 64
    /// bytes per id.
    pub fn salvage(
        from: impl Into<Location>,
        to: impl Into<Location>,
        options: Salvage<'_>,
    ) -> Result<Salvaged> {
        salvage(&from.into(), &to.into(), options)
    }
}

fn salvage(from: &Location, to: &Location, options: Salvage<'_>) -> Result<Salvaged> {
    let (old, new) = (from.path().display(), to.path().display());
    let _span = tracing::info_span!("salvage", from = %old, to = %new).entered();
    let mut source = Source::open(from)?;
    RegionFile::vacant_name(to)?;
    let mut report = Salvaged::default();
    let survey = Survey::hold(&mut source, options.search, &mut report)?;
    if survey.uuid.is_none() && survey.segments.is_empty() {
        // Not even a header of a region: the answer is that of an open.
        survey::superblock(&source)?;
    }
    let mut pace = Pace { hook: options.progress, done: 0, total: 0, told: 0 };
    let entries = Entries::read(&mut source, &survey, (&mut report, &mut pace))?;
    let mut file = options.file.unwrap_or_default();
    if let Some(size) = survey.region_size {
        file = file.region_size(size);
    }
    let plan = Plan::new(survey, entries, &mut report);
    let report = RegionFile::make_beside(to, &file, |file| {
        plan.write(file, &mut source, (&mut report, &mut pace))?;
        Ok(report)
    })?;
    tracing::info!(entries = report.entries, damage = report.damage_count, "salvaged");
    Ok(report)
}
