//! LMDB through heed.
//!
//! Process: `MDB_WRITEMAP | MDB_NOSYNC`. lmdb.h: "writes are faster and use fewer mallocs, but lose
//! protection from application bugs", and without a sync "a system crash can corrupt the database";
//! what a transaction wrote is in the page cache, so a kill loses nothing. Power: no flags, the
//! default, "fully synchronous". Keys are native integers under `MDB_INTEGERKEY`, which lmdb.h
//! names for keys that are all of one such size.
#![expect(unsafe_code, reason = "an environment is opened by a promise")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use bench_own::{
    Folder, Result,
    entries::{Change, EntryStore, Promise, key_of},
};
use heed::{
    CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, IntegerComparator,
    byteorder::NativeEndian,
    types::{Bytes, U64},
};

type Entries = Database<U64<NativeEndian>, Bytes, IntegerComparator>;

pub(crate) struct Lmdb {
    env: Env,
    entries: Entries,
    promise: Promise,
}

/// Opens the environment in a folder of this run.
pub(crate) fn environment(path: &Path, promise: Promise) -> Result<Env> {
    fs::create_dir_all(path)?;
    let mut options = EnvOpenOptions::new();
    options.map_size(crate::MAPPED).max_dbs(1);
    let flags = match promise {
        Promise::Process => EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC,
        Promise::Power => EnvFlags::empty(),
    };
    // SAFETY: the flags give up what the module's first lines say, and no lock.
    unsafe { options.flags(flags) };
    // SAFETY: the folder is that of this run alone, which opens it once at a time.
    Ok(unsafe { options.open(path) }?)
}

impl Lmdb {
    fn at(path: &PathBuf, promise: Promise) -> Result<Self> {
        let env = environment(path, promise)?;
        let mut txn = env.write_txn()?;
        let entries = env
            .database_options()
            .types::<U64<NativeEndian>, Bytes>()
            .key_comparator::<IntegerComparator>()
            .name("entries")
            .create(&mut txn)?;
        txn.commit()?;
        Ok(Self { env, entries, promise })
    }
}

impl EntryStore for Lmdb {
    const NAME: &'static str = "lmdb";
    const UNIT: usize = 1;

    fn create(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(&folder.path("lmdb"), promise)
    }

    fn open(folder: &Folder, promise: Promise) -> Result<Self> {
        Self::at(&folder.path("lmdb"), promise)
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        for change in changes {
            match change {
                Change::Put(number, bytes) => {
                    self.entries.put(&mut txn, &key_of(number), bytes)?;
                }
                Change::Remove(number) => {
                    self.entries.delete(&mut txn, &key_of(number))?;
                }
            }
        }
        Ok(txn.commit()?)
    }

    fn commit(&mut self) -> Result<()> {
        if self.promise == Promise::Process {
            self.env.force_sync()?;
        }
        Ok(())
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        let txn = self.env.read_txn()?;
        for number in numbers {
            each(self.entries.get(&txn, &key_of(*number))?.ok_or("no such entry")?);
        }
        Ok(())
    }

    /// A compacting copy, which leaves free pages out, in place of the file.
    fn compact(mut self, folder: &Folder) -> Result<Option<Self>> {
        self.commit()?;
        let (path, dense) = (folder.path("lmdb"), folder.path("dense"));
        let file = self.env.copy_to_path(&dense, CompactionOption::Enabled)?;
        file.sync_all()?;
        let promise = self.promise;
        self.env.prepare_for_closing().wait();
        fs::rename(&dense, path.join("data.mdb"))?;
        Self::at(&path, promise).map(Some)
    }

    fn close(mut self) -> Result<()> {
        self.commit()?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}
