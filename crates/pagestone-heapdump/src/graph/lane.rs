//! Numbers that wait in a file without a name: written in order, read in order or backwards.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use pagestone_storage::le::U32;

use crate::error::{Error, Result};

/// Numbers that are written or read at once.
const BLOCK_COUNT: usize = 16 << 10;

/// A list of numbers in a file, which is gone with it.
#[derive(Debug)]
pub(super) struct Lane {
    file: File,
    path: PathBuf,
    len: u64,
    waiting: Vec<U32>,
}

impl Lane {
    /// An empty list, in a file of the directory `scratch`.
    pub(super) fn create(scratch: &Path, name: &str) -> Result<Self> {
        let path = scratch.join(name);
        let failed = |action| move |source| (action, source);
        let remove = || match fs::remove_file(&path) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failed("remove")),
        };
        let made = remove().and_then(|()| {
            let mut options = File::options();
            let file = options.read(true).write(true).create_new(true).open(&path);
            let file = file.map_err(failed("create"))?;
            remove()?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Self { file, path, len: 0, waiting: Vec::new() }),
            Err((action, source)) => Err(Error::io(action, &path, source)),
        }
    }

    /// Appends a number.
    #[inline]
    pub(super) fn push(&mut self, number: u32) -> Result<()> {
        if self.waiting.len() == BLOCK_COUNT {
            self.flush()?;
        }
        self.waiting.push(U32::new(number));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let bytes = bytemuck::cast_slice(&self.waiting);
        let written = self.file.write_all_at(bytes, self.len * size_of::<U32>() as u64);
        written.map_err(|source| Error::io("write", &self.path, source))?;
        self.len += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Flushes, and keeps no memory for what may come.
    fn settle(&mut self) -> Result<()> {
        self.flush()?;
        self.waiting = Vec::new();
        Ok(())
    }

    /// Reads the list from its beginning.
    pub(super) fn forwards(&mut self) -> Result<Reader<'_>> {
        self.settle()?;
        Ok(Reader::new(self, Way::Forwards))
    }

    /// Reads the list from its end.
    pub(super) fn backwards(&mut self) -> Result<Reader<'_>> {
        self.settle()?;
        Ok(Reader::new(self, Way::Backwards))
    }

    /// Reads the whole list, of `count` numbers.
    pub(super) fn load(&mut self, count: usize) -> Result<Vec<u32>> {
        let mut reader = self.forwards()?;
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(reader.next()?);
        }
        Ok(all)
    }

    /// Says that a number of this list cannot be one that was written.
    #[cold]
    pub(super) fn corrupt(&self, most: u32, found: u32) -> Error {
        Error::corrupt(&self.path, "number", (format_args!("at most {most}"), found))
    }
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Forwards,
    Backwards,
}

/// The numbers of a list, one after the other.
pub(super) struct Reader<'l> {
    lane: &'l Lane,
    way: Way,
    /// Numbers that were not read.
    left: u64,
    /// Numbers that were read, in the order in which they are taken.
    block: Vec<U32>,
    taken: usize,
}

impl<'l> Reader<'l> {
    fn new(lane: &'l Lane, way: Way) -> Self {
        Self { lane, way, left: lane.len, block: Vec::new(), taken: 0 }
    }

    /// The next number; an error behind the last one.
    #[inline]
    pub(super) fn next(&mut self) -> Result<u32> {
        if self.taken == self.block.len() {
            self.fill()?;
        }
        let number = self.block[self.taken].get();
        self.taken += 1;
        Ok(number)
    }

    /// The next number, which is at most `most`.
    #[inline]
    pub(super) fn next_within(&mut self, most: u32) -> Result<u32> {
        let number = self.next()?;
        if number <= most { Ok(number) } else { Err(self.lane.corrupt(most, number)) }
    }

    fn fill(&mut self) -> Result<()> {
        let count = self.left.min(BLOCK_COUNT as u64);
        let start = match self.way {
            Way::Forwards => self.lane.len - self.left,
            Way::Backwards => self.left - count,
        };
        let failed = |source| Error::io("read", &self.lane.path, source);
        if count == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        // At most a block, so it fits.
        self.block.resize(usize::try_from(count).unwrap_or(BLOCK_COUNT), U32::new(0));
        let bytes = bytemuck::cast_slice_mut(&mut self.block);
        self.lane.file.read_exact_at(bytes, start * size_of::<U32>() as u64).map_err(failed)?;
        if let Way::Backwards = self.way {
            self.block.reverse();
        }
        self.left -= count;
        self.taken = 0;
        Ok(())
    }
}
