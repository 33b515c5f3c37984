//! Canopydb.
//!
//! Process: the default, with its log: "application crashes do not cause data loss, only device
//! crashes" (`EnvOptions::wal_background_sync_interval`). Power: `commit_with(true)`. Values do not
//! compress and are shorter than what `compress_overflow_values` is for.

use bench_own::{
    Folder, Result,
    entries::{Change, EntryStore, Promise, key_of},
};
use canopydb::{Database, DbOptions, EnvOptions};

const ENTRIES: &[u8] = b"entries";

pub(crate) struct Canopydb {
    database: Database,
    promise: Promise,
}

impl Canopydb {
    fn at(folder: &Folder, promise: Promise) -> Result<Self> {
        let path = folder.path("canopydb");
        std::fs::create_dir_all(&path)?;
        let mut options = EnvOptions::new(&path);
        options.page_cache_size = crate::CACHE;
        let database = Database::with_options(options, DbOptions::new())?;
        Ok(Self { database, promise })
    }
}

impl EntryStore for Canopydb {
    const NAME: &'static str = "canopydb";
    const UNIT: usize = 1;

    fn create(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn open(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let txn = self.database.begin_write()?;
        let mut entries = txn.get_or_create_tree(ENTRIES)?;
        for change in changes {
            match change {
                Change::Put(number, bytes) => {
                    entries.insert(&key_of(number).to_be_bytes(), bytes)?;
                }
                Change::Remove(number) => {
                    entries.delete(&key_of(number).to_be_bytes())?;
                }
            }
        }
        drop(entries);
        txn.commit_with(self.promise == Promise::Power)?;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if self.promise == Promise::Process {
            self.database.sync()?;
        }
        Ok(())
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        let txn = self.database.begin_read()?;
        let entries = txn.get_tree(ENTRIES)?.ok_or("no entries")?;
        for number in numbers {
            each(&entries.get(&key_of(*number).to_be_bytes())?.ok_or("no such entry")?);
        }
        Ok(())
    }

    fn compact(self, _folder: &Folder) -> Result<Option<Self>> {
        self.database.compact()?;
        self.database.checkpoint()?;
        Ok(Some(self))
    }

    fn close(mut self) -> Result<()> {
        self.commit()
    }
}
