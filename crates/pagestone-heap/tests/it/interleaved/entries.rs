//! Entries of a log: gets under pins beside updates, removes, segments that are emptied and given
//! back, and commits that several threads ask for at once.

use pagestone_heap::{BlockId, ErrorKind, Heap, Log, RegionFile, SegmentFacts, Verify};
use shuttle::sync::{Arc, Mutex, mpsc};

use super::{below, check_kept, explore, mark_of, marked, options, together, together_at_locks};
use crate::support::Scene;

struct Run {
    file: RegionFile,
    log: Log,
    /// Entries that are there all the time.
    ids: [BlockId; 2],
    /// Entries that come and go, with their words.
    passing: Mutex<Vec<(BlockId, u64)>>,
}

impl Run {
    fn new() -> Self {
        let file = options().in_memory().unwrap();
        let log = file.log("log").unwrap();
        let mut writer = file.writer();
        let mut add = |word, len| log.add(&mut writer, &marked(word, len)).unwrap();
        let ids = [add(1, 32), add(1, 3000)];
        let passing = vec![(add(2, 24), 2), (add(3, 200), 3)];
        writer.commit().unwrap();
        drop(writer);
        Self { file, log, ids, passing: Mutex::new(passing) }
    }

    fn change(&self, changes: u64) {
        for word in 10..10 + changes {
            let mut writer = self.file.writer();
            match below(3) {
                0 => {
                    let id = self.log.add(&mut writer, &marked(word, 40)).unwrap();
                    self.passing.lock().unwrap().push((id, word));
                }
                1 => {
                    let picked = self.passing.lock().unwrap().pop();
                    if let Some((id, _)) = picked {
                        self.log.remove(&mut writer, id).unwrap();
                    }
                }
                _ => writer.commit().unwrap(),
            }
            for id in self.ids {
                self.log.update(&mut writer, id, &marked(word, 32)).unwrap();
            }
        }
    }

    /// Empties each segment in two steps, with commits that give it back.
    fn compact(&self) {
        let segments = self.log.segments(&mut self.file.writer()).unwrap();
        for segment in segments {
            let mut from = Some(0);
            while let Some(next) = from {
                let mut writer = self.file.writer();
                let listed = self.log.segments(&mut writer).unwrap();
                let named = |its: &&SegmentFacts| {
                    (its.number, its.first_sequence) == (segment.number, segment.first_sequence)
                };
                if listed.iter().find(named).is_none() {
                    break;
                }
                let step = (segment.number, next);
                from = self.log.evacuate(&mut writer, step, |moved| 100 <= moved).unwrap().next;
                writer.commit().unwrap();
            }
            self.file.commit().unwrap();
        }
    }

    fn read(&self, gets: u64) {
        let pin = self.file.pin();
        let mut kept = Vec::new();
        let mut latest = [0; 2];
        for _ in 0..gets {
            for (id, latest) in self.ids.iter().zip(&mut latest) {
                let bytes = self.log.get(&pin, *id).expect("an entry that stays");
                let mark = mark_of(bytes);
                assert!(*latest <= mark, "{mark} after {latest}");
                *latest = mark;
                kept.push((bytes, bytes.to_vec()));
            }
            let passing = self.passing.lock().unwrap().clone();
            for (id, word) in passing {
                match self.log.get(&pin, id) {
                    Ok(bytes) => {
                        assert_eq!(mark_of(bytes), word, "an id names another entry");
                        kept.push((bytes, bytes.to_vec()));
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::StaleId, "{error}"),
                }
            }
        }
        check_kept(&kept);
    }

    /// Keeps what it got until segments were given back, under one pin.
    fn hold(&self, emptied: &mpsc::Receiver<()>) {
        let pin = self.file.pin();
        let got = self.ids.map(|id| self.log.get(&pin, id).expect("an entry that stays"));
        let kept = got.map(|bytes| (bytes, bytes.to_vec()));
        emptied.recv().unwrap();
        check_kept(&kept);
    }
}

/// Fails when a segment is used again that a pin holds.
#[test]
fn entries_beside_updates_removes_and_evacuation() {
    explore("log", || {
        let run = Arc::new(Run::new());
        let (emptied, is_emptied) = mpsc::channel();
        let (compacting, holding) = (Arc::clone(&run), Arc::clone(&run));
        let with = |work: fn(&Run)| {
            let run = Arc::clone(&run);
            Box::new(move || work(&run)) as Box<dyn FnOnce() + Send>
        };
        together(vec![
            with(|run| run.change(6)),
            Box::new(move || {
                // What the first one gives back is free for others in the second.
                compacting.compact();
                compacting.compact();
                emptied.send(()).unwrap();
            }),
            with(|run| run.read(3)),
            with(|run| run.read(3)),
            Box::new(move || holding.hold(&is_emptied)),
            with(|run| run.file.commit().unwrap()),
        ]);
        let report = run.file.verify(Verify::new()).unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
    });
}

/// One thread of several that change a block of their own and commit together.
fn change_and_commit((heap, id): (&Heap, BlockId), outside: &RegionFile) {
    for word in 2..4 {
        heap.put(&mut heap.file().writer(), id, &marked(word, 32)).unwrap();
        heap.file().commit().unwrap();
        let theirs = outside.heap("blocks").unwrap();
        let seen = theirs.read(id, mark_of).unwrap();
        assert_eq!(seen, word, "a commit returned before its change was committed");
    }
}

/// Fails when a thread that waited for a commit believes that it has its change.
#[test]
fn commits_of_several_threads() {
    let scene = Scene::fast();
    let at = scene.at("file.pgs");
    explore("shared commits", move || {
        std::fs::remove_file(at.path()).ok();
        let file = options().create(at.clone()).unwrap();
        let heap = file.heap("blocks").unwrap();
        let ids = [(); 3].map(|()| heap.allocate_from(&mut file.writer(), &marked(1, 32)).unwrap());
        file.commit().unwrap();
        let outside = options().open_read_only(at.clone()).unwrap();
        let threads = ids.map(|id| {
            let (heap, outside) = (heap.clone(), outside.clone());
            let work = move || change_and_commit((&heap, id), &outside);
            Box::new(work) as Box<dyn FnOnce() + Send>
        });
        // A change has to come whole between the end of a commit's work and the end of the commit.
        together_at_locks(threads.into());
    });
}
