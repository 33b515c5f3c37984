//! Appends of 64-byte records in batches to a new file, beside `write` of as many bytes.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    time::Duration,
};

use bench_own::{Folder, Result, Scale, Words, must};
use criterion::{Criterion, Throughput};
use pagestone_storage::{Backing, Options, Storage};

use crate::{Clock, group};

/// Bytes of a file.
const BYTES: usize = 256 << 20;
/// Bytes of a batch.
const BATCH: usize = 64 << 10;

pub(crate) fn register(criterion: &mut Criterion<Clock>, scale: Scale) {
    let batches = scale.count(BYTES / BATCH);
    let mut group = group(criterion, "append");
    group.throughput(Throughput::Bytes((batches * BATCH) as u64));
    for (name, backing) in [("map", Backing::Map), ("file", Backing::File)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                total(iterations, |path| storage(path, backing, batches))
            });
        });
    }
    group.bench_function("write", |bencher| {
        bencher.iter_custom(|iterations| total(iterations, |path| plain(path, batches)));
    });
}

/// The time of all iterations, each with a file that was not there before.
fn total(iterations: u64, mut one: impl FnMut(&Path) -> Result<Duration>) -> Duration {
    let folder = must(Folder::new());
    let path = folder.path("appended");
    let mut total = Duration::ZERO;
    for _ in 0..iterations {
        total += must(one(&path));
        // Before its pages reach the device.
        must(fs::remove_file(&path));
    }
    total
}

/// From the first append to the last; the file is there already.
fn storage(path: &Path, backing: Backing, batches: usize) -> Result<Duration> {
    let records = vec![Words::<8>::new(1, 2); BATCH / 64];
    let mut storage: Storage<Words<8>> = Options::new().backing(backing).create(path)?;
    let (time, appended) =
        Clock::Thread.time(|| (0..batches).try_for_each(|_| storage.append(&records).map(drop)));
    appended?;
    assert_eq!(storage.len(), (batches * records.len()) as u64);
    Ok(time)
}

fn plain(path: &Path, batches: usize) -> Result<Duration> {
    let bytes = vec![1; BATCH];
    let mut file = File::create_new(path)?;
    let (time, written) =
        Clock::Thread.time(|| (0..batches).try_for_each(|_| file.write_all(&bytes)));
    written?;
    Ok(time)
}
