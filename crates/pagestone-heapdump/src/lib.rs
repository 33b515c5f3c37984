//! A persistent, memory-mapped index of a Java heap dump.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod options; // how an index is built, and what came out
mod builder; // the pass over the dump, the sorts, the publication
mod scan; // the dump's bytes, as events
mod index; // the finished index and its answers
mod summary; // the dump as a whole
mod damage; // what of a dump could not be read
mod manifest; // the file that makes a directory an index
mod layout; // what the bytes of an index mean; see docs/format.md
mod format; // the words of HPROF
mod name; // names as people write them
mod error;

pub use crate::{
    damage::{Damage, DamageKind},
    error::{Error, ErrorKind, Result},
    index::{Class, ClassCount, HeapIndex, Object, ObjectKind, Rank},
    options::{BuildOptions, BuildReport, Existing, Phase, PhaseTime, Progress},
    summary::{Packing, Summary, TableFacts, TagCount},
};
