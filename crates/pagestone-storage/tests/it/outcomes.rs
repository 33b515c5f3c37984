//! Every operation with its n-th system call failed, for every n: the records are the old or the
//! new ones, in memory and on disk, and an append that is acknowledged afterwards is not lost.

use std::{io, ops::ControlFlow};

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind, Mutability, Records, Result, SORT_MEMORY_MIN, SidecarOptions,
    SidecarStatus, Storage,
    seam::{Call, Plan, watch},
};
use pagestone_testkit::faults::Scenario;
use rstest::rstest;

use crate::support::{Dir, Pair, keys, names, options, pair};

const KEY: Field = Field::new(0, Kind::U64);
const KINDS: [io::ErrorKind; 3] =
    [io::ErrorKind::StorageFull, io::ErrorKind::Other, io::ErrorKind::PermissionDenied];

fn full() -> SidecarOptions {
    SidecarOptions::new().checksums().accelerate(KEY)
}

/// A storage `a` of keys 3, 1, 2 and a partial tail, with or without a sidecar.
fn prepare(backing: Backing, sidecar: Option<SidecarOptions>) -> (Dir, Storage<Pair>) {
    let dir = Dir::fast();
    let mut storage: Storage<Pair> = options(backing).create(dir.file("a")).unwrap();
    storage.append(&[pair(3, 0), pair(1, 0), pair(2, 0)]).unwrap();
    if let Some(sidecar) = sidecar {
        storage.write_sidecar(sidecar).unwrap();
    }
    drop(storage);
    let file = std::fs::OpenOptions::new().append(true).open(dir.path("a")).unwrap();
    io::Write::write_all(&mut &file, &[9; 5]).unwrap();
    let storage = options(backing).open(dir.file("a")).unwrap();
    (dir, storage)
}

/// Fails each call of `work` with each kind and looks at what is left, which is the old records
/// or one of `new`.
#[track_caller]
fn check(backing: Backing, work: fn(&mut Storage<Pair>) -> Result<()>, new: &[&[u64]]) {
    check_with(&[None, Some(full())], backing, work, new);
}

#[track_caller]
fn check_with(
    sidecars: &[Option<SidecarOptions>],
    backing: Backing,
    work: fn(&mut Storage<Pair>) -> Result<()>,
    new: &[&[u64]],
) {
    for kind in KINDS {
        for &sidecar in sidecars {
            let scenario = Scenario {
                prepare: || prepare(backing, sidecar),
                work: |(_, storage): &mut (Dir, Storage<Pair>)| work(storage),
                check: |(dir, storage): (Dir, Storage<Pair>), done: Result<()>| {
                    check_left((&dir, backing), (storage, done), new);
                },
            };
            scenario.fail_each_call(kind);
        }
    }
}

#[track_caller]
fn check_left(
    (dir, backing): (&Dir, Backing),
    (mut storage, done): (Storage<Pair>, Result<()>),
    new: &[&[u64]],
) {
    let mut expected = keys(storage.iter());
    assert!(expected == [3, 1, 2] || new.contains(&&expected[..]), "in memory: {expected:?}");
    if done.is_ok() {
        assert!(new.contains(&&expected[..]), "done: {expected:?}");
    }
    match storage.append(&[pair(77, 0)]) {
        Ok(_) => expected.push(77),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Poisoned, "after {done:?}: {error}"),
    }
    let is_poisoned = storage.flush().is_err();
    drop(storage);
    let mut is_marked = false;
    let mut storage: Storage<Pair> = match options(backing).open(dir.file("a")) {
        Ok(storage) => storage,
        Err(error) => {
            // The end of an in-place sort did not reach the device, or its mark stayed.
            assert_eq!(error.kind(), ErrorKind::InterruptedSort, "{error}");
            let stayed = done.as_ref().is_err_and(|error| error.to_string().starts_with("remove"));
            assert!(is_poisoned || stayed, "{done:?}");
            is_marked = true;
            options(backing).accept_interrupted_sort().open(dir.file("a")).unwrap()
        }
    };
    let found = keys(storage.iter());
    if is_poisoned {
        assert!(found == [3, 1, 2] || new.contains(&&found[..]), "on disk: {found:?}");
    } else {
        assert_eq!(found, expected, "on disk as in memory, after {done:?}");
        let verified = storage.verify(|_| ControlFlow::Continue(())).unwrap();
        let is_whole = verified.damaged_count == 0 && verified.first_unsorted.is_none();
        assert!(is_whole, "{verified:?} after {done:?}");
        let is_unusable = matches!(verified.sidecar, SidecarStatus::Unusable(_));
        assert_eq!(is_unusable, is_marked, "{verified:?}");
    }
    assert!(names(dir).iter().all(|name| !name.starts_with('.')), "{:?}", names(dir));
    storage.append(&[pair(78, 0)]).unwrap();
    storage.set(0, &pair(0, 0)).unwrap();
    storage.close().unwrap();
}

#[rstest]
fn append(#[values(File, Map, Windowed)] backing: Backing) {
    check(backing, |storage| storage.append(&[pair(9, 0)]).map(drop), &[&[3, 1, 2, 9]]);
}

#[rstest]
fn extend(#[values(File, Map, Windowed)] backing: Backing) {
    let work =
        |storage: &mut Storage<Pair>| storage.extend((4..7).map(|key| Box::new(pair(key, 0))));
    check(backing, work, &[&[3, 1, 2, 4, 5, 6]]);
}

#[rstest]
fn set(#[values(File, Map, Windowed)] backing: Backing) {
    check(backing, |storage| storage.set(1, &pair(9, 0)), &[&[3, 9, 2]]);
    check(backing, |storage| storage.set_field(1, KEY, 9), &[&[3, 9, 2]]);
}

#[rstest]
fn swap(#[values(File, Map, Windowed)] backing: Backing) {
    // Half of a swap is documented as possible: no protection in place.
    let halves: [&[u64]; 3] = [&[1, 3, 2], &[1, 1, 2], &[3, 3, 2]];
    check(backing, |storage| storage.swap(0, 1), &halves);
}

#[rstest]
fn truncate(#[values(File, Map, Windowed)] backing: Backing) {
    check(backing, |storage| storage.truncate(1), &[&[3]]);
}

#[rstest]
fn sort_into_a_copy(#[values(File, Map, Windowed)] backing: Backing) {
    check(backing, |storage| storage.sort_by(KEY).run(), &[&[1, 2, 3]]);
    let work = |storage: &mut Storage<Pair>| {
        storage.sort_with(|left, right| left.key.get().cmp(&right.key.get())).stable().run()
    };
    check(backing, work, &[&[1, 2, 3]]);
}

#[rstest]
fn sort_in_place(#[values(File, Map, Windowed)] backing: Backing) {
    check(backing, |storage| storage.sort_by(KEY).in_place().run(), &[&[1, 2, 3]]);
}

#[rstest]
fn write_sidecar(#[values(File, Map, Windowed)] backing: Backing) {
    let work = |storage: &mut Storage<Pair>| storage.write_sidecar(full());
    check(backing, work, &[&[3, 1, 2]]);
    // A change behind a sidecar whose writing failed must still find it.
    let work = |storage: &mut Storage<Pair>| {
        let written = storage.write_sidecar(full());
        storage.set(1, &pair(9, 0))?;
        written
    };
    check(backing, work, &[&[3, 9, 2]]);
}

#[rstest]
fn a_change_that_is_tried_again(#[values(File, Map, Windowed)] backing: Backing) {
    type Work = fn(&mut Storage<Pair>) -> Result<()>;
    let works: [(Work, &[u64]); 4] = [
        (
            |storage| storage.set(1, &pair(9, 0)).or_else(|_| storage.set(1, &pair(9, 0))),
            &[3, 9, 2],
        ),
        (|storage| storage.truncate(1).or_else(|_| storage.truncate(1)), &[3]),
        (|storage| storage.sort_by(KEY).run().or_else(|_| storage.sort_by(KEY).run()), &[1, 2, 3]),
        (
            |storage| {
                let sorted = storage.sort_by(KEY).in_place().run();
                sorted.or_else(|_| storage.sort_by(KEY).in_place().run())
            },
            &[1, 2, 3],
        ),
    ];
    for (work, new) in works {
        check(backing, work, &[new]);
    }
}

#[rstest]
fn a_removed_sidecar_that_a_power_loss_may_bring_back(
    #[values(File, Map, Windowed)] backing: Backing,
) {
    let (dir, mut storage) = prepare(backing, Some(full()));
    let plan = Plan::fail(0, io::ErrorKind::Other).only(Call::SyncDirectory);
    let (set, trace) = watch(plan, || storage.set(1, &pair(9, 0)));
    assert!(trace.failed);
    assert_eq!(set.unwrap_err().kind(), ErrorKind::Io);
    // Trying again would find nothing to remove, and change what the sidecar may yet describe.
    assert_eq!(storage.set(1, &pair(9, 0)).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(keys(storage.iter()), [3, 1, 2]);
    drop(storage);
    let mut storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
    storage.set(1, &pair(9, 0)).unwrap();
    assert_eq!(keys(storage.iter()), [3, 9, 2]);
}

#[rstest]
fn sync_and_verify(#[values(File, Map, Windowed)] backing: Backing) {
    check(backing, Storage::sync, &[&[3, 1, 2]]);
    let work = |storage: &mut Storage<Pair>| {
        let verified = storage.verify(|_| ControlFlow::Continue(()))?;
        assert_eq!((verified.damaged_count, verified.first_unsorted), (0, None));
        Ok(())
    };
    check_with(&[Some(full())], backing, work, &[&[3, 1, 2]]);
}

#[rstest]
fn close(#[values(File, Map, Windowed)] backing: Backing) {
    for kind in KINDS {
        let scenario = Scenario {
            prepare: || {
                let (dir, storage) = prepare(backing, Some(full()));
                (dir, Some(storage))
            },
            work: |(_, storage): &mut (Dir, Option<Storage<Pair>>)| {
                storage.take().map_or(Ok(()), Storage::close)
            },
            check: |(dir, _): (Dir, Option<Storage<Pair>>), closed: Result<()>| {
                assert!(closed.is_err());
                let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
                assert_eq!(keys(storage.iter()), [3, 1, 2]);
            },
        };
        scenario.fail_each_call(kind);
    }
}

#[rstest]
fn open_to_write_and_to_read(#[values(File, Map, Windowed)] backing: Backing) {
    for kind in KINDS {
        let (dir, storage) = prepare(backing, Some(full()));
        drop(storage);
        // What a killed writer may have left, so that it is removed.
        std::fs::write(dir.path(".a.new"), [1; 100]).unwrap();
        for nth in 0.. {
            let open = || options(backing).open::<Pair>(dir.file("a"));
            let (opened, trace) = watch(Plan::fail(nth, kind), open);
            if let Ok(storage) = &opened {
                assert_eq!(keys(storage.iter()), [3, 1, 2]);
            }
            if !trace.failed {
                opened.unwrap();
                break;
            }
        }
        for nth in 0.. {
            let open = || options(backing).open_read_only::<Pair>(dir.file("a"));
            let (opened, trace) = watch(Plan::fail(nth, kind), open);
            if let Ok(records) = &opened {
                assert_eq!(keys(records.iter()), [3, 1, 2]);
            }
            if !trace.failed {
                opened.unwrap();
                break;
            }
        }
    }
}

#[rstest]
fn create(#[values(File, Map, Windowed)] backing: Backing) {
    for kind in KINDS {
        for nth in 0.. {
            let dir = Dir::fast();
            let create = || options(backing).create::<Pair>(dir.file("a"));
            let (created, trace) = watch(Plan::fail(nth, kind), create);
            let has_failed = created.is_err();
            drop(created);
            let mut storage: Storage<Pair> =
                options(backing).open_or_create(dir.file("a")).unwrap();
            assert!(storage.is_empty());
            storage.append(&[pair(1, 1)]).unwrap();
            if !trace.failed {
                assert!(!has_failed);
                break;
            }
        }
    }
}

#[rstest]
fn refresh(#[values(File, Map, Windowed)] backing: Backing) {
    let options = options(backing).mutability(Mutability::AppendOnly);
    for kind in KINDS {
        type Change = fn(&mut Storage<Pair>);
        let changes: [(Change, &[u64]); 2] = [
            (|storage| assert_eq!(storage.append(&[pair(9, 0)]).unwrap(), 3), &[3, 1, 2, 9]),
            (|storage| storage.sort_by(KEY).run().unwrap(), &[1, 2, 3]),
        ];
        for (change, new) in changes {
            let scenario = Scenario {
                prepare: || {
                    let dir = Dir::fast();
                    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
                    storage.append(&[pair(3, 0), pair(1, 0), pair(2, 0)]).unwrap();
                    let reader: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
                    change(&mut storage);
                    (dir, reader)
                },
                work: |(_, reader): &mut (Dir, Records<Pair>)| reader.refresh(),
                check: |(_dir, mut reader): (Dir, Records<Pair>), refreshed: Result<bool>| {
                    let found = keys(reader.iter());
                    assert!(found == [3, 1, 2] || found == new, "{found:?}");
                    assert!(refreshed.is_err() || found == new);
                    reader.refresh().unwrap();
                    assert_eq!(keys(reader.iter()), new);
                },
            };
            scenario.fail_each_call(kind);
        }
    }
}

#[test]
fn a_sort_larger_than_its_budget() {
    const SIZE: usize = 64 << 10;
    let before: Vec<u8> =
        (0..40u8).flat_map(|place| vec![place % 5 * 8 + place / 5; SIZE]).collect();
    let first_bytes =
        |storage: &Storage| storage.iter().map(|record| record.unwrap()[0]).collect::<Vec<u8>>();
    let old: Vec<u8> = before.chunks(SIZE).map(|record| record[0]).collect();
    let options = options(File).record_size(SIZE);
    for kind in KINDS {
        let scenario = Scenario {
            prepare: || {
                let dir = Dir::fast();
                let mut storage: Storage = options.create(dir.file("a")).unwrap();
                storage.append(&before).unwrap();
                (dir, storage)
            },
            work: |(_, storage): &mut (Dir, Storage)| {
                storage.sort_by(Field::new(0, Kind::U8)).stable().memory(SORT_MEMORY_MIN).run()
            },
            check: |(dir, storage): (Dir, Storage), sorted: Result<()>| {
                assert!(sorted.is_err());
                drop(storage);
                let storage: Storage = options.open(dir.file("a")).unwrap();
                let found = first_bytes(&storage);
                assert!(found == old || found.iter().copied().eq(0..40), "{found:?}");
                assert_eq!(names(&dir), ["a", "a.lock"]);
            },
        };
        assert!(20 < scenario.fail_each_call(kind), "several runs");
    }
}
