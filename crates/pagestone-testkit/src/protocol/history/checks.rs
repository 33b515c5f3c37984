//! The oracles: what a crash may leave, and that no space is lost or owned twice.

use std::rc::Rc;

use crate::protocol::{
    engine::{Cells, Engine},
    history::{End, Occasion, Sealed, World},
    machine::{Board, Company, Machine, Result, Stop, broken},
    place::{Key, Kind, SLOTS, Store, UNIT},
    random::Random,
    reader::ReaderKind,
    state::{Issued, Shared, State},
};

/// What recovery found.
#[derive(Debug)]
pub(in crate::protocol) struct Found {
    newest: Shared,
    committed: Shared,
    generation: u32,
}

fn find(states: &[Shared], found: &State) -> bool {
    states.iter().any(|state| state.matches(found))
}

fn differs<T>(end: End, what: &str, found: &State, states: &[Shared]) -> Result<T> {
    let expected = states.last().map(|state| found.difference(state)).unwrap_or_default();
    Err(Stop::Broken(format!("{end:?}: {what} {expected}")))
}

impl World {
    /// The states that the device may hold as committed.
    fn candidates(&self) -> Vec<Sealed> {
        self.sealed.iter().chain(&self.sealing).cloned().collect()
    }

    /// Recovers a copy, compares, and recovers that again.
    pub(in crate::protocol) fn check(&mut self, end: End) -> Result<Found> {
        self.images += 1;
        let candidates: Vec<Shared> =
            self.candidates().into_iter().map(|sealed| sealed.state).collect();
        let mut allowed = candidates.clone();
        if end == End::Kill {
            allowed.clone_from(&self.pending);
            allowed.push(Rc::clone(&self.current));
        }
        let mut copy = fork(&self.engine.machine);
        copy.open()?;
        let (newest, committed) = (copy.view(0)?.state, copy.view(1)?.state);
        if !find(&allowed, &newest) {
            return differs(end, "the newest state", &newest, &allowed);
        }
        if !find(&candidates, &committed) {
            return differs(end, "the committed state", &committed, &candidates);
        }
        if end != End::Kill && newest != committed {
            return differs(end, "an uncommitted state", &newest, &[Rc::new(committed)]);
        }
        let (salvaged, log) = (copy.salvage()?, committed.of_store(Store::Log));
        if salvaged != log {
            return differs(end, "the salvaged log", &salvaged, &[Rc::new(log)]);
        }
        self.check_offsets(&copy)?;
        let mut again = fork(&copy.machine);
        again.open()?;
        if !again.machine.memory.same_cache(&copy.machine.memory) {
            return broken("a second recovery changes words");
        }
        let generation = copy.generation;
        Ok(Found { newest: Rc::new(newest), committed: Rc::new(committed), generation })
    }

    /// The user was told of every place before it was published.
    fn check_offsets(&self, copy: &Engine) -> Result<()> {
        for told in copy.view(0)?.places() {
            if !self.engine.offsets.contains(told) {
                return broken("a block moved before the relocation hook was called");
            }
        }
        Ok(())
    }

    /// Checks what a crash left and takes it for the truth.
    pub(in crate::protocol) fn settle(&mut self, end: End) -> Result<()> {
        self.crashes += 1;
        self.note(
            match end {
                End::Kill => "killed",
                End::PowerLoss => "power lost",
                End::DeviceLoss => "device lost",
                End::FailedSync => "sync failed",
            },
            Key::ROOT,
            0,
        );
        self.engine.machine.check_pins()?;
        let found = self.check(end)?;
        let candidates = self.candidates();
        let matching: Vec<&Sealed> =
            candidates.iter().filter(|sealed| sealed.state.matches(&found.committed)).collect();
        let Some((last, others)) = matching.split_last() else {
            return broken("nothing was committed");
        };
        let mut issued = last.issued.clone();
        for other in others {
            issued.intersect(&other.issued);
        }
        let undone = self.discarding && found.newest.matches(&last.state);
        let kept = Sealed { state: Rc::clone(&last.state), issued };
        let board = &mut self.engine.machine.board;
        if end == End::Kill {
            if undone {
                board.issued = kept.issued.clone();
            }
            for key in found.newest.all_keys() {
                board.issued.note(key);
            }
            self.inherited = Some(kept).filter(|_| 1 < candidates.len());
            self.sealed = candidates;
        } else {
            board.issued = kept.issued.clone();
            board.durable = found.generation;
            self.inherited = None;
            self.sealed = vec![kept];
        }
        board.published.retain(|entry| entry.0 < found.generation);
        board.published.push((found.generation, Rc::clone(&found.committed)));
        self.current = found.newest;
        self.sealing = None;
        self.pending.clear();
        self.discarding = false;
        Ok(())
    }

    /// Every unit, cell and slot is used, free or waiting, and only one of these.
    pub(super) fn check_account(&self) -> Result<()> {
        let engine = &self.engine;
        let view = engine.view(0)?;
        let regions = engine.directory(0)?;
        let (cells, units, slots) = engine.waiting();
        let all = (1_u32 << engine.machine.memory.len()) - 2;
        let parts = [regions.units(), engine.free_units, units];
        if parts[0] | parts[1] | parts[2] != all {
            return broken("a unit is lost");
        }
        if parts.iter().map(|part| part.count_ones()).sum::<u32>() != all.count_ones() {
            return broken("a unit is owned twice");
        }
        for (number, region) in regions.iter() {
            if region.kind == Kind::Heap && !engine.is_lazy(number) {
                let home = Cells::of(region);
                let [used, free, waiting] =
                    [view.used, engine.free, cells].map(|part| part.and(home));
                if used.or(free).or(waiting) != home {
                    return broken("a cell is lost");
                }
                if !used.and(free).or(used.and(waiting)).or(free.and(waiting)).is_empty() {
                    return broken("a cell is both free and used");
                }
            }
            if region.kind == Kind::Slab {
                for slot in 0..SLOTS {
                    let bit = 1_u64 << (4 * (region.base() / UNIT) + slot);
                    let used = engine.slot_used(region.base(), slot, 0)?;
                    let owners = u32::from(used)
                        + u32::from(engine.free_slots & bit != 0)
                        + u32::from(slots & bit != 0);
                    if owners != 1 {
                        return broken("a slab slot is lost or owned twice");
                    }
                }
            }
        }
        Ok(())
    }

    /// Removes all but one entry: nothing else may be left, in the log or of the space.
    pub(super) fn drain(&mut self) -> Result<()> {
        self.engine.machine.dismiss(ReaderKind::Process);
        self.reopen()?;
        let before = Rc::clone(&self.current);
        let kept = before.keys(Store::Log).first().copied();
        for key in before.all_keys().filter(|key| *key != Key::ROOT && Some(*key) != kept) {
            self.engine.touch()?;
            if key.store == Store::Slab {
                self.engine.remove_object(key)?;
            } else if !self.engine.remove(key)? {
                return Ok(());
            }
        }
        self.quiet_commit()?;
        let empty = [Kind::Heap, Kind::Slab].map(|kind| self.engine.numbers(kind)).concat();
        for number in empty {
            self.engine.give_back(number)?;
        }
        self.quiet_commit()?;
        let mut compacted = true;
        for _ in 0..3 {
            self.engine.appending = None;
            for number in self.engine.numbers(Kind::Segment) {
                compacted &= self.engine.compact(number)?;
                self.quiet_commit()?;
            }
        }
        let mut left = 0;
        for number in self.engine.numbers(Kind::Segment) {
            left += self.engine.entries(number)?.len();
        }
        if compacted && usize::from(kept.is_some()) < left {
            return broken("tombstones stay for good");
        }
        self.engine.reclaim();
        let held = self.engine.free_units.count_ones() + self.engine.regions.units().count_ones();
        if held + 1 != self.engine.machine.memory.len() {
            return broken("space is lost for good");
        }
        let rest = before.all_keys().filter(|key| *key == Key::ROOT || Some(*key) == kept);
        let rest = rest.filter_map(|key| Some((key, before.get(key)?))).collect();
        if self.engine.view(0)?.state != State::from_unsorted(rest) {
            return broken("the drain changed what it did not touch");
        }
        Ok(())
    }

    fn quiet_commit(&mut self) -> Result<()> {
        self.commit(Occasion::Alone)
    }
}

/// A copy of the file for a writer without readers and faults.
fn fork(machine: &Machine) -> Engine {
    let board = Board {
        epoch: machine.board.epoch,
        clock: machine.board.clock,
        durable: machine.board.durable,
        published: Vec::new(),
        seen: Vec::new(),
        acked: 0,
        issued: Issued::new(),
        exclusive: false,
    };
    Engine::new(Machine {
        memory: machine.memory.clone(),
        rules: machine.rules,
        random: Random::new(1),
        fuse: None,
        sync_fuse: None,
        company: Company::Alone,
        readers: Vec::new(),
        board,
    })
}
