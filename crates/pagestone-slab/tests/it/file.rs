//! Objects in a region file: random operations against a map, with every way to end.
#![expect(unsafe_code, reason = "the one promise that a test makes for its own directory")]

use std::collections::BTreeMap;

use pagestone_heap::{RegionFile, Verify, Writer};
use pagestone_slab::{ErrorKind, FileStore, Growth, SlabFile, SlotId};
use pagestone_storage::TrustedDir;

/// A file in a directory of its own.
pub(super) struct Scene(tempfile::TempDir);

impl Scene {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.0.path().join("file.pgs")
    }

    /// One in memory where there is such a place.
    pub(super) fn fast() -> Self {
        Self(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    /// The file of a scene of another process.
    pub(super) fn file_in(folder: &std::path::Path) -> RegionFile {
        RegionFile::options().reserve(1 << 32).open_or_create(at(folder)).unwrap()
    }

    pub(super) fn file(&self) -> RegionFile {
        Self::file_in(self.0.path())
    }

    pub(super) fn reader(&self) -> RegionFile {
        RegionFile::options().reserve(1 << 32).open_read_only(at(self.0.path())).unwrap()
    }

    fn open(&self) -> (RegionFile, FileStore) {
        let file = self.file();
        let growth = Growth::default().first_slots(10).slab_len_max(64 << 10);
        let store = file.objects_with("objects", growth).unwrap();
        (file, store)
    }
}

/// The file in the folder of a scene.
fn at(folder: &std::path::Path) -> pagestone_storage::Location {
    // SAFETY: the test whose folder it is alone writes there, and through this library.
    unsafe { TrustedDir::assert(folder) }.file("file.pgs")
}

pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn object(&mut self) -> Vec<u8> {
        let len = match self.below(40) {
            0 => 65_537 + self.below(100_000),
            1..8 => 257 + self.below(3000),
            8 => 65_536,
            _ => 1 + self.below(20),
        };
        (0..len).map(|_| u8::try_from(self.below(4)).unwrap()).collect()
    }
}

#[derive(Debug, Default, Clone)]
struct Model {
    now: BTreeMap<SlotId, Vec<u8>>,
    committed: BTreeMap<SlotId, Vec<u8>>,
    removed: Vec<SlotId>,
}

impl Model {
    fn check(&self, file: &RegionFile, store: &FileStore) {
        let pin = file.pin();
        let mut ids: Vec<SlotId> = store.ids(&pin).unwrap().collect();
        ids.sort_unstable();
        assert_eq!(ids, self.now.keys().copied().collect::<Vec<_>>());
        for (id, object) in &self.now {
            assert_eq!(store.get(&pin, *id).unwrap(), object);
        }
        ids.extend(&self.removed);
        let mut found = Vec::new();
        store.get_many(&pin, &ids, |place, object| found.push((place, object.ok())));
        let expected = ids.iter().map(|id| self.now.get(id).map(Vec::as_slice)).enumerate();
        assert_eq!(found, expected.collect::<Vec<_>>());
        for id in &self.removed {
            assert_eq!(store.get(&pin, *id).unwrap_err().kind(), ErrorKind::StaleId);
        }
        let wanted: Vec<&[u8]> = self.now.values().take(20).map(Vec::as_slice).collect();
        let found = store.find_many(&pin, &wanted).unwrap();
        for (object, id) in wanted.iter().zip(found) {
            assert_eq!(&self.now[&id.unwrap()], object);
        }
        assert_eq!(store.find(&pin, &[9; 7]).unwrap(), None);
        let stats = store.stats(&mut file.writer()).unwrap();
        assert_eq!(stats.live, self.now.len() as u64);
        assert_eq!(stats.payload, self.now.values().map(|object| object.len() as u64).sum::<u64>());
        let report = file.verify(Verify::new()).unwrap();
        assert!(report.is_clean(), "{:#?}", report.problems);
    }

    fn step(&mut self, dice: &mut Dice, (writer, store): (&mut Writer<'_>, &FileStore)) {
        let nth = usize::try_from(dice.below(self.now.len().max(1) as u64)).unwrap();
        let known = self.now.keys().nth(nth).copied();
        match (dice.below(10), known) {
            (0..5, _) | (_, None) => {
                let object = dice.object();
                let id = store.add(writer, &object).unwrap();
                assert!(!self.removed.contains(&id));
                assert!(self.now.insert(id, object).is_none());
            }
            (5, Some(id)) => {
                let object = dice.object();
                let other = store.replace(writer, id, &object).unwrap();
                self.now.remove(&id);
                self.removed.push(id);
                assert!(self.now.insert(other, object).is_none());
            }
            (_, Some(id)) => {
                store.remove(writer, id).unwrap();
                assert_eq!(store.remove(writer, id).unwrap_err().kind(), ErrorKind::StaleId);
                self.now.remove(&id);
                self.removed.push(id);
            }
        }
    }
}

#[test]
fn a_store_is_a_map_with_commits() {
    for seed in 0..4 {
        let scene = Scene::new();
        let (mut file, mut store) = scene.open();
        file.commit().unwrap();
        let (mut dice, mut model) = (Dice(seed), Model::default());
        for _ in 0..16 {
            for _ in 0..dice.below(80) {
                model.step(&mut dice, (&mut file.writer(), &store));
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
                    drop((store, file));
                    (file, store) = scene.open();
                }
                5 => {
                    store.clear(&mut file.writer()).unwrap();
                    model.removed.extend(model.now.keys());
                    model.now.clear();
                }
                _ => {
                    drop(store);
                    file.close().unwrap();
                    (file, store) = scene.open();
                    model.committed = model.now.clone();
                }
            }
            model.check(&file, &store);
        }
    }
}

#[test]
fn two_views_of_a_store_are_the_same_store() {
    let scene = Scene::new();
    let (file, one) = scene.open();
    let other = file.objects("objects").unwrap();
    let mut writer = file.writer();
    let mut ids = Vec::new();
    for nth in 0..500_u32 {
        let view = if nth % 2 == 0 { &one } else { &other };
        ids.push(view.add(&mut writer, &nth.to_le_bytes()).unwrap());
    }
    // One gives slabs back that the other knows.
    for id in &ids {
        one.remove(&mut writer, *id).unwrap();
    }
    for nth in 0..500_u32 {
        other.add(&mut writer, &nth.to_le_bytes()).unwrap();
    }
    drop(writer);
    assert_eq!(one.ids(&file.pin()).unwrap().count(), 500);
    let error = one.add(&mut file.writer(), b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}
