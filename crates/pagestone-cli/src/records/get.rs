//! `pagestone records head` and `get`: records by index.

use pagestone_storage::ErrorKind;

use super::{columns::Columns, files};
use crate::{
    args::{GetArgs, HeadArgs},
    output::{Align, Cell, Listing, Output},
};

const INDEX: (&str, Align) = ("index", Align::Right);

pub(super) fn head(args: &HeadArgs, out: &mut Output) -> anyhow::Result<()> {
    let columns = Columns::new(&args.columns, &args.file, out.format())?;
    let records = files::read(&args.file)?;
    let mut listing = Listing::new(out.format(), columns.titles(&[INDEX]));
    let end = args.from.saturating_add(args.count);
    for (index, record) in (args.from..).zip(records.range(args.from..end)) {
        let mut row = vec![Cell::from(index)];
        columns.put(Some(&record?), &mut row)?;
        listing.row(out, row)?;
    }
    listing.end(out)?;
    out.took()
}

pub(super) fn get(args: &GetArgs, out: &mut Output) -> anyhow::Result<()> {
    let columns = Columns::new(&args.columns, &args.file, out.format())?;
    let records = files::read(&args.file)?;
    let mut listing = Listing::new(out.format(), columns.titles(&[INDEX]));
    let mut absent = Vec::new();
    for &index in &args.indexes {
        let record = match records.get(index) {
            Err(error) if error.kind() == ErrorKind::OutOfRange => {
                absent.push(error);
                continue;
            }
            record => record?,
        };
        let mut row = vec![Cell::from(index)];
        columns.put(Some(&record), &mut row)?;
        listing.row(out, row)?;
    }
    listing.end(out)?;
    out.took()?;
    absent.iter().try_for_each(|error| out.finding(error))
}
