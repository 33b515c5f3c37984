//! Keys and values in a buffer, found by a table in memory.

use std::{
    fmt,
    hash::BuildHasher,
    marker::PhantomData,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use pagestone_heap::{ErrorKind, Pin, RegionFile, Writer};

use crate::{Buffers, Codec, EntryBuffer, EntryId, Key, Postcard};

/// A value that a codec refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedValue {
    /// The key, as bytes or, where it is text, as text.
    pub key: String,
    /// What the codec says.
    pub cause: String,
}

/// Why a map could not do something.
#[derive(Debug)]
#[non_exhaustive]
pub enum MapError {
    /// The file: see [`pagestone_heap::ErrorKind`].
    File(pagestone_heap::Error),
    /// A value that the codec refuses, to write or to read; the rest of the map is as it was.
    Value(Box<RefusedValue>),
    /// A key of more than 65,535 bytes, one that has no bytes, or one that is stored and makes no
    /// sense.
    Key(String),
}

impl fmt::Display for MapError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(formatter),
            Self::Value(refused) => {
                write!(formatter, "value of key {}: {}", refused.key, refused.cause)
            }
            Self::Key(what) => write!(formatter, "key: {what}"),
        }
    }
}

impl std::error::Error for MapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(error) => std::error::Error::source(error),
            _ => None,
        }
    }
}

impl From<pagestone_heap::Error> for MapError {
    fn from(error: pagestone_heap::Error) -> Self {
        Self::File(error)
    }
}

/// What functions of a map return.
pub type MapResult<T> = Result<T, MapError>;

/// A map in a buffer: each entry holds a key and a value; a hash table in memory leads from the
/// key to the id of its entry.
///
/// The table is made at open from all keys. In the process that writes it follows every change; in
/// others [`refresh`](Self::refresh) reads it anew.
#[derive(Debug)]
pub struct EntryMap<K: ?Sized, V: ?Sized, C = Postcard> {
    buffer: EntryBuffer,
    table: RwLock<Table>,
    hasher: RandomState,
    kinds: PhantomData<fn(&K, &V, C)>,
}

/// The table, and after how many discards it was made.
#[derive(Debug, Default)]
struct Table {
    ids: HashTable<EntryId>,
    discards: u64,
}

/// The key and the value of an entry; `None` where it is no entry of a map.
fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = entry.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
}

impl<K: Key + ?Sized, V: ?Sized, C: Codec<V>> EntryMap<K, V, C> {
    /// Opens the map of this name in a file, or makes it where there is none.
    ///
    /// Cost: every key is read.
    ///
    /// # Errors
    ///
    /// As [`Buffers::buffer`]; `Key` for entries that are not those of a map.
    pub fn open(file: &RegionFile, name: &str) -> MapResult<Self> {
        let map = Self {
            buffer: file.buffer(name)?,
            table: RwLock::default(),
            hasher: RandomState::default(),
            kinds: PhantomData,
        };
        map.refresh()?;
        Ok(map)
    }

    /// Returns the buffer that the map is in.
    #[must_use]
    pub fn buffer(&self) -> &EntryBuffer {
        &self.buffer
    }

    /// Reads all keys anew: for a map of a file that another process writes.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `Key` for an entry that is none of a map.
    pub fn refresh(&self) -> MapResult<()> {
        let mut table = self.write_table();
        self.rebuild(&mut table)
    }

    fn rebuild(&self, table: &mut Table) -> MapResult<()> {
        let discards = self.buffer.file().discards();
        let pin = self.buffer.file().pin();
        let ids: Vec<EntryId> = self.buffer.ids(&pin).collect();
        let mut found = HashTable::with_capacity(ids.len());
        let mut wrong = None;
        self.buffer.get_many(&pin, &ids, |nth, entry| {
            let key = entry.map(|entry| split(entry).map(|(key, _)| self.hasher.hash_one(key)));
            match key {
                Ok(Some(hash)) => {
                    found.insert_unique(hash, ids[nth], |id| self.hash_of(&pin, *id));
                }
                Ok(None) => wrong = Some(MapError::Key(format!("entry {} has none", ids[nth]))),
                // Removed meanwhile, by the process that writes.
                Err(error) if error.kind() == ErrorKind::StaleId => {}
                Err(error) => wrong = Some(error.into()),
            }
        });
        *table = Table { ids: found, discards };
        wrong.map_or(Ok(()), Err)
    }

    fn hash_of(&self, pin: &Pin<'_>, id: EntryId) -> u64 {
        let entry = self.buffer.get(pin, id).ok();
        entry.and_then(split).map_or(0, |(key, _)| self.hasher.hash_one(key))
    }

    fn table(&self) -> MapResult<RwLockReadGuard<'_, Table>> {
        loop {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if table.discards == self.buffer.file().discards() {
                return Ok(table);
            }
            drop(table);
            self.refresh()?;
        }
    }

    fn write_table(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table for a change, made anew after a discard.
    fn table_mut(&self) -> MapResult<RwLockWriteGuard<'_, Table>> {
        let mut table = self.write_table();
        if table.discards != self.buffer.file().discards() {
            self.rebuild(&mut table)?;
        }
        Ok(table)
    }

    fn key_bytes(key: &K) -> MapResult<Vec<u8>> {
        let mut bytes = vec![0, 0];
        key.encode(&mut bytes).map_err(MapError::Key)?;
        match u16::try_from(bytes.len() - 2) {
            Ok(len) => {
                bytes[..2].copy_from_slice(&len.to_le_bytes());
                Ok(bytes)
            }
            Err(_) => Err(MapError::Key(format!("{} bytes are too many", bytes.len() - 2))),
        }
    }

    fn find(&self, (table, pin): (&Table, &Pin<'_>), key: &[u8]) -> Option<EntryId> {
        let same = |id: &EntryId| {
            let entry = self.buffer.get(pin, *id).ok();
            entry.and_then(split).is_some_and(|(its, _)| its == key)
        };
        table.ids.find(self.hasher.hash_one(key), same).copied()
    }

    /// The value of a key, as bytes that stay while the pin lives.
    ///
    /// # Errors
    ///
    /// `Corrupt`; `InvalidArgument` for a pin of another file.
    pub fn get_raw<'p>(&self, pin: &'p Pin<'_>, key: &K) -> MapResult<Option<&'p [u8]>> {
        let key = Self::key_bytes(key)?;
        let table = self.table()?;
        let Some(id) = self.find((&table, pin), &key[2..]) else { return Ok(None) };
        drop(table);
        Ok(split(self.buffer.get(pin, id)?).map(|(_, value)| value))
    }

    /// Shows the bytes of the value of a key to `look`, without a copy.
    ///
    /// # Errors
    ///
    /// As `get_raw`.
    pub fn get_with<R>(&self, key: &K, look: impl FnOnce(&[u8]) -> R) -> MapResult<Option<R>> {
        let pin = self.buffer.file().pin();
        Ok(self.get_raw(&pin, key)?.map(look))
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// As `get_raw`; `Value` where the codec refuses the bytes.
    pub fn get(&self, key: &K) -> MapResult<Option<C::Owned>> {
        let value = self.get_with(key, C::decode)?;
        match value.transpose() {
            Ok(value) => Ok(value),
            Err(cause) => Err(Self::refused(&Self::key_bytes(key)?[2..], cause)),
        }
    }

    #[cold]
    fn refused(key: &[u8], cause: String) -> MapError {
        let key = match std::str::from_utf8(key) {
            Ok(text) if !text.contains('\0') => format!("{text:?}"),
            _ => format!("{key:02x?}"),
        };
        MapError::Value(Box::new(RefusedValue { key, cause }))
    }

    /// Whether the map has the key.
    ///
    /// # Errors
    ///
    /// As `get_raw`.
    pub fn contains(&self, key: &K) -> MapResult<bool> {
        self.get_with(key, |_| ()).map(|found| found.is_some())
    }

    /// Puts a value under a key; true when the key had one, which is replaced.
    ///
    /// # Errors
    ///
    /// `Value` where the codec refuses it; `Key` for one that is too long; what a change can fail
    /// with. Nothing is changed then.
    pub fn insert(&self, writer: &mut Writer<'_>, key: &K, value: &V) -> MapResult<bool> {
        let mut entry = Self::key_bytes(key)?;
        let key_len = entry.len();
        let value = C::encode(value).map_err(|cause| Self::refused(&entry[2..], cause))?;
        entry.extend_from_slice(&value);
        let mut table = self.table_mut()?;
        let pin = self.buffer.file().pin();
        if let Some(id) = self.find((&table, &pin), &entry[2..key_len]) {
            self.buffer.update(writer, id, &entry)?;
            return Ok(true);
        }
        let id = self.buffer.add(writer, &entry)?;
        let hash = self.hasher.hash_one(&entry[2..key_len]);
        table.ids.insert_unique(hash, id, |id| self.hash_of(&pin, *id));
        Ok(false)
    }

    /// Removes a key with its value; false when it was not there.
    ///
    /// # Errors
    ///
    /// What a change can fail with.
    pub fn remove(&self, writer: &mut Writer<'_>, key: &K) -> MapResult<bool> {
        let key = Self::key_bytes(key)?;
        let mut table = self.table_mut()?;
        let pin = self.buffer.file().pin();
        let Some(id) = self.find((&table, &pin), &key[2..]) else { return Ok(false) };
        self.buffer.remove(writer, id)?;
        if let Ok(found) = table.ids.find_entry(self.hasher.hash_one(&key[2..]), |its| *its == id) {
            found.remove();
        }
        Ok(true)
    }

    /// Puts many values under their keys, under one writer.
    ///
    /// # Errors
    ///
    /// As `insert`, at the first that fails; those before it stay.
    pub fn extend<'a>(
        &self,
        writer: &mut Writer<'_>,
        entries: impl IntoIterator<Item = (&'a K, &'a V)>,
    ) -> MapResult<()>
    where
        K: 'a,
        V: 'a,
    {
        entries.into_iter().try_for_each(|(key, value)| self.insert(writer, key, value).map(drop))
    }

    /// Removes what `keep` does not want: it is shown key and value as bytes.
    ///
    /// # Errors
    ///
    /// What a change can fail with.
    pub fn retain(
        &self,
        writer: &mut Writer<'_>,
        mut keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> MapResult<()> {
        let mut table = self.table_mut()?;
        let pin = self.buffer.file().pin();
        let ids: Vec<EntryId> = table.ids.iter().copied().collect();
        for id in ids {
            let Some((key, value)) = split(self.buffer.get(&pin, id)?) else { continue };
            if !keep(key, value) {
                let hash = self.hasher.hash_one(key);
                self.buffer.remove(writer, id)?;
                if let Ok(found) = table.ids.find_entry(hash, |its| *its == id) {
                    found.remove();
                }
            }
        }
        Ok(())
    }

    /// Keys there are.
    ///
    /// # Errors
    ///
    /// As `refresh`, after a discard.
    pub fn len(&self) -> MapResult<usize> {
        self.table().map(|table| table.ids.len())
    }

    /// Returns whether there is no key.
    ///
    /// # Errors
    ///
    /// As `len`.
    pub fn is_empty(&self) -> MapResult<bool> {
        self.len().map(|len| len == 0)
    }

    /// All keys with their values, in no order. A value that the codec refuses is an error of its
    /// own; those behind it follow.
    ///
    /// # Errors
    ///
    /// As `len`.
    pub fn entries<'p>(
        &'p self,
        pin: &'p Pin<'_>,
    ) -> MapResult<impl Iterator<Item = MapResult<(K::Owned, C::Owned)>> + 'p> {
        let ids: Vec<EntryId> = self.table()?.ids.iter().copied().collect();
        Ok(ids.into_iter().filter_map(move |id| match self.buffer.get(pin, id) {
            Ok(entry) => Some(Self::pair(entry)),
            Err(error) if error.kind() == ErrorKind::StaleId => None,
            Err(error) => Some(Err(error.into())),
        }))
    }

    fn pair(entry: &[u8]) -> MapResult<(K::Owned, C::Owned)> {
        let none = || MapError::Key("an entry without a key".to_owned());
        let (key, value) = split(entry).ok_or_else(none)?;
        let owned = K::decode(key).ok_or_else(none)?;
        let value = C::decode(value).map_err(|cause| Self::refused(key, cause))?;
        Ok((owned, value))
    }
}
