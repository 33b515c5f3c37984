//! The limit: a mapped log with a table of places in memory. No checks, no safety, no reopen.

use super::{Change, EntryStore, Promise};
use crate::{Folder, Mapping, Result};

/// Address space for the log; pages of it are taken as they are used.
const RESERVED: usize = 32 << 30;
const STEP: usize = 16 << 20;
/// Before each entry: its number and its length, from which the table could be made again.
const HEADER: usize = 8;
/// A place: the offset of the entry in these bits, its length above them; 0 for none.
const OFFSET_BITS: u32 = 40;

/// A log in the file `log`, and where in it each entry is.
#[derive(Debug)]
pub struct Log {
    file: Mapping,
    end: usize,
    places: Vec<u64>,
}

impl Log {
    fn new(folder: &Folder, name: &str) -> Result<Self> {
        let mut file = Mapping::create(&folder.path(name), RESERVED)?;
        file.grow(STEP)?;
        Ok(Self { file, end: HEADER, places: vec![] })
    }

    #[inline]
    fn append(&mut self, number: u32, bytes: &[u8]) -> Result<()> {
        let start = self.end + HEADER;
        let end = start + bytes.len();
        if self.file.bytes().len() < end {
            self.file.grow(end.next_multiple_of(STEP))?;
        }
        let log = self.file.bytes_mut();
        log[self.end..self.end + 4].copy_from_slice(&number.to_le_bytes());
        let len = u32::try_from(bytes.len())?;
        log[self.end + 4..start].copy_from_slice(&len.to_le_bytes());
        log[start..end].copy_from_slice(bytes);
        self.end = end.next_multiple_of(8);
        let place = u64::from(len) << OFFSET_BITS | start as u64;
        match self.places.get_mut(number as usize) {
            Some(old) => *old = place,
            None => self.places.push(place),
        }
        Ok(())
    }

    /// Where an entry is.
    #[inline]
    fn find(&self, number: u32) -> Option<(usize, usize)> {
        let place = *self.places.get(number as usize)?;
        let start = index(place & ((1 << OFFSET_BITS) - 1));
        (place != 0).then_some((start, start + index(place >> OFFSET_BITS)))
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "an offset in a mapping that exists")]
const fn index(word: u64) -> usize {
    word as usize
}

impl EntryStore for Log {
    const NAME: &'static str = "limit";
    const UNIT: usize = 1_000;

    fn create(folder: &Folder, _promise: Promise) -> Result<Self> {
        Self::new(folder, "log")
    }

    fn open(_folder: &Folder, _promise: Promise) -> Result<Self> {
        Err("the limit cannot be opened".into())
    }

    fn change<'w>(&mut self, changes: impl Iterator<Item = Change<'w>>) -> Result<()> {
        for change in changes {
            match change {
                Change::Put(number, bytes) => match self.find(number) {
                    Some((start, end)) if end - start == bytes.len() => {
                        self.file.bytes_mut()[start..end].copy_from_slice(bytes);
                    }
                    _ => self.append(number, bytes)?,
                },
                Change::Remove(number) => self.places[number as usize] = 0,
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.file.sync()
    }

    fn read(&self, numbers: &[u32], mut each: impl FnMut(&[u8])) -> Result<()> {
        let log = self.file.bytes();
        for number in numbers {
            let (start, end) = self.find(*number).ok_or("no such entry")?;
            each(&log[start..end]);
        }
        Ok(())
    }

    /// Copies what lives to another log, in the order of numbers.
    fn compact(self, folder: &Folder) -> Result<Option<Self>> {
        let mut dense = Self::new(folder, "dense")?;
        dense.places = vec![0; self.places.len()];
        for number in (0..).take(self.places.len()) {
            if let Some((start, end)) = self.find(number) {
                dense.append(number, &self.file.bytes()[start..end])?;
            }
        }
        dense.commit()?;
        drop(self);
        std::fs::remove_file(folder.path("log"))?;
        Ok(Some(dense))
    }

    fn close(mut self) -> Result<()> {
        self.commit()
    }
}
