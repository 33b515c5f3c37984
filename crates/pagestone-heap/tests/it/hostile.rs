//! Bytes that somebody else made: flipped, cut, forged, spliced. Errors, never more.

mod driver; // everything that can be asked of a file
pub(crate) mod forge; // checksums made right again
mod flips; // every byte that is used
mod logs; // entries and their segments
mod slabs; // objects in slots, and numbers
mod moving; // bytes that change while a reader has the file open

use std::time::{Duration, Instant};

use allocation_counter::measure;
use pagestone_heap::{BlockId, ErrorKind, HeapOptions};

use self::{
    driver::{Outcome, Subject, WAYS, Way},
    forge::{HEAP, Image, TABLE, UNIT},
};
use crate::support::{Dice, Scene, budget, fast_dir, marked, say, seed, trusted};

/// A closed file with blocks of all kinds in two heaps, and its ids.
fn closed(seed: u64) -> (Image, Vec<BlockId>) {
    let scene = Scene::fast();
    let file = scene.create();
    let blocks = file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap();
    let plain = file.heap("plain").unwrap();
    let mut ids = Vec::new();
    let mut writer = file.writer();
    for len in [0, 8, 8, 100, 30, 200, 100, 16, 700, 40, 100, 60] {
        for heap in [&blocks, &plain] {
            ids.push(heap.allocate_from(&mut writer, &marked(seed, len)).unwrap());
        }
    }
    ids.push(plain.allocate_from(&mut writer, &vec![0; 263_000]).unwrap());
    writer.set_root("first", ids[0]).unwrap();
    writer.commit().unwrap();
    for heap in [&blocks, &plain] {
        for at in [4, 10, 15] {
            heap.free(&mut writer, ids[at]).ok();
            heap.put(&mut writer, ids[at + 1], &marked(seed + 1, 130)).ok();
        }
    }
    drop(writer);
    file.close().unwrap();
    let bytes = std::fs::read(scene.path("file.pgs")).unwrap();
    (Image { bytes }, ids)
}

/// Says which case it was when the test panics.
struct Case<'c>(&'c str);

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("hostile: the case was {}", self.0));
        }
    }
}

/// Runs cases on one file; each is bounded in time and memory.
struct Bench {
    subject: Subject,
    known: Vec<BlockId>,
    _dir: tempfile::TempDir,
    cases: u64,
    refused: u64,
    found: u64,
    unseen: u64,
}

impl Bench {
    fn new(known: Vec<BlockId>) -> Self {
        let dir = fast_dir();
        let subject = Subject::new(trusted(dir.path()), dir.path());
        Self { subject, known, _dir: dir, cases: 0, refused: 0, found: 0, unseen: 0 }
    }

    #[track_caller]
    fn check(&mut self, what: &str, image: &[u8], way: Way) -> Outcome {
        let _case = Case(what);
        self.subject.write(image);
        let start = Instant::now();
        let mut outcome = None;
        let taken = measure(|| outcome = Some(self.subject.run(way, &self.known)));
        let bound = 16 * image.len() as u64 + (16 << 20);
        assert!(taken.bytes_max < bound, "{what}, {way:?}: {} bytes of memory", taken.bytes_max);
        let time = start.elapsed();
        assert!(time < Duration::from_secs(20), "{what}, {way:?}: {time:?}");
        self.cases += 1;
        match outcome {
            Some(Outcome::Refused(_)) => self.refused += 1,
            Some(Outcome::Opened(_, false)) => self.found += 1,
            _ => self.unseen += 1,
        }
        outcome.unwrap()
    }

    #[track_caller]
    fn check_all(&mut self, what: &str, image: &[u8]) -> [Outcome; 3] {
        WAYS.map(|way| self.check(what, image, way))
    }

    fn say(&self, what: &str) {
        let Self { cases, refused, found, unseen, .. } = self;
        say(&format!(
            "hostile: {what}: {cases} cases, {refused} refused, {found} found by verify, {unseen} \
             read"
        ));
    }
}

#[test]
fn the_driver_finds_nothing_in_a_sound_file() {
    let (image, known) = closed(1);
    let mut bench = Bench::new(known);
    for outcome in bench.check_all("sound", &image.bytes) {
        assert!(matches!(outcome, Outcome::Opened(20.., true)), "{outcome:?}");
    }
    let mut summed = image.clone();
    summed.sum_all();
    assert!(summed.bytes == image.bytes, "the forger's checksums are the crate's");
}

/// Bytes that a flip of any bit is tried in: superblocks, owner page, directory, region headers,
/// slots and block headers in use, record.
fn structure(image: &Image) -> Vec<usize> {
    let mut places: Vec<usize> = (0..96).chain(500..512).collect();
    places.extend((4096..4192).chain(4596..4608));
    places.extend(8192..8264);
    places.extend(image.directory().into_iter().flat_map(|at| at..at + 16));
    places.extend(image.regions().into_iter().flat_map(|region| region.start..region.start + 64));
    places.extend(image.slots().into_iter().flat_map(|(at, _)| at..at + 16));
    places.extend(image.blocks().into_iter().flat_map(|at| at..at + 24));
    let (regions, stores) = image.entries();
    let snapshot = image.snapshot();
    places.extend(snapshot..snapshot + 32 + 32 * (regions.len() + stores.len()));
    places
}

/// All bytes of pages that are not zero.
fn written(image: &Image) -> Vec<usize> {
    let pages = (0..image.bytes.len()).step_by(4096);
    let used = |page: &usize| image.bytes[*page..*page + 4096].iter().any(|byte| *byte != 0);
    pages.filter(used).flat_map(|page| page..page + 4096).collect()
}

/// Flips bits one at a time for as long as the budget lasts, spread over all of them.
fn flip(what: &str, image: &Image, (known, places): (Vec<BlockId>, Vec<(usize, u8)>)) {
    let mut bench = Bench::new(known);
    let mut bytes = image.bytes.clone();
    let (start, budget) = (Instant::now(), budget(3.0));
    // Every place once, in an order that visits all parts early.
    let step = (places.len() * 5 / 8) as u64 | 1;
    let count = places.len() as u64;
    let step = (step..).step_by(2).find(|step| gcd(*step, count) == 1).unwrap();
    let mut done = 0;
    for nth in 0..count {
        if budget < start.elapsed() {
            break;
        }
        let (at, bit) = places[usize::try_from(nth * step % count).unwrap()];
        bytes[at] ^= 1 << bit;
        let way = WAYS[usize::try_from(nth % 3).unwrap()];
        bench.check(&format!("bit {bit} of byte {at:#x}"), &bytes, way);
        bytes[at] ^= 1 << bit;
        done += 1;
    }
    bench.say(&format!("{what}, {done} of {count} flips"));
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[test]
fn a_flipped_bit_of_the_structure() {
    let (image, known) = closed(1);
    let places = structure(&image).into_iter().flat_map(|at| (0..8).map(move |bit| (at, bit)));
    let places = places.collect();
    flip("structure", &image, (known, places));
}

#[test]
fn a_flipped_bit_of_each_byte() {
    let (image, known) = closed(2);
    let places = written(&image).into_iter().map(|at| (at, u8::try_from(at % 7).unwrap()));
    let places = places.collect();
    flip("all bytes", &image, (known, places));
}

#[test]
fn a_file_cut_anywhere() {
    let (image, known) = closed(3);
    let mut bench = Bench::new(known);
    let len = image.bytes.len();
    let units = (0..len).step_by(UNIT).flat_map(|unit| [unit, unit + 8, (unit + 4096).min(len)]);
    for cut in (0..16 << 10).step_by(8).chain(units).filter(|cut| *cut < len) {
        let way = WAYS[cut / 8 % 3];
        let outcome = bench.check(&format!("cut to {cut}"), &image.bytes[..cut], way);
        let refused =
            matches!(outcome, Outcome::Refused(ErrorKind::Truncated | ErrorKind::Corrupt));
        assert!(refused, "cut to {cut}: {outcome:?}");
    }
    bench.say("cut");
}

#[test]
fn a_file_with_something_behind_it() {
    let (image, known) = closed(4);
    let mut bench = Bench::new(known);
    let mut dice = Dice::new(4);
    for extra in [1, 7, 8, 511, 4096, UNIT - 1, UNIT, UNIT + 1, 5 * UNIT, 40 * UNIT] {
        let mut bytes = image.bytes.clone();
        bytes.extend((0..extra).map(|_| dice.word().to_le_bytes()[0]));
        for outcome in bench.check_all(&format!("{extra} bytes behind"), &bytes) {
            assert!(matches!(outcome, Outcome::Opened(20.., true)), "{extra}: {outcome:?}");
        }
    }
}

#[test]
fn superblocks() {
    let (image, known) = closed(5);
    let mut bench = Bench::new(known);
    let current = image.superblock();
    let other = 4096 - current;
    let damage = |places: &[usize]| {
        let mut image = image.clone();
        for place in places {
            image.bytes[place + 100] ^= 1;
        }
        image.bytes
    };
    let outcome = bench.check("the older slot", &damage(&[other]), Way::Plain);
    assert!(matches!(outcome, Outcome::Opened(20.., true)), "{outcome:?}");
    for outcome in bench.check_all("the newer slot", &damage(&[current])) {
        assert!(matches!(outcome, Outcome::Opened(..)), "{outcome:?}");
    }
    for outcome in bench.check_all("both slots", &damage(&[0, 4096])) {
        assert_eq!(outcome, Outcome::Refused(ErrorKind::Corrupt));
    }
    // Each field of the newer slot set to something odd, with a right checksum.
    for (offset, bytes, expected) in [
        (8, &2_u32.to_le_bytes()[..], [Some(ErrorKind::UnknownVersion); 3]),
        (8, &u32::MAX.to_le_bytes(), [Some(ErrorKind::UnknownVersion); 3]),
        (12, &[0, 0, 0, 0x80], [Some(ErrorKind::UnknownVersion); 3]),
        (
            16,
            &[1, 0, 0, 0],
            [None, Some(ErrorKind::UnknownVersion), Some(ErrorKind::UnknownVersion)],
        ),
        (24, &[7; 16], [Some(ErrorKind::Corrupt); 3]),
        (40, &u64::MAX.to_le_bytes(), [Some(ErrorKind::Corrupt); 3]),
        (48, &[0; 8], [Some(ErrorKind::Corrupt); 3]),
        (48, &(1_u64 << 40).to_le_bytes(), [Some(ErrorKind::Truncated); 3]),
        (64, &3_u64.to_le_bytes(), [Some(ErrorKind::Corrupt); 3]),
        (64, &(1_u64 << 63).to_le_bytes(), [Some(ErrorKind::Corrupt); 3]),
        (72, &u64::MAX.to_le_bytes(), [Some(ErrorKind::Corrupt); 3]),
        (80, &(u64::MAX << 16).to_le_bytes(), [Some(ErrorKind::Corrupt); 3]),
    ] {
        let mut image = image.clone();
        // An odd generation counts in the slot of its parity alone.
        let place = if offset == 40 { 4096 } else { current };
        if place != current {
            let slot = image.bytes[current..current + 512].to_vec();
            image.set(place, &slot);
        }
        image.set(place + offset, bytes);
        image.sum_superblock(place);
        let what = format!("field at {offset} is {bytes:x?}");
        for (outcome, expected) in bench.check_all(&what, &image.bytes).into_iter().zip(expected) {
            match expected {
                Some(kind) => assert_eq!(outcome, Outcome::Refused(kind), "{what}"),
                None => assert!(matches!(outcome, Outcome::Opened(..)), "{what}: {outcome:?}"),
            }
        }
    }
}

/// Changes with a plan and right checksums; each is refused or reported by `Untrusted`.
#[test]
fn forged_files() {
    let (image, known) = closed(6);
    let mut bench = Bench::new(known);
    let regions = image.regions();
    let heap = *regions.iter().find(|region| region.kind == HEAP).unwrap();
    let table = *regions.iter().rev().find(|region| region.kind == TABLE).unwrap();
    let slots = live_slots(&image);
    let mut forge = |what: &str, change: &dyn Fn(&mut Image)| {
        let mut forged = image.clone();
        change(&mut forged);
        forged.sum_all();
        let [_, untrusted, _] = bench.check_all(what, &forged.bytes);
        let seen = matches!(untrusted, Outcome::Refused(_) | Outcome::Opened(_, false));
        assert!(seen, "{what}: {untrusted:?}");
    };
    let pair = |number: usize| UNIT + 32 * number;
    let newest = |image: &Image, number: usize| image.newest(pair(number));
    for (what, start) in [("onto another", table.start), ("onto the head", 0), ("outside", 1 << 30)]
    {
        for region in &regions[1..] {
            forge(&format!("region {} {what}", region.number), &|image| {
                let (at, word) = newest(image, region.number);
                let units = (start + usize::from(region.start == start) * UNIT) / UNIT;
                image.set_word(at, word & !0xffff_ffff | units as u64);
            });
        }
    }
    for region in &regions[1..] {
        for code in [0_u64, 200, 255] {
            forge(&format!("region {} with length {code}", region.number), &|image| {
                let (at, word) = newest(image, region.number);
                image.set_word(at, word & !(0xff << 32) | code << 32);
            });
        }
    }
    // Two slots name one block; a slot names something that is no block.
    forge("two slots, one block", &|image| {
        let (at, _) = image.newest(slots[3].0);
        image.set_word(at, slots[4].1);
    });
    forge("two slots, one block, whose header is of the other", &|image| {
        let ((_, word), (second, _)) = (slots[3], slots[6]);
        let index = |at: usize| (at % UNIT / 16) as u64;
        let (at, _) = image.newest(second);
        image.set_word(at, word);
        let block = usize::try_from(word & 0xff_ffff_ffff).unwrap() * 16;
        image.set_word(block, index(second) << 24 | 1);
    });
    for (what, place) in [
        ("a table", table.start / 16),
        ("the directory", UNIT / 16),
        ("the head", 0),
        ("a region header", heap.start / 16),
        ("the last grain", (heap.start + heap.len) / 16 - 1),
        ("outside", (1 << 40) - 1),
    ] {
        forge(&format!("a slot names {what}"), &|image| {
            let (at, word) = image.newest(slots[5].0);
            image.set_word(at, word & !0xff_ffff_ffff | place as u64);
        });
    }
    bench.say("forged");
}

/// Slots with the class of another length: nothing is given back by it.
#[test]
fn forged_classes() {
    let (image, known) = closed(6);
    let mut bench = Bench::new(known);
    let slots = live_slots(&image);
    for class in [0_u64, 1, 9, 128, 184, 185, 201, 253, 255] {
        for slot in [0, 5, slots.len() - 1] {
            let (at, word) = slots[slot];
            if word.to_le_bytes()[5] == class.to_le_bytes()[0] {
                continue;
            }
            let mut forged = image.clone();
            let (place, _) = forged.newest(at);
            forged.set_word(place, word & !(0xff << 40) | class << 40);
            forged.sum_all();
            bench.check_all(&format!("slot {slot} with class {class}"), &forged.bytes);
        }
    }
    bench.say("forged classes");
}

/// Slots of blocks that share a region.
fn live_slots(image: &Image) -> Vec<(usize, u64)> {
    let class = |word: u64| word.to_le_bytes()[5];
    image.slots().into_iter().filter(|(_, word)| (2..254).contains(&class(*word))).collect()
}

/// Records of free space that lie, with right checksums: live blocks are not handed out.
#[test]
fn forged_records() {
    let (image, known) = closed(7);
    let mut bench = Bench::new(known);
    let (regions, stores) = image.entries();
    let bitmap = image.snapshot() + usize::try_from(image.word(regions[0] + 8)).unwrap();
    let len = UNIT * 16 / 128;
    let mut forge = |what: &str, change: &dyn Fn(&mut Image)| {
        let mut forged = image.clone();
        change(&mut forged);
        forged.sum_all();
        // The others do not ask the record.
        let outcome = bench.check(what, &forged.bytes, Way::Plain);
        assert!(matches!(outcome, Outcome::Opened(20.., _)), "{what}: {outcome:?}");
    };
    forge("all is free", &|image| image.bytes[bitmap..bitmap + len].fill(0xff));
    forge("nothing is free", &|image| image.bytes[bitmap..bitmap + len].fill(0));
    let heap = *image.regions().iter().find(|region| region.kind == HEAP).unwrap();
    let inside = |block: &usize| heap.start < *block && *block < heap.start + heap.len;
    let first = image.blocks().into_iter().filter(inside).min().unwrap();
    let first = (first - heap.start) / 128;
    for (byte, value) in (first..first + 64).zip([0xff, 0x0f, 0xf0, 0x3c, 0xff].into_iter().cycle())
    {
        forge(&format!("byte {byte} of the bitmap is {value:#x}"), &|image| {
            image.bytes[bitmap + byte] = value;
        });
    }
    for (offset, word) in
        [(0, 1), (0, u64::MAX), (0, 1 << 32 | 4), (8, 0), (8, 1 << 40), (8, u64::MAX), (16, 0)]
    {
        forge(&format!("region entry, word at {offset} is {word:#x}"), &|image| {
            image.set_word(regions[0] + offset, word);
        });
    }
    for store in stores {
        for offset in [0, 8, 16, 24] {
            for word in [0, 5, 4096, 4097, 1 << 40, u64::MAX] {
                let what = format!("store entry {store:#x}, word at {offset} is {word:#x}");
                forge(&what, &|image| image.set_word(store + offset, word));
            }
        }
    }
    bench.say("forged records");
}

/// Two files cut into each other, and words changed with checksums made right.
#[test]
fn splices_and_edits() {
    let ((first, known), (second, _)) = (closed(8), closed(9));
    let mut bench = Bench::new(known);
    let (start, budget) = (Instant::now(), budget(3.0));
    let mut dice = Dice::new(seed());
    let places = structure(&first);
    let mut nth = 0;
    while start.elapsed() < budget {
        let mut image = first.clone();
        let mut what = format!("edit {nth} of seed {}", seed());
        for _ in 0..=dice.below(3) {
            let pick = places[dice.nth(places.len())];
            let done = if dice.below(4) == 0 {
                splice(&mut image, &second, (pick, &mut dice))
            } else {
                let other = image.word(places[dice.nth(places.len())] / 8 * 8);
                edit(&mut image, pick / 8 * 8, (other, &mut dice))
            };
            what.push_str(&done);
        }
        if dice.below(4) != 0 {
            let summed = std::panic::catch_unwind(|| {
                let mut summed = image.clone();
                summed.sum_all();
                summed
            });
            // What is too broken to be summed is tried as it is.
            image = summed.unwrap_or(image);
        }
        bench.check(&what, &image.bytes, WAYS[dice.nth(3)]);
        if dice.below(8) == 0 {
            bench.subject.write(&image.bytes);
            bench.subject.run_alone(&bench.known);
        }
        nth += 1;
    }
    bench.say("splices and edits");
}

/// Puts a part of another file in the place of this one's.
fn splice(image: &mut Image, other: &Image, (place, dice): (usize, &mut Dice)) -> String {
    let unit = [8, 64, 512, 4096, UNIT][dice.nth(5)];
    let at = place / unit * unit;
    let end = (at + unit).min(other.bytes.len()).min(image.bytes.len());
    image.set(at, &other.bytes[at..end]);
    format!(", {unit} of the other at {at:#x}")
}

/// Changes a word.
fn edit(image: &mut Image, at: usize, (other, dice): (u64, &mut Dice)) -> String {
    let old = image.word(at);
    let word = match dice.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => old.wrapping_add(1),
        3 => old ^ 1 << dice.below(64),
        4 => other,
        _ => dice.word(),
    };
    image.set_word(at, word);
    format!(", word {word:#x} at {at:#x}")
}
