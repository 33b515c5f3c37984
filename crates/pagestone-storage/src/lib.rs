//! Fixed-size records in plain files: mapped or not, sorted, searched, read by other processes.
#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "raw"),
    expect(dead_code, unused_imports, reason = "some of the lower modules serve `raw` alone")
)]

mod storage; // the exclusive writer: append, set, swap, cut, sync
mod records; // the reader: get, iterate, follow the writer
mod iter; // records and fields in index order
#[cfg(feature = "rayon")]
mod parallel; // iteration on many threads
mod search; // bounds, equal range, biased search
mod sort; // in place or into a copy; radix, merge, larger than memory
mod sidecar; // what is known beside the records: checksums, order, accelerator
mod verify; // a read-only check of a storage
mod checks; // blocks compared with their checksums when they are first needed
mod record; // what a record is, and one that was read
mod field; // offset, kind and byte order of a field; values and their order
pub mod le; // little-endian numbers for record types
mod options; // how a storage is created and opened
mod trust; // the promise that unlocks borrowed records
mod core; // one opened file, shared by writer and readers
#[cfg(feature = "raw")]
pub mod raw; // mapped bytes for a layer above that lays them out itself
mod lending; // what a reader borrows from
mod published; // the length that readers follow
mod bytes; // the bytes of one file: file, map, memory
mod words; // word copies to and from mappings
mod lock; // one writer; nobody under whom records change
#[cfg(feature = "raw")]
mod holds; // what reading processes hold
mod whole; // a small file that is replaced whole, or removed; the names in a directory
mod temporary; // a file that takes another's place whole
mod sys; // system calls
mod error;

#[cfg(not(feature = "crash-sim"))]
mod seam; // where tests see, fail and cut what a storage does
#[cfg(feature = "crash-sim")]
pub mod seam;

pub use crate::{
    bytes::{Advice, Backing},
    checks::BlockChecks,
    error::{Error, ErrorKind, Result},
    field::{ByteOrder, Field, Kind, Value},
    iter::{FieldValues, Iter},
    options::{Mutability, Options, RECORD_SIZE_MAX},
    record::{Record, RecordRef},
    records::Records,
    search::Bias,
    sidecar::{Sidecar, SidecarOptions, SidecarStatus},
    sort::{Order, SORT_MEMORY_MIN, Sort},
    storage::Storage,
    trust::{Location, TrustedDir},
    verify::{DamagedBlock, Progress, Verification},
    whole::{remove_file, replace_file, sync_directory_of},
};
