//! A persistent, memory-mapped index of a Java heap dump.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod options; // how an index is built, and what came out
mod builder; // the pass over the dump, the sorts, the publication
mod scan; // the dump's bytes, as events
mod graph; // dominators and distances, over any graph
mod index; // the finished index and its answers
mod summary; // the dump as a whole
mod damage; // what of a dump could not be read
mod ids; // object ids, packed
mod objects; // what objects are and where they lie, packed
mod lists; // lists of objects, packed
mod tree; // the tree of dominators, packed
mod wide; // long lists that leave no memory behind
mod varint; // short numbers in few bytes
mod facts; // fields and stack traces, as blocks
mod notes; // what people write down
mod filter; // what is asked of instances
mod strings; // what strings say
mod class_dump; // what a dump says of a class
mod samples; // what tells dumps apart
mod pages; // a dump read at any offset
mod checks; // blocks compared with their checksums when they are first looked at
mod manifest; // the file that makes a directory an index
mod layout; // what the bytes of an index mean; see docs/format.md
mod format; // the words of HPROF
mod name; // names as people write them
mod error;

pub use crate::{
    damage::{Damage, DamageKind},
    error::{Error, ErrorKind, Result},
    filter::Filter,
    index::{
        Biggest, Class, ClassCount, ClassDifference, Field, FindOptions, Follow, Found, Frame,
        HeapIndex, Object, ObjectIds, ObjectKind, Rank, Retained, Root, StackTrace,
        StringDifference, StringValue, Subclasses, Value,
    },
    notes::{Note, Notes},
    options::{BuildOptions, BuildReport, Existing, Phase, PhaseTime, Progress},
    summary::{Packing, Summary, TableFacts, TagCount},
};
