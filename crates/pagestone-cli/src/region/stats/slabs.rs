//! What `pagestone stats` counts of slabs, pool by pool, and of numbers.

use std::collections::BTreeMap;

use pagestone_heap::{Counts, RegionFile, Slabs};
use pagestone_slab::{Error, FileStats};
use serde::Serialize;

use crate::{
    output::{Align, Cell, Format, Listing, Output},
    region::slabs::SlabStore,
};

/// A store of slabs.
#[derive(Serialize)]
pub(super) struct Slabbed {
    name: String,
    kind: &'static str,
    /// Of strings: places that symbols name, taken or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    symbols: Option<u64>,
    /// Of strings: whether the next open finds their table in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    table_saved: Option<bool>,
    #[serde(flatten)]
    total: Pool,
    pools: Vec<Pool>,
}

/// Slabs whose objects have one length, or all of a store. Lengths are bytes.
#[derive(Default, Serialize)]
struct Pool {
    /// Bytes that a slot has for an object; absent of objects that are in blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    object_len: Option<u64>,
    #[serde(rename = "slabs")]
    slab_count: u64,
    live: u64,
    vacant: u64,
    mapped: u64,
    payload: u64,
    overhead: u64,
    /// Of `payload`, what is in slabs.
    #[serde(skip)]
    in_slabs: u64,
}

/// A store of numbers.
#[derive(Serialize)]
pub(super) struct Numbered {
    name: String,
    #[serde(rename = "numbers")]
    number_count: u64,
}

impl Pool {
    fn add(&mut self, other: &Self) {
        self.slab_count += other.slab_count;
        self.live += other.live;
        self.vacant += other.vacant;
        self.mapped += other.mapped;
        self.payload += other.payload;
        self.overhead += other.overhead;
        self.in_slabs += other.in_slabs;
    }

    fn row(&self, name: &str, kind: &'static str) -> Vec<Cell> {
        let len = self.object_len.map_or_else(|| Cell::text(kind), Cell::from);
        let counts = [self.slab_count, self.live, self.vacant, self.mapped, self.payload];
        let mut row = vec![Cell::text(name), len];
        row.extend(counts.map(Cell::from));
        row.push(self.overhead.into());
        row
    }
}

impl Slabbed {
    pub(super) fn count(
        (file, name): (&RegionFile, String),
        store: &SlabStore,
    ) -> Result<Self, Error> {
        let writer = &mut file.writer();
        let (kind, pools) = match store {
            SlabStore::Objects(objects) => ("objects", of_stats(&objects.stats(writer)?)),
            SlabStore::Strings(strings) => ("strings", of_stats(&strings.stats(writer)?)),
            SlabStore::Slots(slabs) => ("slots", of_slots(slabs)?),
        };
        let mut total = Pool::default();
        for pool in &pools {
            total.add(pool);
        }
        let is_text = matches!(store, SlabStore::Strings(_));
        let table = format!("{name}.table");
        Ok(Self {
            symbols: is_text.then_some(total.live + total.vacant),
            table_saved: is_text.then(|| file.root(&table).is_some()),
            name,
            kind,
            total,
            pools,
        })
    }

    /// Objects, strings or slots.
    pub(super) fn live(&self) -> u64 {
        self.total.live
    }

    /// Bytes of them that are in slabs: those in blocks are counted as blocks.
    pub(super) fn in_slabs(&self) -> u64 {
        self.total.in_slabs
    }
}

impl Numbered {
    pub(super) fn count((file, name): (&RegionFile, String), numbers: &Counts) -> Self {
        Self { name, number_count: numbers.indices(&file.pin()).count() as u64 }
    }
}

fn of_stats(stats: &FileStats) -> Vec<Pool> {
    let pools = stats.pools.iter().map(|pool| {
        // Long objects have slots without bytes of their own, as empty strings have, which are no bytes.
        let in_blocks = pool.slot_size == 0 && 0 < pool.payload;
        Pool {
            object_len: (!in_blocks).then_some(pool.slot_size),
            slab_count: pool.slabs,
            live: pool.live,
            vacant: pool.vacant,
            mapped: pool.mapped,
            payload: pool.payload,
            overhead: if in_blocks { pool.mapped } else { pool.overhead() },
            in_slabs: if in_blocks { 0 } else { pool.payload },
        }
    });
    pools.collect()
}

fn of_slots(slabs: &Slabs) -> Result<Vec<Pool>, Error> {
    let pin = slabs.file().pin();
    let mut pools: BTreeMap<u32, Pool> = BTreeMap::new();
    for facts in slabs.list(&pin)? {
        let (len, slots) = (u64::from(facts.shape.object_len), u64::from(facts.shape.slots));
        let live = slabs.ids(&pin, facts.slab).count() as u64;
        let one = Pool {
            object_len: None,
            slab_count: 1,
            live,
            vacant: slots.saturating_sub(live),
            mapped: facts.len,
            payload: live * len,
            overhead: facts.len.saturating_sub(live * len),
            in_slabs: live * len,
        };
        let pool = pools.entry(facts.shape.object_len).or_default();
        pool.object_len = Some(len);
        pool.add(&one);
    }
    Ok(pools.into_values().collect())
}

pub(super) fn show(stores: &[Slabbed], out: &mut Output) -> anyhow::Result<()> {
    let numbers = ["slabs", "live", "vacant", "mapped", "payload", "overhead"];
    let numbers = numbers.map(|name| (name, Align::Right));
    let columns = [("slabs of", Align::Left), ("object", Align::Right)].into_iter().chain(numbers);
    let mut listing = Listing::new(Format::People, columns);
    for store in stores {
        listing.row(out, store.total.row(&store.name, store.kind))?;
        for pool in &store.pools {
            listing.row(out, pool.row("", "in blocks"))?;
        }
    }
    listing.end(out)
}

pub(super) fn show_numbers(stores: &[Numbered], out: &mut Output) -> anyhow::Result<()> {
    let columns = [("numbers", Align::Left), ("not 0", Align::Right)];
    let mut listing = Listing::new(Format::People, columns);
    for store in stores {
        listing.row(out, vec![Cell::text(store.name.as_str()), store.number_count.into()])?;
    }
    listing.end(out)
}
