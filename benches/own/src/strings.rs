//! Workload I: what an interner is asked for, and who is asked.
//!
//! A contender implements [`StringStore`]. The phases stand here, so that those of other crates run
//! the very same ones.

mod stream; // the strings
mod ours; // pagestone-slab: plain, counted, for many threads
mod filed; // pagestone-slab in a region file
mod threads; // known strings, by one thread and by two

pub use self::{
    filed::{Filed as FiledStrings, child_hold, child_open, reopened},
    ours::{Counted, Ours, Shared},
    stream::{Stream, strings_of_stanzas},
    threads::threads,
};

use std::{collections::HashSet, hint::black_box, time::Duration};

use crate::{
    Clock, Random, Result, Scale, allocated,
    entries::{Told, at_share, float, nanos_each, warm},
};

/// How often the phases run over a short stream, each time on an empty store.
const PASSES: usize = 15;

/// A store of strings, each of them once.
pub trait StringStore: Sized {
    /// What a string is found by.
    type Symbol;
    /// Whether strings stay for the life of the process, so that a second store has them too.
    const IS_GLOBAL: bool = false;
    /// Whether [`release`](Self::release) does something.
    const RELEASES: bool = false;

    /// Makes an empty store.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn new() -> Result<Self>;

    /// The symbol of a string.
    fn intern(&mut self, string: &str) -> Self::Symbol;

    /// The string of a symbol.
    fn resolve<'a>(&'a self, symbol: &'a Self::Symbol) -> &'a str;

    /// Gives back what one [`intern`](Self::intern) has taken. The symbol is not used again.
    fn release(&mut self, _symbol: &mut Self::Symbol) {}

    /// Bytes that the store takes: those it says, or, where it does not say, those that were
    /// allocated since there were `before`; none in a program that does not count them.
    fn memory(&mut self, before: u64) -> Option<u64> {
        let now = allocated();
        (now != 0).then(|| now.saturating_sub(before))
    }
}

/// The long stream: 2 M words and metric tags, 200 k distinct.
///
/// # Errors
///
/// Those of the store, or when it does not hold what it should.
pub fn words<S: StringStore>(scale: Scale) -> Result<Vec<Told>> {
    let stream = Stream::words(scale);
    warm(scale);
    phases::<S>(&stream.strings(), scale)
}

/// The tags and dependency names of Debian packages, in the order of the archive's index: the
/// medians of some passes.
///
/// # Errors
///
/// As [`words`]; when the sample is not there.
pub fn packages<S: StringStore>(scale: Scale) -> Result<Vec<Told>> {
    let stream = Stream::packages(scale)?;
    warm(scale);
    let strings = stream.strings();
    let passes = match (S::IS_GLOBAL, scale) {
        (true, _) | (_, Scale::Tiny) => 1,
        _ => PASSES,
    };
    let passes: Vec<Vec<Told>> =
        (0..passes).map(|_| phases::<S>(&strings, scale)).collect::<Result<_>>()?;
    let Some(first) = passes.first() else { return Err("no pass".into()) };
    let median = |name: &str| {
        let values = passes.iter().flatten().filter(|told| told.name == name);
        at_share(values.map(|told| told.value).collect(), 0.5)
    };
    Ok(first.iter().map(|told| Told::new(&*told.name, median(&told.name), told.unit)).collect())
}

/// Interns all strings, interns them again, resolves all symbols, releases them.
/// Times are CPU of the thread; those that end in `_wall` are by the wall.
fn phases<S: StringStore>(strings: &[&str], scale: Scale) -> Result<Vec<Told>> {
    let distinct: HashSet<&str> = strings.iter().copied().collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    let count = strings.len();
    let mut told = Vec::new();
    let len: usize = distinct.iter().map(|string| string.len()).sum();
    let each = |len: u64| float(len) / float(distinct.len() as u64);
    told.push(Told::new("strings", float(count as u64), "strings"));
    told.push(Told::new("distinct", float(distinct.len() as u64), "strings"));
    told.push(Told::new("mean_len", each(len as u64), "bytes"));

    let mut symbols: Vec<S::Symbol> = Vec::with_capacity(count);
    let before = allocated();
    let mut store = S::new()?;
    time(&mut told, ("intern", count), || {
        symbols.extend(strings.iter().map(|string| store.intern(string)));
    });
    if let Some(memory) = store.memory(before) {
        told.push(Told::new("memory", each(memory), "bytes/string"));
    }
    if !strings.iter().zip(&symbols).all(|(string, symbol)| store.resolve(symbol) == *string) {
        return Err("a symbol has another string".into());
    }
    // A byte of each string, so that all of them are fetched.
    let touch = |symbol: &S::Symbol| {
        store.resolve(symbol).as_bytes().last().map_or(0, |byte| u64::from(*byte))
    };
    time(&mut told, ("resolve", count), || black_box(symbols.iter().map(touch).sum::<u64>()));
    let mut again: Vec<S::Symbol> = Vec::with_capacity(count);
    time(&mut told, ("known", count), || {
        again.extend(strings.iter().map(|string| store.intern(string)));
    });
    if S::RELEASES {
        let mut random = Random::new(5);
        if scale != Scale::Tiny {
            random.shuffle(&mut again);
        }
        time(&mut told, ("release", count), || {
            for symbol in &mut again {
                store.release(symbol);
            }
        });
        release_last(&mut told, (store, symbols, before), &distinct);
    }
    Ok(told)
}

/// Releases the last holds of all strings, adds the strings again; says how memory has grown.
fn release_last<S: StringStore>(
    told: &mut Vec<Told>,
    (mut store, mut symbols, base): (S, Vec<S::Symbol>, u64),
    distinct: &[&str],
) {
    let before = store.memory(base);
    let count = symbols.len();
    time(told, ("release_last", count), || {
        for symbol in &mut symbols {
            store.release(symbol);
        }
    });
    // No new memory for symbols: they take the places of the old ones.
    time(told, ("intern_again", distinct.len()), || {
        for (symbol, string) in symbols.iter_mut().zip(distinct) {
            *symbol = store.intern(string);
        }
    });
    if let (Some(before), Some(after)) = (before, store.memory(base)) {
        told.push(Told::new("memory_again", float(after) / float(before), "of before"));
    }
    // One hold each, so that every release removes.
    symbols.truncate(distinct.len());
    Random::new(6).shuffle(&mut symbols);
    time(told, ("release_removing", symbols.len()), || {
        for symbol in &mut symbols {
            store.release(symbol);
        }
    });
}

fn time<R>(told: &mut Vec<Told>, (name, count): (&str, usize), work: impl FnOnce() -> R) -> R {
    let (cpu, wall): (Duration, Duration) = (Clock::Thread.now(), Clock::Wall.now());
    let result = work();
    let (cpu, wall) = (Clock::Thread.since(cpu), Clock::Wall.since(wall));
    told.push(Told::new(name, nanos_each(cpu, count), "ns/string"));
    told.push(Told::new(format!("{name}_wall"), nanos_each(wall, count), "ns/string"));
    result
}
