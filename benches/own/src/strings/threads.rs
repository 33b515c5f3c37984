//! Strings that are known already, interned and resolved by one thread and by two at once.

use std::{hint::black_box, sync::Barrier, thread, time::Duration};

use pagestone_slab::{ConcurrentInterner, Symbol};

use super::Stream;
use crate::{
    Clock, Result, Scale,
    entries::{Told, nanos_each, warm},
};

/// CPU per string, of all threads that take part; `_wall` by the wall, for strings of each thread.
///
/// # Errors
///
/// Those of the interner, or of a thread.
pub fn threads(scale: Scale) -> Result<Vec<Told>> {
    let stream = Stream::words(scale);
    warm(scale);
    let strings = stream.strings();
    let interner = ConcurrentInterner::<str>::new();
    let mut symbols: Vec<Symbol> = Vec::with_capacity(strings.len());
    for string in &strings {
        symbols.push(interner.intern(string)?);
    }
    let intern = |part: usize| {
        // Both go through all strings, each from another place on.
        let (late, early) = strings.split_at(strings.len() / 2 * part);
        early.iter().chain(late).filter_map(|string| interner.intern(string).ok()).count()
    };
    let resolve = |part: usize| {
        let (late, early) = symbols.split_at(symbols.len() / 2 * part);
        let found = early.iter().chain(late).filter_map(|symbol| interner.resolve(*symbol).ok());
        found.filter(|string| black_box(!string.is_empty())).count()
    };
    let mut told = Vec::new();
    let names = [("one", 1), ("two", 2)];
    for (name, count) in names {
        tell(&mut told, (format!("known_{name}"), count), (strings.len(), &intern))?;
        tell(&mut told, (format!("resolve_{name}"), count), (strings.len(), &resolve))?;
    }
    Ok(told)
}

/// Runs `work` on so many threads at once; each says how many strings it has done.
fn tell(
    told: &mut Vec<Told>,
    (name, threads): (String, usize),
    (strings, work): (usize, &(impl Fn(usize) -> usize + Sync)),
) -> Result<()> {
    let start = Barrier::new(threads);
    let run = |part: usize| {
        start.wait();
        let wall = Clock::Wall.now();
        let (cpu, done) = Clock::Thread.time(|| work(part));
        (done == strings).then(|| (cpu, Clock::Wall.since(wall)))
    };
    let run = &run;
    let times: Vec<(Duration, Duration)> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|part| scope.spawn(move || run(part))).collect();
        running.into_iter().map(|thread| thread.join().ok().flatten()).collect::<Option<_>>()
    })
    .ok_or("a thread has failed")?;
    let cpu = times.iter().map(|(cpu, _)| *cpu).sum();
    let wall = times.iter().map(|(_, wall)| *wall).max().unwrap_or_default();
    told.push(Told::new(&*name, nanos_each(cpu, strings * threads), "ns/string"));
    told.push(Told::new(format!("{name}_wall"), nanos_each(wall, strings), "ns/string"));
    Ok(())
}
