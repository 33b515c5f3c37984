//! Every short sequence of operations, crashed at every boundary of its last one.

use std::rc::Rc;

use pagestone_storage::seam::{Event, Machine, set_machine};
use pagestone_testkit::{
    images::{Device, Mix},
    random::Random,
};

use super::{
    Budget,
    check::{Crash, Depth, Kind, Tally, check},
    entries::LogOp,
    model::{Expected, Model, Step},
    place::Place,
    session::{Lean, Manner, Op, Session, Size, Steps},
    slots::SlabOp,
    view::contents,
};

/// Blocks 0, 1 and 2 of the base are small, large and longer than a region shares.
pub(crate) const ALL: [Op; 23] = [
    Op::Allocate(0, Size::Small),
    Op::Allocate(0, Size::Large),
    Op::Allocate(0, Size::Over),
    Op::Put(0, Size::Other),
    Op::Put(0, Size::Over),
    Op::Put(2, Size::Small),
    Op::Stream(0, Size::Over),
    Op::Stream(2, Size::Over),
    Op::HalfStream(2),
    Op::Private(1),
    Op::Resize(1, Size::Small),
    Op::Free(0),
    Op::Free(2),
    Op::Root(0),
    Op::Heap(1),
    Op::Allocate(1, Size::Small),
    Op::Commit,
    Op::Discard,
    Op::Close,
    Op::Drop,
    Op::Step(1),
    Op::Step(4),
    Op::Shrink,
];

/// Entries 0, 1 and 2 of the base are in two segments, of which one is half emptied.
pub(crate) const LOG: [Op; 18] = [
    Op::Log(LogOp::Stream(4, Size::Over)),
    Op::Log(LogOp::Stream(1, Size::Long)),
    Op::Log(LogOp::Add(Size::Small)),
    Op::Log(LogOp::Add(Size::Over)),
    Op::Log(LogOp::Add(Size::Segment)),
    Op::Log(LogOp::Update(0, Size::Small)),
    Op::Log(LogOp::Update(1, Size::Over)),
    Op::Log(LogOp::Remove(0)),
    Op::Log(LogOp::Remove(2)),
    Op::Log(LogOp::Step(0, 1)),
    Op::Log(LogOp::Evacuate(0)),
    Op::Log(LogOp::Evacuate(1)),
    Op::Log(LogOp::Compact(true)),
    Op::Put(0, Size::Other),
    Op::Commit,
    Op::Discard,
    Op::Close,
    Op::Drop,
];

/// Slabs 0, 1 and 2 of the base have two, three and two objects, and slots that a commit emptied.
pub(crate) const SLAB: [Op; 17] = [
    Op::Slab(SlabOp::Create(0)),
    Op::Slab(SlabOp::Add(0)),
    Op::Slab(SlabOp::Add(2)),
    Op::Slab(SlabOp::Add(1)),
    Op::Slab(SlabOp::Remove(0)),
    Op::Slab(SlabOp::Remove(3)),
    Op::Slab(SlabOp::Remove(6)),
    Op::Slab(SlabOp::Release(0)),
    Op::Slab(SlabOp::Release(1)),
    Op::Slab(SlabOp::Set(0, 7)),
    Op::Slab(SlabOp::Set(5, 8)),
    Op::Put(0, Size::Other),
    Op::Commit,
    Op::Discard,
    Op::Close,
    Op::Drop,
    Op::Shrink,
];

/// What a longer sequence is made of.
pub(crate) const FEW: [Op; 7] = [
    Op::Put(0, Size::Over),
    Op::Free(2),
    Op::Allocate(0, Size::Small),
    Op::Commit,
    Op::Discard,
    Op::Close,
    Op::Step(3),
];

/// Power losses of a point that are tried at random where there are too many for all.
const PICKED: usize = 5;

/// Who makes the base, and opens it.
const MACHINE: Machine = Machine { boot: [1, 1], mount: 1 };

/// The sequences, in an order of their own for each seed.
#[derive(Debug)]
pub(crate) struct Sequences<'o> {
    len: u32,
    lean: Lean,
    ops: &'o [Op],
    seed: u64,
    subsets: usize,
    done: u64,
    base: Option<(Vec<u8>, Step)>,
    place: Place,
}

impl<'o> Sequences<'o> {
    pub(crate) fn new(len: u32, (mostly, ops): (Lean, &'o [Op]), budget: Budget) -> Self {
        let (seed, subsets) = (budget.seed, budget.subsets());
        Self { len, lean: mostly, ops, seed, subsets, done: 0, base: None, place: Place::new() }
    }

    pub(crate) fn run_next(&mut self, tally: &mut Tally) {
        let all = (self.ops.len() as u64).pow(self.len);
        // A step that shares no factor with any count of sequences visits all of them.
        let mut number = (self.seed + self.done).wrapping_mul(1_000_003) % all;
        let round = self.done / all;
        self.done += 1;
        let mut ops = Vec::new();
        for _ in 0..self.len {
            let count = self.ops.len() as u64;
            ops.push(self.ops[usize::try_from(number % count).unwrap()]);
            number /= count;
        }
        tally.runs += 1;
        if let Err(error) = self.run(&ops, round, tally) {
            tally.violations.push(format!("{ops:?} round {round}: {error}"));
        }
    }

    fn run(&mut self, ops: &[Op], round: u64, tally: &mut Tally) -> Result<(), String> {
        let machine = MACHINE;
        if self.base.is_none() {
            self.base = Some(base(self.lean, &mut self.place)?);
        }
        let (bytes, step) = self.base.clone().ok_or("no base")?;
        let mut random = Random::new(self.seed ^ round << 32 ^ self.done);
        self.place.install(&bytes);
        set_machine(Some(machine));
        let mut steps: Steps = vec![step];
        let at = self.place.at();
        let manner = Manner { reader: true, ..Manner::PLAIN };
        let (ran, trace) = self.place.watched(|| {
            let mut session = Session::open(at, manner, &mut steps)?;
            ops.iter().try_for_each(|op| session.apply(*op, &mut steps))
        });
        ran?;
        if !self.place.is_known() {
            return Err("the file holds what no event told".to_owned());
        }
        let mut device = Device::of(bytes);
        let mut last = 0;
        for event in &trace.events {
            device.apply(event);
            match event {
                Event::Mark(mark) => last = usize::try_from(*mark).unwrap(),
                Event::Call(_) | Event::Mapped(_) => continue,
                _ => {}
            }
            // What comes before the last operation was looked at in a shorter sequence.
            if last + 1 < ops.len() {
                continue;
            }
            tally.points += 1;
            let expected = Expected::between(&steps, last);
            self.crash(&device, (&expected, machine), (&mut random, tally))
                .map_err(|error| format!("after step {last}, {event:.80?}: {error}"))?;
        }
        Ok(())
    }

    fn crash(
        &mut self,
        device: &Device,
        (expected, machine): (&Expected, Machine),
        (random, tally): (&mut Random, &mut Tally),
    ) -> Result<(), String> {
        let mut one = |kind: Kind, image: &[u8], random: &mut Random| {
            tally.images += 1;
            let crash = Crash { kind, image, machine: kind.machine(machine) };
            let depth = (Depth::random(random), random);
            check(&mut self.place, &crash, expected, depth)
                .map(drop)
                .map_err(|error| format!("{kind:?}: {error}"))
        };
        one(Kind::Kill, device.cache(), random)?;
        if let Some(all) =
            device.all_survivors(self.subsets).filter(|_| device.unsynced_count() <= 8)
        {
            for image in all {
                one(Kind::PowerLoss, &image, random)?;
            }
            return Ok(());
        }
        for _ in 0..PICKED {
            let mix = random.pick(&Mix::ALL).unwrap_or(Mix::Any);
            let image = device.survivors(mix, random);
            let kind = if random.chance(15) { Kind::LostDevice } else { Kind::PowerLoss };
            one(kind, &image, random).map_err(|error| format!("{mix:?}: {error}"))?;
        }
        Ok(())
    }
}

/// A small file that was closed, and what it holds.
pub(crate) fn base(lean: Lean, place: &mut Place) -> Result<(Vec<u8>, Step), String> {
    place.remove();
    set_machine(Some(MACHINE));
    let file = Manner::PLAIN.options().create(place.at()).map_err(|error| error.to_string())?;
    let generation = file.generation();
    drop(file);
    let empty = Step {
        newest: vec![Rc::new(Model::default())],
        committed: vec![(generation, Rc::new(Model::default()))],
        torn: None,
    };
    let mut steps = vec![empty];
    let mut session = Session::open(place.at(), Manner::PLAIN, &mut steps)?;
    for op in [
        Op::Heap(0),
        Op::Allocate(0, Size::Small),
        Op::Allocate(0, Size::Large),
        Op::Allocate(0, Size::Over),
        Op::Allocate(0, Size::Small),
        Op::Root(0),
        Op::Commit,
        Op::Free(3),
        Op::Put(0, Size::Other),
        Op::Close,
    ] {
        session.apply(op, &mut steps)?;
    }
    if lean == Lean::Log {
        for op in [
            Op::Log(LogOp::Add(Size::Small)),
            Op::Log(LogOp::Add(Size::Large)),
            Op::Log(LogOp::Add(Size::Over)),
            Op::Log(LogOp::Add(Size::Small)),
            Op::Log(LogOp::Step(0, 1)),
            Op::Commit,
            Op::Log(LogOp::Remove(3)),
            Op::Log(LogOp::Update(1, Size::Other)),
            Op::Close,
        ] {
            session.apply(op, &mut steps)?;
        }
    }
    if lean == Lean::Slab {
        slab_base(&mut session, &mut steps)?;
    }
    let found = contents(session.file()?)?;
    if found != session.newest().contents {
        return Err("the base is not what it should be".to_owned());
    }
    drop(session);
    place.look();
    let step = steps.pop().ok_or("no step")?;
    Ok((place.bytes().to_vec(), step))
}

fn slab_base(session: &mut Session, steps: &mut Steps) -> Result<(), String> {
    let add = |which| Op::Slab(SlabOp::Add(which));
    let made = (0..3).map(|shape| Op::Slab(SlabOp::Create(shape)));
    let added = [0, 0, 1, 1, 1, 1, 2, 2, 2].map(add);
    let set = [(0, 3), (1, 4), (2, 6)].map(|(index, number)| SlabOp::Set(index, number));
    let removed = [1, 4, 6].map(|which| Op::Slab(SlabOp::Remove(which)));
    let ops = made.chain(added).chain(set.map(Op::Slab)).chain([Op::Commit]);
    let ops = ops.chain(removed).chain([Op::Commit, add(0), Op::Close]);
    let ops: Vec<Op> = ops.collect();
    ops.into_iter().try_for_each(|op| session.apply(op, steps))
}
