//! Workload B: what a store of equal values is asked for, and who is asked.
//!
//! A contender implements [`SlotStore`]. The phases stand here, so that those of other crates run
//! the very same ones.

mod ours; // pagestone-slab: stores and pools, checked and plain
mod filed; // pagestone-slab: stores in a region file
mod boxed; // a box for each value
mod search; // by value: with an index, without one

pub(crate) use self::filed::leaked;
pub use self::{
    boxed::{Boxed, MiBoxed},
    filed::{Filed, FiledMany},
    ours::{CheckedPool, PlainPool, PlainStore, Store},
    search::{scan, search, search_hashbrown},
};

use std::hint::black_box;

use crate::{
    Clock, Random, Result, Scale,
    entries::{Told, float, nanos_each, warm},
    private_memory,
};

/// Values.
const VALUES: usize = 5_000_000;

/// A value of so many words of 8 bytes; the first is its number.
pub type Value<const WORDS: usize> = [u64; WORDS];

/// A store of values of `WORDS` words.
pub trait SlotStore<const WORDS: usize>: Sized {
    /// What a value is found by.
    type Id;

    /// Makes an empty store.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn new() -> Result<Self>;

    /// Adds a value.
    fn add(&mut self, value: &Value<WORDS>) -> Self::Id;

    /// The first word of a value.
    fn get(&self, id: &Self::Id) -> u64;

    /// Removes a value. Its id is not used again.
    fn remove(&mut self, id: &mut Self::Id);

    /// The sum of the first words of many values; none where they are got one by one.
    fn sum(&self, _ids: &[Self::Id]) -> Option<u64> {
        None
    }

    /// Bytes that the store says it takes, without ids; none where it does not say.
    fn mapped(&mut self) -> Option<u64> {
        None
    }

    /// Makes all changes final, so that the places of what was removed are free: commits.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Adds 5 M values, reads them in order and at random, removes a random half, adds as many again.
/// Times are CPU of the thread; those that end in `_wall` are by the wall.
///
/// # Errors
///
/// Those of the store, or when it does not hold what it should.
pub fn phases<S: SlotStore<WORDS>, const WORDS: usize>(scale: Scale) -> Result<Vec<Told>> {
    warm(scale);
    let count = scale.count(VALUES);
    let values = 0..count as u64;
    let sum: u64 = values.clone().sum();
    let mut bench = Bench { told: vec![] };
    let mut ids: Vec<S::Id> = Vec::with_capacity(count);
    let before = private_memory()?;
    let mut store = S::new()?;
    bench.time("add", count, || {
        ids.extend(values.map(|number| store.add(&value_of(number))));
    });
    let memory = private_memory()?.saturating_sub(before + size_of_val(ids.as_slice()) as u64);
    let payload = (count * WORDS * 8) as u64;
    let each = |len: u64| (float(len) - float(payload)) / float(count as u64);
    bench.told.push(Told::new("overhead", each(memory), "bytes/object"));
    if let Some(mapped) = store.mapped() {
        bench.told.push(Told::new("overhead_counted", each(mapped), "bytes/object"));
    }
    bench.told.push(Told::new("id", float(size_of::<S::Id>() as u64), "bytes"));

    store.settle()?;
    bench.get("get_in_order", (&store, &ids), sum)?;
    Random::new(7).shuffle(&mut ids);
    bench.get("get", (&store, &ids), sum)?;
    if store.sum(&[]).is_some() {
        let found = bench.time("get_many", ids.len(), || store.sum(&ids));
        if found != Some(sum) {
            return Err("get_many: a value is wrong".into());
        }
    }

    let (half, _) = ids.split_at_mut(count / 2);
    let gone: Vec<u64> = half.iter().map(|id| store.get(id)).collect();
    bench.time("remove", half.len(), || {
        for id in half.iter_mut() {
            store.remove(id);
        }
    });
    store.settle()?;
    bench.time("add_again", half.len(), || {
        for (id, number) in half.iter_mut().zip(&gone) {
            *id = store.add(&value_of(*number));
        }
    });
    bench.get("get_again", (&store, &ids), sum)?;
    Ok(bench.told)
}

#[inline]
const fn value_of<const WORDS: usize>(number: u64) -> Value<WORDS> {
    let mut value = [0x5A5A_5A5A; WORDS];
    value[0] = number;
    value
}

/// What was told.
struct Bench {
    told: Vec<Told>,
}

impl Bench {
    fn time<R>(&mut self, name: &str, count: usize, work: impl FnOnce() -> R) -> R {
        let (cpu, wall) = (Clock::Thread.now(), Clock::Wall.now());
        let result = work();
        let (cpu, wall) = (Clock::Thread.since(cpu), Clock::Wall.since(wall));
        self.told.push(Told::new(name, nanos_each(cpu, count), "ns/object"));
        self.told.push(Told::new(format!("{name}_wall"), nanos_each(wall, count), "ns/object"));
        result
    }

    /// Reads values in the order of their ids; the sum of their numbers is known.
    fn get<S: SlotStore<WORDS>, const WORDS: usize>(
        &mut self,
        name: &str,
        (store, ids): (&S, &[S::Id]),
        sum: u64,
    ) -> Result<()> {
        let found = self
            .time(name, ids.len(), || black_box(ids.iter().map(|id| store.get(id)).sum::<u64>()));
        if found == sum { Ok(()) } else { Err(format!("{name}: a value is wrong").into()) }
    }
}
