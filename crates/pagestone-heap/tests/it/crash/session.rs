//! One open file, changed by one operation at a time, with the state that each leaves.

use std::{
    io::{Seek, SeekFrom, Write},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use pagestone_heap::{
    BlockId, BlockWriter, CommitPolicy, FileOptions, Heap, HeapMut, HeapOptions, RegionFile,
    ShrinkState, Stats, Verify,
};
use pagestone_storage::{Location, seam};
use pagestone_testkit::random::Random;

use super::{
    entries::{LogOp, Victim},
    model::{Block, HEAPS, Model, NUMBERS, Step, bytes},
    reader::Reader,
    slots::SlabOp,
    view::{View, contents},
};

/// How long a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Empty,
    Small,
    Other,
    Large,
    /// Longer than a shared region holds.
    Over,
    /// So long that a stream makes its region longer.
    Long,
    /// Longer than a segment whose entries are short.
    Segment,
}

impl Size {
    pub(crate) fn len(self, seed: u64) -> usize {
        let some = usize::try_from(seed % 5).unwrap_or(0);
        match self {
            Self::Empty => 0,
            Self::Small => 16 + 8 * some,
            Self::Other => 100 + some,
            Self::Large => 20_000 + 1000 * some,
            Self::Over => 262_200 + 100 * some,
            Self::Long => 1_050_000 + 70_000 * some,
            Self::Segment => 1_200_000,
        }
    }
}

/// One operation; blocks are named by their place among the live ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Allocate(usize, Size),
    Put(usize, Size),
    /// A new block or, where there is one, another content, written in pieces out of order.
    Stream(usize, Size),
    /// One that is given up half-way.
    HalfStream(usize),
    Modify(usize),
    /// `modify_private` of the exclusive form.
    Private(usize),
    Resize(usize, Size),
    Flags(usize),
    Free(usize),
    Root(usize),
    RemoveRoot,
    Heap(usize),
    Commit,
    /// The commit that syncs before it takes the writer.
    CommitShared,
    Discard,
    Close,
    /// As a kill between two operations.
    Drop,
    /// So many of the shortest steps of a shrink; a commit that it asks for is left to others.
    Step(usize),
    /// A shrink to its end, with its commits: one operation each.
    Shrink,
    ShrinkCancel,
    Log(LogOp),
    Slab(SlabOp),
}

impl Op {
    pub(crate) fn random(random: &mut Random, live: usize) -> Self {
        let which = random.below(1 << 20) as usize;
        let size = [
            Size::Small,
            Size::Small,
            Size::Other,
            Size::Other,
            Size::Large,
            Size::Empty,
            if random.chance(40) { Size::Over } else { Size::Small },
        ];
        let size = random.pick(&size).unwrap_or(Size::Small);
        match random.below(if 10 < live { 91 } else { 113 }) {
            0 if random.chance(40) => Self::Stream(which, Size::Long),
            0 | 1 => Self::Stream(which, if random.chance(50) { Size::Over } else { size }),
            2 => Self::HalfStream(which),
            3..=11 => Self::Put(which, size),
            12..=14 => Self::Modify(which),
            15..=19 => Self::Private(which),
            20..=24 => Self::Resize(which, size),
            25..=27 => Self::Flags(which),
            28..=43 => Self::Free(which),
            44..=47 => Self::Root(which),
            48 => Self::RemoveRoot,
            49..=51 => Self::Heap(which),
            52..=60 => Self::Commit,
            61..=63 => Self::CommitShared,
            64..=68 => Self::Discard,
            69..=74 => Self::Close,
            75..=77 => Self::Drop,
            78..=85 => Self::Step(1 + which % 4),
            86..=89 => Self::Shrink,
            90 => Self::ShrinkCancel,
            _ => Self::Allocate(which, size),
        }
    }

    /// Whether no other view of the file may be alive.
    fn is_alone(self) -> bool {
        matches!(self, Self::Private(_) | Self::Close | Self::Drop)
    }
}

/// How a run opens its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) policy: CommitPolicy,
    pub(crate) untrusted: bool,
    pub(crate) reader: bool,
}

impl Manner {
    pub(crate) const PLAIN: Self =
        Self { policy: CommitPolicy::Manual, untrusted: false, reader: false };

    pub(crate) fn options(self) -> FileOptions {
        let options = RegionFile::options().region_size(1 << 20).reserve(64 << 20);
        options.commit_policy(self.policy).untrusted(self.untrusted)
    }
}

/// The steps that a run took, the first one before its open.
pub(crate) type Steps = Vec<Step>;

/// One open file with what it holds.
#[derive(Debug)]
pub(crate) struct Session {
    manner: Manner,
    at: Location,
    file: Option<RegionFile>,
    newest: Model,
    committed: Model,
    generation: u64,
    seed: u64,
    reader: Option<Reader>,
    /// What the last step of a shrink said.
    shrinking: Option<ShrinkState>,
    /// The segment that is being emptied.
    pub(crate) victim: Option<Victim>,
    /// Segments of the log when they were counted.
    pub(crate) segments: usize,
}

type Done<T = ()> = Result<T, String>;

pub(crate) fn text(error: &pagestone_heap::Error) -> String {
    error.to_string()
}

impl Session {
    /// Opens the file; `steps` holds what it may show and gets what it shows.
    pub(crate) fn open(at: Location, manner: Manner, steps: &mut Steps) -> Done<Self> {
        let file = manner.options().open(at.clone()).map_err(|error| format!("open: {error}"))?;
        let (found, generation) = (contents(&file)?, file.generation());
        let before = steps.last().cloned().ok_or("no state before the open")?;
        let newest = before.newest.iter().find(|model| model.contents == found);
        let newest = newest.cloned().ok_or("an open shows another state")?;
        let mut committed = before.committed.iter();
        let committed = committed.find(|(its, _)| *its == generation);
        let (_, committed) = committed.ok_or("an open shows another generation")?;
        let committed = Rc::clone(committed);
        steps.push(Step {
            newest: vec![Rc::clone(&newest)],
            committed: vec![(generation, Rc::clone(&committed))],
            torn: None,
        });
        seam::mark(steps.len() as u64 - 1);
        Ok(Self {
            manner,
            at,
            file: Some(file),
            newest: Model::clone(&newest),
            committed: Model::clone(&committed),
            generation,
            seed: generation << 16,
            reader: manner.reader.then(Reader::new),
            shrinking: None,
            victim: None,
            segments: 0,
        })
    }

    pub(crate) fn live(&self) -> usize {
        self.newest.live().len()
    }

    pub(crate) fn file(&self) -> Done<&RegionFile> {
        self.file.as_ref().ok_or_else(|| "the file is closed".to_owned())
    }

    pub(crate) fn newest(&self) -> &Model {
        &self.newest
    }

    pub(crate) fn newest_mut(&mut self) -> &mut Model {
        &mut self.newest
    }

    /// Of this operation.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Does one operation and notes the state that it leaves.
    pub(crate) fn apply(&mut self, op: Op, steps: &mut Steps) -> Done {
        match op {
            Op::Shrink => return self.shrink(steps),
            Op::Log(LogOp::Compact(commits)) => return self.compact(commits, steps),
            _ => {}
        }
        let file = self.file()?.clone();
        if let Some(reader) = &self.reader {
            let heaps = if op.is_alone() { vec![] } else { View::all(&file)? };
            reader.begin(heaps, &self.newest);
        }
        drop(file);
        self.seed += 1;
        let torn = self.change(op).map_err(|error| format!("{op:?}: {error}"))?;
        let generation = self.file()?.generation();
        if self.generation != generation {
            (self.generation, self.committed) = (generation, self.newest.clone());
        } else if matches!(op, Op::Commit | Op::CommitShared)
            && self.newest.contents != self.committed.contents
        {
            return Err("a commit of changes did nothing".to_owned());
        }
        if let Some(reader) = &self.reader {
            let id = torn.as_ref().map(|(_, id)| *id);
            reader.end(&self.newest, id).map_err(|error| format!("{op:?}: {error}"))?;
        }
        steps.push(Step {
            newest: vec![Rc::new(self.newest.clone())],
            committed: vec![(generation, Rc::new(self.committed.clone()))],
            torn,
        });
        seam::mark(steps.len() as u64 - 1);
        Ok(())
    }

    /// Each step and each commit is an operation of its own.
    fn shrink(&mut self, steps: &mut Steps) -> Done {
        for _ in 0..1000 {
            self.apply(Op::Step(1), steps)?;
            match self.shrinking {
                Some(ShrinkState::Done) => return Ok(()),
                Some(ShrinkState::Commit) => self.apply(Op::CommitShared, steps)?,
                _ => {}
            }
        }
        Err("a shrink does not end".to_owned())
    }

    fn step(&mut self, count: usize) -> Done {
        let file = self.file()?.clone();
        for _ in 0..count {
            let progress = file.shrink_step(Duration::ZERO).map_err(|error| text(&error))?;
            self.shrinking = Some(progress.state);
        }
        drop(file);
        self.check_contents()?;
        self.verify()
    }

    pub(crate) fn check_contents(&self) -> Done {
        let same = contents(self.file()?)? == self.newest.contents;
        if same { Ok(()) } else { Err("a step changed contents".to_owned()) }
    }

    /// Does operations while a pin holds all blocks, which stay as they are.
    pub(crate) fn apply_pinned(
        &mut self,
        (lean, random): (Lean, &mut Random),
        steps: &mut Steps,
    ) -> Done {
        let file = self.file()?.clone();
        let pin = file.pin();
        let mut held = Vec::new();
        let stores = self.newest.contents.heaps.iter();
        for (name, blocks) in stores.filter(|(name, _)| *name != NUMBERS) {
            let heap = View::of(&file, name).map_err(|error| text(&error))?;
            for (id, block) in blocks {
                let bytes = heap.get(&pin, *id).map_err(|error| text(&error))?;
                held.push((*id, bytes, Arc::clone(&block.bytes)));
            }
        }
        for _ in 0..6 {
            let op = lean.op(random, self);
            if op.is_alone() {
                continue;
            }
            self.apply(op, steps)?;
            if let Some((id, ..)) = held.iter().find(|(_, now, then)| **now != **then) {
                return Err(format!("{op:?} changed bytes of {id:?} that a pin holds"));
            }
        }
        Ok(())
    }

    fn change(&mut self, op: Op) -> Done<Option<(String, BlockId)>> {
        match op {
            Op::Private(which) => return self.private(which),
            Op::Allocate(which, size) => self.allocate(HEAPS[which % HEAPS.len()], size)?,
            Op::Heap(which) => drop(self.heap(HEAPS[which % HEAPS.len()])?),
            Op::Close | Op::Drop => self.reopen(op)?,
            Op::Step(count) => self.step(count)?,
            Op::ShrinkCancel => self.file()?.shrink_cancel(),
            Op::Log(op) => self.change_log(op)?,
            Op::Slab(op) => self.change_slabs(op)?,
            Op::Commit => self.file()?.writer().commit().map_err(|error| text(&error))?,
            Op::CommitShared => self.file()?.commit().map_err(|error| text(&error))?,
            Op::Discard => {
                self.file()?.writer().discard().map_err(|error| text(&error))?;
                self.newest = self.committed.clone();
                self.victim = None;
                let found = contents(self.file()?)?;
                if found != self.newest.contents {
                    return Err("another state than the last commit".to_owned());
                }
            }
            Op::Root(which) => {
                let Some((_, id)) = self.pick(which) else { return Ok(None) };
                let name = ["first", "second"][which / 7 % 2];
                let mut writer = self.file()?.writer();
                writer.set_root(name, id).map_err(|error| text(&error))?;
                drop(writer);
                self.newest.contents.roots.insert(name.to_owned(), id);
            }
            Op::RemoveRoot => {
                let mut writer = self.file()?.writer();
                writer.remove_root("first").map_err(|error| text(&error))?;
                drop(writer);
                self.newest.contents.roots.remove("first");
            }
            Op::Stream(which, size) if which % 3 == 0 || self.live() == 0 => {
                self.allocate_stream(HEAPS[which % HEAPS.len()], size)?;
            }
            _ => self.change_block(op)?,
        }
        Ok(None)
    }

    fn change_block(&mut self, op: Op) -> Done {
        let (Op::Put(which, _)
        | Op::Stream(which, _)
        | Op::HalfStream(which)
        | Op::Modify(which)
        | Op::Resize(which, _)
        | Op::Flags(which)
        | Op::Free(which)) = op
        else {
            return Ok(());
        };
        let Some((name, id)) = self.pick(which) else { return Ok(()) };
        let heap = self.heap(&name)?;
        let file = self.file()?.clone();
        let blocks = self.newest.contents.heaps.get_mut(&name).ok_or("no heap")?;
        let block = blocks.get_mut(&id).ok_or("no block")?;
        let mut writer = file.writer();
        let done = match op {
            Op::Put(_, size) => {
                block.bytes = bytes(self.seed, size.len(self.seed));
                heap.put(&mut writer, id, &block.bytes)
            }
            Op::Stream(_, size) => {
                block.bytes = bytes(self.seed, size.len(self.seed));
                let write = |out: &mut BlockWriter<'_, '_>| write_in_pieces(out, &block.bytes);
                heap.put_by(&mut writer, id, write).map_err(|error| error.to_string())?;
                Ok(())
            }
            Op::HalfStream(_) => {
                let size = if which % 2 == 0 { Size::Over } else { Size::Long };
                let content = bytes(self.seed, size.len(self.seed));
                let mut stream = heap.put_stream(&mut writer, id).map_err(|error| text(&error))?;
                write_in_pieces(&mut stream, &content)
                    .map_err(|error| error.to_string())
                    .map(|()| drop(stream))?;
                Ok(())
            }
            Op::Modify(_) => {
                let mask = self.seed.to_le_bytes()[0] | 1;
                let change = |bytes: &mut [u8]| bytes.iter_mut().take(9).for_each(|b| *b ^= mask);
                let mut bytes = block.bytes.to_vec();
                change(&mut bytes);
                block.bytes = bytes.into();
                heap.modify(&mut writer, id, change)
            }
            Op::Resize(_, size) => {
                let mut bytes = block.bytes.to_vec();
                bytes.resize(size.len(self.seed), 0);
                block.bytes = bytes.into();
                heap.resize(&mut writer, id, block.bytes.len())
            }
            Op::Flags(_) => {
                block.flags = u32::try_from(self.seed % 1000).unwrap_or(0);
                heap.set_flags(&mut writer, id, block.flags)
            }
            _ => {
                blocks.remove(&id);
                heap.free(&mut writer, id)
            }
        };
        done.map_err(|error| text(&error))
    }

    fn private(&mut self, which: usize) -> Done<Option<(String, BlockId)>> {
        let Some((name, id)) = self.pick(which) else { return Ok(None) };
        let file = self.file.take().ok_or("closed")?;
        let mut heap = HeapMut::new(file, &name).map_err(|error| text(&error))?;
        let blocks = self.newest.contents.heaps.get_mut(&name).ok_or("no heap")?;
        let block = blocks.get_mut(&id).ok_or("no block")?;
        let mut lent = heap.modify_private(id).map_err(|error| text(&error))?;
        for at in (0..lent.len()).step_by((lent.len() / 5).max(8)) {
            lent[at] ^= self.seed.to_le_bytes()[0] | 1;
        }
        block.bytes = lent.to_vec().into();
        drop(lent);
        self.file = Some(heap.into_shared().file().clone());
        Ok(Some((name, id)))
    }

    fn allocate(&mut self, name: &str, size: Size) -> Done {
        // A heap that is not there yet is made by an operation of its own.
        let name = if self.newest.contents.heaps.contains_key(name) { name } else { HEAPS[0] };
        let heap = self.heap(name)?;
        let bytes = bytes(self.seed, size.len(self.seed));
        let mut writer = self.file()?.writer();
        let id = if self.seed.is_multiple_of(3) {
            heap.allocate_with(&mut writer, bytes.len(), |to| to.copy_from_slice(&bytes))
        } else {
            heap.allocate_from(&mut writer, &bytes)
        };
        drop(writer);
        let id = id.map_err(|error| text(&error))?;
        self.add(name, id, bytes)
    }

    fn allocate_stream(&mut self, name: &str, size: Size) -> Done {
        let name = if self.newest.contents.heaps.contains_key(name) { name } else { HEAPS[0] };
        let heap = self.heap(name)?;
        let bytes = bytes(self.seed, size.len(self.seed));
        let write = |out: &mut BlockWriter<'_, '_>| write_in_pieces(out, &bytes);
        let id = heap.allocate_by(&mut self.file()?.writer(), write);
        self.add(name, id.map_err(|error| error.to_string())?, bytes)
    }

    /// Notes a block or an entry that was made.
    pub(crate) fn add(&mut self, name: &str, id: BlockId, bytes: Arc<[u8]>) -> Done {
        if !self.newest.given.insert((name.to_owned(), id)) {
            return Err(format!("{id:?} was given out before"));
        }
        let blocks = self.newest.contents.heaps.entry(name.to_owned()).or_default();
        blocks.insert(id, Block { bytes, flags: 0 });
        Ok(())
    }

    fn heap(&mut self, name: &str) -> Done<Heap> {
        let options = HeapOptions::new().checksums(name == HEAPS[0]);
        let heap = self.file()?.heap_with(name, options).map_err(|error| text(&error))?;
        self.newest.contents.heaps.entry(name.to_owned()).or_default();
        Ok(heap)
    }

    fn reopen(&mut self, op: Op) -> Done {
        self.victim = None;
        let file = self.file.take().ok_or("closed")?;
        if op == Op::Close {
            let before = file.generation();
            file.close().map_err(|error| text(&error))?;
            self.generation = before;
        } else {
            drop(file);
        }
        let file = self.manner.options().open(self.at.clone()).map_err(|error| text(&error))?;
        let found = contents(&file)?;
        self.file = Some(file);
        if found == self.newest.contents { Ok(()) } else { Err("another state".to_owned()) }
    }

    fn pick(&self, which: usize) -> Option<(String, BlockId)> {
        let live = self.newest.live();
        live.get(which.checked_rem(live.len())?).cloned()
    }

    /// Frees everything; errors when some space is not free then.
    pub(crate) fn drain(&mut self, steps: &mut Steps) -> Done {
        while 0 < self.live() {
            self.apply(Op::Free(0), steps)?;
        }
        self.drain_log(steps)?;
        self.drain_slabs(steps)?;
        let was_clean = self.file()?.stats();
        for round in 0..3 {
            let mut writer = self.file()?.writer();
            writer.set_root("first", BlockId::from_bits(round)).map_err(|error| text(&error))?;
            writer.commit().map_err(|error| text(&error))?;
        }
        let stats = self.file()?.stats();
        check_drained(&stats).map_err(|what| format!("{what}: {stats:?} before {was_clean:?}"))
    }

    pub(crate) fn verify(&self) -> Done {
        self.check_removed()?;
        let report = self.file()?.verify(Verify::new()).map_err(|error| text(&error))?;
        if report.is_clean() { Ok(()) } else { Err(format!("verify: {:?}", report.problems)) }
    }
}

/// Writes a content with its middle last.
fn write_in_pieces(out: &mut BlockWriter<'_, '_>, content: &[u8]) -> std::io::Result<()> {
    let (front, rest) = content.split_at(content.len() / 3);
    let (middle, back) = rest.split_at(rest.len() / 2);
    out.write_all(front)?;
    out.seek(SeekFrom::Current(i64::try_from(middle.len()).unwrap_or(0)))?;
    out.write_all(back)?;
    out.seek(SeekFrom::Start(front.len() as u64))?;
    out.write_all(middle)
}

/// Heap regions hold names alone, and every byte of the file belongs to something.
fn check_drained(stats: &Stats) -> Done {
    const UNIT: u64 = 64 << 10;
    let [_, _, heaps, overs, ..] = stats.region_counts;
    let used = stats.region_lens[2] - 64 * heaps - stats.free;
    let names = stats.stores.len() as u64 + 2;
    if 96 * names < used || overs != 0 || stats.quarantined + stats.pinned != 0 {
        return Err(format!("{used} bytes used, {overs} regions of one block"));
    }
    let known = stats.region_lens.iter().sum::<u64>() + stats.free_ranges + UNIT;
    let rest = stats.file_len - known;
    // The record of the last close, a bit for each 16 bytes, keeps its range until the next one.
    if rest <= (stats.file_len / 128).next_multiple_of(UNIT) {
        return Ok(());
    }
    Err(format!("{rest} bytes of the file belong to nothing"))
}

/// What operations a run picks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lean {
    Heap,
    /// Mostly on entries.
    Log,
    /// Mostly on objects in slots, and on numbers.
    Slab,
}

impl Lean {
    pub(crate) fn op(self, random: &mut Random, session: &Session) -> Op {
        if self == Self::Log && random.chance(65) {
            return Op::Log(LogOp::random(random, session.entry_count()));
        }
        if self == Self::Slab && random.chance(65) {
            return Op::Slab(SlabOp::random(random, session.newest()));
        }
        Op::random(random, session.live())
    }
}
