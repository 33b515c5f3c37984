//! SQLite: the rows in the order of their places, an index over the key made behind them, which
//! <https://sqlite.org/lang_createindex.html> sorts. The journal is off while loading, a sync ends it.

use bench_own::{
    Folder, Result,
    index::{InOrder, TableStore, word},
};
use rusqlite::Connection;

pub(crate) struct Sqlite(Connection);

impl TableStore for Sqlite {
    fn load(folder: &Folder, rows: InOrder<'_>) -> Result<Self> {
        let connection = Connection::open(folder.path("sqlite"))?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = FULL; PRAGMA cache_size = -{};
             CREATE TABLE rows (place INTEGER PRIMARY KEY, k INTEGER NOT NULL, row BLOB NOT NULL);
             BEGIN IMMEDIATE;",
            crate::CACHE >> 10
        ))?;
        let mut all: Vec<_> = rows.collect();
        all.sort_unstable_by_key(|(_, row)| word(row.as_slice(), 0));
        let mut insert = connection.prepare("INSERT INTO rows VALUES (?1, ?2, ?3)")?;
        for (key, row) in all {
            let place = word(row, 0).cast_signed();
            insert.execute((place, key.cast_signed(), row.as_slice()))?;
        }
        drop(insert);
        connection.execute_batch("CREATE UNIQUE INDEX by_key ON rows (k); COMMIT")?;
        Ok(Self(connection))
    }

    fn follow(&self, first: u64, mut next: impl FnMut(&[u8]) -> Option<u64>) -> Result<()> {
        self.0.execute_batch("BEGIN")?;
        let mut read = self.0.prepare("SELECT row FROM rows WHERE k = ?1")?;
        let mut key = Some(first);
        while let Some(wanted) = key {
            let mut rows = read.query([wanted.cast_signed()])?;
            let row = rows.next()?.ok_or("no such key")?;
            key = next(row.get_ref(0)?.as_blob()?);
        }
        drop(read);
        Ok(self.0.execute_batch("COMMIT")?)
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let mut read = self.0.prepare("SELECT row FROM rows ORDER BY place")?;
        let mut rows = read.query([])?;
        while let Some(row) = rows.next()? {
            each(row.get_ref(0)?.as_blob()?);
        }
        Ok(true)
    }
}
