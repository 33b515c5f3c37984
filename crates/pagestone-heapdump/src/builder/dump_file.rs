//! The dump as bytes: read plainly, or unpacked on the way and kept unpacked.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::{reporter::Reporter, staging::Staging};
use crate::{
    error::{Error, ErrorKind, Result},
    manifest::file,
    scan::{HEADER_SIZE_MAX, Source, parse_header},
    summary::TableFacts,
};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const READ_LEN: usize = 256 << 10;

/// A file that begins like a dump.
pub(super) struct DumpFile {
    file: File,
    path: PathBuf,
    len: u64,
    is_packed: bool,
}

/// What is left of a source at its end.
pub(super) struct Finished {
    /// Whether the packed file is damaged or cut.
    pub(super) is_broken: bool,
    /// The unpacked dump.
    pub(super) unpacked: Option<TableFacts>,
}

/// A source that has something to say at its end.
pub(super) trait DumpSource: Source {
    fn finish(&mut self) -> Result<Finished>;
}

impl DumpFile {
    /// Opens a dump, and makes sure that it is one.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |action| move |source| Error::io(action, path, source);
        // Before it is opened: opening a FIFO would wait for its other end.
        let metadata = std::fs::metadata(path).map_err(failed("open"))?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
            let what = format!("not a heap dump: {what}");
            return Err(Error::refused(ErrorKind::NotADump, path, what));
        }
        let mut file = File::open(path).map_err(failed("open"))?;
        let len = file.metadata().map_err(failed("stat"))?.len();
        let mut first = [0; HEADER_SIZE_MAX];
        let read = read_fully(&mut file, &mut first).map_err(failed("read"))?;
        let is_packed = first.starts_with(&GZIP_MAGIC);
        file.rewind().map_err(failed("seek"))?;
        if is_packed {
            let mut unpacked = [0; HEADER_SIZE_MAX];
            let read = unpack_first(&file, &mut unpacked);
            file.rewind().map_err(failed("seek"))?;
            parse_header(&unpacked[..read], path)?;
        } else {
            parse_header(&first[..read], path)?;
        }
        Ok(Self { file, path: path.to_path_buf(), len, is_packed })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn is_packed(&self) -> bool {
        self.is_packed
    }

    pub(super) fn into_source<'r, 'h>(
        self,
        staging: &Staging,
        reporter: &'r mut Reporter<'h>,
    ) -> Result<Box<dyn DumpSource + 'r>>
    where
        'h: 'r,
    {
        if !self.is_packed {
            return Ok(Box::new(Plain { dump: self, position: 0, reporter }));
        }
        let counted = Counted { file: self.file, count: 0, failed: false };
        let out_path = staging.file(file::UNPACKED);
        // A dump holds secrets: nobody else reads it.
        let out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&out_path);
        let out = out.map_err(|source| Error::io("create", &out_path, source))?;
        Ok(Box::new(Packed {
            path: self.path,
            decoder: MultiGzDecoder::new(BufReader::with_capacity(READ_LEN, counted)),
            reporter,
            is_broken: false,
            out: Unpacked { file: out, path: out_path, crc: crc32fast::Hasher::new(), len: 0 },
        }))
    }
}

/// Reads until `into` is full or the file ends.
fn read_fully(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match from.read(&mut into[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Unpacks what can be unpacked of the first bytes.
fn unpack_first(file: &File, into: &mut [u8]) -> usize {
    let mut decoder = MultiGzDecoder::new(BufReader::new(file));
    let mut done = 0;
    while done < into.len() {
        match decoder.read(&mut into[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A damaged file: what came before decides whether it is a dump.
            Err(_) => break,
        }
    }
    done
}

/// A dump that is read as it is.
struct Plain<'r, 'h> {
    dump: DumpFile,
    position: u64,
    reporter: &'r mut Reporter<'h>,
}

impl Source for Plain<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = read_once(&mut self.dump.file, into)
            .map_err(|source| Error::io("read", &self.dump.path, source))?;
        self.position += read as u64;
        self.reporter.read(self.position)?;
        Ok(read)
    }

    fn skip(&mut self, len: u64) -> Result<u64> {
        // Not past the end: it must be met by a read.
        let len = len.min(self.dump.len.saturating_sub(self.position));
        let position = self.position + len;
        self.dump
            .file
            .seek(SeekFrom::Start(position))
            .map_err(|source| Error::io("seek", &self.dump.path, source))?;
        self.position = position;
        self.reporter.read(position)?;
        Ok(len)
    }
}

impl DumpSource for Plain<'_, '_> {
    fn finish(&mut self) -> Result<Finished> {
        Ok(Finished { is_broken: false, unpacked: None })
    }
}

fn read_once(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// A dump that is unpacked on the way, and written to a file.
struct Packed<'r, 'h> {
    path: PathBuf,
    decoder: MultiGzDecoder<BufReader<Counted>>,
    reporter: &'r mut Reporter<'h>,
    is_broken: bool,
    out: Unpacked,
}

/// A file that knows how much was read, and tells its own errors from those of the unpacking.
struct Counted {
    file: File,
    count: u64,
    failed: bool,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = read_once(&mut self.file, into);
        match &read {
            Ok(read) => self.count += *read as u64,
            Err(_) => self.failed = true,
        }
        read
    }
}

struct Unpacked {
    file: File,
    path: PathBuf,
    crc: crc32fast::Hasher,
    len: u64,
}

impl Source for Packed<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if self.is_broken {
            return Ok(0);
        }
        let read = match self.decoder.read(into) {
            Ok(read) => read,
            Err(source) if self.decoder.get_ref().get_ref().failed => {
                return Err(Error::io("read", &self.path, source));
            }
            Err(_) => {
                self.is_broken = true;
                return Ok(0);
            }
        };
        let out = &mut self.out;
        out.file
            .write_all(&into[..read])
            .map_err(|source| Error::io("write", &out.path, source))?;
        out.crc.update(&into[..read]);
        out.len += read as u64;
        self.reporter.read(self.decoder.get_ref().get_ref().count)?;
        Ok(read)
    }

    fn skip(&mut self, _len: u64) -> Result<u64> {
        Ok(0)
    }
}

impl DumpSource for Packed<'_, '_> {
    fn finish(&mut self) -> Result<Finished> {
        let out = &mut self.out;
        out.file.sync_all().map_err(|source| Error::io("sync", &out.path, source))?;
        let crc32 = out.crc.clone().finalize();
        let unpacked = TableFacts::new::<u8>(file::UNPACKED, out.len, crc32);
        Ok(Finished { is_broken: self.is_broken, unpacked: Some(unpacked) })
    }
}
