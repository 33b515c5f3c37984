//! Load, lookups one by one, scan.

use std::hint::black_box;

use super::{TableRows, TableStore, each, share, word};
use crate::{Clock, Folder, Result, Scale, entries::Told};

/// Lookups at the full scale.
const LOOKUPS: usize = 4 << 20;

/// What a store of rows costs: CPU time of the process for the load, with the sort by key, of the
/// thread for lookups and scans.
///
/// # Errors
///
/// Those of the store; another row than was loaded.
pub fn table<S: TableStore>(scale: Scale) -> Result<Vec<Told>> {
    let (folder, rows) = (Folder::new()?, TableRows::new(scale));
    let count = rows.rows.len();
    let (load, store) = Clock::Process.time(|| S::load(&folder, rows.in_order()));
    let store = store?;
    let mut told = vec![Told::new("load", each(load, count), "ns/row")];
    let len = folder.files_taken()?[1];
    if 0 < len {
        told.push(Told::new("file", share(len, count), "bytes/row"));
    }
    told.extend(lookups(&store, &rows, scale)?);
    let mut sum = 0u64;
    let (scan, has_order) =
        Clock::Thread.time(|| store.scan(|row| sum = sum.wrapping_add(word(row, 3))));
    if has_order? {
        told.push(Told::new("scan", each(scan, count), "ns/row"));
    }
    black_box(sum);
    Ok(told)
}

/// Lookups that do not need each other, and lookups of which each needs the row before.
pub(super) fn lookups<S: TableStore>(
    store: &S,
    rows: &TableRows,
    scale: Scale,
) -> Result<Vec<Told>> {
    let count = scale.count(LOOKUPS).min(rows.chain.len() - 1);
    let first = rows.chain[0];
    let (mut sum, mut at) = (0u64, 0);
    let (stream, followed) = Clock::Thread.time(|| {
        store.follow(first, |row| {
            sum = sum.wrapping_add(word(row, 3));
            at += 1;
            (at < count).then(|| rows.chain[at])
        })
    });
    followed?;
    let (mut left, mut last) = (count, 0);
    let (dependent, followed) = Clock::Thread.time(|| {
        store.follow(first, |row| {
            last = word(row, 2);
            left -= 1;
            (0 < left).then_some(last)
        })
    });
    followed?;
    if last != rows.chain[count] {
        return Err("another row than was loaded".into());
    }
    black_box(sum);
    Ok(vec![
        Told::new("stream", each(stream, count), "ns/lookup"),
        Told::new("dependent", each(dependent, count), "ns/lookup"),
    ])
}
