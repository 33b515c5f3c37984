//! Bounded-exhaustive: every short sequence, every crash point, every subset of words.

use crate::protocol::{
    Outcome,
    history::{Cut, End, Occasion, World},
    machine::{Result, Stop},
    place::{Key, Kind, Store},
    random::Random,
    rules::Variant,
};

/// One operation without a choice in it.
#[derive(Debug, Clone, Copy)]
enum Step {
    Replace,
    PutNew,
    Remove,
    ModifyPrivate,
    Insert,
    RemoveObject,
    PutEntry,
    RemoveEntry,
    Compact,
    Evacuate,
    SetRoot,
    Commit,
    Discard,
    Close,
}

const STEPS: [Step; 14] = [
    Step::Replace,
    Step::PutNew,
    Step::Remove,
    Step::ModifyPrivate,
    Step::Insert,
    Step::RemoveObject,
    Step::PutEntry,
    Step::RemoveEntry,
    Step::Compact,
    Step::Evacuate,
    Step::SetRoot,
    Step::Commit,
    Step::Discard,
    Step::Close,
];

/// Dirty words up to which every subset is tried.
const SUBSETS: usize = 7;
/// Subsets tried beyond.
const SAMPLES: u64 = 60;

/// Runs every sequence of `length` of 14 operations after a small committed base to every crash
/// point; there a kill, and a power loss with every subset of new and old words (60 random ones
/// above 7 dirty words).
#[must_use]
pub fn run_exhaustive(length: u32, variant: &Variant) -> Outcome {
    let mut outcome = Outcome::default();
    let Ok(base) = base(*variant) else {
        outcome.violations += 1;
        return outcome;
    };
    for number in 0..14_u64.saturating_pow(length) {
        outcome.histories += 1;
        let sequence = decode(number, length);
        for fuse in 0.. {
            let mut world = base.clone();
            match crash_after(&mut world, &sequence, fuse) {
                Ok(Crashed::Yes) => outcome.add(number, &world, None),
                Ok(Crashed::No) => {
                    outcome.add(number, &world, None);
                    break;
                }
                Err(stop) => {
                    outcome.add(number, &world, Some(stop));
                    break;
                }
            }
        }
    }
    outcome
}

fn decode(mut number: u64, length: u32) -> Vec<Step> {
    let mut sequence = Vec::new();
    for _ in 0..length {
        let choice = usize::try_from(number % 14).unwrap_or(0);
        sequence.push(STEPS[choice]);
        number /= 14;
    }
    sequence
}

fn base(variant: Variant) -> Result<World> {
    let mut world = World::new(1, variant)?;
    world.open()?;
    for step in [Step::PutNew, Step::Insert, Step::PutEntry] {
        world.make(step)?;
    }
    world.advance()?;
    world.put(Store::HeapA, None, 1)?;
    world.commit(Occasion::Alone)?;
    world.trace.clear();
    world.cut = Cut::Never;
    Ok(world)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crashed {
    Yes,
    No,
}

fn crash_after(world: &mut World, sequence: &[Step], fuse: u32) -> Result<Crashed> {
    world.engine.machine.fuse = Some(fuse);
    let mut crashed = Crashed::No;
    for step in sequence {
        match world.make(*step) {
            Ok(()) => {}
            Err(Stop::Crash) => {
                crashed = Crashed::Yes;
                break;
            }
            Err(stop) => return Err(stop),
        }
    }
    world.engine.machine.fuse = None;
    world.crashes += 1;
    world.check(End::Kill)?;
    let dirty = world.engine.machine.memory.dirty().len();
    if dirty <= SUBSETS {
        for kept in 0..1 << dirty {
            check_subset(world, kept)?;
        }
    } else {
        let mut random = Random::new(u64::from(fuse));
        for _ in 0..SAMPLES {
            check_subset(world, random.next())?;
        }
    }
    Ok(crashed)
}

fn check_subset(world: &mut World, kept: u64) -> Result<()> {
    let memory = world.engine.machine.memory.clone();
    world.engine.machine.memory.lose_power_keeping(kept);
    world.engine.machine.memory.boot += 1;
    let checked = world.check(End::PowerLoss);
    world.engine.machine.memory = memory;
    checked.map(|_| ())
}

impl World {
    fn first(&self, store: Store) -> Option<Key> {
        self.current.keys(store).first().copied()
    }

    fn make(&mut self, step: Step) -> Result<()> {
        self.advance()?;
        let live = match step {
            Step::Replace | Step::Remove | Step::ModifyPrivate => self.first(Store::HeapA),
            Step::RemoveObject => self.first(Store::Slab),
            Step::PutEntry | Step::RemoveEntry => self.first(Store::Log),
            _ => None,
        };
        match (step, live) {
            (Step::Replace, Some(_)) => self.put(Store::HeapA, live, 1),
            (Step::PutNew, _) => self.put(Store::HeapB, None, 2),
            (Step::Remove | Step::RemoveObject | Step::RemoveEntry, Some(key)) => self.remove(key),
            (Step::ModifyPrivate, Some(key)) => self.modify_private(key),
            (Step::Insert, _) => self.insert_any(),
            (Step::PutEntry, _) => self.put_entry(live),
            (Step::Compact, _) => {
                self.engine.appending = None;
                match self.engine.numbers(Kind::Segment).first() {
                    Some(number) => self.compact(*number),
                    None => Ok(()),
                }
            }
            (Step::Evacuate, _) => match self.engine.numbers(Kind::Heap).first() {
                Some(number) => self.evacuate(*number),
                None => Ok(()),
            },
            (Step::SetRoot, _) => self.set_root(),
            (Step::Commit, _) => self.commit(Occasion::Alone),
            (Step::Discard, _) => self.discard(),
            (Step::Close, _) => {
                self.commit(Occasion::Close)?;
                self.reopen()
            }
            (_, None) => Ok(()),
        }
    }
}
