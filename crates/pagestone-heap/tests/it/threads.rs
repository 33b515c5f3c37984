//! Readers under pins beside one writer: nothing torn, nothing stale, nothing that changes.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use pagestone_heap::{BlockId, ErrorKind, Heap, RegionFile};

use crate::support::{Dice, Scene, budget, check_clean, mark_of, marked, options, say, seed};

const READERS: u64 = 3;
/// Places where the writer shows ids to the readers.
const SHOWN: usize = 256;

/// What the writer tells the readers.
#[derive(Debug)]
struct Board {
    shown: Vec<AtomicU64>,
    /// Ids whose freeing was committed: refused from then on.
    stale: Mutex<Vec<BlockId>>,
    end: AtomicBool,
    reads: AtomicU64,
}

/// Checks the content of a block: its mark is its id.
#[track_caller]
fn check_whole(id: BlockId, bytes: &[u8]) {
    assert!(16 <= bytes.len(), "{id}: {} bytes", bytes.len());
    assert_eq!(mark_of(bytes), Some(id.to_bits()), "torn: {id}, {} bytes", bytes.len());
}

/// Reads until told to end.
fn read(heap: &Heap, board: &Board, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut reads = 0;
    while !board.end.load(Ordering::Relaxed) {
        let stale = board.stale.lock().unwrap().clone();
        let pin = heap.file().pin();
        let mut held: Vec<(BlockId, &[u8])> = Vec::new();
        for _ in 0..dice.below(200) {
            let at = usize::try_from(dice.below(SHOWN as u64)).unwrap();
            let id = BlockId::from_bits(board.shown[at].load(Ordering::Acquire));
            match heap.get(&pin, id) {
                Ok(bytes) => {
                    check_whole(id, bytes);
                    held.push((id, bytes));
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::StaleId, "{error}"),
            }
            reads += 1;
        }
        for id in &stale {
            let refused = heap.get(&pin, *id).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StaleId, "{refused}");
        }
        if dice.below(8) == 0 {
            for block in heap.blocks(&pin).take(300) {
                let (id, bytes) = block.unwrap();
                // One that has no content of its own yet.
                if bytes != marked(0, 16) {
                    check_whole(id, bytes);
                }
            }
        }
        // What a pin has shown stays as it is, whatever the writer did meanwhile.
        for (id, bytes) in &held {
            check_whole(*id, bytes);
        }
    }
    board.reads.fetch_add(reads, Ordering::Relaxed);
}

/// The writer's model: ids of the newest and of the committed state.
struct Writing<'w> {
    heap: &'w Heap,
    board: &'w Board,
    dice: Dice,
    live: Vec<BlockId>,
    committed: Vec<BlockId>,
    freed: Vec<BlockId>,
}

impl Writing<'_> {
    fn len(&mut self) -> usize {
        self.dice.len().max(16)
    }

    fn change(&mut self) {
        let len = self.len();
        let file = self.heap.file();
        let mut writer = file.writer();
        let pick = usize::try_from(self.dice.word() % self.live.len().max(1) as u64).unwrap();
        match (self.dice.below(10), self.live.get(pick).copied()) {
            (0..4, Some(id)) => {
                let put = self.heap.put(&mut writer, id, &marked(id.to_bits(), len));
                put.unwrap();
            }
            (4..7, Some(id)) => {
                self.heap.free(&mut writer, id).unwrap();
                self.live.swap_remove(pick);
                self.freed.push(id);
            }
            _ => {
                let id = self.heap.allocate_from(&mut writer, &marked(0, 16)).unwrap();
                self.heap.put(&mut writer, id, &marked(id.to_bits(), len)).unwrap();
                self.live.push(id);
                let at = usize::try_from(self.dice.below(SHOWN as u64)).unwrap();
                self.board.shown[at].store(id.to_bits(), Ordering::Release);
            }
        }
    }

    fn commit(&mut self) {
        self.heap.file().commit().unwrap();
        self.committed.clone_from(&self.live);
        let mut stale = self.board.stale.lock().unwrap();
        stale.append(&mut self.freed);
        let surplus = stale.len().saturating_sub(100);
        stale.drain(..surplus);
    }

    fn discard(&mut self) {
        // Ids of the undone epoch may be handed out again: nobody may know them.
        for shown in &self.board.shown {
            let id = BlockId::from_bits(shown.load(Ordering::Relaxed));
            if !self.committed.contains(&id) {
                shown.store(1, Ordering::Release);
            }
        }
        self.heap.file().writer().discard().unwrap();
        self.live.clone_from(&self.committed);
        self.freed.clear();
    }
}

fn run(file: &RegionFile, seconds: f64) {
    let heap = file.heap("blocks").unwrap();
    let board = Board {
        shown: (0..SHOWN).map(|_| AtomicU64::new(1)).collect(),
        stale: Mutex::default(),
        end: AtomicBool::new(false),
        reads: AtomicU64::new(0),
    };
    let (start, budget) = (Instant::now(), budget(seconds));
    let mut steps = 0_u64;
    std::thread::scope(|scope| {
        for reader in 0..READERS {
            let (heap, board) = (&heap, &board);
            scope.spawn(move || read(heap, board, seed() + reader));
        }
        let _end = EndOnDrop(&board.end);
        file.commit().unwrap();
        let mut writing = Writing {
            heap: &heap,
            board: &board,
            dice: Dice::new(seed()),
            live: Vec::new(),
            committed: Vec::new(),
            freed: Vec::new(),
        };
        while start.elapsed() < budget {
            for _ in 0..writing.dice.below(100) {
                writing.change();
                steps += 1;
            }
            match writing.dice.below(20) {
                0 => writing.discard(),
                1..12 => writing.commit(),
                _ => {}
            }
            while 3000 < writing.live.len() {
                let id = writing.live.pop().unwrap();
                heap.free(&mut file.writer(), id).unwrap();
                writing.freed.push(id);
            }
        }
    });
    check_clean(file);
    let reads = board.reads.load(Ordering::Relaxed);
    say(&format!("threads: {steps} changes beside {reads} reads, 0 torn"));
}

/// Ends the readers also when the writer panics.
struct EndOnDrop<'e>(&'e AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_see_whole_blocks_of_a_file() {
    let scene = Scene::fast();
    run(&scene.create(), 1.5);
}

#[test]
fn readers_see_whole_blocks_in_memory() {
    run(&options().in_memory().unwrap(), 1.5);
}
