//! redb.
//!
//! Process: `Durability::None`, of which its documentation says that commits "will not be persisted
//! to disk unless followed by a commit with `Durability::Immediate`": they stay in memory of the
//! process, so a kill loses them. That is less than the others promise; nothing between it and a
//! sync is on offer. Power: the default, `Durability::Immediate`.

use bench_own::{
    Folder, Result,
    entries::{Change, EntryStore, Promise, key_of},
};
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");

pub(crate) struct Redb {
    database: Database,
    promise: Promise,
}

impl Redb {
    fn at(folder: &Folder, promise: Promise) -> Result<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(crate::CACHE);
        let database = builder.create(folder.path("redb"))?;
        Ok(Self { database, promise })
    }
}

impl EntryStore for Redb {
    const NAME: &'static str = "redb";
    const UNIT: usize = 1;
    const SURVIVES_KILL: bool = false;

    fn create(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn open(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let mut txn = self.database.begin_write()?;
        if self.promise == Promise::Process {
            txn.set_durability(Durability::None)?;
        }
        let mut entries = txn.open_table(ENTRIES)?;
        for change in changes {
            match change {
                Change::Put(number, bytes) => {
                    entries.insert(key_of(number), bytes)?;
                }
                Change::Remove(number) => {
                    entries.remove(key_of(number))?;
                }
            }
        }
        drop(entries);
        Ok(txn.commit()?)
    }

    fn commit(&mut self) -> Result<()> {
        if self.promise == Promise::Process {
            self.database.begin_write()?.commit()?;
        }
        Ok(())
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        let txn = self.database.begin_read()?;
        let entries = txn.open_table(ENTRIES)?;
        for number in numbers {
            each(entries.get(key_of(*number))?.ok_or("no such entry")?.value());
        }
        Ok(())
    }

    /// `compact` says whether it did something; it is called until there is nothing left.
    fn compact(mut self, _folder: &Folder) -> Result<Option<Self>> {
        self.commit()?;
        while self.database.compact()? {}
        Ok(Some(self))
    }

    fn close(mut self) -> Result<()> {
        self.commit()
    }
}
