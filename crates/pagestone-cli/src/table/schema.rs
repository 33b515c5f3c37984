//! The schema of a table as text: a line for each column, a line for each key of several.

use std::path::Path;

use pagestone_index::{KeyOrder, NamedColumn, NamedKey, Schema};
use pagestone_storage::Field;

use super::text_of;
use crate::exit::Usage;

/// What a schema is made from.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Names, and kinds as `Field` spells them.
    columns: Vec<(String, String)>,
    keys: Vec<(String, KeyOrder, Vec<String>)>,
}

/// Reads the schema that a file holds.
pub(super) fn read(path: &Path, name: &str) -> anyhow::Result<Schema> {
    let mut draft = Draft::default();
    for (line, text) in (1..).zip(text_of(path)?.lines()) {
        draft.line(text).map_err(|what| Usage(format!("{}:{line}: {what}", path.display())))?;
    }
    draft.build(name)
}

impl Draft {
    /// A draft without keys.
    pub(super) fn of(columns: Vec<(String, String)>) -> Self {
        Self { columns, keys: Vec::new() }
    }

    /// Lays the columns one behind the other.
    pub(super) fn build(self, name: &str) -> anyhow::Result<Schema> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut size = 0u64;
        for (name, kind) in self.columns {
            let field: Field = format!("{kind}@{size}").parse()?;
            size += u64::from(field.size());
            fields.push((name, field));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut builder = Schema::builder(name, size);
        for (name, field) in fields {
            builder = builder.column(name, field);
        }
        for (name, order, columns) in self.keys {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            builder = builder.key(name, order, &columns);
        }
        Ok(builder.build()?)
    }

    /// Adds what a line of a schema says.
    fn line(&mut self, text: &str) -> Result<(), String> {
        let tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(());
        }
        if tokens.get(1) == Some(&Token::Open) {
            let (name, columns, rest) = key(&tokens)?;
            let order = order(rest)?.ok_or("expected canonical, unique or multi behind a key")?;
            self.keys.push((name, order, columns));
            return Ok(());
        }
        let [Token::Word(name), Token::Word(kind), rest @ ..] = tokens.as_slice() else {
            return Err("expected NAME KIND or NAME(COLUMN, …)".to_owned());
        };
        if format!("{kind}@0").parse::<Field>().is_err() {
            return Err(format!("`{kind}` is no kind: expected u64, i32be, f64, bytes20, …"));
        }
        if let Some(order) = order(rest)? {
            self.keys.push((name.clone(), order, vec![name.clone()]));
        }
        self.columns.push((name.clone(), kind.clone()));
        Ok(())
    }

    /// Adds a key as an argument names it. A key that is canonical and unique is both.
    pub(super) fn key(&mut self, text: &str, order: KeyOrder) -> anyhow::Result<()> {
        let parsed = tokens(text).and_then(|tokens| match tokens.as_slice() {
            [Token::Word(column)] => Ok((column.clone(), vec![column.clone()])),
            tokens => match key(tokens)? {
                (name, columns, []) => Ok((name, columns)),
                _ => Err("expected COLUMN or NAME(COLUMN, …)".to_owned()),
            },
        });
        let (name, columns) = parsed.map_err(|what| Usage(format!("key `{text}`: {what}")))?;
        let canonical = self.keys.iter_mut().find(|key| (&key.0, &key.2) == (&name, &columns));
        match canonical {
            Some(key) if key.1 == KeyOrder::Canonical && order == KeyOrder::Unique => {
                key.1 = KeyOrder::CanonicalUnique;
            }
            _ => self.keys.push((name, order, columns)),
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    Comma,
}

/// Words, or anything between double quotes, of which two stand for one.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut left = text.chars().peekable();
    while let Some(next) = left.next() {
        found.push(match next {
            '#' => break,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            '"' => {
                let mut word = String::new();
                loop {
                    match left.next() {
                        Some('"') if left.next_if_eq(&'"').is_none() => break,
                        Some(next) => word.push(next),
                        None => return Err("a quote is not closed".to_owned()),
                    }
                }
                Token::Word(word)
            }
            next if next.is_whitespace() => continue,
            next => {
                let mut word = String::from(next);
                while let Some(next) =
                    left.next_if(|next| !next.is_whitespace() && !"(),#\"".contains(*next))
                {
                    word.push(next);
                }
                Token::Word(word)
            }
        });
    }
    Ok(found)
}

/// `NAME(COLUMN, …)`, and what stands behind.
fn key(tokens: &[Token]) -> Result<(String, Vec<String>, &[Token]), String> {
    let [Token::Word(name), Token::Open, rest @ ..] = tokens else {
        return Err("expected NAME(COLUMN, …)".to_owned());
    };
    let (mut columns, mut rest) = (Vec::new(), rest);
    loop {
        match rest {
            [Token::Word(column), Token::Comma, left @ ..] => {
                columns.push(column.clone());
                rest = left;
            }
            [Token::Word(column), Token::Close, left @ ..] => {
                columns.push(column.clone());
                return Ok((name.clone(), columns, left));
            }
            _ => return Err(format!("expected the columns of `{name}`, as in {name}(a, b)")),
        }
    }
}

fn order(words: &[Token]) -> Result<Option<KeyOrder>, String> {
    let words: Option<Vec<&str>> = words
        .iter()
        .map(|token| if let Token::Word(word) = token { Some(word.as_str()) } else { None })
        .collect();
    match words.as_deref() {
        Some([]) => Ok(None),
        Some(["canonical"]) => Ok(Some(KeyOrder::Canonical)),
        Some(["canonical", "unique"] | ["unique", "canonical"]) => {
            Ok(Some(KeyOrder::CanonicalUnique))
        }
        Some(["unique"]) => Ok(Some(KeyOrder::Unique)),
        Some(["multi"]) => Ok(Some(KeyOrder::Multi)),
        _ => Err("expected canonical, unique, canonical unique or multi".to_owned()),
    }
}

pub(super) fn order_text(order: KeyOrder) -> &'static str {
    match order {
        KeyOrder::Canonical => "canonical",
        KeyOrder::CanonicalUnique => "canonical unique",
        KeyOrder::Unique => "unique",
        KeyOrder::Multi => "multi",
        _ => "of an unknown order",
    }
}

/// What the bytes of a field mean, without where they lie.
pub(super) fn kind_text(field: Field) -> String {
    let text = field.to_string();
    text.split_once('@').map_or(text.clone(), |(kind, _)| kind.to_owned())
}

/// The text that [`read`] reads; for rows with gaps it names where columns lie, as a comment.
pub(super) fn text(schema: &Schema) -> String {
    let mut lines = Vec::new();
    let mut end = 0;
    let is_single = |key: &&NamedKey, column: &NamedColumn| {
        key.name() == column.name() && key.fields() == [column.field()]
    };
    for column in schema.columns() {
        let order = schema.keys().iter().find(|key| is_single(key, column));
        let order = order.map_or_else(String::new, |key| format!(" {}", order_text(key.order())));
        let place = match column.field().offset() {
            offset if offset == end => String::new(),
            offset => format!(" # at offset {offset}"),
        };
        end = column.field().offset() + column.field().size();
        let (name, kind) = (quoted(column.name()), kind_text(column.field()));
        lines.push(format!("{name} {kind}{order}{place}\n"));
    }
    for key in schema.keys() {
        if schema.columns().iter().any(|column| is_single(&key, column)) {
            continue;
        }
        let columns = column_names(schema, key).join(", ");
        lines.push(format!("{}({columns}) {}\n", quoted(key.name()), order_text(key.order())));
    }
    lines.concat()
}

/// The columns of a key, as a schema writes them.
pub(super) fn column_names(schema: &Schema, key: &NamedKey) -> Vec<String> {
    let name = |field: &Field| {
        let column = schema.columns().iter().find(|column| column.field() == *field);
        column.map_or_else(String::new, |column| quoted(column.name()))
    };
    key.fields().iter().map(name).collect()
}

fn quoted(name: &str) -> String {
    let is_plain = |next: char| next.is_alphanumeric() || "_.-".contains(next);
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::{Draft, text};

    fn parse(lines: &str) -> Result<String, String> {
        let mut draft = Draft::default();
        lines.lines().try_for_each(|line| draft.line(line))?;
        Ok(text(&draft.build("some").map_err(|error| error.to_string())?))
    }

    #[test]
    fn what_is_printed_is_read() {
        let lines = "id u64le canonical unique\n\"a \"\"name\"\"\" bytes20 multi\nscore f32be\n\
                     by_score(score, id) unique\n";
        assert_eq!(parse(lines).as_deref(), Ok(lines));
        let written = "# what is kept\n\n id  u64 unique # an id\nx( id,id )multi";
        assert_eq!(parse(written).as_deref(), Ok("id u64le unique\nx(id, id) multi\n"));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        for lines in [
            "",
            "id",
            "id u65",
            "id bytes0",
            "id u8\nid u8",
            "id u8 unique unique",
            "id u8 first",
            "\"id u8",
            "id u8\nx(id",
            "id u8\nx() multi",
            "id u8\nx(id)",
            "id u8\nx(name) multi",
            "id u8 canonical\nscore u8 canonical",
        ] {
            assert!(parse(lines).is_err(), "{lines}");
        }
    }
}
