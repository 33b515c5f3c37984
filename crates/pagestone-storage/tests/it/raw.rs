//! Mapped bytes for a layer above: who may open them, what they show, what the seam sees.
#![expect(unsafe_code, reason = "slices of files that are the tests' own")]

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
};

use pagestone_storage::{
    Advice, ErrorKind, Location,
    raw::{Opening, RawFile},
    seam::{Call, Event, Machine, Plan, Trace, mark, set_machine, watch},
};
use rstest::rstest;

use crate::{
    full_disk::Small,
    support::{Dir, mix},
};

const UNIT: u64 = 64 << 10;
const RESERVE: u64 = 16 << 20;

/// What a raw file stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    File,
    Memory,
}

fn open(location: &Location, opening: Opening) -> RawFile {
    let mut file = RawFile::open(location, opening, RESERVE).unwrap();
    file.map().unwrap();
    file
}

/// A raw file of `units` units, mapped.
fn made(dir: &Dir, on: On, units: u64) -> RawFile {
    let file = match on {
        On::File => open(&dir.file("a"), Opening::Create),
        On::Memory => RawFile::memory(RESERVE).unwrap(),
    };
    file.grow(units * UNIT).unwrap();
    file
}

fn bytes(file: &RawFile) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_at(0, &mut bytes);
    let mut read = vec![0; bytes.len()];
    file.pread(0, &mut read).unwrap();
    assert!(bytes == read, "the mapping and the file show the same");
    bytes
}

fn fill(file: &RawFile, offset: u64, bytes: &[u8]) {
    // SAFETY: no other thread has the file, and no slice of it is alive.
    unsafe {
        file.fill(offset, bytes);
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: pagestone_storage::Result<T>, kind: ErrorKind) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
}

#[track_caller]
fn panics<R>(work: impl FnOnce() -> R) {
    let done = catch_unwind(AssertUnwindSafe(work)).map(drop);
    assert!(done.is_err(), "no panic");
}

#[test]
fn what_was_stored_is_there_after_reopening() {
    let dir = Dir::new();
    let location = dir.file("a");
    refused(RawFile::open(&location, Opening::Write, RESERVE), ErrorKind::NotFound);
    assert!(!dir.path("a.lock").exists(), "a name that is not there leaves no lock file");
    let file = made(&dir, On::File, 2);
    file.store(UNIT, 0x0102_0304_0506_0708, Release);
    fill(&file, 100, b"pages");
    file.sync().unwrap();
    file.sync_directory().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(dir.path("a")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    drop(file);
    refused(RawFile::open(&location, Opening::Create, RESERVE), ErrorKind::AlreadyExists);
    for opening in [Opening::Write, Opening::Read] {
        let mut file = RawFile::open(&location, opening, 0).unwrap();
        assert_eq!((file.len(), file.refresh_len().unwrap()), (2 * UNIT, 2 * UNIT));
        let mut word = [0; 8];
        file.pread(UNIT, &mut word).unwrap();
        assert_eq!(word, [8, 7, 6, 5, 4, 3, 2, 1], "little-endian, and before it is mapped");
        panics(|| file.load(0, Relaxed));
        file.map().unwrap();
        file.map().unwrap();
        assert!(2 * UNIT <= file.capacity());
        assert_eq!(file.load(UNIT, Acquire), 0x0102_0304_0506_0708);
        assert_eq!(bytes(&file)[100..105], *b"pages");
        assert_eq!(file.is_writable(), opening == Opening::Write);
        assert_eq!((file.path(), file.is_memory()), (dir.path("a").as_path(), false));
    }
}

#[test]
fn one_writer_beside_many_readers() {
    let dir = Dir::new();
    let location = dir.file("a");
    let try_open = |opening| RawFile::open(&location, opening, RESERVE);
    let writer = made(&dir, On::File, 1);
    refused(try_open(Opening::Write), ErrorKind::Locked);
    refused(try_open(Opening::Create), ErrorKind::Locked);
    let readers = [open(&location, Opening::Read), open(&location, Opening::Read)];
    drop(writer);
    let writer = open(&location, Opening::Write);
    drop((readers, writer));
    // Without a lock file readers and writers keep each other out.
    std::fs::remove_file(dir.path("a.lock")).unwrap();
    let reader = open(&location, Opening::Read);
    assert!(!dir.path("a.lock").exists(), "a reader makes none");
    refused(try_open(Opening::Write), ErrorKind::Locked);
    drop(reader);
    let writer = open(&location, Opening::Write);
    std::fs::remove_file(dir.path("a.lock")).unwrap();
    refused(try_open(Opening::Read), ErrorKind::Locked);
    refused(try_open(Opening::Write), ErrorKind::Locked);
    drop(writer);
    open(&location, Opening::Write);
}

#[test]
fn the_writer_sees_what_readers_hold() {
    let dir = Dir::new();
    let location = dir.file("a");
    let writer = made(&dir, On::File, 1);
    let (first, second) = (open(&location, Opening::Read), open(&location, Opening::Read));
    assert_eq!(writer.oldest_hold(u64::MAX >> 24).unwrap(), None, "to be there holds nothing");
    first.hold(7).unwrap();
    first.hold(7).unwrap();
    second.hold(5).unwrap();
    second.hold(9).unwrap();
    assert_eq!(writer.oldest_hold(100).unwrap(), Some(5));
    assert_eq!(writer.oldest_hold(5).unwrap(), None, "what is held is not below itself");
    assert_eq!(writer.oldest_hold(6).unwrap(), Some(5));
    second.release(5);
    first.release(7);
    assert_eq!(writer.oldest_hold(100).unwrap(), Some(7), "held twice, given back once");
    // The lock of the file is not that of another descriptor of the process.
    drop(std::fs::File::open(dir.path("a.lock")).unwrap());
    assert_eq!(writer.oldest_hold(100).unwrap(), Some(7));
    drop(writer);
    let writer = open(&location, Opening::Write);
    assert_eq!(writer.oldest_hold(100).unwrap(), Some(7), "readers outlive a writer");
    first.release(7);
    assert_eq!(writer.oldest_hold(100).unwrap(), Some(9));
    drop(second);
    assert_eq!(writer.oldest_hold(100).unwrap(), None);
    refused(writer.keep_readers_out(), ErrorKind::Locked);
    drop(first);
    writer.keep_readers_out().unwrap();
    refused(RawFile::open(&location, Opening::Read, RESERVE), ErrorKind::Locked);
    writer.let_readers_in();
    open(&location, Opening::Read);
}

#[test]
fn a_reader_follows_the_length() {
    let dir = Dir::new();
    let location = dir.file("a");
    let writer = made(&dir, On::File, 1);
    let mut reader = open(&location, Opening::Read);
    reader.map().unwrap();
    writer.grow(4 * UNIT).unwrap();
    writer.store(3 * UNIT, 77, Relaxed);
    assert_eq!((reader.len(), reader.load_pair(3 * UNIT, Relaxed)), (UNIT, None));
    assert_eq!(reader.follow().unwrap(), 4 * UNIT);
    assert_eq!(reader.load(3 * UNIT, Relaxed), 77);
    writer.cut(2 * UNIT).unwrap();
    assert_eq!((reader.follow().unwrap(), reader.len()), (2 * UNIT, 4 * UNIT));
    let mut short = RawFile::open(&location, Opening::Read, 0).unwrap();
    short.map().unwrap();
    writer.grow(8 * UNIT).unwrap();
    refused(short.follow(), ErrorKind::OutOfSpace);
}

#[test]
fn what_may_not_be_opened() {
    let dir = Dir::new();
    for opening in [Opening::Create, Opening::Write, Opening::Read] {
        let bare = Location::from(dir.path("a"));
        refused(RawFile::open(&bare, opening, RESERVE), ErrorKind::Unsupported);
        refused(RawFile::open(&dir.file("../a"), opening, RESERVE), ErrorKind::InvalidArgument);
    }
    assert_eq!(crate::support::names(&dir), Vec::<String>::new());
    drop(made(&dir, On::File, 1));
    std::fs::hard_link(dir.path("a"), dir.path("b")).unwrap();
    refused(RawFile::open(&dir.file("b"), Opening::Write, RESERVE), ErrorKind::Unsupported);
    std::os::unix::fs::symlink(dir.path("a"), dir.path("c")).unwrap();
    assert!(RawFile::open(&dir.file("c"), Opening::Write, RESERVE).is_err());
    std::fs::create_dir(dir.path("d")).unwrap();
    refused(RawFile::open(&dir.file("d"), Opening::Read, RESERVE), ErrorKind::Unsupported);
}

#[rstest]
fn words_and_slices_lie_below_the_length(#[values(On::File, On::Memory)] on: On) {
    let dir = Dir::new();
    let file = made(&dir, on, 1);
    file.store(UNIT - 8, 7, Relaxed);
    assert_eq!(file.load(UNIT - 8, Relaxed), 7);
    for offset in [1, 4, 7, UNIT - 7, UNIT - 4, UNIT, 2 * UNIT, u64::MAX, u64::MAX - 7] {
        panics(|| file.load(offset, Relaxed));
        panics(|| file.store(offset, 1, Relaxed));
        file.prefetch(offset);
    }
    for (offset, len) in [(UNIT, 1), (UNIT - 1, 2), (u64::MAX, 2), (u64::MAX, 1), (0, 65_537)] {
        panics(|| file.read_at(offset, &mut vec![0; len]));
        panics(|| fill(&file, offset, &vec![0; len]));
        refused(file.pread(offset, &mut vec![0; len]), ErrorKind::Truncated);
    }
    fill(&file, UNIT, &[]);
    file.read_at(UNIT, &mut []);
    file.advise(0, UNIT, Advice::Random).unwrap();
    file.populate_write(0, UNIT).unwrap();
    // What was cut is out of bounds at once.
    file.cut(8).unwrap();
    panics(|| file.load(8, Relaxed));
    assert_eq!(file.load(0, Relaxed), 0);
}

#[test]
fn slices_show_and_change_the_bytes() {
    let dir = Dir::new();
    let file = made(&dir, On::File, 1);
    {
        // SAFETY: no other thread has the file, and no other slice of it is alive.
        let changed = unsafe { file.slice_mut(24, 3) };
        changed.copy_from_slice(b"abc");
        // SAFETY: nobody changes the file while the slice lives.
        let shown = unsafe { file.slice(23, 5) };
        assert_eq!(shown, b"\0abc\0");
    }
    assert_eq!(file.load(24, Relaxed), 0x63_6261);
}

#[rstest]
fn bytes_are_written_below_the_length_alone(#[values(On::File, On::Memory)] on: On) {
    let dir = Dir::new();
    let file = made(&dir, on, 1);
    file.write_at(UNIT - 3, b"end").unwrap();
    panics(|| file.write_at(UNIT - 2, b"end"));
    panics(|| file.write_at(u64::MAX, b"x"));
    assert_eq!((file.len(), file.refresh_len().unwrap()), (UNIT, UNIT));
    assert_eq!(bytes(&file)[65_532..], *b"\0end");
}

#[test]
fn a_reader_changes_nothing() {
    let dir = Dir::new();
    drop(made(&dir, On::File, 1));
    let file = open(&dir.file("a"), Opening::Read);
    panics(|| file.store(0, 1, Relaxed));
    panics(|| fill(&file, 0, b"x"));
    refused(file.grow(2 * UNIT), ErrorKind::ReadOnly);
    refused(file.cut(0), ErrorKind::ReadOnly);
    refused(file.zero(0, UNIT), ErrorKind::ReadOnly);
    refused(file.write_at(0, b"x"), ErrorKind::ReadOnly);
    refused(file.punch(0, UNIT), ErrorKind::ReadOnly);
    refused(file.populate_write(0, UNIT), ErrorKind::ReadOnly);
    assert_eq!((file.len(), file.refresh_len().unwrap()), (UNIT, UNIT));
}

#[rstest]
fn zeroed_punched_and_regrown_space_reads_as_zeros(#[values(On::File, On::Memory)] on: On) {
    let dir = Dir::new();
    let file = made(&dir, on, 4);
    assert!(bytes(&file).iter().all(|&byte| byte == 0), "grown");
    fill(&file, 0, &vec![0xaa; 4 << 16]);
    file.zero(0, UNIT).unwrap();
    file.punch(2 * UNIT, UNIT).unwrap();
    file.zero(0, 0).unwrap();
    file.punch(4 * UNIT, 0).unwrap();
    let first: Vec<u8> = bytes(&file).into_iter().step_by(1 << 16).collect();
    assert_eq!(first, [0, 0xaa, 0, 0xaa]);
    let sum = |file: &RawFile| bytes(file).iter().map(|&byte| u64::from(byte)).sum::<u64>();
    assert_eq!(sum(&file), 2 * UNIT * 0xaa);
    // In the middle of a page, of a word and of a unit.
    let short = UNIT + 3 * 4096 + 5;
    file.cut(short).unwrap();
    assert_eq!((file.len(), file.refresh_len().unwrap()), (short, short));
    file.cut(2 * UNIT).unwrap();
    assert_eq!(file.len(), short, "never longer by a cut");
    file.grow(UNIT).unwrap();
    assert_eq!(file.len(), short, "never shorter by growth");
    file.grow(4 * UNIT).unwrap();
    assert_eq!(sum(&file), (3 * 4096 + 5) * 0xaa);
    for (offset, len) in [(1, UNIT), (0, 4096), (4 * UNIT, UNIT), (u64::MAX - UNIT + 1, UNIT)] {
        panics(|| file.zero(offset, len));
        panics(|| file.punch(offset, len));
    }
    file.store(0, 1, Relaxed);
    assert_eq!(file.load(0, Relaxed), 1, "the panics broke nothing");
    refused(file.grow(file.capacity() + 1), ErrorKind::OutOfSpace);
    assert_eq!(file.len(), 4 * UNIT);
}

#[test]
fn punching_gives_blocks_back_and_zeroing_takes_them() {
    let blocks = |dir: &Dir| {
        let metadata = std::fs::metadata(dir.path("a")).unwrap();
        std::os::unix::fs::MetadataExt::blocks(&metadata) * 512
    };
    for dir in [Dir::new(), Dir::fast()] {
        let file = made(&dir, On::File, 16);
        assert!(16 * UNIT <= blocks(&dir), "grown with blocks");
        file.punch(0, 8 * UNIT).unwrap();
        assert!(blocks(&dir) < 9 * UNIT);
        file.zero(0, 16 * UNIT).unwrap();
        assert!(16 * UNIT <= blocks(&dir));
    }
}

#[test]
fn a_full_device_is_an_error_and_nothing_changed() {
    let Some(small) = Small::mount() else { return };
    let file = made(&small.dir, On::File, 8);
    fill(&file, 0, &vec![1; 8 << 16]);
    refused(file.grow(8 << 20), ErrorKind::OutOfSpace);
    assert_eq!((file.len(), file.refresh_len().unwrap()), (8 * UNIT, 8 * UNIT));
    // Without `fallocate` zeros are written until there is no room, and cut again.
    let unsupported = Plan::fail(0, io::ErrorKind::Unsupported).only(Call::Allocate);
    refused(watch(unsupported, || file.grow(8 << 20)).0, ErrorKind::OutOfSpace);
    assert_eq!((file.len(), file.refresh_len().unwrap()), (8 * UNIT, 8 * UNIT));
    small.fill();
    refused(file.grow(9 * UNIT), ErrorKind::OutOfSpace);
    assert!(bytes(&file).iter().all(|&byte| byte == 1));
    // What has its blocks can be zeroed and stored to although nothing is left.
    file.zero(0, 8 * UNIT).unwrap();
    fill(&file, 0, &vec![2; 8 << 16]);
    std::fs::remove_file(small.dir.path("filler")).unwrap();
    file.grow(9 * UNIT).unwrap();
    assert_eq!(file.refresh_len().unwrap(), 9 * UNIT);
}

/// Every way in which growth can be failed, with and without `fallocate`.
#[test]
fn failed_growth_leaves_the_length() {
    let fails = |plan: Plan, kind: ErrorKind| {
        let dir = Dir::new();
        let file = made(&dir, On::File, 1);
        let (grown, trace) = watch(plan, || file.grow(9 * UNIT));
        assert!(trace.failed);
        refused(grown, kind);
        assert_eq!((file.len(), file.refresh_len().unwrap()), (UNIT, UNIT));
        file.grow(9 * UNIT).unwrap();
        assert!(bytes(&file).iter().all(|&byte| byte == 0));
    };
    for (planned, kind) in [
        (io::ErrorKind::StorageFull, ErrorKind::OutOfSpace),
        (io::ErrorKind::QuotaExceeded, ErrorKind::OutOfSpace),
        (io::ErrorKind::FileTooLarge, ErrorKind::OutOfSpace),
        (io::ErrorKind::Other, ErrorKind::Io),
    ] {
        fails(Plan::fail(0, planned).only(Call::Allocate), kind);
    }
    let dir = Dir::new();
    let file = made(&dir, On::File, 1);
    fill(&file, 0, &vec![3; 1 << 16]);
    let unsupported = Plan::fail(0, io::ErrorKind::Unsupported).only(Call::Allocate);
    let (grown, trace) = watch(unsupported, || file.grow(3 * UNIT));
    grown.unwrap();
    assert!(trace.events.contains(&Event::Call(Call::Write)), "zeros are written");
    let (zeroed, _) = watch(unsupported, || file.zero(0, UNIT));
    zeroed.unwrap();
    assert!(bytes(&file).iter().all(|&byte| byte == 0));
    let punch = Plan::fail(0, io::ErrorKind::Unsupported).only(Call::Punch);
    file.store(0, 9, Relaxed);
    let (punched, trace) = watch(punch, || file.punch(0, UNIT));
    punched.unwrap();
    assert!(trace.failed);
    assert_eq!(file.load(0, Relaxed), 9, "nothing happens");
    let failed = Plan::fail(0, io::ErrorKind::Other).only(Call::Truncate);
    refused(watch(failed, || file.cut(UNIT)).0, ErrorKind::Io);
    assert_eq!((file.len(), file.load(2 * UNIT, Relaxed)), (3 * UNIT, 0));
}

#[test]
fn failed_syncs_and_calls_surface() {
    let dir = Dir::new();
    let file = made(&dir, On::File, 1);
    let fail = |call| Plan::fail(0, io::ErrorKind::Other).only(call);
    let (synced, trace) = watch(fail(Call::Sync), || file.sync());
    refused(synced, ErrorKind::Io);
    assert!(!trace.events.contains(&Event::Synced));
    refused(watch(fail(Call::SyncDirectory), || file.sync_directory()).0, ErrorKind::Io);
    refused(watch(fail(Call::Stat), || file.refresh_len()).0, ErrorKind::Io);
    refused(watch(fail(Call::Map), || file.populate_write(0, UNIT)).0, ErrorKind::Io);
    drop(file);
    for nth in 0.. {
        let plan = Plan::fail(nth, io::ErrorKind::Other);
        let (opened, trace) = watch(plan, || {
            RawFile::open(&dir.file("a"), Opening::Write, UNIT)
                .and_then(|mut file| file.map().map(|()| file))
        });
        if !trace.failed {
            assert_eq!(opened.unwrap().len(), UNIT);
            break;
        }
        refused(opened, ErrorKind::Io);
    }
}

#[test]
fn a_file_that_was_cut_is_not_mapped() {
    let dir = Dir::new();
    drop(made(&dir, On::File, 2));
    let mut file = RawFile::open(&dir.file("a"), Opening::Write, RESERVE).unwrap();
    std::fs::OpenOptions::new().write(true).open(dir.path("a")).unwrap().set_len(UNIT).unwrap();
    assert_eq!((file.len(), file.refresh_len().unwrap()), (2 * UNIT, UNIT));
    refused(file.map(), ErrorKind::Truncated);
}

/// Builds the file that the events of one raw file lead to.
fn replay(image: &mut Vec<u8>, trace: &Trace, base: usize) {
    let size = |number: u64| usize::try_from(number).unwrap();
    for event in &trace.events {
        match event {
            Event::Store { at, bytes } => {
                image[at - base..at - base + bytes.len()].copy_from_slice(bytes);
            }
            Event::Written { offset, bytes } => {
                let (start, end) = (size(*offset), size(*offset) + bytes.len());
                image.resize(image.len().max(end), 0);
                image[start..end].copy_from_slice(bytes);
            }
            Event::Length(len) => image.resize(size(*len), 0),
            Event::Zeroed { offset, len } => image[size(*offset)..size(offset + len)].fill(0),
            Event::Call(_) | Event::Mapped(_) | Event::Synced | Event::Mark(_) => {}
        }
    }
}

/// One random change, by every way that there is.
fn change(file: &RawFile, seed: u64) {
    let (number, at) = (mix(seed), mix(seed ^ 1));
    let word = at % (file.len() / 8) * 8;
    let unit = at % (file.len() / UNIT) * UNIT;
    match number % 11 {
        0 if file.len() < 12 * UNIT => file.grow(file.len() + UNIT * (1 + at % 3)).unwrap(),
        1 if 4 * UNIT < file.len() => file.cut(file.len() - UNIT).unwrap(),
        2 => file.zero(unit, UNIT).unwrap(),
        3 => file.punch(unit, UNIT).unwrap(),
        4 => file.sync().unwrap(),
        5 => fill(file, word + at % 7, &number.to_le_bytes()[..1]),
        6 => fill(file, unit, &vec![number.to_le_bytes()[0]; 1 << 16]),
        7 => {
            // SAFETY: no other thread has the file, and no other slice of it is alive.
            let slice = unsafe { file.slice_mut(unit + 3, 5_000) };
            slice.fill(number.to_le_bytes()[1]);
            file.stored(unit + 3, 5_000);
        }
        8 => file.write_at(unit + at % 9, &vec![number.to_le_bytes()[2]; 60_000]).unwrap(),
        _ => file.store(word, number, Release),
    }
}

#[rstest]
fn events_lead_to_the_file_as_it_is(
    #[values(On::File, On::Memory)] on: On,
    #[values(Plan::record(), Plan::fail_from(0, io::ErrorKind::Unsupported).only(Call::Allocate))]
    plan: Plan,
) {
    for seed in 0..8 {
        let dir = Dir::fast();
        let file = made(&dir, on, 4);
        let mut image = bytes(&file);
        for step in 0..20 {
            let ((), trace) = watch(plan, || {
                for number in 0..5 {
                    change(&file, mix(seed) ^ mix(step * 5 + number));
                }
            });
            replay(&mut image, &trace, file.base_address());
            assert!(image == bytes(&file), "seed {seed}, step {step}: {:?}", trace.events.len());
        }
        let path = dir.path("a");
        assert!(on == On::Memory || std::fs::read(path).unwrap() == image);
    }
}

#[test]
fn syncs_and_marks_stand_in_order_and_events_are_cheap() {
    let dir = Dir::new();
    let file = made(&dir, On::File, 1);
    let ((), trace) = watch(Plan::record(), || {
        mark(1);
        file.sync().unwrap();
        mark(2);
        for number in 0..100_000 {
            file.store(number % 8_192 * 8, number, Relaxed);
        }
        // What is only read is no event.
        assert_eq!(file.load(8, Relaxed), 8_192 * 12 + 1);
        mark(3);
    });
    let head = [Event::Mark(1), Event::Call(Call::Sync), Event::Synced, Event::Mark(2)];
    assert_eq!(trace.events[..4], head);
    assert_eq!(trace.events.len(), 100_005);
    assert_eq!(trace.events[100_004], Event::Mark(3));
    mark(4);
    file.stored(0, u64::MAX);
}

#[test]
fn an_identity_lasts_until_the_machine_or_the_file_is_another() {
    let dir = Dir::new();
    let file = made(&dir, On::File, 1);
    let first = file.identity().unwrap();
    assert_ne!(first.boot, [0; 2]);
    assert_ne!((first.device, first.inode, first.mount), (0, 0, 0));
    assert_eq!((first.links, file.names_this()), (1, true));
    drop(file);
    let file = open(&dir.file("a"), Opening::Write);
    assert_eq!(file.identity().unwrap(), first);
    let machine = Machine { boot: [7, 8], mount: 9 };
    set_machine(Some(machine));
    let other = file.identity().unwrap();
    assert_eq!((other.boot, other.mount), (machine.boot, machine.mount));
    assert_eq!((other.device, other.inode, other.links), (first.device, first.inode, 1));
    set_machine(None);
    assert_eq!(file.identity().unwrap(), first);
    std::fs::rename(dir.path("a"), dir.path("b")).unwrap();
    assert!(!file.names_this());
    std::fs::write(dir.path("a"), b"").unwrap();
    assert!(!file.names_this(), "another file has the name");
    std::fs::remove_file(dir.path("b")).unwrap();
    assert_eq!(file.identity().unwrap().links, 0);
}

#[test]
fn memory_is_nobodys() {
    let (one, two) = (RawFile::memory(UNIT).unwrap(), RawFile::memory(UNIT).unwrap());
    let identity = one.identity().unwrap();
    assert_eq!(identity, one.identity().unwrap());
    assert_ne!(identity.inode, two.identity().unwrap().inode);
    assert_eq!((identity.boot, identity.device, identity.mount, identity.links), ([0; 2], 0, 0, 0));
    assert!(one.names_this() && one.is_memory() && one.is_writable());
    assert_eq!((one.path(), one.len()), (std::path::Path::new("(memory)"), 0));
    panics(|| one.load(0, Relaxed));
    one.sync().unwrap();
    one.sync_directory().unwrap();
    refused(one.grow(one.capacity() + 1), ErrorKind::OutOfSpace);
}

/// Readers in another thread see what is behind a word that they loaded.
#[rstest]
fn words_publish_what_was_filled_before(#[values(On::File, On::Memory)] on: On) {
    let dir = Dir::new();
    let file = made(&dir, on, 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=1_000u64 {
                let offset = file.len();
                file.grow(offset + 64).unwrap();
                fill(&file, offset, &[number.to_le_bytes()[0]; 64]);
                file.store(0, offset, Release);
            }
        });
        let mut offset = 0;
        while offset < UNIT + 999 * 64 {
            offset = file.load(0, Acquire);
            if UNIT <= offset {
                let mut seen = [0; 64];
                file.read_at(offset, &mut seen);
                assert_eq!(seen, [((offset - UNIT) / 64 + 1).to_le_bytes()[0]; 64]);
            }
        }
    });
}
