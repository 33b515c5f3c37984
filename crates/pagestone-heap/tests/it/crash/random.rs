//! Long runs by seed: up to four crashes in a row, also inside the recovery of the one before.

use std::{rc::Rc, time::Duration};

use pagestone_heap::CommitPolicy;
use pagestone_storage::seam::{Event, Machine, Trace, set_machine};
use pagestone_testkit::{
    images::{Device, Mix},
    random::Random,
};

use super::{
    check::{Crash, Depth, Kind, Recovered, Tally, after, check},
    exhaustive,
    model::{Expected, Model, Step},
    place::Place,
    session::{Lean, Manner, Op, Session, Size, Steps},
};

/// Images looked at for each crash that the run goes on from.
const LOOKS: usize = 5;

/// A file to start from, and what it holds.
pub(crate) type Base = (Vec<u8>, Step);

/// One run from a small file.
pub(crate) fn run((lean, seed): (Lean, u64), tally: &mut Tally) {
    let mut place = Place::new();
    match exhaustive::base(lean, &mut place) {
        Ok(base) => run_in((lean, place), &base, (seed, tally)),
        Err(error) => tally.violations.push(format!("seed {seed}: {error}")),
    }
}

/// One run from a file of another test.
pub(crate) fn run_from(base: &Base, seed: u64, tally: &mut Tally) {
    run_in((Lean::Heap, Place::new()), base, (seed, tally));
}

/// A file whose next commits sweep old tags.
pub(crate) fn before_sweep() -> Base {
    let mut place = Place::new();
    exhaustive::base(Lean::Heap, &mut place).unwrap();
    let file = Manner::PLAIN.options().open(place.at()).unwrap();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    heap.allocate_from(&mut writer, b"old").unwrap();
    let young = heap.allocate_from(&mut writer, b"young").unwrap();
    while file.generation() < (1 << 15) - 2 {
        heap.put(&mut writer, young, &file.generation().to_le_bytes()).unwrap();
        writer.commit().unwrap();
    }
    drop(writer);
    let generation = file.generation();
    let contents = super::view::contents(&file).unwrap();
    drop((heap, file));
    place.look();
    let given = contents.heaps["blocks"].keys().map(|id| ("blocks".to_owned(), *id)).collect();
    let model = Rc::new(Model { contents, given });
    let step =
        Step { newest: vec![Rc::clone(&model)], committed: vec![(generation, model)], torn: None };
    (place.bytes().to_vec(), step)
}

fn run_in((lean, place): (Lean, Place), base: &Base, (seed, tally): (u64, &mut Tally)) {
    tally.runs += 1;
    // Boots of one run are no boots of another, nor of what made the base.
    let machine = Machine { boot: [1 << 60 | seed << 8, 7], mount: 1 };
    let mut run = Run {
        place,
        random: Random::new(seed),
        machine,
        device: Device::of(base.0.clone()),
        before: base.1.clone(),
        torn_commits: seed.is_multiple_of(4),
        lean,
    };
    for crash in 0..4 {
        if let Err(error) = run.session_and_crash(tally) {
            tally.violations.push(format!("seed {seed}, crash {crash}: {error}"));
            return;
        }
    }
}

#[derive(Debug)]
struct Run {
    place: Place,
    random: Random,
    machine: Machine,
    /// What page cache and device hold before the next open.
    device: Device,
    before: Step,
    /// Whether each session ends inside a commit, so that attempts at one generation follow each
    /// other.
    torn_commits: bool,
    lean: Lean,
}

/// What precedes a commit that is torn: files of different lengths.
const BEFORE_COMMIT: [Op; 6] = [
    Op::Allocate(0, Size::Small),
    Op::Allocate(0, Size::Over),
    Op::Put(1, Size::Small),
    Op::Free(0),
    Op::Allocate(0, Size::Large),
    Op::Step(4),
];

/// How the words of a superblock are torn.
const TORN: [Mix; 3] = [Mix::AllButFew, Mix::AllOrNothing, Mix::MostlyOld];

/// A moment of a trace: after so many events, and after so many words of the next one.
type Point = (usize, Option<usize>);

impl Run {
    fn session_and_crash(&mut self, tally: &mut Tally) -> Result<(), String> {
        self.place.install(self.device.cache());
        set_machine(Some(self.machine));
        let mut steps: Steps = vec![self.before.clone()];
        let (at, mut manner, mut count) = (self.place.at(), self.manner(), self.random.below(25));
        let torn_commit = self.torn_commits;
        if torn_commit {
            (manner.policy, count) = (CommitPolicy::Manual, self.random.within(2, 4));
        }
        let (lean, random) = (self.lean, &mut self.random);
        let (ran, trace) = self.place.watched(|| {
            let mut session = Session::open(at, manner, &mut steps)?;
            for left in (0..count).rev() {
                if !torn_commit && random.chance(8) {
                    session.apply_pinned((lean, random), &mut steps)?;
                }
                let op = match torn_commit {
                    true if left == 0 => Op::Commit,
                    true if lean == Lean::Heap => random.pick(&BEFORE_COMMIT).unwrap_or(Op::Commit),
                    _ => lean.op(random, &session),
                };
                session.apply(op, &mut steps)?;
            }
            Ok(())
        });
        ran.map_err(|error| format!("{manner:?}: {error}"))?;
        if !self.place.is_known() {
            return Err("the file holds what no event told".to_owned());
        }
        let points = self.points(&trace);
        let Some((going_on, looks)) = points.split_last() else { return Ok(()) };
        let mut looks = looks.to_vec();
        looks.push(*going_on);
        looks.sort_unstable();
        let mut device = self.device.clone();
        let (mut last, mut done) = (0, 0);
        let mut next = None;
        for point in looks {
            for event in &trace.events[done..point.0] {
                device.apply(event);
                if let Event::Mark(mark) = event {
                    last = usize::try_from(*mark).unwrap_or(0);
                }
            }
            done = point.0;
            let mut torn = device.clone();
            if let (Some(words), Some(event)) = (point.1, trace.events.get(point.0)) {
                torn.apply_part(event, words);
            }
            let expected = Expected::between(&steps, last);
            let goes_on = point == *going_on && next.is_none();
            let crashed = self.crash(&torn, (&expected, goes_on), tally);
            let crashed = crashed.map_err(|error| {
                format!("{manner:?}, after step {last} and event {}: {error}", point.0)
            })?;
            if goes_on {
                next = Some(crashed);
            }
        }
        if let Some((device, before, machine)) = next {
            (self.device, self.before, self.machine) = (device, before, machine);
        }
        Ok(())
    }

    fn manner(&mut self) -> Manner {
        let policy = match self.random.below(10) {
            0 => CommitPolicy::EveryOp,
            1 => CommitPolicy::Bytes(2000),
            2 => CommitPolicy::Quarantine(3000),
            3 => CommitPolicy::Interval(Duration::ZERO),
            _ => CommitPolicy::Manual,
        };
        Manner { policy, untrusted: self.random.chance(10), reader: self.random.chance(40) }
    }

    /// Where to crash, the last one to go on from.
    fn points(&mut self, trace: &Trace) -> Vec<Point> {
        let events = &trace.events;
        let matters = |at: &usize| !matches!(events[*at], Event::Call(_) | Event::Mapped(_));
        let all: Vec<usize> = (0..events.len()).filter(matters).collect();
        let syncs: Vec<usize> = all
            .iter()
            .copied()
            .filter(|at| matches!(events[*at], Event::Synced | Event::Mark(_)))
            .collect();
        if self.torn_commits {
            // Before the last sync, where the superblock is stored.
            let last = events.iter().rposition(|event| *event == Event::Synced).unwrap_or(0);
            let back = |random: &mut Random| {
                let most = if random.chance(70) { 2 } else { 70 };
                last.saturating_sub(random.below(most) as usize)
            };
            return (0..=LOOKS).map(|_| (back(&mut self.random), None)).collect();
        }
        let mut points = Vec::new();
        for _ in 0..=LOOKS {
            let at = match self.random.below(10) {
                // Inside the open or just behind it.
                0 | 1 => self.random.pick(&all[..all.len().min(12)]),
                // Around a sync or the end of an operation.
                2..=4 => self
                    .random
                    .pick(&syncs)
                    .map(|at| (at + self.random.below(12) as usize).saturating_sub(10)),
                _ => self.random.pick(&all),
            };
            let Some(at) = at else { continue };
            let words = match events.get(at) {
                Some(Event::Store { bytes, .. }) if 8 < bytes.len() && self.random.chance(30) => {
                    Some(self.random.below(u32::try_from(bytes.len() / 8).unwrap_or(1)) as usize)
                }
                _ => None,
            };
            points.push((at, words));
        }
        points
    }

    fn crash(
        &mut self,
        device: &Device,
        (expected, goes_on): (&Expected, bool),
        tally: &mut Tally,
    ) -> Result<(Device, Step, Machine), String> {
        tally.points += 1;
        tally.images += 1;
        let kind = if self.torn_commits { Kind::PowerLoss } else { Kind::random(&mut self.random) };
        let mixes = if self.torn_commits { &TORN[..] } else { &Mix::ALL[..] };
        let mix = self.random.pick(mixes).unwrap_or(Mix::Any);
        let image = match kind {
            Kind::Kill => device.cache().to_vec(),
            _ => device.survivors(mix, &mut self.random),
        };
        let machine = kind.machine(self.machine);
        let crash = Crash { kind, image: &image, machine };
        let depth = if goes_on { Depth::Again } else { Depth::random(&mut self.random) };
        let found = check(&mut self.place, &crash, expected, (depth, &mut self.random))
            .map_err(|error| format!("{kind:?}, {mix:?}: {error}"))?;
        Ok((after(kind, device, &image), step_after(kind, expected, &found), machine))
    }
}

/// What the next open may show.
fn step_after(kind: Kind, expected: &Expected, found: &Recovered) -> Step {
    let Recovered { model, generation } = found;
    let committed = match kind {
        // A superblock that only the page cache has may be gone at the next power loss.
        Kind::Kill => expected.committed.clone(),
        _ => vec![(*generation, Rc::clone(model))],
    };
    Step { newest: vec![Rc::clone(model)], committed, torn: None }
}
