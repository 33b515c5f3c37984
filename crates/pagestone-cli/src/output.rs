//! What goes to standard output, for people or for programs, and to standard error.

mod cell; // one value, for people, as CSV, as JSON
mod facts; // names and values, one pair per line
mod listing; // rows of cells: a table, JSON lines, CSV
mod number; // thousands separators, hexadecimal, times, dates

pub(crate) use self::{
    cell::Cell,
    facts::Facts,
    listing::{Align, Listing},
    number::{date, elapsed, hex, thousands},
};

use std::{
    env, fmt,
    io::{self, BufWriter, IsTerminal as _, StdoutLock, Write as _, stderr, stdout},
    time::Instant,
};

use serde::Serialize;

/// Whom standard output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Tables and words.
    People,
    /// JSON, one object per line.
    Json,
    /// Comma-separated values.
    Csv,
}

/// How much a table may use of what a terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Plain ASCII, for files and pipes.
    Plain,
    /// Lines drawn, no escape sequences.
    Drawn,
    /// With a bold header.
    Styled,
}

/// Nobody reads standard output any more.
#[derive(Debug)]
pub(crate) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("standard output was closed")
    }
}

impl std::error::Error for Closed {}

/// Standard output, and whether anything was found that the exit code must tell.
#[derive(Debug)]
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    format: Format,
    look: Look,
    began: Instant,
    has_finding: bool,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        let has_colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let look = match (stdout().is_terminal(), has_colour) {
            (false, _) => Look::Plain,
            (true, false) => Look::Drawn,
            (true, true) => Look::Styled,
        };
        let writer = BufWriter::with_capacity(64 << 10, stdout().lock());
        Self { writer, format, look, began: Instant::now(), has_finding: false }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn look(&self) -> Look {
        self.look
    }

    pub(crate) fn has_finding(&self) -> bool {
        self.has_finding
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        told(self.writer.write_all(bytes))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> anyhow::Result<()> {
        told(writeln!(self.writer, "{text}"))
    }

    /// Writes an object as a line of JSON.
    pub(crate) fn json(&mut self, object: &impl Serialize) -> anyhow::Result<()> {
        match serde_json::to_writer(&mut self.writer, object) {
            Err(error) if error.is_io() => told(Err(error.into()))?,
            written => written?,
        }
        self.bytes(b"\n")
    }

    /// Ends an answer: people are told how long it took.
    pub(crate) fn took(&mut self) -> anyhow::Result<()> {
        if self.format != Format::People {
            return Ok(());
        }
        let elapsed = elapsed(self.began.elapsed());
        self.line(format_args!("[{elapsed}]"))
    }

    /// Tells of something that is wrong or not there, and has the exit code say so.
    pub(crate) fn finding(&mut self, message: impl fmt::Display) -> anyhow::Result<()> {
        self.has_finding = true;
        // In the order in which it was said, where both go to one terminal.
        self.flush()?;
        complain(message);
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        told(self.writer.flush())
    }
}

fn told(written: io::Result<()>) -> anyhow::Result<()> {
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Closed.into(),
        _ => anyhow::Error::new(error).context("write standard output"),
    })
}

/// Writes a line to standard error.
pub(crate) fn complain(message: impl fmt::Display) {
    let message = cell::printable(&message.to_string());
    // There is nowhere to complain about standard error.
    drop(writeln!(stderr().lock(), "pagestone: {message}"));
}
