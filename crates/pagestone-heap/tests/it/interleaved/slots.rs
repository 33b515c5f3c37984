//! Objects in slots: gets under pins beside adds, removes, a discard and commits.

use pagestone_heap::{ErrorKind, RegionFile, SlabShape, Slabs, SlotId, Verify};
use shuttle::sync::{Arc, Mutex};

use super::{below, check_kept, explore, mark_of, marked, options, together};

/// Few slots, so that they are soon used again.
const SHAPE: SlabShape = SlabShape { object_len: 24, slots: 6, generations: true, mark: 0 };

struct Run {
    file: RegionFile,
    slabs: Slabs,
    slab: u64,
    /// An object that is there all the time, with its word.
    stays: (SlotId, u64),
    /// Objects that come and go, with their words.
    passing: Mutex<Vec<(SlotId, u64)>>,
    /// All objects that were ever added.
    added: Mutex<Vec<(SlotId, u64)>>,
    /// What walks over the slab saw.
    seen: Mutex<Vec<(SlotId, u64)>>,
}

impl Run {
    fn new() -> Self {
        let file = options().in_memory().unwrap();
        let slabs = file.slabs("slabs").unwrap();
        let mut writer = file.writer();
        let slab = slabs.create(&mut writer, SHAPE).unwrap();
        let mut add =
            |word| (slabs.add(&mut writer, slab, &marked(word, 24)).unwrap().unwrap(), word);
        let (stays, passing) = (add(1), vec![add(2), add(3)]);
        writer.commit().unwrap();
        drop(writer);
        let added = Mutex::new([&[stays], &passing[..]].concat());
        let (passing, seen) = (Mutex::new(passing), Mutex::default());
        Self { file, slabs, slab, stays, passing, added, seen }
    }

    fn change(&self, (changes, first): (u64, u64)) {
        for word in first..first + changes {
            let mut writer = self.file.writer();
            if below(3) == 0 {
                writer.commit().unwrap();
            }
            let picked = self.passing.lock().unwrap().first().copied();
            if let Some((id, _)) = picked.filter(|_| below(2) == 0) {
                // A discard may have undone it.
                match self.slabs.remove(&mut writer, id) {
                    Ok(()) => drop(self.passing.lock().unwrap().remove(0)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::StaleId, "{error}"),
                }
            }
            if let Some(id) = self.slabs.add(&mut writer, self.slab, &marked(word, 24)).unwrap() {
                self.passing.lock().unwrap().push((id, word));
                self.added.lock().unwrap().push((id, word));
            }
        }
    }

    fn read(&self, gets: u64) {
        let pin = self.file.pin();
        let mut kept = Vec::new();
        let mut known = Vec::new();
        for _ in 0..gets {
            let bytes = self.slabs.get(&pin, self.stays.0).expect("an object that stays");
            assert_eq!(mark_of(bytes), self.stays.1);
            kept.push((bytes, bytes.to_vec()));
            for (id, bytes) in self.slabs.objects(&pin, self.slab) {
                self.seen.lock().unwrap().push((id, mark_of(bytes)));
                kept.push((bytes, bytes.to_vec()));
            }
            known.extend(self.passing.lock().unwrap().iter().copied());
            for (id, word) in &known {
                match self.slabs.get(&pin, *id) {
                    Ok(bytes) => {
                        assert_eq!(mark_of(bytes), *word, "an id names another object");
                        kept.push((bytes, bytes.to_vec()));
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::StaleId, "{error}"),
                }
            }
        }
        check_kept(&kept);
    }

    /// No walk came to an object before its bytes were there.
    fn check_seen(&self) {
        let added = self.added.lock().unwrap();
        for seen in self.seen.lock().unwrap().iter() {
            assert!(added.contains(seen), "{seen:?} of {added:?}");
        }
    }
}

/// Fails when the bit of a slot is set before its bytes are there, and when slots are used again
/// whatever is pinned.
#[test]
fn objects_beside_adds_removes_and_commits() {
    explore("slabs", || {
        let run = Arc::new(Run::new());
        let with = |work: fn(&Run)| {
            let run = Arc::clone(&run);
            Box::new(move || work(&run)) as Box<dyn FnOnce() + Send>
        };
        together(vec![
            with(|run| run.change((5, 10))),
            with(|run| run.change((3, 20))),
            with(|run| run.read(3)),
            with(|run| run.read(3)),
            with(|run| run.file.writer().discard().unwrap()),
            with(|run| run.file.commit().unwrap()),
        ]);
        run.check_seen();
        let report = run.file.verify(Verify::new()).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    });
}
