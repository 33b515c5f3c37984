//! Where appended records come from: a file, or standard input, which may be one.

use std::{
    fs::File,
    io::{self, Read, Seek as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::exit::Finding;

/// Bytes read at once, about.
const BATCH: usize = 1 << 20;

/// Raw records on their way in.
pub(super) struct Source {
    input: Box<dyn Read>,
    name: PathBuf,
    /// The offset of the next byte in the input.
    offset: u64,
    record_size: usize,
    batch: Vec<u8>,
}

impl Source {
    /// Opens a file, or else standard input.
    ///
    /// A regular file is read as far as it reaches at this moment, so that appending a file to
    /// itself ends, and refused at once when that is no whole number of records.
    pub(super) fn open(path: Option<&Path>, record_size: usize) -> anyhow::Result<Self> {
        let (mut file, name) = if let Some(path) = path {
            let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
            (file, path.to_path_buf())
        } else {
            let input = io::stdin().as_fd().try_clone_to_owned();
            (File::from(input.context("open standard input")?), "standard input".into())
        };
        let stat = || format!("stat {}", name.display());
        let metadata = file.metadata().with_context(stat)?;
        let batch = vec![0; (BATCH / record_size).max(1) * record_size];
        if !metadata.is_file() {
            return Ok(Self { input: Box::new(file), name, offset: 0, record_size, batch });
        }
        let offset = file.stream_position().with_context(stat)?;
        let len = metadata.len().saturating_sub(offset);
        check_whole(&name, (offset, len), record_size)?;
        Ok(Self { input: Box::new(file.take(len)), name, offset, record_size, batch })
    }

    /// Reads the next records, at the end of the input none.
    pub(super) fn next(&mut self) -> anyhow::Result<&[u8]> {
        let Self { input, name, offset, record_size, batch } = self;
        let mut filled = 0;
        while filled < batch.len() {
            match input.read(&mut batch[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let at = *offset + filled as u64;
                    let place = || format!("read {} at offset {at}", name.display());
                    return Err(error).with_context(place);
                }
            }
        }
        let whole = filled / *record_size * *record_size;
        if whole == 0 {
            check_whole(name, (*offset, filled as u64), *record_size)?;
        }
        if whole < filled {
            // The next call finds nothing but the rest.
            let rest = batch[whole..filled].to_vec();
            *input = Box::new(io::Cursor::new(rest));
        }
        *offset += whole as u64;
        Ok(&batch[..whole])
    }
}

/// Refuses an input that ends inside a record.
fn check_whole(name: &Path, (offset, len): (u64, u64), record_size: usize) -> anyhow::Result<()> {
    let rest = len % record_size as u64;
    if rest == 0 {
        return Ok(());
    }
    let start = offset + len - rest;
    let name = name.display();
    Err(Finding(format!(
        "{name} ends inside a record: {rest} bytes of {record_size} from offset {start} on"
    ))
    .into())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::Source;

    /// Gives a byte at a time, as a slow pipe does.
    struct Slow(Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(&mut into[..most])
        }
    }

    #[track_caller]
    fn check(len: u8, expected: &[u8], error: Option<&str>) {
        let input = Box::new(Slow(Cursor::new((0..len).collect())));
        let (name, batch) = ("pipe".into(), vec![0; 6]);
        let mut source = Source { input, name, offset: 0, record_size: 3, batch };
        let mut read = Vec::new();
        let end = loop {
            match source.next() {
                Ok([]) => break None,
                Ok(records) => read.extend_from_slice(records),
                Err(error) => break Some(error.to_string()),
            }
        };
        assert_eq!((read.as_slice(), end.as_deref()), (expected, error));
    }

    #[test]
    fn a_pipe_is_read_in_whole_records() {
        check(0, &[], None);
        check(9, &[0, 1, 2, 3, 4, 5, 6, 7, 8], None);
        let says = "pipe ends inside a record: 1 bytes of 3 from offset 9 on";
        check(10, &[0, 1, 2, 3, 4, 5, 6, 7, 8], Some(says));
        check(2, &[], Some("pipe ends inside a record: 2 bytes of 3 from offset 0 on"));
    }
}
