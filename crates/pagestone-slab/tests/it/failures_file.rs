//! Full disks, failed calls and kills: an error, with nothing lost.

use std::{collections::BTreeMap, io};

use pagestone_heap::{RegionFile, Verify, Writer};
use pagestone_slab::{
    ErrorKind, FileInterner, FileStore, Growth, Result, SlabFile, SlotId, Symbol,
};
use pagestone_storage::seam::{Call, Plan, watch};
use pagestone_testkit::{
    child::{self, Child},
    faults::Scenario,
};

use super::file::{Dice, Scene};

type Strings = BTreeMap<Vec<u8>, (Symbol, u64)>;

/// An open file with what it holds.
struct Opened {
    scene: Scene,
    file: RegionFile,
    store: FileStore,
    tags: FileInterner,
    objects: BTreeMap<SlotId, Vec<u8>>,
    strings: Strings,
    /// How many are added, and half as many once more.
    count: u64,
}

fn long(number: u64) -> Vec<u8> {
    let len = [10_usize, 100, 9000, 70_000][usize::try_from(number % 4).unwrap()];
    let mut bytes = number.to_le_bytes().repeat(len.div_ceil(8));
    bytes.truncate(len);
    bytes
}

impl Opened {
    fn new(count: u64) -> Self {
        let scene = Scene::fast();
        let file = scene.file();
        let store = file.objects("objects").unwrap();
        let tags = file.counted_interner("tags").unwrap();
        let (objects, strings) = (BTreeMap::new(), Strings::new());
        let mut opened = Self { scene, file, store, tags, objects, strings, count };
        (0..8).try_for_each(|number| opened.add(number)).unwrap();
        opened.file.commit().unwrap();
        opened
    }

    fn add(&mut self, number: u64) -> Result<()> {
        let object = long(number);
        let id = self.store.add(&mut self.file.writer(), &object)?;
        self.objects.insert(id, object.clone());
        self.intern(object)
    }

    fn intern(&mut self, string: Vec<u8>) -> Result<()> {
        let symbol = self.tags.intern(&mut self.file.writer(), &string)?;
        let entry = self.strings.entry(string).or_insert((symbol, 0));
        assert_eq!(entry.0, symbol);
        entry.1 += 1;
        Ok(())
    }

    fn release(&mut self, string: &[u8]) -> Result<()> {
        let Some((symbol, count)) = self.strings.get_mut(string) else { return Ok(()) };
        *count = self.tags.release(&mut self.file.writer(), *symbol)?;
        if *count == 0 {
            self.strings.remove(string);
        }
        Ok(())
    }

    /// Adds and removes over several slabs and blocks, saves, commits, closes.
    fn work(&mut self) -> Result<()> {
        let first = 100..100 + self.count;
        first.clone().try_for_each(|number| self.add(number))?;
        self.tags.save(&mut self.file.writer())?;
        for number in first.step_by(3) {
            self.intern(long(number))?;
            self.release(&long(number + 1))?;
        }
        let ids: Vec<SlotId> = self.objects.keys().copied().step_by(3).collect();
        for id in ids {
            self.store.remove(&mut self.file.writer(), id)?;
            self.objects.remove(&id);
        }
        self.file.commit()?;
        (200..200 + self.count / 2).try_for_each(|number| self.add(number))?;
        self.tags.save(&mut self.file.writer())?;
        Ok(self.file.clone().close()?)
    }
}

#[track_caller]
fn check((file, store, tags): (&RegionFile, &FileStore, &FileInterner), opened: &Opened) {
    let pin = file.pin();
    let found: BTreeMap<SlotId, Vec<u8>> =
        store.ids(&pin).unwrap().map(|id| (id, store.get(&pin, id).unwrap().to_vec())).collect();
    assert!(found == opened.objects);
    assert_eq!(tags.len(&pin).unwrap(), opened.strings.len() as u64);
    for (string, (symbol, count)) in &opened.strings {
        assert_eq!(tags.lookup(&pin, string).unwrap(), Some(*symbol));
        assert_eq!(tags.resolve(&pin, *symbol).unwrap(), string);
        assert_eq!(tags.ref_count(&pin, *symbol).unwrap(), *count);
    }
    let report = file.verify(Verify::new()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.problems);
}

/// What returned is there, at once, after more work, and after a reopen.
#[track_caller]
fn check_lost_nothing(mut opened: Opened, done: &Result<()>) {
    if let Err(error) = done {
        assert!(error.to_string().contains("file.pgs"), "{error}");
    }
    let poisoned = opened.file.commit().is_err();
    if !poisoned {
        // A call that failed in its midst may have left a string that nobody holds.
        let more = opened.count / 2;
        for number in (0..8).chain(100..100 + opened.count).chain(200..200 + more) {
            let known = opened.strings.get(&long(number)).copied();
            if let (None, Some(symbol)) =
                (known, opened.tags.lookup(&opened.file.pin(), &long(number)).unwrap())
            {
                let held = opened.tags.ref_count(&opened.file.pin(), symbol).unwrap();
                assert_eq!(held, 0, "{done:?}");
                opened.tags.release(&mut opened.file.writer(), symbol).unwrap();
            }
        }
        check((&opened.file, &opened.store, &opened.tags), &opened);
        (300..300 + more).try_for_each(|number| opened.add(number)).unwrap();
        check((&opened.file, &opened.store, &opened.tags), &opened);
        opened.file.commit().unwrap();
    }
    let Opened { scene, file, store, tags, objects, strings, count } = opened;
    drop((file, store, tags));
    let file = scene.file();
    let (store, tags) = (file.objects("objects").unwrap(), file.interner("tags").unwrap());
    if poisoned {
        // As of the last commit, or later.
        let pin = file.pin();
        assert!(store.ids(&pin).unwrap().all(|id| !store.get(&pin, id).unwrap().is_empty()));
        assert!(8 <= tags.len(&pin).unwrap());
        let report = file.verify(Verify::new()).unwrap();
        assert!(report.is_clean(), "{:#?}", report.problems);
        return;
    }
    let views = (file.clone(), store.clone(), tags.clone());
    let expected = Opened { scene, file, store, tags, objects, strings, count };
    check((&views.0, &views.1, &views.2), &expected);
}

/// An open file whose first region of blocks is so full that the next long object makes it grow.
fn nearly_full() -> Opened {
    let mut opened = Opened::new(4);
    (11..20).step_by(4).try_for_each(|number| opened.add(number)).unwrap();
    let object = long(23);
    let id = opened.store.add(&mut opened.file.writer(), &object).unwrap();
    opened.objects.insert(id, object);
    opened.file.commit().unwrap();
    opened
}

/// Fails when a slot is taken before the long object that it names has its block.
#[test]
fn every_call_that_fails_loses_nothing() {
    let opened = nearly_full();
    let before = opened.file.stats().file_len;
    opened.store.add(&mut opened.file.writer(), &long(103)).unwrap();
    assert!(before < opened.file.stats().file_len, "a long object makes the file grow");
    let scenario = Scenario {
        prepare: nearly_full,
        work: Opened::work,
        check: |opened, done| check_lost_nothing(opened, &done),
    };
    let calls = scenario.fail_each_call(io::ErrorKind::Other);
    assert!(8 < calls, "{calls} calls");
}

#[test]
fn a_full_disk_loses_nothing_wherever_it_comes() {
    for nth in 0.. {
        let mut opened = Opened::new(60);
        let plan = Plan::fail(nth, io::ErrorKind::StorageFull).only(Call::Allocate);
        let (done, trace) = watch(plan, || opened.work());
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

/// A store of long objects alone, whose slabs have one slot, so that they come and go with it.
struct Spilling {
    _scene: Scene,
    file: RegionFile,
    store: FileStore,
    ids: Vec<SlotId>,
}

impl Spilling {
    fn new() -> Self {
        let scene = Scene::fast();
        let file = scene.file();
        let growth = Growth::default().first_slots(1).slab_len_max(1).keep_vacant(0.01);
        let store = file.objects_with("objects", growth).unwrap();
        let mut spilling = Self { _scene: scene, file, store, ids: Vec::new() };
        (0..3).for_each(|number| spilling.add(number).unwrap());
        spilling.file.commit().unwrap();
        spilling
    }

    fn add(&mut self, number: u8) -> Result<()> {
        // Some in blocks of a region, some with a region each.
        let object = vec![number; if number.is_multiple_of(2) { 70_000 } else { 300_000 }];
        let id = self.store.add(&mut self.file.writer(), &object)?;
        self.ids.push(id);
        Ok(())
    }

    /// Adds, replaces and removes; all of it where `is_cleared`.
    fn work(&mut self, is_cleared: bool) -> Result<()> {
        (10..15).try_for_each(|number| self.add(number))?;
        for nth in 0..3 {
            let id = self.ids[nth];
            self.ids[nth] = self.store.replace(&mut self.file.writer(), id, &vec![7; 80_000])?;
        }
        for id in self.ids.split_off(4) {
            self.store.remove(&mut self.file.writer(), id)?;
        }
        if is_cleared {
            self.store.clear(&mut self.file.writer())?;
        }
        Ok(())
    }

    /// Each object has its block, and each block its object.
    #[track_caller]
    fn check(&self, what: &str) {
        let pin = self.file.pin();
        for id in self.store.ids(&pin).unwrap() {
            assert!(65_536 < self.store.get(&pin, id).unwrap().len(), "{what}");
        }
        let heap = self.file.heap("objects.spilled").unwrap();
        let named: Vec<_> = self.store.spilled(&pin).unwrap().collect();
        let mut lost = heap.orphans(&pin, named).unwrap();
        let (count, dangling) = (lost.by_ref().count(), lost.dangling());
        assert_eq!((count, dangling), (0, 0), "{what}: blocks of no object, and objects of none");
    }
}

/// Fails when a block stays whose object was not added, or was removed.
#[test]
fn a_call_that_fails_leaves_no_block_without_its_object() {
    for (is_cleared, is_lasting) in [(false, false), (true, false), (true, true)] {
        let mut looked = 0;
        for nth in 0.. {
            let mut spilling = Spilling::new();
            let kind = io::ErrorKind::StorageFull;
            let plan = if is_lasting { Plan::fail_from(nth, kind) } else { Plan::fail(nth, kind) };
            let (done, trace) = watch(plan, || spilling.work(is_cleared));
            if !trace.failed {
                done.unwrap();
                spilling.check("nothing failed");
                assert!(10 < nth && 5 < looked, "{nth} calls, {looked} errors");
                break;
            }
            looked += u32::from(done.is_err());
            // What broke off in the midst of a poisoned file is for its next open.
            if spilling.file.commit().is_ok() {
                spilling.check(&format!("call {nth}, {done:?}"));
                spilling.add(50).unwrap();
                spilling.check(&format!("call {nth}, and an add"));
            }
            let report = spilling.file.verify(Verify::new()).unwrap();
            assert!(report.is_clean(), "call {nth}: {:#?}", report.problems);
        }
    }
}

/// Strings of the child that is killed.
const STRINGS: u64 = 60;
const TEST: &str = "failures_file::what_a_killed_process_did_is_there";

fn name(number: u64) -> Vec<u8> {
    let len = if number % 20 == 7 { 70_000 } else { 5 + number * 10 };
    number.to_le_bytes().into_iter().cycle().take(usize::try_from(len).unwrap()).collect()
}

/// Which string the next step is about, and whether it is held once more where it is there.
fn choose(dice: &mut Dice) -> (u64, bool) {
    (dice.below(STRINGS), dice.below(2) == 0)
}

fn step((writer, tags): (&mut Writer<'_>, &FileInterner), (number, more): (u64, bool)) {
    let known = tags.lookup(&tags.file().pin(), &name(number)).unwrap();
    match known {
        Some(symbol) if !more => drop(tags.release(writer, symbol).unwrap()),
        _ => drop(tags.intern(writer, &name(number)).unwrap()),
    }
}

fn run_child(errand: &str) {
    let (seed, folder) = errand.split_once(' ').unwrap();
    let file = Scene::file_in(folder.as_ref());
    let tags = file.counted_interner("tags").unwrap();
    let mut dice = Dice(seed.parse().unwrap());
    for number in 1.. {
        let chosen = choose(&mut dice);
        step((&mut file.writer(), &tags), chosen);
        child::acknowledge(number);
        if number % 50 == 0 {
            file.commit().unwrap();
        }
        if number % 70 == 0 {
            tags.save(&mut file.writer()).unwrap();
        }
    }
}

#[test]
fn what_a_killed_process_did_is_there() {
    if let Some(errand) = child::errand() {
        return run_child(&errand);
    }
    let scene = Scene::fast();
    let mut held: BTreeMap<u64, u64> = BTreeMap::new();
    scene.file().counted_interner("tags").unwrap();
    let mut dice = Dice(7);
    for seed in 0..8 {
        let folder = scene.path().parent().unwrap().display().to_string();
        let mut child = Child::start(TEST, &format!("{seed} {folder}"));
        child.wait_for(1 + dice.below(400));
        let done = child.kill(dice.below(200)).unwrap();
        let mut theirs = Dice(seed);
        for _ in 0..done {
            let (number, more) = choose(&mut theirs);
            let count = held.entry(number).or_default();
            *count = if more || *count == 0 { *count + 1 } else { *count - 1 };
        }
        let (cut, _) = choose(&mut theirs);
        let file = scene.file();
        let tags = file.interner("tags").unwrap();
        let pin = file.pin();
        for number in 0..STRINGS {
            let symbol = tags.lookup(&pin, &name(number)).unwrap();
            let count = symbol.map_or(0, |symbol| tags.ref_count(&pin, symbol).unwrap());
            let expected = held.entry(number).or_default();
            if number == cut {
                // What it was about to do, in part; who is held by nobody goes.
                assert!(expected.abs_diff(count) <= 1, "{number}: {count} for {expected}");
                if let Some(symbol) = symbol.filter(|_| count == 0) {
                    tags.release(&mut file.writer(), symbol).unwrap();
                }
                *expected = count;
            } else {
                assert_eq!(count, *expected, "seed {seed}, step {done}: {number}");
                assert_eq!(symbol.is_some(), 0 < count);
            }
            if let Some(symbol) = symbol.filter(|_| 0 < count) {
                assert_eq!(tags.resolve(&pin, symbol).unwrap(), name(number));
            }
        }
        let report = file.verify(Verify::new()).unwrap();
        assert!(report.is_clean(), "{:#?}", report.problems);
    }
}
