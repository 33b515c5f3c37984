//! Rows of CSV, TSV and JSON lines, one by one, with their line numbers.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    ops::Range,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::Context as _;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{
    args::InputArg,
    exit::{Finding, Usage},
};

/// Bytes of a row at most: what is longer has a quote that is not closed, or no line ends.
const ROW_LEN_MAX: u64 = 64 << 20;

/// What stands in the place of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing.
    Empty,
    /// A word of CSV, or a number of JSON.
    Plain,
    /// A string of JSON.
    Text,
}

/// One row of an input; kept from row to row, so that none allocates.
#[derive(Debug, Default, Clone)]
pub(super) struct Row {
    /// Where it begins, from 1 on.
    pub(super) line: u64,
    /// Why it is no row.
    pub(super) problem: Option<String>,
    cells: Vec<(Look, Range<usize>)>,
    bytes: Vec<u8>,
    /// A line of JSON as it was read.
    text: Vec<u8>,
}

impl Row {
    /// The value in the place of a column of the input.
    pub(super) fn cell(&self, column: usize) -> (Look, &[u8]) {
        match self.cells.get(column) {
            Some((look, range)) => (*look, &self.bytes[range.clone()]),
            None => (Look::Empty, &[]),
        }
    }

    /// The row as its input has it.
    pub(super) fn text(&self) -> anyhow::Result<Vec<u8>> {
        if !self.text.is_empty() {
            return Ok(self.text.clone());
        }
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(self.cells.iter().map(|(_, range)| &self.bytes[range.clone()]))?;
        let mut text = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        text.pop_if(|last| *last == b'\n');
        Ok(text)
    }

    fn clear(&mut self, columns: usize) {
        self.problem = None;
        self.bytes.clear();
        self.cells.clear();
        self.cells.resize(columns, (Look::Empty, 0..0));
    }

    fn push(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

/// What columns the rows have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names<'n> {
    /// Those of the input, however many.
    Found,
    /// These; others are a problem of their row, unless they are left out.
    Known { columns: &'n [String], only_known: bool },
}

/// An input that is read once, from its beginning.
pub(super) struct Input {
    path: PathBuf,
    source: Source,
    columns: Vec<String>,
    places: HashMap<String, usize>,
    grows: bool,
    only_known: bool,
    /// A row that was read to count the columns.
    first: Option<Row>,
    progress: Rc<Progress>,
    /// Bytes of the file, 0 for a pipe.
    pub(super) len: u64,
}

enum Source {
    Csv(Box<csv::Reader<Limited>>, Box<csv::ByteRecord>),
    Lines(BufReader<Limited>, u64),
}

/// How an input is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options<'n> {
    pub(super) format: InputArg,
    pub(super) has_header: bool,
    pub(super) names: Names<'n>,
}

impl Input {
    /// Opens a file, or else standard input.
    pub(super) fn open(path: Option<&Path>, options: Options<'_>) -> anyhow::Result<Self> {
        let (file, name) = if let Some(path) = path {
            let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
            (file, path.to_path_buf())
        } else {
            let input = io::stdin().as_fd().try_clone_to_owned();
            (File::from(input.context("open standard input")?), "standard input".into())
        };
        let len = file.metadata().with_context(|| format!("stat {}", name.display()))?.len();
        let progress = Rc::new(Progress::default());
        let limited = Limited { file, progress: Rc::clone(&progress) };
        let source = match options.format {
            InputArg::Jsonl => Source::Lines(BufReader::with_capacity(1 << 20, limited), 0),
            format => {
                let reader = csv::ReaderBuilder::new()
                    .delimiter(if format == InputArg::Tsv { b'\t' } else { b',' })
                    .has_headers(false)
                    .flexible(true)
                    .buffer_capacity(1 << 20)
                    .from_reader(limited);
                Source::Csv(Box::new(reader), Box::default())
            }
        };
        let (columns, only_known) = match options.names {
            Names::Found => (Vec::new(), false),
            Names::Known { columns, only_known } => (columns.to_vec(), only_known),
        };
        let grows = matches!(options.names, Names::Found);
        let places = HashMap::new();
        let (path, first) = (name, None);
        let mut input =
            Self { path, source, columns, places, grows, only_known, first, progress, len };
        input.begin(options.has_header)?;
        Ok(input)
    }

    /// The columns that rows have, as far as they are known: of JSON, more may follow.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes read so far.
    pub(super) fn read_len(&self) -> u64 {
        self.progress.read.get()
    }

    /// Reads the names of columns, where they are in the input.
    fn begin(&mut self, has_header: bool) -> anyhow::Result<()> {
        if matches!(self.source, Source::Csv(..)) && has_header {
            let mut row = Row::default();
            self.columns.clear();
            self.next(&mut row)?;
            for number in 0..row.cells.len() {
                let name = str::from_utf8(row.cell(number).1);
                let name = name.map_err(|_| self.refused("a name of a column is no UTF-8"))?;
                self.columns.push(name.to_owned());
            }
        } else if matches!(self.source, Source::Csv(..)) && self.grows {
            let mut row = Row::default();
            if self.next(&mut row)? {
                self.columns = (1..=row.cells.len()).map(|number| format!("c{number}")).collect();
                self.first = Some(row);
            }
        }
        for (number, name) in self.columns.iter().enumerate() {
            if self.places.insert(name.clone(), number).is_some() {
                return Err(self.refused(&format!("two columns are named `{name}`")));
            }
        }
        Ok(())
    }

    fn refused(&self, what: &str) -> anyhow::Error {
        Usage(format!("{}: {what}", self.path.display())).into()
    }

    /// Reads the next row; false at the end. A row with a problem has its text alone.
    pub(super) fn next(&mut self, row: &mut Row) -> anyhow::Result<bool> {
        if let Some(first) = self.first.take() {
            *row = first;
            return Ok(true);
        }
        let read = match &mut self.source {
            Source::Csv(reader, record) => {
                next_csv(reader, record, (row, self.columns.len()), &self.progress)
            }
            Source::Lines(reader, line) => next_line(reader, line, row, &self.progress),
        };
        let is_row = read.map_err(|error| told(error, &self.path, row.line))?;
        if is_row && matches!(self.source, Source::Lines(..)) {
            self.split(row);
        }
        Ok(is_row)
    }

    /// Takes a line of JSON apart.
    fn split(&mut self, row: &mut Row) {
        row.clear(self.columns.len());
        let text = std::mem::take(&mut row.text);
        let parsed: Result<Pairs<'_>, _> = serde_json::from_slice(&text);
        match parsed {
            Ok(Pairs(pairs)) => {
                for (name, value) in pairs {
                    if let Err(problem) = self.put(row, &name, value.get()) {
                        row.problem = Some(problem);
                        break;
                    }
                }
            }
            Err(error) => row.problem = Some(format!("no object of JSON: {error}")),
        }
        row.text = text;
    }

    fn put(&mut self, row: &mut Row, name: &str, value: &str) -> Result<(), String> {
        let place = match self.places.get(name) {
            Some(&place) => place,
            None if self.only_known => return Ok(()),
            None if self.grows => {
                let place = self.columns.len();
                self.columns.push(name.to_owned());
                self.places.insert(name.to_owned(), place);
                row.cells.resize(self.columns.len(), (Look::Empty, 0..0));
                place
            }
            None => return Err(format!("there is no column `{name}`")),
        };
        let taken = match value.as_bytes().first() {
            Some(b'n') => return Ok(()),
            Some(b'[' | b'{') => return Err(format!("column `{name}`: no single value")),
            Some(b'"') => {
                let text: String = serde_json::from_str(value).map_err(|why| why.to_string())?;
                (Look::Text, row.push(text.as_bytes()))
            }
            Some(b't') => (Look::Plain, row.push(b"1")),
            Some(b'f') => (Look::Plain, row.push(b"0")),
            _ => (Look::Plain, row.push(value.as_bytes())),
        };
        match row.cells.get_mut(place) {
            Some((Look::Empty, range)) if *range == (0..0) => row.cells[place] = taken,
            _ => return Err(format!("column `{name}` is there twice")),
        }
        Ok(())
    }
}

fn told(error: anyhow::Error, path: &Path, line: u64) -> anyhow::Error {
    let is_long = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>();
        io.and_then(io::Error::get_ref)
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<TooLong>)
    };
    let place = format!("{}: behind line {line}", path.display());
    if error.chain().any(is_long) {
        return Finding(format!("{place}: {TooLong}")).into();
    }
    error.context(place)
}

fn next_csv(
    reader: &mut csv::Reader<Limited>,
    record: &mut csv::ByteRecord,
    (row, columns): (&mut Row, usize),
    progress: &Progress,
) -> anyhow::Result<bool> {
    if !reader.read_byte_record(record)? {
        return Ok(false);
    }
    progress.begin_row();
    row.clear(0);
    // The reader has counted the ends of lines so far: those inside the row, and its own unless
    // that is the `\n` behind a `\r`, which it looks at next time.
    let end = reader.position();
    row.line = end.line() - u64::from(progress.byte_before(end.byte()) == Some(b'\n'));
    for cell in record.iter() {
        let range = row.push(cell);
        row.line -= cell.split(|&byte| byte == b'\n').skip(1).count() as u64;
        row.cells.push((if cell.is_empty() { Look::Empty } else { Look::Plain }, range));
    }
    if columns != 0 && row.cells.len() != columns {
        let (found, expected) = (row.cells.len(), columns);
        row.problem = Some(format!("{found} values, expected {expected}"));
    }
    Ok(true)
}

/// Reads a line that is not empty.
fn next_line(
    reader: &mut BufReader<Limited>,
    line: &mut u64,
    row: &mut Row,
    progress: &Progress,
) -> anyhow::Result<bool> {
    loop {
        row.text.clear();
        if reader.read_until(b'\n', &mut row.text)? == 0 {
            return Ok(false);
        }
        progress.begin_row();
        *line += 1;
        row.line = *line;
        if *line == 1 && row.text.starts_with(b"\xef\xbb\xbf") {
            row.text.drain(..3);
        }
        let len = row.text.trim_ascii_end().len();
        row.text.truncate(len);
        if 0 < len {
            return Ok(true);
        }
    }
}

/// The pairs of an object, values as they are written, so that no digit is lost.
struct Pairs<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// How far an input has been read.
#[derive(Debug, Default)]
struct Progress {
    read: Cell<u64>,
    /// As much as had been read when the last row began, or more.
    row: Cell<u64>,
    /// What was read last, and the byte before.
    last: RefCell<Vec<u8>>,
}

impl Progress {
    fn begin_row(&self) {
        self.row.set(self.read.get());
    }

    /// The byte before an offset in what was read last.
    fn byte_before(&self, offset: u64) -> Option<u8> {
        let last = self.last.borrow();
        let behind = usize::try_from(self.read.get().checked_sub(offset)?).ok()?;
        last.get(last.len().checked_sub(behind + 1)?).copied()
    }

    fn add(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.read.set(self.read.get() + bytes.len() as u64);
        let mut last = self.last.borrow_mut();
        let before = last.len().saturating_sub(1);
        last.drain(..before);
        last.extend_from_slice(bytes);
    }
}

/// A file that ends a row without end.
struct Limited {
    file: File,
    progress: Rc<Progress>,
}

impl Read for Limited {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let progress = &self.progress;
        if ROW_LEN_MAX < progress.read.get() - progress.row.get() {
            return Err(io::Error::other(TooLong));
        }
        let count = self.file.read(into)?;
        progress.add(&into[..count]);
        Ok(count)
    }
}

#[derive(Debug)]
struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "more than {ROW_LEN_MAX} bytes without the end of a row")
    }
}

impl std::error::Error for TooLong {}
