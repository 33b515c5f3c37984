//! The side file of rows that do not fit: line, reason, row.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::input::Row;
use crate::{
    exit::Usage,
    output::{Output, thousands},
};

/// Rows that standard error tells of one by one.
const TOLD_MAX: u64 = 5;

/// Rows that were not taken; without any, there is no file.
pub(super) struct Rejects {
    pub(super) path: PathBuf,
    pub(super) count: u64,
    writer: Option<csv::Writer<BufWriter<File>>>,
    told: Vec<String>,
}

impl Rejects {
    /// Refuses a file that is there: it may hold the rows of another import.
    pub(super) fn new(path: PathBuf) -> anyhow::Result<Self> {
        if path.symlink_metadata().is_ok() {
            let path = path.display();
            let what = format!("{path} is there: remove it, or name another by --rejects");
            return Err(Usage(what).into());
        }
        Ok(Self { path, count: 0, writer: None, told: Vec::new() })
    }

    pub(super) fn add(&mut self, row: &Row, why: &str) -> anyhow::Result<()> {
        self.count += 1;
        if self.count <= TOLD_MAX {
            self.told.push(format!("line {}: {why}", row.line));
        }
        let write = || format!("write {}", self.path.display());
        let writer = if let Some(writer) = &mut self.writer {
            writer
        } else {
            let file = File::create_new(&self.path).with_context(write)?;
            let mut writer = csv::Writer::from_writer(BufWriter::new(file));
            writer.write_record(["line", "why", "row"]).with_context(write)?;
            self.writer.insert(writer)
        };
        let fields = [row.line.to_string().into_bytes(), why.as_bytes().to_vec(), row.text()?];
        writer.write_record(fields).with_context(write)
    }

    /// Has the file on the device, before anything is published without its rows.
    pub(super) fn sync(&mut self) -> anyhow::Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let synced = || -> io::Result<()> {
            let mut buffer = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
            buffer.flush()?;
            buffer.get_ref().sync_all()
        };
        synced().with_context(|| format!("write {}", self.path.display()))
    }

    /// Tells of the rows as findings.
    pub(super) fn tell(&self, input: &Path, out: &mut Output) -> anyhow::Result<()> {
        let input = input.display();
        for told in &self.told {
            out.finding(format_args!("{input}: {told}"))?;
        }
        if 0 < self.count {
            let (count, path) = (thousands(self.count), self.path.display());
            out.finding(format_args!("{input}: {count} rows do not fit; they are in {path}"))?;
        }
        Ok(())
    }
}
