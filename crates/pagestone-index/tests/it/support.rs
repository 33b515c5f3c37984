//! Directories, rows, and what a table holds.

use std::path::PathBuf;

use pagestone_index::{Column, Record, Table, TableBuilder, TableOptions};
use pagestone_storage::{Backing, TrustedDir, le::U64};
use zerocopy::big_endian;

/// A directory of its own, removed when dropped.
pub(crate) struct Dir {
    inner: tempfile::TempDir,
}

impl Dir {
    pub(crate) fn new() -> Self {
        // In memory where there is such a place: builds sync a dozen times.
        let inner = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self { inner: inner.unwrap() }
    }

    /// The directory of a table.
    pub(crate) fn table(&self) -> PathBuf {
        self.inner.path().join("table")
    }

    /// The same, trusted.
    pub(crate) fn trusted(&self) -> TrustedDir {
        #[expect(unsafe_code, reason = "the directory is this test's own")]
        // SAFETY: nobody else knows the temporary directory.
        unsafe {
            TrustedDir::assert(self.table())
        }
    }

    /// The names in the directory of the table, sorted, the lock file left out.
    pub(crate) fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.table()) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lock");
        names.sort();
        names
    }
}

/// A row with a key of every sort.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
#[index(multi, by_group(group, score))]
pub(crate) struct Row {
    #[index(canonical)]
    pub(crate) place: U64,
    #[index(unique)]
    pub(crate) id: big_endian::U64,
    #[index(multi)]
    pub(crate) score: f64,
    #[index(multi)]
    pub(crate) group: i32,
    #[index(multi)]
    pub(crate) tag: [u8; 4],
    #[index(multi)]
    pub(crate) name: [u8; 24],
}

impl Row {
    pub(crate) fn new(place: u64, id: u64) -> Self {
        let mut name = [b'_'; 24];
        name[..8].copy_from_slice(&id.swap_bytes().to_le_bytes());
        Self { place: place.into(), id: id.into(), score: 0.0, group: 0, tag: *b"none", name }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; Self::SIZE];
        self.write(&mut bytes);
        bytes
    }
}

/// Rows whose keys repeat, in no order.
pub(crate) fn rows(count: u64) -> Vec<Row> {
    (0..count)
        .map(|number| {
            let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
            Row {
                score: f64::from(i32::try_from(mixed % 7).unwrap()) - 3.0,
                group: i32::try_from(mixed % 11).unwrap() - 5,
                tag: [b'a' + (mixed % 3) as u8, b'a' + (mixed % 5) as u8, 0, b'z'],
                ..Row::new(mixed % (count / 2 + 1), mixed)
            }
        })
        .collect()
}

/// Builds a table of these rows.
pub(crate) fn build(dir: &Dir, rows: &[Row]) -> Table<Row> {
    build_with(dir, rows, TableOptions::new())
}

pub(crate) fn build_with(dir: &Dir, rows: &[Row], options: TableOptions) -> Table<Row> {
    let mut builder: TableBuilder<Row> = options.replace(dir.trusted()).unwrap();
    builder.extend(rows).unwrap();
    builder.seal().unwrap()
}

pub(crate) const BACKINGS: [Backing; 3] = [Backing::File, Backing::Map, Backing::Windowed];
