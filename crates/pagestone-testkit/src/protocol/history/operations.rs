//! One operation of the writer, chosen at random.

use std::rc::Rc;

use crate::protocol::{
    engine::Target,
    history::World,
    machine::{Result, broken},
    place::{Key, Kind, OVERSIZE, Store},
    state::{Shared, Value},
};

impl World {
    fn issue(&mut self, key: Key) -> Result<()> {
        if self.engine.machine.board.issued.give(key) {
            return Ok(());
        }
        broken(&format!("the id {key:?} was given out twice"))
    }

    /// The operation found no space and left everything as it was.
    fn give_up(&mut self) {
        self.pending.clear();
    }

    pub(super) fn any_live(&mut self, stores: &[Store]) -> Option<Key> {
        let keys: Vec<Key> =
            self.current.all_keys().filter(|key| stores.contains(&key.store)).collect();
        self.random().pick(&keys)
    }

    /// Makes one operation.
    pub(super) fn operation(&mut self) -> Result<()> {
        let mut choice = self.below(1000);
        if let Some((low, high)) = self.focus
            && self.chance(70)
        {
            choice = low + self.below(high - low);
        }
        self.step += 1;
        self.engine.touch()?;
        match choice {
            0..360 => self.put_any(),
            360..480 => self.remove_any(&[Store::HeapA, Store::HeapB]),
            480..520 => self.modify_any(),
            520..530 => self.in_place_any(),
            530..600 => self.insert_any(),
            600..670 => self.remove_any(&[Store::Slab]),
            670..700 => self.release_any(),
            700..790 => self.put_entry_any(),
            790..840 => self.remove_any(&[Store::Log]),
            840..900 => self.compact_any(),
            900..955 => self.evacuate_any(),
            955..970 => self.engine.sweep_step().map(|_| ()),
            _ => self.set_root(),
        }
    }

    fn put_any(&mut self) -> Result<()> {
        let stores = [Store::HeapA, Store::HeapA, Store::HeapB];
        let store = self.random().pick(&stores).unwrap_or(Store::HeapA);
        let live = if self.chance(45) { self.any_live(&[store]) } else { None };
        let class = self.random().pick(&[1, 1, 2, 2, OVERSIZE]).unwrap_or(1);
        self.put(store, live, class)
    }

    /// Puts the next value under a live id or a new one.
    pub(in crate::protocol) fn put(
        &mut self,
        store: Store,
        live: Option<Key>,
        class: u64,
    ) -> Result<()> {
        let key = match live {
            Some(key) => key,
            None => match self.engine.new_id(store)? {
                Some(key) => key,
                None => return Ok(()),
            },
        };
        let word = self.step;
        let value = if class == 1 { [word, 0, 0] } else { [word; 3] };
        self.note("put", key, word);
        self.propose(vec![self.current.with(key, value)]);
        let done = self.engine.put(Target { key, class, avoid: None }, value)?;
        if !done {
            self.give_up();
            return Ok(());
        }
        self.accept();
        if live.is_none() {
            self.issue(key)?;
        }
        Ok(())
    }

    fn remove_any(&mut self, stores: &[Store]) -> Result<()> {
        match self.any_live(stores) {
            Some(key) => self.remove(key),
            None => Ok(()),
        }
    }

    pub(in crate::protocol) fn remove(&mut self, key: Key) -> Result<()> {
        self.note("remove", key, 0);
        self.propose(vec![self.current.without(key)]);
        let done = if key.store == Store::Slab {
            self.engine.remove_object(key)?;
            true
        } else {
            self.engine.remove(key)?
        };
        if done {
            self.accept();
        } else {
            self.give_up();
        }
        Ok(())
    }

    fn modify_any(&mut self) -> Result<()> {
        match self.any_live(&[Store::HeapA, Store::HeapB]) {
            Some(key) if !self.engine.machine.has_threads() => self.modify_private(key),
            _ => Ok(()),
        }
    }

    /// The value word by word from the old one to `word` throughout.
    fn mixtures(&self, key: Key, word: u64) -> (Vec<Shared>, Value) {
        let mut value = self.current.get(key).unwrap_or_default();
        let mut states = vec![Rc::clone(&self.current)];
        for place in 0..3 {
            if value[place] != 0 {
                value[place] = word;
                states.push(self.current.with(key, value));
            }
        }
        (states, value)
    }

    pub(in crate::protocol) fn modify_private(&mut self, key: Key) -> Result<()> {
        let (states, value) = self.mixtures(key, self.step);
        self.note("modify_private", key, self.step);
        self.propose(states);
        self.engine.machine.board.exclusive = true;
        let done = self.engine.modify_private(key, value)?;
        self.engine.machine.board.exclusive = false;
        if done {
            self.accept();
        } else {
            self.give_up();
        }
        Ok(())
    }

    fn in_place_any(&mut self) -> Result<()> {
        let keys: Vec<Key> = self.current.all_keys().filter(|key| key.is_loose()).collect();
        let Some(key) = self.random().pick(&keys) else { return Ok(()) };
        if self.engine.machine.has_threads() {
            return Ok(());
        }
        let (states, value) = self.mixtures(key, self.step);
        self.note("in_place", key, self.step);
        self.propose(states);
        self.engine.machine.board.exclusive = true;
        self.engine.in_place(key, value)?;
        self.engine.machine.board.exclusive = false;
        self.accept();
        Ok(())
    }

    pub(in crate::protocol) fn insert_any(&mut self) -> Result<()> {
        let Some(plan) = self.engine.plan_slot()? else { return Ok(()) };
        let (key, object) = (plan.key, self.step);
        self.note("insert", key, object);
        self.propose(vec![self.current.with(key, [object, 0, 0])]);
        self.engine.insert(plan, object)?;
        self.accept();
        self.issue(key)
    }

    fn release_any(&mut self) -> Result<()> {
        let empty = self.engine.empty_slabs()?;
        let Some(number) = self.random().pick(&empty) else { return Ok(()) };
        self.note("release", Key::ROOT, 0);
        self.engine.give_back(number)
    }

    fn put_entry_any(&mut self) -> Result<()> {
        let live = if self.chance(50) { self.any_live(&[Store::Log]) } else { None };
        self.put_entry(live)
    }

    /// Appends the next value under a live id or a new one.
    pub(in crate::protocol) fn put_entry(&mut self, live: Option<Key>) -> Result<()> {
        let key = match live {
            Some(key) => key,
            None => match self.engine.new_id(Store::Log)? {
                Some(key) => key,
                None => return Ok(()),
            },
        };
        let value = self.step;
        self.note("put entry", key, value);
        self.propose(vec![self.current.with(key, [value, 0, 0])]);
        let done = self.engine.put_entry(key, value)?;
        if !done {
            self.give_up();
            return Ok(());
        }
        self.accept();
        if live.is_none() {
            self.issue(key)?;
        }
        Ok(())
    }

    fn compact_any(&mut self) -> Result<()> {
        let mut segments = self.engine.numbers(Kind::Segment);
        segments.retain(|number| Some(*number) != self.engine.appending);
        let Some(number) = self.random().pick(&segments) else { return Ok(()) };
        self.compact(number)
    }

    pub(in crate::protocol) fn compact(&mut self, number: usize) -> Result<()> {
        self.note("compact", Key::ROOT, 0);
        self.engine.compact(number).map(|_| ())
    }

    fn evacuate_any(&mut self) -> Result<()> {
        let heaps = self.engine.numbers(Kind::Heap);
        let Some(number) = self.random().pick(&heaps) else { return Ok(()) };
        self.evacuate(number)
    }

    pub(in crate::protocol) fn evacuate(&mut self, number: usize) -> Result<()> {
        self.note("evacuate", Key::ROOT, 0);
        self.engine.evacuate(number).map(|_| ())
    }

    pub(in crate::protocol) fn set_root(&mut self) -> Result<()> {
        let value = self.step;
        self.note("root", Key::ROOT, value);
        self.propose(vec![self.current.with(Key::ROOT, [value, 0, 0])]);
        self.engine.set_root(value)?;
        self.accept();
        Ok(())
    }

    /// The next value to write.
    pub(in crate::protocol) fn advance(&mut self) -> Result<()> {
        self.step += 1;
        self.engine.touch()
    }
}
