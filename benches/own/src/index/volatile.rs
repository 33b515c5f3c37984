//! Maps in memory: hashbrown and `BTreeMap`; the sort of pairs and the scan of bare rows.

use std::{collections::BTreeMap, hint::black_box};

use hashbrown::HashMap;

use super::{InOrder, ROW_SIZE, TableRows, TableStore, each, word};
use crate::{Clock, Distribution, Folder, Result, Scale, entries::Told};

/// hashbrown with its own hash.
#[derive(Debug)]
pub struct Hash(HashMap<u64, [u8; ROW_SIZE]>);

impl TableStore for Hash {
    fn load(_: &Folder, rows: InOrder<'_>) -> Result<Self> {
        Ok(Self(rows.map(|(key, row)| (key, *row)).collect()))
    }

    fn follow(&self, first: u64, mut next: impl FnMut(&[u8]) -> Option<u64>) -> Result<()> {
        let mut key = Some(first);
        while let Some(wanted) = key {
            key = next(self.0.get(&wanted).ok_or("no such key")?);
        }
        Ok(())
    }

    fn scan(&self, _: impl FnMut(&[u8])) -> Result<bool> {
        Ok(false)
    }
}

/// `BTreeMap`, built from sorted rows.
#[derive(Debug)]
pub struct Tree(BTreeMap<u64, [u8; ROW_SIZE]>);

impl TableStore for Tree {
    fn load(_: &Folder, rows: InOrder<'_>) -> Result<Self> {
        Ok(Self(rows.map(|(key, row)| (key, *row)).collect()))
    }

    fn follow(&self, first: u64, mut next: impl FnMut(&[u8]) -> Option<u64>) -> Result<()> {
        let mut key = Some(first);
        while let Some(wanted) = key {
            key = next(self.0.get(&wanted).ok_or("no such key")?);
        }
        Ok(())
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        self.0.values().for_each(|row| each(row));
        Ok(true)
    }
}

/// A scan of the bare rows in memory.
///
/// # Errors
///
/// None.
pub fn raw(scale: Scale) -> Result<Vec<Told>> {
    let rows = TableRows::new(scale).rows;
    let (scan, sum) =
        Clock::Thread.time(|| rows.iter().fold(0u64, |sum, row| sum.wrapping_add(word(row, 3))));
    black_box(sum);
    Ok(vec![Told::new("scan", each(scan, rows.len()), "ns/row")])
}

/// `sort_unstable` of random keys and their positions, in memory, one thread.
///
/// # Errors
///
/// None.
pub fn sorted_pairs_of_positions(scale: Scale) -> Result<Vec<Told>> {
    let keys = Distribution::Random.keys(scale.count(10_000_000));
    let mut pairs: Vec<(u64, u32)> = keys.into_iter().zip(0..).collect();
    let (sort, ()) = Clock::Thread.time(|| pairs.sort_unstable());
    black_box(&pairs);
    Ok(vec![Told::new("sort", each(sort, pairs.len()), "ns/row")])
}
