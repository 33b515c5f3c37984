//! The store and the interner beside maps of std, over random operations.
#![expect(
    clippy::cast_possible_truncation,
    clippy::result_large_err,
    reason = "bytes of made-up objects; errors of proptest"
)]

use std::collections::{BTreeMap, HashMap};

use pagestone_slab::{Growth, Interner, ObjectId, ObjectStore, Symbol};
use proptest::prelude::*;

use crate::objects::recount;

#[derive(Debug, Clone)]
enum Op {
    Add(Vec<u8>),
    Remove(usize),
    Replace(usize, u8),
    Search(Vec<u8>),
    Release,
    Clear,
}

/// Few values, so that they meet; lengths at the ends of words.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![9 => 1usize..=20, 1 => prop_oneof![Just(255usize), Just(257), Just(300), Just(70_000)]];
    (len, 0u8..4)
        .prop_map(|(len, seed)| (0..len).map(|at| seed.wrapping_mul(at as u8 | 1)).collect())
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        12 => value().prop_map(Op::Add),
        8 => any::<usize>().prop_map(Op::Remove),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Op::Replace(at, byte)),
        4 => value().prop_map(Op::Search),
        1 => Just(Op::Release),
        1 => prop::bool::weighted(0.1).prop_map(|all| if all { Op::Clear } else { Op::Release }),
    ];
    prop::collection::vec(op, 1..200)
}

fn run(mut store: ObjectStore, ops: Vec<Op>) {
    let mut model: BTreeMap<ObjectId, Vec<u8>> = BTreeMap::new();
    let mut gone: Vec<ObjectId> = Vec::new();
    for op in ops {
        let pick = |at: usize| model.keys().nth(at % model.len().max(1)).copied();
        match op {
            Op::Add(value) => {
                let id = store.add(&value).unwrap();
                assert_eq!(model.insert(id, value), None, "an id twice");
            }
            Op::Remove(at) => {
                let Some(id) = pick(at) else { continue };
                store.remove(id).unwrap();
                model.remove(&id);
                gone.push(id);
            }
            Op::Replace(at, byte) => {
                let Some(id) = pick(at) else { continue };
                let value = vec![byte % 4; model[&id].len()];
                store.replace(id, &value).unwrap();
                model.insert(id, value);
            }
            Op::Search(value) => {
                let found = store.search(&value);
                assert_eq!(found.is_some(), model.values().any(|other| *other == value));
                assert!(found.is_none_or(|id| model[&id] == value));
            }
            Op::Release => drop(store.release_empty()),
            Op::Clear => {
                store.clear();
                gone.extend(std::mem::take(&mut model).into_keys());
            }
        }
    }
    let mut all: Vec<(ObjectId, Vec<u8>)> = store.iter().map(|(id, o)| (id, o.to_vec())).collect();
    all.sort();
    assert_eq!(all, model.into_iter().collect::<Vec<_>>());
    assert!(gone.iter().all(|&id| !store.contains(id)), "a stale id names an object");
    recount(&store);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_map(ops in ops(), first in 1u32..70, factor in 1.0f64..2.5, len in 1u64..2000) {
        let growth = Growth::default().first_slots(first).factor(factor).slab_len_max(len);
        let options = ObjectStore::options().growth(growth);
        run(options.make().unwrap(), ops.clone());
        run(options.with_value_index().make().unwrap(), ops);
    }

    #[test]
    fn an_interner_is_a_map(ops in prop::collection::vec((0u8..10, 0usize..60), 1..400)) {
        let mut interner = Interner::<str>::counted().unwrap();
        let mut model: HashMap<String, (Symbol, u32)> = HashMap::new();
        for (what, which) in ops {
            let string = "aé€𝄞".chars().cycle().skip(which % 4).take(which).collect::<String>();
            let known = model.get(&string).copied();
            match (what, known) {
                (0..5, _) => {
                    let symbol = interner.intern(&string).unwrap();
                    let entry = model.entry(string).or_insert((symbol, 0));
                    assert_eq!(entry.0, symbol);
                    entry.1 += 1;
                }
                (5, Some((symbol, count))) => {
                    assert_eq!(interner.retain(symbol).unwrap(), count + 1);
                    model.insert(string, (symbol, count + 1));
                }
                (6.., Some((symbol, count))) => {
                    assert_eq!(interner.release(symbol).unwrap(), count - 1);
                    model.insert(string.clone(), (symbol, count - 1));
                    if count == 1 {
                        model.remove(&string);
                        assert!(interner.lookup(&string).is_none());
                    }
                }
                _ => assert_eq!(interner.lookup(&string), None),
            }
        }
        assert_eq!(interner.len(), model.len() as u64);
        for (symbol, string) in interner.iter() {
            assert_eq!(model[string], (symbol, interner.ref_count(symbol).unwrap()));
            assert_eq!(interner.lookup(string), Some(symbol));
            assert_eq!(interner.resolve(symbol).unwrap(), string);
        }
    }
}
