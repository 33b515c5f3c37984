//! One writer and three readers, each a process, over one file; each is killed at any moment.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use pagestone_heap::{BlockId, ErrorKind, Heap, Pin, RegionFile};
use pagestone_storage::Location;
use pagestone_testkit::child::{self, Child};

use crate::support::{
    Dice, Scene, budget, check_clean, contents, mark_of, marked, mix, options, say, seed, trusted,
};

const READERS: usize = 3;
/// Pairs of blocks that every commit leaves alike.
const PAIRS: usize = 48;
/// Blocks by which the writer frees more than it makes.
const MANY: usize = 600;
/// The block that counts commits, and the one that lists all ids.
const ROOTS: [&str; 2] = ["count", "list"];

/// How many commits have returned, in a file that outlives who writes it.
#[derive(Debug)]
struct Count(File);

impl Count {
    fn open(path: &Path) -> Self {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        Self(file.unwrap())
    }

    fn get(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 0).map_or(0, |()| u64::from_le_bytes(bytes))
    }

    fn set(&self, count: u64) {
        self.0.write_all_at(&count.to_le_bytes(), 0).unwrap();
    }
}

fn ids_of(bytes: &[u8]) -> Vec<BlockId> {
    let words = bytes.chunks_exact(8);
    let words = words.map(|word| u64::from_le_bytes(*word.first_chunk().unwrap()));
    words.map(BlockId::from_bits).collect()
}

/// The writer's side of the file.
struct Writing {
    file: RegionFile,
    heap: Heap,
    dice: Dice,
    count: u64,
    list: Vec<BlockId>,
    others: Vec<BlockId>,
}

impl Writing {
    fn open(at: Location, dice: Dice) -> Self {
        let file = options().open_or_create(at).unwrap();
        let heap = file.heap("blocks").unwrap();
        let mut writing = Self { file, heap, dice, count: 0, list: Vec::new(), others: Vec::new() };
        if writing.file.root(ROOTS[1]).is_some() && writing.dice.below(2) == 0 {
            writing.file.writer().discard().unwrap();
        }
        writing.look();
        writing
    }

    /// Takes what the file holds for known.
    fn look(&mut self) {
        let pin = self.file.pin();
        let [count, list] = ROOTS.map(|root| {
            self.file.root(root).and_then(|id| self.heap.get(&pin, id).ok()).map(<[u8]>::to_vec)
        });
        drop(pin);
        self.count = count.map_or(0, |bytes| mark_of(&bytes).unwrap());
        self.list = list.map_or_else(Vec::new, |bytes| ids_of(&bytes));
        let kept: Vec<BlockId> =
            ROOTS.iter().filter_map(|root| self.file.root(root)).chain(self.list.clone()).collect();
        self.others = contents(&self.heap).into_keys().filter(|id| !kept.contains(id)).collect();
    }

    /// Lengths of which some need a region of their own.
    fn len(&mut self) -> usize {
        self.dice.len().max(16)
    }

    fn allocate(&mut self, word: u64) -> BlockId {
        let len = self.len();
        self.heap.allocate_from(&mut self.file.writer(), &marked(word, len)).unwrap()
    }

    fn put(&mut self, id: BlockId, word: u64) {
        let len = self.len();
        self.heap.put(&mut self.file.writer(), id, &marked(word, len)).unwrap();
    }

    fn free(&self, id: BlockId) {
        self.heap.free(&mut self.file.writer(), id).unwrap();
    }

    /// Makes all that readers rely on, whatever was there.
    fn prepare(&mut self) {
        self.list.retain(|id| self.heap.contains(&self.file.pin(), *id));
        while self.list.len() < 2 * PAIRS {
            let id = self.allocate(0);
            self.list.push(id);
        }
        for pair in 0..PAIRS {
            let word = self.dice.word();
            self.put(self.list[2 * pair], word);
            self.put(self.list[2 * pair + 1], word);
        }
        self.store_list();
        self.commit();
    }

    fn store_list(&self) {
        let bytes: Vec<u8> = self.list.iter().flat_map(|id| id.to_bits().to_le_bytes()).collect();
        self.root(ROOTS[1], &bytes);
    }

    fn root(&self, name: &str, bytes: &[u8]) {
        let known = self.file.root(name);
        let mut writer = self.file.writer();
        if let Some(id) = known {
            return self.heap.put(&mut writer, id, bytes).unwrap();
        }
        let id = self.heap.allocate_from(&mut writer, bytes).unwrap();
        writer.set_root(name, id).unwrap();
    }

    fn commit(&mut self) {
        self.count += 1;
        let len = self.len().min(4000);
        self.root(ROOTS[0], &marked(self.count, len));
        self.file.commit().unwrap();
    }

    /// One change; each leaves the two of a pair alike.
    fn change(&mut self) {
        let pair = 2 * self.dice.nth(PAIRS);
        let word = self.dice.word();
        match self.dice.below(12) {
            0..5 => {
                self.put(self.list[pair], word);
                self.put(self.list[pair + 1], word);
            }
            5 => {
                for at in [pair, pair + 1] {
                    self.free(self.list[at]);
                    self.list[at] = self.allocate(word);
                }
                self.store_list();
            }
            6..9 if self.others.len() < MANY => {
                let id = self.allocate(word);
                self.others.push(id);
            }
            9 => {
                // So many that regions become empty and the file shorter.
                let most = self.dice.below(MANY as u64).min(self.others.len() as u64);
                for _ in 0..most {
                    let at = self.dice.nth(self.others.len());
                    let id = self.others.swap_remove(at);
                    self.free(id);
                }
            }
            _ if !self.others.is_empty() => {
                let at = self.dice.nth(self.others.len());
                self.put(self.others[at], word);
            }
            _ => {}
        }
    }
}

/// The errand is `seed, path of the count, path of the file`.
struct Errand {
    dice: Dice,
    count: Count,
    at: Location,
}

impl Errand {
    fn read() -> Option<Self> {
        let errand = child::errand()?;
        let mut parts = errand.splitn(3, ' ');
        let mut part = || parts.next().unwrap();
        let (seed, count, path) = (part(), part(), Path::new(part()));
        let at = trusted(path.parent().unwrap()).file(path.file_name().unwrap());
        let dice = Dice::new(seed.parse().unwrap());
        Some(Self { dice, count: Count::open(Path::new(count)), at })
    }
}

#[test]
fn child_writes() {
    let Some(Errand { dice, count, at }) = Errand::read() else { return };
    let mut writing = Writing::open(at.clone(), dice);
    writing.prepare();
    count.set(writing.count);
    child::acknowledge(0);
    loop {
        for _ in 0..writing.dice.below(30) {
            writing.change();
        }
        match writing.dice.below(20) {
            0 => {
                writing.file.writer().discard().unwrap();
                writing.look();
            }
            1 => {
                let Writing { file, heap, dice, .. } = writing;
                drop(heap);
                file.close().unwrap();
                writing = Writing::open(at.clone(), dice);
                // What the discard of an open may have undone was committed by the close.
                assert!(count.get() <= writing.count, "a close lost commits");
            }
            _ => {
                writing.commit();
                count.set(writing.count);
            }
        }
    }
}

/// What a reader knows in all its life.
struct Reading {
    file: RegionFile,
    heap: Heap,
    sequence: u64,
}

/// A block as it was when it was got.
type Kept<'p> = (&'p [u8], Vec<u8>);

impl Reading {
    fn open(at: Location) -> Self {
        let file = options().open_read_only(at).unwrap();
        let heap = file.heap("blocks").unwrap();
        Self { file, heap, sequence: 0 }
    }

    fn sequence(&mut self) -> u64 {
        let now = self.file.sequence();
        assert!(self.sequence <= now, "sequence went from {} to {now}", self.sequence);
        self.sequence = now;
        now
    }

    /// A block; `None` for an id that was freed.
    fn get<'p>(&self, pin: &'p Pin<'_>, id: BlockId) -> Option<&'p [u8]> {
        match self.heap.get(pin, id) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StaleId, "{error}");
                None
            }
        }
    }

    /// Looks at some pairs under one pin; what it sees without a commit between belongs together.
    fn look<'p>(
        &mut self,
        pin: &'p Pin<'_>,
        (dice, count): (&mut Dice, &Count),
        kept: &mut Vec<Kept<'p>>,
    ) -> bool {
        let returned = count.get();
        let before = self.sequence();
        let [counted, list] = ROOTS.map(|root| {
            let id = self.file.root(root).expect("a root");
            self.get(pin, id).expect("a root's block")
        });
        let counted = mark_of(counted).expect("a whole count");
        assert!(returned <= counted, "commit {returned} returned, {counted} is seen");
        let ids = ids_of(list);
        let (mut alike, mut missing) = (true, false);
        for _ in 0..dice.below(10) {
            let pair = 2 * dice.nth(PAIRS);
            let [first, second] = [ids[pair], ids[pair + 1]].map(|id| self.get(pin, id));
            let marks = [first, second]
                .map(|bytes| bytes.map(|bytes| mark_of(bytes).expect("a whole block")));
            alike &= marks[0] == marks[1];
            missing |= marks.contains(&None);
            kept.extend([first, second].into_iter().flatten().map(|now| (now, now.to_vec())));
        }
        let still = self.sequence() == before;
        assert!(!still || alike && !missing, "in {before}: alike {alike}, missing {missing}");
        still
    }
}

#[test]
fn child_reads() {
    let Some(Errand { mut dice, count, at }) = Errand::read() else { return };
    let mut reading = Reading::open(at.clone());
    let mut stood = 0;
    loop {
        let file = reading.file.clone();
        let pin = file.pin();
        let mut kept: Vec<Kept<'_>> = Vec::new();
        let rounds = if dice.below(10) == 0 { 200 } else { dice.below(20) };
        for _ in 0..rounds {
            // What was looked at before was looked at under this pin too.
            stood += u64::from(reading.look(&pin, (&mut dice, &count), &mut kept));
            kept.truncate(64);
            for (now, then) in &kept {
                assert!(**now == **then, "a slice of {} bytes changed", then.len());
            }
        }
        drop(kept);
        drop(pin);
        drop(file);
        child::acknowledge(stood);
        match dice.below(20) {
            0 => {
                let sequence = reading.sequence;
                reading = Reading { sequence, ..Reading::open(at.clone()) };
            }
            1 => drop(reading.file.refresh().unwrap()),
            _ => {}
        }
    }
}

/// The processes of a run.
struct Cast {
    scene: Scene,
    dice: Dice,
    writer: Option<Child>,
    readers: Vec<Option<Child>>,
    kills: [u64; 2],
    /// Looks between which no commit came.
    stood: u64,
}

impl Cast {
    fn start(&mut self, test: &str) -> Child {
        let [count, file] = ["count", "file.pgs"].map(|name| self.scene.path(name));
        let (count, file) = (count.to_str().unwrap(), file.to_str().unwrap());
        Child::start(test, &format!("{} {count} {file}", self.dice.word()))
    }

    fn start_writer(&mut self) {
        let mut writer = self.start("processes::child_writes");
        writer.wait_for(0);
        self.writer = Some(writer);
    }

    fn kill_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.kill(0);
            self.kills[0] += 1;
        }
    }

    fn kill_reader(&mut self, which: usize) {
        if let Some(reader) = self.readers[which].take() {
            self.stood += reader.kill(0).unwrap_or(0);
            self.kills[1] += 1;
        }
    }

    fn restart_reader(&mut self, which: usize) {
        self.kill_reader(which);
        self.readers[which] = Some(self.start("processes::child_reads"));
    }

    /// Kills one of them, now and then all readers.
    fn round(&mut self) {
        let start = Instant::now();
        let longest = if self.dice.below(6) == 0 { 250_000 } else { 50_000 };
        let life = Duration::from_micros(self.dice.below(longest));
        while start.elapsed() < life {
            std::thread::yield_now();
        }
        match self.dice.below(9) {
            0..5 => {
                self.kill_writer();
                self.start_writer();
            }
            which @ 5..8 => self.restart_reader(usize::try_from(which - 5).unwrap()),
            _ => {
                self.kill_writer();
                (0..READERS).for_each(|which| self.restart_reader(which));
                self.start_writer();
            }
        }
    }

    /// When nobody is left all space comes back: a dead reader holds nothing.
    fn end(&mut self) -> u64 {
        self.kill_writer();
        (0..READERS).for_each(|which| self.kill_reader(which));
        let file = options().open(self.scene.at("file.pgs")).unwrap();
        check_clean(&file);
        let longest = file.stats().file_len;
        let heap = file.heap("blocks").unwrap();
        for id in contents(&heap).into_keys() {
            heap.free(&mut file.writer(), id).unwrap();
        }
        for round in 0..3 {
            let mut writer = file.writer();
            writer.set_root("last", BlockId::from_bits(round)).unwrap();
            writer.commit().unwrap();
        }
        let stats = file.stats();
        assert_eq!(stats.quarantined + stats.pinned, 0, "{stats:?}");
        let known = stats.region_lens.iter().sum::<u64>() + stats.free_ranges + (64 << 10);
        // The record of a close that nothing followed keeps its range.
        let record = (stats.file_len / 128).next_multiple_of(64 << 10);
        assert!(known <= stats.file_len && stats.file_len <= known + record, "{stats:?}");
        assert_eq!(stats.region_counts[3], 0, "{stats:?}");
        longest
    }
}

#[test]
fn a_writer_and_readers_are_killed() {
    let (budget, seed) = (budget(4.0), seed());
    let start = Instant::now();
    let mut cast = Cast {
        // Not in memory: the locks and lengths of a file system that has a device.
        scene: Scene::new(),
        dice: Dice::new(mix(seed)),
        writer: None,
        readers: (0..READERS).map(|_| None).collect(),
        kills: [0; 2],
        stood: 0,
    };
    cast.start_writer();
    (0..READERS).for_each(|which| cast.restart_reader(which));
    while start.elapsed() < budget || cast.kills[0] < 10 {
        cast.round();
    }
    let longest = cast.end();
    let Cast { kills: [writers, readers], stood, .. } = cast;
    assert!(0 < stood, "no reader looked twice between two commits");
    say(&format!(
        "processes: seed {seed}, {writers} writers and {readers} readers killed, {stood} whole \
         looks, file of {} KiB, 0 changed under a pin, 0 went back",
        longest >> 10
    ));
}
