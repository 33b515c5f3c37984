//! Typed pools.
#![expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "made-up values")]

use bytemuck::{Pod, Zeroable};
use pagestone_slab::{ErrorKind, Growth, ObjectId, PlainId, Pool, PoolId};

#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Point {
    x: f64,
    y: f64,
    name: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C, align(64))]
struct Wide([[u64; 8]; 5]);

fn check<T: Pod + PartialEq + std::fmt::Debug, I: PoolId>(make: impl Fn(usize) -> T) {
    let mut pool = Pool::<T, I>::with_growth(Growth::default().first_slots(3)).unwrap();
    let ids: Vec<I> = (0..500).map(|at| pool.add(&make(at)).unwrap()).collect();
    for at in (0..500).step_by(2) {
        assert_eq!(pool.take(ids[at]).unwrap(), make(at));
    }
    for (at, &id) in ids.iter().enumerate() {
        if at % 2 == 0 {
            assert_eq!(pool.get(id).unwrap_err().kind(), ErrorKind::StaleId);
            assert_eq!(pool.remove(id).unwrap_err().kind(), ErrorKind::StaleId);
            assert!(pool.replace(id, &make(1)).is_err() && !pool.contains(id));
        } else {
            assert_eq!(pool.get(id).unwrap(), &make(at));
            pool.replace(id, &make(at + 1)).unwrap();
            assert_eq!(pool.get(id).unwrap(), &make(at + 1));
        }
    }
    assert_eq!((pool.len(), pool.iter().count()), (250, 250));
    assert!(pool.iter().all(|(id, value)| pool.get(id).unwrap() == value));
    pool.clear();
    assert!(pool.is_empty() && !pool.contains(ids[1]));
    assert_eq!(pool.stats().live, 0);
}

#[test]
fn values_are_kept() {
    check::<u8, PlainId>(|at| at as u8);
    check::<[u8; 3], ObjectId>(|at| [at as u8, 1, (at / 7) as u8]);
    check::<Point, PlainId>(|at| Point { x: at as f64, y: 0.5, name: 7 });
    check::<Point, ObjectId>(|at| Point { x: at as f64, y: 0.5, name: 7 });
    check::<Wide, PlainId>(|at| Wide([[at as u64; 8]; 5]));
    check::<Wide, ObjectId>(|at| Wide([[at as u64; 8]; 5]));
}

#[test]
fn a_used_slot_has_the_same_plain_id_and_another_checked_one() {
    let mut plain = Pool::<u64>::new().unwrap();
    let id = plain.add(&1).unwrap();
    plain.remove(id).unwrap();
    assert_eq!(plain.add(&2).unwrap(), id);
    assert_eq!(size_of::<Option<PlainId>>(), 4);
    assert_eq!(PlainId::from_bits(id.to_bits()), Some(id));
    let mut checked = Pool::<u64, ObjectId>::new().unwrap();
    let id = checked.add(&1).unwrap();
    checked.remove(id).unwrap();
    assert!(checked.add(&2).unwrap() != id && !checked.contains(id));
}

#[test]
fn forged_plain_ids_are_refused() {
    let mut pool = Pool::<u32>::new().unwrap();
    pool.add(&5).unwrap();
    for bits in [2, 40, 1 << 17, u32::MAX] {
        assert!(pool.get(PlainId::from_bits(bits).unwrap()).is_err(), "{bits}");
    }
    assert_eq!(PlainId::from_bits(0), None);
}

#[test]
fn types_that_cannot_work_are_refused() {
    assert_eq!(Pool::<()>::new().unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(Pool::<[[u64; 128]; 128]>::new().unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(Pool::<u8>::with_growth(Growth::default().factor(f64::NAN)).is_err());
}

#[cfg(feature = "rayon")]
#[test]
fn threads_see_every_value_once() {
    use rayon::iter::ParallelIterator as _;

    let mut pool = Pool::<u64>::new().unwrap();
    let ids: Vec<PlainId> = (0..100_000).map(|at| pool.add(&at).unwrap()).collect();
    ids.iter().step_by(3).for_each(|&id| pool.remove(id).unwrap());
    let sum: u64 = pool.par_iter().map(|(_, value)| *value).sum();
    assert_eq!(sum, (0..100_000u64).filter(|at| at % 3 != 0).sum());
    assert_eq!(pool.par_iter().count() as u64, pool.len());
}

/// Slabs of 64 slots: they come, go and come again, and the lowest vacant slot is taken first.
#[test]
fn slabs_of_plain_values_come_and_go() {
    let growth = Growth::default().slab_len_max(64 * 8).keep_vacant(0.25);
    let mut pool = Pool::<u64>::with_growth(growth).unwrap();
    let mut expected = std::collections::BTreeMap::new();
    let mut state = 7u64;
    for round in 0..60_000u64 {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(round) ^ state >> 31;
        // Swings from a few to some thousand and back.
        let grows = (round / 5_000).is_multiple_of(2);
        if (state >> 40) % 8 < if grows { 6 } else { 2 } {
            let id = pool.add(&round).unwrap().to_bits();
            assert_eq!(expected.insert(id, round), None, "a slot that is taken");
        } else if let Some((&id, &value)) = expected.range((state >> 50) as u32..).next() {
            assert_eq!(pool.take(PlainId::from_bits(id).unwrap()).unwrap(), value);
            expected.remove(&id);
        }
        if round % 10_007 == 0 {
            pool.release_empty();
        }
        if round % 1_009 == 0 {
            let found: Vec<_> = pool.iter().map(|(id, &value)| (id.to_bits(), value)).collect();
            assert!(found.iter().copied().eq(expected.iter().map(|(&id, &value)| (id, value))));
            let counts = pool.pool_stats();
            assert_eq!((counts.live, counts.payload), (pool.len(), 8 * pool.len()));
            assert!(counts.payload <= counts.mapped && counts.live <= 64 * counts.slabs);
        }
    }
    assert_eq!(pool.len(), expected.len() as u64);
    for (&id, &value) in &expected {
        assert_eq!(pool.take(PlainId::from_bits(id).unwrap()).unwrap(), value);
    }
    pool.release_empty();
    assert_eq!((pool.pool_stats().slabs, pool.iter().count()), (0, 0));
    assert_eq!(pool.add(&1).unwrap().to_bits(), 1, "the lowest again");
}

#[test]
fn the_lowest_vacant_slot_of_a_pool_is_taken_first() {
    let growth = Growth::default().slab_len_max(1);
    let mut pool = Pool::<[u8; 5]>::with_growth(growth).unwrap();
    let ids: Vec<PlainId> = (0..10_000u32).map(|_| pool.add(b"12345").unwrap()).collect();
    assert!(ids.iter().zip(1..).all(|(id, bits)| id.to_bits() == bits));
    let gaps = [9_999, 64, 4_097, 63, 5, 0, 128];
    for gap in gaps {
        pool.remove(ids[gap]).unwrap();
    }
    for gap in [0, 5, 63, 64, 128, 4_097, 9_999] {
        assert_eq!(pool.add(b"54321").unwrap(), ids[gap]);
    }
    assert_eq!(pool.add(b"54321").unwrap().to_bits(), 10_001);
}
