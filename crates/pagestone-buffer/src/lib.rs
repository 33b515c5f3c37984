//! Entries by stable ids in an append-only buffer that is compacted beside readers and writers.
#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod buffer; // add, update, remove, get
mod in_place; // contents changed where they lie
mod compact; // steps, budgets, choice of the segment, to the end
mod policy; // when a compaction is due, and the thread that looks
mod map; // keys and values
mod table; // slots by hash, in memory and as they lie in a file
mod key; // what a key can be
mod codec; // how values become bytes
mod reader; // an entry as a stream
mod salvage; // buffers from the segments of a damaged file
mod layout; // what the bytes mean; see docs/format.md

pub use crate::{
    buffer::{BufferOptions, Buffers, Counters, EntryBuffer},
    codec::{Codec, Json, Postcard, Raw},
    compact::{Budget, Compact, Progress, State},
    in_place::InPlace,
    key::{Key, Serde},
    map::{Entry, EntryMap, MapError, MapResult, OccupiedEntry, RefusedValue, VacantEntry},
    policy::{Compactor, Policy},
    reader::EntryReader,
    salvage::salvage,
};

pub use pagestone_heap::{
    BlockId as EntryId, Damage, EntryFacts, EntrySizes, EntryStatus, EntryWriter, Salvage,
    Salvaged, SalvagedLog,
};
