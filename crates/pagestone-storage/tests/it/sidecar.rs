//! Sidecars: written, found again, and what is said of those that cannot be used.

use std::{fs, ops::ControlFlow, process::Command};

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Field, Kind, Location, Mutability, Options, Records, SidecarOptions, SidecarStatus,
    Storage,
    seam::{Call, Event, Plan, watch},
};
use rstest::rstest;

use crate::support::{Dir, Pair, keys, names, options, pair};

const KEY: Field = Field::new(0, Kind::U64);
const PLACE: Field = Field::new(8, Kind::U32);
const COUNT: u32 = 500;

/// Bytes of the header, from docs/format.md.
const HEADER: usize = 256;

pub(crate) fn full() -> SidecarOptions {
    SidecarOptions::new().checksums().accelerate(KEY).fingerprint(0xfeed)
}

/// A closed storage `a` of even keys from `low` on, with a full sidecar.
pub(crate) fn written(low: u64) -> Dir {
    let dir = Dir::fast();
    let mut storage: Storage<Pair> = options(File).create(dir.file("a")).unwrap();
    let descending = (0..COUNT).rev().map(|place| pair(low + 2 * u64::from(place), place));
    storage.append(&descending.collect::<Vec<_>>()).unwrap();
    storage.sort_by(KEY).run().unwrap();
    storage.write_sidecar(full()).unwrap();
    storage.close().unwrap();
    dir
}

/// Puts the checksum of the header where it belongs, so that what is behind it is reached.
pub(crate) fn reseal(sidecar: &mut [u8]) {
    let crc = crc32fast::hash(&sidecar[..HEADER - 4]).to_le_bytes();
    sidecar[HEADER - 4..HEADER].copy_from_slice(&crc);
}

fn reader(dir: &Dir) -> Records<Pair> {
    options(File).open_read_only(dir.file("a")).unwrap()
}

/// Expects that the sidecar of `a` is unusable for a reason with these words, that records are
/// found all the same, and that a writer opens the file.
#[track_caller]
fn check_unusable(dir: &Dir, words: &str) {
    for backing in [File, Map, Windowed] {
        let found: Records<Pair> = options(backing).open_read_only(dir.file("a")).unwrap();
        let SidecarStatus::Unusable(reason) = found.sidecar() else {
            unreachable!("{:?} though {words}", found.sidecar());
        };
        assert!(reason.contains(words), "{reason} does not say {words}");
        assert_eq!(found.lower_bound(KEY, 501).unwrap(), 251);
        let verified = found.verify(|_| ControlFlow::Continue(())).unwrap();
        assert!(!verified.is_clean());
        drop(found);
        let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        assert_eq!(storage.len(), u64::from(COUNT));
    }
}

/// Changes the sidecar of `a` by hand.
fn edit(dir: &Dir, change: impl FnOnce(&mut Vec<u8>)) {
    let mut sidecar = fs::read(dir.path("a.meta")).unwrap();
    change(&mut sidecar);
    fs::write(dir.path("a.meta"), sidecar).unwrap();
}

#[rstest]
fn what_was_written_is_found_again(
    #[values(File, Map, Windowed)] backing: Backing,
    #[values(Mutability::InPlace, Mutability::AppendOnly)] mutability: Mutability,
) {
    let dir = Dir::new();
    let options = options(backing).mutability(mutability);
    let locations: [Location; 2] = [dir.file("a"), dir.path("b").into()];
    for location in locations {
        let mut storage: Storage<Pair> = options.create(location.clone()).unwrap();
        assert_eq!(*storage.sidecar(), SidecarStatus::Absent);
        storage.append(&[pair(2, 0), pair(9, 1), pair(2, 2)]).unwrap();
        storage.sort_by([KEY, PLACE]).run().unwrap();
        storage.write_sidecar(full()).unwrap();
        let written = storage.sidecar().clone();
        drop(storage);
        let storage: Storage<Pair> = options.open(location.clone()).unwrap();
        assert_eq!(*storage.sidecar(), written);
        drop(storage);
        let reader: Records<Pair> = options.open_read_only(location).unwrap();
        let SidecarStatus::Usable(sidecar) = reader.sidecar() else {
            unreachable!("{:?}", reader.sidecar());
        };
        assert_eq!((sidecar.record_count, sidecar.fingerprint), (3, Some(0xfeed)));
        assert_eq!(sidecar.sorted_by, [KEY, PLACE]);
        assert_eq!((sidecar.accelerated, sidecar.block_records), (Some(KEY), (64 << 10) / 12));
        assert_eq!(reader.equal_range(KEY, 2).unwrap(), 0..2);
        assert!(reader.verify(|_| ControlFlow::Continue(())).unwrap().is_clean());
    }
    assert_eq!(names(&dir), ["a", "a.lock", "a.meta", "b", "b.lock", "b.meta"]);
}

#[test]
fn a_sidecar_says_no_more_than_it_was_asked_for() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(File).create(dir.file("a")).unwrap();
    storage.append(&[pair(2, 0)]).unwrap();
    storage.write_sidecar(SidecarOptions::new()).unwrap();
    let SidecarStatus::Usable(sidecar) = storage.sidecar() else { unreachable!() };
    assert_eq!((sidecar.record_count, sidecar.fingerprint), (1, None));
    assert_eq!(
        (&sidecar.sorted_by[..], sidecar.accelerated, sidecar.block_records),
        (&[][..], None, 0)
    );
    let outside = SidecarOptions::new().accelerate(Field::new(9, Kind::U32));
    let error = storage.write_sidecar(outside).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let mut memory: Storage<Pair> = Options::new().reserve(1 << 20).in_memory().unwrap();
    let error = memory.write_sidecar(SidecarOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(names(&dir), ["a", "a.lock", "a.meta"]);
}

#[test]
fn headers_that_are_not_what_was_written() {
    let dir = written(0);
    edit(&dir, |sidecar| sidecar[0] ^= 1);
    check_unusable(&dir, "not a sidecar");
    edit(&dir, |sidecar| sidecar[0] ^= 1);
    edit(&dir, |sidecar| sidecar[20] ^= 1);
    check_unusable(&dir, "does not match its checksum");
    edit(&dir, |sidecar| sidecar[20] ^= 1);
    edit(&dir, |sidecar| {
        sidecar[8] = 2;
        reseal(sidecar);
    });
    check_unusable(&dir, "version 2");
    edit(&dir, |sidecar| {
        sidecar[8] = 1;
        sidecar[251] = 1;
        reseal(sidecar);
    });
    check_unusable(&dir, "reserved");
    fs::write(dir.path("a.meta"), [0x5a; 10_000]).unwrap();
    check_unusable(&dir, "not a sidecar");
    fs::write(dir.path("a.meta"), []).unwrap();
    check_unusable(&dir, "0 bytes are no sidecar");
}

#[test]
fn what_is_no_regular_file_is_no_sidecar() {
    let dir = written(0);
    fs::remove_file(dir.path("a.meta")).unwrap();
    fs::create_dir(dir.path("a.meta")).unwrap();
    check_unusable(&dir, "not a regular file");
    fs::remove_dir(dir.path("a.meta")).unwrap();
    assert!(Command::new("mkfifo").arg(dir.path("a.meta")).status().unwrap().success());
    check_unusable(&dir, "not a regular file");
    // It is somebody else's, and stays.
    let mut storage: Storage<Pair> = options(File).open(dir.file("a")).unwrap();
    let refused = storage.write_sidecar(full()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{refused}");
    storage.set(0, &pair(1, 1)).unwrap();
    fs::remove_file(dir.path("a.meta")).unwrap();
    storage.write_sidecar(full()).unwrap();
    assert!(matches!(storage.sidecar(), SidecarStatus::Usable(_)));
}

#[test]
fn a_sidecar_of_other_records_is_noticed_by_their_ends() {
    let (dir, other) = (written(0), written(1));
    fs::copy(other.path("a.meta"), dir.path("a.meta")).unwrap();
    check_unusable(&dir, "those at the ends differ");
}

#[test]
fn a_sidecar_of_records_with_the_same_ends_costs_speed_but_no_truth() {
    let (dir, other) = (written(0), written(0));
    let mut storage: Storage<Pair> = options(File).open(other.file("a")).unwrap();
    // All records but the ends have the key of the last: the tree is far off.
    for index in 1..u64::from(COUNT) - 1 {
        storage.set(index, &pair(998, 7)).unwrap();
    }
    storage.write_sidecar(full()).unwrap();
    drop(storage);
    fs::copy(other.path("a.meta"), dir.path("a.meta")).unwrap();
    let reader = reader(&dir);
    assert!(matches!(reader.sidecar(), SidecarStatus::Usable(_)));
    for key in 0..u64::from(COUNT) {
        assert_eq!(reader.equal_range(KEY, 2 * key).unwrap(), key..key + 1);
    }
    assert!(0 < reader.accelerator_misses());
    let verified = reader.verify(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(verified.damaged_count, 1);
}

#[test]
fn a_sidecar_of_other_sizes_is_unusable() {
    let dir = written(0);
    let half: Records = options(File).record_size(6).open_read_only(dir.file("a")).unwrap();
    let SidecarStatus::Unusable(reason) = half.sidecar() else { unreachable!() };
    assert_eq!(reason, "it describes records of 12 bytes, not 6");
    let file = fs::OpenOptions::new().write(true).open(dir.path("a")).unwrap();
    file.set_len(12 * 499).unwrap();
    let SidecarStatus::Unusable(reason) = reader(&dir).sidecar().clone() else { unreachable!() };
    assert_eq!(reason, "it describes 500 records, there are 499");
}

#[rstest]
fn appends_leave_it_and_its_accelerator_rests(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = written(0);
    // Garbage, so that a search by it would show.
    edit(&dir, |sidecar| sidecar[8192..].fill(0xa5));
    let options = options(backing).mutability(Mutability::AppendOnly);
    let mut reader: Records<Pair> = options.open_read_only(dir.file("a")).unwrap();
    let mut storage: Storage<Pair> = options.open(dir.file("a")).unwrap();
    assert_eq!(reader.lower_bound(KEY, 500).unwrap(), 250);
    assert!(0 < reader.accelerator_misses());
    storage.append(&[pair(5_000, 0)]).unwrap();
    assert!(reader.refresh().unwrap());
    for (records, who) in [(&*storage, "writer"), (&reader, "reader")] {
        let SidecarStatus::Usable(sidecar) = records.sidecar() else { unreachable!("{who}") };
        assert_eq!((sidecar.record_count, records.len()), (500, 501), "{who}");
        let misses = records.accelerator_misses();
        assert_eq!(records.lower_bound(KEY, 5_000).unwrap(), 500, "{who}");
        assert_eq!(records.lower_bound(KEY, 500).unwrap(), 250, "{who}");
        assert_eq!(records.accelerator_misses(), misses, "{who}");
    }
    storage.write_sidecar(full()).unwrap();
    assert_eq!(storage.lower_bound(KEY, 5_000).unwrap(), 500);
    assert_eq!(storage.accelerator_misses(), 0);
}

#[rstest]
fn it_is_removed_for_good_before_records_change(#[values(File, Map, Windowed)] backing: Backing) {
    type Change = fn(&mut Storage<Pair>) -> pagestone_storage::Result<()>;
    let changes: [(&str, Change); 7] = [
        ("set", |storage| storage.set(3, &pair(0, 0))),
        ("set_field", |storage| storage.set_field(3, PLACE, 1)),
        ("swap", |storage| storage.swap(0, 1)),
        ("swap_ranges", |storage| storage.swap_ranges(0, 10, 5)),
        ("truncate", |storage| storage.truncate(10)),
        ("sort", |storage| storage.sort_by(PLACE).run()),
        ("sort in place", |storage| storage.sort_by(PLACE).in_place().run()),
    ];
    for (name, change) in changes {
        let dir = written(0);
        let mut storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        let (changed, trace) = watch(Plan::record(), || change(&mut storage));
        changed.unwrap();
        let place = |wanted: Call| {
            let is = |event: &Event| *event == Event::Call(wanted);
            trace.events.iter().position(is).unwrap_or(usize::MAX)
        };
        // A copy is written before: what counts for it is the rename.
        let first_change = if name == "sort" {
            place(Call::Rename)
        } else {
            let is_change = |event: &Event| match event {
                Event::Store { .. } => true,
                Event::Call(call) => matches!(call, Call::Write | Call::Truncate),
                _ => false,
            };
            trace.events.iter().position(is_change).unwrap()
        };
        // The first removal may be that of a left-over temporary.
        let synced = place(Call::SyncDirectory);
        assert!(
            place(Call::Remove) < synced && synced < first_change,
            "{name}: {:?}",
            trace.events
        );
        assert_eq!(*storage.sidecar(), SidecarStatus::Absent, "{name}");
        assert!(!dir.path("a.meta").exists(), "{name}");
        drop(storage);
        let storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
        assert_eq!(*storage.sidecar(), SidecarStatus::Absent, "{name}");
    }
}

#[test]
fn the_order_is_named_only_while_it_holds() {
    let dir = Dir::new();
    let mut storage: Storage<Pair> = options(File).create(dir.file("a")).unwrap();
    storage.append(&[pair(2, 0), pair(1, 1)]).unwrap();
    let order = |storage: &mut Storage<Pair>| {
        storage.write_sidecar(SidecarOptions::new()).unwrap();
        let SidecarStatus::Usable(sidecar) = storage.sidecar() else { unreachable!() };
        sidecar.sorted_by.clone()
    };
    assert_eq!(order(&mut storage), []);
    storage.sort_by(KEY).run().unwrap();
    assert_eq!(order(&mut storage), [KEY]);
    storage.sort_by(PLACE).in_place().run().unwrap();
    assert_eq!(order(&mut storage), [PLACE]);
    storage.close().unwrap();
    let mut storage: Storage<Pair> = options(File).open(dir.file("a")).unwrap();
    assert_eq!(order(&mut storage), [PLACE], "known from the sidecar");
    storage.append(&[pair(0, 0)]).unwrap();
    assert_eq!(order(&mut storage), []);
    storage.sort_by(KEY).run().unwrap();
    storage.set(0, &pair(9, 9)).unwrap();
    assert_eq!(order(&mut storage), []);
    storage.sort_by_key(|pair| pair.key.get()).run().unwrap();
    assert_eq!(order(&mut storage), [], "a function has no name");
    assert_eq!(keys(storage.iter()), [1, 2, 9]);
}

#[test]
fn a_block_that_no_writer_would_make_is_refused() {
    let dir = written(0);
    edit(&dir, |sidecar| {
        // One block over everything: its bytes would be read at once.
        sidecar[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        sidecar[56..64].copy_from_slice(&4u64.to_le_bytes());
        reseal(sidecar);
    });
    check_unusable(&dir, "contradict");
}
