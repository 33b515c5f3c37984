//! Workload S on other engines: rows under random keys, loaded in key order, read from then on.
//!
//! Each is loaded as its documentation advises for sorted input, in one transaction that is on the
//! device at its end.

pub(crate) mod fst;
mod lmdb;
mod redb;
mod sqlite;

pub(crate) use self::{lmdb::Lmdb, redb::Redb, sqlite::Sqlite};
