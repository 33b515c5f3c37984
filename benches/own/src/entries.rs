//! Workload E: what a store of entries is asked for, and who is asked.
//!
//! A contender implements [`EntryStore`]; [`OursMap`] and [`OursById`] are those that rows are
//! about. The phases stand here, so that engines of other crates run the very same ones.

mod work; // keys, lengths and contents, the same for all contenders
mod phases; // the workload itself, phase by phase
mod durable; // commits that wait for the device
mod churn; // rounds of change: bytes to the device, length of the file
mod open; // open to first read: clean, killed; private memory
mod limit; // a bare mapped log with a table of places, no safety
mod ours; // pagestone-buffer, by key and by id

pub use self::{
    churn::churn,
    durable::{durable, two_syncs},
    limit::Log,
    open::{child_hold, child_memory, child_open, memory, open},
    ours::{Compacting, OursById, OursMap},
    phases::{Run, phases},
    work::{Work, key_of},
};

pub(crate) use self::phases::{at_share, float, nanos_each, warm};

use crate::{Folder, Result};

/// One quantity: its name, its value, its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What it is called within its contender and group.
    pub name: String,
    /// How much it is.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

impl Told {
    /// A quantity.
    #[must_use]
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit }
    }
}

/// A change of one entry. Entries are numbered from 0 in the order in which they are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Adds the entry of this number, or replaces its content.
    Put(u32, &'a [u8]),
    /// Removes it.
    Remove(u32),
}

/// What a change is good for once its call has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// It survives a kill of the process, as far as the engine can promise that without a sync.
    Process,
    /// It survives power loss, from `commit` on.
    Power,
}

/// A store of entries in the files of one folder.
///
/// A store by key finds an entry under [`key_of`] its number.
pub trait EntryStore: Sized {
    /// How rows and children call it.
    const NAME: &'static str;
    /// How many changes have to go together so that each is as safe as the promise says: one, for
    /// an engine that gives its promise at the end of a transaction.
    const UNIT: usize;
    /// Whether a kill leaves what was changed, under [`Promise::Process`].
    const SURVIVES_KILL: bool = true;

    /// Makes an empty store.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn create(folder: &Folder, promise: Promise) -> Result<Self>;

    /// Opens what [`create`](Self::create) made, after a close or a kill.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn open(folder: &Folder, promise: Promise) -> Result<Self>;

    /// Does these changes, in one transaction or under one lock.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()>;

    /// Adds entries, together where the store can.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn add_many<'w>(&mut self, entries: impl Iterator<Item = (u32, &'w [u8])>) -> Result<()> {
        self.change(entries.map(|(number, bytes)| Change::Put(number, bytes)))
    }

    /// What the program does beside its changes: compaction by policy.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn tend(&mut self) -> Result<()> {
        Ok(())
    }

    /// Makes all changes durable. Does nothing where `change` already has, under
    /// [`Promise::Power`].
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn commit(&mut self) -> Result<()>;

    /// Shows the entries of these numbers, through one view.
    ///
    /// # Errors
    ///
    /// Those of the store; one that is absent.
    fn read(&self, numbers: &[u32], each: impl FnMut(&[u8])) -> Result<()>;

    /// The same, together where the store can; false where it cannot.
    ///
    /// # Errors
    ///
    /// As `read`.
    fn read_many(&self, _numbers: &[u32], _each: impl FnMut(&[u8])) -> Result<bool> {
        Ok(false)
    }

    /// Makes the files as short as it can, durably; `None` for a store that has no such thing.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn compact(self, folder: &Folder) -> Result<Option<Self>>;

    /// Closes.
    ///
    /// # Errors
    ///
    /// Those of the store.
    fn close(self) -> Result<()>;
}
