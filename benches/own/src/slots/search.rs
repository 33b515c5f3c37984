//! Objects by value: the index of a store, a table of hashbrown, a store without an index.

use std::hint::black_box;

use hashbrown::HashMap;
use pagestone_slab::{ObjectId, ObjectStore};

use super::{Bench, VALUES, Value, value_of};
use crate::{
    Clock, Random, Result, Scale,
    entries::{Told, float, warm},
};

/// Values that a batch looks up together.
const BATCH: usize = 1_000;
/// Passes over all objects.
const SCANS: usize = 10;

/// The store with its index: present values, absent ones, batches, bytes.
///
/// # Errors
///
/// Those of the store, or when a value is not found where it is.
pub fn search(scale: Scale) -> Result<Vec<Told>> {
    warm(scale);
    let count = scale.count(VALUES);
    let mut store = ObjectStore::options().with_value_index().make()?;
    let mut bench = Bench { told: vec![] };
    bench.time("add", count, || -> Result<()> {
        for number in 0..count {
            store.add(bytemuck::bytes_of(&value(number)))?;
        }
        Ok(())
    })?;
    let stats = store.stats();
    let index_len = float(stats.index_len) / float(stats.live);
    bench.told.push(Told::new("index", index_len, "bytes/object"));

    let find = |value: &Value<2>| store.search(bytemuck::bytes_of(value));
    let [present, absent] = probes(count);
    let found = bench.time("present", count, || {
        present.iter().filter_map(find).map(ObjectId::to_bits).fold(0, u64::wrapping_add)
    });
    let by_iteration = store.iter().map(|(id, _)| id.to_bits()).fold(0, u64::wrapping_add);
    let false_hits = bench.time("absent", count, || absent.iter().filter_map(find).count());
    let batched = bench.time("present_many", count, || {
        let ids = present.chunks(BATCH).flat_map(|values| {
            let values: Vec<&[u8]> = values.iter().map(bytemuck::bytes_of).collect();
            store.search_many(&values)
        });
        ids.flatten().map(ObjectId::to_bits).fold(0, u64::wrapping_add)
    });
    if (found, batched, false_hits) != (by_iteration, by_iteration, 0) {
        return Err("a search finds what it should not".into());
    }
    Ok(bench.told)
}

/// The same values as keys of a table with their numbers.
///
/// # Errors
///
/// When a value is not found.
pub fn search_hashbrown(scale: Scale) -> Result<Vec<Told>> {
    warm(scale);
    let count = scale.count(VALUES);
    let mut bench = Bench { told: vec![] };
    let mut table: HashMap<Value<2>, u32> = HashMap::new();
    bench.time("add", count, || {
        table.extend((0..count).map(value).zip(0_u32..));
    });
    let [present, absent] = probes(count);
    let find = |value: &Value<2>| table.get(value).copied();
    let found = bench
        .time("present", count, || present.iter().filter_map(find).map(u64::from).sum::<u64>());
    let false_hits = bench.time("absent", count, || absent.iter().filter_map(find).count());
    if (found, false_hits) != ((0..count as u64).sum(), 0) {
        return Err("the table finds what it should not".into());
    }
    Ok(bench.told)
}

/// The store without an index: an absent value, so that all objects are looked at.
///
/// # Errors
///
/// Those of the store, or when it finds the value.
pub fn scan<const WORDS: usize>(scale: Scale) -> Result<Vec<Told>> {
    warm(scale);
    let count = scale.count(VALUES);
    let mut store = ObjectStore::new()?;
    for number in 0..count as u64 {
        store.add(bytemuck::bytes_of(&value_of::<WORDS>(number)))?;
    }
    let absent = value_of::<WORDS>(u64::MAX);
    let pass = || black_box(store.search(bytemuck::bytes_of(&absent)));
    let mut told = Vec::new();
    for (name, clock) in [("rate", Clock::Thread), ("rate_wall", Clock::Wall)] {
        let (time, found) = clock.time(|| (0..SCANS).any(|_| pass().is_some()));
        if found {
            return Err("an absent value was found".into());
        }
        let len = float((SCANS * count * WORDS * 8) as u64);
        told.push(Told::new(name, len / time.as_secs_f64() / 1e9, "GB/s"));
    }
    Ok(told)
}

/// Values that say nothing about their order.
fn value(number: usize) -> Value<2> {
    let mut random = Random::new(number as u64);
    [random.next(), random.next()]
}

/// The values of all objects in random order, and as many that no object has.
fn probes(count: usize) -> [Vec<Value<2>>; 2] {
    let mut random = Random::new(11);
    [0, count].map(|first| {
        let mut values: Vec<Value<2>> = (first..first + count).map(value).collect();
        random.shuffle(&mut values);
        values
    })
}
