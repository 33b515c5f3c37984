//! Readers of other processes beside a writer that is killed again and again: they hold the file
//! open, step between any two of its stores, and outlive it.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use pagestone_heap::{BlockId, CommitPolicy};
use pagestone_storage::{
    Location,
    seam::{Event, Machine, Trace, set_machine, set_observer},
};
use pagestone_testkit::{
    images::{Device, Mix},
    random::Random,
};

use super::{
    check::Tally,
    exhaustive,
    model::{Expected, HEAPS, LOG, Model, SLOTS, Step},
    outside::{Outsider, Sight, What},
    place::Place,
    session::{Lean, Manner, Op, Session, Steps},
};

/// Readers at once.
const READERS: usize = 3;

/// A block that a reader kept: the stores of the session between which it did, and where it lies.
type Held = (std::ops::Range<u64>, std::ops::Range<u64>);

/// All readers of a file, while one session of its writer runs.
#[derive(Debug)]
struct Watch {
    at: Location,
    machine: Machine,
    random: Random,
    readers: Vec<Outsider>,
    /// Stores of the session so far.
    stores: u64,
    /// The writer is killed before this one: from here on nobody looks.
    killed_at: u64,
    ids: Vec<(&'static str, BlockId)>,
    /// What was seen, and before which store.
    sights: Vec<(u64, Sight)>,
    held: Vec<Held>,
    wrong: Option<String>,
}

impl Watch {
    /// Before each store of the writer.
    fn look(&mut self) {
        if self.stores < self.killed_at && self.wrong.is_none() && self.random.chance(25) {
            self.wrong = self.act().err();
        }
        self.stores += 1;
    }

    fn act(&mut self) -> Result<(), String> {
        let which = self.random.below(8) as usize;
        if self.readers.len() <= which {
            // Rarely, so that those that are there grow old.
            if self.readers.len() < READERS && self.random.chance(20) {
                self.readers.push(Outsider::open(self.at.clone(), self.machine)?);
            }
            return Ok(());
        }
        match self.random.below(100) {
            0..60 => {
                let Some((heap, id)) = self.random.pick(&self.ids) else { return Ok(()) };
                let reader = &mut self.readers[which];
                let before = reader.kept.len();
                let sight = reader.get(heap, id)?;
                self.sights.push((self.moment(which), sight));
                let kept = self.readers[which].kept.get(before);
                // Objects that share words with their neighbours are stored again as they are.
                let kept = kept.filter(|(from, end)| heap != SLOTS || (end - from) % 8 == 0);
                self.held.extend(kept.map(|(from, end)| (self.stores..u64::MAX, *from..*end)));
                Ok(())
            }
            60..66 => {
                let sight = self.readers[which].all()?;
                self.sights.push((self.moment(which), sight));
                Ok(())
            }
            66..92 => self.compare(which),
            92..98 => {
                self.release(which);
                self.readers[which].unpin()
            }
            _ => {
                self.release(which);
                self.readers.swap_remove(which);
                Ok(())
            }
        }
    }

    /// When a reader sees something; later than all for one of another mount, which goes by the
    /// superblocks of the cache.
    fn moment(&self, which: usize) -> u64 {
        let same = self.readers[which].mount == self.machine.mount;
        if same { self.stores } else { u64::MAX }
    }

    /// Its blocks are kept no more: who keeps one in the same place has an entry of its own.
    fn release(&mut self, which: usize) {
        for (from, end) in self.readers[which].kept.clone() {
            let open = |(time, place): &&mut Held| {
                time.end == u64::MAX && (place.start, place.end) == (from, end)
            };
            if let Some((time, _)) = self.held.iter_mut().find(open) {
                time.end = self.stores;
            }
        }
    }

    fn compare(&mut self, which: usize) -> Result<(), String> {
        let len = std::fs::metadata(self.at.path()).map_err(|error| error.to_string())?.len();
        self.readers[which].compare(len)
    }

    fn compare_all(&mut self) -> Result<(), String> {
        (0..self.readers.len()).try_for_each(|which| self.compare(which))
    }

    /// What was seen is what was committed, and what was on the device by then.
    fn judge(
        &mut self,
        committed: &BTreeMap<u64, Rc<Model>>,
        synced: &[(u64, u64)],
    ) -> Result<u64, String> {
        let sights = std::mem::take(&mut self.sights);
        let count = sights.len() as u64;
        for (stores, Sight { generation, what }) in sights {
            let Some(model) = committed.get(&generation) else {
                return Err(format!("a reader saw generation {generation}"));
            };
            if !synced.iter().any(|(after, its)| *after <= stores && generation <= *its) {
                return Err(format!("a reader saw {generation} at store {stores} of {synced:?}"));
            }
            let right = match &what {
                What::All(found) => model.contents == *found,
                What::Block(heap, id, found) => {
                    let blocks = model.contents.heaps.get(*heap);
                    let block = blocks.and_then(|blocks| blocks.get(id));
                    block.map(|block| &block.bytes[..]) == found.as_deref()
                }
            };
            if !right {
                return Err(format!("a reader at {generation} saw {what:.300?}"));
            }
        }
        Ok(count)
    }

    /// No store, zero or cut of the writer hit a block that a reader kept.
    fn spared(&self, trace: &Trace) -> Result<(), String> {
        let (mut base, mut stores) = (0, 0);
        for event in &trace.events {
            let (place, is_store) = match event {
                Event::Mapped(at) => {
                    base = *at;
                    continue;
                }
                Event::Store { at, bytes } => {
                    let from = (at - base) as u64;
                    (from..from + bytes.len() as u64, true)
                }
                Event::Written { offset, bytes } => (*offset..offset + bytes.len() as u64, false),
                Event::Zeroed { offset, len } => (*offset..offset + len, false),
                Event::Length(len) => (*len..u64::MAX, false),
                _ => continue,
            };
            let hit = self.held.iter().find(|(time, held)| {
                let after = if is_store { time.start <= stores } else { time.start < stores };
                let before = if is_store { stores < time.end } else { stores <= time.end };
                after && before && held.start < place.end && place.start < held.end
            });
            if let Some((time, held)) = hit {
                return Err(format!(
                    "{event:.60?} at store {stores} of {:?} hit {held:?}, kept at {time:?}",
                    place.start..place.end
                ));
            }
            stores += u64::from(is_store);
        }
        Ok(())
    }
}

/// Looks before each store while it lives.
struct Looking(Rc<RefCell<Watch>>);

impl Looking {
    fn new(watch: &Rc<RefCell<Watch>>) -> Self {
        let inner = Rc::clone(watch);
        set_observer(Some(Box::new(move || inner.borrow_mut().look())));
        Self(Rc::clone(watch))
    }

    fn knows(&self, model: &Model) {
        let name = |its: &str| HEAPS.into_iter().chain([LOG, SLOTS]).find(|name| *name == its);
        let ids = model.given.iter().filter_map(|(heap, id)| Some((name(heap)?, *id)));
        self.0.borrow_mut().ids = ids.collect();
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        set_observer(None);
    }
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    /// A kill, and the next writer comes by another mount of the same file system.
    OtherMount,
    /// The device vanished and came back in the same boot, under another mount.
    LostDevice,
    PowerLoss,
}

#[derive(Debug)]
struct Run {
    place: Place,
    random: Random,
    device: Device,
    before: Step,
    watch: Rc<RefCell<Watch>>,
    lean: Lean,
}

/// Sessions with their ends, then all readers go and all space comes back.
pub(crate) fn run((lean, seed): (Lean, u64), tally: &mut Tally) {
    tally.runs += 1;
    let mut place = Place::new();
    let base = match exhaustive::base(lean, &mut place) {
        Ok(base) => base,
        Err(error) => return tally.violations.push(format!("seed {seed}: {error}")),
    };
    let mut random = Random::new(seed);
    let watch = Watch {
        at: place.at(),
        machine: Machine { boot: [1 << 61 | seed << 8, 7], mount: 1 },
        random: Random::new(random.next()),
        readers: Vec::new(),
        stores: 0,
        killed_at: 0,
        ids: Vec::new(),
        sights: Vec::new(),
        held: Vec::new(),
        wrong: None,
    };
    let watch = Rc::new(RefCell::new(watch));
    let mut run = Run { place, random, device: Device::of(base.0), before: base.1, watch, lean };
    let crashes = 5;
    let ran = (0..crashes)
        .try_for_each(|crash| {
            run.session(tally).map_err(|error| format!("session {crash}: {error}"))
        })
        .and_then(|()| run.emptied().map_err(|error| format!("the last session: {error}")));
    if let Err(error) = ran {
        tally.violations.push(format!("seed {seed}, {error}"));
    }
}

impl Run {
    fn manner(&mut self) -> Manner {
        let policy = match self.random.below(10) {
            0 | 1 => CommitPolicy::EveryOp,
            2 => CommitPolicy::Quarantine(3000),
            3 => CommitPolicy::Interval(Duration::ZERO),
            _ => CommitPolicy::Manual,
        };
        Manner { policy, untrusted: self.random.chance(10), reader: false }
    }

    fn session(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.place.install(self.device.cache());
        self.between().map_err(|error| format!("before the open: {error}"))?;
        let ops = self.random.below(22);
        let machine = {
            let mut watch = self.watch.borrow_mut();
            (watch.stores, watch.killed_at) = (0, u64::from(self.random.below(1 + 40 * ops)));
            watch.held = Watch::carried(&watch.readers);
            watch.machine
        };
        set_machine(Some(machine));
        let mut steps: Steps = vec![self.before.clone()];
        let (at, manner) = (self.place.at(), self.manner());
        let (watch, random, lean) = (&self.watch, &mut self.random, self.lean);
        let (ran, trace) = self.place.watched(|| {
            let looking = Looking::new(watch);
            looking.knows(&Rc::clone(&steps[0].newest[0]));
            let mut session = Session::open(at, manner, &mut steps)?;
            session.verify()?;
            for _ in 0..ops {
                looking.knows(session.newest());
                session.apply(lean.op(random, &session), &mut steps)?;
            }
            Ok(())
        });
        ran.map_err(|error| format!("{manner:?}: {error}"))?;
        if !self.place.is_known() {
            return Err("the file holds what no event told".to_owned());
        }
        self.look_back(&steps, &trace, tally)?;
        self.end(&steps, &trace, tally);
        Ok(())
    }

    /// While there is no writer, readers see what it had committed.
    fn between(&self) -> Result<(), String> {
        let mut watch = self.watch.borrow_mut();
        watch.compare_all()?;
        if watch.readers.is_empty() {
            // After a power loss or a lost device.
            let mut reader = Outsider::open(watch.at.clone(), watch.machine)?;
            watch.sights.push((0, reader.all()?));
            watch.readers.push(reader);
        }
        (0..self.before.committed.len() * 4).try_for_each(|_| watch.act())?;
        let committed = self.before.committed.iter().cloned().collect();
        watch.judge(&committed, &[(0, u64::MAX)]).map(drop)
    }

    fn look_back(&self, steps: &Steps, trace: &Trace, tally: &mut Tally) -> Result<(), String> {
        let synced = self.synced(trace);
        let mut watch = self.watch.borrow_mut();
        if let Some(wrong) = watch.wrong.take() {
            return Err(format!("at store {}: {wrong}", watch.stores));
        }
        let all = steps.iter().flat_map(|step| step.committed.iter().cloned());
        // A later step knows better which of two candidates was committed.
        // A state that a reader saw is an image too.
        tally.images += watch.judge(&all.collect(), &synced)?;
        watch.spared(trace)?;
        watch.compare_all()
    }

    /// After how many events of the session the writer is killed: none of which a reader saw comes
    /// later.
    fn kill_point(&mut self, trace: &Trace) -> usize {
        let killed_at = self.watch.borrow().killed_at;
        let stores: Vec<usize> = (0..trace.events.len())
            .filter(|at| matches!(trace.events[*at], Event::Store { .. }))
            .collect();
        let nth = usize::try_from(killed_at).unwrap_or(usize::MAX);
        let end = stores.get(nth).copied().unwrap_or(trace.events.len());
        // The last look was before the store in front of this one.
        let looked = nth.checked_sub(1).and_then(|nth| stores.get(nth).copied()).unwrap_or(end);
        let span = u32::try_from(end - looked).unwrap_or(0);
        looked + self.random.below(span + 1) as usize
    }

    /// After how many stores of the session which generation was on the device.
    fn synced(&self, trace: &Trace) -> Vec<(u64, u64)> {
        let word = |at: usize| self.device.cache()[at..].first_chunk().copied();
        let word = |at: usize| word(at).map_or(0, u64::from_le_bytes);
        let mount = self.watch.borrow().machine.mount;
        let named = self.before.committed.iter().map(|(its, _)| *its).max().unwrap_or(0);
        // Who finds the page of another mount goes by the superblocks of the cache.
        let known = if word(8248) == mount { word(8200) } else { named };
        let mut all = vec![(0, known)];
        // A superblock that only the cache had is on the device after the sync of the open.
        let (mut base, mut stores, mut begun, mut whole) = (0, 0, [0; 2], named);
        for event in &trace.events {
            match event {
                Event::Mapped(at) => base = *at,
                Event::Synced => all.push((stores, whole)),
                Event::Store { at, bytes } => {
                    stores += 1;
                    let Some(value) = bytes.first_chunk().map(|word| u64::from_le_bytes(*word))
                    else {
                        continue;
                    };
                    match at - base {
                        at @ (40 | 4136) => begun[at / 4096] = value,
                        // The checksum, which is zeroed before a commit.
                        at @ (504 | 4600) if value != 0 => whole = begun[at / 4096],
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// Leaves in `device` what the end of the session left.
    fn end(&mut self, steps: &Steps, trace: &Trace, tally: &mut Tally) {
        tally.points += 1;
        let mut last = 0;
        for event in &trace.events[..self.kill_point(trace)] {
            self.device.apply(event);
            if let Event::Mark(mark) = event {
                last = usize::try_from(*mark).unwrap_or(0);
            }
        }
        let mut watch = self.watch.borrow_mut();
        let expected = Expected::between(steps, last);
        let Machine { boot: [first, second], mount } = watch.machine;
        let end = match self.random.below(20) {
            0..12 => End::Kill,
            12..15 => End::OtherMount,
            15..18 => End::LostDevice,
            _ => End::PowerLoss,
        };
        let mut newest: Vec<Rc<Model>> = match end {
            End::Kill => expected.newest.clone(),
            _ => expected.committed.iter().map(|(_, model)| Rc::clone(model)).collect(),
        };
        // A discard under way that changes nothing makes ids void or does not: nobody can tell.
        newest.sort_by_key(|model| model.given.len());
        self.before = Step { newest, committed: expected.committed.clone(), torn: None };
        match end {
            End::Kill => {}
            End::OtherMount => {
                watch.machine = Machine { boot: [first, second], mount: mount + 1 };
            }
            End::LostDevice | End::PowerLoss => {
                watch.readers.clear();
                let boot = [first + u64::from(end == End::PowerLoss), second];
                watch.machine = Machine { boot, mount: mount + 1 };
                let mix = self.random.pick(&Mix::ALL).unwrap_or(Mix::Any);
                self.device = Device::of(self.device.survivors(mix, &mut self.random));
            }
        }
    }

    /// The last writer comes while readers hold; when they are gone everything is free.
    fn emptied(&mut self) -> Result<(), String> {
        self.place.install(self.device.cache());
        let mut watch = self.watch.borrow_mut();
        watch.compare_all()?;
        set_machine(Some(watch.machine));
        let mut steps: Steps = vec![self.before.clone()];
        let at = self.place.at();
        let (ran, _) = self.place.watched(|| {
            let mut session = Session::open(at, Manner::PLAIN, &mut steps)?;
            session.apply(Op::Commit, &mut steps).or_else(|_| session.verify())?;
            watch.compare_all()?;
            watch.readers.clear();
            session.drain(&mut steps)?;
            session.verify()
        });
        ran
    }
}

impl Watch {
    /// What is kept from before a session.
    fn carried(readers: &[Outsider]) -> Vec<Held> {
        let kept = readers.iter().flat_map(|reader| reader.kept.iter());
        kept.map(|(from, end)| (0..u64::MAX, *from..*end)).collect()
    }
}
