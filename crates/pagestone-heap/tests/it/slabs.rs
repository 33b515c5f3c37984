//! Objects in slots of slabs: random operations against a map, with every way to end.

use std::collections::BTreeMap;

use pagestone_heap::{
    Backup, Counts, ErrorKind, RegionFile, Shrink, SlabShape, Slabs, SlotId, Writer,
};
use rstest::rstest;

use crate::support::{Dice, Scene, check_clean, marked, options};

/// Lengths of objects; some make slots end in the middle of words.
const LENS: [u32; 4] = [1, 16, 37, 4099];
const SLOTS: u32 = 130;

fn shape(object_len: u32) -> SlabShape {
    SlabShape { object_len, slots: SLOTS, generations: true, mark: u64::from(object_len) << 32 }
}

/// What the slabs shall hold, now and at the last commit, and ids that are void for good.
#[derive(Debug, Default)]
struct Model {
    now: BTreeMap<SlotId, Vec<u8>>,
    committed: BTreeMap<SlotId, Vec<u8>>,
    removed: Vec<SlotId>,
    /// The slabs there are, with the lengths of their objects.
    slabs: Vec<(u64, u32)>,
}

impl Model {
    fn check(&mut self, file: &RegionFile, slabs: &Slabs) {
        self.check_reads(file, slabs);
        self.slabs.clear();
        check_clean(file);
        let mut writer = file.writer();
        let mut live = 0;
        for facts in slabs.list(&file.pin()).unwrap() {
            assert_eq!(facts.shape.mark, u64::from(facts.shape.object_len) << 32);
            let (objects, free) = slabs.room(&mut writer, facts.slab).unwrap();
            assert!(objects + free <= u64::from(SLOTS));
            live += objects;
            self.slabs.push((facts.slab, facts.shape.object_len));
        }
        assert_eq!(live, self.now.len() as u64);
    }

    fn check_reads(&self, file: &RegionFile, slabs: &Slabs) {
        let pin = file.pin();
        let mut ids = Vec::new();
        for facts in slabs.list(&pin).unwrap() {
            ids.extend(slabs.ids(&pin, facts.slab));
        }
        ids.sort_unstable();
        assert_eq!(ids, self.now.keys().copied().collect::<Vec<_>>());
        for (id, bytes) in &self.now {
            assert_eq!(slabs.get(&pin, *id).unwrap(), bytes);
        }
        let listed = slabs.list(&pin).unwrap();
        let mut objects: Vec<(SlotId, &[u8])> =
            listed.iter().flat_map(|facts| slabs.objects(&pin, facts.slab)).collect();
        objects.sort_unstable();
        let now: Vec<(SlotId, &[u8])> =
            self.now.iter().map(|(id, bytes)| (*id, &**bytes)).collect();
        assert_eq!(objects, now);
        ids.extend(&self.removed);
        let mut found = Vec::new();
        slabs.get_many(&pin, &ids, |place, object| found.push((place, object.ok())));
        let expected = ids.iter().map(|id| self.now.get(id).map(Vec::as_slice)).enumerate();
        assert_eq!(found, expected.collect::<Vec<_>>());
        for id in &self.removed {
            assert_eq!(slabs.get(&pin, *id).unwrap_err().kind(), ErrorKind::StaleId);
        }
    }

    /// One random change.
    fn step(&mut self, dice: &mut Dice, (writer, slabs): (&mut Writer<'_>, &Slabs)) {
        let nth = dice.nth(self.now.len().max(1));
        let known = self.now.keys().nth(nth).copied();
        match (dice.below(40), known) {
            (0, _) => {
                let nth = dice.nth(self.slabs.len() + 1);
                if nth < self.slabs.len() {
                    let (slab, _) = self.slabs.swap_remove(nth);
                    slabs.release(writer, slab).unwrap();
                    let gone = |id: &SlotId| id.slab() == slab;
                    self.removed.extend(self.now.keys().copied().filter(gone));
                    self.now.retain(|id, _| !gone(id));
                }
            }
            (1..25, _) | (_, None) => {
                let len = LENS[dice.nth(LENS.len())];
                let bytes = marked(dice.word(), len as usize);
                let id = self.add(writer, slabs, &bytes);
                assert!(!self.removed.contains(&id), "an id of before");
                assert!(self.now.insert(id, bytes).is_none());
            }
            (_, Some(id)) => {
                slabs.remove(writer, id).unwrap();
                assert_eq!(slabs.remove(writer, id).unwrap_err().kind(), ErrorKind::StaleId);
                self.now.remove(&id);
                self.removed.push(id);
            }
        }
    }

    /// Adds an object to the first slab of its length that has room.
    fn add(&mut self, writer: &mut Writer<'_>, slabs: &Slabs, bytes: &[u8]) -> SlotId {
        let len = u32::try_from(bytes.len()).unwrap();
        for (slab, _) in self.slabs.iter().filter(|(_, theirs)| *theirs == len) {
            if let Some(id) = slabs.add(writer, *slab, bytes).unwrap() {
                return id;
            }
        }
        let slab = slabs.create(writer, shape(len)).unwrap();
        self.slabs.push((slab, len));
        slabs.add(writer, slab, bytes).unwrap().unwrap()
    }
}

#[test]
fn slabs_are_a_map_with_commits() {
    for seed in 0..6 {
        let scene = Scene::fast();
        let mut file = scene.create();
        let mut slabs = file.slabs("slabs").unwrap();
        file.commit().unwrap();
        let mut dice = Dice::new(seed);
        let mut model = Model::default();
        for _ in 0..25 {
            for _ in 0..dice.below(120) {
                model.step(&mut dice, (&mut file.writer(), &slabs));
            }
            match dice.below(7) {
                0..3 => {
                    file.commit().unwrap();
                    model.committed = model.now.clone();
                }
                3 => {
                    file.writer().discard().unwrap();
                    model.now = model.committed.clone();
                    model.removed.clear();
                }
                4 => {
                    // A kill.
                    drop((slabs, file));
                    file = scene.open();
                    slabs = file.slabs("slabs").unwrap();
                }
                5 => {
                    // A power loss: another inode of the same bytes.
                    drop((slabs, file));
                    scene.copy("lost.pgs");
                    std::fs::rename(scene.path("lost.pgs"), scene.path("file.pgs")).unwrap();
                    file = scene.open();
                    slabs = file.slabs("slabs").unwrap();
                    model.now = model.committed.clone();
                    model.removed.clear();
                }
                _ => {
                    drop(slabs);
                    file.close().unwrap();
                    file = scene.open();
                    slabs = file.slabs("slabs").unwrap();
                    model.committed = model.now.clone();
                }
            }
            model.check(&file, &slabs);
        }
    }
}

/// What a pin shows stays as it is, whatever is removed, added, committed and discarded.
#[rstest]
#[case::of_the_writer(false)]
#[case::of_another_open(true)]
fn objects_under_a_pin_stay(#[case] beside: bool) {
    let scene = Scene::fast();
    let file = scene.create();
    let slabs = file.slabs("slabs").unwrap();
    let mut dice = Dice::new(11);
    let mut model = Model::default();
    for _ in 0..300 {
        model.step(&mut dice, (&mut file.writer(), &slabs));
    }
    for round in 0..12 {
        file.commit().unwrap();
        let other = beside.then(|| options().open_read_only(scene.at("file.pgs")).unwrap());
        let reader = other.as_ref().unwrap_or(&file);
        let theirs = reader.slabs("slabs").unwrap();
        model.check_reads(reader, &theirs);
        let pin = reader.pin();
        let seen: Vec<(&[u8], Vec<u8>)> = model
            .now
            .iter()
            .map(|(id, bytes)| (theirs.get(&pin, *id).unwrap(), bytes.clone()))
            .collect();
        for nth in 0..4 {
            let before = (model.now.clone(), model.slabs.clone());
            for _ in 0..100 {
                model.step(&mut dice, (&mut file.writer(), &slabs));
            }
            if (nth + round) % 3 == 0 {
                file.writer().discard().unwrap();
                (model.now, model.slabs) = before;
                model.removed.clear();
            } else {
                file.commit().unwrap();
            }
            for (bytes, expected) in &seen {
                assert_eq!(bytes, expected);
            }
        }
        drop(seen);
        drop(pin);
        model.check(&file, &slabs);
    }
}

#[test]
fn slots_are_used_again_after_a_commit_and_before_without_one() {
    let scene = Scene::fast();
    let file = scene.create();
    let slabs = file.slabs("slabs").unwrap();
    let mut writer = file.writer();
    let slab = slabs.create(&mut writer, shape(16)).unwrap();
    let ids: Vec<SlotId> = (0..u64::from(SLOTS))
        .map(|nth| slabs.add(&mut writer, slab, &marked(nth, 16)).unwrap().unwrap())
        .collect();
    assert_eq!(ids.iter().map(|id| id.slot()).collect::<Vec<_>>(), (0..SLOTS).collect::<Vec<_>>());
    assert_eq!(slabs.add(&mut writer, slab, &[1; 16]).unwrap(), None);
    slabs.remove(&mut writer, ids[70]).unwrap();
    let again = slabs.add(&mut writer, slab, &[2; 16]).unwrap().unwrap();
    assert_eq!((again.slot(), again == ids[70]), (70, false), "no commit knew the first one");
    writer.commit().unwrap();
    slabs.remove(&mut writer, ids[5]).unwrap();
    assert_eq!(slabs.add(&mut writer, slab, &[3; 16]).unwrap(), None, "the commit names it");
    writer.commit().unwrap();
    assert_eq!(slabs.add(&mut writer, slab, &[3; 16]).unwrap().unwrap().slot(), 5);
}

#[test]
fn spent_slots_are_not_used_again() {
    let scene = Scene::fast();
    let file = scene.create();
    let slabs = file.slabs("slabs").unwrap();
    let mut writer = file.writer();
    let one = SlabShape { slots: 1, ..shape(8) };
    let slab = slabs.create(&mut writer, one).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    while let Some(id) = slabs.add(&mut writer, slab, &[1; 8]).unwrap() {
        assert!(seen.insert(id));
        slabs.remove(&mut writer, id).unwrap();
    }
    assert_eq!(seen.len(), 255);
    slabs.release(&mut writer, slab).unwrap();
    let other = slabs.create(&mut writer, one).unwrap();
    let id = slabs.add(&mut writer, other, &[1; 8]).unwrap().unwrap();
    assert!(other != slab && seen.insert(id));
    assert_eq!(
        slabs.remove(&mut writer, *seen.first().unwrap()).unwrap_err().kind(),
        ErrorKind::StaleId
    );
}

#[test]
fn a_number_that_went_round_names_no_other_slab() {
    let file = RegionFile::options().in_memory().unwrap();
    let slabs = file.slabs("slabs").unwrap();
    let one = SlabShape { slots: 1, ..shape(8) };
    let mut writer = file.writer();
    let (mut numbers, mut indices) = (Vec::new(), std::collections::BTreeSet::new());
    let mut first = None;
    for turn in 0..(1 << 16) + 5 {
        let slab = slabs.create(&mut writer, one).unwrap();
        let id = slabs.add(&mut writer, slab, &[1; 8]).unwrap().unwrap();
        let first = *first.get_or_insert(id);
        assert_eq!(slabs.get(&file.pin(), first).is_ok(), turn == 0, "turn {turn}");
        slabs.release(&mut writer, slab).unwrap();
        numbers.push(slab);
        indices.insert(slab >> 16);
        if turn % 64 == 0 {
            writer.commit().unwrap();
        }
    }
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), indices.len()), (count, 2), "an index that is spent is left");
    drop(writer);
    check_clean(&file);
}

#[test]
fn bad_shapes_lengths_and_ids_are_refused() {
    let scene = Scene::fast();
    let file = scene.create();
    let slabs = file.slabs("slabs").unwrap();
    let mut writer = file.writer();
    let refused = |error: pagestone_heap::Error| error.kind();
    for (object_len, slots) in [(0, 1), (1, 0), (1, (1 << 20) + 1), (1 << 20, 1 << 20)] {
        let bad = SlabShape { object_len, slots, generations: false, mark: 0 };
        let error = slabs.create(&mut writer, bad).map_err(refused);
        assert_eq!(error, Err(ErrorKind::InvalidArgument), "{bad:?}");
    }
    let slab = slabs.create(&mut writer, shape(16)).unwrap();
    for len in [0, 15, 17] {
        let error = slabs.add(&mut writer, slab, &vec![0; len]).map_err(refused);
        assert_eq!(error, Err(ErrorKind::InvalidArgument));
    }
    let id = slabs.add(&mut writer, slab, &[9; 16]).unwrap().unwrap();
    let pin = file.pin();
    for bit in 0..64 {
        let other = SlotId::from_bits(id.to_bits() ^ 1 << bit);
        assert_eq!(slabs.get(&pin, other).map_err(refused), Err(ErrorKind::StaleId), "{bit}");
        assert_eq!(slabs.remove(&mut writer, other).map_err(refused), Err(ErrorKind::StaleId));
    }
    assert_eq!(slabs.get(&pin, id).unwrap(), [9; 16]);
    assert_eq!(file.heap("slabs").map(drop).map_err(refused), Err(ErrorKind::InvalidArgument));
    assert_eq!(file.log("slabs").map(drop).map_err(refused), Err(ErrorKind::InvalidArgument));
}

#[test]
fn copies_keep_slabs() {
    let scene = Scene::new();
    let file = scene.create();
    let (slabs, heap) = (file.slabs("slabs").unwrap(), file.heap("heap").unwrap());
    let mut dice = Dice::new(3);
    let mut model = Model::default();
    for _ in 0..3 {
        for _ in 0..400 {
            model.step(&mut dice, (&mut file.writer(), &slabs));
        }
        file.commit().unwrap();
    }
    let block = heap.allocate_from(&mut file.writer(), b"block").unwrap();
    file.copy_compact(scene.at("copy.pgs"), &options()).unwrap();
    // Two epochs go by while most of the file is copied.
    let mut rounds = 0;
    let expected = model.now.clone();
    let mut churn = |_| {
        while rounds < 4 {
            rounds += 1;
            for _ in 0..50 {
                model.step(&mut dice, (&mut file.writer(), &slabs));
            }
            file.commit().unwrap();
        }
        std::ops::ControlFlow::Continue(())
    };
    file.backup(scene.at("backup.pgs"), Backup::new().progress(&mut churn)).unwrap();
    assert_eq!(rounds, 4);
    file.shrink(Shrink::new()).unwrap();
    model.check(&file, &slabs);
    let removed = std::mem::take(&mut model.removed);
    model.now = expected;
    for name in ["copy.pgs", "backup.pgs"] {
        let copy = options().open(scene.at(name)).unwrap();
        let theirs = copy.slabs("slabs").unwrap();
        model.check(&copy, &theirs);
        copy.heap("heap").unwrap().read(block, |bytes| assert_eq!(bytes, b"block")).unwrap();
        // A copy goes on as any file does.
        let mut more = Model { now: model.now.clone(), ..Model::default() };
        more.check(&copy, &theirs);
        for _ in 0..200 {
            more.step(&mut dice, (&mut copy.writer(), &theirs));
        }
        more.check(&copy, &theirs);
    }
    assert!(!removed.is_empty());
}

#[test]
fn numbers_are_committed_and_undone_with_the_rest() {
    let scene = Scene::fast();
    let file = scene.create();
    let counts = file.counts("counts").unwrap();
    let get = |index| counts.get(&file.pin(), index).unwrap();
    let indices = [0, 1, 4091, 4092, 70_000];
    for (number, index) in (1..).zip(indices) {
        counts.set(&mut file.writer(), index, number).unwrap();
    }
    file.commit().unwrap();
    for index in indices {
        counts.set(&mut file.writer(), index, Counts::MAX).unwrap();
    }
    assert_eq!(indices.map(get), [Counts::MAX; 5]);
    file.writer().discard().unwrap();
    assert_eq!(indices.map(get), [1, 2, 3, 4, 5]);
    assert_eq!([2, 69_999, 70_001, u32::MAX].map(get), [0; 4]);
    let error = counts.set(&mut file.writer(), 0, Counts::MAX + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    check_clean(&file);
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let theirs = reader.counts("counts").unwrap();
    counts.set(&mut file.writer(), 200_000, 9).unwrap();
    assert_eq!(theirs.get(&reader.pin(), 200_000).unwrap(), 0);
    file.commit().unwrap();
    assert_eq!(theirs.get(&reader.pin(), 200_000).unwrap(), 9);
    file.copy_compact(scene.at("copy.pgs"), &options()).unwrap();
    for name in ["file.pgs", "copy.pgs"] {
        let again = options().open_read_only(scene.at(name)).unwrap();
        let theirs = again.counts("counts").unwrap();
        assert_eq!(indices.map(|index| theirs.get(&again.pin(), index).unwrap()), [1, 2, 3, 4, 5]);
    }
}
