//! The heap crashed at every store and system call that it makes, and opened again.
//!
//! A run of operations is recorded store by store; each boundary gives the images that a kill or a
//! power loss there can leave, and each image is opened by the real crate and compared with what
//! was promised. `cargo xtask crash heap --seconds N --seed S` runs it for longer.

pub(crate) mod model; // what a file holds, and what it may hold after a crash
pub(crate) mod session; // one open file, one operation at a time
pub(crate) mod view; // what its stores show
pub(crate) mod place; // a real file that shows any image
mod entries; // operations on a log
mod slots; // operations on slabs and numbers
mod salvage; // what its segments tell
mod reader; // a reader between the writer's stores
mod check; // an image opened, compared, used
mod outside; // a reader as another process is one
mod beside; // such readers between the stores, and after a kill
mod exhaustive; // every short sequence, every boundary
mod random; // long runs by seed, crashes in a row
mod create; // the making of a file
mod chains; // a kill inside an operation, and what follows it
mod stores; // several heaps, one commit

use std::{
    io::Write,
    time::{Duration, Instant},
};

use self::{check::Tally, session::Lean};

/// How long a run takes.
#[derive(Debug, Clone, Copy)]
struct Budget {
    seed: u64,
    /// Runs for this long; without it, as far as the default suite goes.
    time: Option<Duration>,
}

impl Budget {
    /// Of the environment, which `cargo xtask crash` sets.
    fn read() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        Self {
            seed: number("PAGESTONE_CRASH_SEED").unwrap_or(1),
            time: number("PAGESTONE_CRASH_SECONDS").map(Duration::from_secs),
        }
    }

    /// All power losses of a point are tried where they are at most this many.
    fn subsets(self) -> usize {
        if self.time.is_some() { 256 } else { 12 }
    }

    /// Calls `run` with one number after the other, `fixed` of them or until the time is over;
    /// says what was found.
    fn spend(self, name: &str, fixed: u64, mut run: impl FnMut(u64, &mut Tally)) {
        let begin = Instant::now();
        let mut tally = Tally::default();
        for number in 0.. {
            let over = match self.time {
                None => fixed <= number,
                Some(time) => time <= begin.elapsed(),
            };
            if over || 5 <= tally.violations.len() {
                break;
            }
            run(number, &mut tally);
        }
        if self.time.is_some() {
            let time = begin.elapsed().as_secs();
            writeln!(std::io::stdout(), "{name}: {tally}, {time} s").unwrap();
        }
        assert!(tally.violations.is_empty(), "{name}: {:#?}", tally.violations);
    }
}

#[test]
fn every_pair_of_operations_at_every_boundary() {
    let budget = Budget::read();
    let mut pairs = exhaustive::Sequences::new(2, (Lean::Heap, &exhaustive::ALL), budget);
    budget.spend("pairs", 7, |_, tally| pairs.run_next(tally));
}

#[test]
fn every_triple_of_few_operations_at_every_boundary() {
    let budget = Budget::read();
    let mut triples = exhaustive::Sequences::new(3, (Lean::Heap, &exhaustive::FEW), budget);
    budget.spend("triples", 3, |_, tally| triples.run_next(tally));
}

#[test]
fn crashes_in_a_row() {
    let budget = Budget::read();
    let run = |number, tally: &mut Tally| random::run((Lean::Heap, budget.seed + number), tally);
    budget.spend("crashes in a row", 16, run);
}

#[test]
fn readers_of_other_processes_outlive_the_writer() {
    let budget = Budget::read();
    budget.spend("readers", 12, |number, tally| {
        beside::run((Lean::Heap, budget.seed + number), tally);
    });
}

#[test]
fn the_sweep_of_old_tags() {
    let budget = Budget::read();
    let base = random::before_sweep();
    let run = |number, tally: &mut Tally| random::run_from(&base, budget.seed + number, tally);
    budget.spend("sweep", 2, run);
}

#[test]
fn the_making_of_a_file() {
    let budget = Budget { time: None, ..Budget::read() };
    budget.spend("create", 1, |number, tally| create::run(budget.seed + number, tally));
}

#[test]
fn heaps_of_one_file_share_its_commit() {
    let budget = Budget { time: None, ..Budget::read() };
    budget.spend("stores", 3, |number, tally| stores::run(budget.seed + number, tally));
}

/// The same with entries of a log; `cargo xtask crash buffer` runs these for longer.
mod logs {
    use super::{Budget, Lean, Tally, beside, chains, exhaustive, random};

    #[test]
    fn every_pair_of_operations_at_every_boundary() {
        let budget = Budget::read();
        let mut pairs = exhaustive::Sequences::new(2, (Lean::Log, &exhaustive::LOG), budget);
        budget.spend("log: pairs", 1, |_, tally| pairs.run_next(tally));
    }

    #[test]
    fn crashes_in_a_row() {
        let budget = Budget::read();
        let run = |number, tally: &mut Tally| random::run((Lean::Log, budget.seed + number), tally);
        budget.spend("log: crashes in a row", 3, run);
    }

    #[test]
    fn what_a_kill_left_half_done_stays_undone() {
        let budget = Budget::read();
        let all = if budget.time.is_some() { 36 } else { 3 };
        Budget { time: None, ..budget }.spend("log: chains", all, chains::run);
    }

    #[test]
    fn readers_of_other_processes_outlive_the_writer() {
        let budget = Budget::read();
        let run = |number, tally: &mut Tally| beside::run((Lean::Log, budget.seed + number), tally);
        budget.spend("log: readers", 3, run);
    }
}

/// The same with objects in slots, and numbers; `cargo xtask crash slab` runs these for longer.
mod slabs {
    use super::{Budget, Lean, Tally, beside, exhaustive, random};

    #[test]
    fn every_pair_of_operations_at_every_boundary() {
        let budget = Budget::read();
        let mut pairs = exhaustive::Sequences::new(2, (Lean::Slab, &exhaustive::SLAB), budget);
        budget.spend("slab: pairs", 1, |_, tally| pairs.run_next(tally));
    }

    #[test]
    fn crashes_in_a_row() {
        let budget = Budget::read();
        let run =
            |number, tally: &mut Tally| random::run((Lean::Slab, budget.seed + number), tally);
        budget.spend("slab: crashes in a row", 4, run);
    }

    #[test]
    fn readers_of_other_processes_outlive_the_writer() {
        let budget = Budget::read();
        let run =
            |number, tally: &mut Tally| beside::run((Lean::Slab, budget.seed + number), tally);
        budget.spend("slab: readers", 2, run);
    }
}
