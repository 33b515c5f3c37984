//! `pagestone heapdump`: builds the index of a Java heap dump and asks it.

mod build;
mod info;
mod top;
mod class;
mod obj;
mod references;
mod retained;
mod verify;
mod strings;
mod find;
mod diff;
mod note;

use std::path::Path;

use pagestone_heapdump::{HeapIndex, Summary};

use self::references::Side;
use crate::{
    args::{HeapdumpCommand, IndexArgs},
    output::{Output, complain, thousands},
    trust,
};

pub(crate) fn run(command: HeapdumpCommand, out: &mut Output) -> anyhow::Result<()> {
    match command {
        HeapdumpCommand::Build(args) => build::run(&args, out),
        HeapdumpCommand::Info(args) => info::run(&args, out),
        HeapdumpCommand::Top(args) => top::run(&args, out),
        HeapdumpCommand::Class(args) => class::run(&args, out),
        HeapdumpCommand::Obj(args) => obj::run(&args, out),
        HeapdumpCommand::In(args) => references::run(&args, Side::Inbound, out),
        HeapdumpCommand::Out(args) => references::run(&args, Side::Outbound, out),
        HeapdumpCommand::Path(args) => references::path(&args, out),
        HeapdumpCommand::Retained(args) => retained::run(&args, out),
        HeapdumpCommand::Verify(args) => verify::run(&args, out),
        HeapdumpCommand::Strings(args) => strings::run(&args, out),
        HeapdumpCommand::Find(args) => find::run(&args, out),
        HeapdumpCommand::Diff(args) => diff::run(&args, out),
        HeapdumpCommand::Note(command) => note::run(command, out),
    }
}

fn open(directory: &Path) -> anyhow::Result<HeapIndex> {
    Ok(HeapIndex::open(&trust::directory(directory))?)
}

/// Opens an index to answer a question, and says so when it covers a part of the dump only.
fn open_to_ask(directory: &Path) -> anyhow::Result<HeapIndex> {
    let index = open(directory)?;
    let summary = index.summary();
    if let Some(first) = summary.damages.first() {
        let count = thousands(summary.damage_count);
        complain(format_args!(
            "{}: note: the index is partial, parts of the dump that could not be read: {count}, \
             the first at {first}",
            directory.display()
        ));
    }
    Ok(index)
}

/// Says that an object is not there.
fn no_object(index: &IndexArgs, id: u64, out: &mut Output) -> anyhow::Result<()> {
    out.finding(format_args!("{}: no object {id:#x}", index.directory.display()))
}

/// How many a limit given to the command allows.
fn limit(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}

/// Tells of every damage of the dump that is known.
fn tell_damages(summary: &Summary, out: &mut Output) -> anyhow::Result<()> {
    let dump = &summary.dump_path;
    for damage in &summary.damages {
        out.finding(format_args!("{dump}: {damage}"))?;
    }
    let more = summary.damage_count.saturating_sub(summary.damages.len() as u64);
    if 0 < more {
        out.finding(format_args!("{dump}: {} more damages", thousands(more)))?;
    }
    Ok(())
}
