//! `pagestone table join`: the rows of two tables that have the same key.

use pagestone_index::{AnyBy, AnyTable};
use pagestone_storage::{Field, Kind, Value};

use super::{cells, open, rows, schema};
use crate::{
    args::JoinArgs,
    exit::Usage,
    output::{Align, Cell, Format, Listing, Output},
};

pub(super) fn run(args: &JoinArgs, out: &mut Output) -> anyhow::Result<()> {
    let (left, right) = (open(&args.left)?, open(&args.right)?);
    let (left_key, right_key) = args.by.split_once('=').unwrap_or((&args.by, &args.by));
    let (left_by, left_fields) = rows::key(&left, left_key)?;
    let (right_by, right_fields) = rows::key(&right, right_key)?;
    check(left_fields, right_fields)?;
    let format = if args.csv { Format::Csv } else { out.format() };
    let titles: Vec<(String, Align)> =
        cells::titles(&left, "left.").chain(cells::titles(&right, "right.")).collect();
    let mut listing = Listing::new(format, titles);
    let mut sides = Sides { left: (&left, left_by, left_fields), right: (&right, right_by) };
    sides.join(&mut listing, out)?;
    listing.end(out)?;
    if args.csv { Ok(()) } else { out.took() }
}

/// Refuses keys whose values never are the same, or only about.
fn check(left: &[Field], right: &[Field]) -> anyhow::Result<()> {
    let is_integer = |kind| !matches!(kind, Kind::F32 | Kind::F64 | Kind::Bytes(_));
    let fits = |(left, right): (&Field, &Field)| {
        let (left, right) = (left.kind(), right.kind());
        left == right || is_integer(left) && is_integer(right)
    };
    if left.len() == right.len() && left.iter().zip(right).all(fits) {
        return Ok(());
    }
    let kinds = |fields: &[Field]| {
        let kinds: Vec<String> = fields.iter().map(|&field| schema::kind_text(field)).collect();
        kinds.join(", ")
    };
    let what = format!("a key of {} and one of {} are never the same", kinds(left), kinds(right));
    Err(Usage(what).into())
}

struct Sides<'t> {
    left: (&'t AnyTable, AnyBy<'t>, &'t [Field]),
    right: (&'t AnyTable, AnyBy<'t>),
}

impl Sides<'_> {
    /// Goes along both indexes where their keys are of the same kinds.
    fn join(&mut self, listing: &mut Listing, out: &mut Output) -> anyhow::Result<()> {
        let pairs = match self.left.1.join(self.right.1) {
            Err(error) if error.kind() == pagestone_index::ErrorKind::InvalidArgument => {
                return self.look_up(listing, out);
            }
            pairs => pairs?,
        };
        for pair in pairs {
            let (left, right) = pair?;
            let mut row: Vec<Cell> = Vec::new();
            cells::row(self.left.0, left, &mut row)?;
            cells::row(self.right.0, right, &mut row)?;
            listing.row(out, row)?;
        }
        Ok(())
    }

    /// Goes along the keys of the left table and looks each different one up in the right table.
    fn look_up(&mut self, listing: &mut Listing, out: &mut Output) -> anyhow::Result<()> {
        let (left, by, fields) = self.left;
        let (mut key, mut matches): (Vec<Value<'static>>, _) = (Vec::new(), 0..0);
        for index in by.indexes(0..left.len()) {
            let index = index?;
            let found = left.with_row(index, |row| {
                let value = |field: &Field| {
                    let start = field.offset() as usize;
                    let bytes = &row[start..start + field.size() as usize];
                    Ok(field.decode(bytes)?.into_owned())
                };
                fields.iter().map(value).collect::<anyhow::Result<Vec<_>>>()
            })??;
            if key != found || key.is_empty() {
                key = found;
                matches = self.matches(&key)?;
            }
            for rank in self.right.1.indexes(matches.clone()) {
                let mut row: Vec<Cell> = Vec::new();
                cells::row(left, index, &mut row)?;
                cells::row(self.right.0, rank?, &mut row)?;
                listing.row(out, row)?;
            }
        }
        Ok(())
    }

    /// The ranks of the rows of the right table with this key; none where it cannot hold it.
    fn matches(&self, key: &[Value<'_>]) -> anyhow::Result<std::ops::Range<u64>> {
        match self.right.1.equal(key) {
            Err(error) if error.kind() == pagestone_index::ErrorKind::InvalidArgument => Ok(0..0),
            found => Ok(found?),
        }
    }
}
