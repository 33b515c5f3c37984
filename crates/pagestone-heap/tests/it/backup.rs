//! Copies of a file in use: exactly one commit's state, whatever goes on beside.

use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use pagestone_heap::{Backup, BlockId, Durability, ErrorKind, Heap, HeapOptions, RegionFile};
use pagestone_storage::seam::{Plan, watch};
use rstest::rstest;

use crate::{
    crash::view::contents as all,
    support::{Dice, Scene, check_clean, mark_of, marked, options},
};

const OVER: usize = 400_000;

/// Two heaps with blocks of all lengths, a freed region and roots; committed in part.
fn fill(file: &RegionFile) -> BTreeMap<u64, BlockId> {
    let heaps = [file.heap("plain"), file.heap_with("summed", HeapOptions::new().checksums(true))];
    let heaps = heaps.map(Result::unwrap);
    let mut writer = file.writer();
    let mut ids = BTreeMap::new();
    for number in 0..60 {
        let len = [30, 700, 20_000, OVER][usize::try_from(number % 4).unwrap()];
        let heap = &heaps[usize::try_from(number % 2).unwrap()];
        ids.insert(number, heap.allocate_from(&mut writer, &marked(number, len)).unwrap());
    }
    for number in [3, 7, 8, 21] {
        let id = ids.remove(&number).unwrap();
        heaps[usize::try_from(number % 2).unwrap()].free(&mut writer, id).unwrap();
        if number == 8 {
            writer.commit().unwrap();
        }
    }
    heaps[0].set_flags(&mut writer, ids[&0], 77).unwrap();
    writer.set_root("first", ids[&0]).unwrap();
    ids
}

fn heap_of(file: &RegionFile, number: u64) -> Heap {
    file.heap(["plain", "summed"][usize::try_from(number % 2).unwrap()]).unwrap()
}

#[test]
fn a_backup_is_the_file_as_committed() {
    let scene = Scene::fast();
    let file = scene.create();
    std::fs::set_permissions(
        scene.path("file.pgs"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )
    .unwrap();
    let ids = fill(&file);
    let generation = file.generation();
    let expected = all(&file).unwrap();
    let made = file.backup(scene.at("copy.pgs"), Backup::new()).unwrap();
    assert_eq!(made.generation, generation + 1, "it commits first");
    assert_eq!(file.generation(), made.generation);
    let metadata = std::fs::metadata(scene.path("copy.pgs")).unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o777), (made.len, 0o640));
    assert!(made.copied < made.len, "what was freed is not copied");
    assert!(metadata.blocks() * 512 < made.len, "but is a hole");
    assert!(!scene.path(".copy.pgs.new").exists());
    let reader = options().open_read_only(scene.at("copy.pgs")).unwrap();
    assert!(all(&reader).unwrap() == expected);
    check_clean(&reader);
    drop(reader);
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    assert_eq!((copy.uuid(), copy.generation()), (file.uuid(), made.generation));
    assert!(all(&copy).unwrap() == expected);
    check_clean(&copy);
    // Both go on, each for itself.
    for (file, seed) in [(&file, 1000), (&copy, 2000)] {
        let mut writer = file.writer();
        for number in ids.keys() {
            let content = marked(number + seed, 900);
            heap_of(file, *number).put(&mut writer, ids[number], &content).unwrap();
        }
        writer.commit().unwrap();
        drop(writer);
        check_clean(file);
    }
    copy.close().unwrap();
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    for (number, id) in &ids {
        let pin = copy.pin();
        assert_eq!(mark_of(heap_of(&copy, *number).get(&pin, *id).unwrap()), Some(number + 2000));
    }
    check_clean(&copy);
}

#[test]
fn what_goes_on_beside_is_not_in_it() {
    let scene = Scene::fast();
    for seed in 0..6 {
        let name = format!("copy{seed}.pgs");
        let file = options().create(scene.at(&format!("file{seed}.pgs"))).unwrap();
        fill(&file);
        let expected = all(&file).unwrap();
        let mut dice = Dice::new(seed);
        let mut calls = 0;
        // Between two pieces nobody holds the lock: everything may happen here.
        let mut hook = |_| {
            calls += 1;
            change_all(&file, &mut dice);
            ControlFlow::Continue(())
        };
        file.backup(scene.at(&name), Backup::new().progress(&mut hook)).unwrap();
        assert!(5 < calls, "{calls}");
        assert!(all(&file).unwrap() != expected);
        check_clean(&file);
        let copy = options().open(scene.at(&name)).unwrap();
        assert!(all(&copy).unwrap() == expected, "seed {seed}");
        check_clean(&copy);
        // Once the pin is gone the space is used again.
        file.commit().unwrap();
        file.heap("plain").unwrap().allocate_from(&mut file.writer(), b"x").unwrap();
        assert_eq!(file.stats().pins, 0);
    }
}

/// Frees, replaces and makes blocks, then commits, discards or neither.
fn change_all(file: &RegionFile, dice: &mut Dice) {
    for name in ["plain", "summed"] {
        let heap = file.heap(name).unwrap();
        let ids: Vec<_> = {
            let pin = file.pin();
            heap.blocks(&pin).map(|block| block.unwrap().0).collect()
        };
        let mut writer = file.writer();
        for id in ids {
            match dice.below(4) {
                0 => heap.free(&mut writer, id).unwrap(),
                1 => heap.put(&mut writer, id, &vec![0xee; dice.len()]).unwrap(),
                _ => {}
            }
        }
        for _ in 0..5 {
            let len = if dice.below(3) == 0 { OVER } else { dice.len() };
            heap.allocate_from(&mut writer, &vec![0xdd; len]).unwrap();
        }
        match dice.below(3) {
            0 => writer.discard().unwrap(),
            1 => writer.commit().unwrap(),
            _ => {}
        }
    }
}

#[rstest]
#[case::by_the_writer(false)]
#[case::by_a_reader(true)]
fn backups_beside_writers_show_whole_commits(#[case] reads: bool) {
    let scene = Scene::fast();
    let file = scene.create();
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let source = if reads { &reader } else { &file };
    let heap = file.heap("blocks").unwrap();
    let lens = [16, 300, 40_000, OVER];
    let counters: Vec<BlockId> = {
        let mut writer = file.writer();
        lens.map(|len| heap.allocate_from(&mut writer, &marked(0, len)).unwrap()).to_vec()
    };
    file.commit().unwrap();
    let (count, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let write = || {
        let mut dice = Dice::new(5);
        let mut others = Vec::new();
        while !over.load(Ordering::Acquire) {
            let mut writer = file.writer();
            let next = count.load(Ordering::Acquire) + 1;
            // All of them in one writer: no commit shows some.
            for (id, len) in counters.iter().zip(lens) {
                heap.put(&mut writer, *id, &marked(next, len)).unwrap();
            }
            if others.len() < 40 {
                let content = marked(next, dice.len().max(16));
                others.push(heap.allocate_from(&mut writer, &content).unwrap());
            } else {
                heap.free(&mut writer, others.swap_remove(dice.nth(others.len()))).unwrap();
            }
            count.store(next, Ordering::Release);
            if dice.below(3) == 0 {
                writer.commit().unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(write);
        let _over = Sets(&over);
        for round in 0..8 {
            let before = count.load(Ordering::Acquire);
            let name = format!("copy{round}.pgs");
            source.backup(scene.at(&name), Backup::new()).unwrap();
            let after = count.load(Ordering::Acquire);
            let copy = options().open(scene.at(&name)).unwrap();
            check_clean(&copy);
            let (heap, pin) = (copy.heap("blocks").unwrap(), copy.pin());
            let marks: Vec<_> =
                counters.iter().map(|id| mark_of(heap.get(&pin, *id).unwrap()).unwrap()).collect();
            assert!(marks.iter().all(|mark| *mark == marks[0]), "{marks:?}");
            // What the writer did not commit a reader does not see.
            let least = if reads { 0 } else { before };
            assert!((least..=after).contains(&marks[0]), "{before} {marks:?} {after}");
            for block in heap.blocks(&pin) {
                mark_of(block.unwrap().1).unwrap();
            }
        }
    });
    check_clean(&file);
}

/// Says that it is over, also where an assertion fails.
struct Sets<'o>(&'o AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn a_file_opened_for_reading_is_backed_up_as_of_its_commit() {
    let scene = Scene::fast();
    let file = scene.create();
    let ids = fill(&file);
    file.commit().unwrap();
    let (expected, generation) = (all(&file).unwrap(), file.generation());
    // What follows is in the file, as a kill leaves it, and in no commit.
    for (number, id) in ids {
        let heap = heap_of(&file, number);
        let mut writer = file.writer();
        match number % 3 {
            0 => heap.free(&mut writer, id).unwrap(),
            1 => heap.put(&mut writer, id, &marked(number + 1, OVER)).unwrap(),
            _ => drop(heap.allocate_from(&mut writer, b"new").unwrap()),
        }
    }
    file.writer().remove_root("first").unwrap();
    drop(file);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let made = reader.backup(scene.at("copy.pgs"), Backup::new()).unwrap();
    assert_eq!(made.generation, generation);
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    assert!(all(&copy).unwrap() == expected);
    check_clean(&copy);
}

#[test]
fn memory_can_be_backed_up_to_a_file() {
    let scene = Scene::fast();
    let file = options().in_memory().unwrap();
    fill(&file);
    file.backup(scene.at("copy.pgs"), Backup::new()).unwrap();
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    assert!(all(&copy).unwrap() == all(&file).unwrap());
    check_clean(&copy);
}

#[test]
fn a_backup_can_be_broken_off() {
    let scene = Scene::fast();
    let file = scene.create();
    fill(&file);
    let mut last = 0;
    let mut hook = |copied: pagestone_heap::Copied| {
        assert!(last < copied.done && copied.done <= copied.total);
        last = copied.done;
        if copied.total / 2 < copied.done {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let broken = file.backup(scene.at("copy.pgs"), Backup::new().progress(&mut hook));
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(!scene.path("copy.pgs").exists() && !scene.path(".copy.pgs.new").exists());
    assert_eq!(file.stats().pins, 0);
    let mut done = (0, 0);
    let mut hook = |copied: pagestone_heap::Copied| {
        done = (copied.done, copied.total);
        ControlFlow::Continue(())
    };
    let made = file.backup(scene.at("copy.pgs"), Backup::new().progress(&mut hook)).unwrap();
    assert_eq!(done, (made.copied, made.copied));
}

#[test]
fn what_is_there_is_not_replaced_and_scratch_has_no_state() {
    let scene = Scene::fast();
    let file = scene.create();
    let kind =
        |file: &RegionFile, to: &str| file.backup(scene.at(to), Backup::new()).unwrap_err().kind();
    assert_eq!(kind(&file, "file.pgs"), ErrorKind::AlreadyExists);
    std::fs::write(scene.path("copy.pgs"), b"mine").unwrap();
    assert_eq!(kind(&file, "copy.pgs"), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(scene.path("copy.pgs")).unwrap(), b"mine");
    assert_eq!(kind(&file, "../copy.pgs"), ErrorKind::InvalidArgument);
    let scratch = options().durability(Durability::Scratch).in_memory().unwrap();
    assert_eq!(kind(&scratch, "other.pgs"), ErrorKind::Unsupported);
    assert_eq!(file.stats().pins, 0);
}

#[test]
fn each_call_that_fails_leaves_the_file_as_it_was() {
    for nth in 0.. {
        let scene = Scene::fast();
        let file = scene.create();
        fill(&file);
        let expected = all(&file).unwrap();
        let plan = Plan::fail(nth, io::ErrorKind::StorageFull);
        let (made, trace) = watch(plan, || file.backup(scene.at("copy.pgs"), Backup::new()));
        if !trace.failed {
            made.unwrap();
            break;
        }
        assert!(!scene.path(".copy.pgs.new").exists(), "call {nth}");
        assert!(all(&file).unwrap() == expected, "call {nth}");
        let poisoned = file.commit().is_err_and(|error| error.kind() == ErrorKind::Poisoned);
        match made {
            // A cut of the tail behind the commit may fail, and a look at the mount.
            Ok(_) => {}
            // A commit that fails poisons, as always.
            Err(_) if poisoned => continue,
            Err(error) => assert_eq!(error.kind(), ErrorKind::OutOfSpace, "call {nth}: {error}"),
        }
        check_clean(&file);
        if let Ok(copy) = options().open(scene.at("copy.pgs")) {
            assert!(all(&copy).unwrap() == expected, "call {nth}");
        } else {
            file.backup(scene.at("copy.pgs"), Backup::new()).unwrap();
        }
    }
}
