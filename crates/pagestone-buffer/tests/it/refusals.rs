//! Full disks, failed calls and ids that name nothing: an error, with nothing lost.

use std::{collections::BTreeMap, io};

use pagestone_buffer::{Budget, Buffers, Compact, EntryBuffer, EntryId, State};
use pagestone_heap::{ErrorKind, RegionFile, Result};
use pagestone_storage::seam::{Call, Plan, watch};
use pagestone_testkit::faults::Scenario;

use crate::support::{Scene, check_clean, options};

type Entries = BTreeMap<EntryId, Vec<u8>>;

/// An open buffer with what it holds.
struct Opened {
    scene: Scene,
    file: RegionFile,
    buffer: EntryBuffer,
    entries: Entries,
}

fn contents(buffer: &EntryBuffer) -> Entries {
    let pin = buffer.file().pin();
    buffer.ids(&pin).map(|id| (id, buffer.get(&pin, id).unwrap().to_vec())).collect()
}

/// Content of some length that shows its number at both ends.
fn long(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[len - 8..].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn prepared() -> Opened {
    let scene = Scene::fast();
    let file = scene.create();
    let buffer = file.buffer("buffer").unwrap();
    let mut opened = Opened { scene, file, buffer, entries: Entries::new() };
    (0..8).try_for_each(|number| add(&mut opened, number)).unwrap();
    opened.file.commit().unwrap();
    opened
}

fn add(opened: &mut Opened, number: u64) -> Result<()> {
    let content = long(number, 60_000);
    let id = opened.buffer.add(&mut opened.file.writer(), &content)?;
    opened.entries.insert(id, content);
    Ok(())
}

/// Adds, updates and removes over several segments; compacts them with commits; closes.
fn work(opened: &mut Opened) -> Result<()> {
    (100..116).try_for_each(|number| add(opened, number))?;
    let ids: Vec<EntryId> = opened.entries.keys().copied().collect();
    for id in ids.iter().step_by(4) {
        let content = long(id.to_bits(), 90_000);
        opened.buffer.update(&mut opened.file.writer(), *id, &content)?;
        opened.entries.insert(*id, content);
    }
    for id in ids.iter().skip(1).step_by(3) {
        opened.buffer.remove(&mut opened.file.writer(), *id)?;
        opened.entries.remove(id);
    }
    opened.file.commit()?;
    opened.buffer.compact(Compact::new().budget(Budget::bytes(100_000)))?;
    add(opened, 200)?;
    opened.file.clone().close()
}

#[track_caller]
fn check_lost_nothing(opened: Opened, done: &Result<()>) {
    let Opened { scene, file, buffer, entries } = opened;
    if let Err(error) = done {
        assert!(error.to_string().contains("file.pgs"), "{error}");
    }
    assert!(contents(&buffer) == entries, "{done:?}: the newest state is what returned");
    let poisoned = file.commit().is_err();
    if !poisoned {
        // What a full disk broke off goes on later.
        assert_eq!(buffer.compact(Compact::new()).unwrap().state, State::Done);
        assert!(contents(&buffer) == entries, "{done:?}: after a compaction");
        check_clean(&file);
    }
    drop((buffer, file));
    let file = scene.open();
    let buffer = file.buffer("buffer").unwrap();
    let found = contents(&buffer);
    assert!(poisoned || found == entries, "{done:?}: after a reopen too");
    assert!(found.values().all(|bytes| bytes[..8] == bytes[bytes.len() - 8..]));
    check_clean(&file);
}

#[test]
fn every_call_that_fails_loses_nothing() {
    let scenario = Scenario {
        prepare: prepared,
        work,
        check: |opened, done| check_lost_nothing(opened, &done),
    };
    let calls = scenario.fail_each_call(io::ErrorKind::Other);
    assert!(12 < calls, "{calls} calls");
}

#[test]
fn a_full_disk_loses_nothing_wherever_it_comes() {
    for nth in 0.. {
        let mut opened = prepared();
        let plan = Plan::fail(nth, io::ErrorKind::StorageFull).only(Call::Allocate);
        let (done, trace) = watch(plan, || work(&mut opened));
        if !trace.failed {
            assert!(2 < nth, "{nth} growths");
            return;
        }
        if let Err(error) = &done {
            assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{error}");
        }
        check_lost_nothing(opened, &done);
    }
}

#[test]
fn a_failed_sync_poisons_until_the_file_is_reopened() {
    for nth in 0.. {
        let mut opened = prepared();
        let plan = Plan::fail(nth, io::ErrorKind::Other).only(Call::Sync);
        let (done, trace) = watch(plan, || work(&mut opened));
        if !trace.failed {
            assert!(5 < nth, "{nth} syncs");
            return;
        }
        let Opened { scene, file, buffer, entries } = opened;
        let kind = done.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Io | ErrorKind::CommitOutcomeUnknown), "{kind:?}");
        let id = *entries.keys().next().unwrap();
        let check = |refused: Result<()>| {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        };
        check(buffer.add(&mut file.writer(), b"").map(drop));
        check(buffer.update(&mut file.writer(), id, b""));
        check(buffer.remove(&mut file.writer(), id));
        check(buffer.compact(Compact::new().least_garbage(0.0)).map(drop));
        check(file.commit());
        assert!(contents(&buffer) == entries, "reads go on");
        drop((buffer, file));
        let file = scene.open();
        let buffer = file.buffer("buffer").unwrap();
        check_clean(&file);
        buffer.compact(Compact::new()).unwrap();
        buffer.add(&mut file.writer(), b"works again").unwrap();
        drop(buffer);
        file.close().unwrap();
    }
}

#[test]
fn ids_that_name_nothing_are_refused() {
    let file = options().in_memory().unwrap();
    let (buffer, other) = (file.buffer("buffer").unwrap(), file.buffer("other").unwrap());
    let mut writer = file.writer();
    let ids = [0_u8, 1, 2].map(|number| buffer.add(&mut writer, &[number; 100]).unwrap());
    let foreign = other.add(&mut writer, b"of another buffer").unwrap();
    let place = buffer.header(&file.pin(), ids[0]).unwrap().offset;
    let [first, max] = [ids[0].to_bits(), (1 << 24) - 1];
    let bits = [
        0,
        1,
        u64::MAX,
        1 << 63,
        first + 1,
        first - 1,
        first | max,
        first & !max,
        first + (1 << 40),
        // The place of an entry and one inside of it are no ids.
        place,
        place + 40,
        place / 16,
        foreign.to_bits(),
    ];
    let pin = file.pin();
    for bits in bits.into_iter().filter(|bits| ids.iter().all(|id| id.to_bits() != *bits)) {
        let id = EntryId::from_bits(bits);
        let check = |refused: Result<()>| {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StaleId, "{bits:#x}: {error}");
        };
        check(buffer.get(&pin, id).map(drop));
        check(buffer.header(&pin, id).map(drop));
        check(buffer.update(&mut writer, id, b"no"));
        check(buffer.remove(&mut writer, id));
        assert!(!buffer.contains(&pin, id));
    }
    for (number, id) in (0_u8..).zip(ids) {
        assert_eq!(buffer.get(&pin, id).unwrap(), [number; 100]);
    }
}
