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
