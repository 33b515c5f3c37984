//! Which rows belong to a key: our relation, and a map of lists.

use std::{collections::HashMap, hint::black_box};

use pagestone_index::TableOptions;

use super::{each, pairs, share};
use crate::{Clock, Folder, Random, Result, Scale, entries::Told};

/// Keys whose values are summed, at the full scale.
const KEYS: usize = 1 << 20;

/// Our relation: the build of both directions, the bytes of one and of both, the values of keys.
///
/// # Errors
///
/// Those of the relation.
pub fn of_ours(scale: Scale) -> Result<Vec<Told>> {
    let (folder, pairs) = (Folder::new()?, pairs(scale));
    let kinds = (pairs.len() / 10) as u64;
    let directory = folder.trusted_at("relation");
    let row_count = pairs.len() as u64;
    let (build, relation) = Clock::Process.time(|| -> pagestone_index::Result<_> {
        let mut builder =
            TableOptions::new().create_relation(&directory, (kinds.max(1), row_count))?;
        builder.extend(pairs.iter().copied())?;
        builder.seal()
    });
    let relation = relation?;
    let mut forward = 0;
    for entry in std::fs::read_dir(folder.path("relation"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("forward") {
            forward += entry.metadata()?.len();
        }
    }
    let keys = keys(&pairs, scale);
    let mut sum = 0u64;
    let look = || -> Result<()> {
        for &key in &keys {
            for value in relation.values(key)? {
                sum = sum.wrapping_add(value?);
            }
        }
        Ok(())
    };
    let (values, looked) = Clock::Thread.time(look);
    looked?;
    let mut slices = 0u64;
    let look = || -> Result<()> {
        for &key in &keys {
            let values = relation.values(key)?;
            let values = values.as_slice().ok_or("no slice")?;
            slices = values.iter().fold(slices, |sum, value| sum.wrapping_add(value.get().into()));
        }
        Ok(())
    };
    let (slice, looked) = Clock::Thread.time(look);
    looked?;
    if sum != slices {
        return Err("two answers".into());
    }
    Ok(vec![
        Told::new("build", each(build, pairs.len()), "ns/pair"),
        Told::new("memory", share(forward, pairs.len()), "bytes/pair"),
        Told::new("both", share(folder.files_taken()?[1], pairs.len()), "bytes/pair"),
        Told::new("values", each(values, keys.len()), "ns/key"),
        Told::new("slice", each(slice, keys.len()), "ns/key"),
    ])
}

/// `HashMap<u64, Vec<u64>>`: bytes are those of its table and of its lists with 8 bytes each for
/// the allocator.
///
/// # Errors
///
/// None.
pub fn of_map(scale: Scale) -> Result<Vec<Told>> {
    let pairs = pairs(scale);
    let (build, map) = Clock::Process.time(|| {
        let mut map: HashMap<u64, Vec<u64>> = HashMap::new();
        for &(key, value) in &pairs {
            map.entry(key).or_default().push(value);
        }
        map
    });
    let lists: usize =
        map.values().map(|list| (list.capacity() * 8 + 8).next_multiple_of(16)).sum();
    // A table of a power of two, an eighth free, an entry of 32 bytes and a byte of control each.
    let table = (map.capacity() / 7 * 8).next_power_of_two() * 33;
    let keys = keys(&pairs, scale);
    let (values, sum) = Clock::Thread.time(|| {
        keys.iter().fold(0u64, |sum, key| {
            let list = map.get(key).map_or(&[][..], Vec::as_slice);
            list.iter().fold(sum, |sum, value| sum.wrapping_add(*value))
        })
    });
    black_box(sum);
    Ok(vec![
        Told::new("build", each(build, pairs.len()), "ns/pair"),
        Told::new("memory", share((lists + table) as u64, pairs.len()), "bytes/pair"),
        Told::new("values", each(values, keys.len()), "ns/key"),
    ])
}

/// Keys that have values, each as likely as any other.
fn keys(pairs: &[(u64, u64)], scale: Scale) -> Vec<u64> {
    let mut kinds: Vec<u64> = pairs.iter().map(|pair| pair.0).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut random = Random::new(5);
    (0..scale.count(KEYS)).map(|_| kinds[random.below(kinds.len())]).collect()
}
