//! sled 0.34.
//!
//! Process: the default, which flushes every 500 ms (`Config::flush_every_ms`): a kill loses what
//! came after the last one. Power: `flush` after each change. `Mode::HighThroughput` is what its
//! documentation names for writing.

use bench_own::{
    Folder, Result,
    entries::{Change, EntryStore, Promise, key_of},
};
use sled::{Batch, Config, Db, Mode};

pub(crate) struct Sled {
    database: Db,
    promise: Promise,
}

impl Sled {
    fn at(folder: &Folder, promise: Promise) -> Result<Self> {
        let config = Config::new().path(folder.path("sled")).mode(Mode::HighThroughput);
        let database = config.cache_capacity(crate::CACHE as u64).open()?;
        Ok(Self { database, promise })
    }
}

impl EntryStore for Sled {
    const NAME: &'static str = "sled";
    const UNIT: usize = 1;
    const SURVIVES_KILL: bool = false;

    fn create(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn open(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(folder, promise)
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let mut batch = Batch::default();
        for change in changes {
            match change {
                Change::Put(number, bytes) => batch.insert(&key_of(number).to_be_bytes(), bytes),
                Change::Remove(number) => batch.remove(&key_of(number).to_be_bytes()),
            }
        }
        self.database.apply_batch(batch)?;
        if self.promise == Promise::Power {
            self.database.flush()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if self.promise == Promise::Process {
            self.database.flush()?;
        }
        Ok(())
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        for number in numbers {
            let value = self.database.get(key_of(*number).to_be_bytes())?;
            each(&value.ok_or("no such entry")?);
        }
        Ok(())
    }

    /// It has none.
    fn compact(self, _folder: &Folder) -> Result<Option<Self>> {
        Ok(None)
    }

    fn close(mut self) -> Result<()> {
        self.commit()
    }
}
