//! Random gets and scans of a mapped storage, beside the same loops over its raw slice.

use std::hint::black_box;

use bench_own::{Folder, Random, Result, Scale, Words, must};
use criterion::{Criterion, Throughput};
use pagestone_storage::{Backing, Mutability, Options, Records, Storage};

use crate::{Clock, group};

/// Bytes of the storage.
const BYTES: usize = 1 << 30;
/// Gets per iteration.
const GETS: usize = 4096;

pub(crate) fn register(criterion: &mut Criterion<Clock>, scale: Scale) {
    gets(criterion, scale);
    scans::<8>(criterion, "scan64", scale);
    scans::<2>(criterion, "scan16", scale);
}

/// A storage that nobody writes, all of it in memory.
struct Mapped<const W: usize> {
    records: Records<Words<W>>,
    _folder: Folder,
}

impl<const W: usize> Mapped<W> {
    fn new(scale: Scale) -> Result<Self> {
        let folder = Folder::new()?;
        let options = Options::new().backing(Backing::Map).mutability(Mutability::AppendOnly);
        let mut storage: Storage<Words<W>> = options.create(folder.trusted().file("read"))?;
        let count = scale.count(BYTES / size_of::<Words<W>>()) as u64;
        let mut random = Random::new(1);
        let batch: Vec<_> = (0..1 << 10).map(|_| Words::new(random.next(), 0)).collect();
        while storage.len() < count {
            storage.append(&batch)?;
        }
        drop(storage);
        let records: Records<Words<W>> = options.open_read_only(folder.trusted().file("read"))?;
        records.populate()?;
        assert!(records.as_slice().is_some(), "the slice cannot be borrowed");
        Ok(Self { records, _folder: folder })
    }

    fn slice(&self) -> &[Words<W>] {
        self.records.as_slice().unwrap_or_default()
    }
}

fn gets(criterion: &mut Criterion<Clock>, scale: Scale) {
    let mut group = criterion.benchmark_group("get");
    group.throughput(Throughput::Elements(GETS as u64));
    let mut fixture = None;
    let mut prepared = || {
        let mapped = must(Mapped::<8>::new(scale));
        let mut random = Random::new(2);
        let count = mapped.slice().len();
        let indexes: Vec<u64> = (0..1024 * GETS).map(|_| random.below(count) as u64).collect();
        (mapped, indexes, 0)
    };
    group.bench_function("ours", |bencher| {
        let (mapped, indexes, at) = fixture.get_or_insert_with(&mut prepared);
        bencher.iter(|| ours(&mapped.records, next(indexes, at)));
    });
    group.bench_function("slice", |bencher| {
        let (mapped, indexes, at) = fixture.get_or_insert_with(&mut prepared);
        let slice = mapped.slice();
        let indexes_first = &indexes[..GETS];
        assert_eq!(raw(slice, indexes_first), ours(&mapped.records, indexes_first));
        bencher.iter(|| raw(black_box(slice), next(indexes, at)));
    });
}

/// The next indexes, over and over.
fn next<'a>(indexes: &'a [u64], at: &mut usize) -> &'a [u64] {
    *at = (*at + GETS) % indexes.len();
    &indexes[*at..*at + GETS]
}

fn ours(records: &Records<Words<8>>, indexes: &[u64]) -> u64 {
    let value = |&index: &u64| records.get(index).map_or(0, |record| record.key());
    indexes.iter().map(value).fold(0, u64::wrapping_add)
}

#[expect(clippy::cast_possible_truncation, reason = "indexes of a slice")]
fn raw(slice: &[Words<8>], indexes: &[u64]) -> u64 {
    indexes.iter().map(|&index| slice[index as usize].key()).fold(0, u64::wrapping_add)
}

fn scans<const W: usize>(criterion: &mut Criterion<Clock>, name: &str, scale: Scale) {
    let bytes = scale.count(BYTES / size_of::<Words<W>>()).next_multiple_of(1 << 10) * W * 8;
    let mut group = group(criterion, name);
    group.throughput(Throughput::Bytes(bytes as u64));
    let mut fixture = None;
    group.bench_function("ours", |bencher| {
        let mapped = fixture.get_or_insert_with(|| must(Mapped::<W>::new(scale)));
        assert_eq!(size_of_val(mapped.slice()), bytes);
        bencher.iter(|| {
            let records = black_box(&mapped.records).iter();
            records.map(|record| record.map_or(0, |record| sum(&record))).fold(0, u64::wrapping_add)
        });
    });
    group.bench_function("slice", |bencher| {
        let mapped = fixture.get_or_insert_with(|| must(Mapped::<W>::new(scale)));
        bencher.iter(|| black_box(mapped.slice()).iter().map(sum).fold(0, u64::wrapping_add));
    });
}

/// Looks at every byte of a record.
#[inline]
fn sum<const W: usize>(record: &Words<W>) -> u64 {
    record.0.iter().copied().fold(0, u64::wrapping_add)
}
