//! Rows of one schema copied to another, by the names of their fields.

use pagestone_storage::Field;

use crate::{
    any::{AnyTableBuilder, value_of},
    directory::Directory,
    error::{Error, ErrorKind, Result},
    options::TableOptions,
    schema::{NamedColumn, Record, Schema},
    seal::each_block,
    table::Table,
};

impl TableOptions {
    /// Copies a table of any schema into one of `R` rows at `to`, which may be the same
    /// directory: the new version takes its place then.
    ///
    /// Fields are found by name; of another kind or byte order, they are converted. A field that
    /// the older table does not have is zero, which must be said: `#[record(since = 2)]`. Fields
    /// that `R` does not have are left out.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` for a field that is not there and not marked so, and for a value that the
    /// field of `R` cannot hold; else as [`open_any`](Self::open_any) and
    /// [`TableBuilder::seal`](crate::TableBuilder::seal). The older table stays then.
    pub fn migrate<R: Record>(
        self,
        from: impl Into<Directory>,
        to: impl Into<Directory>,
    ) -> Result<Table<R>> {
        let (old, to) = (self.open_any(from)?, to.into());
        let schema = R::schema();
        let moves = moves(old.schema(), &schema)
            .map_err(|what| Error::refused(ErrorKind::SchemaMismatch, to.path(), what))?;
        let mut builder: AnyTableBuilder = self.replace_any(to.clone(), schema)?;
        let (mut rows, mut index) = (Vec::new(), 0u64);
        each_block(&old.part().files.rows.records, |block| {
            rows.clear();
            for row in block.chunks_exact(old.schema().record_size()) {
                let start = rows.len();
                rows.resize(start + R::SIZE, 0);
                let into = rows.get_mut(start..).unwrap_or_default();
                for step in &moves {
                    step.copy(row, into).map_err(|error| {
                        let what = format!("row {index}, field `{}`: {error}", step.name);
                        Error::refused(ErrorKind::SchemaMismatch, to.path(), what)
                    })?;
                }
                index += 1;
            }
            builder.append(&rows)
        })?;
        builder.seal()?;
        self.open(to)
    }
}

/// A field and where it comes from.
struct Move {
    name: String,
    from: Field,
    to: Field,
}

impl Move {
    fn copy(&self, row: &[u8], into: &mut [u8]) -> Result<()> {
        let start = self.to.offset() as usize;
        let into = into.get_mut(start..start + self.to.size() as usize).unwrap_or_default();
        if (self.from.kind(), self.from.byte_order()) == (self.to.kind(), self.to.byte_order()) {
            let start = self.from.offset() as usize;
            into.copy_from_slice(row.get(start..start + into.len()).unwrap_or_default());
            return Ok(());
        }
        Ok(self.to.encode(&value_of(self.from, row)?, into)?)
    }
}

/// Where each field of `new` comes from, or what is wrong.
fn moves(old: &Schema, new: &Schema) -> Result<Vec<Move>, String> {
    let mut moves = Vec::new();
    for NamedColumn { name, field, since } in new.columns() {
        match old.column(name) {
            Some(column) => {
                moves.push(Move { name: name.clone(), from: column.field(), to: *field });
            }
            None if 1 < *since => {}
            None => {
                return Err(format!(
                    "{old} has no field `{name}`, and {new} does not say `#[record(since = N)]` \
                     of it"
                ));
            }
        }
    }
    Ok(moves)
}
