//! The suites: one row per claim, with the contender, its baseline and its target.

mod buffer; // the rows of the entry buffer
mod heap; // the rows of the heap
mod heapdump; // the rows of the heap dump's index
mod index; // the rows of the index
mod slab; // the rows of the slab layer
mod storage; // the rows of the storage

use std::fmt;

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Suite {
    Buffer,
    Heap,
    Heapdump,
    Index,
    Slab,
    Storage,
}

/// One claim.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) ours: Figure,
    pub(super) baseline: Option<Baseline>,
    pub(super) target: Target,
}

/// What a row is held against: a contender, in the same unit as ours.
#[derive(Debug)]
pub(super) struct Baseline {
    /// How the table calls it.
    pub(super) against: &'static str,
    pub(super) figure: Figure,
    /// Other contenders: the best of all counts, which is the lowest, all being costs.
    pub(super) or: [Option<Figure>; 3],
}

/// A contender and how its reading becomes a figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figure {
    pub(super) contender: Contender,
    pub(super) conversion: Conversion,
}

/// Something that is run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// A benchmark of benches/own, by its criterion id.
    Own(&'static str),
    /// A benchmark of benches/compare, by its criterion id; runs with `--peers` only.
    #[cfg_attr(not(test), expect(dead_code, reason = "no row has an engine for a peer yet"))]
    Peer(&'static str),
    /// A quantity of the plain program `measure` of benches/own.
    Measured(&'static str),
    /// A quantity of a program of benches/peers, as `PROGRAM_QUANTITY`; runs with `--peers` only.
    Program(&'static str),
}

/// From a reading to a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    /// Value and unit as they were read.
    Plain,
    /// Time per iteration shared among elements.
    NanosPerElement(Count),
    /// Bytes of an iteration over its time; a megabyte is 10⁶ bytes.
    MegabytesPerSecond(Count),
}

/// How many elements or bytes an iteration has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// As many as the benchmark told criterion by `Throughput`.
    Recorded,
    #[cfg_attr(not(test), expect(dead_code, reason = "every benchmark tells its count"))]
    Fixed(u64),
}

/// What a row has to reach.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// Ours over the baseline, at most.
    RatioAtMost(f64),
    /// Ours over the baseline, at least.
    RatioAtLeast(f64),
    AtMost(f64),
    AtLeast(f64),
    /// Nothing: the figure is reported.
    Reported,
}

/// The rows of a suite, in the order of the table.
pub(super) fn rows(suite: Suite) -> &'static [Row] {
    match suite {
        Suite::Buffer => buffer::ROWS,
        Suite::Heap => heap::ROWS,
        Suite::Heapdump => heapdump::ROWS,
        Suite::Index => index::ROWS,
        Suite::Slab => slab::ROWS,
        Suite::Storage => storage::ROWS,
    }
}

const fn measured(name: &'static str) -> Figure {
    Figure { contender: Contender::Measured(name), conversion: Conversion::Plain }
}

const fn program(name: &'static str) -> Figure {
    Figure { contender: Contender::Program(name), conversion: Conversion::Plain }
}

/// The time of a benchmark of ours, per element.
const fn nanos(id: &'static str) -> Figure {
    let conversion = Conversion::NanosPerElement(Count::Recorded);
    Figure { contender: Contender::Own(id), conversion }
}

/// The rate of a benchmark of ours.
const fn rate(id: &'static str) -> Figure {
    let conversion = Conversion::MegabytesPerSecond(Count::Recorded);
    Figure { contender: Contender::Own(id), conversion }
}

impl Row {
    const fn new(name: &'static str, ours: Figure, target: Target) -> Self {
        Self { name, ours, baseline: None, target }
    }

    const fn against(self, against: &'static str, figure: Figure) -> Self {
        Self { baseline: Some(Baseline { against, figure, or: [None; 3] }), ..self }
    }

    /// Against the better of two, which are times.
    const fn against_better(self, against: &'static str, figures: [Figure; 2]) -> Self {
        let [figure, or] = figures;
        Self { baseline: Some(Baseline { against, figure, or: [Some(or), None, None] }), ..self }
    }

    /// Against the best of four, which are costs.
    const fn against_best(self, against: &'static str, figures: [Figure; 4]) -> Self {
        let [figure, second, third, fourth] = figures;
        let or = [Some(second), Some(third), Some(fourth)];
        Self { baseline: Some(Baseline { against, figure, or }), ..self }
    }

    /// The contenders to run: ours, then the baseline.
    pub(super) fn contenders(&self) -> impl Iterator<Item = Contender> {
        let baseline = self.baseline.iter().flat_map(Baseline::figures);
        std::iter::once(self.ours).chain(baseline).map(|figure| figure.contender)
    }
}

impl Baseline {
    pub(super) fn figures(&self) -> impl Iterator<Item = Figure> {
        std::iter::once(self.figure).chain(self.or.into_iter().flatten())
    }
}

impl Target {
    /// Whether the row reaches it; unknown without the baseline it speaks of.
    pub(super) fn is_met(self, ours: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::RatioAtMost(limit) => ratio.map(|ratio| ratio <= limit),
            Self::RatioAtLeast(limit) => ratio.map(|ratio| limit <= ratio),
            Self::AtMost(limit) => Some(ours <= limit),
            Self::AtLeast(limit) => Some(limit <= ours),
            Self::Reported => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtMost(limit) => write!(f, "ratio <= {limit}"),
            Self::RatioAtLeast(limit) => write!(f, "ratio >= {limit}"),
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::Reported => f.write_str("reported"),
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffer => "buffer",
            Self::Heap => "heap",
            Self::Heapdump => "heapdump",
            Self::Index => "index",
            Self::Slab => "slab",
            Self::Storage => "storage",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_limit() {
        let check = |target: Target, ours, ratio, expected| {
            assert_eq!(target.is_met(ours, ratio), expected, "{target}");
        };
        check(Target::AtMost(0.25), 0.25, None, Some(true));
        check(Target::AtMost(0.25), 0.26, None, Some(false));
        check(Target::AtLeast(200.0), 200.0, None, Some(true));
        check(Target::AtLeast(200.0), 199.9, None, Some(false));
        check(Target::RatioAtMost(1.1), 9.0, Some(1.1), Some(true));
        check(Target::RatioAtMost(1.1), 0.0, Some(1.2), Some(false));
        check(Target::RatioAtLeast(2.0), 0.0, Some(2.0), Some(true));
        check(Target::RatioAtLeast(2.0), 9.0, Some(1.9), Some(false));
        check(Target::RatioAtLeast(2.0), 9.0, None, None);
        check(Target::Reported, 9.0, Some(1.0), None);
    }

    #[test]
    fn row_names_are_unique() {
        for suite in Suite::value_variants() {
            let mut names: Vec<&str> = rows(*suite).iter().map(|row| row.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
