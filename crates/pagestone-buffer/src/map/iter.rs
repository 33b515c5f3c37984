//! All keys and values of a map.

use std::collections::VecDeque;

use pagestone_heap::{Log, Pin};

use super::{
    BATCH, EntryMap,
    core::split,
    error::{MapError, MapResult},
};
use crate::{Codec, EntryId, Key};

/// The entries of a log in the order of their slots, fetched from memory ahead.
fn entries<'p>(
    log: &'p Log,
    pin: &'p Pin<'_>,
) -> impl Iterator<Item = Result<(EntryId, &'p [u8]), pagestone_heap::Error>> {
    let mut slots = 0..log.slot_end();
    let mut ahead = VecDeque::with_capacity(BATCH);
    std::iter::from_fn(move || {
        loop {
            while ahead.len() < BATCH
                && let Some(slot) = slots.next()
            {
                if log.has_slot(slot) {
                    log.prefetch_entry(slot);
                    ahead.push_back(slot);
                }
            }
            let slot = ahead.pop_front()?;
            if let Some(found) = log.in_slot(pin, slot).transpose() {
                return Some(found);
            }
        }
    })
}

fn key_of<K: Key + ?Sized>(key: &[u8]) -> MapResult<K::Owned> {
    K::decode(key).ok_or_else(|| MapError::Key(format!("{key:02x?} is none of this map")))
}

impl<K: Key + ?Sized, V: ?Sized, C: Codec<V>> EntryMap<K, V, C> {
    /// All keys with their values as bytes that stay while the pin lives, in no order. What is
    /// changed meanwhile may be there or not. An entry that cannot be read is an error of its own;
    /// those behind it follow.
    pub fn iter_raw<'p>(
        &'p self,
        pin: &'p Pin<'_>,
    ) -> impl Iterator<Item = MapResult<(&'p [u8], &'p [u8])>> {
        entries(&self.core.buffer.log, pin).map(|found| {
            let (id, entry) = found?;
            split(entry).ok_or_else(|| MapError::Key(format!("entry {id} has none")))
        })
    }

    /// All keys with their values, as [`iter_raw`](Self::iter_raw). A value that the codec refuses
    /// is an error of its own, which names its key.
    pub fn iter<'p>(
        &'p self,
        pin: &'p Pin<'_>,
    ) -> impl Iterator<Item = MapResult<(K::Owned, C::Owned)>> {
        self.iter_raw(pin).map(|found| {
            let (key, value) = found?;
            let owned = key_of::<K>(key)?;
            Ok((owned, C::decode(value).map_err(|cause| MapError::refused(key, cause))?))
        })
    }

    /// All keys, as [`iter`](Self::iter); no value is read.
    pub fn keys<'p>(&'p self, pin: &'p Pin<'_>) -> impl Iterator<Item = MapResult<K::Owned>> {
        self.iter_raw(pin).map(|found| key_of::<K>(found?.0))
    }

    /// All values, as [`iter`](Self::iter).
    pub fn values<'p>(&'p self, pin: &'p Pin<'_>) -> impl Iterator<Item = MapResult<C::Owned>> {
        self.iter_raw(pin).map(|found| {
            let (key, value) = found?;
            C::decode(value).map_err(|cause| MapError::refused(key, cause))
        })
    }
}
