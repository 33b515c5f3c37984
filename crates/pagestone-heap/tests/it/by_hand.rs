//! A file is read by what docs/format.md says and nothing else: byte arithmetic on the whole file.

use std::{collections::BTreeMap, fs};

use pagestone_heap::{ErrorKind, HeapMut, Verify};

use crate::{
    recorded,
    support::{Scene, bytes, check_clean, contents, options},
};

/// The bytes of a file.
struct Image(Vec<u8>);

/// A version of a pair: class and body of a word.
type Version = Option<(u64, u64)>;

/// A region: first byte and length.
type Place = (usize, usize);

/// A store by its name.
#[derive(Debug, Clone, Copy)]
struct Store {
    number: u64,
    generation: u64,
    summed: bool,
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl Image {
    /// `len` bytes at `at` as a number.
    fn number(&self, at: usize, len: usize) -> u64 {
        self.0[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn sum(&self, at: usize, len: usize) -> u64 {
        crc32fast::hash(&self.0[at..at + len]).into()
    }

    /// Where the newest valid superblock lies.
    fn superblock(&self) -> usize {
        let valid = |at: &usize| {
            let (magic, version) = (&self.0[*at..at + 8], self.number(at + 8, 4));
            let parity = self.number(at + 40, 8) % 2 == *at as u64 / 4096;
            magic == b"PAGESTON"
                && version == 1
                && parity
                && self.number(at + 508, 4) == self.sum(*at, 508)
        };
        [0, 4096].into_iter().filter(valid).max_by_key(|at| self.number(at + 40, 8)).unwrap()
    }

    fn generation(&self) -> u64 {
        self.number(self.superblock() + 40, 8)
    }

    /// The committed version of the pair at `at`.
    fn committed(&self, at: usize) -> Version {
        let open = (self.generation() + 1) % 65_535 + 1;
        let words = [self.number(at, 8), self.number(at + 8, 8)];
        let age = |word: &u64| (open + 65_535 - (word >> 48)) % 65_535;
        let counts = words.into_iter().filter(|word| word >> 48 != 0 && age(word) != 0);
        let word = counts.min_by_key(age)?;
        Some((word >> 40 & 0xff, word & 0xff_ffff_ffff))
    }

    /// The regions of a kind, by their numbers.
    fn regions(&self, kind: u64) -> BTreeMap<usize, Place> {
        let mut found = BTreeMap::new();
        // The file is small: its directory has one part, of which four pairs are the header.
        for number in 2..2048 {
            let Some((class, body)) = self.committed(65_536 + 16 * 2 * number) else { continue };
            let (code, first) = (body >> 32, size(body & 0xffff_ffff));
            let units = if code < 8 { code } else { (8 + (code & 7)) << ((code >> 3) - 1) };
            let place = (first * 65_536, size(units) * 65_536);
            if class == 250 {
                assert_eq!(body, 0);
            } else {
                self.check_region((number, class), place);
                if class == kind {
                    found.insert(number, place);
                }
            }
        }
        found
    }

    fn check_region(&self, (number, kind): (usize, u64), (at, len): Place) {
        assert_eq!(&self.0[at..at + 4], b"PGSR");
        assert_eq!((self.number(at + 4, 1), self.number(at + 8, 4)), (kind, number as u64));
        let uuid = self.superblock() + 24;
        assert_eq!(self.0[at + 16..at + 32], self.0[uuid..uuid + 16]);
        assert_eq!(self.number(at + 40, 8), len as u64);
        assert_eq!(self.number(at + 60, 4), self.sum(at, 60));
    }

    /// The slots of a store: index and where the pair lies.
    fn slots(&self, store: u64) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        for (at, len) in self.regions(2).into_values() {
            if self.number(at + 12, 4) != store {
                continue;
            }
            let part = self.number(at + 5, 1);
            let first = if part == 0 { 0 } else { 4096 << (part - 1) };
            assert_eq!(len, if part == 0 { 65_536 } else { 65_536 << (part - 1) });
            found.extend((4..len / 16).map(|pair| (first + pair as u64, at + 16 * pair)));
        }
        found.sort_unstable();
        found
    }

    /// The pair of an index, by arithmetic alone.
    fn pair(&self, store: u64, index: u64) -> usize {
        let part = if index < 4096 { 0 } else { (index / 4096).ilog2() + 1 };
        let first = if part == 0 { 0 } else { 4096 << (part - 1) };
        let places = self.regions(2);
        let mut tables = places.values().filter(|(at, _)| {
            (self.number(at + 5, 1), self.number(at + 12, 4)) == (part.into(), store)
        });
        tables.next().unwrap().0 + 16 * size(index - first)
    }

    /// The bytes that a block of a class has.
    fn room(&self, (class, body): (u64, u64)) -> usize {
        let start = size(body * 16);
        match class {
            2..=128 => size(class * 16),
            129..=184 => size((16 * (9 + (class - 129) % 8)) << (4 + (class - 129) / 8)),
            255 => {
                let region = self.regions(4).into_values().find(|(at, _)| at + 64 == start);
                region.unwrap().1 - 64
            }
            _ => panic!("class {class} in a slot"),
        }
    }

    /// Id, payload and flags of the block that a slot names.
    fn block(&self, store: Store, (index, pair): (u64, usize)) -> Option<(u64, &[u8], u64)> {
        let (class, body) = self.committed(pair)?;
        if class == 254 {
            assert!((1..=1 << 24).contains(&body));
            return None;
        }
        let at = size(body * 16);
        let (id, len) = (self.number(at, 8), size(self.number(at + 8, 6)));
        assert_eq!(id >> 24, index);
        assert!(store.generation <= id & 0xff_ffff);
        assert!(24 + len <= self.room((class, body)));
        let payload = &self.0[at + 24..at + 24 + len];
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.0[at..at + 20]);
        if self.number(at + 14, 1) == 1 {
            sum.update(payload);
        }
        assert_eq!(self.number(at + 14, 1) == 1, store.summed);
        assert_eq!(self.number(at + 20, 4), u64::from(sum.finalize()));
        Some((id, payload, self.number(at + 16, 4)))
    }

    /// Stores and roots by name.
    fn names(&self) -> (BTreeMap<String, Store>, BTreeMap<String, u64>) {
        let own = Store { number: 0, generation: 1, summed: true };
        let (mut stores, mut roots) = (BTreeMap::new(), BTreeMap::new());
        for slot in self.slots(0) {
            let Some((_, bytes, 0)) = self.block(own, slot) else { continue };
            let name = String::from_utf8(bytes[24..].to_vec()).unwrap();
            let head = Self(bytes[..24].to_vec());
            let value = head.number(8, 8);
            match head.number(0, 1) {
                1 => {
                    let (generation, summed) = (head.number(4, 4), head.number(1, 1) == 1);
                    stores.insert(name, Store { number: value, generation, summed });
                }
                2 => drop(roots.insert(name, value)),
                kind => panic!("a name of kind {kind}"),
            }
        }
        (stores, roots)
    }

    /// Which 16 bytes of a region of blocks no block has, by the slots.
    fn free(&self, (start, len): Place) -> Vec<bool> {
        let mut free = vec![true; len / 16];
        free[..4].fill(false);
        let stores = self.names().0;
        for number in stores.values().map(|store| store.number).chain([0]) {
            for (_, pair) in self.slots(number) {
                let Some(word) = self.committed(pair).filter(|(class, _)| *class < 250) else {
                    continue;
                };
                let at = size(word.1 * 16);
                if (start..start + len).contains(&at) {
                    let first = (at - start) / 16;
                    free[first..first + self.room(word) / 16].fill(false);
                }
            }
        }
        free
    }
}

fn closed(scene: &Scene) -> (Image, [(&'static str, recorded::Blocks); 2]) {
    let file = scene.create();
    let expected = recorded::fill(&file);
    file.close().unwrap();
    (Image(fs::read(scene.path("file.pgs")).unwrap()), expected)
}

#[test]
fn blocks_are_where_the_document_says() {
    let scene = Scene::new();
    let (image, expected) = closed(&scene);
    let (stores, roots) = image.names();
    for (name, blocks) in &expected {
        let store = stores[*name];
        let slots = image.slots(store.number);
        let mut found = recorded::Blocks::new();
        for (nth, slot) in (0..).zip(slots) {
            if let Some((_, payload, flags)) = image.block(store, slot) {
                found.insert(nth, (payload.to_vec(), u32::try_from(flags).unwrap()));
            }
        }
        assert!(found == *blocks, "{name}");
    }
    assert_eq!(roots.len(), 21);
    let store = stores["summed"];
    for seed in 0..20 {
        let id = roots[&format!("summed ä {seed}")];
        let slot = (id >> 24, image.pair(store.number, id >> 24));
        let (found, payload, _) = image.block(store, slot).unwrap();
        assert_eq!((found, payload), (id, &bytes(seed, size(seed * 100))[..]));
    }
}

#[test]
fn the_snapshot_is_as_the_document_says() {
    let scene = Scene::new();
    let (image, expected) = closed(&scene);
    let superblock = image.superblock();
    let generation = image.generation();
    assert_eq!(image.number(8192, 8), generation, "the clean word");
    assert_eq!(image.number(8200, 8), generation, "published");
    let at = size(image.number(superblock + 72, 8));
    assert_eq!((&image.0[at..at + 8], image.number(at + 8, 8)), (&b"PGSFREE1"[..], generation));
    let counts = [image.number(at + 16, 4), image.number(at + 20, 4)].map(size);
    let lists = image.0[at + 32..at + 32 * (1 + counts[0] + counts[1])].to_vec();
    let summed = [&image.0[at..at + 28], &lists].concat();
    assert_eq!(image.number(at + 28, 4), u64::from(crc32fast::hash(&summed)));
    let regions = image.regions(3);
    assert_eq!((counts[0], counts[1]), (regions.len(), expected.len() + 1));
    for (nth, (number, place)) in regions.into_iter().enumerate() {
        let entry = at + 32 * (1 + nth);
        assert_eq!(image.number(entry, 4), number as u64);
        assert_eq!(image.number(entry + 16, 8), place.0 as u64);
        assert_eq!(image.number(entry + 24, 4), 0, "spare");
        let offset = at + size(image.number(entry + 8, 8));
        let bitmap = &image.0[offset..offset + place.1 / 65_536 * 512];
        let head = [&generation.to_le_bytes()[..], &image.0[entry..entry + 4]].concat();
        let sum = crc32fast::hash(&[&head[..], bitmap].concat());
        assert_eq!(image.number(entry + 28, 4), u64::from(sum));
        let free = image.free(place);
        let bit = |grain: usize| bitmap[grain / 8] >> (grain % 8) & 1 == 1;
        assert!((0..free.len()).all(|grain| bit(grain) == free[grain]), "region {number}");
        let count = free.iter().filter(|free| **free).count();
        assert_eq!(image.number(entry + 4, 4), count as u64);
    }
    for (nth, (_, blocks)) in expected.iter().enumerate() {
        let entry = at + 32 * (2 + counts[0] + nth);
        assert_eq!(image.number(entry, 4), nth as u64 + 1);
        assert_eq!(image.number(entry + 16, 8), blocks.len() as u64);
    }
}

#[test]
fn a_damaged_snapshot_loses_nothing() {
    let scene = Scene::new();
    let (image, expected) = closed(&scene);
    let at = size(image.number(image.superblock() + 72, 8));
    let counts = size(image.number(at + 16, 4) + image.number(at + 20, 4));
    let bitmap = at + 32 * (1 + counts);
    // Magic, reserved bytes, a count, an entry of a region, one of a store, bits of a bitmap.
    for place in [at, at + 24, at + 16, at + 36, bitmap - 24, bitmap + 1, bitmap + 3000] {
        let mut damaged = image.0.clone();
        damaged[place] ^= 0x10;
        fs::write(scene.path("damaged.pgs"), &damaged).unwrap();
        let file = options().open(scene.at("damaged.pgs")).unwrap();
        let heap = file.heap("plain").unwrap();
        let live = expected[0].1.len();
        assert_eq!(contents(&heap).len(), live, "{place}");
        let mut writer = file.writer();
        for seed in 0..500 {
            heap.allocate_from(&mut writer, &bytes(seed, 100)).unwrap();
        }
        writer.commit().unwrap();
        drop(writer);
        assert_eq!(contents(&heap).len(), live + 500);
        check_clean(&file);
    }
}

#[test]
fn space_that_no_slot_names_is_found() {
    let scene = Scene::new();
    let (mut image, _) = closed(&scene);
    let store = image.names().0["plain"];
    // The block of 300,000 bytes, in slot 33 behind four that do not exist.
    let pair = image.pair(store.number, 37);
    assert_eq!(image.committed(pair).unwrap().0, 255);
    image.0[pair..pair + 16].fill(0);
    fs::write(scene.path("lost.pgs"), &image.0).unwrap();
    let file = options().open_read_only(scene.at("lost.pgs")).unwrap();
    let report = file.verify(Verify::new()).unwrap();
    assert_eq!(report.problem_count, 1, "{:?}", report.problems);
    assert!(report.problems[0].what.contains("no slot names"));
    drop(file);
    // A writer gives it back.
    let file = options().untrusted(true).open(scene.at("lost.pgs")).unwrap();
    assert_eq!(file.stats().region_counts[3], 0);
    check_clean(&file);
}

#[test]
fn a_file_that_was_not_closed_is_read_too() {
    let scene = Scene::new();
    let mut heap = HeapMut::open(scene.at("file.pgs"), &options()).unwrap();
    let id = heap.allocate_from(b"committed").unwrap();
    // Both words of the pair were used, and the epoch after the last commit has a word too.
    for round in 0..5_u8 {
        heap.put(id, &[round; 9]).unwrap();
        heap.commit().unwrap();
    }
    heap.put(id, b"not committed").unwrap();
    let image = Image(fs::read(scene.path("file.pgs")).unwrap());
    assert_eq!(image.generation(), 6);
    let store = image.names().0["heap"];
    let index = id.to_bits() >> 24;
    let (found, payload, _) = image.block(store, (index, image.pair(store.number, index))).unwrap();
    assert_eq!((found, payload), (id.to_bits(), &[4; 9][..]));
}

#[test]
fn what_is_reserved_is_zero() {
    let scene = Scene::new();
    let (mut image, _) = closed(&scene);
    let superblock = image.superblock();
    for at in [20, 88, 507] {
        let before = image.0.clone();
        image.0[superblock + at] = 1;
        let sum = crc32fast::hash(&image.0[superblock..superblock + 508]);
        image.0[superblock + 508..superblock + 512].copy_from_slice(&sum.to_le_bytes());
        fs::write(scene.path("odd.pgs"), &image.0).unwrap();
        let refused = options().open(scene.at("odd.pgs")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{at}");
        image.0 = before;
    }
    for (at, kind) in [(8, ErrorKind::UnknownVersion), (12, ErrorKind::UnknownVersion)] {
        let before = image.0.clone();
        image.0[superblock + at] ^= 0x42;
        let sum = crc32fast::hash(&image.0[superblock..superblock + 508]);
        image.0[superblock + 508..superblock + 512].copy_from_slice(&sum.to_le_bytes());
        fs::write(scene.path("odd.pgs"), &image.0).unwrap();
        let refused = options().open(scene.at("odd.pgs")).unwrap_err();
        assert_eq!(refused.kind(), kind, "{at}");
        image.0 = before;
    }
}
