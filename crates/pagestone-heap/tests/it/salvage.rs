//! Logs from their segments alone: what is whole comes back, what was removed does not.

use std::{collections::BTreeMap, fs, io, ops::ControlFlow};

use pagestone_heap::{
    BlockId, ErrorKind, Log, RegionFile, Result, Salvage, Salvaged, SalvagedLog, Verify,
};
use pagestone_testkit::faults::Scenario;

use crate::{
    hostile::forge::{Image, UNIT},
    support::{Dice, Scene, check_clean, marked, options},
};

const SEGMENT: u8 = 5;
const TABLE: u8 = 2;

type Contents = BTreeMap<BlockId, Vec<u8>>;

fn contents(file: &RegionFile, name: &str) -> Contents {
    let (log, pin) = (file.log(name).unwrap(), file.pin());
    log.ids(&pin).map(|id| (id, log.get(&pin, id).unwrap().to_vec())).collect()
}

fn salvage(scene: &Scene, from: &str) -> Result<(Salvaged, RegionFile)> {
    fs::remove_file(scene.path("new.pgs")).ok();
    let salvage = Salvage::new().file_options(options());
    let report = RegionFile::salvage(scene.at(from), scene.at("new.pgs"), salvage)?;
    let file = options().open(scene.at("new.pgs"))?;
    check_clean(&file);
    assert_eq!(report.entries, report.logs.iter().map(|log| log.entries).sum());
    for log in &report.logs {
        let found = contents(&file, &log.name);
        assert_eq!(found.len() as u64, log.entries);
        assert_eq!(found.values().map(|bytes| bytes.len() as u64).sum::<u64>(), log.bytes);
    }
    Ok((report, file))
}

/// Salvages a file that was changed by hand.
fn of_image(scene: &Scene, image: &Image) -> Result<(Salvaged, RegionFile)> {
    fs::write(scene.path("image.pgs"), &image.bytes).unwrap();
    salvage(scene, "image.pgs")
}

/// A closed file with one log in several segments: entries that were updated, removed, moved.
struct Closed {
    scene: Scene,
    image: Image,
    expected: Contents,
    removed: Vec<BlockId>,
    /// Where entries lie.
    places: BTreeMap<BlockId, usize>,
}

impl Closed {
    fn new() -> Self {
        let scene = Scene::fast();
        let file = scene.create();
        let log = file.log("notes").unwrap();
        let mut writer = file.writer();
        let mut ids = Vec::new();
        for nth in 0..1800 {
            let len = 1200 + usize::try_from(nth % 200).unwrap();
            ids.push(log.add(&mut writer, &marked(nth, len)).unwrap());
        }
        writer.commit().unwrap();
        for (nth, id) in ids.iter().enumerate() {
            match nth % 5 {
                0 => log.update(&mut writer, *id, &marked(nth as u64, 300)).unwrap(),
                1 => log.remove(&mut writer, *id).unwrap(),
                _ => {}
            }
        }
        writer.commit().unwrap();
        let removed: Vec<BlockId> = ids.into_iter().skip(1).step_by(5).collect();
        // Indices that were used twice, and one segment less.
        for nth in 0..100 {
            log.add(&mut writer, &marked(nth, 50)).unwrap();
        }
        let oldest = log.segments(&mut writer).unwrap()[0].number;
        let evacuated = log.evacuate(&mut writer, (oldest, 0), |_| false).unwrap();
        assert_eq!(evacuated.next, None);
        drop(writer);
        file.commit().unwrap();
        let expected = contents(&file, "notes");
        let pin = file.pin();
        let place = |id: &BlockId| usize::try_from(log.facts(&pin, *id).unwrap().offset).unwrap();
        let places = expected.keys().map(|id| (*id, place(id))).collect();
        drop(pin);
        drop(log);
        file.close().unwrap();
        let bytes = fs::read(scene.path("file.pgs")).unwrap();
        Self { scene, image: Image { bytes }, expected, removed, places }
    }

    /// Starts and lengths of regions of a kind.
    fn regions(&self, kind: u8) -> Vec<(usize, usize)> {
        regions(&self.image, kind)
    }

    #[track_caller]
    fn check(&self, image: &Image, name: &str) -> Salvaged {
        let (report, file) = of_image(&self.scene, image).unwrap();
        assert!(contents(&file, name) == self.expected, "{report:#?}");
        self.check_removed(&file, name);
        report
    }

    /// Removed ids are refused, also when their slots are used again.
    #[track_caller]
    fn check_removed(&self, file: &RegionFile, name: &str) {
        let log = file.log(name).unwrap();
        let mut writer = file.writer();
        for _ in 0..self.removed.len() + 100 {
            let id = log.add(&mut writer, b"new").unwrap();
            assert!(!self.expected.contains_key(&id) && !self.removed.contains(&id), "{id}");
        }
        for id in &self.removed {
            let refused = log.get(&file.pin(), *id).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StaleId);
        }
    }
}

fn regions(image: &Image, kind: u8) -> Vec<(usize, usize)> {
    let starts = (0..image.bytes.len()).step_by(UNIT);
    let starts = starts.filter(|at| image.bytes[*at..].starts_with(b"PGSR"));
    let starts = starts.filter(|at| image.bytes[at + 4] == kind);
    starts.map(|at| (at, usize::try_from(image.word(at + 40)).unwrap())).collect()
}

/// Where the directory pair of the region at `start` lies.
fn pair_of(image: &Image, start: usize) -> usize {
    let number = u32::from_le_bytes(*image.bytes[start + 8..].first_chunk().unwrap());
    UNIT + usize::try_from(number).unwrap() * 32
}

#[test]
fn an_undamaged_file_comes_back_as_it_was() {
    let closed = Closed::new();
    let report = closed.check(&closed.image, "notes");
    assert!(report.is_clean(), "{report:#?}");
    assert_eq!((report.generation.is_some(), report.removed), (true, 260));
    let [SalvagedLog { is_named, .. }] = report.logs[..] else { panic!("{report:?}") };
    assert!(is_named);
}

#[test]
fn any_commit_comes_back_whatever_followed_it() {
    for seed in 0..6 {
        let scene = Scene::fast();
        let mut dice = Dice::new(seed);
        let mut file = scene.create();
        let mut removed: Vec<BlockId> = Vec::new();
        file.log("empty").unwrap();
        file.heap("heap").unwrap();
        file.commit().unwrap();
        for _ in 0..12 {
            for name in ["one", "two"] {
                changes(&file.log(name).unwrap(), (&mut dice, &mut removed));
            }
            match dice.below(5) {
                0 => file.writer().discard().unwrap(),
                1..3 => file.commit().unwrap(),
                3 => {
                    // A power loss: another inode of the same bytes.
                    drop(file);
                    scene.copy("lost.pgs");
                    fs::rename(scene.path("lost.pgs"), scene.path("file.pgs")).unwrap();
                    file = scene.open();
                }
                _ => {
                    file.close().unwrap();
                    file = scene.open();
                }
            }
            let (report, new) = salvage(&scene, "file.pgs").unwrap();
            assert!(report.is_clean(), "{seed} {report:#?}");
            assert_eq!(report.left_out, ["heap"]);
            let committed = options().open_read_only(scene.at("file.pgs")).unwrap();
            assert_eq!(new.logs(), committed.logs(), "{seed}");
            for name in committed.logs() {
                let same = contents(&new, &name) == contents(&committed, &name);
                assert!(same, "{seed} {name}");
            }
        }
    }
}

/// Random changes of a log, not committed.
fn changes(log: &Log, (dice, removed): (&mut Dice, &mut Vec<BlockId>)) {
    let mut writer = log.file().writer();
    let mut ids: Vec<BlockId> = log.ids(&log.file().pin()).collect();
    for _ in 0..dice.below(200) {
        let nth = dice.nth(ids.len().max(1));
        let bytes = marked(dice.word(), dice.len().min(9000));
        match (dice.below(6), ids.get(nth).copied()) {
            (0..2, _) | (_, None) => ids.push(log.add(&mut writer, &bytes).unwrap()),
            (2..4, Some(id)) => log.update(&mut writer, id, &bytes).unwrap(),
            (_, Some(id)) => {
                log.remove(&mut writer, id).unwrap();
                removed.push(ids.swap_remove(nth));
            }
        }
    }
    let segments = log.segments(&mut writer).unwrap();
    if let Some(segment) = segments.first().filter(|_| dice.below(3) == 0) {
        log.evacuate(&mut writer, (segment.number, 0), |moved| 300_000 < moved).unwrap();
    }
}

#[test]
fn slot_tables_are_not_needed() {
    let closed = Closed::new();
    let mut image = closed.image.clone();
    for (start, len) in closed.regions(TABLE) {
        image.bytes[start + 64..start + len].fill(0xa5);
    }
    let report = closed.check(&image, "log-1");
    assert!(!report.logs[0].is_named && report.is_clean(), "{report:#?}");
    for (start, len) in closed.regions(TABLE) {
        image.bytes[start..start + len].fill(0);
    }
    let report = closed.check(&image, "log-1");
    assert_eq!(report.ends_unknown, 0);
}

#[test]
fn superblocks_and_owner_page_are_not_needed() {
    let closed = Closed::new();
    let mut image = closed.image.clone();
    image.bytes[..8192].fill(0xff);
    let report = closed.check(&image, "notes");
    assert_eq!((report.generation.is_some(), report.damage_count), (true, 1));
    image.bytes[..UNIT].fill(0xff);
    let report = closed.check(&image, "notes");
    assert_eq!((report.generation, report.damage_count), (None, 2));
    // One superblock alone is enough, if it is the one that counts.
    let mut image = closed.image.clone();
    let other = 4096 - image.superblock();
    image.bytes[other..other + 512].fill(7);
    assert!(closed.check(&image, "notes").is_clean());
}

#[test]
fn without_the_directory_all_segments_are_found() {
    let closed = Closed::new();
    let segments = closed.regions(SEGMENT).len() as u64;
    for with_superblock in [true, false] {
        let mut image = closed.image.clone();
        image.bytes[UNIT..2 * UNIT].fill(0);
        if !with_superblock {
            image.bytes[..UNIT].fill(0);
        }
        let report = closed.check(&image, "log-1");
        assert_eq!((report.unnamed, report.ends_unknown), (segments, segments), "{report:#?}");
    }
    // With the header of the directory gone and its words there, nothing is guessed.
    let mut image = closed.image.clone();
    image.bytes[UNIT..UNIT + 64].fill(0);
    let report = closed.check(&image, "notes");
    assert_eq!((report.unnamed, report.ends_unknown, report.damage_count), (0, 0, 1));
}

#[test]
fn no_flipped_bit_of_the_directory_loses_anything() {
    let closed = Closed::new();
    let (start, _) = closed.regions(SEGMENT)[1];
    let pair = pair_of(&closed.image, start);
    for bit in (0..256).step_by(7) {
        let mut image = closed.image.clone();
        image.bytes[pair + bit / 8] ^= 1 << (bit % 8);
        if let Ok((report, file)) = of_image(&closed.scene, &image) {
            let found = contents(&file, "notes");
            let lost = closed.expected.iter().filter(|(id, bytes)| found.get(id) != Some(bytes));
            // An end that is lower, yet a place between entries, cannot be told from a right one.
            let lost = lost.count();
            assert!(lost == 0 || 128 <= bit, "bit {bit}: {lost} lost, {report:#?}");
        }
    }
}

#[test]
fn a_damaged_entry_is_lost_alone() {
    let closed = Closed::new();
    let mut dice = Dice::new(3);
    for round in 0..12 {
        let mut image = closed.image.clone();
        let victims: Vec<BlockId> = (0..round)
            .map(|_| *closed.expected.keys().nth(dice.nth(closed.expected.len())).unwrap())
            .collect();
        let mut damaged = Vec::new();
        for id in &victims {
            let (at, len) = (closed.places[id], 32 + closed.expected[id].len());
            // Not the spare word, which means nothing.
            let byte = match dice.nth(len - 8) {
                byte if byte < 24 => byte,
                byte => byte + 8,
            };
            image.bytes[at + byte] ^= 1 << dice.below(8);
            damaged.push((at as u64, byte));
        }
        let (report, file) = of_image(&closed.scene, &image).unwrap();
        let found = contents(&file, "notes");
        for (id, bytes) in closed.expected.iter().filter(|(id, _)| !victims.contains(id)) {
            assert!(found.get(id) == Some(bytes), "{id} {report:#?}");
        }
        for id in &victims {
            assert!(
                found.get(id) != Some(&closed.expected[id]) || closed.expected[id].len() == 300
            );
        }
        closed.check_removed(&file, "notes");
        for (at, byte) in damaged {
            let covers = |offset: u64, len: u64| offset <= at && at < offset + len;
            let told = report.damaged.iter().find(|found| covers(found.offset, found.len));
            let told = told.unwrap_or_else(|| panic!("{at} {byte}: {report:#?}"));
            if (20..24).contains(&byte) || 32 <= byte {
                assert!(told.id.is_some_and(|id| victims.contains(&id)), "{told}");
            }
        }
    }
}

#[test]
fn an_older_content_comes_back_and_is_told() {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("notes").unwrap();
    let mut writer = file.writer();
    let id = log.add(&mut writer, b"old content").unwrap();
    let gone = log.add(&mut writer, b"was removed").unwrap();
    log.update(&mut writer, id, b"new content").unwrap();
    log.remove(&mut writer, gone).unwrap();
    drop((writer, log));
    file.close().unwrap();
    let mut image = Image { bytes: fs::read(scene.path("file.pgs")).unwrap() };
    let at = image.bytes.windows(11).position(|bytes| bytes == b"new content").unwrap();
    image.bytes[at] ^= 1;
    let (report, new) = of_image(&scene, &image).unwrap();
    assert_eq!(contents(&new, "notes"), [(id, b"old content".to_vec())].into());
    let [damage] = &report.damaged[..] else { panic!("{report:#?}") };
    assert_eq!((damage.offset, damage.len, damage.id), (at as u64 - 32, 48, Some(id)));
    assert!(damage.what.contains("an older content came back"), "{damage}");
    assert_eq!(report.removed, 1);
}

#[test]
fn the_id_of_a_lost_entry_is_not_given_out() {
    // Stores begin with a random generation, which may leave little room above it.
    let mut seen = [false; 2];
    while seen != [true; 2] {
        let scene = Scene::fast();
        let file = scene.create();
        let log = file.log("notes").unwrap();
        let mut writer = file.writer();
        let id = log.add(&mut writer, b"first").unwrap();
        log.remove(&mut writer, id).unwrap();
        let next = log.add(&mut writer, b"lost content").unwrap();
        let other = log.add(&mut writer, b"also lost content").unwrap();
        assert_eq!(next.to_bits(), id.to_bits() + 1);
        drop((writer, log));
        let is_high = (1 << 23) - (1 << 20) < id.to_bits() & 0xff_ffff;
        if std::mem::replace(&mut seen[usize::from(is_high)], true) {
            continue;
        }
        file.close().unwrap();
        let mut image = Image { bytes: fs::read(scene.path("file.pgs")).unwrap() };
        for _ in 0..2 {
            let at = image.bytes.windows(12).position(|bytes| bytes == b"lost content").unwrap();
            image.bytes[at] ^= 1;
        }
        let (report, new) = of_image(&scene, &image).unwrap();
        assert_eq!((report.entries, report.damage_count), (0, 1), "{report:#?}");
        let log = new.log("notes").unwrap();
        for _ in 0..3 {
            let fresh = log.add(&mut new.writer(), b"fresh").unwrap();
            assert!(![id, next, other].contains(&fresh), "{fresh}");
        }
    }
}

#[test]
fn what_was_undone_or_never_committed_does_not_come_back() {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("notes").unwrap();
    let kept = log.add(&mut file.writer(), b"kept").unwrap();
    file.commit().unwrap();
    let add = |bytes: &[u8]| log.add(&mut file.writer(), bytes).unwrap();
    let expected: Contents = [(kept, b"kept".to_vec())].into();
    let check = || {
        let (report, new) = salvage(&scene, "file.pgs").unwrap();
        assert!(report.is_clean());
        assert_eq!(contents(&new, "notes"), expected);
    };
    add(b"undone");
    log.update(&mut file.writer(), kept, b"undone too").unwrap();
    // A segment of its own.
    add(&vec![7; 3 << 20]);
    check();
    file.writer().discard().unwrap();
    check();
    file.commit().unwrap();
    log.remove(&mut file.writer(), kept).unwrap();
    check();
    // Somebody tears the directory too: the search finds no segment of the undone epoch.
    file.writer().discard().unwrap();
    drop(log);
    file.close().unwrap();
    check();
}

#[test]
fn segments_that_changed_places_are_not_believed() {
    let closed = Closed::new();
    let segments = closed.regions(SEGMENT);
    let of_len = |len: usize| segments.iter().filter(|found| found.1 == len).collect::<Vec<_>>();
    let same = of_len(segments[0].1);
    let [(one, len), (other, _)] = [*same[0], *same[1]];
    let bytes = |at: usize| closed.image.bytes[at..at + len].to_vec();
    // Swapped as a whole: the headers say so, and both are found again.
    let mut image = closed.image.clone();
    image.set(one, &bytes(other));
    image.set(other, &bytes(one));
    let report = closed.check(&image, "notes");
    assert_eq!(report.unnamed, 2);
    // Swapped without their headers: no entry is of its segment.
    let mut image = closed.image.clone();
    image.set(one + 64, &bytes(other)[64..]);
    image.set(other + 64, &bytes(one)[64..]);
    let (report, file) = of_image(&closed.scene, &image).unwrap();
    let inside = |at: usize| (one..one + len).contains(&at) || (other..other + len).contains(&at);
    let found = contents(&file, "notes");
    for (id, bytes) in &closed.expected {
        let whole = found.get(id) == Some(bytes);
        assert_eq!(whole, !inside(closed.places[id]), "{id} {report:#?}");
    }
    drop(file);
    // Repeated: in place of another, and at the end of the file.
    let mut image = closed.image.clone();
    image.set(other, &bytes(one));
    let (_, file) = of_image(&closed.scene, &image).unwrap();
    let found = contents(&file, "notes");
    let (kept, lost): (Vec<_>, Vec<_>) =
        closed.places.iter().partition(|(_, at)| !(other..other + len).contains(*at));
    assert!(kept.iter().all(|(id, _)| found.get(id) == closed.expected.get(id)));
    assert!(!lost.is_empty());
    drop(file);
    let mut image = closed.image.clone();
    image.bytes.extend(bytes(one));
    assert!(closed.check(&image, "notes").is_clean());
    image.bytes[UNIT..2 * UNIT].fill(0);
    closed.check(&image, "log-1");
}

/// Sets a field of an entry and makes its checksum right.
fn forge_entry(image: &mut Image, (segment, at): (usize, usize), change: impl Fn(&mut Image)) {
    change(image);
    let len = u32::from_le_bytes(*image.bytes[at + 16..].first_chunk().unwrap());
    let len = if len == u32::MAX { 0 } else { usize::try_from(len).unwrap() };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&image.bytes[segment + 32..segment + 40]);
    hasher.update(&image.bytes[at..at + 20]);
    let end = (at + 32 + len).min(image.bytes.len());
    hasher.update(&image.bytes[at + 32..end]);
    image.set(at + 20, &hasher.finalize().to_le_bytes());
}

#[test]
fn forged_lengths_and_places_are_only_damage() {
    let closed = Closed::new();
    let (segment, len) = closed.regions(SEGMENT)[0];
    let at = segment + 64;
    let pair = pair_of(&closed.image, segment);
    let with = |change: &dyn Fn(&mut Image)| {
        let mut image = closed.image.clone();
        change(&mut image);
        match of_image(&closed.scene, &image) {
            Ok((report, file)) => {
                let found = contents(&file, &report.logs[0].name);
                let (lens, all) = (found.values().map(Vec::len), closed.image.bytes.len());
                assert!(lens.sum::<usize>() < all, "{report:#?}");
                drop(file.verify(Verify::new()).unwrap());
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
        }
    };
    for entry_len in [0_u32, 1, 1 << 20, 1 << 30, u32::MAX - 1, u32::MAX] {
        let set = |image: &mut Image| image.set(at + 16, &entry_len.to_le_bytes());
        with(&set);
        with(&|image| forge_entry(image, (segment, at), set));
    }
    for id in [0, 1, 1 << 24, u64::MAX, u64::MAX << 24, (1 << 40) - 1] {
        with(&|image| forge_entry(image, (segment, at), |image| image.set_word(at, id)));
    }
    for sequence in [0, u64::MAX, 1 << 63] {
        with(&|image| forge_entry(image, (segment, at), |image| image.set_word(at + 8, sequence)));
    }
    for region_len in [0, 64, UNIT as u64, len as u64 + 1, 1 << 40, u64::MAX, u64::MAX << 16] {
        for torn in [false, true] {
            with(&|image| {
                image.set_word(segment + 40, region_len);
                image.sum_region(segment);
                if torn {
                    image.bytes[..2 * UNIT].fill(0);
                }
            });
        }
    }
    for first in [u64::MAX, 0, 5] {
        with(&|image| {
            image.set_word(segment + 48, first);
            image.sum_region(segment);
        });
    }
    for word in [0, 1, 63, 64, 1 << 46, (1 << 47) - 1, u64::MAX] {
        with(&|image| {
            for at in [pair + 16, pair + 24] {
                image.set_word(at, image.word(at) & 0xffff << 48 | word & ((1 << 48) - 1));
            }
        });
    }
    for field in [40, 48, 56, 64] {
        for value in [0, 1, 1 << 39, u64::MAX] {
            with(&|image| {
                let superblock = image.superblock();
                image.set_word(superblock + field, value);
                image.sum_superblock(superblock);
            });
        }
    }
}

#[test]
fn a_forged_segment_does_not_take_for_ever() {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("notes").unwrap();
    let id = log.add(&mut file.writer(), &vec![0; 1_000_000]).unwrap();
    let at = usize::try_from(log.facts(&file.pin(), id).unwrap().offset).unwrap();
    let other = log.add(&mut file.writer(), b"other").unwrap();
    drop(log);
    file.close().unwrap();
    let mut image = Image { bytes: fs::read(scene.path("file.pgs")).unwrap() };
    // Each place says that a long entry of the right sequence is there.
    let first = image.word(at + 8);
    for (nth, place) in (at..at + 1_000_000).step_by(32).enumerate() {
        image.set_word(place, 1 << 24 | 5);
        image.set_word(place + 8, first + 2 * nth as u64);
        image.set_word(place + 16, 0x7_0000);
    }
    let began = std::time::Instant::now();
    let (report, new) = of_image(&scene, &image).unwrap();
    assert!(began.elapsed().as_secs() < 20);
    let found = contents(&new, "notes");
    assert!(!found.contains_key(&id) && found.len() < 2, "{report:#?} {other}");
    assert!(500_000 < report.damaged_bytes);
}

#[test]
fn a_cut_file_keeps_what_is_left_of_it() {
    let closed = Closed::new();
    let len = closed.image.bytes.len();
    let mut before = 0;
    for cut in [0, 1, 511, 8192, UNIT, UNIT + 100, 2 * UNIT, len / 4, len / 2 + 8, len - 8, len] {
        let image = Image { bytes: closed.image.bytes[..cut].to_vec() };
        let Ok((report, file)) = of_image(&closed.scene, &image) else {
            assert!(cut <= 4096 || cut < UNIT, "{cut}");
            continue;
        };
        let mut found = Contents::new();
        for log in &report.logs {
            found.append(&mut contents(&file, &log.name));
        }
        for (id, place) in &closed.places {
            let end = place + 32 + closed.expected[id].len();
            if UNIT * 2 <= cut && end <= cut {
                assert_eq!(found.get(id), Some(&closed.expected[id]), "{cut} {id}");
            }
        }
        assert!(
            cut == len || !report.is_clean() || cut < len && found.len() == closed.expected.len()
        );
        assert!(before <= found.len(), "{cut}");
        before = found.len();
    }
    assert_eq!(before, closed.expected.len());
}

#[test]
fn what_is_no_region_file_is_refused() {
    let scene = Scene::fast();
    for bytes in [&b""[..], b"text", &[0; 9999], &vec![b'x'; 5 * UNIT]] {
        fs::write(scene.path("image.pgs"), bytes).unwrap();
        let refused = salvage(&scene, "image.pgs").unwrap_err();
        let kind = refused.kind();
        assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Truncated), "{refused}");
        assert!(!scene.path("new.pgs").exists());
    }
    let refused = salvage(&scene, "absent.pgs").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[test]
fn an_empty_log_keeps_its_name() {
    let scene = Scene::fast();
    let file = scene.create();
    file.log("nothing").unwrap();
    file.close().unwrap();
    let (report, new) = salvage(&scene, "file.pgs").unwrap();
    assert!(report.is_clean() && new.logs() == ["nothing"], "{report:#?}");
    new.log("nothing").unwrap().add(&mut new.writer(), b"first").unwrap();
    check_clean(&new);
}

#[test]
fn roots_that_name_entries_are_kept() {
    let scene = Scene::fast();
    let file = scene.create();
    let (log, heap) = (file.log("notes").unwrap(), file.heap("heap").unwrap());
    let mut writer = file.writer();
    let id = log.add(&mut writer, b"entry").unwrap();
    let block = heap.allocate_from(&mut writer, b"block").unwrap();
    writer.set_root("entry", id).unwrap();
    writer.set_root("block", block).unwrap();
    drop((writer, log, heap));
    file.close().unwrap();
    let (_, new) = salvage(&scene, "file.pgs").unwrap();
    assert_eq!(new.roots(), [("entry".to_owned(), id)]);
}

#[test]
fn a_broken_off_salvage_leaves_nothing() {
    let closed = Closed::new();
    let (from, to) = (closed.scene.at("file.pgs"), closed.scene.at("new.pgs"));
    let names = || fs::read_dir(closed.scene.path("")).unwrap().count();
    let (before, mut calls) = (names(), 0);
    let mut hook = |copied: pagestone_heap::Copied| {
        assert!(copied.done <= copied.total);
        calls += 1;
        if calls < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let options = Salvage::new().file_options(options()).progress(&mut hook);
    let refused = RegionFile::salvage(from.clone(), to.clone(), options).unwrap_err();
    assert_eq!((refused.kind(), names()), (ErrorKind::Cancelled, before));
    fs::write(closed.scene.path("new.pgs"), b"mine").unwrap();
    let refused = RegionFile::salvage(from, to, Salvage::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(closed.scene.path("new.pgs")).unwrap(), b"mine");
}

#[test]
fn whatever_call_fails_the_old_file_stays() {
    let closed = Closed::new();
    let from = closed.scene.path("file.pgs");
    let calls = Scenario {
        prepare: || fs::remove_file(closed.scene.path("new.pgs")).ok(),
        work: |_: &mut Option<()>| {
            let options = Salvage::new().file_options(options());
            RegionFile::salvage(closed.scene.at("file.pgs"), closed.scene.at("new.pgs"), options)
        },
        check: |_, done: Result<Salvaged>| {
            assert_eq!(fs::read(&from).unwrap(), closed.image.bytes);
            match done {
                // What could not be read once is read page by page, or is damage.
                Ok(report) => {
                    let file = options().open(closed.scene.at("new.pgs")).unwrap();
                    let whole = contents(&file, "notes") == closed.expected;
                    assert!(whole || !report.is_clean(), "{report:#?}");
                }
                Err(error) => {
                    let late = error.to_string().contains("directory");
                    assert!(late || !closed.scene.path("new.pgs").exists(), "{error}");
                }
            }
        },
    }
    .fail_each_call(io::ErrorKind::Other);
    assert!(20 < calls, "{calls}");
}
