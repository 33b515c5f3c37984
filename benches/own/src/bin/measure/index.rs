//! Workload S by contender and group: `index_CONTENDER_GROUP_QUANTITY`.
//!
//! A group runs as a whole, in one process, and tells all of its quantities.

use bench_own::{
    Result, Scale,
    entries::Told,
    index::{
        Hash, Tree, build, of_map, of_ours, open, ours, raw, sorted_pairs_of_positions, table,
        words_ours,
    },
};

use crate::Measurement;

pub(crate) fn measure(name: &str, scale: Scale) -> Result<Vec<Measurement>> {
    let mut words = name.split('_').skip(1);
    let (Some(contender), Some(group)) = (words.next(), words.next()) else {
        return Err("index_CONTENDER_GROUP_QUANTITY".into());
    };
    let told = match (contender, group) {
        ("ours", "table") => ours(scale),
        ("ours", "build") => build(scale),
        ("ours", "open") => open(scale),
        ("ours", "relation") => of_ours(scale),
        ("ours", "words") => words_ours(scale),
        ("hash", "table") => table::<Hash>(scale),
        ("tree", "table") => table::<Tree>(scale),
        ("raw", "table") => raw(scale),
        ("pairs", "build") => sorted_pairs_of_positions(scale),
        ("map", "relation") => of_map(scale),
        _ => Err(format!("nothing is called {contender}_{group}").into()),
    };
    let named = |told: Told| {
        Measurement::new(format!("index_{contender}_{group}_{}", told.name), told.value, told.unit)
    };
    Ok(told?.into_iter().map(named).collect())
}
