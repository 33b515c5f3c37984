//! The buffer of this workspace: by key through a map, and by id alone.

use std::time::{Duration, Instant};

use pagestone_buffer::{Buffers, Compact, EntryBuffer, EntryId, EntryMap, Policy, Raw};
use pagestone_heap::RegionFile;

use super::{Change, EntryStore, Promise, key_of};
use crate::{Folder, Result, must};

const FILE: &str = "entries.pgs";
const NAME: &str = "entries";
/// From which share of garbage on a program that tends its buffer compacts it.
const GARBAGE_SHARE: f64 = 0.3;

/// Compaction by policy in the caller's thread.
#[derive(Debug)]
pub struct Compacting {
    policy: Policy,
    last: Instant,
}

impl Compacting {
    fn new() -> Self {
        Self { policy: Policy::GarbageShare(GARBAGE_SHARE), last: Instant::now() }
    }

    fn tend(&mut self, buffer: &EntryBuffer) -> Result<()> {
        let since: Duration = self.last.elapsed();
        if buffer.compact_if_due(&self.policy, since)?.is_some() {
            self.last = Instant::now();
        }
        Ok(())
    }
}

fn create(folder: &Folder) -> Result<RegionFile> {
    Ok(RegionFile::options().create(folder.trusted().file(FILE))?)
}

fn open(folder: &Folder) -> Result<RegionFile> {
    Ok(RegionFile::options().open(folder.trusted().file(FILE))?)
}

/// A map of keys to bytes.
#[derive(Debug)]
pub struct OursMap {
    file: RegionFile,
    map: EntryMap<u64, [u8], Raw>,
    compacting: Compacting,
}

impl OursMap {
    fn new(file: RegionFile) -> Result<Self> {
        let map = EntryMap::open(&file, NAME)?;
        Ok(Self { file, map, compacting: Compacting::new() })
    }
}

impl EntryStore for OursMap {
    const NAME: &'static str = "map";
    const UNIT: usize = 1_000;

    fn create(folder: &Folder, _promise: Promise) -> Result<Self> {
        Self::new(create(folder)?)
    }

    fn open(folder: &Folder, _promise: Promise) -> Result<Self> {
        Self::new(open(folder)?)
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let mut writer = self.file.writer();
        for change in changes {
            match change {
                Change::Put(number, bytes) => {
                    self.map.insert(&mut writer, &key_of(number), bytes)?;
                }
                Change::Remove(number) => {
                    self.map.remove(&mut writer, &key_of(number))?;
                }
            }
        }
        Ok(())
    }

    fn tend(&mut self) -> Result<()> {
        self.compacting.tend(self.map.buffer())
    }

    fn commit(&mut self) -> Result<()> {
        Ok(self.file.commit()?)
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        for number in numbers {
            self.map.get_with(&key_of(*number), &mut each)?.ok_or("no such entry")?;
        }
        Ok(())
    }

    fn compact(self, _folder: &Folder) -> Result<Option<Self>> {
        self.map.buffer().compact(Compact::new())?;
        Ok(Some(self))
    }

    fn close(self) -> Result<()> {
        drop(self.map);
        Ok(self.file.close()?)
    }
}

/// Entries by id; which number has which id is known to the caller.
#[derive(Debug)]
pub struct OursById {
    file: RegionFile,
    buffer: EntryBuffer,
    /// The id of each number; none of a buffer that was opened, whose entries are read in the
    /// order of ids, as they were added.
    ids: Vec<EntryId>,
    compacting: Compacting,
}

impl OursById {
    fn new(file: RegionFile) -> Result<Self> {
        let buffer = file.buffer(NAME)?;
        Ok(Self { file, buffer, ids: vec![], compacting: Compacting::new() })
    }

    #[inline]
    fn id(&self, number: u32) -> EntryId {
        self.ids[number as usize]
    }

    /// The buffer, to look at from other threads.
    #[must_use]
    pub const fn buffer(&self) -> &EntryBuffer {
        &self.buffer
    }

    /// The ids of these numbers.
    #[must_use]
    pub fn ids_of(&self, numbers: &[u32]) -> Vec<EntryId> {
        numbers.iter().map(|number| self.id(*number)).collect()
    }
}

impl EntryStore for OursById {
    const NAME: &'static str = "id";
    const UNIT: usize = 1_000;

    fn create(folder: &Folder, _promise: Promise) -> Result<Self> {
        Self::new(create(folder)?)
    }

    fn open(folder: &Folder, _promise: Promise) -> Result<Self> {
        Self::new(open(folder)?)
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        let mut writer = self.file.writer();
        for change in changes {
            match change {
                Change::Put(number, bytes) => match self.ids.get(number as usize) {
                    Some(id) => self.buffer.update(&mut writer, *id, bytes)?,
                    None => self.ids.push(self.buffer.add(&mut writer, bytes)?),
                },
                Change::Remove(number) => {
                    self.buffer.remove(&mut writer, self.ids[number as usize])?;
                }
            }
        }
        Ok(())
    }

    fn add_many<'w>(&mut self, entries: impl Iterator<Item = (u32, &'w [u8])>) -> Result<()> {
        let mut writer = self.file.writer();
        let bytes = entries.map(|(_, bytes)| bytes);
        Ok(self.buffer.add_many(&mut writer, bytes, &mut self.ids)?)
    }

    fn tend(&mut self) -> Result<()> {
        self.compacting.tend(&self.buffer)
    }

    fn commit(&mut self) -> Result<()> {
        Ok(self.file.commit()?)
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        let pin = self.file.pin();
        if self.ids.is_empty() {
            for (id, _) in self.buffer.ids(&pin).zip(numbers) {
                each(self.buffer.get(&pin, id)?);
            }
            return Ok(());
        }
        for number in numbers {
            each(self.buffer.get(&pin, self.id(*number))?);
        }
        Ok(())
    }

    fn read_many(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<bool> {
        let pin = self.file.pin();
        let mut ids = [EntryId::from_bits(0); 256];
        for numbers in numbers.chunks(ids.len()) {
            for (id, number) in ids.iter_mut().zip(numbers) {
                *id = self.id(*number);
            }
            self.buffer.get_many(&pin, &ids[..numbers.len()], |_, bytes| each(must(bytes)));
        }
        Ok(true)
    }

    fn compact(self, _folder: &Folder) -> Result<Option<Self>> {
        self.buffer.compact(Compact::new())?;
        Ok(Some(self))
    }

    fn close(self) -> Result<()> {
        drop(self.buffer);
        Ok(self.file.close()?)
    }
}
