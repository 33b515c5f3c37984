//! The new file: its logs, their slot tables, the entries in the order in which they were written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Pace, Salvaged, SalvagedLog,
    source::Source,
    survey::Survey,
    walk::{Best, Entries},
};
use crate::{
    engine::{Engine, Found, Given, Tail, adopt::Wanted, index::SPENT},
    error::Result,
    file::RegionFile,
    id::BlockId,
    layout::ENTRY_HEADER,
    names::Named,
    parts::{part_len, part_of},
    store::{Keeps, Store},
    units::Kind,
    word::TOMBSTONE,
};

/// The first generation of the new store, and that of an index that is vacant, is this much above
/// what is known of the old one, since damaged entries may have had a higher one.
const MARGIN: u32 = 1 << 20;
/// First generations are at most this.
const FIRST_MAX: u32 = 1 << 23;

/// One log to be made.
#[derive(Debug)]
struct Log {
    name: String,
    is_named: bool,
    generation: u32,
    /// By sequence.
    live: Vec<(u64, Best)>,
    tombstones: Vec<(u64, u32)>,
}

/// What the new file shall hold.
#[derive(Debug)]
pub(super) struct Plan {
    logs: Vec<Log>,
    roots: BTreeMap<String, BlockId>,
}

impl Plan {
    pub(super) fn new(mut survey: Survey, entries: Entries, report: &mut Salvaged) -> Self {
        let mut found = entries.stores;
        for (number, (name, _, keeps)) in &survey.names.stores {
            if *keeps == Keeps::Entries {
                found.entry(*number).or_default();
            } else {
                report.left_out.push(name.clone());
            }
        }
        survey.names.stores.retain(|_, (_, _, keeps)| *keeps == Keeps::Entries);
        let mut roots = BTreeMap::new();
        let mut used: BTreeSet<String> =
            survey.names.stores.values().map(|(name, ..)| name.clone()).collect();
        let mut logs = Vec::new();
        for (number, found) in found {
            let is_live = |id: &BlockId| {
                found
                    .get(&id.index())
                    .is_some_and(|best| best.generation == id.generation() && !best.is_tombstone())
            };
            let named = survey.names.roots.iter().filter(|(_, id)| is_live(id));
            roots.extend(named.map(|(name, id)| (name.clone(), *id)));
            let known = survey.names.stores.remove(&number);
            let is_named = known.is_some();
            let (name, first) = match known {
                Some((name, first, _)) => (name, first),
                None => (vacant(&mut used, number), 0),
            };
            let top = found.values().map(|best| best.generation).max().unwrap_or(0).max(first);
            let above = top.saturating_add(MARGIN);
            // The old store began high up, then.
            let generation = if above <= FIRST_MAX { above } else { 1 };
            let mut log = Log { name, is_named, generation, live: vec![], tombstones: vec![] };
            for (index, best) in found {
                if best.is_tombstone() {
                    log.tombstones.push((index, best.generation));
                } else {
                    log.live.push((index, best));
                }
            }
            log.live.sort_unstable_by_key(|(index, best)| (best.sequence, *index));
            logs.push(log);
        }
        Self { logs, roots }
    }

    /// Writes all of it to a file that is fresh.
    pub(super) fn write(
        self,
        file: &RegionFile,
        source: &mut Source,
        (report, pace): (&mut Salvaged, &mut Pace<'_>),
    ) -> Result<()> {
        let mut state = file.shared.lock();
        let mut engine = Engine { shared: &file.shared, state: &mut state };
        engine.touch()?;
        let live = self.logs.iter().flat_map(|log| &log.live);
        pace.more(live.map(|(_, best)| u64::from(best.len) + ENTRY_HEADER).sum());
        for log in self.logs {
            let made = log.write(&mut engine, source, (&mut *report, &mut *pace))?;
            report.entries += made.entries;
            report.removed += made.removed;
            report.bytes += made.bytes;
            report.logs.push(made);
        }
        for (name, id) in &self.roots {
            engine.set_name(name, Named::Root(id.to_bits()))?;
        }
        // What the writer knows is made from the slots, as after a kill.
        engine.tell_ends();
        engine.rebuild(Found::Unclean(Tail::Kept))?;
        engine.state.changed = true;
        Ok(())
    }
}

/// A name for a log that has lost its own.
fn vacant(used: &mut BTreeSet<String>, number: u32) -> String {
    let mut name = format!("log-{number}");
    while !used.insert(name.clone()) {
        name.push('\'');
    }
    name
}

impl Log {
    fn write(
        self,
        engine: &mut Engine<'_>,
        source: &mut Source,
        (report, pace): (&mut Salvaged, &mut Pace<'_>),
    ) -> Result<SalvagedLog> {
        let store = self.make(engine)?;
        let (mut entries, mut bytes) = (0, 0);
        for (index, best) in &self.live {
            let id = BlockId::new(*index, best.generation);
            let Some(payload) = source.payload((id, best.at), best.incarnation) else {
                let what = format!("entry {id} was changed while the file was read");
                report.add((best.at, ENTRY_HEADER + u64::from(best.len)), what);
                continue;
            };
            let given = Given { payload: &payload, room: best.room };
            engine.append_as(&store, (id, store.parts.quick(*index)), given)?;
            (entries, bytes) = (entries + 1, bytes + payload.len() as u64);
            pace.step(payload.len() as u64 + ENTRY_HEADER, source)?;
        }
        for (index, generation) in &self.tombstones {
            // Not the next one: an entry that is damaged may have had it.
            let next = u64::from(generation.saturating_add(MARGIN).max(self.generation));
            engine.publish(store.parts.quick(*index), TOMBSTONE, next.min(SPENT));
        }
        let removed = self.tombstones.len() as u64;
        Ok(SalvagedLog { name: self.name, is_named: self.is_named, entries, removed, bytes })
    }

    /// Makes the store and as much of its slot table as its indices need.
    fn make(&self, engine: &mut Engine<'_>) -> Result<Arc<Store>> {
        let number = u32::try_from(engine.shared.stores().len().max(1))?;
        let (generation, keeps) = (self.generation, Keeps::Entries);
        engine.set_name(&self.name, Named::Store { number, generation, keeps })?;
        let store = Arc::new(Store::new(number, generation, keeps));
        engine.shared.stores_mut().push(Some(Arc::clone(&store)));
        engine.state.indices(number);
        let live = self.live.iter().map(|(index, _)| *index);
        let last = live.chain(self.tombstones.iter().map(|(index, _)| *index)).max();
        let parts = last.map_or(0, |last| part_of(last) + 1);
        for part in 0..parts {
            let wanted = Wanted::of(Kind::Table, part_len(part));
            let region = engine.adopt(Wanted { store: number, part, ..wanted })?;
            store.parts.set(part, engine.state.region(region).map(|region| region.range.start));
        }
        Ok(store)
    }
}
