//! Random reads of a heap's blocks: through one pin, through a pin each, each found by the last.

use bench_own::{
    Folder, Result, Scale,
    heap::{
        BlockHeap, BlockReader as _, BlockWriter as _, Limit, Ours, Place, Volatile, Work,
        read_chain, read_each, read_run,
    },
    must, skip,
};
use criterion::{Criterion, Throughput};

use crate::{Clock, group};

const BLOCKS: usize = 1_000_000;
/// Reads per iteration.
const READS: usize = 1 << 16;
/// Reads of a chain per iteration.
const STEPS: u64 = 1 << 14;

pub(crate) fn register(criterion: &mut Criterion<Clock>, scale: Scale) {
    reads::<Ours>(criterion, "ours", scale);
    reads::<Limit>(criterion, "limit", scale);
    reads::<Volatile>(criterion, "mimalloc", scale);
    reads_of_another(criterion, scale);
}

/// The same reads through a read-only open beside the writer: what they cost in another process.
/// Its mapping, tables and locks are its own; only the file is the same.
fn reads_of_another(criterion: &mut Criterion<Clock>, scale: Scale) {
    let mut group = group(criterion, "heap_get");
    let mut fixture: Option<(Filled<Ours>, Ours)> = None;
    let prepared = || {
        let filled = must(Filled::<Ours>::new(scale));
        let reading = must(Ours::open_read_only(&filled.folder));
        (filled, reading)
    };
    group.throughput(Throughput::Elements(READS as u64));
    for (name, run) in [
        ("ours_other", read_run as fn(&Ours, &[Place]) -> Result<u64>),
        ("ours_other_many", |heap, places| heap.reader()?.read_many(places)),
        ("ours_other_each", read_each),
    ] {
        group.bench_function(name, |bencher| {
            let (filled, reading) = fixture.get_or_insert_with(prepared);
            bencher.iter(|| {
                let (_, places) = filled.next();
                must(run(reading, places))
            });
        });
    }
}

/// A heap full of blocks, and where to read.
struct Filled<H> {
    heap: H,
    places: Vec<Place>,
    at: usize,
    folder: Folder,
}

impl<H: BlockHeap> Filled<H> {
    fn new(scale: Scale) -> Result<Self> {
        let folder = Folder::new()?;
        let mut heap = H::create(&folder)?;
        let mut work = Work::new(31);
        let sizes = work.sizes(scale.count(BLOCKS));
        let mut writer = heap.writer()?;
        let fill = |(number, &size): (usize, &usize)| writer.alloc_fill(work.bytes(number, size));
        let ids = sizes.iter().enumerate().map(fill).collect::<Result<Vec<u64>>>()?;
        drop(writer);
        heap.commit()?;
        let places = work.places(&ids, 16 * READS);
        Ok(Self { heap, places, at: 0, folder })
    }

    /// The next places, over and over.
    fn next(&mut self) -> (&H, &[Place]) {
        self.at = (self.at + READS) % self.places.len();
        (&self.heap, &self.places[self.at..self.at + READS])
    }
}

fn reads<H: BlockHeap>(criterion: &mut Criterion<Clock>, name: &str, scale: Scale) {
    let [each, chain, many] = ["each", "chain", "many"].map(|way| format!("{name}_{way}"));
    if !H::PRESENT {
        for way in [name, &each, &chain, &many] {
            must(skip(&format!("heap_get/{way}"), "not plugged in"));
        }
        return;
    }
    let mut group = group(criterion, "heap_get");
    let mut fixture = None;
    let prepared = || must(Filled::<H>::new(scale));
    group.throughput(Throughput::Elements(READS as u64));
    group.bench_function(name, |bencher| {
        let filled = fixture.get_or_insert_with(prepared);
        bencher.iter(|| {
            let (heap, places) = filled.next();
            must(read_run(heap, places))
        });
    });
    group.bench_function(many, |bencher| {
        let filled = fixture.get_or_insert_with(prepared);
        bencher.iter(|| {
            let (heap, places) = filled.next();
            must(must(heap.reader()).read_many(places))
        });
    });
    group.bench_function(each, |bencher| {
        let filled = fixture.get_or_insert_with(prepared);
        bencher.iter(|| {
            let (heap, places) = filled.next();
            must(read_each(heap, places))
        });
    });
    group.throughput(Throughput::Elements(STEPS));
    group.bench_function(chain, |bencher| {
        let filled = fixture.get_or_insert_with(prepared);
        bencher.iter(|| must(read_chain(&filled.heap, (&filled.places, STEPS))));
    });
}
