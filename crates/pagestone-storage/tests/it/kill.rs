//! A child that writes or sorts is killed at any moment; what it acknowledged is there.

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind, Options, SORT_MEMORY_MIN, SidecarOptions, Storage,
};
use pagestone_testkit::child::{self, Child};
use rstest::rstest;

use crate::support::{Dir, Pair, checked_pair, is_whole, mix, names, options, pairs};

const KEY: Field = Field::new(0, Kind::U64);
const ROUNDS: u64 = 5;
/// Another order; the key decides between the few equal places.
const BY_PLACE: [Field; 2] = [Field::new(8, Kind::U32), KEY];

/// The backing and the path that an errand names.
fn parse(errand: &str) -> (Options, &str) {
    let (backing, path) = errand.split_once(' ').unwrap();
    let backing = match backing {
        "File" => File,
        "Map" => Map,
        _ => Windowed,
    };
    (options(backing), path)
}

fn start(test: &str, backing: Backing, dir: &Dir) -> Child {
    let path = dir.path("a");
    Child::start(test, &format!("{backing:?} {}", path.to_str().unwrap()))
}

/// Appends in batches of all sizes and acknowledges, after each, how many records there are.
#[test]
fn child_appends() {
    let Some(errand) = child::errand() else { return };
    let (options, path) = parse(&errand);
    let mut storage: Storage<Pair> = options.open_or_create(path).unwrap();
    child::acknowledge(storage.len());
    loop {
        let len = storage.len();
        // Most are small; some take so many pages that a kill lands inside the write.
        let count = match mix(len) % 50 {
            0 => 80_000,
            1..5 => 5_000,
            few => few,
        };
        let batch: Vec<Pair> = (len..len + count).map(checked_pair).collect();
        if mix(len).is_multiple_of(7) {
            storage.extend(batch.iter().map(|pair| Box::new(*pair))).unwrap();
        } else {
            storage.append(&batch).unwrap();
        }
        child::acknowledge(storage.len());
        if 200_000 < storage.len() {
            storage.truncate(0).unwrap();
            // A parent that hears of fewer knows what it means.
            child::acknowledge(0);
        }
    }
}

#[rstest]
fn acknowledged_appends_are_there(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    for round in 0..ROUNDS {
        let mut child = start("kill::child_appends", backing, &dir);
        for _ in 0..mix(round) % 40 {
            child.told().unwrap();
        }
        let acknowledged = child.kill(mix(round + 100) % 300).unwrap_or(0);
        let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        // It may have been killed between an append, or the cut, and telling of it.
        let found = pairs(&storage);
        let was_cut = storage.is_empty() && 200_000 < acknowledged;
        assert!(acknowledged <= storage.len() || was_cut, "{acknowledged} of {}", storage.len());
        assert!(found.iter().all(is_whole), "round {round}: every record is whole");
        let in_order = (0..).zip(&found).all(|(key, pair)| pair.key.get() == key);
        assert!(in_order, "round {round}: no record is missing or doubled");
        assert!(storage.partial_tail() < 12);
        let on_disk = std::fs::metadata(dir.path("a")).unwrap().len();
        assert_eq!(on_disk, storage.len() * 12 + storage.partial_tail());
    }
}

fn both_orders(count: u64) -> (Vec<Pair>, Vec<Pair>) {
    let by_key: Vec<Pair> = (0..count).map(checked_pair).collect();
    let mut by_place = by_key.clone();
    by_place.sort_by_key(|pair| (pair.place.get(), pair.key.get()));
    (by_key, by_place)
}

/// Sorts by a field and back by another for ever, telling before and after each sort.
#[test]
fn child_sorts_copies() {
    let Some(errand) = child::errand() else { return };
    let (options, path) = parse(&errand);
    let mut storage: Storage<Pair> = options.open(path).unwrap();
    for round in 0u64.. {
        child::acknowledge(round);
        let order = if round.is_multiple_of(2) { vec![KEY] } else { BY_PLACE.to_vec() };
        let memory = if round % 4 < 2 { u64::MAX } else { SORT_MEMORY_MIN };
        storage.sort_by(order.clone()).memory(memory).run().unwrap();
        storage.write_sidecar(SidecarOptions::new().checksums().accelerate(order[0])).unwrap();
    }
}

#[rstest]
fn a_killed_sort_leaves_old_or_new(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    // 1.2 MB: more than the budget of an external sort.
    let (by_key, by_place) = both_orders(100_000);
    let mut first: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    first.append(&by_place).unwrap();
    first.close().unwrap();
    for round in 0..ROUNDS {
        let mut child = start("kill::child_sorts_copies", backing, &dir);
        child.wait_for(mix(round) % 5);
        child.kill(mix(round + 7) % 2_000);
        let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        let found = pairs(&storage);
        assert!(found == by_key || found == by_place, "round {round}: old or new, never a mix");
        assert_eq!(storage.lower_bound(KEY, u64::MAX).unwrap(), 100_000);
        let verified = storage.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
        assert!(verified.is_clean(), "round {round}: {verified:?}");
        drop(storage);
        let left: Vec<String> = names(&dir).into_iter().filter(|name| name != "a.meta").collect();
        assert_eq!(left, ["a", "a.lock"], "round {round}: nothing is left over");
    }
}

/// Sorts in place to and fro, telling before and after each sort.
#[test]
fn child_sorts_in_place() {
    let Some(errand) = child::errand() else { return };
    let (options, path) = parse(&errand);
    let mut storage: Storage<Pair> = options.open(path).unwrap();
    for round in 0u64.. {
        child::acknowledge(round);
        let order = if round.is_multiple_of(2) { vec![KEY] } else { BY_PLACE.to_vec() };
        storage.sort_by(order).in_place().run().unwrap();
    }
}

#[rstest]
fn a_killed_sort_in_place_is_reported_or_complete(#[values(File, Map, Windowed)] backing: Backing) {
    let (by_key, by_place) = both_orders(50_000);
    for round in 0..ROUNDS {
        let dir = Dir::new();
        let mut first: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        first.append(&by_place).unwrap();
        first.close().unwrap();
        let mut child = start("kill::child_sorts_in_place", backing, &dir);
        child.wait_for(mix(round) % 3);
        child.kill(mix(round + 13) % 3_000);
        match options(backing).open::<Pair>(dir.file("a")) {
            Ok(storage) => {
                let found = pairs(&storage);
                assert!(found == by_key || found == by_place, "round {round}: complete");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InterruptedSort, "{error}");
                let accepting = options(backing).accept_interrupted_sort();
                let storage: Storage<Pair> = accepting.open(dir.file("a")).unwrap();
                assert_eq!(storage.len(), 50_000);
            }
        }
    }
}

/// Writes sidecars and swaps records under them for ever.
#[test]
fn child_writes_sidecars() {
    let Some(errand) = child::errand() else { return };
    let (options, path) = parse(&errand);
    let mut storage: Storage<Pair> = options.open(path).unwrap();
    for round in 0u64.. {
        child::acknowledge(round);
        storage.write_sidecar(SidecarOptions::new().checksums().accelerate(KEY)).unwrap();
        storage.swap(round % 1_000, round % 777 + 1_000).unwrap();
    }
}

#[rstest]
fn a_sidecar_never_calls_good_what_it_did_not_see(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let mut first: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    first.append(&(0..20_000).map(checked_pair).collect::<Vec<_>>()).unwrap();
    first.close().unwrap();
    for round in 0..ROUNDS {
        let mut child = start("kill::child_writes_sidecars", backing, &dir);
        child.wait_for(mix(round) % 10);
        child.kill(mix(round + 3) % 500);
        let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        let verified = storage.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
        assert!(verified.is_clean(), "round {round}: {verified:?}");
    }
    assert!(names(&dir).iter().all(|name| !name.starts_with('.')));
}
