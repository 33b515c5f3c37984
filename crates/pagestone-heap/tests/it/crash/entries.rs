//! Operations on the entries of a log, and how one of its segments after the other is emptied.

use std::{collections::BTreeMap, io::Write};

use pagestone_heap::{BlockId, ErrorKind, Log};
use pagestone_testkit::random::Random;

use super::{
    model::{LOG, SLOTS, bytes},
    session::{Op, Session, Size, Steps, text},
    view::View,
};

type Done<T = ()> = Result<T, String>;

/// One operation on the log; entries and segments are named by their places among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogOp {
    Add(Size),
    Update(usize, Size),
    /// A new entry or another content, written in pieces, or given up half-way.
    Stream(usize, Size),
    Remove(usize),
    /// Goes on with the segment that is being emptied, or begins with one, for so many bytes.
    Step(usize, u64),
    /// All of one segment.
    Evacuate(usize),
    /// All segments that there are, each with a commit or not: one operation each.
    Compact(bool),
    /// Counts what lives in each segment.
    Count,
}

impl LogOp {
    pub(crate) fn random(random: &mut Random, live: usize) -> Self {
        let which = random.below(1 << 20) as usize;
        let size = [
            Size::Small,
            Size::Small,
            Size::Other,
            Size::Large,
            Size::Empty,
            Size::Over,
            if random.chance(40) { Size::Segment } else { Size::Small },
        ];
        let size = random.pick(&size).unwrap_or(Size::Small);
        match random.below(if 8 < live { 70 } else { 100 }) {
            0..3 if size == Size::Segment => Self::Stream(which, Size::Long),
            0..3 => Self::Stream(which, size),
            3..14 => Self::Update(which, size),
            14..34 => Self::Remove(which),
            34..56 => Self::Step(which, [1, 1, 300_000][which % 3]),
            56..63 => Self::Evacuate(which),
            63..67 => Self::Compact(which.is_multiple_of(2)),
            67..70 => Self::Count,
            _ => Self::Add(size),
        }
    }
}

/// What of a segment a step left: its number, its first sequence, and where to go on.
pub(crate) type Victim = (u32, u64, u64);

impl Session {
    fn log(&mut self) -> Done<Log> {
        let log = self.file()?.log(LOG).map_err(|error| text(&error))?;
        self.newest_mut().contents.heaps.entry(LOG.to_owned()).or_default();
        Ok(log)
    }

    pub(crate) fn entry_count(&self) -> usize {
        self.newest().contents.heaps.get(LOG).map_or(0, BTreeMap::len)
    }

    fn pick_entry(&self, which: usize) -> Option<BlockId> {
        let entries = self.newest().contents.heaps.get(LOG)?;
        entries.keys().nth(which.checked_rem(entries.len())?).copied()
    }

    pub(crate) fn change_log(&mut self, op: LogOp) -> Done {
        let log = self.log()?;
        let file = self.file()?.clone();
        let seed = self.seed();
        match op {
            LogOp::Add(size) => {
                let content = bytes(seed, size.len(seed));
                let id = log.add(&mut file.writer(), &content).map_err(|error| text(&error))?;
                self.add(LOG, id, content)
            }
            LogOp::Update(which, size) => {
                let Some(id) = self.pick_entry(which) else { return Ok(()) };
                let content = bytes(seed, size.len(seed));
                log.update(&mut file.writer(), id, &content).map_err(|error| text(&error))?;
                let entries = self.newest_mut().contents.heaps.get_mut(LOG).ok_or("no log")?;
                entries.get_mut(&id).ok_or("no entry")?.bytes = content;
                Ok(())
            }
            LogOp::Stream(which, size) => self.stream(&log, (which, size)),
            LogOp::Remove(which) => {
                let Some(id) = self.pick_entry(which) else { return Ok(()) };
                log.remove(&mut file.writer(), id).map_err(|error| text(&error))?;
                let entries = self.newest_mut().contents.heaps.get_mut(LOG).ok_or("no log")?;
                entries.remove(&id);
                Ok(())
            }
            LogOp::Step(which, most) => self.empty(&log, (which, most)),
            LogOp::Evacuate(which) => self.empty(&log, (which, u64::MAX)),
            LogOp::Compact(_) => Err("a compaction is made of operations".to_owned()),
            LogOp::Count => self.count(&log),
        }
    }

    fn stream(&mut self, log: &Log, (which, size): (usize, Size)) -> Done {
        let (file, seed) = (self.file()?.clone(), self.seed());
        let content = bytes(seed, size.len(seed));
        let known = self.pick_entry(which).filter(|_| which % 4 != 0);
        let mut writer = file.writer();
        let begun = match known {
            Some(id) => log.update_stream(&mut writer, id),
            None => log.add_stream(&mut writer),
        };
        let mut stream = begun.map_err(|error| text(&error))?;
        for piece in content.chunks(content.len() / 3 + 1) {
            stream.write_all(piece).map_err(|error| error.to_string())?;
        }
        if which % 5 == 0 {
            return Ok(());
        }
        let id = stream.finish().map_err(|error| text(&error))?;
        let Some(known) = known else { return self.add(LOG, id, content) };
        let entries = self.newest_mut().contents.heaps.get_mut(LOG).ok_or("no log")?;
        entries.get_mut(&known).ok_or("no entry")?.bytes = content;
        Ok(())
    }

    /// Each segment and each commit is an operation of its own.
    pub(crate) fn compact(&mut self, commits: bool, steps: &mut Steps) -> Done {
        self.victim = None;
        self.apply(Op::Log(LogOp::Count), steps)?;
        for _ in 0..self.segments {
            self.apply(Op::Log(LogOp::Evacuate(0)), steps)?;
            if commits {
                self.apply(Op::CommitShared, steps)?;
            }
        }
        Ok(())
    }

    /// Moves entries out of a segment; contents stay.
    fn empty(&mut self, log: &Log, (which, most): (usize, u64)) -> Done {
        let file = self.file()?.clone();
        let mut writer = file.writer();
        let segments = log.segments(&mut writer).map_err(|error| text(&error))?;
        let begun = self.victim.filter(|(number, first, _)| {
            segments.iter().any(|its| (its.number, its.first_sequence) == (*number, *first))
        });
        let begun = begun.or_else(|| {
            let segment = segments.get(which.checked_rem(segments.len())?)?;
            Some((segment.number, segment.first_sequence, 0))
        });
        let Some((number, first, from)) = begun else { return Ok(()) };
        let done = log
            .evacuate(&mut writer, (number, from), |moved| most <= moved)
            .map_err(|error| text(&error))?;
        self.victim = done.next.map(|next| (number, first, next));
        drop(writer);
        self.check_contents()
    }

    /// What the log counts is what is there.
    fn count(&mut self, log: &Log) -> Done {
        let file = self.file()?.clone();
        let mut writer = file.writer();
        let segments = log.segments(&mut writer).map_err(|error| text(&error))?;
        self.segments = segments.len();
        let live: u64 = segments.iter().map(|segment| segment.live).sum();
        let entries = self.newest().contents.heaps.get(LOG).into_iter().flatten();
        let stride = |len: usize| (32 + len as u64).next_multiple_of(16);
        let expected: u64 = entries.map(|(_, entry)| stride(entry.bytes.len())).sum();
        let over = segments.iter().find(|its| its.used < its.live || its.len < its.used + 64);
        if live != expected || over.is_some() {
            return Err(format!("{expected} bytes live, counted {live}: {segments:?}"));
        }
        let (count, known) = (log.len(&mut writer), self.entry_count() as u64);
        if count == known { Ok(()) } else { Err(format!("{known} entries, counted {count}")) }
    }

    /// Ids of entries and objects that were removed are refused.
    pub(crate) fn check_removed(&self) -> Done {
        let (model, file) = (self.newest(), self.file()?);
        let pin = file.pin();
        for name in [LOG, SLOTS] {
            let Some(entries) = model.contents.heaps.get(name) else { continue };
            let view = View::of(file, name).map_err(|error| text(&error))?;
            let gone = model.given.iter().filter(|(its, _)| its == name);
            for (_, id) in gone.filter(|(_, id)| !entries.contains_key(id)) {
                match view.get(&pin, *id) {
                    Err(error) if error.kind() == ErrorKind::StaleId => {}
                    other => return Err(format!("{id:?} was removed: {other:?}")),
                }
            }
        }
        Ok(())
    }

    /// Removes every entry; errors when a segment is left.
    pub(crate) fn drain_log(&mut self, steps: &mut Steps) -> Done {
        if !self.newest().contents.heaps.contains_key(LOG) {
            return Ok(());
        }
        while 0 < self.entry_count() {
            self.apply(Op::Log(LogOp::Remove(0)), steps)?;
        }
        self.compact(false, steps)?;
        self.apply(Op::Log(LogOp::Count), steps)?;
        if self.segments == 0 { Ok(()) } else { Err(format!("{} segments stay", self.segments)) }
    }
}
