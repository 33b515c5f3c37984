//! The workload: add, read, change, grow, remove, compact; what each costs.

use std::time::Duration;

use super::{Change, EntryStore, Promise, Told, Work};
use crate::{Clock, Folder, Result, Scale};

/// Entries, and reads.
const ENTRIES: usize = 1_000_000;
const READS: usize = 1_000_000;
/// After how many changes a program looks whether there is something to tend.
const TENDED: usize = 1_000;

/// How the workload is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How large it is.
    pub scale: Scale,
    /// Changes that go together.
    pub unit: usize,
    /// Whether the store is tended in between, at the cost of the changes.
    pub is_tended: bool,
}

/// Runs the workload. Times are CPU of the process, with all threads of an engine and the kernel;
/// those that end in `_wall` are by the wall.
///
/// # Errors
///
/// Those of the store, or when it does not hold what it should.
pub fn phases<S: EntryStore>(run: Run) -> Result<Vec<Told>> {
    warm(run.scale);
    let folder = Folder::new()?;
    let mut bench = Bench { store: S::create(&folder, Promise::Process)?, run, told: vec![] };
    let mut work = Work::new(41, run.scale.count(ENTRIES));

    let all: Vec<u32> = work.numbers().collect();
    bench.change("add", &all, |number| work.put(number))?;
    bench.file("file_added", (&folder, &work))?;
    let drawn = work.drawn(run.scale.count(READS));
    bench.read(&drawn)?;

    let numbers = work.shuffled();
    let (half, _) = numbers.split_at(numbers.len() / 2);
    work.change(half);
    bench.change("same", half, |number| work.put(number))?;
    let numbers = work.shuffled();
    let (half, _) = numbers.split_at(numbers.len() / 2);
    work.grow(half);
    bench.change("grow", half, |number| work.put(number))?;
    let numbers = work.shuffled();
    let (half, _) = numbers.split_at(numbers.len() / 2);
    work.remove(half);
    bench.change("remove", half, Change::Remove)?;
    bench.all_changes();
    bench.file("file_before", (&folder, &work))?;
    bench.compact((&folder, &work))
}

/// A store under measurement, and what it told.
struct Bench<S> {
    store: S,
    run: Run,
    told: Vec<Told>,
}

impl<S: EntryStore> Bench<S> {
    /// Changes these entries, each as `change` says; makes them durable apart from the time.
    fn change<'w>(
        &mut self,
        name: &str,
        numbers: &[u32],
        change: impl Fn(u32) -> Change<'w>,
    ) -> Result<()> {
        let (cpu, wall) = (Clock::Process.now(), Clock::Wall.now());
        let mut untended = 0;
        for unit in numbers.chunks(self.run.unit) {
            self.store.change(unit.iter().map(|number| change(*number)))?;
            untended += unit.len();
            if self.run.is_tended && TENDED <= untended {
                self.store.tend()?;
                untended = 0;
            }
        }
        let times = (Clock::Process.since(cpu), Clock::Wall.since(wall));
        self.tell(name, times, numbers.len());
        let (time, committed) = Clock::Wall.time(|| self.store.commit());
        committed?;
        self.told.push(Told::new(format!("{name}_commit"), time.as_secs_f64() * 1e3, "ms"));
        Ok(())
    }

    fn tell(&mut self, name: &str, (cpu, wall): (Duration, Duration), count: usize) {
        self.told.push(Told::new(name, nanos_each(cpu, count), "ns/entry"));
        self.told.push(Told::new(format!("{name}_wall"), nanos_each(wall, count), "ns/entry"));
    }

    /// The mean over all changes that were told of.
    fn all_changes(&mut self) {
        let of = |name: &str| {
            let found = self.told.iter().find(|told| told.name == name);
            found.map_or(f64::NAN, |told| told.value)
        };
        // As many were added as two halves make; each other phase took a half.
        let total = 2.0 * of("add") + of("same") + of("grow") + of("remove");
        self.told.push(Told::new("changes", total / 5.0, "ns/entry"));
    }

    /// Reads these entries: a byte of each line of memory, so that all of it is fetched.
    fn read(&mut self, numbers: &[u32]) -> Result<()> {
        let mut sum = 0_u64;
        let touch = |sum: &mut u64, bytes: &[u8]| {
            *sum += bytes.iter().step_by(64).map(|byte| u64::from(*byte)).sum::<u64>();
        };
        let (cpu, wall) = (Clock::Process.now(), Clock::Wall.now());
        self.store.read(numbers, |bytes| touch(&mut sum, bytes))?;
        let times = (Clock::Process.since(cpu), Clock::Wall.since(wall));
        self.tell("read", times, numbers.len());
        let mut sum_many = 0_u64;
        let (cpu, wall) = (Clock::Process.now(), Clock::Wall.now());
        if self.store.read_many(numbers, |bytes| touch(&mut sum_many, bytes))? {
            let times = (Clock::Process.since(cpu), Clock::Wall.since(wall));
            self.tell("read_many", times, numbers.len());
            if sum != sum_many {
                return Err("two passes read different bytes".into());
            }
        }
        std::hint::black_box(sum);
        Ok(())
    }

    /// Blocks of the device over what is live.
    fn file(&mut self, name: &str, (folder, work): (&Folder, &Work)) -> Result<()> {
        let live = float(work.live());
        let [allocated, len] = folder.files_taken()?.map(|len| float(len) / live);
        self.told.push(Told::new(name, allocated, "of the live"));
        self.told.push(Told::new(format!("{name}_len"), len, "of the live"));
        Ok(())
    }

    /// Compacts, compares everything with the model, closes.
    fn compact(self, (folder, work): (&Folder, &Work)) -> Result<Vec<Told>> {
        check(&self.store, work)?;
        let (cpu, wall) = (Clock::Process.now(), Clock::Wall.now());
        let compacted = self.store.compact(folder)?;
        let times = (Clock::Process.since(cpu), Clock::Wall.since(wall));
        let mut told = self.told;
        let Some(store) = compacted else { return Ok(told) };
        let live = float(work.live());
        told.push(Told::new("compact", times.0.as_secs_f64() * 1e9 / live, "ns/byte"));
        told.push(Told::new("compact_wall", times.1.as_secs_f64() * 1e9 / live, "ns/byte"));
        check(&store, work)?;
        let mut bench = Self { store, run: self.run, told };
        bench.file("file_after", (folder, work))?;
        let (time, closed) = Clock::Wall.time(|| bench.store.close());
        closed?;
        bench.told.push(Told::new("close", time.as_secs_f64() * 1e3, "ms"));
        Ok(bench.told)
    }
}

/// Whether the store holds what it should.
fn check<S: EntryStore>(store: &S, work: &Work) -> Result<()> {
    let numbers: Vec<u32> = work.numbers().collect();
    let mut expected = numbers.iter();
    let mut wrong = None;
    store.read(&numbers, |bytes| {
        let number = expected.next().copied().unwrap_or(0);
        if work.bytes(number) != bytes {
            wrong.get_or_insert(number);
        }
    })?;
    match wrong {
        None => Ok(()),
        Some(number) => Err(format!("{}: entry {number} is wrong", S::NAME).into()),
    }
}

/// Touches memory and gives it back: the host of a virtual machine has it ready then, which else
/// is paid by whoever runs first.
pub(crate) fn warm(scale: Scale) {
    std::hint::black_box(vec![1_u8; scale.count(1200 << 20)]);
}

pub(crate) fn nanos_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / float(count as u64)
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits of a count")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

pub(crate) fn at_share(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a list"
    )]
    let place = (values.len() as f64 * share) as usize;
    values.get(place.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
