//! Entries in segments: random operations against a map, with every way to end; evacuation.

use std::collections::BTreeMap;

use pagestone_heap::{
    Backup, BlockId, ErrorKind, Log, RegionFile, SegmentFacts, Shrink, Verify, Writer,
};
use rstest::rstest;

use crate::support::{Dice, Scene, check_clean, marked, options};

/// What the log shall hold, now and at the last commit, and ids that are void for good.
#[derive(Debug, Default)]
struct Model {
    now: BTreeMap<BlockId, Vec<u8>>,
    committed: BTreeMap<BlockId, Vec<u8>>,
    removed: Vec<BlockId>,
}

impl Model {
    fn pick(&self, dice: &mut Dice) -> Option<BlockId> {
        let nth = dice.below(self.now.len().max(1) as u64);
        self.now.keys().nth(usize::try_from(nth).unwrap()).copied()
    }

    fn check(&self, file: &RegionFile, log: &Log) {
        let pin = file.pin();
        let ids: Vec<BlockId> = log.ids(&pin).collect();
        assert_eq!(ids, self.now.keys().copied().collect::<Vec<_>>());
        for (id, bytes) in &self.now {
            assert_eq!(log.get(&pin, *id).unwrap(), bytes);
            assert_eq!(log.facts(&pin, *id).unwrap().len, bytes.len() as u64);
        }
        for id in &self.removed {
            assert_eq!(log.get(&pin, *id).unwrap_err().kind(), ErrorKind::StaleId);
        }
        drop(pin);
        check_clean(file);
        let mut writer = file.writer();
        assert_eq!(log.len(&mut writer), self.now.len() as u64);
        let stride = |bytes: &Vec<u8>| (32 + bytes.len() as u64).next_multiple_of(16);
        let live: u64 = self.now.values().map(stride).sum();
        let segments = log.segments(&mut writer).unwrap();
        assert_eq!(segments.iter().map(|segment| segment.live).sum::<u64>(), live);
        for segment in segments {
            assert!(segment.live <= segment.used && segment.used + 64 <= segment.len);
        }
    }

    /// One random change.
    fn step(&mut self, dice: &mut Dice, (writer, log): (&mut Writer<'_>, &Log)) {
        let len = match dice.below(60) {
            0 => 300_000,
            1 => 0,
            _ => usize::try_from(dice.below(3000)).unwrap(),
        };
        let bytes = marked(dice.word(), len);
        match (dice.below(10), self.pick(dice)) {
            (0, _) => {
                let several: Vec<Vec<u8>> =
                    (0..dice.below(9)).map(|nth| marked(nth, len / 2)).collect();
                let mut ids = Vec::new();
                log.add_many(writer, &several, &mut ids).unwrap();
                assert_eq!(ids.len(), several.len());
                self.now.extend(ids.into_iter().zip(several));
            }
            (1..4, _) | (_, None) => {
                let id = log.add(writer, &bytes).unwrap();
                assert!(!self.removed.contains(&id));
                self.now.insert(id, bytes);
            }
            (4..7, Some(id)) => {
                log.update(writer, id, &bytes).unwrap();
                self.now.insert(id, bytes);
            }
            (7..9, Some(id)) => {
                log.remove(writer, id).unwrap();
                self.now.remove(&id);
                self.removed.push(id);
            }
            (_, Some(_)) => evacuate_one(writer, log, dice),
        }
    }
}

/// Evacuates the oldest segment, or begins to.
fn evacuate_one(writer: &mut Writer<'_>, log: &Log, dice: &mut Dice) {
    let segments = log.segments(writer).unwrap();
    let Some(victim) = segments.first().filter(|segment| !segment.is_active) else { return };
    let (mut from, mut steps) = (0, 1 + dice.below(20));
    while steps != 0 {
        let done = log.evacuate(writer, (victim.number, from), |moved| 20_000 <= moved).unwrap();
        let Some(next) = done.next else { return };
        (from, steps) = (next, steps - 1);
    }
}

#[test]
fn a_log_is_a_map_with_commits() {
    for seed in 0..8 {
        let scene = Scene::fast();
        let mut file = scene.create();
        let mut log = file.log("log").unwrap();
        file.commit().unwrap();
        let mut dice = Dice::new(seed);
        let mut model = Model::default();
        for _ in 0..25 {
            for _ in 0..dice.below(120) {
                model.step(&mut dice, (&mut file.writer(), &log));
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
                    drop((log, file));
                    file = scene.open();
                    log = file.log("log").unwrap();
                }
                5 => {
                    // A power loss: another inode of the same bytes.
                    drop((log, file));
                    scene.copy("lost.pgs");
                    std::fs::rename(scene.path("lost.pgs"), scene.path("file.pgs")).unwrap();
                    file = scene.open();
                    log = file.log("log").unwrap();
                    model.now = model.committed.clone();
                    model.removed.clear();
                }
                _ => {
                    drop(log);
                    file.close().unwrap();
                    file = scene.open();
                    log = file.log("log").unwrap();
                    model.committed = model.now.clone();
                }
            }
            model.check(&file, &log);
        }
    }
}

#[test]
fn evacuated_space_goes_back() {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("log").unwrap();
    let ids: Vec<BlockId> =
        (0..40_000).map(|nth| log.add(&mut file.writer(), &marked(nth, 272)).unwrap()).collect();
    file.commit().unwrap();
    let full = file.stats().file_len;
    for id in ids.iter().skip(1).step_by(2) {
        log.remove(&mut file.writer(), *id).unwrap();
    }
    for _ in 0..2 {
        let mut writer = file.writer();
        for segment in log.segments(&mut writer).unwrap() {
            let mut from = 0;
            loop {
                let enough = |moved| 100_000 <= moved;
                let step = log.evacuate(&mut writer, (segment.number, from), enough).unwrap();
                let Some(next) = step.next else { break };
                from = next;
            }
            writer.commit().unwrap();
        }
    }
    let left = file.stats();
    assert!(left.file_len - left.free_ranges < full * 2 / 3, "{full} {left:?}");
    let pin = file.pin();
    for (nth, id) in (0..).zip(&ids) {
        if nth % 2 == 0 {
            assert_eq!(log.get(&pin, *id).unwrap(), marked(nth, 272));
        } else {
            assert_eq!(log.get(&pin, *id).unwrap_err().kind(), ErrorKind::StaleId);
        }
    }
    drop(pin);
    check_clean(&file);
}

#[test]
fn copies_keep_logs_and_heaps() {
    let scene = Scene::new();
    let file = scene.create();
    let (log, heap) = (file.log("log").unwrap(), file.heap("heap").unwrap());
    assert_eq!((file.heaps(), file.logs()), (vec!["heap".to_owned()], vec!["log".to_owned()]));
    let mut dice = Dice::new(3);
    let mut model = Model::default();
    for _ in 0..400 {
        model.step(&mut dice, (&mut file.writer(), &log));
    }
    let block = heap.allocate_from(&mut file.writer(), b"block").unwrap();
    file.commit().unwrap();
    file.copy_compact(scene.at("copy.pgs"), &options()).unwrap();
    file.backup(scene.at("backup.pgs"), Backup::new()).unwrap();
    file.shrink(Shrink::new()).unwrap();
    model.check(&file, &log);
    for name in ["copy.pgs", "backup.pgs"] {
        let copy = options().open(scene.at(name)).unwrap();
        model.check(&copy, &copy.log("log").unwrap());
        copy.heap("heap").unwrap().read(block, |bytes| assert_eq!(bytes, b"block")).unwrap();
    }
    // A copy goes on as any file does.
    let copy = options().open(scene.at("copy.pgs")).unwrap();
    let log = copy.log("log").unwrap();
    for _ in 0..100 {
        model.step(&mut dice, (&mut copy.writer(), &log));
    }
    model.check(&copy, &log);
}

#[test]
fn readers_follow_a_log() {
    let scene = Scene::new();
    let file = scene.create();
    let log = file.log("log").unwrap();
    let id = log.add(&mut file.writer(), b"first").unwrap();
    file.commit().unwrap();
    let reader = options().open_read_only(scene.at("file.pgs")).unwrap();
    let seen = reader.log("log").unwrap();
    let pin = reader.pin();
    let held = seen.get(&pin, id).unwrap();
    log.update(&mut file.writer(), id, b"second").unwrap();
    assert_eq!(seen.get(&pin, id).unwrap(), b"first");
    let mut writer = file.writer();
    let number = log.segments(&mut writer).unwrap()[0].number;
    log.evacuate(&mut writer, (number, 0), |_| false).unwrap();
    drop(writer);
    for _ in 0..3 {
        for nth in 0..3000 {
            log.add(&mut file.writer(), &marked(nth, 1000)).unwrap();
        }
        file.commit().unwrap();
    }
    assert_eq!((held, seen.get(&pin, id).unwrap()), (&b"first"[..], &b"second"[..]));
    check_clean(&reader);
    assert_eq!(reader.heap("log").unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_damaged_entry_hides_none_behind_it() {
    let scene = Scene::new();
    let file = scene.create();
    let log = file.log("log").unwrap();
    file.commit().unwrap();
    let ids: Vec<BlockId> =
        (0..100).map(|nth| log.add(&mut file.writer(), &marked(nth, 500)).unwrap()).collect();
    let offset = log.facts(&file.pin(), ids[40]).unwrap().offset;
    // A kill, and a byte that rots in what no commit has.
    drop((log, file));
    let mut bytes = std::fs::read(scene.path("file.pgs")).unwrap();
    bytes[usize::try_from(offset).unwrap() + 100] ^= 1;
    let damaged = std::fs::OpenOptions::new().write(true).open(scene.path("file.pgs")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, &bytes, 0).unwrap();
    let file = scene.open();
    let log = file.log("log").unwrap();
    for nth in 0..3000 {
        log.add(&mut file.writer(), &marked(1000 + nth, 500)).unwrap();
    }
    file.commit().unwrap();
    let pin = file.pin();
    for (nth, id) in (0..).zip(&ids).filter(|(nth, _)| *nth != 40) {
        assert_eq!(log.get(&pin, *id).unwrap(), marked(nth, 500), "{nth}");
    }
    let report = file.verify(Verify::new()).unwrap();
    assert_eq!((report.problem_count, report.problems[0].offset), (1, offset + 20));
    // A copy gives no right checksum to what is wrong.
    let refused = file.copy_compact(scene.at("copy.pgs"), &options()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert!(!scene.path("copy.pgs").exists());
}

/// A hundred entries, committed, and closed or not; the bytes of the file are changed by `damage`,
/// which is told where each entry lies.
fn damaged(closed: bool, damage: impl FnOnce(&mut [u8], &[usize])) -> (Scene, Vec<BlockId>) {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("log").unwrap();
    let ids: Vec<BlockId> =
        (0..100).map(|nth| log.add(&mut file.writer(), &marked(nth, 500)).unwrap()).collect();
    let place = |id: &BlockId| log.facts(&file.pin(), *id).unwrap().offset;
    let places: Vec<usize> = ids.iter().map(|id| usize::try_from(place(id)).unwrap()).collect();
    log.remove(&mut file.writer(), ids[60]).unwrap();
    file.commit().unwrap();
    log.add(&mut file.writer(), b"what no commit has").unwrap();
    drop(log);
    if closed {
        file.close().unwrap();
    } else {
        drop(file);
    }
    let mut bytes = std::fs::read(scene.path("file.pgs")).unwrap();
    damage(&mut bytes, &places);
    let written = std::fs::OpenOptions::new().write(true).open(scene.path("file.pgs")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&written, &bytes, 0).unwrap();
    (scene, ids)
}

/// All but those that were removed or `spoilt` are there.
#[track_caller]
fn check_others(log: &Log, ids: &[BlockId], spoilt: usize) {
    let pin = log.file().pin();
    for (nth, id) in ids.iter().enumerate().filter(|(nth, _)| *nth != 60 && *nth != spoilt) {
        assert_eq!(log.get(&pin, *id).unwrap(), marked(nth as u64, 500), "{nth}");
    }
}

#[rstest]
fn a_damaged_entry_is_one_error(
    #[values(false, true)] closed: bool,
    // Its length reaches behind the segment, it is another, the id is another, no id.
    #[values((16, 0x6000_01f4_u32), (16, 480), (0, 7), (20, 1))] (at, word): (usize, u32),
) {
    let (scene, ids) = damaged(closed, |bytes, places| {
        let at = places[40] + at;
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    });
    let file = scene.open();
    let log = file.log("log").unwrap();
    check_others(&log, &ids, 40);
    let report = file.verify(Verify::new()).unwrap();
    // Of the entry, and of the walk that ends there.
    assert!((1..3).contains(&report.problem_count), "{:?}", report.problems);
    // A get compares place and id; checksums are for verify, and for whatever moves or copies.
    let pin = file.pin();
    if let Err(error) = log.get(&pin, ids[40]) {
        let said = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{said}");
        assert!(said.contains("file.pgs") && said.contains("offset"), "{said}");
    } else {
        assert!(at == 20 || word == 480, "{at} {word}");
    }
    drop(pin);
    let mut writer = file.writer();
    for nth in 0..3000 {
        log.add(&mut writer, &marked(nth, 500)).unwrap();
    }
    writer.commit().unwrap();
    let segment = log.segments(&mut writer).unwrap()[0];
    let refused = log.evacuate(&mut writer, (segment.number, 0), |_| false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert_eq!(log.segments(&mut writer).unwrap()[0].number, segment.number);
    writer.commit().unwrap();
    for nth in 0..3000 {
        log.add(&mut writer, &marked(nth, 500)).unwrap();
    }
    drop(writer);
    check_others(&log, &ids, 40);
}

/// The length of an entry that does not count any more leads past one that does.
#[test]
fn an_entry_behind_a_damaged_one_is_not_given_back() {
    let (scene, ids) = damaged(true, |bytes, places| {
        let at = places[60] + 16;
        let stride = places[62] - places[60];
        let len = u32::try_from(stride - 32).unwrap();
        bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
    });
    let file = scene.open();
    let log = file.log("log").unwrap();
    let mut writer = file.writer();
    let number = log.segments(&mut writer).unwrap()[0].number;
    let refused = log.evacuate(&mut writer, (number, 0), |_| false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    for nth in 0..3000 {
        log.add(&mut writer, &marked(nth, 500)).unwrap();
        writer.commit().unwrap();
    }
    drop(writer);
    check_others(&log, &ids, 60);
}

/// A place to go on at that a discard made stale.
#[test]
fn a_segment_is_given_back_only_when_it_is_empty() {
    let (scene, ids) = damaged(true, |_, _| {});
    let file = scene.open();
    let log = file.log("log").unwrap();
    let mut writer = file.writer();
    let number = log.segments(&mut writer).unwrap()[0].number;
    let step = log.evacuate(&mut writer, (number, 0), |moved| 20_000 <= moved).unwrap();
    writer.discard().unwrap();
    let refused = log.evacuate(&mut writer, (number, step.next.unwrap()), |_| false).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    assert_eq!(log.evacuate(&mut writer, (number, 0), |_| false).unwrap().next, None);
    writer.commit().unwrap();
    for nth in 0..3000 {
        log.add(&mut writer, &marked(nth, 500)).unwrap();
    }
    drop(writer);
    check_others(&log, &ids, 60);
    check_clean(&file);
}

/// What a log says of its segments.
fn facts(file: &RegionFile, log: &Log) -> Vec<SegmentFacts> {
    log.segments(&mut file.writer()).unwrap()
}

/// A closed log of some segments, the ids of its entries `nth` with content `marked(nth, 500)`.
fn closed(scene: &Scene) -> (Vec<(u64, BlockId)>, Vec<SegmentFacts>) {
    let file = scene.create();
    let log = file.log("log").unwrap();
    let mut ids = Vec::new();
    let mut writer = file.writer();
    for nth in 0..6000 {
        ids.push((nth, log.add(&mut writer, &marked(nth, 500)).unwrap()));
    }
    for (nth, id) in ids.iter().step_by(5) {
        log.update(&mut writer, *id, &marked(*nth, 500)).unwrap();
    }
    for (_, id) in ids.iter().skip(1).step_by(3) {
        log.remove(&mut writer, *id).unwrap();
    }
    drop(writer);
    let kept = (0..).zip(&ids).filter(|(at, _)| at % 3 != 1).map(|(_, id)| *id).collect();
    let known = facts(&file, &log);
    drop(log);
    file.close().unwrap();
    (kept, known)
}

#[track_caller]
fn check_kept(file: &RegionFile, log: &Log, kept: &[(u64, BlockId)]) {
    let pin = file.pin();
    for (nth, id) in kept {
        assert_eq!(log.get(&pin, *id).unwrap(), marked(*nth, 500), "{nth}");
    }
}

#[test]
fn a_close_keeps_what_is_known_of_segments() {
    let scene = Scene::new();
    let (kept, known) = closed(&scene);
    assert!(3 < known.len() && known.iter().any(|segment| segment.live < segment.used));
    for untrusted in [false, true] {
        let file = options().untrusted(untrusted).open(scene.at("file.pgs")).unwrap();
        let log = file.log("log").unwrap();
        assert_eq!(facts(&file, &log), known, "untrusted {untrusted}");
        check_kept(&file, &log, &kept);
        check_clean(&file);
    }
    // What is changed first after an open counts too, though nobody looked at the segments.
    let file = scene.open();
    let log = file.log("log").unwrap();
    let (nth, id) = kept[1];
    log.update(&mut file.writer(), id, &marked(nth, 500)).unwrap();
    let now = facts(&file, &log);
    let live = |facts: &[SegmentFacts]| facts.iter().map(|segment| segment.live).sum::<u64>();
    assert_eq!(live(&now), live(&known));
    assert_eq!(now[0].live + 544, known[0].live);
}

#[test]
fn an_end_that_is_wrong_lets_nothing_be_overwritten() {
    let scene = Scene::new();
    let (kept, known) = closed(&scene);
    let last = known.last().unwrap();
    // The end word of the newest segment says less than it did.
    let mut bytes = std::fs::read(scene.path("file.pgs")).unwrap();
    let pair = (64 << 10) + (2 * usize::try_from(last.number).unwrap() + 1) * 16;
    for word in [pair, pair + 8] {
        let end = u64::from_le_bytes(bytes[word..word + 8].try_into().unwrap());
        if end & ((1 << 47) - 1) == last.used + 64 {
            let less = end - last.used + 544;
            bytes[word..word + 8].copy_from_slice(&less.to_le_bytes());
        }
    }
    let damaged = std::fs::OpenOptions::new().write(true).open(scene.path("file.pgs")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, &bytes, 0).unwrap();
    let file = scene.open();
    let log = file.log("log").unwrap();
    for nth in 0..3000 {
        log.add(&mut file.writer(), &marked(nth, 500)).unwrap();
    }
    check_kept(&file, &log, &kept);
    check_clean(&file);
}

#[test]
fn a_record_of_other_segments_is_refused() {
    let scene = Scene::new();
    let (kept, known) = closed(&scene);
    // Any byte of the record, which begins with its magic: its checksum is wrong then.
    let bytes = std::fs::read(scene.path("file.pgs")).unwrap();
    let record = bytes.windows(8).rposition(|window| window == b"PGSFREE1").unwrap();
    let start = known[0].offset.to_le_bytes();
    let of_segment = bytes[record..].windows(8).position(|window| window == start).unwrap();
    for (offset, nth) in [8, 16, 24, 32].into_iter().zip(0..) {
        let mut bytes = bytes.clone();
        bytes[record + of_segment + offset] ^= 1 << nth;
        std::fs::write(scene.path("other.pgs"), &bytes).unwrap();
        std::fs::rename(scene.path("other.pgs"), scene.path("file.pgs")).unwrap();
        let file = scene.open();
        let log = file.log("log").unwrap();
        assert_eq!(facts(&file, &log), known, "offset {offset}");
        check_kept(&file, &log, &kept);
        check_clean(&file);
    }
}

#[test]
fn several_entries_are_added_or_refused() {
    let scene = Scene::new();
    let file = scene.create();
    let log = file.log("log").unwrap();
    let mut ids = Vec::new();
    let content = |nth: u64| {
        let len = usize::try_from(nth * 37 % 900).unwrap();
        marked(nth, if nth % 400 == 7 { 200_000 } else { len })
    };
    log.add_many(&mut file.writer(), (0..5000).map(content), &mut ids).unwrap();
    assert_eq!(log.len(&mut file.writer()), 5000);
    // A kill: all were published.
    drop((log, file));
    let file = scene.open();
    let log = file.log("log").unwrap();
    let pin = file.pin();
    let mut next = 0;
    for (nth, id) in (0..).zip(&ids) {
        assert_eq!(log.get(&pin, *id).unwrap(), content(nth), "{nth}");
        let sequence = log.facts(&pin, *id).unwrap().sequence;
        assert!(next <= sequence, "{nth}");
        next = sequence + 1;
    }
    drop(pin);
    check_clean(&file);
}

/// An index that is given up before it was looked at after an open is found once, not twice.
#[test]
fn adds_of_several_after_an_open_have_ids_of_their_own() {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("log").unwrap();
    let mut ids = Vec::new();
    log.add_many(&mut file.writer(), vec![b"old"; 20], &mut ids).unwrap();
    log.remove(&mut file.writer(), ids[15]).unwrap();
    drop(log);
    file.close().unwrap();
    let file = scene.open();
    let log = file.log("log").unwrap();
    for id in &ids[3..9] {
        log.remove(&mut file.writer(), *id).unwrap();
    }
    let mut others = Vec::new();
    log.add_many(&mut file.writer(), vec![b"new"; 30], &mut others).unwrap();
    others.sort_unstable();
    others.dedup();
    assert_eq!((others.len(), log.len(&mut file.writer())), (30, 43));
    check_clean(&file);
}
