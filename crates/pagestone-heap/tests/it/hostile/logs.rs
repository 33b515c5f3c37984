//! The same for logs: flips of every byte that is used, lengths and places that lie.

use std::{collections::BTreeMap, time::Instant};

use pagestone_heap::{BlockId, RegionFile, Verify};

use super::{
    Bench,
    driver::{Outcome, WAYS},
    flips::Flips,
    forge::{Image, UNIT},
    written,
};
use crate::support::{Dice, Scene, budget, marked, options, seed};

const SEGMENT: u8 = 5;
const ENTRY: u8 = 253;

type Entries = BTreeMap<BlockId, Vec<u8>>;

fn entries(file: &RegionFile) -> pagestone_heap::Result<Entries> {
    let (log, pin) = (file.log("log")?, file.pin());
    log.ids(&pin).map(|id| log.get(&pin, id).map(|bytes| (id, bytes.to_vec()))).collect()
}

/// A file with a log of several segments, with updates, removes and moved entries; closed or not.
fn log(closed: bool) -> (Image, Entries) {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("log").unwrap();
    let mut writer = file.writer();
    let lens = [0, 8, 16, 100, 30, 200, 100, 17, 700, 40, 100, 60];
    let ids = lens.map(|len| log.add(&mut writer, &marked(1, len)).unwrap());
    writer.commit().unwrap();
    for nth in [4, 10] {
        log.remove(&mut writer, ids[nth]).unwrap();
        log.update(&mut writer, ids[nth + 1], &marked(2, 130)).unwrap();
    }
    let number = log.segments(&mut writer).unwrap()[0].number;
    log.evacuate(&mut writer, (number, 0), |moved| 300 <= moved).unwrap();
    writer.commit().unwrap();
    log.add(&mut writer, &marked(3, 90)).unwrap();
    log.update(&mut writer, ids[2], &marked(3, 20)).unwrap();
    drop(writer);
    let held = entries(&file).unwrap();
    drop(log);
    if closed {
        file.close().unwrap();
    } else {
        drop(file);
    }
    (Image { bytes: std::fs::read(scene.path("file.pgs")).unwrap() }, held)
}

/// Each byte that is used with a bit flipped: an open that trusts nothing and a check after it
/// find it, or all entries are right.
#[test]
fn no_flip_gives_wrong_bytes_unseen() {
    let (image, held) = log(true);
    let is_bare = &|_: usize| false;
    let (image, expected) = (&image, &held);
    Flips { what: "a log", image, expected, show: entries, is_bare }.check(3.0);
}

#[test]
fn a_flipped_or_forged_log_never_panics() {
    for closed in [true, false] {
        let (image, held) = log(closed);
        let mut bench = Bench::new(held.keys().copied().collect());
        for outcome in bench.check_all("a sound log", &image.bytes) {
            assert!(matches!(outcome, Outcome::Opened(10.., true)), "{outcome:?}");
        }
        let places = written(&image);
        let mut dice = Dice::new(seed());
        let (start, budget) = (Instant::now(), budget(3.0) / 2);
        while start.elapsed() < budget {
            let mut forged = image.clone();
            let mut what = format!("log, closed {closed}");
            for _ in 0..=dice.below(3) {
                what.push_str(&change(&mut forged, (&places, &mut dice)));
            }
            bench.check(&what, &forged.bytes, WAYS[dice.nth(WAYS.len())]);
        }
        bench.say("log");
    }
}

/// A slot of a closed log that names the place behind the last entry of a segment, or one across
/// it: an open that trusts the file appends nothing there.
#[test]
fn nothing_is_appended_where_a_forged_slot_looks() {
    let (image, _) = log(true);
    let slot = image.slots().into_iter().find(|(_, word)| word.to_le_bytes()[5] == ENTRY).unwrap();
    let scene = Scene::fast();
    let mut added = 0;
    for segment in image.regions().into_iter().filter(|region| region.kind == SEGMENT) {
        let (_, end) = image.newest(UNIT + 32 * segment.number + 16);
        let end = segment.start + usize::try_from(end & 0x7fff_ffff_ffff).unwrap();
        for to in [end - 16, end, end + 64] {
            let mut forged = image.clone();
            let (at, word) = forged.newest(slot.0);
            forged.set_word(at, word & !0xff_ffff_ffff | (to / 16) as u64);
            std::fs::write(scene.path("forged.pgs"), &forged.bytes).unwrap();
            let file = options().open(scene.at("forged.pgs")).unwrap();
            let log = file.log("log").unwrap();
            for _ in 0..3 {
                let Ok(id) = log.add(&mut file.writer(), &[7; 100]) else { continue };
                added += 1;
                let new = log.facts(&file.pin(), id).unwrap().offset;
                let new = usize::try_from(new).unwrap();
                let apart = to + 32 <= new || new + 132 <= to;
                assert!(apart, "an entry at {new:#x}, where a slot names {to:#x}");
            }
            drop((log, file));
            std::fs::remove_file(scene.path("forged.pgs")).unwrap();
        }
    }
    assert_ne!(added, 0);
}

/// One change: a bit, a word of a header, a place or an end that lies, with right checksums where
/// the dice say so.
fn change(image: &mut Image, (places, dice): (&[usize], &mut Dice)) -> String {
    let slots: Vec<(usize, u64)> =
        image.slots().into_iter().filter(|(_, word)| word.to_le_bytes()[5] == ENTRY).collect();
    let segments: Vec<_> =
        image.regions().into_iter().filter(|region| region.kind == SEGMENT).collect();
    let (slot, segment) = match (slots.is_empty(), segments.is_empty()) {
        (false, false) => (slots[dice.nth(slots.len())], segments[dice.nth(segments.len())]),
        _ => return String::new(),
    };
    let entry = usize::try_from(slot.1 & 0xff_ffff_ffff).unwrap() * 16;
    let fits = entry + 32 <= image.bytes.len();
    match dice.below(6) {
        0 => {
            let place = places[dice.nth(places.len())];
            image.bytes[place] ^= 1 << dice.below(8);
            format!(", byte {place:#x}")
        }
        1 if fits => {
            let len = [0, 1, 16, 5000, 1 << 20, u32::MAX - 1, u32::MAX][dice.nth(7)];
            image.set(entry + 16, &len.to_le_bytes());
            sum_entry(image, entry, segment.start);
            format!(", length {len} at {entry:#x}")
        }
        2 if fits => {
            let id = slots[dice.nth(slots.len())].0 as u64 % UNIT as u64 / 16;
            image.set_word(entry, id << 24 | dice.below(3));
            sum_entry(image, entry, segment.start);
            format!(", index {id} at {entry:#x}")
        }
        3 => {
            let to = [0, segment.start, segment.start + 64, segment.start + segment.len - 32];
            let to = [to[dice.nth(4)], entry + 16, entry + 32][dice.nth(3)];
            let (at, word) = image.newest(slot.0);
            image.set_word(at, word & !0xff_ffff_ffff | (to / 16) as u64);
            format!(", slot {:#x} names {to:#x}", slot.0)
        }
        4 => {
            let pair = UNIT + 32 * segment.number + 16;
            let (at, word) = image.newest(pair);
            let end = [0, 16, 64, 80, segment.len as u64, segment.len as u64 + 16, 1 << 46];
            image.set_word(at, word & !0x7fff_ffff_ffff | end[dice.nth(7)]);
            format!(", end of {}", segment.number)
        }
        _ => {
            let other = places[dice.nth(places.len())] / 8 * 8;
            let place = places[dice.nth(places.len())] / 8 * 8;
            let word = image.word(other);
            image.set_word(place, word);
            format!(", word of {other:#x} at {place:#x}")
        }
    }
}

/// Makes the checksum of an entry right, as one of this segment.
fn sum_entry(image: &mut Image, at: usize, segment: usize) {
    let len = u32::from_le_bytes(*image.bytes[at + 16..].first_chunk().unwrap());
    let len = if len == u32::MAX { 0 } else { len as usize };
    let Some(payload) = image.bytes.get(at + 32..at + 32 + len) else { return };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&image.bytes[segment + 32..segment + 40]);
    hasher.update(&image.bytes[at..at + 20]);
    hasher.update(payload);
    image.set(at + 20, &hasher.finalize().to_le_bytes());
}

/// The bytes of one segment in the place of another: with its header, and without.
#[test]
fn segments_swapped_or_repeated() {
    let (image, held) = log(true);
    let segments: Vec<_> =
        image.regions().into_iter().filter(|region| region.kind == SEGMENT).collect();
    let [a, b] = [segments[0], segments[1]].map(|region| region.start);
    let len = segments[0].len.min(segments[1].len);
    let mut bench = Bench::new(held.keys().copied().collect());
    for from in [0, 64] {
        let part = |at: usize| image.bytes[at + from..at + len].to_vec();
        let (first, second) = (part(a), part(b));
        for (what, parts) in [("swapped", [&second, &first]), ("repeated", [&first, &first])] {
            let mut forged = image.clone();
            forged.set(a + from, parts[0]);
            forged.set(b + from, parts[1]);
            let what = format!("segments {what} from {from} on");
            for outcome in bench.check_all(&what, &forged.bytes) {
                let seen = matches!(outcome, Outcome::Refused(_) | Outcome::Opened(_, false));
                assert!(seen, "{what}: {outcome:?}");
            }
        }
    }
    bench.say("segments");
}

/// A tail that was torn in any way: what was committed is there, and all that is shown is whole.
#[test]
fn a_torn_tail() {
    let scene = Scene::fast();
    let file = scene.create();
    let log = file.log("log").unwrap();
    let kept: Vec<BlockId> =
        (0..10).map(|nth| log.add(&mut file.writer(), &marked(nth, 300)).unwrap()).collect();
    file.commit().unwrap();
    let held = entries(&file).unwrap();
    let mut lost = Vec::new();
    for nth in 10..20 {
        lost.push(log.add(&mut file.writer(), &marked(nth, 300)).unwrap());
        log.update(&mut file.writer(), kept[0], &marked(nth, 100)).unwrap();
    }
    let place = |id: BlockId| log.facts(&file.pin(), id).unwrap().offset;
    let (from, end) = (place(lost[0]), place(kept[0]) + 132);
    let [from, end] = [from, end].map(|at| usize::try_from(at).unwrap());
    drop((log, file));
    let bytes = std::fs::read(scene.path("file.pgs")).unwrap();
    for cut in (from..end).step_by(56) {
        let mut torn = bytes.clone();
        torn[cut / 8 * 8..end].fill(0);
        // Another inode: a power loss.
        std::fs::write(scene.path("torn.pgs"), &torn).unwrap();
        let file = options().open(scene.at("torn.pgs")).unwrap();
        assert!(entries(&file).unwrap() == held, "cut at {cut}");
        assert!(file.verify(Verify::new()).unwrap().is_clean());
        let log = file.log("log").unwrap();
        let id = log.add(&mut file.writer(), b"behind it").unwrap();
        file.commit().unwrap();
        let pin = file.pin();
        assert_eq!(log.get(&pin, id).unwrap(), b"behind it");
        drop(pin);
        drop((log, file));
        std::fs::remove_file(scene.path("torn.pgs")).unwrap();
    }
}
