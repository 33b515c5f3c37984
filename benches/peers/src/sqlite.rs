//! SQLite, compiled in.
//!
//! Both promises: the log of <https://sqlite.org/wal.html>. Process: `synchronous = NORMAL`, of which
//! <https://sqlite.org/pragma.html#pragma_synchronous> says that it is "a good choice for most
//! applications running in WAL mode": consistent after power loss, with the latest commits maybe
//! gone; a kill loses nothing. Power: `FULL`. The cache has the size of the data, and statements
//! are prepared once. One table with an integer key, which is its rowid.

use bench_own::{
    Folder, Result,
    entries::{Change, EntryStore, Promise, key_of},
};
use rusqlite::{Connection, Statement};

const PUT: &str = "INSERT INTO entries VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = ?2";
const REMOVE: &str = "DELETE FROM entries WHERE k = ?1";
const READ: &str = "SELECT v FROM entries WHERE k = ?1";

pub(crate) struct Sqlite {
    connection: Connection,
    promise: Promise,
}

impl Sqlite {
    fn at(folder: &Folder, promise: Promise) -> Result<Self> {
        let connection = Connection::open(folder.path("sqlite"))?;
        let synchronous = match promise {
            Promise::Process => "NORMAL",
            Promise::Power => "FULL",
        };
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -{};
             CREATE TABLE IF NOT EXISTS entries (k INTEGER PRIMARY KEY, v BLOB NOT NULL);",
            crate::CACHE >> 10
        ))?;
        Ok(Self { connection, promise })
    }

    fn changed<'w>(&self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let mut put = self.connection.prepare_cached(PUT)?;
        let mut remove = self.connection.prepare_cached(REMOVE)?;
        for change in changes {
            match change {
                Change::Put(number, bytes) => put.execute((key_of(number).cast_signed(), bytes))?,
                Change::Remove(number) => remove.execute([key_of(number).cast_signed()])?,
            };
        }
        Ok(())
    }
}

impl EntryStore for Sqlite {
    const NAME: &'static str = "sqlite";
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
        // A statement by itself is a transaction.
        if changes.peek().is_none() {
            return self.changed(std::iter::once(first));
        }
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.changed(std::iter::once(first).chain(changes))?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        if self.promise == Promise::Process {
            self.checkpoint("FULL")?;
        }
        Ok(())
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        self.connection.execute_batch("BEGIN")?;
        let mut read: Statement<'_> = self.connection.prepare(READ)?;
        for number in numbers {
            let mut rows = read.query([key_of(*number).cast_signed()])?;
            let row = rows.next()?.ok_or("no such entry")?;
            each(row.get_ref(0)?.as_blob()?);
        }
        drop(read);
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    fn compact(self, _folder: &Folder) -> Result<Option<Self>> {
        self.connection.execute_batch("VACUUM")?;
        self.checkpoint("TRUNCATE")?;
        Ok(Some(self))
    }

    fn close(self) -> Result<()> {
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

impl Sqlite {
    /// Writes the log back into the file, synced.
    fn checkpoint(&self, how: &str) -> Result<()> {
        let statement = format!("PRAGMA wal_checkpoint({how})");
        self.connection.query_row(&statement, [], |_| Ok(()))?;
        Ok(())
    }
}
