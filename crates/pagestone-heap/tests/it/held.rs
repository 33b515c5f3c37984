//! What readers of other processes hold of a file whose length changes, to the byte.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use pagestone_heap::{BlockId, Durability, ErrorKind, Heap, RegionFile, Result};
use pagestone_storage::seam::{Call, Event, Machine, Plan, set_machine, watch};
use pagestone_testkit::faults::Scenario;

use crate::support::{Scene, budget, mark_of, marked, options, say};

/// Makes a long block and frees it, so that the file grows and is cut, until told to end.
fn grow_and_cut(file: &RegionFile, end: &AtomicBool) -> u64 {
    let heap = file.heap("blocks").unwrap();
    let mut cuts = 0;
    while !end.load(Ordering::Relaxed) {
        let id = heap.allocate_from(&mut file.writer(), &marked(1, 1_000_000)).unwrap();
        file.commit().unwrap();
        let before = file.stats().file_len;
        heap.free(&mut file.writer(), id).unwrap();
        file.commit().unwrap();
        cuts += u64::from(file.stats().file_len < before);
    }
    cuts
}

#[test]
fn a_file_that_grows_and_is_cut_can_be_opened_at_any_moment() {
    let scene = Scene::fast();
    let file = scene.create();
    file.commit().unwrap();
    let (start, budget, end) = (Instant::now(), budget(1.0), AtomicBool::new(false));
    let mut opened = 0;
    let cuts = std::thread::scope(|scope| {
        let writer = scope.spawn(|| grow_and_cut(&file, &end));
        while start.elapsed() < budget {
            let reader = options().open_read_only(scene.at("file.pgs"));
            end.store(reader.is_err(), Ordering::Relaxed);
            drop(reader.unwrap());
            opened += 1;
        }
        end.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert!(0 < cuts, "the file was never cut");
    say(&format!("held: opened {opened} times beside {cuts} cuts"));
}

/// A file with a long block behind all others, both committed.
fn with_long_block(scene: &Scene) -> (RegionFile, Heap, BlockId) {
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    heap.allocate_from(&mut file.writer(), b"short").unwrap();
    let long = heap.allocate_from(&mut file.writer(), &marked(1, 1_000_000)).unwrap();
    file.commit().unwrap();
    (file, heap, long)
}

fn commit_something(file: &RegionFile) {
    let mut writer = file.writer();
    let round = writer.stats().generation;
    writer.set_root("round", BlockId::from_bits(round)).unwrap();
    writer.commit().unwrap();
}

#[test]
fn a_roll_back_cuts_nothing_that_a_reader_holds() {
    let scene = Scene::fast();
    let path = scene.path("file.pgs");
    let len = || std::fs::metadata(&path).unwrap().len();
    let machine = Machine { boot: [5, 5], mount: 5 };
    set_machine(Some(machine));
    let (file, heap, long) = with_long_block(&scene);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let (blocks, pin) = (reader.heap("blocks").unwrap(), reader.pin());
    let slice = blocks.get(&pin, long).unwrap();
    heap.free(&mut file.writer(), long).unwrap();
    file.commit().unwrap();
    // What follows is never committed, and behind the block.
    heap.allocate_from(&mut file.writer(), &marked(2, 600_000)).unwrap();
    let before = len();
    drop((heap, file));
    // By another mount nobody knows what happened to the device, so all of it is undone.
    set_machine(Some(Machine { mount: 6, ..machine }));
    let file = scene.open();
    assert_eq!(len(), before, "the slice of a reader may lie behind the end");
    commit_something(&file);
    assert_eq!(mark_of(slice), Some(1));
    drop(pin);
    commit_something(&file);
    let stats = file.stats();
    assert!(stats.pinned == 0 && 1_500_000 < stats.free_ranges, "{stats:?}");
    set_machine(None);
}

#[test]
fn a_hold_of_the_committed_generation_keeps_no_older_space() {
    let scene = Scene::fast();
    let (file, heap, long) = with_long_block(&scene);
    let [first, second] = [(); 2].map(|()| options().open_read_only(scene.at("file.pgs")).unwrap());
    let older = first.pin();
    heap.free(&mut file.writer(), long).unwrap();
    file.commit().unwrap();
    let newer = second.pin();
    commit_something(&file);
    let waiting = file.stats().pinned;
    assert!(1_000_000 <= waiting, "{waiting} bytes wait for the older pin");
    drop(older);
    commit_something(&file);
    let waiting = file.stats().pinned;
    assert!(waiting < 1_000, "{waiting} bytes wait for a pin that came later");
    drop(newer);
}

#[test]
fn scratch_content_and_readers_exclude_each_other() {
    let scene = Scene::fast();
    drop(with_long_block(&scene));
    let scratch = options().durability(Durability::Scratch);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let refused = scratch.open(scene.at("file.pgs")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    drop(reader);
    let file = scratch.open(scene.at("file.pgs")).unwrap();
    let refused = options().open_read_only(scene.at("file.pgs")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    file.close().unwrap();
    options().open_read_only(scene.at("file.pgs")).unwrap();
}

/// A file that a writer has open, and its long block.
type Held = (Scene, RegionFile, BlockId);

/// Gets a long block under a pin, then has the writer replace it, free it and use its space again,
/// and gets a younger one under another pin; returns whether what was got stayed.
fn read_beside((scene, file, long): &mut Held) -> Result<bool> {
    let reader = options().open_read_only(scene.at("file.pgs"))?;
    let blocks = reader.heap("blocks")?;
    let pin = reader.pin();
    let old = blocks.get(&pin, *long);
    let write = || {
        // On a thread of its own, none of whose calls fails.
        let heap = file.heap("blocks").unwrap();
        heap.free(&mut file.writer(), *long).unwrap();
        file.commit().unwrap();
        let next = heap.allocate_from(&mut file.writer(), &marked(2, 1_000_000)).unwrap();
        file.commit().unwrap();
        next
    };
    let next = std::thread::scope(|scope| scope.spawn(write).join().unwrap());
    let later = reader.pin();
    let new = blocks.get(&later, next);
    let whole = |bytes: &Result<&[u8]>, word| bytes.as_ref().map_or(true, |b| mark_of(b) == word);
    let stayed = whole(&old, Some(1)) && whole(&new, Some(2));
    old.and(new)?;
    reader.refresh()?;
    Ok(stayed)
}

#[test]
fn a_reader_whose_call_failed_borrows_nothing_that_it_does_not_hold() {
    let mut refused = 0;
    let calls = Scenario {
        prepare: || {
            let scene = Scene::fast();
            let (file, _, long) = with_long_block(&scene);
            (scene, file, long)
        },
        work: read_beside,
        check: |(scene, ..): Held, answer: Result<bool>| {
            match answer {
                Ok(stayed) => assert!(stayed, "a slice changed"),
                Err(_) => refused += 1,
            }
            options().open_read_only(scene.at("file.pgs")).unwrap().refresh().unwrap();
        },
    }
    .fail_each_call(io::ErrorKind::Other);
    assert!(5 < refused && refused <= calls, "{refused} of {calls}");
    say(&format!("held: {refused} of {calls} failed calls were told"));
}

#[test]
fn a_generation_is_held_before_what_it_names_is_read() {
    let scene = Scene::fast();
    let (file, _, _) = with_long_block(&scene);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let looks: [fn(&RegionFile); 2] = [|file| drop(file.pin()), |file| drop(file.roots())];
    for look in looks {
        commit_something(&file);
        let ((), trace) = watch(Plan::record(), || look(&reader));
        let calls = trace.events.iter().filter_map(|event| match event {
            Event::Call(call) => Some(*call),
            _ => None,
        });
        let calls: Vec<Call> = calls.collect();
        assert!(calls.contains(&Call::Read), "nothing was read: {calls:?}");
        // The first call locks, the last one unlocks.
        assert_eq!([calls.first(), calls.last()], [Some(&Call::Lock); 2], "{calls:?}");
    }
}

#[test]
fn a_table_that_grew_is_seen_under_an_older_pin() {
    const MANY: usize = 9000;
    let scene = Scene::fast();
    let (file, heap, _) = with_long_block(&scene);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let (blocks, pin) = (reader.heap("blocks").unwrap(), reader.pin());
    assert_eq!(blocks.blocks(&pin).count(), 2);
    let mut writer = file.writer();
    for word in 0..MANY as u64 {
        heap.allocate_from(&mut writer, &word.to_le_bytes()).unwrap();
    }
    writer.commit().unwrap();
    let before = reader.sequence();
    let last = blocks.nth(&pin, MANY as u64 + 1).unwrap();
    let all = blocks.blocks(&pin).map(|block| block.unwrap().0);
    assert_eq!(all.last(), last, "the last block by its place");
    assert_eq!(blocks.blocks(&pin).count(), MANY + 2);
    assert_eq!(reader.sequence(), before);
}
