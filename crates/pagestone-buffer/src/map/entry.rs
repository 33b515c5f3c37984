//! One key of a map, there or not.

use std::{borrow::Borrow, marker::PhantomData};

use pagestone_heap::Writer;

use super::{
    core::{Core, begin_entry},
    error::{MapError, MapResult},
};
use crate::Codec;

/// One key of a map under the writer; see [`EntryMap::entry`](crate::EntryMap::entry).
#[derive(Debug)]
pub enum Entry<'m, 'w, 'f, V: ?Sized, C> {
    /// The key has a value.
    Occupied(OccupiedEntry<'m, 'w, 'f, V, C>),
    /// It has none.
    Vacant(VacantEntry<'m, 'w, 'f, V, C>),
}

#[derive(Debug)]
struct Place<'m, 'w, 'f, V: ?Sized, C> {
    core: &'m Core,
    writer: &'w mut Writer<'f>,
    key: Vec<u8>,
    kinds: PhantomData<fn(&V, C)>,
}

/// A key that has a value.
#[derive(Debug)]
pub struct OccupiedEntry<'m, 'w, 'f, V: ?Sized, C>(Place<'m, 'w, 'f, V, C>);

/// A key that has none.
#[derive(Debug)]
pub struct VacantEntry<'m, 'w, 'f, V: ?Sized, C>(Place<'m, 'w, 'f, V, C>);

impl<V: ?Sized, C: Codec<V>> Place<'_, '_, '_, V, C> {
    fn put(&mut self, value: &V) -> MapResult<bool> {
        let value = C::encode(value).map_err(|cause| MapError::refused(&self.key, cause))?;
        self.core.insert(self.writer, &self.key, &value)
    }
}

impl<'m, 'w, 'f, V: ?Sized, C: Codec<V>> Entry<'m, 'w, 'f, V, C> {
    pub(super) fn new(core: &'m Core, writer: &'w mut Writer<'f>, key: Vec<u8>) -> MapResult<Self> {
        begin_entry(&mut Vec::new(), &key)?;
        let found = core.find(&core.buffer.file().pin(), &key)?.is_some();
        let place = Place { core, writer, key, kinds: PhantomData };
        Ok(if found {
            Self::Occupied(OccupiedEntry(place))
        } else {
            Self::Vacant(VacantEntry(place))
        })
    }

    /// Puts a value under the key if it has none.
    ///
    /// # Errors
    ///
    /// As [`EntryMap::insert`](crate::EntryMap::insert).
    pub fn or_insert(self, value: &V) -> MapResult<OccupiedEntry<'m, 'w, 'f, V, C>> {
        match self {
            Self::Occupied(entry) => Ok(entry),
            Self::Vacant(entry) => entry.insert(value),
        }
    }

    /// Puts the value that `make` makes under the key if it has none.
    ///
    /// # Errors
    ///
    /// As [`EntryMap::insert`](crate::EntryMap::insert).
    pub fn or_insert_with(
        self,
        make: impl FnOnce() -> C::Owned,
    ) -> MapResult<OccupiedEntry<'m, 'w, 'f, V, C>>
    where
        C::Owned: Borrow<V>,
    {
        match self {
            Self::Occupied(entry) => Ok(entry),
            Self::Vacant(entry) => entry.insert(make().borrow()),
        }
    }

    /// Changes the value, if the key has one.
    ///
    /// # Errors
    ///
    /// As [`EntryMap::get`](crate::EntryMap::get) and [`EntryMap::insert`](crate::EntryMap::insert).
    pub fn and_modify(mut self, change: impl FnOnce(&mut C::Owned)) -> MapResult<Self>
    where
        C::Owned: Borrow<V>,
    {
        if let Self::Occupied(entry) = &mut self {
            let mut value = entry.get()?;
            change(&mut value);
            entry.insert(value.borrow())?;
        }
        Ok(self)
    }
}

impl<V: ?Sized, C: Codec<V>> OccupiedEntry<'_, '_, '_, V, C> {
    /// The value.
    ///
    /// # Errors
    ///
    /// As [`EntryMap::get`](crate::EntryMap::get).
    pub fn get(&self) -> MapResult<C::Owned> {
        let Place { core, key, .. } = &self.0;
        let pin = core.buffer.file().pin();
        let Some((_, value)) = core.find(&pin, key)? else {
            return Err(MapError::Key("it was removed".to_owned()));
        };
        C::decode(value).map_err(|cause| MapError::refused(key, cause))
    }

    /// Puts another value in place of the one there.
    ///
    /// # Errors
    ///
    /// As [`EntryMap::insert`](crate::EntryMap::insert).
    pub fn insert(&mut self, value: &V) -> MapResult<()> {
        self.0.put(value).map(drop)
    }

    /// Removes the key with its value.
    ///
    /// # Errors
    ///
    /// As [`EntryMap::remove`](crate::EntryMap::remove).
    pub fn remove(self) -> MapResult<()> {
        self.0.core.remove(self.0.writer, &self.0.key).map(drop)
    }
}

impl<'m, 'w, 'f, V: ?Sized, C: Codec<V>> VacantEntry<'m, 'w, 'f, V, C> {
    /// Puts a value under the key.
    ///
    /// # Errors
    ///
    /// As [`EntryMap::insert`](crate::EntryMap::insert).
    pub fn insert(mut self, value: &V) -> MapResult<OccupiedEntry<'m, 'w, 'f, V, C>> {
        self.0.put(value)?;
        Ok(OccupiedEntry(self.0))
    }
}
