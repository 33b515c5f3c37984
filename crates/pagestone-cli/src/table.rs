//! `pagestone table`: directories of typed, indexed rows.

mod schema; // the schema as text
mod cells; // values of columns, to and from text
mod input; // rows of CSV, TSV and JSON lines
mod infer; // a schema that fits an input
mod rejects; // the side file of rows that do not fit
mod import;
mod target; // where rows of an import go
mod duplicates; // the lines of rows that have one unique key
mod rows; // get, range, top, export
mod join;
mod info;
mod verify;

use std::{fs, path::Path};

use anyhow::Context as _;
use pagestone_index::{AnyTable, TableOptions};

use crate::{
    args::{CreateArgs, TableCommand},
    output::{Format, Output},
    trust,
};

pub(crate) fn run(command: TableCommand, out: &mut Output) -> anyhow::Result<()> {
    match command {
        TableCommand::Create(args) => create(&args, out),
        TableCommand::Info(args) => info::run(&args, out),
        TableCommand::Import(args) => import::run(&args, out),
        TableCommand::Get(args) => rows::get(&args, out),
        TableCommand::Range(args) => rows::range(&args, out),
        TableCommand::Top(args) => rows::top(&args, out),
        TableCommand::Join(args) => join::run(&args, out),
        TableCommand::Export(args) => rows::export(&args, out),
        TableCommand::Verify(args) => verify::run(&args, out),
    }
}

fn open(path: &Path) -> anyhow::Result<AnyTable> {
    Ok(TableOptions::new().open_any(trust::directory(path))?)
}

fn create(args: &CreateArgs, out: &mut Output) -> anyhow::Result<()> {
    let path = &args.table.table;
    let schema = schema::read(&args.schema, &name_of(path))?;
    let table = TableOptions::new().create_any(path, schema)?.seal()?;
    if out.format() == Format::Json {
        return info::tell_programs(path, &table, out);
    }
    let (columns, keys) = (table.schema().columns().len(), table.schema().keys().len());
    let path = path.display();
    out.line(format_args!("{path}: a table of {columns} columns and {keys} keys, without rows"))?;
    out.took()
}

/// What a table is called: the name of its directory.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.chars().filter(|character| !character.is_control()).collect()
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
