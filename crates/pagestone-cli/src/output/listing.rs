//! Rows of cells: a table for people, lines of JSON or CSV for programs.

use comfy_table::{
    Attribute, CellAlignment, ColumnConstraint, LineStyle, Table, TableStyle, Width, presets,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::{Cell, Format, Look, Output};

/// Rows of a table that are laid out together; more are shown in several parts.
const BATCH: usize = 1000;
/// Most letters of a cell that is laid out: a table counts them in 16 bits.
const LAID_OUT_MAX: usize = 1 << 15;

/// Where a column's values stand for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows that are written as they come.
#[derive(Debug)]
pub(crate) struct Listing {
    columns: Vec<Column>,
    format: Format,
    rows: Vec<Vec<Cell>>,
    has_begun: bool,
}

#[derive(Debug)]
struct Column {
    title: String,
    align: Align,
    /// The widest so far.
    width: u16,
}

impl Listing {
    pub(crate) fn new<T: Into<String>>(
        format: Format,
        columns: impl IntoIterator<Item = (T, Align)>,
    ) -> Self {
        let column = |(title, align): (T, _)| Column { title: title.into(), align, width: 0 };
        let columns = columns.into_iter().map(column).collect();
        Self { columns, format, rows: Vec::new(), has_begun: false }
    }

    /// Shows a row, now or with those that follow.
    pub(crate) fn row(&mut self, out: &mut Output, cells: Vec<Cell>) -> anyhow::Result<()> {
        match self.format {
            Format::Json => out.json(&Row { columns: &self.columns, cells: &cells }),
            Format::Csv => {
                self.begin_csv(out)?;
                csv(out, cells.iter().map(Cell::plain))
            }
            Format::People if cells.iter().any(is_too_long) => {
                if !self.has_begun || !self.rows.is_empty() {
                    self.show(out)?;
                }
                out.line(self.plain(&cells).trim_end())
            }
            Format::People => {
                self.rows.push(cells);
                if self.rows.len() < BATCH { Ok(()) } else { self.show(out) }
            }
        }
    }

    /// Shows what is left.
    pub(crate) fn end(mut self, out: &mut Output) -> anyhow::Result<()> {
        match self.format {
            Format::Json => Ok(()),
            Format::Csv => self.begin_csv(out),
            Format::People if self.has_begun && self.rows.is_empty() => Ok(()),
            Format::People => self.show(out),
        }
    }

    fn begin_csv(&mut self, out: &mut Output) -> anyhow::Result<()> {
        if self.has_begun {
            return Ok(());
        }
        self.has_begun = true;
        csv(out, self.columns.iter().map(|column| column.title.clone()))
    }

    fn show(&mut self, out: &mut Output) -> anyhow::Result<()> {
        let mut table = Table::new();
        let mut style = presets::NOTHING;
        if !self.has_begun {
            style = underlined(style, out.look());
            table.set_header(self.columns.iter().map(|column| {
                let cell = comfy_table::Cell::new(&column.title);
                let bold = out.look() == Look::Styled;
                if bold { cell.add_attribute(Attribute::Bold) } else { cell }
            }));
        }
        table.load_style(style);
        if out.look() == Look::Styled {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for row in self.rows.drain(..) {
            table.add_row(row.iter().map(Cell::for_people));
        }
        self.lay_out(&mut table);
        self.has_begun = true;
        table.lines().try_for_each(|line| out.line(line.trim_end()))
    }

    /// A row in columns as wide as those of the part before, where it is not longer itself.
    fn plain(&self, cells: &[Cell]) -> String {
        let mut line = String::new();
        for (column, cell) in self.columns.iter().zip(cells) {
            let (text, width) = (cell.for_people(), usize::from(column.width));
            match column.align {
                Align::Left => line.extend([format!("{text:width$}").as_str(), "  "]),
                Align::Right => line.extend([format!("{text:>width$}").as_str(), "  "]),
            }
        }
        line
    }

    /// Aligns the columns, none narrower than in the part before.
    fn lay_out(&mut self, table: &mut Table) {
        let widths = table.column_max_content_widths();
        for ((index, column), width) in self.columns.iter_mut().enumerate().zip(widths) {
            let Some(laid_out) = table.column_mut(index) else { continue };
            laid_out.set_padding((0, 2));
            if column.align == Align::Right {
                laid_out.set_cell_alignment(CellAlignment::Right);
            }
            column.width = column.width.max(width);
            laid_out.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(
                column.width.saturating_add(2),
            )));
        }
    }
}

fn is_too_long(cell: &Cell) -> bool {
    matches!(cell, Cell::Text(text) if LAID_OUT_MAX < text.len())
}

fn underlined(style: TableStyle, look: Look) -> TableStyle {
    let fill = if look == Look::Plain { '-' } else { '\u{2500}' };
    style.header_separator(LineStyle::none().fill(fill))
}

/// A line of CSV. A cell alone that is empty has quotes: an empty line is no row to readers.
fn csv(out: &mut Output, cells: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let cells: Vec<String> = cells.map(quoted).collect();
    match cells.as_slice() {
        [cell] if cell.is_empty() => out.line("\"\""),
        cells => out.line(cells.join(",")),
    }
}

fn quoted(cell: String) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

/// A row as an object.
struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.cells.len()))?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            map.serialize_entry(&column.title, cell)?;
        }
        map.end()
    }
}
