//! Locks and atomic words, which runs under a scheduler of tests replace.

#[cfg(all(shuttle, not(all(loom, test))))]
pub(crate) use shuttle::sync::atomic::{AtomicU16, fence};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU64},
};
#[cfg(not(any(shuttle, all(loom, test))))]
pub(crate) use std::sync::atomic::{AtomicU16, fence};
#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU64},
};
