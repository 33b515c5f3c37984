//! `pagestone heapdump note`: notes in an index.

use pagestone_heapdump::Notes;
use serde::Serialize;

use crate::{
    args::{IndexArgs, NoteAddArgs, NoteCommand},
    output::{Align, Cell, Format, Listing, Output, date},
    trust,
};

#[derive(Serialize)]
struct Added {
    number: u64,
}

pub(super) fn run(command: NoteCommand, out: &mut Output) -> anyhow::Result<()> {
    match command {
        NoteCommand::Add(args) => add(&args, out),
        NoteCommand::List(args) => list(&args, out),
    }
}

fn add(args: &NoteAddArgs, out: &mut Output) -> anyhow::Result<()> {
    let notes = Notes::of(&trust::directory(&args.index.directory))?;
    let number = notes.add(args.object, &args.text)?;
    if out.format() == Format::Json {
        return out.json(&Added { number });
    }
    out.took()
}

fn list(args: &IndexArgs, out: &mut Output) -> anyhow::Result<()> {
    let notes = Notes::of(&trust::directory(&args.directory))?.list()?;
    if out.format() == Format::Json {
        return notes.iter().try_for_each(|note| out.json(note));
    }
    let columns = [("written", Align::Left), ("object", Align::Right), ("note", Align::Left)];
    let mut listing = Listing::new(out.format(), columns);
    for note in notes {
        let object = note.object.map(|id| format!("{id:#x}")).unwrap_or_default();
        let cells =
            vec![Cell::text(date(note.timestamp_ms)), Cell::text(object), Cell::text(note.text)];
        listing.row(out, cells)?;
    }
    listing.end(out)?;
    out.took()
}
