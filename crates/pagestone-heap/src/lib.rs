//! One file of regions with a crash-safe commit, and blocks of any length in it by stable id.
#![doc = include_str!("../README.md")]

mod file; // the region file: create, open, stores, roots, close
mod options; // how a file is created and opened
mod writer; // the one writer: commit, discard
mod commits; // threads that share a commit
mod heap; // blocks by id: allocate, get, put, free
mod shrink; // blocks moved together, space given back
mod compact; // a dense copy of a file
mod salvage; // a new file from the segments of a damaged one
mod relocation; // who is told of blocks that move
mod log; // entries by id, appended to segments: what a buffer stands on
mod counts; // numbers by index
mod slab; // objects of one length in slots: what a slab store stands on
mod pin; // who may still look
mod follow; // a reader beside a writer of another process
mod stats; // counts
mod verify; // a read-only check of a whole file
mod backup; // a copy of a file in use
mod id; // the name of a block
mod engine; // the writer's steps, in the order that crashes need
mod shared; // what readers and the writer share
mod state; // what the writer knows beside the file
mod region; // regions and who owns their bytes
mod parts; // tables that grow and never move
mod store; // the slot table of a store
mod names; // names of stores and roots
mod space; // free space inside regions
mod ranges; // free space between regions
mod segments; // what the writer knows of a log's segments
mod slabs; // what the writer knows of slabs
mod retired; // space that waits
mod evacuation; // what a shrink knows between its steps
mod snapshot; // the record of free space that a close leaves
mod units; // what each unit of the file belongs to
mod class; // size classes of blocks
mod epoch; // the open epoch and the two looks at it
mod word; // tagged words and which of two counts
mod header; // superblocks and region headers, checked
mod layout; // what the bytes mean; see docs/format.md
mod sync; // locks and atomic words
mod error;

pub use crate::{
    backup::{BackedUp, Backup, Copied},
    counts::Counts,
    error::{Error, ErrorKind, Result},
    file::{HeapOptions, RegionFile},
    heap::{
        BlockKind, BlockMut, BlockPlace, BlockReader, BlockWriter, Blocks, Filter, Heap, HeapMut,
        ListedBlock, Listing, Orphans,
    },
    id::BlockId,
    log::{
        EntryFacts, EntrySizes, EntryStatus, EntryWriter, Evacuation, InPlace, Log, LogMark,
        SegmentFacts,
    },
    options::{CommitPolicy, Durability, FileOptions, REGION_SIZE_MAX, REGION_SIZE_MIN, Unclean},
    pin::Pin,
    relocation::Relocation,
    salvage::{Damage, Salvage, Salvaged, SalvagedLog},
    shrink::{Shrink, ShrinkProgress, ShrinkState},
    slab::{SlabFacts, SlabShape, Slabs, SlotId},
    stats::Stats,
    verify::{Problem, Progress, Report, Verify},
    writer::Writer,
};
