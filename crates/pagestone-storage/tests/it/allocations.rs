//! Reads and searches take no memory.

use allocation_counter::measure;
use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    Bias, Field, Kind, Mutability, SidecarOptions, Storage,
};
use rstest::rstest;

use crate::support::{Dir, Pair, options, pair};

const KEY: Field = Field::new(0, Kind::U64);
const COUNT: u64 = 5_000;

/// Expects that `work` allocates nothing, once what is fetched at the first use is there.
#[track_caller]
fn check(what: &str, mut work: impl FnMut()) {
    work();
    let counted = measure(work);
    assert_eq!(counted.count_total, 0, "{what}: {counted:?}");
}

#[rstest]
fn reads_and_searches(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(Mutability::InPlace, Mutability::AppendOnly)] mutability: Mutability,
    #[values(None, Some(KEY))] accelerated: Option<Field>,
) {
    if backing == Memory && accelerated.is_some() {
        return; // memory has no sidecar
    }
    let dir = Dir::new();
    let mut storage: Storage<Pair> =
        options(backing).mutability(mutability).create(dir.file("a")).unwrap();
    storage.append(&(0..COUNT).map(|key| pair(key, 0)).collect::<Vec<_>>()).unwrap();
    if let Some(field) = accelerated {
        storage.sort_by(field).run().unwrap();
        storage.write_sidecar(SidecarOptions::new().accelerate(field)).unwrap();
    }
    let mut bytes = [0; 120];
    let probes: Vec<u64> = (0..600).map(|probe| probe * 17).collect();
    let mut found = vec![None; probes.len()];
    let mut key = 0;
    check("get", || {
        for index in (0..COUNT).step_by(97) {
            key ^= storage.get(index).unwrap().key.get();
        }
    });
    check("len", || assert!(storage.len() == COUNT));
    check("read_into", || storage.read_into(77, &mut bytes).unwrap());
    check("as_slice", || {
        let borrows = mutability == Mutability::AppendOnly && backing != File;
        assert_eq!(storage.as_slice().is_some(), borrows);
    });
    check("bounds", || {
        for probe in &probes {
            key ^= storage.lower_bound(KEY, *probe).unwrap();
            key ^= storage.upper_bound(KEY, *probe).unwrap();
            key ^= storage.equal_range(KEY, *probe).unwrap().end;
        }
    });
    check("binary_search", || {
        for bias in [Bias::Exact, Bias::Before, Bias::After] {
            key ^= storage.binary_search(KEY, 4_444, bias).unwrap().unwrap_or(1);
        }
    });
    check("get_many", || storage.get_many(KEY, &probes, &mut found).unwrap());
    assert_eq!(found[2], Some(34));
    assert_eq!(found[599], None);
    if storage.as_slice().is_some() {
        check("iterate", || {
            key ^= storage.iter().map(|record| record.unwrap().key.get()).sum::<u64>();
        });
    }
}

#[test]
fn the_counter_counts() {
    let counted = measure(|| drop(std::hint::black_box(vec![1, 2, 3])));
    assert_eq!(counted.count_total, 1);
}
