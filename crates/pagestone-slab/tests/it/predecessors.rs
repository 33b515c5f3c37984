//! Defects of the object store and of the interner that people used before; `docs/defects-slab.md`
//! lists them.

use pagestone_slab::{ErrorKind, Growth, Interner, ObjectId, ObjectStore};

use crate::objects::recount;

/// O1, O2: the tail of a reused slot was mixed with what had been there.
#[test]
fn a_used_slot_holds_the_new_object_alone() {
    for len in 1..=24 {
        let mut store = ObjectStore::new().unwrap();
        let ids: Vec<ObjectId> = (0..33).map(|_| store.add(&vec![b'a'; len]).unwrap()).collect();
        let id = ids[32];
        store.remove(ids[7]).unwrap();
        let again = store.add(&vec![b'0'; len]).unwrap();
        assert_eq!(store.get(again).unwrap(), vec![b'0'; len]);
        assert_eq!(store.search(&vec![b'0'; len]), Some(again));
        for &other in ids.iter().filter(|&&other| other != ids[7]) {
            assert_eq!(store.get(other).unwrap(), vec![b'a'; len], "{len} beside");
        }
        store.remove(id).unwrap();
        let last = store.add(&vec![b'z'; len]).unwrap();
        assert_eq!(store.get(last).unwrap(), vec![b'z'; len], "the last slot of a slab");
    }
}

/// O4: reads after a remove, double removes, and stale removes worked.
#[test]
fn removed_is_removed() {
    let mut store = ObjectStore::new().unwrap();
    let id = store.add(b"object").unwrap();
    store.remove(id).unwrap();
    assert_eq!(store.remove(id).unwrap_err().kind(), ErrorKind::StaleId);
    let stranger = store.add(b"strang").unwrap();
    assert_eq!(store.remove(id).unwrap_err().kind(), ErrorKind::StaleId);
    assert_eq!(store.get(stranger).unwrap(), b"strang");
}

/// O5, O6: memory was that of the first slab times their count, fragmentation the share in use.
#[test]
fn counts_are_those_of_all_slabs() {
    let mut store = ObjectStore::new().unwrap();
    let ids: Vec<ObjectId> =
        (0..100_000u64).map(|at| store.add(&at.to_le_bytes()).unwrap()).collect();
    let full = recount(&store);
    assert!((800_000..1_400_000).contains(&full.mapped), "{full:?}");
    for id in ids.iter().step_by(2) {
        store.remove(*id).unwrap();
    }
    let half = recount(&store);
    assert_eq!((half.live, half.payload), (50_000, 400_000));
    assert!(full.fragmentation() < 0.4 && 0.5 <= half.fragmentation());
}

/// O7: a value was searched for in the pool of its length modulo 256.
#[test]
fn a_long_value_matches_no_short_object() {
    let mut store = ObjectStore::new().unwrap();
    store.add(&[7; 4]).unwrap();
    assert_eq!(store.search(&[7; 260]), None);
    let long = store.add(&[7; 260]).unwrap();
    assert_eq!(store.search(&[7; 260]), Some(long));
    assert_eq!(store.search_many(&[&[7; 260][..], &[7; 5]]), [Some(long), None]);
}

/// O9: a slab as large as a quarter of all.
#[test]
fn slabs_have_an_upper_bound() {
    let mut store = ObjectStore::new().unwrap();
    for at in 0..600_000u64 {
        store.add(&[at, at].map(u64::to_le_bytes).concat()).unwrap();
    }
    let pool = store.pool_stats(16).unwrap();
    assert!(pool.vacant * 16 <= 2 << 20, "{pool:?}");
}

/// O11: a slab for each of 255 lengths took pages for each.
#[test]
fn many_lengths_take_little_memory() {
    let mut store = ObjectStore::options().growth(Growth::default().first_slots(4)).make().unwrap();
    for len in 1..=255 {
        store.add(&vec![1; len]).unwrap();
    }
    let stats = recount(&store);
    assert!(stats.mapped - stats.spare < 255 * 1024, "{stats:?}");
}

/// The interner: two releases at a count of 2 left a string for ever.
#[test]
fn the_last_release_forgets() {
    let mut interner = Interner::<str>::counted().unwrap();
    let symbol = interner.intern("tag").unwrap();
    interner.intern("tag").unwrap();
    let symbols = [symbol, symbol];
    assert_eq!(interner.release_many(symbols).unwrap(), 1);
    assert_eq!(symbols, [symbol; 2], "the caller's symbols are left alone");
    assert_eq!((interner.lookup("tag"), interner.len()), (None, 0));
}
