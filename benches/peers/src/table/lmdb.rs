//! LMDB through heed: `MDB_APPEND`, of which lmdb.h says that it "allows fast bulk loading when keys
//! are already known to be in the correct order". Keys are native integers, `MDB_INTEGERKEY`.

use bench_own::{
    Folder, Result,
    entries::Promise,
    index::{InOrder, TableStore},
};
use heed::{
    Database, Env, IntegerComparator, PutFlags,
    byteorder::NativeEndian,
    types::{Bytes, U64},
};

use crate::lmdb::environment;

type Rows = Database<U64<NativeEndian>, Bytes, IntegerComparator>;

pub(crate) struct Lmdb {
    env: Env,
    rows: Rows,
}

impl TableStore for Lmdb {
    fn load(folder: &Folder, rows: InOrder<'_>) -> Result<Self> {
        let env = environment(&folder.path("lmdb"), Promise::Power)?;
        let mut txn = env.write_txn()?;
        let database: Rows = env
            .database_options()
            .types::<U64<NativeEndian>, Bytes>()
            .key_comparator::<IntegerComparator>()
            .name("rows")
            .create(&mut txn)?;
        for (key, row) in rows {
            database.put_with_flags(&mut txn, PutFlags::APPEND, &key, row)?;
        }
        txn.commit()?;
        Ok(Self { env, rows: database })
    }

    fn follow(&self, first: u64, mut next: impl FnMut(&[u8]) -> Option<u64>) -> Result<()> {
        let (txn, mut key) = (self.env.read_txn()?, Some(first));
        while let Some(wanted) = key {
            key = next(self.rows.get(&txn, &wanted)?.ok_or("no such key")?);
        }
        Ok(())
    }

    fn scan(&self, mut each: impl FnMut(&[u8])) -> Result<bool> {
        let txn = self.env.read_txn()?;
        for row in self.rows.iter(&txn)? {
            each(row?.1);
        }
        Ok(true)
    }
}
