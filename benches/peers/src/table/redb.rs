//! redb: inserts in key order in one transaction; it has no other bulk load.

use bench_own::{
    Folder, Result,
    index::{InOrder, TableStore},
};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

pub(crate) struct Redb(Database);

impl TableStore for Redb {
    fn load(folder: &Folder, rows: InOrder<'_>) -> Result<Self> {
        let mut builder = Database::builder();
        builder.set_cache_size(crate::CACHE);
        let database = builder.create(folder.path("redb"))?;
        let txn = database.begin_write()?;
        let mut table = txn.open_table(ROWS)?;
        for (key, row) in rows {
            table.insert(key, row.as_slice())?;
        }
        drop(table);
        txn.commit()?;
        Ok(Self(database))
    }

    fn follow(&self, first: u64, mut next: impl FnMut(&[u8]) -> Option<u64>) -> Result<()> {
        let txn = self.0.begin_read()?;
        let (table, mut key) = (txn.open_table(ROWS)?, Some(first));
        while let Some(wanted) = key {
            key = next(table.get(wanted)?.ok_or("no such key")?.value());
        }
        Ok(())
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let txn = self.0.begin_read()?;
        for row in txn.open_table(ROWS)?.iter()? {
            each(row?.1.value());
        }
        Ok(true)
    }
}
