//! Owns the comparison of a table in `docs/format.md` with the struct it describes.

/// One field of a struct, from `offset_of!` and `size_of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutField {
    /// The field's name, as in the struct and in the table.
    pub name: &'static str,
    /// Bytes from the start of the struct.
    pub offset: usize,
    /// Bytes of the field.
    pub size: usize,
}

const TABLE_HEAD: [&str; 4] = ["offset", "size", "field", "meaning"];

/// A row of the table.
#[derive(Debug)]
struct Row {
    offset: usize,
    size: usize,
    name: String,
}

/// Compares the table under the heading `### section` with a struct.
///
/// The section has a line `Size: 24 bytes.` and one table with the head
/// `| offset | size | field | meaning |`; field names may stand in backticks. The rows cover the
/// size without gap or overlap, in order, and are the fields of the struct.
///
/// # Errors
///
/// Every difference, one a line, each naming the section.
pub fn check_layout(markdown: &str, section: &str, fields: &[LayoutField]) -> Result<(), String> {
    let mut report = Report { section, text: String::new() };
    if let Some(lines) = section_lines(markdown, &mut report) {
        let size = stated_size(&lines, &mut report);
        if let Some(rows) = table_rows(&lines, &mut report) {
            check_cover(&rows, size, &mut report);
            check_fields(&rows, fields, &mut report);
        }
    }
    if report.text.is_empty() { Ok(()) } else { Err(report.text) }
}

/// The differences found so far.
#[derive(Debug)]
struct Report<'a> {
    section: &'a str,
    text: String,
}

impl Report<'_> {
    fn add(&mut self, difference: &str) {
        self.text.extend([self.section, ": ", difference, "\n"]);
    }
}

/// The lines from the heading to the next one.
fn section_lines<'m>(markdown: &'m str, report: &mut Report<'_>) -> Option<Vec<&'m str>> {
    let is_heading = |line: &&str| line.strip_prefix("### ").map(str::trim) == Some(report.section);
    match markdown.lines().filter(is_heading).count() {
        0 => report.add("no such heading"),
        1 => {
            let after = markdown.lines().skip_while(|line| !is_heading(line)).skip(1);
            return Some(after.take_while(|line| !line.starts_with('#')).map(str::trim).collect());
        }
        count => report.add(&format!("{count} headings of this name")),
    }
    None
}

fn stated_size(lines: &[&str], report: &mut Report<'_>) -> Option<usize> {
    let stated = lines.iter().find_map(|line| line.strip_prefix("Size:"));
    let number = stated.and_then(|text| text.trim().strip_suffix(" bytes."));
    let size = number.and_then(|text| text.trim().parse().ok());
    if size.is_none() {
        report.add("no line \"Size: … bytes.\"");
    }
    size
}

/// The rows of the table; those that cannot be read are reported and left out.
fn table_rows(lines: &[&str], report: &mut Report<'_>) -> Option<Vec<Row>> {
    let mut tables = lines.iter().enumerate().filter(|(_, line)| cells(line) == TABLE_HEAD);
    let Some((head, _)) = tables.next() else {
        report.add("no table | offset | size | field | meaning |");
        return None;
    };
    if tables.next().is_some() {
        report.add("more than one table");
    }
    let mut rows = Vec::new();
    for line in lines[head + 1..].iter().take_while(|line| line.starts_with('|')) {
        let cells = cells(line);
        let is_rule = |cell: &&str| !cell.is_empty() && cell.trim_matches(['-', ':']).is_empty();
        if rows.is_empty() && cells.iter().all(is_rule) {
            continue;
        }
        match row(&cells) {
            Some(row) => rows.push(row),
            None => report.add(&format!("cannot read the row {line}")),
        }
    }
    Some(rows)
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    inner.map(|inner| inner.split('|').map(str::trim).collect()).unwrap_or_default()
}

fn row(cells: &[&str]) -> Option<Row> {
    // A meaning may hold bars of its own.
    let [offset, size, name, _, ..] = cells else { return None };
    let name = name.trim_matches('`').to_owned();
    Some(Row { offset: offset.parse().ok()?, size: size.parse().ok()?, name })
        .filter(|row| !row.name.is_empty())
}

fn check_cover(rows: &[Row], size: Option<usize>, report: &mut Report<'_>) {
    let mut end = 0;
    for Row { offset, size, name } in rows {
        if end < *offset {
            report.add(&format!("gap of {} bytes before {name}", offset - end));
        } else if *offset < end {
            report.add(&format!("{name} at {offset} begins before {end}, where the last row ends"));
        }
        end = offset.saturating_add(*size);
    }
    if let Some(size) = size.filter(|size| *size != end) {
        report.add(&format!("rows end at {end}, the stated size is {size}"));
    }
}

fn check_fields(rows: &[Row], fields: &[LayoutField], report: &mut Report<'_>) {
    for (index, Row { offset, size, name }) in rows.iter().enumerate() {
        if rows[..index].iter().any(|earlier| earlier.name == *name) {
            report.add(&format!("{name} has two rows"));
        }
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            report.add(&format!("{name} is in the table, not in the struct"));
            continue;
        };
        if field.offset != *offset {
            report.add(&format!("{name}: table offset {offset}, struct {}", field.offset));
        }
        if field.size != *size {
            report.add(&format!("{name}: table size {size}, struct {}", field.size));
        }
    }
    for field in fields {
        if rows.iter().all(|row| row.name != field.name) {
            report.add(&format!("{} is in the struct, not in the table", field.name));
        }
    }
}
