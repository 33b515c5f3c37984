//! Shrink: blocks move, ids stay, the file becomes shorter, whatever others do meanwhile.

use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use pagestone_heap::{
    BlockId, Durability, ErrorKind, Heap, HeapMut, RegionFile, Relocation, Shrink, ShrinkState,
};
use pagestone_storage::seam::{Call, Plan, watch};

use crate::support::{Dice, Scene, budget, check_clean, contents, marked, options, say};

/// A heap of many blocks of which a part was freed at random, committed.
fn half_free(file: &RegionFile, count: u64, freed: u64) -> (Heap, BTreeMap<BlockId, Vec<u8>>) {
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let mut dice = Dice::new(7);
    let mut model = BTreeMap::new();
    for seed in 0..count {
        let bytes = marked(seed, 32 + dice.nth(481));
        model.insert(heap.allocate_from(&mut writer, &bytes).unwrap(), bytes);
    }
    model.retain(|id, _| {
        let keep = freed <= dice.below(100);
        if !keep {
            heap.free(&mut writer, *id).unwrap();
        }
        keep
    });
    writer.commit().unwrap();
    drop(writer);
    (heap, model)
}

/// Bytes of the payloads, of slots and of headers with their grains.
fn needed(model: &BTreeMap<BlockId, Vec<u8>>) -> u64 {
    model.values().map(|bytes| (24 + bytes.len() as u64).next_multiple_of(16)).sum()
}

#[track_caller]
fn check_regions(file: &RegionFile, most: u64) {
    let stats = file.stats();
    assert!(stats.region_lens[2] <= most, "{} bytes for {most}: {stats:?}", stats.region_lens[2]);
    let used: u64 = stats.region_lens.iter().sum::<u64>() + (64 << 10);
    assert_eq!(stats.quarantined, 0, "{stats:?}");
    assert!(stats.file_len <= used + stats.free_ranges + (64 << 10), "{stats:?}");
}

#[test]
fn a_heap_half_free_becomes_dense_and_the_file_short() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, model) = half_free(&file, 30_000, 50);
    let before = file.stats().file_len;
    let done = file.shrink(Shrink::new()).unwrap();
    assert_eq!(done.state, ShrinkState::Done);
    assert!(contents(&heap) == model);
    check_clean(&file);
    check_regions(&file, needed(&model) * 17 / 16 + (256 << 10));
    assert!(done.file_len < before * 6 / 10, "{} of {before}", done.file_len);
    assert_eq!(done.file_len, std::fs::metadata(scene.path("file.pgs")).unwrap().len());
    let generation = file.generation();
    let again = file.shrink(Shrink::new()).unwrap();
    assert_eq!((again.blocks, again.file_len, generation), (0, done.file_len, file.generation()));
    file.close().unwrap();
    drop(heap);
    let file = scene.open();
    assert!(contents(&file.heap("blocks").unwrap()) == model);
    check_clean(&file);
}

#[test]
fn the_record_of_a_close_is_not_in_the_way() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, model) = half_free(&file, 4_000, 70);
    file.close().unwrap();
    drop(heap);
    let file = scene.open();
    let before = file.stats().file_len;
    let done = file.shrink(Shrink::new()).unwrap();
    assert!(done.file_len < before * 6 / 10, "{} of {before}", done.file_len);
    assert!(contents(&file.heap("blocks").unwrap()) == model);
    check_clean(&file);
    check_all_known(&file);
}

#[test]
fn long_blocks_move_down_in_pieces() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let mut ids = Vec::new();
    for seed in 0..8_u64 {
        let len = if seed.is_multiple_of(2) { 3_000_000 } else { 2_000_000 };
        ids.push((heap.allocate_from(&mut file.writer(), &marked(seed, len)).unwrap(), seed, len));
    }
    for (id, ..) in ids.drain(..4) {
        heap.free(&mut file.writer(), id).unwrap();
    }
    let mut steps = 0;
    let mut hook = |_| {
        steps += 1;
        ControlFlow::Continue(())
    };
    let done = file.shrink(Shrink::new().budget(Duration::ZERO).progress(&mut hook)).unwrap();
    assert!(40 < steps, "{steps}: a step copies a piece");
    assert!(done.file_len < 13_000_000, "{done:?}");
    let pin = file.pin();
    for (id, seed, len) in ids {
        assert!(heap.get(&pin, id).unwrap() == marked(seed, len));
    }
    drop(pin);
    check_clean(&file);
}

#[test]
fn what_a_pin_holds_waits_and_goes_back_after_it() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, model) = half_free(&file, 20_000, 60);
    let before = file.stats().file_len;
    let pin = file.pin();
    let held: Vec<_> = model.keys().map(|id| (*id, heap.get(&pin, *id).unwrap())).collect();
    let done = file.shrink(Shrink::new()).unwrap();
    assert!(held.iter().all(|(id, bytes)| model[id] == *bytes));
    assert!(0 < done.waiting && done.blocks != 0, "{done:?}");
    assert!(done.file_len <= before + (1 << 20), "{done:?}");
    check_clean(&file);
    drop(held);
    drop(pin);
    let done = file.shrink(Shrink::new()).unwrap();
    assert_eq!(done.waiting, 0);
    check_regions(&file, needed(&model) * 17 / 16 + (256 << 10));
    assert!(contents(&heap) == model);
    check_clean(&file);
}

#[test]
fn a_shrink_that_is_broken_off_keeps_nothing_from_use() {
    let mut lens = Vec::new();
    for broken_off in [false, true] {
        let scene = Scene::new();
        let file = scene.create();
        let (heap, model) = half_free(&file, 20_000, 50);
        if broken_off {
            let mut steps = 0;
            let mut hook = |_| {
                steps += 1;
                if steps < 50 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let shrink = Shrink::new().budget(Duration::ZERO).progress(&mut hook);
            let error = file.shrink(shrink).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled);
            file.commit().unwrap();
            assert!(contents(&heap) == model);
            check_clean(&file);
        }
        let mut writer = file.writer();
        for _ in 0..30_000 {
            heap.allocate_from(&mut writer, &[1; 40]).unwrap();
        }
        lens.push(writer.stats().file_len);
        drop(writer);
        check_clean(&file);
    }
    assert!(lens[1] <= lens[0] + (512 << 10), "free space is used as without it: {lens:?}");
}

#[test]
fn a_region_that_was_half_emptied_is_used_again_after_a_cancel() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let ids: Vec<BlockId> =
        (0..2500).map(|_| heap.allocate_from(&mut writer, &[1; 296]).unwrap()).collect();
    for (nth, id) in ids.iter().enumerate() {
        if nth % 5 != 0 {
            heap.free(&mut writer, *id).unwrap();
        }
    }
    writer.commit().unwrap();
    drop(writer);
    let mut moved = 0;
    while moved < 100 {
        moved = file.shrink_step(Duration::ZERO).unwrap().blocks;
    }
    file.shrink_cancel();
    file.commit().unwrap();
    let before = file.stats().file_len;
    let mut writer = file.writer();
    for _ in 0..1500 {
        heap.allocate_from(&mut writer, &[2; 296]).unwrap();
    }
    assert_eq!(writer.stats().file_len, before, "what it left is used first");
    drop(writer);
    check_clean(&file);
}

/// Offsets as a keeper has them who listens to the hook.
type Offsets = Arc<Mutex<BTreeMap<BlockId, u64>>>;

fn keep_offsets(file: &RegionFile, heap: &Heap, ids: impl Iterator<Item = BlockId>) -> Offsets {
    let pin = file.pin();
    let all = ids.map(|id| (id, heap.offset(&pin, id).unwrap())).collect();
    let kept: Offsets = Arc::new(Mutex::new(all));
    let told = Arc::clone(&kept);
    file.set_relocation_hook(move |moved: Relocation| {
        let before = told.lock().unwrap().insert(moved.id, moved.to);
        assert!(before.is_none_or(|before| before == moved.from), "{moved:?}, kept {before:?}");
    });
    kept
}

#[track_caller]
fn check_offsets(heap: &Heap, kept: &Offsets) {
    let pin = heap.file().pin();
    for (id, offset) in &*kept.lock().unwrap() {
        assert_eq!(heap.offset(&pin, *id).unwrap(), *offset, "{id}");
    }
}

#[test]
fn a_keeper_of_offsets_is_told_of_all_moves_and_of_those_undone() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, mut model) = half_free(&file, 10_000, 50);
    let long = heap.allocate_from(&mut file.writer(), &vec![1; 400_000]).unwrap();
    let longer = heap.allocate_from(&mut file.writer(), &vec![2; 400_000]).unwrap();
    heap.free(&mut file.writer(), long).unwrap();
    model.insert(longer, vec![2; 400_000]);
    file.commit().unwrap();
    let kept = keep_offsets(&file, &heap, model.keys().copied());
    let before = kept.lock().unwrap().clone();
    while file.shrink_step(Duration::ZERO).unwrap().state == ShrinkState::Moving {}
    let moved = kept.lock().unwrap().iter().filter(|(id, at)| before[*id] != **at).count();
    assert!(1000 < moved, "{moved}");
    check_offsets(&heap, &kept);
    let replaced = *model.keys().next().unwrap();
    heap.put(&mut file.writer(), replaced, &[5; 100]).unwrap();
    kept.lock().unwrap().insert(replaced, heap.offset(&file.pin(), replaced).unwrap());
    file.writer().discard().unwrap();
    assert_eq!(*kept.lock().unwrap(), before);
    check_offsets(&heap, &kept);
    file.shrink(Shrink::new()).unwrap();
    assert_ne!(kept.lock().unwrap()[&longer], before[&longer], "the long one moves too");
    check_offsets(&heap, &kept);
    assert!(contents(&heap) == model);
    file.clear_relocation_hook();
    check_clean(&file);
}

#[test]
fn a_hook_is_told_before_the_block_is_seen_elsewhere() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, model) = half_free(&file, 5_000, 50);
    let looking = heap.clone();
    let mut told = 0;
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    file.set_relocation_hook(move |moved| {
        let pin = looking.file().pin();
        assert_eq!(looking.offset(&pin, moved.id).unwrap(), moved.from);
        told += 1;
        *counted.lock().unwrap() = told;
    });
    let done = file.shrink(Shrink::new()).unwrap();
    assert!(0 < done.blocks && *count.lock().unwrap() <= done.blocks);
    file.clear_relocation_hook();
    assert!(contents(&heap) == model);
}

#[test]
fn a_hook_that_panics_leaves_all_as_it_was() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, mut model) = half_free(&file, 5_000, 50);
    let last = heap.allocate_from(&mut file.writer(), &vec![3; 500_000]).unwrap();
    model.insert(last, vec![3; 500_000]);
    file.commit().unwrap();
    for fatal in [1, 40, u64::MAX] {
        let mut told = 0;
        file.set_relocation_hook(move |moved| {
            told += 1;
            let long = fatal == u64::MAX && moved.id == last;
            assert!(told < fatal && !long, "as wanted");
        });
        let mut panics = 0;
        for _ in 0..3 {
            let run = || file.shrink(Shrink::new().budget(Duration::ZERO));
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(done) => assert_eq!(done.unwrap().state, ShrinkState::Done),
                Err(_) => panics += 1,
            }
            assert!(contents(&heap) == model);
            check_clean(&file);
            heap.put(&mut file.writer(), last, &model[&last]).unwrap();
        }
        assert!(0 < panics, "{fatal}");
    }
    file.clear_relocation_hook();
    file.shrink(Shrink::new()).unwrap();
    assert!(contents(&heap) == model);
    check_clean(&file);
}

#[test]
fn scratch_content_and_content_in_memory_shrink() {
    let scene = Scene::new();
    let scratch = scene.create_with(&options().durability(Durability::Scratch));
    let memory = options().in_memory().unwrap();
    for file in [scratch, memory] {
        let (heap, model) = half_free(&file, 15_000, 50);
        let before = file.stats().file_len;
        let done = file.shrink(Shrink::new()).unwrap();
        assert!(done.file_len < before * 7 / 10, "{} of {before}", done.file_len);
        assert!(contents(&heap) == model);
        check_clean(&file);
    }
}

#[test]
fn a_heap_that_is_owned_alone_shrinks() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, model) = half_free(&file, 5_000, 80);
    drop(heap);
    let mut heap = HeapMut::new(file, "blocks").unwrap();
    assert!(0 < heap.shrink(Shrink::new()).unwrap().blocks);
    for (id, bytes) in model {
        assert!(heap.get(id).unwrap() == bytes);
    }
}

/// A long block behind a free range that holds it.
fn long_behind_a_hole(scene: &Scene) -> (RegionFile, Heap, BlockId) {
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let first = heap.allocate_from(&mut file.writer(), &vec![1; 4_000_000]).unwrap();
    let second = heap.allocate_from(&mut file.writer(), &vec![2; 4_000_000]).unwrap();
    heap.free(&mut file.writer(), first).unwrap();
    file.commit().unwrap();
    (file, heap, second)
}

/// Steps until the block has moved, or so many; returns how many.
fn steps(file: &RegionFile, (heap, id): (&Heap, BlockId), most: u32) -> u32 {
    let place = || heap.offset(&file.pin(), id).unwrap();
    let before = place();
    let moved = |_: &u32| {
        match file.shrink_step(Duration::ZERO).unwrap().state {
            ShrinkState::Commit => file.commit().unwrap(),
            ShrinkState::Done => panic!("over before it moved"),
            _ => {}
        }
        place() != before
    };
    (1..=most).find(moved).unwrap_or(most)
}

/// A file with a copy of its long block under way, all but a few pieces.
fn under_way(scene: &Scene) -> (RegionFile, Heap, BlockId) {
    let other = Scene::new();
    let (file, heap, id) = long_behind_a_hole(&other);
    let needed = steps(&file, (&heap, id), 1000);
    assert!(12 < needed, "{needed} steps");
    let (file, heap, id) = long_behind_a_hole(scene);
    assert_eq!(steps(&file, (&heap, id), needed - 4), needed - 4);
    (file, heap, id)
}

#[track_caller]
fn check_all_known(file: &RegionFile) {
    let stats = file.stats();
    let known = stats.region_lens.iter().sum::<u64>() + stats.free_ranges + (64 << 10);
    assert_eq!(known + stats.quarantined + stats.pinned, stats.file_len, "{stats:?}");
}

#[test]
fn a_change_in_place_is_not_lost_to_a_copy_that_is_under_way() {
    let scene = Scene::new();
    let (file, heap, id) = under_way(&scene);
    let before = heap.offset(&file.pin(), id).unwrap();
    drop(heap);
    let mut heap = HeapMut::new(file, "blocks").unwrap();
    heap.in_place(id).unwrap()[0] = 9;
    let heap = heap.into_shared();
    heap.file().shrink(Shrink::new()).unwrap();
    heap.file().shrink(Shrink::new()).unwrap();
    let pin = heap.file().pin();
    assert_ne!(heap.offset(&pin, id).unwrap(), before);
    assert_eq!(heap.get(&pin, id).unwrap()[..2], [9, 2]);
}

#[test]
fn a_long_block_that_changes_while_it_is_copied_is_what_it_became() {
    type Change = fn(&RegionFile, &Heap, BlockId);
    let changes: [Change; 4] = [
        |file, heap, id| heap.put(&mut file.writer(), id, &vec![3; 4_000_000]).unwrap(),
        |file, heap, id| heap.put(&mut file.writer(), id, &[3; 10]).unwrap(),
        |file, heap, id| heap.free(&mut file.writer(), id).unwrap(),
        |file, _, _| file.shrink_cancel(),
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let scene = Scene::new();
        let (file, heap, id) = under_way(&scene);
        change(&file, &heap, id);
        let expected = contents(&heap);
        file.shrink(Shrink::new()).unwrap();
        file.shrink(Shrink::new()).unwrap();
        assert!(contents(&heap) == expected, "change {nth}");
        check_all_known(&file);
        check_clean(&file);
    }
}

/// All space of the disk is gone: nothing can be allocated for the file.
fn full() -> Plan {
    Plan::fail_from(0, io::ErrorKind::StorageFull).only(Call::Allocate)
}

#[test]
fn a_full_disk_leaves_all_as_it_is_or_holes_are_filled_and_it_goes_on_later() {
    let scene = Scene::new();
    let file = scene.create();
    let (heap, model) = half_free(&file, 15_000, 50);
    let before = file.stats().file_len;
    let (done, trace) = watch(full(), || file.shrink(Shrink::new()));
    assert!(trace.failed);
    if let Err(error) = &done {
        assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    }
    assert!(contents(&heap) == model);
    check_clean(&file);
    let with_holes = file.stats().file_len;
    assert!(with_holes < before * 9 / 10, "{with_holes} of {before}: small blocks fit into holes");
    file.shrink(Shrink::new()).unwrap();
    assert!(contents(&heap) == model);
    check_clean(&file);
    check_regions(&file, needed(&model) * 17 / 16 + (256 << 10));
}

#[test]
fn where_nothing_can_be_moved_the_error_is_told_and_nothing_lost() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    let len = 200_000;
    let ids: Vec<_> =
        (0..40).map(|_| heap.allocate_from(&mut writer, &vec![7; len]).unwrap()).collect();
    writer.commit().unwrap();
    // Holes of less than such a block alone.
    for id in ids.iter().step_by(2) {
        heap.put(&mut writer, *id, &vec![8; 80_000]).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    let before = contents(&heap);
    let (done, _) = watch(full(), || file.shrink(Shrink::new()));
    assert!(done.is_ok() || done.is_err_and(|error| error.kind() == ErrorKind::OutOfSpace));
    assert!(contents(&heap) == before);
    check_clean(&file);
    file.shrink(Shrink::new()).unwrap();
    assert!(contents(&heap) == before);
    check_clean(&file);
}

/// One history: steps of shrinks among all that others do, until a shrink comes to its end.
struct History {
    dice: Dice,
    file: RegionFile,
    heap: Heap,
    newest: BTreeMap<BlockId, Vec<u8>>,
    committed: BTreeMap<BlockId, Vec<u8>>,
    /// Bytes of all regions that others than the shrink made longer the file by, at most.
    longest: u64,
}

impl History {
    fn new(file: RegionFile, seed: u64) -> Self {
        let heap = file.heap("blocks").unwrap();
        file.commit().unwrap();
        let (newest, committed) = (BTreeMap::new(), BTreeMap::new());
        Self { dice: Dice::new(seed), file, heap, newest, committed, longest: 0 }
    }

    fn pick(&mut self) -> Option<BlockId> {
        let count = self.newest.len();
        (count != 0).then(|| *self.newest.keys().nth(self.dice.nth(count)).unwrap())
    }

    fn change(&mut self) {
        let mut writer = self.file.writer();
        let bytes = marked(self.dice.word(), self.dice.len());
        let count = self.newest.len();
        let picked = (count != 0).then(|| *self.newest.keys().nth(self.dice.nth(count)).unwrap());
        match (self.dice.below(10), picked) {
            (0..4, _) | (_, None) => {
                let id = self.heap.allocate_from(&mut writer, &bytes).unwrap();
                self.newest.insert(id, bytes);
            }
            (4..6, Some(id)) => {
                self.heap.put(&mut writer, id, &bytes).unwrap();
                self.newest.insert(id, bytes);
            }
            (_, Some(id)) => {
                self.heap.free(&mut writer, id).unwrap();
                self.newest.remove(&id);
            }
        }
    }

    /// Free, used and waiting space is all there is.
    fn check_sum(&self) {
        check_clean(&self.file);
        let stats = self.file.stats();
        let regions: u64 = stats.region_lens.iter().sum();
        assert!(regions + stats.free_ranges + (64 << 10) <= stats.file_len, "{stats:?}");
        let out = stats.file_len - regions - stats.free_ranges - (64 << 10);
        assert!(out <= stats.quarantined + stats.pinned + self.reserved(), "{out}: {stats:?}");
    }

    /// What a block of its own region that is being copied may have taken.
    fn reserved(&self) -> u64 {
        let lens = self.newest.values().map(|bytes| (bytes.len() as u64 + 88) * 9 / 8);
        lens.max().unwrap_or(0) + (64 << 10)
    }

    fn run(&mut self) {
        for _ in 0..400 {
            self.change();
        }
        for _ in 0..60 {
            match self.dice.below(10) {
                0 => {
                    self.file.commit().unwrap();
                    self.committed = self.newest.clone();
                }
                1 => {
                    self.file.writer().discard().unwrap();
                    self.newest = self.committed.clone();
                }
                2 => self.file.shrink_cancel(),
                3 => {
                    for _ in 0..self.dice.below(60) {
                        self.change();
                    }
                }
                4 => self.pinned(),
                _ => self.steps(),
            }
            assert!(contents(&self.heap) == self.newest);
            self.check_sum();
        }
    }

    fn steps(&mut self) {
        let len = self.file.stats().file_len;
        for _ in 0..self.dice.below(12) {
            let progress = self.file.shrink_step(Duration::ZERO).unwrap();
            assert!(progress.file_len <= len + (1 << 20), "one region longer at most");
            if progress.state != ShrinkState::Moving && self.dice.below(2) == 0 {
                self.file.commit().unwrap();
                self.committed = self.newest.clone();
            }
        }
    }

    /// Steps and changes while a pin holds blocks.
    fn pinned(&mut self) {
        let (file, heap) = (self.file.clone(), self.heap.clone());
        let pin = file.pin();
        let ids: Vec<BlockId> = (0..5).filter_map(|_| self.pick()).collect();
        let held: Vec<(&[u8], Vec<u8>)> = ids
            .into_iter()
            .map(|id| (heap.get(&pin, id).unwrap(), self.newest[&id].clone()))
            .collect();
        for _ in 0..3 {
            self.steps();
            self.change();
        }
        assert!(held.iter().all(|(now, then)| now == then), "a pin holds what it saw");
    }

    /// A shrink alone ends, after no more steps than there is to do, and a second finds nothing.
    fn end(&mut self) {
        let before = self.file.stats().file_len;
        self.longest = before + (1 << 20);
        let mut steps = 0;
        let mut most = 0;
        let mut hook = |progress: pagestone_heap::ShrinkProgress| {
            steps += 1;
            most = most.max(progress.file_len);
            if steps < 5000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let shrink = Shrink::new().budget(Duration::ZERO).progress(&mut hook);
        let done = self.file.shrink(shrink).unwrap();
        assert!(most <= self.longest && done.file_len <= before, "{before}, {most}: {done:?}");
        self.committed = self.newest.clone();
        assert!(contents(&self.heap) == self.newest);
        self.check_sum();
        assert_eq!(done.waiting, 0);
        let stats = self.file.stats();
        assert_eq!((stats.quarantined, stats.pinned), (0, 0), "{stats:?}");
        check_all_known(&self.file);
    }
}

#[test]
fn histories_of_steps_among_changes_keep_every_block() {
    let start = std::time::Instant::now();
    let mut seed = crate::support::seed() << 20;
    let first = seed;
    while start.elapsed() < budget(3.0) || seed < first + 2 {
        let scene = Scene::fast();
        let file = scene.create_with(&options().region_size(1 << 20));
        let mut history = History::new(file, seed);
        for _ in 0..3 {
            history.run();
            history.end();
        }
        let (newest, file) = (history.newest.clone(), history.file.clone());
        drop(history);
        if seed.is_multiple_of(2) {
            file.close().unwrap();
        } else {
            drop(file);
        }
        let file = scene.open();
        assert!(contents(&file.heap("blocks").unwrap()) == newest, "seed {seed}");
        check_clean(&file);
        seed += 1;
    }
    say(&format!("shrink: {} histories", seed - first));
}

#[test]
fn a_shrink_that_steps_began_commits_what_came_between() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let mut ids = Vec::new();
    for seed in 0..3 {
        ids.push(heap.allocate_from(&mut file.writer(), &marked(seed, 500)).unwrap());
        file.shrink_step(Duration::ZERO).unwrap();
        file.shrink_step(Duration::ZERO).unwrap();
    }
    file.shrink(Shrink::new()).unwrap();
    // What a power loss leaves.
    scene.copy("lost.pgs");
    let lost = options().open(scene.at("lost.pgs")).unwrap();
    let kept = contents(&lost.heap("blocks").unwrap());
    assert!(ids.iter().all(|id| kept.contains_key(id)), "{kept:?}");
}

#[test]
fn a_dense_file_is_left_as_it_is() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let mut ids = Vec::new();
    // Blocks that fit badly into regions of a few units.
    for len in [61_417, 0, 0, 0, 0, 0, 6, 305] {
        ids.push(heap.allocate_from(&mut file.writer(), &marked(7, len)).unwrap());
    }
    heap.resize(&mut file.writer(), ids[7], 69_567).unwrap();
    let first = file.shrink(Shrink::new()).unwrap();
    for _ in 0..3 {
        let again = file.shrink(Shrink::new()).unwrap();
        assert_eq!((again.blocks, again.file_len), (0, first.file_len), "{first:?}");
    }
    check_clean(&file);
}
