//! An image opened by the real crate, compared with what may be there, and used.

use std::{fmt, rc::Rc};

use pagestone_storage::seam::{Machine, set_machine};
use pagestone_testkit::{images::Device, random::Random};

use super::{
    model::{Expected, LOG, Model, SLOTS, Step},
    place::Place,
    salvage,
    session::{Lean, Manner, Op, Session},
    view::contents,
};

/// What was done and found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) runs: u64,
    pub(crate) points: u64,
    pub(crate) images: u64,
    pub(crate) violations: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, points, images, violations } = self;
        let violations = violations.len();
        write!(
            formatter,
            "{runs} runs, {points} crash points, {images} images, {violations} violations"
        )
    }
}

/// How a machine or a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Kill,
    PowerLoss,
    /// The device vanished and came back in the same boot, under another mount.
    LostDevice,
}

impl Kind {
    pub(crate) fn random(random: &mut Random) -> Self {
        match random.below(20) {
            0..=7 => Self::Kill,
            8..=16 => Self::PowerLoss,
            _ => Self::LostDevice,
        }
    }

    /// The machine that opens the file next.
    pub(crate) fn machine(self, before: Machine) -> Machine {
        let Machine { boot: [first, second], mount } = before;
        match self {
            Self::Kill => before,
            Self::PowerLoss => Machine { boot: [first + 1, second], mount: mount + 1 },
            Self::LostDevice => Machine { boot: [first, second], mount: mount + 1 },
        }
    }
}

/// One crash: how, what is left, and who opens it.
#[derive(Debug)]
pub(crate) struct Crash<'i> {
    pub(crate) kind: Kind,
    pub(crate) image: &'i [u8],
    pub(crate) machine: Machine,
}

/// What an image showed.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) model: Rc<Model>,
    pub(crate) generation: u64,
}

/// How much is done with an image that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Look,
    /// Opened once more.
    Again,
    /// Changed, committed and opened once more.
    Use,
    /// Emptied: no space is lost.
    Drain,
}

impl Depth {
    pub(crate) fn random(random: &mut Random) -> Self {
        match random.below(16) {
            0..=9 => Self::Look,
            10..=12 => Self::Again,
            13..=14 => Self::Use,
            _ => Self::Drain,
        }
    }
}

/// Opens what a crash left and compares it.
pub(crate) fn check(
    place: &mut Place,
    crash: &Crash<'_>,
    expected: &Expected,
    (depth, random): (Depth, &mut Random),
) -> Result<Recovered, String> {
    place.install(crash.image);
    set_machine(Some(crash.machine));
    let at = place.at();
    if random.chance(10) {
        salvage::check_own(place, expected)?;
    }
    if crash.kind == Kind::Kill && random.chance(25) {
        let (looked, trace) = place.watched(|| {
            let file = Manner::PLAIN.options().open_read_only(at.clone());
            let file = file.map_err(|error| format!("open to read: {error}"))?;
            let (generation, found) = (file.generation(), contents(&file)?);
            let right = expected.after_power_loss(generation, &found);
            right.map(drop).ok_or_else(|| {
                format!("to a reader at {generation}: {}", expected.describe(&found))
            })
        });
        looked?;
        if trace.events.iter().any(|event| {
            !matches!(
                event,
                pagestone_storage::seam::Event::Call(_) | pagestone_storage::seam::Event::Mapped(_)
            )
        }) {
            return Err("an open to read changed the file".to_owned());
        }
    }
    let (recovered, _) = place.watched(|| {
        let file = Manner::PLAIN.options().open(at.clone());
        let file = file.map_err(|error| format!("open: {error}"))?;
        let (generation, found) = (file.generation(), contents(&file)?);
        let committed = expected.after_power_loss(generation, &found);
        let model = match crash.kind {
            Kind::Kill => expected.after_kill(&found),
            _ => committed,
        };
        let known = expected.committed.iter().any(|(its, _)| *its == generation);
        let Some(model) = model.filter(|_| known) else {
            return Err(format!("at {generation}: {}", expected.describe(&found)));
        };
        Ok(Recovered { model, generation })
    });
    let recovered = recovered?;
    let generation = recovered.generation;
    for (when, image) in [("before the open", crash.image), ("after it", place.bytes())] {
        let mut known = expected.committed.iter().filter(|(its, _)| *its == generation);
        let told = known.try_fold(String::new(), |_, (_, model)| {
            salvage::check(image, generation, &model.contents).err().ok_or(())
        });
        if let Ok(wrong) = told {
            return Err(format!("{when}, generation {generation}: {wrong}"));
        }
    }
    let (used, _) = place.watched(|| go_on(&at, &recovered, expected, (depth, crash.kind, random)));
    used.map_err(|error| format!("{depth:?}: {error}"))?;
    Ok(recovered)
}

/// Opens the file a second time and uses it.
fn go_on(
    at: &pagestone_storage::Location,
    recovered: &Recovered,
    expected: &Expected,
    (depth, kind, random): (Depth, Kind, &mut Random),
) -> Result<(), String> {
    let file = |at: &pagestone_storage::Location| {
        let file = Manner::PLAIN.options().open(at.clone());
        file.map_err(|error| format!("open again: {error}"))
    };
    if depth == Depth::Look {
        return Ok(());
    }
    let committed = |generation| {
        let mut all = expected.committed.iter().filter(move |(its, _)| *its == generation);
        all.next().map(|(_, model)| Rc::clone(model)).ok_or("another generation")
    };
    let committed = match kind {
        Kind::Kill => committed(recovered.generation)?,
        _ => Rc::clone(&recovered.model),
    };
    let mut steps = vec![Step {
        newest: vec![Rc::clone(&recovered.model)],
        committed: vec![(recovered.generation, committed)],
        torn: None,
    }];
    let mut session = Session::open(at.clone(), Manner::PLAIN, &mut steps)?;
    session.verify()?;
    let has = |name| session.newest().contents.heaps.contains_key(name);
    let lean = match (has(LOG), has(SLOTS)) {
        (true, _) => Lean::Log,
        (_, true) => Lean::Slab,
        _ => Lean::Heap,
    };
    match depth {
        Depth::Again if random.chance(50) => session.apply(Op::Discard, &mut steps)?,
        Depth::Look | Depth::Again => {}
        Depth::Use => {
            for _ in 0..6 {
                let op = lean.op(random, &session);
                session.apply(op, &mut steps)?;
            }
            session.apply(Op::Commit, &mut steps)?;
        }
        Depth::Drain => session.drain(&mut steps)?,
    }
    session.verify()?;
    if depth == Depth::Use {
        let newest = session.newest().contents.clone();
        drop(session);
        let found = contents(&file(at)?)?;
        if found != newest {
            return Err("another state at the next open".to_owned());
        }
    }
    Ok(())
}

/// What the device holds after a crash that nothing but the image is left of.
pub(crate) fn after(kind: Kind, device: &Device, image: &[u8]) -> Device {
    if kind == Kind::Kill { device.clone() } else { Device::of(image.to_vec()) }
}
