//! Where the rows of an import go: a build, or the table that is there.

use pagestone_index::{AnyDelta, AnyTable, AnyTableBuilder, ErrorKind, Result};

use super::{input::Row, rejects::Rejects};

pub(super) enum Target {
    /// A build, which sorts them with those that stay.
    Build(AnyTableBuilder),
    /// The table that is there, whose unique keys they must not have; and the rows of the batch
    /// as the input has them.
    Delta(AnyDelta, Vec<Row>),
}

impl Target {
    /// Remembers what the next row of the batch was, where it may be refused later.
    pub(super) fn keep(&mut self, row: &Row) {
        if let Self::Delta(_, rows) = self {
            rows.push(row.clone());
        }
    }

    /// Appends the rows of a batch and empties it; returns how many were refused.
    pub(super) fn take(
        &mut self,
        batch: &mut Vec<u8>,
        rejects: &mut Rejects,
    ) -> anyhow::Result<u64> {
        let refused = match self {
            Self::Build(builder) => {
                builder.append(batch)?;
                0
            }
            Self::Delta(delta, rows) => {
                let refused = append(delta, (rows, batch), rejects)?;
                rows.clear();
                refused
            }
        };
        batch.clear();
        Ok(refused)
    }

    /// Publishes the table.
    pub(super) fn finish(self) -> Result<AnyTable> {
        match self {
            Self::Build(builder) => builder.seal(),
            Self::Delta(delta, _) => delta.merge(),
        }
    }
}

/// Appends rows; halves them until those whose keys are there already stand alone.
fn append(
    delta: &AnyDelta,
    (rows, bytes): (&[Row], &[u8]),
    rejects: &mut Rejects,
) -> anyhow::Result<u64> {
    match delta.append(bytes) {
        Err(error) if error.kind() == ErrorKind::Duplicate => {
            if let [row] = rows {
                let key = error.duplicate_keys().map_or("a key", |keys| &keys.key);
                rejects.add(row, &format!("another row has its `{key}`"))?;
                return Ok(1);
            }
            let middle = rows.len() / 2;
            let (first, second) = rows.split_at(middle);
            let (first_bytes, second_bytes) = bytes.split_at(bytes.len() / rows.len() * middle);
            let refused = append(delta, (first, first_bytes), rejects)?;
            Ok(refused + append(delta, (second, second_bytes), rejects)?)
        }
        appended => Ok(appended.map(|()| 0)?),
    }
}
