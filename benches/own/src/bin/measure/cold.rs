//! First reads after the pages of the files were dropped: time by the wall, bytes from the device.
//!
//! The directory and the inodes stay in memory, and for reads also the pages that opening touches.
//! Single reads are advised `Random`, the scan `Sequential`. A virtual machine's host may still
//! have the bytes: the device bytes say what a real device would have to bring.

use bench_own::{Accelerator, Clock, Folder, KEY, Random, Result, Scale, Sorted, device_reads};
use pagestone_storage::{Advice, Bias, TrustedDir};

use crate::{Measurement, float};

const NAME: &str = "cold";
/// Records read one by one.
const READS: u64 = 2000;

pub(crate) fn measure(scale: Scale) -> Result<Vec<Measurement>> {
    let folder = Folder::new()?;
    let dir = folder.trusted();
    let count = scale.count(10_000_000);
    drop(Sorted::create(&dir, (NAME, count), Accelerator::Simd)?);
    let mut random = Random::new(9);
    let mut index = || random.below(count) as u64;

    let mut found = 0;
    drop_all(&folder)?;
    let open = timed(1, || open(&dir).map(drop))?;
    let gets = reopened((&folder, &dir), (Advice::Random, READS), |sorted| {
        for _ in 0..READS {
            found ^= sorted.records.get(index())?.value();
        }
        Ok(())
    })?;
    let keys: Vec<u64> = {
        let sorted = self::open(&dir)?;
        (0..READS).map(|_| Ok(sorted.records.get(index())?.key())).collect::<Result<_>>()?
    };
    let lookups = reopened((&folder, &dir), (Advice::Random, READS), |sorted| {
        for &key in &keys {
            let at = sorted.records.binary_search(KEY, key, Bias::Exact)?;
            found ^= sorted.records.get(at.ok_or("not found")?)?.value();
        }
        Ok(())
    })?;
    let scan = reopened((&folder, &dir), (Advice::Sequential, count as u64), |sorted| {
        for record in &sorted.records {
            found ^= record?.value();
        }
        Ok(())
    })?;
    std::hint::black_box(found);
    let named = [("open", open), ("get", gets), ("lookup", lookups), ("scan", scan)];
    let measurements = named.into_iter().flat_map(|(name, cost)| {
        [
            Measurement::new(format!("cold_{name}_time"), cost.micros, "us/operation"),
            Measurement::new(format!("cold_{name}_device"), cost.bytes, "bytes/operation"),
        ]
    });
    Ok(measurements.collect())
}

/// What one operation cost.
struct Cost {
    micros: f64,
    bytes: f64,
}

fn open(dir: &TrustedDir) -> Result<Sorted> {
    Sorted::open(dir, NAME, Accelerator::Simd)
}

fn drop_all(folder: &Folder) -> Result<()> {
    folder.drop_pages()
}

/// The cost of each of `count` operations.
fn timed(count: u64, work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let before = device_reads()?;
    let (time, done) = Clock::Wall.time(work);
    done?;
    let bytes = device_reads()? - before;
    let micros = time.as_secs_f64() * 1e6 / float(count);
    Ok(Cost { micros, bytes: float(bytes) / float(count) })
}

/// The cost of `work` on a storage that was opened after its pages were dropped.
fn reopened(
    (folder, dir): (&Folder, &TrustedDir),
    (advice, count): (Advice, u64),
    work: impl FnOnce(&Sorted) -> Result<()>,
) -> Result<Cost> {
    let sorted = open(dir)?;
    sorted.records.advise(advice)?;
    // What opening has touched is mapped and stays: the first and the last page.
    drop_all(folder)?;
    timed(count, || work(&sorted))
}
