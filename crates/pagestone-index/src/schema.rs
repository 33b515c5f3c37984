//! The schema of a table: its columns, its keys, and the fingerprint of both.

use std::fmt;

use pagestone_storage::{ByteOrder, Field, Kind};
use serde::{Deserialize, Serialize};

use crate::{
    column::{Column, Shape},
    error::{Error, Result},
    key::KEY_LEN_MAX,
};

/// A struct whose values are the rows of a table; `#[derive(Record)]` makes it one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record",
    note = "add `#[derive(Record)]` and `#[repr(C)]` to a struct of fixed-width fields"
)]
pub trait Record: Column {
    /// The name of the struct.
    const NAME: &'static str;
    /// The fields in their order.
    const FIELDS: &'static [FieldDef];
    /// The keys, numbered by their place.
    const KEYS: &'static [KeyDef];
    /// The fingerprint of fields and keys. It differs when a name, an offset, a kind or a key
    /// does; the name of the struct does not count.
    const FINGERPRINT: u64 = fingerprint(Self::SIZE, Self::FIELDS, Self::KEYS);

    /// Returns the schema, as tools see it.
    #[must_use]
    fn schema() -> Schema {
        Schema::of(Self::NAME, Self::SIZE, (Self::FIELDS, Self::KEYS))
    }
}

/// A field of a record.
#[derive(Debug, Clone, Copy)]
pub struct FieldDef {
    /// The name.
    pub name: &'static str,
    /// Bytes between the start of the struct and the field.
    pub offset: usize,
    /// What its bytes mean.
    pub shape: Shape,
    /// The version of the schema that it was added in.
    pub since: u32,
}

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub struct KeyDef {
    /// The name: that of the field, or one of its own.
    pub name: &'static str,
    /// What is promised of it.
    pub order: KeyOrder,
    /// The fields, most significant first.
    pub fields: &'static [&'static str],
}

/// What an index promises of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyOrder {
    /// The rows themselves lie in this order; no file is kept for it.
    Canonical,
    /// The rows lie in this order, and no two have the same key.
    CanonicalUnique,
    /// No two rows have the same key.
    Unique,
    /// Any number of rows may have the same key.
    Multi,
}

impl KeyOrder {
    /// Returns whether the rows themselves lie in this order.
    #[must_use]
    pub const fn is_canonical(self) -> bool {
        matches!(self, Self::Canonical | Self::CanonicalUnique)
    }

    /// Returns whether no two rows have the same key.
    #[must_use]
    pub const fn is_unique(self) -> bool {
        matches!(self, Self::Unique | Self::CanonicalUnique)
    }

    const fn tag(self) -> u8 {
        match self {
            Self::Canonical => 1,
            Self::CanonicalUnique => 2,
            Self::Unique => 3,
            Self::Multi => 4,
        }
    }
}

/// The schema of a table, known when the program runs.
///
/// [`Record::schema`] returns that of a struct, [`Schema::builder`] makes one without; both have
/// the same fingerprint where they say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    name: String,
    record_size: usize,
    columns: Vec<NamedColumn>,
    keys: Vec<NamedKey>,
    fingerprint: u64,
}

/// A number or plain bytes in every row; of a nested record, `outer.inner`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedColumn {
    pub(crate) name: String,
    pub(crate) field: Field,
    pub(crate) since: u32,
}

impl NamedColumn {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns where in a row it lies, and what its bytes mean.
    #[must_use]
    pub fn field(&self) -> Field {
        self.field
    }

    /// Returns the version of the schema that it was added in, 1 for most.
    #[must_use]
    pub fn since(&self) -> u32 {
        self.since
    }
}

/// A key of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedKey {
    pub(crate) name: String,
    pub(crate) order: KeyOrder,
    /// Columns by number, most significant first.
    pub(crate) columns: Vec<usize>,
    pub(crate) fields: Vec<Field>,
}

impl NamedKey {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what is promised of it.
    #[must_use]
    pub fn order(&self) -> KeyOrder {
        self.order
    }

    /// Returns its fields, most significant first.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The bytes of its image.
    pub(crate) fn len(&self) -> usize {
        self.fields.iter().map(|field| field.size() as usize).sum()
    }
}

/// Makes a [`Schema`] at run time; see [`Schema::builder`].
#[derive(Debug, Clone)]
pub struct SchemaBuilder {
    name: String,
    record_size: usize,
    columns: Vec<NamedColumn>,
    keys: Vec<(String, KeyOrder, Vec<String>)>,
}

impl SchemaBuilder {
    /// Adds a column.
    #[must_use]
    pub fn column(self, name: impl Into<String>, field: Field) -> Self {
        self.column_since(name, field, 1)
    }

    /// Adds a column that tables of before version `since` do not have.
    #[must_use]
    pub fn column_since(mut self, name: impl Into<String>, field: Field, since: u32) -> Self {
        self.columns.push(NamedColumn { name: name.into(), field: plain(field), since });
        self
    }

    /// Adds a key over columns, most significant first.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>, order: KeyOrder, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        self.keys.push((name.into(), order, columns));
        self
    }

    /// Returns the schema.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a row without columns or of more than 16 MiB, a column that does
    /// not lie inside a row, a name that is there twice, a key without columns, of unknown ones,
    /// or of more than [`KEY_LEN_MAX`] bytes, and a second canonical key.
    pub fn build(self) -> Result<Schema> {
        let Self { name, record_size, columns, keys } = self;
        if columns.is_empty() || !(1..=pagestone_storage::RECORD_SIZE_MAX).contains(&record_size) {
            return Err(Error::argument(format!(
                "rows of {record_size} bytes with {} columns",
                columns.len()
            )));
        }
        for (number, column) in columns.iter().enumerate() {
            let end = u64::from(column.field.offset()) + u64::from(column.field.size());
            if column.field.size() == 0 || (record_size as u64) < end {
                let what = format!(
                    "column `{}`: {} does not lie inside a row of {record_size} bytes",
                    column.name, column.field
                );
                return Err(Error::argument(what));
            }
            check_name("column", &column.name, columns.iter().take(number).map(NamedColumn::name))?;
        }
        let keys = named_keys(&columns, keys)?;
        let fingerprint = run_time_fingerprint(record_size, &columns, &keys);
        Ok(Schema { name, record_size, columns, keys, fingerprint })
    }
}

fn check_name<'n>(what: &str, name: &str, mut before: impl Iterator<Item = &'n str>) -> Result<()> {
    if name.is_empty() || name.contains(char::is_control) {
        return Err(Error::argument(format!("a {what} is named {name:?}")));
    }
    if before.any(|other| other == name) {
        return Err(Error::argument(format!("two of name {name:?}, the second a {what}")));
    }
    Ok(())
}

fn named_keys(
    columns: &[NamedColumn],
    keys: Vec<(String, KeyOrder, Vec<String>)>,
) -> Result<Vec<NamedKey>> {
    let mut named: Vec<NamedKey> = Vec::with_capacity(keys.len());
    for (name, order, parts) in keys {
        check_name("key", &name, named.iter().map(NamedKey::name))?;
        if order.is_canonical() && named.iter().any(|key| key.order.is_canonical()) {
            let what = format!("key `{name}`: rows lie in one order, and another is canonical");
            return Err(Error::argument(what));
        }
        let mut key = NamedKey { name, order, columns: Vec::new(), fields: Vec::new() };
        for part in parts {
            let found = columns.iter().enumerate().find(|(_, column)| column.name == part);
            let Some((number, column)) = found else {
                let what = format!("key `{}`: there is no column `{part}`", key.name);
                return Err(Error::argument(what));
            };
            key.columns.push(number);
            key.fields.push(column.field);
        }
        if !(1..=KEY_LEN_MAX).contains(&key.len()) {
            let what =
                format!("key `{}` has {} bytes, not 1 to {KEY_LEN_MAX}", key.name, key.len());
            return Err(Error::argument(what));
        }
        named.push(key);
    }
    Ok(named)
}

impl Schema {
    /// Starts a schema of rows of `record_size` bytes.
    ///
    /// ```
    /// use pagestone_index::{KeyOrder, Schema};
    ///
    /// let schema = Schema::builder("visit", 12)
    ///     .column("id", "u64be@0".parse()?)
    ///     .column("user", "u32le@8".parse()?)
    ///     .key("id", KeyOrder::CanonicalUnique, &["id"])
    ///     .key("user", KeyOrder::Multi, &["user"])
    ///     .build()?;
    /// assert_eq!(schema.columns().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn builder(name: impl Into<String>, record_size: usize) -> SchemaBuilder {
        SchemaBuilder { name: name.into(), record_size, columns: Vec::new(), keys: Vec::new() }
    }

    /// The schema of a struct, which was checked when it was compiled.
    fn of(name: &str, record_size: usize, (fields, keys): (&[FieldDef], &[KeyDef])) -> Self {
        let mut columns = Vec::new();
        flatten(fields, (String::new(), 0, 1), &mut columns);
        let keys: Vec<NamedKey> = keys.iter().map(|key| named_key(key, &columns)).collect();
        let fingerprint = run_time_fingerprint(record_size, &columns, &keys);
        Self { name: name.to_owned(), record_size, columns, keys, fingerprint }
    }

    /// Returns the name that its maker gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the bytes of a row.
    #[must_use]
    pub fn record_size(&self) -> usize {
        self.record_size
    }

    /// Returns the columns.
    #[must_use]
    pub fn columns(&self) -> &[NamedColumn] {
        &self.columns
    }

    /// Returns the column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&NamedColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Returns the keys; a key's place is its number.
    #[must_use]
    pub fn keys(&self) -> &[NamedKey] {
        &self.keys
    }

    /// Returns the number of the key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<usize> {
        self.keys.iter().position(|key| key.name == name)
    }

    /// Returns the fingerprint of columns and keys.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The canonical key and its number.
    pub(crate) fn canonical(&self) -> Option<(usize, &NamedKey)> {
        self.keys.iter().enumerate().find(|(_, key)| key.order.is_canonical())
    }

    /// The first thing that tells this schema from `other`, which is named `there`.
    pub(crate) fn difference(&self, other: &Self) -> String {
        if self.record_size != other.record_size {
            return format!("rows of {} bytes there, of {}", other.record_size, self.record_size);
        }
        for column in &self.columns {
            match other.column(&column.name) {
                None => return format!("no column `{}` there", column.name),
                Some(theirs) if theirs.field != column.field => {
                    let (name, theirs) = (&column.name, theirs.field);
                    return format!("column `{name}` is {theirs} there, {} here", column.field);
                }
                Some(_) => {}
            }
        }
        if let Some(theirs) =
            other.columns.iter().find(|column| self.column(&column.name).is_none())
        {
            return format!("a column `{}` there", theirs.name);
        }
        let names = |schema: &Self| {
            let keys = schema.keys.iter().map(|key| format!("{} {:?}", key.name, key.order));
            keys.collect::<Vec<_>>().join(", ")
        };
        format!("keys [{}] there, [{}] here", names(other), names(self))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {:#018x}", self.name, self.fingerprint)
    }
}

/// Byte order tells nothing of what has one byte, or none.
const fn plain(field: Field) -> Field {
    if has_order(field.kind()) { field } else { field.order(ByteOrder::Little) }
}

const fn has_order(kind: Kind) -> bool {
    !matches!(kind, Kind::U8 | Kind::I8 | Kind::Bytes(_))
}

fn flatten(
    fields: &[FieldDef],
    (prefix, base, since): (String, usize, u32),
    into: &mut Vec<NamedColumn>,
) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        let (offset, since) = (base + field.offset, since.max(field.since));
        match field.shape {
            Shape::Leaf(kind, order) => {
                let offset = u32::try_from(offset).unwrap_or(u32::MAX);
                let field = plain(Field::new(offset, kind).order(order));
                into.push(NamedColumn { name, field, since });
            }
            Shape::Nested(inner) => flatten(inner, (format!("{name}."), offset, since), into),
        }
    }
}

fn named_key(key: &KeyDef, columns: &[NamedColumn]) -> NamedKey {
    let find = |name: &&str| columns.iter().position(|column| column.name == *name);
    let numbers: Vec<usize> = key.fields.iter().filter_map(find).collect();
    let fields = numbers.iter().filter_map(|&number| columns.get(number)).map(|c| c.field);
    NamedKey {
        name: key.name.to_owned(),
        order: key.order,
        fields: fields.collect(),
        columns: numbers,
    }
}

/// FNV-1a of 64 bits, which runs when the code is compiled.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    const fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3))
    }

    const fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut rest = bytes;
        while let [first, behind @ ..] = rest {
            self = self.byte(*first);
            rest = behind;
        }
        self
    }

    /// A text and its end.
    const fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes()).byte(0)
    }

    const fn number(self, number: u64) -> Self {
        self.bytes(&number.to_le_bytes())
    }

    const fn leaf(self, offset: usize, kind: Kind, order: ByteOrder) -> Self {
        let order = match order {
            ByteOrder::Big if has_order(kind) => 1,
            _ => 0,
        };
        self.number(offset as u64).byte(kind_tag(kind)).number(kind.size() as u64).byte(order)
    }
}

const fn kind_tag(kind: Kind) -> u8 {
    match kind {
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 | Kind::U128 => 1,
        Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 | Kind::I128 => 2,
        Kind::F32 | Kind::F64 => 3,
        Kind::Bytes(_) => 4,
        _ => 0,
    }
}

/// The names around a nested field, outermost last.
struct Names<'n> {
    name: &'n str,
    outer: Option<&'n Names<'n>>,
}

const fn hash_names(hash: Hash, names: &Names<'_>) -> Hash {
    let hash = match names.outer {
        Some(outer) => hash_names(hash, outer),
        None => hash,
    };
    hash.bytes(names.name.as_bytes()).byte(b'.')
}

const fn hash_fields(
    mut hash: Hash,
    fields: &[FieldDef],
    (names, base): (Option<&Names<'_>>, usize),
) -> Hash {
    let mut rest = fields;
    while let [field, behind @ ..] = rest {
        rest = behind;
        let offset = base + field.offset;
        hash = match field.shape {
            Shape::Leaf(kind, order) => {
                let hash = match names {
                    Some(names) => hash_names(hash, names),
                    None => hash,
                };
                hash.text(field.name).leaf(offset, kind, order)
            }
            Shape::Nested(inner) => {
                let inside = Names { name: field.name, outer: names };
                hash_fields(hash, inner, (Some(&inside), offset))
            }
        };
    }
    hash
}

const fn is_same(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        match (left, right) {
            ([], []) => return true,
            ([one, behind @ ..], [other, behind_other @ ..]) if *one == *other => {
                (left, right) = (behind, behind_other);
            }
            _ => return false,
        }
    }
}

/// The bytes of the image of the field of this name; 0 for one that cannot be part of a key.
const fn image_len(fields: &[FieldDef], name: &str) -> usize {
    let mut rest = fields;
    while let [field, behind @ ..] = rest {
        if is_same(field.name, name) {
            return match field.shape {
                Shape::Leaf(kind, _) => kind.size() as usize,
                Shape::Nested(_) => 0,
            };
        }
        rest = behind;
    }
    0
}

/// The fingerprint of a struct; what cannot be in a table does not compile.
const fn fingerprint(record_size: usize, fields: &[FieldDef], keys: &[KeyDef]) -> u64 {
    assert!(
        0 < record_size && record_size <= pagestone_storage::RECORD_SIZE_MAX,
        "a row has 1 byte to 16 MiB"
    );
    let mut hash = hash_fields(Hash::new().number(record_size as u64), fields, (None, 0));
    let mut rest = keys;
    while let [key, behind @ ..] = rest {
        rest = behind;
        hash = hash.byte(1).text(key.name).byte(key.order.tag());
        let (mut names, mut len) = (key.fields, 0);
        while let [name, behind @ ..] = names {
            names = behind;
            hash = hash.text(name);
            len += image_len(fields, name);
        }
        assert!(0 < len && len <= KEY_LEN_MAX, "the fields of an index have 1 to 128 bytes");
    }
    hash.0
}

fn run_time_fingerprint(record_size: usize, columns: &[NamedColumn], keys: &[NamedKey]) -> u64 {
    let mut hash = Hash::new().number(record_size as u64);
    for NamedColumn { name, field, .. } in columns {
        hash = hash.text(name).leaf(field.offset() as usize, field.kind(), field.byte_order());
    }
    for key in keys {
        hash = hash.byte(1).text(&key.name).byte(key.order.tag());
        for column in key.columns.iter().filter_map(|&number| columns.get(number)) {
            hash = hash.text(&column.name);
        }
    }
    hash.0
}

/// A schema as a manifest writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredSchema {
    name: String,
    record_size: usize,
    columns: Vec<StoredColumn>,
    keys: Vec<StoredKey>,
    fingerprint: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredColumn {
    name: String,
    field: String,
    since: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    name: String,
    order: KeyOrder,
    columns: Vec<String>,
}

impl StoredSchema {
    pub(crate) fn of(schema: &Schema) -> Self {
        let column = |column: &NamedColumn| StoredColumn {
            name: column.name.clone(),
            field: column.field.to_string(),
            since: column.since,
        };
        let key = |key: &NamedKey| StoredKey {
            name: key.name.clone(),
            order: key.order,
            columns: (key.columns.iter())
                .filter_map(|&number| schema.columns.get(number))
                .map(|column| column.name.clone())
                .collect(),
        };
        Self {
            name: schema.name.clone(),
            record_size: schema.record_size,
            columns: schema.columns.iter().map(column).collect(),
            keys: schema.keys.iter().map(key).collect(),
            fingerprint: format!("{:016x}", schema.fingerprint),
        }
    }

    /// The schema, checked like one that is made at run time.
    pub(crate) fn check(self) -> Result<Schema> {
        let mut builder = Schema::builder(self.name, self.record_size);
        for column in self.columns {
            builder = builder.column_since(column.name, column.field.parse()?, column.since);
        }
        for key in self.keys {
            let columns: Vec<&str> = key.columns.iter().map(String::as_str).collect();
            builder = builder.key(key.name, key.order, &columns);
        }
        let schema = builder.build()?;
        let found = format!("{:016x}", schema.fingerprint);
        if found != self.fingerprint {
            let what = format!("fingerprint {} of a schema that has {found}", self.fingerprint);
            return Err(Error::argument(what));
        }
        Ok(schema)
    }
}
