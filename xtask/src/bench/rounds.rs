//! Runs contenders one at a time, round after round, so that a slow minute hits all alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Stdio,
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};

use super::{
    estimates, measure, peer,
    suites::{Contender, Row},
};
use crate::workspace::{cargo, target_dir};

/// How long and against whom.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) quick: bool,
    pub(super) peers: bool,
    /// 0 for the usual number.
    pub(super) rounds: usize,
}

/// What one run of a contender gave, or the median of several.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) value: f64,
    pub(super) unit: String,
    pub(super) elements: Option<u64>,
    pub(super) bytes: Option<u64>,
}

/// A contender by name; those of `measure` that no row asks for are kept too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Own(String),
    Peer(String),
    Measured(String),
    Program(String),
}

/// What the run of a contender has told.
#[derive(Debug)]
enum Told {
    Readings(Vec<(Key, Reading)>),
    /// The contender is not on this machine, or not yet made.
    Skipped,
}

pub(super) type Figures = BTreeMap<Key, Reading>;

/// The medians of all contenders of the rows.
pub(super) fn run(root: &Path, rows: &[Row], options: &Options) -> Result<Figures> {
    let contenders = contenders(rows, options);
    collect(&contenders, options.round_count(), |key| run_one(root, key, options))
}

impl Options {
    pub(super) fn round_count(&self) -> usize {
        match self.rounds {
            0 if self.quick => 1,
            0 => 3,
            rounds => rounds,
        }
    }
}

impl From<Contender> for Key {
    fn from(contender: Contender) -> Self {
        match contender {
            Contender::Own(id) => Self::Own(id.to_owned()),
            Contender::Peer(id) => Self::Peer(id.to_owned()),
            Contender::Measured(name) => Self::Measured(name.to_owned()),
            Contender::Program(name) => Self::Program(name.to_owned()),
        }
    }
}

/// Each contender once, in the order of the rows; peers on request.
fn contenders(rows: &[Row], options: &Options) -> Vec<Key> {
    let mut keys = Vec::new();
    for key in rows.iter().flat_map(Row::contenders).map(Key::from) {
        let is_wanted = options.peers || !matches!(key, Key::Peer(_) | Key::Program(_));
        if is_wanted && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Runs every contender once per round, unless another one's run has already told its reading.
/// One that is skipped has none.
fn collect(
    contenders: &[Key],
    rounds: usize,
    mut run_one: impl FnMut(&Key) -> Result<Told>,
) -> Result<Figures> {
    let mut readings: BTreeMap<Key, Vec<Reading>> = BTreeMap::new();
    for _ in 0..rounds {
        let mut told = BTreeSet::new();
        for contender in contenders {
            if told.contains(contender) {
                continue;
            }
            let Told::Readings(told_here) = run_one(contender)? else { continue };
            for (key, reading) in told_here {
                if told.insert(key.clone()) {
                    readings.entry(key).or_default().push(reading);
                }
            }
            ensure!(told.contains(contender), "{contender:?} gave no reading");
        }
    }
    Ok(estimates::medians(readings))
}

fn run_one(root: &Path, key: &Key, options: &Options) -> Result<Told> {
    let told = match key {
        Key::Own(id) => run_criterion(root, ("bench-own", "own", id), options)?,
        Key::Peer(id) => run_criterion(root, ("bench-compare", "compare", id), options)?,
        Key::Measured(name) => run_measure(root, name, options)?,
        Key::Program(name) => match peer::run(root, name, options)? {
            Some(output) if measure::is_skipped(&output, name) => Told::Skipped,
            Some(output) => readings(&output, Key::Program)?,
            None => Told::Skipped,
        },
    };
    Ok(told)
}

/// Runs one benchmark of `(package, bench, id)` and reads what criterion wrote.
fn run_criterion(
    root: &Path,
    (package, bench, id): (&str, &str, &str),
    options: &Options,
) -> Result<Told> {
    let criterion = target_dir(root).join("criterion");
    let mut command = cargo(root);
    command.args(["bench", "--package", package, "--bench", bench, "--"]);
    command.args(["--noplot", "--exact", id]);
    if options.quick {
        command.arg("--quick");
    }
    // Criterion's files and our table: its own report stays out of the way.
    command.env("CRITERION_HOME", &criterion).stderr(Stdio::inherit());
    let since = SystemTime::now();
    let output = command.output().with_context(|| format!("run benchmark {id}"))?;
    ensure!(output.status.success(), "benchmark {id}: {}", output.status);
    if measure::is_skipped(&String::from_utf8_lossy(&output.stdout), id) {
        return Ok(Told::Skipped);
    }
    let reading = estimates::read(&criterion, id, since)?;
    // Both kinds of benchmarks have ids of their own.
    let key = if package == "bench-own" { Key::Own } else { Key::Peer };
    Ok(Told::Readings(vec![(key(id.to_owned()), reading)]))
}

fn run_measure(root: &Path, name: &str, options: &Options) -> Result<Told> {
    let mut command = cargo(root);
    command.args(["run", "--release", "--quiet", "--package", "bench-own", "--bin", "measure"]);
    command.args(["--", name]);
    if options.quick {
        command.arg("--quick");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "measure {name}: {}", output.status);
    let output = String::from_utf8_lossy(&output.stdout);
    if measure::is_skipped(&output, name) {
        return Ok(Told::Skipped);
    }
    readings(&output, Key::Measured)
}

/// The readings among the lines of a program.
fn readings(output: &str, key: impl Fn(String) -> Key) -> Result<Told> {
    let readings = measure::parse(output)?.into_iter().map(|m| {
        let reading = Reading { value: m.value, unit: m.unit, elements: None, bytes: None };
        (key(m.name), reading)
    });
    Ok(Told::Readings(readings.collect()))
}

#[cfg(test)]
mod tests {
    use super::{
        super::suites::{Baseline, Conversion, Figure, Target},
        *,
    };

    fn row(ours: Contender, baseline: Option<Contender>) -> Row {
        let figure = |contender| Figure { contender, conversion: Conversion::Plain };
        Row {
            name: "a",
            ours: figure(ours),
            baseline: baseline.map(|c| Baseline { against: "b", figure: figure(c), or: [None; 3] }),
            target: Target::AtMost(1.0),
        }
    }

    fn reading(value: f64) -> Reading {
        Reading { value, unit: "x".into(), elements: None, bytes: None }
    }

    #[test]
    fn contenders_run_once_and_peers_on_request() {
        let rows = [
            row(Contender::Own("a"), Some(Contender::Peer("p"))),
            row(Contender::Measured("m"), Some(Contender::Program("q"))),
        ];
        let check = |peers, expected: &[Key]| {
            assert_eq!(contenders(&rows, &Options { peers, ..Options::default() }), expected);
        };
        let (own, measured) = (Key::Own("a".into()), Key::Measured("m".into()));
        check(false, &[own.clone(), measured.clone()]);
        check(true, &[own, Key::Peer("p".into()), measured, Key::Program("q".into())]);
    }

    #[test]
    fn rounds_are_interleaved() {
        let keys = ["a", "b"].map(|id| Key::Own(id.to_owned()));
        let mut order = Vec::new();
        let mut values = [9.0, 10.0, 1.0, 20.0, 2.0, 30.0].into_iter();
        let run_one = |key: &Key| {
            order.push(key.clone());
            Ok(Told::Readings(vec![(key.clone(), reading(values.next().unwrap()))]))
        };
        let figures = collect(&keys, 3, run_one).unwrap();
        let [a, b] = keys;
        assert_eq!(order, [&a, &b, &a, &b, &a, &b].map(Clone::clone));
        assert_eq!(figures, BTreeMap::from([(a, reading(2.0)), (b, reading(20.0))]));
    }

    #[test]
    fn a_reading_told_by_another_run_is_taken() {
        let keys = ["m", "n"].map(|name| Key::Measured(name.to_owned()));
        let mut runs = 0;
        let both = keys.clone().map(|key| (key, reading(1.0))).to_vec();
        collect(&keys, 2, |_| {
            runs += 1;
            Ok(Told::Readings(both.clone()))
        })
        .unwrap();
        assert_eq!(runs, 2);
        assert!(collect(&keys, 1, |_| Ok(Told::Readings(vec![]))).is_err());
    }

    #[test]
    fn what_is_skipped_has_no_reading() {
        let keys = [Key::Program("boost_fill".to_owned())];
        assert!(collect(&keys, 2, |_| Ok(Told::Skipped)).unwrap().is_empty());
    }

    #[test]
    fn quick_is_one_round() {
        let check = |quick, rounds, expected| {
            let options = Options { quick, rounds, ..Options::default() };
            assert_eq!(options.round_count(), expected);
        };
        check(false, 0, 3);
        check(true, 0, 1);
        check(true, 5, 5);
    }
}
