//! The object store: ids, lengths, search, settings, counts.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "bytes of made-up objects, and shares"
)]

use pagestone_slab::{ErrorKind, Growth, ObjectId, ObjectStore, Stats};

fn object(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (seed.wrapping_mul(0x9e37_79b1) >> (at % 4 * 8)) as u8 ^ at as u8).collect()
}

/// Counts everything again from the objects themselves.
#[track_caller]
pub(crate) fn recount(store: &ObjectStore) -> Stats {
    let stats = store.stats();
    let (live, payload) =
        store.iter().fold((0, 0), |(live, len), (_, object)| (live + 1, len + object.len() as u64));
    assert_eq!((stats.live, stats.payload, store.len()), (live, payload, live));
    let mut sums = (0, 0, 0, 0);
    for pool in &stats.pools {
        let len =
            if pool.slot_size == 0 { 100_000 } else { usize::try_from(pool.slot_size).unwrap() };
        assert_eq!(store.pool_stats(len), Some(*pool));
        let objects: Vec<_> = store.iter_pool(len).collect();
        assert_eq!(pool.live, objects.len() as u64);
        let payload: usize = objects.iter().map(|(_, object)| object.len()).sum();
        assert_eq!(pool.payload, payload as u64);
        // Slots behind the last that was ever taken may have no page.
        let taken = pool.live * pool.slot_size;
        assert!(pool.payload <= pool.mapped && taken <= pool.mapped, "{pool:?}");
        if pool.slot_size != 0 {
            let share = 1.0 - payload as f64 / pool.slots_len() as f64;
            assert!((pool.fragmentation() - share).abs() < 1e-9);
        }
        let (a, b, c, d) = sums;
        sums = (a + pool.live, b + pool.vacant, c + pool.mapped, d + pool.payload);
    }
    let mapped = stats.mapped - stats.spare - stats.directory_len - stats.index_len;
    assert_eq!(sums, (stats.live, stats.vacant, mapped, stats.payload));
    assert_eq!(stats.overhead(), stats.mapped - stats.payload);
    stats
}

#[test]
fn every_length_reads_back() {
    let mut store = ObjectStore::new().unwrap();
    let lens = (1..=600).chain([1 << 10, 4095, 4096, 65_535, 65_536, 65_537, 200_000]);
    let lens: Vec<usize> = lens.collect();
    let mut ids = Vec::new();
    for round in 0..3 {
        for &len in &lens {
            ids.push((store.add(&object(round + len, len)).unwrap(), round + len, len));
        }
    }
    for &(id, seed, len) in &ids {
        assert_eq!(store.get(id).unwrap(), object(seed, len), "{len}");
    }
    recount(&store);
    for (id, seed, len) in ids {
        let other = object(seed + 1, len);
        assert_eq!(store.replace(id, &other).unwrap(), id);
        assert_eq!(store.get(id).unwrap(), other);
        assert_eq!(
            store.replace(id, &object(0, len + 1)).unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
        store.remove(id).unwrap();
    }
    assert!(store.is_empty());
    recount(&store);
    store.release_empty();
    assert_eq!(recount(&store).pools, []);
}

#[test]
fn ids_that_name_nothing_are_refused() {
    let mut store = ObjectStore::new().unwrap();
    let id = store.add(b"first").unwrap();
    store.add(b"other").unwrap();
    let other = ObjectStore::new().map(|mut other| other.add(b"third").unwrap()).unwrap();
    let bits = id.to_bits();
    let forged =
        [bits + (1 << 8) * 2, bits + 1, bits + (1 << 32), bits | 0xff_ffff << 8, other.to_bits()];
    for bits in forged {
        let id = ObjectId::from_bits(bits).unwrap();
        assert_eq!(store.get(id).unwrap_err().kind(), ErrorKind::StaleId, "{id:?}");
        assert_eq!(store.remove(id).unwrap_err().kind(), ErrorKind::StaleId);
        assert_eq!(store.replace(id, b"x").unwrap_err().kind(), ErrorKind::StaleId);
        assert!(!store.contains(id));
    }
    let gone = store.add(b"third").unwrap();
    store.remove(gone).unwrap();
    // What stands in the slot while it is vacant is no generation.
    let vacant = ObjectId::from_bits(gone.to_bits() + 1).unwrap();
    assert!(store.get(vacant).is_err() && store.remove(vacant).is_err());
    assert!(!store.contains(vacant));
    assert_eq!(ObjectId::from_bits(0), None);
    assert_eq!(size_of::<Option<ObjectId>>(), 8);
    assert_eq!(store.len(), 2, "nothing happened");
}

/// The slot is used again 255 times, then it rests; its ids stay stale all the while.
#[test]
fn a_stale_id_is_refused_for_ever() {
    let mut store =
        ObjectStore::options().growth(Growth::default().first_slots(1).factor(1.0)).make().unwrap();
    let keep = store.add(b"keep").unwrap();
    let mut stale = Vec::new();
    for round in 0..2000u32 {
        let id = store.add(&round.to_le_bytes()).unwrap();
        for old in &stale {
            assert!(!store.contains(*old), "{old:?} in round {round}");
        }
        assert_eq!(store.get(id).unwrap(), round.to_le_bytes());
        store.remove(id).unwrap();
        stale.push(id);
    }
    assert_eq!(store.get(keep).unwrap(), b"keep");
    store.clear();
    assert!(!store.contains(keep));
    assert!(store.add(b"next").unwrap() != keep && !store.contains(keep));
}

#[test]
fn without_generations_a_slot_keeps_its_id() {
    let mut store = ObjectStore::options().without_generations().make().unwrap();
    let id = store.add(b"one").unwrap();
    store.remove(id).unwrap();
    assert!(store.get(id).is_err(), "vacant");
    assert_eq!(store.add(b"two").unwrap(), id);
    assert_eq!(store.get(id).unwrap(), b"two");
}

#[track_caller]
fn refused(growth: Growth) {
    let error = ObjectStore::options().growth(growth).make().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let growth = Growth::default();
    refused(growth.first_slots(0));
    refused(growth.first_slots(u32::MAX));
    for factor in [0.0, -1.0, 0.5, 1e9, f64::NAN, f64::INFINITY] {
        refused(growth.factor(factor));
    }
    refused(growth.slab_len_max(0));
    for share in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(growth.keep_vacant(share));
    }
    assert!(ObjectStore::new().unwrap().add(b"").is_err());
}

#[test]
fn slabs_grow_as_they_are_told() {
    let growth = Growth::default().first_slots(10).factor(1.5).slab_len_max(400);
    let mut store = ObjectStore::options().growth(growth).make().unwrap();
    let mut slots = Vec::new();
    for at in 0..200usize {
        store.add(&object(at, 8)).unwrap();
        let pool = store.pool_stats(8).unwrap();
        if slots.len() < usize::try_from(pool.slabs).unwrap() {
            slots.push(pool.live + pool.vacant - slots.iter().sum::<u64>());
        }
    }
    assert_eq!(slots, [10, 15, 22, 33, 50, 50, 50]);
}

#[test]
fn an_empty_slab_goes_when_enough_is_vacant_beside_it() {
    let growth = Growth::default().first_slots(8).factor(1.0);
    let mut store = ObjectStore::options().growth(growth).make().unwrap();
    let ids: Vec<ObjectId> = (0..24).map(|at| store.add(&object(at, 5)).unwrap()).collect();
    let slabs = |store: &ObjectStore| store.pool_stats(5).unwrap().slabs;
    ids[16..].iter().for_each(|&id| store.remove(id).unwrap());
    assert_eq!(slabs(&store), 3, "nothing else is vacant");
    for round in 0..20usize {
        let id = store.add(&object(round, 5)).unwrap();
        store.remove(id).unwrap();
        assert_eq!(slabs(&store), 3, "neither made nor given back");
    }
    ids[8..16].iter().for_each(|&id| store.remove(id).unwrap());
    assert_eq!(slabs(&store), 2);
    ids[..8].iter().for_each(|&id| store.remove(id).unwrap());
    assert_eq!((slabs(&store), store.release_empty()), (1, 1));
    recount(&store);
}

#[test]
fn many_are_added_or_none() {
    let mut store = ObjectStore::new().unwrap();
    let ids = store.add_many(&[&b"a"[..], b"bc", b"a"]).unwrap();
    assert_eq!(
        ids.iter().map(|&id| store.get(id).unwrap()).collect::<Vec<_>>(),
        [&b"a"[..], b"bc", b"a"]
    );
    assert!(store.add_many(&[&b"x"[..], b""]).is_err());
    assert_eq!(store.len(), 3);
    recount(&store);
}

/// Objects with a tail, at the ends of words, slots and slabs; equal ones; vacant slots that still
/// hold their bytes.
fn check_search(mut store: ObjectStore) {
    for len in (1..=20).chain([63, 64, 65, 257, 300, 70_000]) {
        let count = if len < 1000 { 200 } else { 3 };
        let ids: Vec<ObjectId> =
            (0..count).map(|at| store.add(&object(at, len)).unwrap()).collect();
        for at in (0..count).step_by(3) {
            store.remove(ids[at]).unwrap();
        }
        let values: Vec<Vec<u8>> = (0..count + 2).rev().map(|at| object(at, len)).collect();
        let found = store.search_many(&values);
        for (value, found) in values.iter().zip(found) {
            let expected = (0..count).any(|at| at % 3 != 0 && object(at, len) == *value);
            assert_eq!(found.is_some(), expected, "{len}");
            assert_eq!(store.search(value).is_some(), expected, "{len}");
            for id in [found, store.search(value)].into_iter().flatten() {
                assert_eq!(store.get(id).unwrap(), value);
            }
        }
    }
    assert_eq!(store.search(b""), None);
    assert_eq!(store.search(b"never there"), None);
    recount(&store);
}

#[test]
fn values_are_found() {
    check_search(ObjectStore::new().unwrap());
    check_search(ObjectStore::options().with_value_index().make().unwrap());
    check_search(ObjectStore::options().with_value_index().without_generations().make().unwrap());
}

#[test]
fn equal_objects_are_found_until_the_last_goes() {
    let mut store = ObjectStore::options().with_value_index().make().unwrap();
    for order in [0, 7, 13] {
        let mut ids: Vec<ObjectId> = (0..300).map(|_| store.add(b"same").unwrap()).collect();
        while !ids.is_empty() {
            let found = store.search(b"same").unwrap();
            assert!(ids.contains(&found));
            store.remove(ids.swap_remove(order % ids.len())).unwrap();
            if ids.len().is_multiple_of(5) {
                let id = store.add(b"brief").unwrap();
                store.remove(id).unwrap();
            }
        }
        assert_eq!(store.search(b"same"), None);
    }
    let index = store.stats().index_len;
    for _ in 0..100_000 {
        let id = store.add(b"same").unwrap();
        let twin = store.add(b"same").unwrap();
        store.remove(id).unwrap();
        store.remove(twin).unwrap();
    }
    assert!(store.stats().index_len <= index + 1024, "copies that went are forgotten");
}

/// Beside the payload: without generations, with them, and of the index.
#[test]
fn overhead_is_small() {
    let fill = |mut store: ObjectStore, count: u64| {
        for at in 0..count {
            store.add(&u128::from(at).to_le_bytes()).unwrap();
        }
        let stats = store.stats();
        let own = stats.mapped - stats.index_len - stats.payload;
        (own as f64 / count as f64, stats.index_len as f64 / count as f64)
    };
    let options = ObjectStore::options();
    let plain = fill(options.without_generations().make().unwrap(), 5_000_000);
    assert!(plain.0 <= 0.5, "{plain:?}");
    let checked = fill(options.make().unwrap(), 5_000_000);
    assert!(checked.0 <= 1.5, "{checked:?}");
    for count in [100_000, 150_000, 500_000] {
        let indexed = fill(options.with_value_index().make().unwrap(), count);
        assert!(indexed.1 <= 6.0, "{indexed:?}");
    }
}
