//! A file whose bytes somebody changes while readers have it open, and open it again.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use allocation_counter::measure;
use pagestone_heap::{BlockId, ErrorKind, FileOptions, HeapOptions, RegionFile, Verify};

use super::{forge::Image, gcd, structure, written};
use crate::support::{Dice, Scene, budget, marked, say, seed};

/// The words of the owner page.
const OWNER: std::ops::Range<usize> = 8192..8264;

fn options() -> FileOptions {
    RegionFile::options().reserve(1 << 26)
}

/// A file that was left as it is by the writer of this boot, its bytes and its ids.
struct Target {
    scene: Scene,
    file: File,
    image: Image,
    known: Vec<BlockId>,
}

impl Target {
    fn new(seed: u64) -> Self {
        let scene = Scene::fast();
        let file = options().create(scene.at("file.pgs")).unwrap();
        let heaps = [
            file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap(),
            file.heap("plain").unwrap(),
        ];
        let mut known = Vec::new();
        let long = heaps[1].allocate_from(&mut file.writer(), &marked(seed, 263_000)).unwrap();
        known.push(long);
        for round in 0..4 {
            let mut writer = file.writer();
            for (heap, len) in heaps.iter().cycle().zip([0, 8, 100, 30, 700, 16, 5000, 900]) {
                known.push(heap.allocate_from(&mut writer, &marked(seed + round, len)).unwrap());
            }
            writer.set_root("first", known[0]).unwrap();
            writer.commit().unwrap();
        }
        drop((heaps, file));
        let path = scene.path("file.pgs");
        let image = Image { bytes: std::fs::read(&path).unwrap() };
        let file = File::options().write(true).open(path).unwrap();
        Self { scene, file, image, known }
    }

    fn open(&self) -> pagestone_heap::Result<RegionFile> {
        options().open_read_only(self.scene.at("file.pgs"))
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        self.file.write_all_at(bytes, at as u64).unwrap();
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.image.bytes[at..at + 8].try_into().unwrap())
    }

    /// Makes the bytes between two places right again.
    fn restore(&self, from: usize, end: usize) {
        self.put(from, &self.image.bytes[from..end]);
    }

    /// Changes the words of some ranges until told to end; returns how often.
    fn change(&self, places: &[usize], (mut dice, end): (Dice, &AtomicBool)) -> u64 {
        let mut changes = 0;
        while !end.load(Ordering::Relaxed) {
            let at = places[dice.nth(places.len())] / 8 * 8;
            let right = self.word(at);
            let word = match dice.below(8) {
                0 => dice.word(),
                1 => u64::MAX,
                2 => 0,
                3 => right.wrapping_add(dice.below(5)).wrapping_sub(2),
                4 => dice.below(1 << 20),
                _ => right ^ 1 << dice.below(64),
            };
            self.put(at, &word.to_le_bytes());
            changes += 1;
            if dice.below(3) != 0 {
                self.restore(at, at + 8);
            }
            if dice.below(64) == 0 {
                for at in places {
                    self.restore(*at, *at + 1);
                }
            }
        }
        changes
    }

    /// Asks everything that a reader can be asked; returns how many answers were no errors.
    fn ask_and_verify(&self, file: &RegionFile) -> u64 {
        let answers = self.ask(file);
        drop(file.stats());
        let right = match file.verify(Verify::new()) {
            Ok(report) => report.problems.iter().all(|what| !what.to_string().is_empty()),
            Err(error) => {
                assert!(error.to_string().contains("file.pgs"), "{error}");
                false
            }
        };
        answers + u64::from(right)
    }

    /// Asks all that is not about the whole file.
    fn ask(&self, file: &RegionFile) -> u64 {
        let mut answers = 0;
        let mut told = |right: bool| answers += u64::from(right);
        told(file.refresh().is_ok());
        told(file.sequence() != 0);
        told(file.root("first").is_some());
        let pin = file.pin();
        for name in file.stores().iter().take(5) {
            let Ok(heap) = file.heap(name) else { continue };
            for block in heap.blocks(&pin).take(3000) {
                told(block.is_ok_and(|(_, bytes)| touch(bytes)));
            }
            for id in &self.known {
                told(heap.get(&pin, *id).is_ok_and(touch));
                told(heap.len(&pin, *id).is_ok() & heap.capacity(&pin, *id).is_ok());
                told(heap.flags(&pin, *id).is_ok());
            }
            heap.get_many(&pin, &self.known, |_, bytes| told(bytes.is_ok_and(touch)));
            told(heap.nth(&pin, 3).is_ok());
        }
        answers
    }

    /// Asks an old reader and a fresh one, within bounds of memory and time.
    fn ask_all(&self, old: &RegionFile, round: u64) -> [u64; 2] {
        // The whole file takes as long as all the rest of a few rounds.
        let ask = |file: &RegionFile| match round % 4 {
            0 => self.ask_and_verify(file),
            _ => self.ask(file),
        };
        let start = Instant::now();
        let mut answers = [0; 2];
        let taken = measure(|| {
            answers[0] = ask(old);
            match self.open() {
                Ok(fresh) => answers[1] = ask(&fresh),
                Err(error) => assert!(error.to_string().contains("file.pgs"), "{error}"),
            }
        });
        let bound = 16 * self.image.bytes.len() as u64 + (16 << 20);
        assert!(taken.bytes_max < bound, "{} bytes of memory", taken.bytes_max);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        answers
    }
}

/// Looks at every page, and at the last byte.
fn touch(bytes: &[u8]) -> bool {
    let ends = bytes.iter().step_by(4096).chain(bytes.last());
    ends.fold(0_u64, |sum, byte| sum.wrapping_add(u64::from(*byte))) < u64::MAX
}

/// One thread changes `places` while another reads; when it has ended all answers are right again.
fn run(what: &str, target: &Target, places: &[usize]) {
    let budget = budget(1.0);
    let (start, end, count) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(0));
    let old = target.open().unwrap();
    let (right, mut rounds, mut answers) = (target.ask_and_verify(&old), 0, [0; 2]);
    std::thread::scope(|scope| {
        let _end = EndOnDrop(&end);
        scope.spawn(|| {
            let changed = target.change(places, (Dice::new(seed()), &end));
            count.store(changed, Ordering::Relaxed);
        });
        while start.elapsed() < budget || rounds < 3 {
            let [first, second] = target.ask_all(&old, rounds);
            answers = [answers[0] + first, answers[1] + second];
            rounds += 1;
        }
    });
    target.restore(0, target.image.bytes.len());
    let fresh = target.open().unwrap();
    assert_eq!(target.ask_and_verify(&fresh), right, "the bytes are as they were");
    // What was taken for known stays so until a commit.
    let writer = options().open(target.scene.at("file.pgs")).unwrap();
    writer.writer().set_root("first", target.known[1]).unwrap();
    writer.commit().unwrap();
    assert_eq!(target.ask_and_verify(&old), right, "an old reader does not recover");
    say(&format!(
        "hostile: {what}: {} changes beside {rounds} rounds, {answers:?} answers",
        count.load(Ordering::Relaxed)
    ));
}

/// Ends the other thread also when this one panics.
struct EndOnDrop<'e>(&'e AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn owner_page_and_superblocks_change_under_a_reader() {
    let target = Target::new(11);
    // The page of the owner most of the time.
    let places: Vec<usize> =
        OWNER.step_by(8).cycle().take(300).chain((0..512).step_by(8)).chain(4096..4608).collect();
    run("owner page and superblocks", &target, &places);
}

#[test]
fn words_of_the_structure_change_under_a_reader() {
    let target = Target::new(12);
    run("words of the structure", &target, &structure_words(&target.image));
}

/// What readers load word by word: names and payloads are lent as slices.
fn structure_words(image: &Image) -> Vec<usize> {
    let end = image.snapshot();
    let places = structure(image).into_iter();
    // The record of free space is none of a reader's.
    places.filter(|at| end == 0 || *at < end).collect()
}

#[test]
fn any_byte_changes_between_two_calls_of_a_reader() {
    let target = Target::new(13);
    let places = written(&target.image);
    let (start, budget) = (Instant::now(), budget(1.0));
    let old = target.open().unwrap();
    let right = target.ask(&old);
    // Places far from each other, first of all.
    let (count, step) = (places.len() as u64, (places.len() as u64 * 5 / 8) | 1);
    let step = (step..).step_by(2).find(|step| gcd(*step, count) == 1).unwrap();
    let (mut done, mut answers) = (0, [0; 2]);
    for nth in 0..count {
        if budget < start.elapsed() {
            break;
        }
        let at = places[usize::try_from(nth * step % count).unwrap()];
        target.put(at, &[target.image.bytes[at] ^ 1 << (at % 7)]);
        let [first, second] = target.ask_all(&old, nth);
        answers = [answers[0] + first, answers[1] + second];
        target.restore(at, at + 1);
        done += 1;
    }
    assert_eq!(target.ask(&target.open().unwrap()), right, "the bytes are as they were");
    say(&format!("hostile: any byte: {done} of {count} changes, {answers:?} answers"));
}

#[test]
fn trouble_ends_with_its_cause() {
    let target = Target::new(14);
    let reader = target.open().unwrap();
    let published = OWNER.start + 8;
    // Another generation, and neither superblock to say which.
    for at in [published, 504, 4096 + 504] {
        target.put(at, &[0xff; 8]);
    }
    assert_eq!(reader.refresh().unwrap_err().kind(), ErrorKind::Corrupt);
    for at in [published, 504, 4096 + 504] {
        target.restore(at, at + 8);
    }
    reader.refresh().unwrap();
}
