//! One writer beside reader threads: what each costs beside the other, and alone.
//!
//! CPU time of each thread, so that more threads than cores are no matter. The writer replaces
//! blocks and commits now and then; readers take a pin for 64 gets. Configurations alternate, and
//! the median of the rounds counts.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use bench_own::{
    Clock, Folder, Random, Result,
    heap::{BlockHeap as _, Ours, Work},
};
use pagestone_heap::{BlockId, Heap, RegionFile};

use super::{Family, fill, median, nanos_each, warm};
use crate::Measurement;

const BLOCKS: usize = 500_000;
/// Blocks that the writer replaces, and after how many it commits.
const PUTS: usize = 300_000;
const COMMIT_EVERY: usize = 20_000;
/// Gets of a reader that has no writer beside it.
const GETS: usize = 2_000_000;
const GETS_OF_A_PIN: usize = 64;
const ROUNDS: usize = 3;

/// The heap under measurement.
struct Bench {
    file: RegionFile,
    heap: Heap,
    ids: Vec<BlockId>,
    puts: usize,
    gets: usize,
}

pub(super) fn measure(family: &Family) -> Result<Vec<Measurement>> {
    warm(family.scale);
    let folder = Folder::new()?;
    let mut work = Work::new(33);
    let sizes = work.sizes(family.scale.count(BLOCKS));
    let mut ours = Ours::create(&folder)?;
    let mut blocks = Vec::new();
    fill(&mut ours, (&work, &sizes), &mut blocks)?;
    ours.close()?;
    let file = RegionFile::options().open(folder.trusted().file("heap"))?;
    let heap = file.heap("heap")?;
    let ids = blocks.iter().map(|&(id, _)| BlockId::from_bits(id)).collect();
    let (puts, gets) = (family.scale.count(PUTS), family.scale.count(GETS));
    let bench = Bench { file, heap, ids, puts, gets };
    // Pages and free space as they are in a file that is written for some time.
    bench.run(0, true)?;

    let mut found: [Vec<f64>; 7] = Default::default();
    for _ in 0..ROUNDS {
        let (writer_alone, _) = bench.run(0, true)?;
        let (_, reader_alone) = bench.run(1, false)?;
        let (writer_1, reader_1) = bench.run(1, true)?;
        let (_, four_alone) = bench.run(4, false)?;
        let (writer_4, reader_4) = bench.run(4, true)?;
        let round =
            [writer_alone, writer_1, writer_4, reader_alone, reader_1, four_alone, reader_4];
        for (values, value) in found.iter_mut().zip(round) {
            values.push(value);
        }
    }
    let names = [
        "writer_alone",
        "writer_1",
        "writer_4",
        "reader_alone",
        "reader_1",
        "readers_alone",
        "reader_4",
    ];
    let medians = names.iter().zip(found);
    Ok(medians.map(|(name, values)| family.named(name, median(values), "ns/op")).collect())
}

impl Bench {
    /// Nanoseconds of CPU of a put and of a get, with so many readers.
    fn run(&self, readers: u64, writes: bool) -> Result<(f64, f64)> {
        let done = AtomicBool::new(!writes);
        let start = Barrier::new(usize::try_from(readers)? + usize::from(writes));
        thread::scope(|scope| {
            let (stop, begin) = (&done, &start);
            let spawn = |nth| scope.spawn(move || self.read(nth, (stop, begin)));
            let readers: Vec<_> = (0..readers).map(spawn).collect();
            let write = if writes { self.write(&start) } else { Ok(0.0) };
            done.store(true, Ordering::Release);
            let mut gets = Vec::new();
            for reader in readers {
                gets.push(reader.join().map_err(|_| "a reader panicked")??);
            }
            Ok((write?, if gets.is_empty() { 0.0 } else { median(gets) }))
        })
    }

    fn write(&self, start: &Barrier) -> Result<f64> {
        let mut random = Random::new(7);
        let content = [7; 512];
        start.wait();
        let (time, written) = Clock::Thread.time(|| -> Result<()> {
            for nth in 1..=self.puts {
                let mut writer = self.file.writer();
                let len = 32 + random.below(481);
                let id = self.ids[random.below(self.ids.len())];
                self.heap.put(&mut writer, id, &content[..len])?;
                if nth % COMMIT_EVERY == 0 {
                    writer.commit()?;
                }
            }
            Ok(())
        });
        written?;
        Ok(nanos_each(time, self.puts))
    }

    /// Gets until the writer is done; where there is none, as many as said.
    fn read(
        &self,
        nth: u64,
        (done, start): (&AtomicBool, &Barrier),
    ) -> pagestone_heap::Result<f64> {
        let mut random = Random::new(100 + nth);
        let mut gets = 0;
        let mut sum = 0;
        start.wait();
        let (time, read) = Clock::Thread.time(|| -> pagestone_heap::Result<()> {
            while gets < self.gets / 4 || !done.load(Ordering::Acquire) {
                let pin = self.file.pin();
                for _ in 0..GETS_OF_A_PIN {
                    let id = self.ids[random.below(self.ids.len())];
                    sum += usize::from(self.heap.get(&pin, id)?[0]);
                }
                gets += GETS_OF_A_PIN;
            }
            Ok(())
        });
        read?;
        std::hint::black_box(sum);
        Ok(nanos_each(time, gets))
    }
}
