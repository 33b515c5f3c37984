//! Slabs of equal slots: byte objects by checked id, typed pools, interned strings.
#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod store; // byte objects of any length by id
mod pool; // values of one type by id
mod interner; // strings that are stored once
mod concurrent; // the same for many threads at once
mod id; // the name of an object
mod growth; // how pools grow, when slabs are given back
mod stats; // counts
mod values; // which object has a value
mod scan; // search without an index
mod flat; // values of one type by index alone
mod pools; // slabs by number, by class, by index
mod class; // length -> pool
mod slab; // occupied and vacant slots
mod place; // where the bytes of a slab lie
mod table; // numbers by hash
mod file; // objects and strings in a region file
mod bits; // bits in words
mod error;

pub use crate::{
    concurrent::ConcurrentInterner,
    error::{Error, ErrorKind, Result},
    file::{FileInterner, FileStats, FileStore, Resolver, SlabFile},
    growth::Growth,
    id::ObjectId,
    interner::{Frozen, Interner, Symbol, SymbolMap},
    pool::{PlainId, Pool, PoolId},
    stats::{PoolStats, Stats},
    store::{ObjectStore, ObjectStoreOptions},
};

pub use pagestone_heap::SlotId;
pub use pagestone_storage::raw::Content;
