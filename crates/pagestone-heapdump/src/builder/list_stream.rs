//! Finished lists of ordinals, read from the first to the last.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    lists::{self, List},
};

const READ_LEN: usize = 256 << 10;

/// The lists of one relation, in the order of their keys.
pub(super) struct ListStream {
    reader: BufReader<File>,
    path: PathBuf,
    next_key: u32,
    value_count: u32,
    /// The bytes of a list that did not lie whole in the reader's buffer.
    long: Vec<u8>,
}

impl ListStream {
    /// Reads the file of lists at `path`, whose numbers are below `value_count`.
    pub(super) fn open(path: &Path, value_count: u32) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let reader = BufReader::with_capacity(READ_LEN, file);
        Ok(Self { reader, path: path.to_path_buf(), next_key: 0, value_count, long: Vec::new() })
    }

    /// Calls `each` with every number of the next list.
    #[inline]
    pub(super) fn next(&mut self, mut each: impl FnMut(u32)) -> Result<()> {
        let key = self.next_key;
        self.next_key += 1;
        // Most lists lie whole in the buffer.
        if let &[len @ 0..0x80, ref rest @ ..] = self.reader.buffer() {
            let len = usize::from(len);
            let told = lists::each((key, rest, len), self.value_count, &mut each);
            if told.map_err(|_| malformed(&self.path, key))? {
                self.reader.consume(1 + len);
                return Ok(());
            }
            if let Some(bytes) = rest.get(..len) {
                for value in List::new(key, bytes, self.value_count) {
                    each(value.map_err(|_| malformed(&self.path, key))?);
                }
                self.reader.consume(1 + len);
                return Ok(());
            }
        }
        self.next_long(key, &mut each)
    }

    /// Leaves out the next list; says whether it is empty.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<bool> {
        if let &[len @ 0..0x80, ref rest @ ..] = self.reader.buffer() {
            let len = usize::from(len);
            if len <= rest.len() {
                self.next_key += 1;
                self.reader.consume(1 + len);
                return Ok(len == 0);
            }
        }
        let mut is_empty = true;
        self.next(|_| is_empty = false)?;
        Ok(is_empty)
    }

    #[cold]
    fn next_long(&mut self, key: u32, each: &mut dyn FnMut(u32)) -> Result<()> {
        let failed = |source| Error::io("read", &self.path, source);
        let mut len = 0_u64;
        for place in 0..10 {
            let mut byte = [0];
            self.reader.read_exact(&mut byte).map_err(failed)?;
            len |= u64::from(byte[0] & 0x7f) << (7 * place);
            if byte[0] < 0x80 {
                break;
            }
        }
        self.long.clear();
        let read = (&mut self.reader).take(len).read_to_end(&mut self.long).map_err(failed)?;
        if (read as u64) < len {
            return Err(malformed(&self.path, key));
        }
        for value in List::new(key, &self.long, self.value_count) {
            each(value.map_err(|_| malformed(&self.path, key))?);
        }
        Ok(())
    }
}

#[cold]
fn malformed(path: &Path, key: u32) -> Error {
    Error::corrupt(path, "list", ("numbers of objects", format!("others in list {key}")))
}
