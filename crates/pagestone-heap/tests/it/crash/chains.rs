//! A kill at every boundary of one operation on a log, another operation, another kill, a commit:
//! what the first one left half done never comes back.

use std::rc::Rc;

use pagestone_storage::seam::{Event, Machine, set_machine};
use pagestone_testkit::images::Device;

use super::{
    check::Tally,
    entries::LogOp,
    exhaustive,
    model::{Expected, Step},
    place::Place,
    salvage,
    session::{Lean, Manner, Op, Session, Size, Steps},
};

const FIRST: [LogOp; 6] = [
    LogOp::Update(0, Size::Small),
    LogOp::Remove(1),
    LogOp::Add(Size::Small),
    LogOp::Step(0, 1),
    LogOp::Update(2, Size::Over),
    LogOp::Evacuate(0),
];

const SECOND: [Op; 6] = [
    Op::Log(LogOp::Add(Size::Segment)),
    Op::Log(LogOp::Add(Size::Empty)),
    Op::Log(LogOp::Evacuate(1)),
    Op::Log(LogOp::Remove(1)),
    Op::Discard,
    Op::Log(LogOp::Update(1, Size::Other)),
];

const MACHINE: Machine = Machine { boot: [1, 1], mount: 1 };

/// Pairs of operations, one after the other.
pub(crate) fn run(number: u64, tally: &mut Tally) {
    let nth = |number: u64| usize::try_from(number).unwrap_or(0);
    let (first, second) = (FIRST[nth(number % 6)], SECOND[nth(number / 6 % 6)]);
    tally.runs += 1;
    if let Err(error) = pair(first, second, tally) {
        tally.violations.push(format!("{first:?}, {second:?}: {error}"));
    }
}

fn pair(first: LogOp, second: Op, tally: &mut Tally) -> Result<(), String> {
    let mut place = Place::new();
    let (bytes, step) = exhaustive::base(Lean::Log, &mut place)?;
    set_machine(Some(MACHINE));
    let mut steps: Steps = vec![step];
    let at = place.at();
    let (ran, trace) = place.watched(|| {
        Session::open(at, Manner::PLAIN, &mut steps)?.apply(Op::Log(first), &mut steps)
    });
    ran?;
    let mut device = Device::of(bytes);
    let mut last = 0;
    for event in &trace.events {
        device.apply(event);
        match event {
            Event::Mark(mark) => last = usize::try_from(*mark).unwrap_or(0),
            Event::Call(_) | Event::Mapped(_) => continue,
            _ => {}
        }
        if last == 0 {
            continue;
        }
        tally.points += 1;
        let Expected { newest, committed, .. } = Expected::between(&steps, last);
        let before = Step { newest, committed, torn: None };
        go_on(&mut place, (&device, before), (second, tally))
            .map_err(|error| format!("{event:.80?}: {error}"))?;
    }
    Ok(())
}

fn go_on(
    place: &mut Place,
    (device, before): (&Device, Step),
    (second, tally): (Op, &mut Tally),
) -> Result<(), String> {
    place.install(device.cache());
    let mut steps: Steps = vec![before];
    for ops in [&[second][..], &[Op::Commit, Op::Log(LogOp::Count)]] {
        tally.images += 1;
        let at = place.at();
        // Dropped without a close: a kill.
        let (ran, _) = place.watched(|| {
            let mut session = Session::open(at, Manner::PLAIN, &mut steps)?;
            session.verify()?;
            ops.iter().try_for_each(|op| session.apply(*op, &mut steps))
        });
        ran?;
        let latest = steps.last().ok_or("no step")?;
        for (generation, model) in &latest.committed {
            salvage::check(place.bytes(), *generation, &Rc::clone(model).contents)?;
        }
    }
    Ok(())
}
