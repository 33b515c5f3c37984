//! Typed tables of fixed-width rows, found by any indexed field, and relations between rows.
#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod table; // the public type: open, rows, verify
mod by; // lookups by one key
mod rows; // rows in key order, from both ends
mod cursor; // a place between two rows
mod find; // rows that have several keys at once
mod join; // two tables side by side
#[cfg(feature = "rayon")]
mod parallel; // rows on many threads
mod builder; // appends from many threads
mod seal; // sort, number, index, check, publish
mod sorted; // the file of one key, sorted within the memory given
mod output; // a file that is written once, in long pieces
mod delta; // rows appended to a published table
mod merge; // a new version of both, in one pass
mod relation; // which rows belong to which, from both sides
mod any; // tables whose schema is known when the program runs
#[cfg(feature = "region")]
mod region; // versions that a root of a region file names
mod migrate; // rows of one schema copied to another
mod options; // how tables are built and opened
mod part; // what lookups see: files, and runs of rows above them
mod run; // appended rows in memory, sorted by each key
mod files; // the files of one published version, searched by image
mod fixed; // one finished file
mod confirm; // answers of searches compared with their neighbours
mod schema; // records, columns, keys, fingerprints
mod column; // what a field can be
mod key; // what lookups take, and images
mod directory; // names of files, the builder's lock, left-overs
mod manifest; // the one commit point
mod error;

pub use crate::{
    any::{AnyBy, AnyTable, AnyTableBuilder},
    builder::{RowWriter, TableBuilder},
    by::By,
    column::{Column, KeyColumn, Shape},
    cursor::Cursor,
    delta::{AnyDelta, Delta},
    directory::Directory,
    error::{DuplicateKeys, Error, ErrorKind, Result},
    find::{FIND_KEYS_MAX, Find},
    join::{AnyJoin, Join},
    key::{KEY_LEN_MAX, Key, KeyValue},
    options::TableOptions,
    relation::{
        Degrees, Intersection, PairWriter, Relation, RelationBuilder, RowSet, Union, Values, Visit,
    },
    rows::{RowIndexes, Rows},
    schema::{FieldDef, KeyDef, KeyOrder, NamedColumn, NamedKey, Record, Schema, SchemaBuilder},
    table::Table,
};
pub use pagestone_derive::Record;
#[cfg(feature = "region")]
pub use region::{AtRoot, Sealed};
