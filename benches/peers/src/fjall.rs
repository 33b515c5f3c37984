//! fjall.
//!
//! Process: the default. Its README: "By default, any operation will flush to OS buffers, but not
//! to disk", so a kill loses nothing. Power: `persist(PersistMode::SyncData)` after each change.
//! The cache is as large as the data, as `cache_size` advises where that fits; keys that are read
//! are there, which `expect_point_read_hits` is for. Values are below what key-value separation is
//! advised for.

use bench_own::{
    Folder, Result,
    entries::{Change, EntryStore, Promise, key_of},
};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

pub(crate) struct Fjall {
    database: Database,
    entries: Keyspace,
    promise: Promise,
}

impl Fjall {
    fn at(folder: &Folder, promise: Promise) -> Result<Self> {
        let database =
            Database::builder(folder.path("fjall")).cache_size(crate::CACHE as u64).open()?;
        let entries = database.keyspace("entries", || {
            KeyspaceCreateOptions::default().expect_point_read_hits(true)
        })?;
        Ok(Self { database, entries, promise })
    }

    fn changed(&self, change: Change<'_>) -> Result<()> {
        match change {
            Change::Put(number, bytes) => {
                self.entries.insert(key_of(number).to_be_bytes(), bytes)?
            }
            Change::Remove(number) => self.entries.remove(key_of(number).to_be_bytes())?,
        }
        Ok(())
    }
}

impl EntryStore for Fjall {
    const NAME: &'static str = "fjall";
    const UNIT: usize = 1;

    fn create(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn open(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let mut changes = changes.peekable();
        let Some(first) = changes.next() else { return Ok(()) };
        if changes.peek().is_none() {
            self.changed(first)?;
        } else {
            let mut batch = self.database.batch();
            for change in std::iter::once(first).chain(changes) {
                match change {
                    Change::Put(number, bytes) => {
                        batch.insert(&self.entries, key_of(number).to_be_bytes(), bytes);
                    }
                    Change::Remove(number) => {
                        batch.remove(&self.entries, key_of(number).to_be_bytes());
                    }
                }
            }
            batch.commit()?;
        }
        if self.promise == Promise::Power {
            self.database.persist(PersistMode::SyncData)?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if self.promise == Promise::Process {
            self.database.persist(PersistMode::SyncAll)?;
        }
        Ok(())
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        for number in numbers {
            let value = self.entries.get(key_of(*number).to_be_bytes())?;
            each(&value.ok_or("no such entry")?);
        }
        Ok(())
    }

    fn compact(mut self, _folder: &Folder) -> Result<Option<Self>> {
        self.entries.rotate_memtable_and_wait()?;
        self.entries.major_compact()?;
        self.commit()?;
        Ok(Some(self))
    }

    fn close(mut self) -> Result<()> {
        self.commit()
    }
}
