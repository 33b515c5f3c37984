//! `pagestone table import`: rows of CSV, TSV or JSON lines, in batches through the builder.

use std::{ffi::OsString, path::PathBuf, thread};

use pagestone_index::{AnyTable, ErrorKind, KeyOrder, NamedColumn, Schema, TableOptions};
use pagestone_storage::{Kind, Value};
use serde::Serialize;

use super::{
    cells, duplicates, infer,
    input::{Input, Look, Names, Options, Row},
    name_of, open,
    rejects::Rejects,
    schema,
    target::Target,
};
use crate::{
    args::{ImportArgs, InputArg},
    exit::Usage,
    output::{Format, Output, thousands},
    progress::Bar,
    trust,
};

/// Bytes of rows that are appended at once, about.
const BATCH: usize = 1 << 20;

#[derive(Serialize)]
struct Outcome {
    table: String,
    published: bool,
    version: Option<u64>,
    rows: Option<u64>,
    added: u64,
    rejected: u64,
    rejects: Option<String>,
}

pub(super) fn run(args: &ImportArgs, out: &mut Output) -> anyhow::Result<()> {
    let path = &args.table.table;
    let older = match open(path) {
        Err(error) if is_absent(&error) => None,
        older => Some(older?),
    };
    let format = format(args)?;
    let schema = schema_of(args, (older.as_ref(), format))?;
    let names: Vec<String> = schema.columns().iter().map(|column| column.name().into()).collect();
    let known = Names::Known { columns: &names, only_known: args.fit.only_known };
    let options = Options { format, has_header: !args.no_header, names: known };
    let input = Input::open(args.input.as_deref(), options)?;
    let places = places(&input, &names, args)?;
    let mut rejects = Rejects::new(rejects_path(args))?;
    let mut target = start(args, (older.as_ref(), &schema))?;
    let bar = Bar::new("import");
    let input_path = input.path().to_path_buf();
    let import =
        Import { columns: schema.columns(), places, empty_is_zero: args.fit.empty_is_zero };
    let added = import.run((input, &mut rejects), &mut target, &bar)?;
    rejects.sync()?;
    let table = if args.fit.strict && 0 < rejects.count {
        None
    } else {
        bar.say("sort and publish");
        match target.finish() {
            Err(error) => {
                drop(bar);
                if let Some(keys) = error.duplicate_keys().filter(|_| is_file(args)) {
                    let again = Input::open(args.input.as_deref(), options)?;
                    duplicates::tell((again, &import), (&schema, keys), out)?;
                }
                return Err(error.into());
            }
            table => Some(table?),
        }
    };
    drop(bar);
    tell(args, (table.as_ref(), added, &rejects), out)?;
    rejects.tell(&input_path, out)
}

/// Whether the input can be read twice.
fn is_file(args: &ImportArgs) -> bool {
    args.input.as_ref().is_some_and(|path| path.is_file())
}

fn is_absent(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<pagestone_index::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

fn tell(
    args: &ImportArgs,
    (table, added, rejects): (Option<&AnyTable>, u64, &Rejects),
    out: &mut Output,
) -> anyhow::Result<()> {
    let path = &args.table.table;
    if out.format() == Format::Json {
        let side = (0 < rejects.count).then(|| rejects.path.to_string_lossy().into_owned());
        return out.json(&Outcome {
            table: path.to_string_lossy().into_owned(),
            published: table.is_some(),
            version: table.map(AnyTable::version),
            rows: table.map(AnyTable::len),
            added: if table.is_some() { added } else { 0 },
            rejected: rejects.count,
            rejects: side,
        });
    }
    let path = path.display();
    match table {
        Some(table) => {
            let (added, rows) = (thousands(added), thousands(table.len()));
            out.line(format_args!("{path}: {added} rows added, {rows} in all"))?;
        }
        None => out.line(format_args!("{path}: nothing published"))?,
    }
    out.took()
}

/// What the input is, by word or by the name of the file.
fn format(args: &ImportArgs) -> anyhow::Result<InputArg> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let extension = args.input.as_ref().and_then(|path| path.extension()?.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok(InputArg::Csv),
        Some("tsv" | "tab") => Ok(InputArg::Tsv),
        Some("jsonl" | "ndjson" | "json") => Ok(InputArg::Jsonl),
        _ => Err(Usage("what is the input? --format csv, tsv or jsonl says it".to_owned()).into()),
    }
}

/// The schema of the table that is there, of a file, or of the input, which then is read twice.
fn schema_of(
    args: &ImportArgs,
    (older, format): (Option<&AnyTable>, InputArg),
) -> anyhow::Result<Schema> {
    let says_keys = args.canonical.is_some() || !args.unique.is_empty() || !args.multi.is_empty();
    if let Some(older) = older {
        if !says_keys && args.schema.is_none() {
            return Ok(older.schema().clone());
        }
        if !args.replace {
            let path = args.table.table.display();
            let what = format!("{path} has a schema; only with --replace it gets another");
            return Err(Usage(what).into());
        }
    }
    let name = name_of(&args.table.table);
    if let Some(path) = &args.schema {
        return schema::read(path, &name);
    }
    if !is_file(args) {
        let what = "a pipe is read once: name its --schema, or a file, which is read twice";
        return Err(Usage(what.to_owned()).into());
    }
    let options = Options { format, has_header: !args.no_header, names: Names::Found };
    let mut draft = infer::draft(Input::open(args.input.as_deref(), options)?)?;
    for (keys, order) in [
        (args.canonical.as_slice(), KeyOrder::Canonical),
        (args.unique.as_slice(), KeyOrder::Unique),
        (args.multi.as_slice(), KeyOrder::Multi),
    ] {
        keys.iter().try_for_each(|key| draft.key(key, order))?;
    }
    draft.build(&name)
}

/// Where in a row of the input each column of the table stands.
fn places(input: &Input, names: &[String], args: &ImportArgs) -> anyhow::Result<Vec<usize>> {
    let path = input.path().display();
    if !args.fit.only_known
        && let Some(extra) = input.columns().iter().find(|name| !names.contains(name))
    {
        let what = format!("{path}: the table has no column `{extra}`; --only-known leaves it out");
        return Err(Usage(what).into());
    }
    let place = |name: &String| {
        let found = input.columns().iter().position(|column| column == name);
        found.ok_or_else(|| Usage(format!("{path}: there is no column `{name}`")).into())
    };
    names.iter().map(place).collect()
}

fn rejects_path(args: &ImportArgs) -> PathBuf {
    args.fit.rejects.clone().unwrap_or_else(|| {
        let mut name = OsString::from(args.table.table.components().as_path());
        name.push(".rejected.csv");
        name.into()
    })
}

/// Starts the build, with the rows that stay, or opens the table to append to it.
fn start(
    args: &ImportArgs,
    (older, schema): (Option<&AnyTable>, &Schema),
) -> anyhow::Result<Target> {
    let path = &args.table.table;
    let threads = args.threads.or_else(|| thread::available_parallelism().ok().map(usize::from));
    let options = TableOptions::new().memory(args.memory).threads(threads.unwrap_or(1));
    let directory = trust::directory(path);
    let same = |found: &Schema| {
        let what = || Usage(format!("{} has got another schema meanwhile", path.display()));
        if found == schema { Ok(()) } else { Err(what()) }
    };
    if args.append {
        let delta = options.append_to_any(directory)?;
        same(delta.table().schema())?;
        return Ok(Target::Delta(delta, Vec::new()));
    }
    if older.is_none() {
        return Ok(Target::Build(options.create_any(directory, schema.clone())?));
    }
    let mut builder = options.replace_any(directory, schema.clone())?;
    if args.replace {
        return Ok(Target::Build(builder));
    }
    // Under the builder's lock: nobody else publishes a version from here on.
    let older = open(path)?;
    same(older.schema())?;
    let mut batch = Vec::new();
    for index in 0..older.len() {
        older.with_row(index, |row| batch.extend_from_slice(row))?;
        if BATCH <= batch.len() {
            builder.append(&batch)?;
            batch.clear();
        }
    }
    builder.append(&batch)?;
    Ok(Target::Build(builder))
}

/// How rows of an input become rows of a table.
pub(super) struct Import<'s> {
    columns: &'s [NamedColumn],
    places: Vec<usize>,
    empty_is_zero: bool,
}

impl Import<'_> {
    /// Appends all rows that fit; returns how many they were.
    fn run(
        &self,
        (mut input, rejects): (Input, &mut Rejects),
        target: &mut Target,
        bar: &Bar,
    ) -> anyhow::Result<u64> {
        let (mut row, mut batch, mut added) = (Row::default(), Vec::new(), 0u64);
        let ends =
            self.columns.iter().map(|column| column.field().offset() + column.field().size());
        let size = ends.max().unwrap_or(0) as usize;
        while input.next(&mut row)? {
            let start = batch.len();
            batch.resize(start + size, 0);
            match self.encode(&row, &mut batch[start..]) {
                Ok(()) => {
                    added += 1;
                    target.keep(&row);
                }
                Err(why) => {
                    batch.truncate(start);
                    rejects.add(&row, &why)?;
                }
            }
            if BATCH <= batch.len() {
                added -= target.take(&mut batch, rejects)?;
            }
            bar.set(input.read_len(), input.len);
        }
        added -= target.take(&mut batch, rejects)?;
        Ok(added)
    }

    pub(super) fn encode(&self, row: &Row, into: &mut [u8]) -> Result<(), String> {
        if let Some(problem) = &row.problem {
            return Err(problem.clone());
        }
        for (column, &place) in self.columns.iter().zip(&self.places) {
            let field = column.field();
            let refused = |text: &[u8], expected: &str| {
                let text: String = String::from_utf8_lossy(text).chars().take(40).collect();
                format!("column `{}`: {text:?}, expected {expected}", column.name())
            };
            let value = match row.cell(place) {
                (Look::Empty, _) if self.empty_is_zero => match field.kind() {
                    Kind::F32 | Kind::F64 => Ok(Value::Float(0.0)),
                    Kind::Bytes(_) => cells::parse(field, b""),
                    _ => Ok(Value::Unsigned(0)),
                },
                (_, text) => cells::parse(field, text),
            };
            let text = row.cell(place).1;
            let value = value.map_err(|expected| refused(text, expected))?;
            let start = field.offset() as usize;
            let bytes = &mut into[start..start + field.size() as usize];
            field.encode(&value, bytes).map_err(|_| refused(text, &schema::kind_text(field)))?;
        }
        Ok(())
    }
}
