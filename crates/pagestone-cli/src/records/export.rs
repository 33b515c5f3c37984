//! `pagestone records export`: all records as CSV or as lines of JSON.

use super::{columns::Columns, files};
use crate::{
    args::{ExportArgs, FormatArg},
    output::{Format, Listing, Output},
};

pub(super) fn run(args: &ExportArgs, out: &mut Output) -> anyhow::Result<()> {
    let is_json = args.format == FormatArg::Json || out.format() == Format::Json;
    let format = if is_json { Format::Json } else { Format::Csv };
    let columns = Columns::new(&args.columns, &args.file, format)?;
    let records = files::read(&args.file)?;
    let mut listing = Listing::new(format, columns.titles(&[]));
    for record in &records {
        let mut row = Vec::new();
        columns.put(Some(&record?), &mut row)?;
        listing.row(out, row)?;
    }
    listing.end(out)
}
