//! Sorts that do not come to their end: cancelled, panicking, refused, killed.

use std::{
    cmp::Ordering,
    fs,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    ErrorKind, Field, Kind, Mutability, Options, Progress, Records, SORT_MEMORY_MIN,
    SidecarOptions, SidecarStatus, Sort, Storage,
    seam::{Call, Event, Plan, watch},
};
use pagestone_testkit::child::{self, Child};
use rstest::rstest;

use crate::support::{Dir, Pair, checked_pair, is_whole, keys, mix, names, options, pair, pairs};

const KEY: Field = Field::new(0, Kind::U64);

/// Where a sort takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Copy,
    InPlace,
    External,
}

fn noise(count: u64) -> Vec<Pair> {
    (0..count).map(|place| checked_pair(mix(place) >> 1)).collect()
}

fn placed(sort: Sort<'_, Pair>, place: Where) -> Sort<'_, Pair> {
    match place {
        Where::Copy => sort,
        Where::InPlace => sort.in_place(),
        Where::External => sort.memory(SORT_MEMORY_MIN),
    }
}

/// So many records that an external sort has several runs.
fn count(place: Where) -> u64 {
    if place == Where::External { 100_000 } else { 20_000 }
}

/// Expects the records to be what they were, in their order or, where `place` says so, in any;
/// that nothing else lies in the directory; and that the storage goes on.
#[track_caller]
fn check_left(
    dir: &Dir,
    (mut storage, backing): (Storage<Pair>, Backing),
    place: Where,
    before: &[Pair],
) {
    let mut found = pairs(&storage);
    if place == Where::InPlace {
        let whole = |pair: &Pair| pair.key.get();
        let mut before = before.to_vec();
        before.sort_by_key(whole);
        found.sort_by_key(whole);
        assert!(found == before, "the same records, each once");
    } else {
        assert!(found == before, "unchanged");
    }
    storage.append(&[pair(1, 1)]).unwrap();
    storage.close().unwrap();
    if backing == Memory {
        return;
    }
    assert_eq!(names(dir), ["a", "a.lock"]);
    let mut storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
    storage.sort_by(KEY).run().unwrap();
    assert_eq!(storage.len(), before.len() as u64 + 1);
    assert!(keys(storage.iter()).is_sorted());
}

#[rstest]
fn cancelled(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(Where::Copy, Where::InPlace, Where::External)] place: Where,
) {
    if place == Where::External && backing != File {
        return; // parts are read the same way whatever the backing; memory has none
    }
    let before = noise(count(place));
    let start = |dir: &Dir| {
        let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        storage.append(&before).unwrap();
        storage
    };
    let mut told: Vec<Progress> = Vec::new();
    let dir = Dir::fast();
    let mut storage = start(&dir);
    let collect = |progress| {
        told.push(progress);
        ControlFlow::Continue(())
    };
    placed(storage.sort_by(KEY), place).progress(collect).run().unwrap();
    drop(storage);
    assert!(!told.is_empty());
    assert!(told.iter().all(|told| told.total == before.len() as u64 && told.done <= told.total));
    let last = told.len() - 1;
    let stops = if place == Where::External {
        vec![0, last / 2, last]
    } else {
        (0..=last).step_by(last / 8 + 1).chain([last]).collect()
    };
    for stop in stops {
        let dir = Dir::fast();
        let mut storage = start(&dir);
        let mut calls = 0;
        let sort = placed(storage.sort_by(KEY), place).progress(|_| {
            calls += 1;
            if calls <= stop { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!(sort.run().unwrap_err().kind(), ErrorKind::Cancelled, "{stop} of {last}");
        check_left(&dir, (storage, backing), place, &before);
    }
}

#[rstest]
fn a_comparator_panics(
    #[values(File, Map, Memory)] backing: Backing,
    #[values(Where::Copy, Where::InPlace, Where::External)] place: Where,
    #[values(1, 2)] threads: usize,
) {
    if place == Where::External && backing != File {
        return;
    }
    let before = noise(count(place));
    let calls =
        if place == Where::External { vec![3, 400_000] } else { vec![0, 1, 100, 5_000, 20_000] };
    for at in calls {
        let dir = Dir::fast();
        let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
        storage.append(&before).unwrap();
        let count = AtomicU64::new(0);
        let compare = |left: &Pair, right: &Pair| {
            assert!(count.fetch_add(1, Relaxed) != at, "planned panic of comparison {at}");
            left.key.get().cmp(&right.key.get())
        };
        let sort = placed(storage.sort_with(compare), place).threads(threads);
        let panicked = catch_unwind(AssertUnwindSafe(|| sort.run()));
        assert!(panicked.is_err(), "comparison {at} came");
        check_left(&dir, (storage, backing), place, &before);
    }
}

#[test]
fn a_comparator_that_contradicts_itself_leaves_a_permutation() {
    let before = noise(5_000);
    for place in [Where::Copy, Where::InPlace] {
        for mask in [1, 7] {
            let dir = Dir::new();
            let mut storage: Storage<Pair> = options(Map).create(dir.file("a")).unwrap();
            storage.append(&before).unwrap();
            let calls = AtomicU64::new(0);
            let moody = |_: &Pair, _: &Pair| match mix(calls.fetch_add(1, Relaxed)) & mask {
                0 => Ordering::Less,
                1 => Ordering::Greater,
                _ => Ordering::Equal,
            };
            // The standard library may refuse such an order with a panic of its own.
            let sort = placed(storage.sort_with(moody), place);
            if let Ok(sorted) = catch_unwind(AssertUnwindSafe(|| sort.run())) {
                sorted.unwrap();
            }
            check_left(&dir, (storage, Map), Where::InPlace, &before);
        }
    }
}

#[rstest]
fn in_place_only_where_nobody_reads(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&[pair(2, 0), pair(1, 0)]).unwrap();
    let reader = storage.records();
    let error = storage.sort_by(KEY).in_place().run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert_eq!(keys(reader.iter()), [2, 1]);
    drop(reader);
    storage.sort_by(KEY).in_place().run().unwrap();
    assert_eq!(keys(storage.iter()), [1, 2]);

    let append_only = options(backing).mutability(Mutability::AppendOnly);
    let mut storage: Storage<Pair> = append_only.create(dir.file("b")).unwrap();
    storage.append(&[pair(2, 0), pair(1, 0)]).unwrap();
    let error = storage.sort_by(KEY).in_place().run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert_eq!(keys(storage.iter()), [2, 1]);
}

#[rstest]
fn readers_keep_the_old_records_through_a_sort(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(Mutability::InPlace, Mutability::AppendOnly)] mutability: Mutability,
) {
    let dir = Dir::new();
    let before = noise(20_000);
    let options = options(backing).mutability(mutability);
    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
    storage.append(&before).unwrap();
    let reader = storage.records();
    let first: Vec<Pair> = reader.iter().take(5).map(|record| *record.unwrap()).collect();
    let half_read = reader.range(10_000..);
    storage.sort_by(KEY).progress(|_| ControlFlow::Continue(())).run().unwrap();
    storage.append(&[pair(0, 0)]).unwrap();
    assert_eq!(first, before[..5]);
    let rest: Vec<Pair> = half_read.map(|record| *record.unwrap()).collect();
    assert!(rest == before[10_000..]);
    assert!(pairs(&reader) == before);
    assert_eq!(storage.len(), 20_001);
}

#[rstest]
fn a_copy_is_synced_and_locked_before_it_has_the_name(
    #[values(File, Map, Windowed)] backing: Backing,
) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&noise(100)).unwrap();
    let (sorted, trace) = watch(Plan::record(), || storage.sort_by(KEY).run());
    sorted.unwrap();
    let place = |wanted: Call| {
        let is = |event: &Event| *event == Event::Call(wanted);
        trace.events.iter().position(is).unwrap()
    };
    // Else a reader that maps the file under its name at once would keep the writer out.
    assert!(place(Call::Lock) < place(Call::Rename), "{:?}", trace.events);
    assert!(place(Call::Sync) < place(Call::Rename), "{:?}", trace.events);
    assert!(place(Call::Rename) < place(Call::SyncDirectory), "{:?}", trace.events);
}

/// What an in-place sort writes before the first record moves, by hand from docs/format.md.
fn sorting_mark(record_size: u32) -> Vec<u8> {
    let mut mark = vec![0; 256];
    mark[..8].copy_from_slice(b"PGSTMETA");
    mark[8..12].copy_from_slice(&1u32.to_le_bytes());
    mark[12..16].copy_from_slice(&record_size.to_le_bytes());
    mark[32] = 1;
    crate::sidecar::reseal(&mut mark);
    mark
}

/// Expects that `a` is refused as interrupted, and opened when asked to.
#[track_caller]
fn check_interrupted(dir: &Dir, options: Options) {
    let errors = [
        options.open::<Pair>(dir.file("a")).map(drop).unwrap_err(),
        options.open_read_only::<Pair>(dir.file("a")).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::InterruptedSort);
        assert!(error.to_string().contains("accept_interrupted_sort"), "{error}");
    }
    let accepting = options.accept_interrupted_sort();
    let reader: Records<Pair> = accepting.open_read_only(dir.file("a")).unwrap();
    assert!(matches!(reader.sidecar(), SidecarStatus::Unusable(_)));
    drop(reader);
    let mut storage: Storage<Pair> = accepting.open(dir.file("a")).unwrap();
    assert!(matches!(storage.sidecar(), SidecarStatus::Unusable(_)));
    storage.append(&[]).unwrap();
    drop(storage);
    assert!(options.open::<Pair>(dir.file("a")).is_err(), "one who looked repairs nothing");
    let mut storage: Storage<Pair> = accepting.open(dir.file("a")).unwrap();
    storage.write_sidecar(SidecarOptions::new()).unwrap();
    drop(storage);
    options.open::<Pair>(dir.file("a")).unwrap();
}

#[rstest]
fn the_mark_of_a_sort_that_never_ended(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&[pair(2, 0), pair(1, 0)]).unwrap();
    drop(storage);
    fs::write(dir.path("a.meta"), sorting_mark(12)).unwrap();
    check_interrupted(&dir, options(backing));
}

#[rstest]
fn the_mark_is_there_while_records_move(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&noise(100)).unwrap();
    let calls = AtomicU64::new(0);
    let compare = |left: &Pair, right: &Pair| {
        assert_eq!(fs::read(dir.path("a.meta")).unwrap(), sorting_mark(12));
        calls.fetch_add(1, Relaxed);
        left.key.get().cmp(&right.key.get())
    };
    storage.sort_with(compare).in_place().run().unwrap();
    assert!(0 < calls.load(Relaxed) && !dir.path("a.meta").exists());
}

/// Sorts the storage at its errand's path in place and stops for good after 30,000 comparisons.
#[test]
fn child_stops_in_the_middle() {
    let Some(path) = child::errand() else { return };
    let mut storage: Storage<Pair> = options(File).open(path).unwrap();
    let calls = AtomicU64::new(0);
    let compare = |left: &Pair, right: &Pair| {
        if calls.fetch_add(1, Relaxed) == 30_000 {
            child::acknowledge(1);
            assert_eq!(child::order(), None, "nobody lets it go on");
        }
        left.key.get().cmp(&right.key.get())
    };
    storage.sort_with(compare).in_place().run().unwrap();
}

#[rstest]
fn a_kill_in_the_middle_is_found_at_the_next_open(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&noise(10_000)).unwrap();
    storage.write_sidecar(SidecarOptions::new().checksums()).unwrap();
    storage.close().unwrap();
    let path = dir.path("a");
    let mut sorting =
        Child::start("sort_breaks::child_stops_in_the_middle", path.to_str().unwrap());
    sorting.wait_for(1);
    // Nobody but the child may touch the file meanwhile.
    let error = options(File).open::<Pair>(dir.file("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    sorting.kill(0);
    check_interrupted(&dir, options(backing));
    let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
    assert_eq!(storage.len(), 10_000);
    assert!(pairs(&storage).iter().all(is_whole), "records move whole");
}

#[test]
fn a_sync_that_fails_while_a_comparator_panics_poisons() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(File).create(dir.file("a")).unwrap();
    storage.append(&noise(1_000)).unwrap();
    // The mark is synced first; the sync after the panic is the one that fails.
    let plan = Plan::fail(1, std::io::ErrorKind::Other).only(Call::Sync);
    let (outcome, trace) = watch(plan, || {
        let sort = storage.sort_with(|_, _| panic!("planned")).in_place();
        catch_unwind(AssertUnwindSafe(|| sort.run()))
    });
    assert!(outcome.is_err() && trace.failed);
    assert_eq!(storage.sync().unwrap_err().kind(), ErrorKind::Poisoned);
}
