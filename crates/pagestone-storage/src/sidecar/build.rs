//! Writing a sidecar: beside the old one, synced, then in its place.

use std::path::Path;

use tracing::debug_span;
use zerocopy::little_endian::{U32, U64};

use super::{
    FLAG_FINGERPRINT, FLAG_SORTING, MAGIC, ORDER_FIELDS_MAX, SidecarHeader, StoredField, VERSION,
    ends_crc, sealed, sidecar_path,
};
use crate::{
    core::Core,
    error::{Error, ErrorKind, Result},
    field::Field,
    search::{
        keys,
        tree::{Form, Tree, counts},
    },
    sys::{self, Opening, SysFile},
    temporary::{Role, Temporary},
};

/// Bytes of records under one checksum.
const BLOCK: u64 = 64 << 10;

/// What a sidecar shall hold.
///
/// ```
/// use pagestone_storage::{Field, Kind, Options, SidecarOptions, Storage};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("keys.rec");
/// let mut keys: Storage<u64> = Options::new().create(&path)?;
/// keys.append(&[1, 5, 9])?;
/// keys.write_sidecar(SidecarOptions::new().checksums().accelerate(Field::new(0, Kind::U64)))?;
/// assert!(keys.verify(|_| std::ops::ControlFlow::Continue(()))?.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SidecarOptions {
    checksums: bool,
    accelerate: Option<Field>,
    fingerprint: Option<u64>,
}

impl SidecarOptions {
    /// A sidecar with the record count and the order alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a CRC-32 per 64 KiB of records, which `verify` compares.
    #[must_use]
    pub fn checksums(self) -> Self {
        Self { checksums: true, ..self }
    }

    /// With a search tree over `field`, or counts where its values lie evenly; the records are
    /// sorted by it. About 0.57 bytes per record. Of a field wider than 8 bytes it holds the
    /// first 8.
    #[must_use]
    pub fn accelerate(self, field: Field) -> Self {
        Self { accelerate: Some(field), ..self }
    }

    /// With the fingerprint of the records' schema.
    #[must_use]
    pub fn fingerprint(self, fingerprint: u64) -> Self {
        Self { fingerprint: Some(fingerprint), ..self }
    }
}

/// Writes the sidecar of all records of `core`, which are sorted by `order`.
pub(crate) fn write(core: &Core, options: SidecarOptions, order: &[Field]) -> Result<()> {
    let Some(data) = core.bytes().file() else {
        return Err(Error::refused(ErrorKind::Unsupported, core.path(), "memory has no sidecar"));
    };
    let path = sidecar_path(data.path());
    let _span = debug_span!("build", path = %path.display(), len = core.len()).entered();
    if let Some(field) = options.accelerate {
        field.check(core.record_size())?;
    }
    let temporary = new_sidecar(&path, data.path())?;
    let mut header = SidecarHeader {
        record_count: core.len().into(),
        ends_crc: ends_crc(core, core.len())?.into(),
        ..empty(core)?
    };
    if let Some(fingerprint) = options.fingerprint {
        header.flags = FLAG_FINGERPRINT.into();
        header.fingerprint = fingerprint.into();
    }
    let known = order.get(..order.len().min(ORDER_FIELDS_MAX)).unwrap_or_default();
    header.order_count = u32::try_from(known.len()).unwrap_or(0).into();
    for (stored, &field) in header.order.iter_mut().zip(known) {
        *stored = StoredField::encode(field);
    }
    let mut out = Section::new(&temporary.file);
    write_sections(core, options, (&mut header, &mut out))?;
    temporary.file.write_at(0, &sealed(header))?;
    temporary.file.sync()?;
    temporary.publish(&path)?;
    Ok(())
}

/// An empty sidecar that may take the place `path`, with the mode of the records at `data`.
fn new_sidecar(path: &Path, data: &Path) -> Result<Temporary> {
    check_place(path)?;
    let temporary = Temporary::create(path, Role::Successor)?;
    temporary.file.take_after(data)?;
    Ok(temporary)
}

/// Writes, durably, that an in-place sort of `core` begins.
pub(crate) fn mark_sorting(core: &Core) -> Result<()> {
    let Some(data) = core.bytes().file() else { return Ok(()) };
    let path = sidecar_path(data.path());
    let temporary = new_sidecar(&path, data.path())?;
    let header = SidecarHeader { flags: FLAG_SORTING.into(), ..empty(core)? };
    temporary.file.write_at(0, &sealed(header))?;
    temporary.file.sync()?;
    temporary.publish(&path)?;
    Ok(())
}

/// Removes the sidecar, durably, before or after what it says is no longer so.
pub(crate) fn remove(core: &Core) -> Result<()> {
    let Some(data) = core.bytes().file() else { return Ok(()) };
    if is_ours(&sidecar_path(data.path()))? { remove_own(core) } else { Ok(()) }
}

/// Removes, durably, the sidecar that this storage has written.
pub(crate) fn remove_own(core: &Core) -> Result<()> {
    let Some(data) = core.bytes().file() else { return Ok(()) };
    let path = sidecar_path(data.path());
    if !sys::remove(&path)? {
        return Ok(());
    }
    // A removal that a power loss may undo could bring back what is no longer so; trying again
    // would find nothing to remove and sync nothing.
    sys::sync_parent(&path).inspect_err(|error| core.poison("removal of the sidecar", error))
}

/// Removes a sidecar whose records are gone; nobody's else.
pub(crate) fn remove_at(path: &Path) -> Result<()> {
    if is_ours(path)? { sys::remove(path).map(drop) } else { Ok(()) }
}

/// Whether the file at `path` is a sidecar, whole or not: it begins like one. What does not is
/// somebody else's, and never believed.
fn is_ours(path: &Path) -> Result<bool> {
    let file = match SysFile::open(path, Opening::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(false),
        Err(error) if sys::is_link(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut magic = MAGIC;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(magic.len());
    file.read_at(0, &mut magic[..len])?;
    Ok(magic == MAGIC)
}

/// Errors when somebody else's file lies where the sidecar goes.
fn check_place(path: &Path) -> Result<()> {
    if is_ours(path)? || std::fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let what = "lies where the sidecar goes, and is none";
    Err(Error::refused(ErrorKind::AlreadyExists, path, what))
}

fn empty(core: &Core) -> Result<SidecarHeader> {
    let record_size = u32::try_from(core.record_size())
        .map_err(|_| Error::argument("a record of more than 4 GiB"))?;
    Ok(SidecarHeader {
        magic: MAGIC,
        version: VERSION.into(),
        record_size: record_size.into(),
        record_count: U64::ZERO,
        fingerprint: U64::ZERO,
        flags: U32::ZERO,
        order_count: U32::ZERO,
        block_records: U64::ZERO,
        checksums_offset: U64::ZERO,
        checksums_len: U64::ZERO,
        accelerator_offset: U64::ZERO,
        accelerator_len: U64::ZERO,
        checksums_crc: U32::ZERO,
        accelerator_crc: U32::ZERO,
        accelerated: StoredField::NONE,
        order: [StoredField::NONE; ORDER_FIELDS_MAX],
        ends_crc: U32::ZERO,
        accelerator_form: U32::ZERO,
        reserved: [0; 48],
        checksum: U32::ZERO,
    })
}

/// What is written at once, from a multiple of itself on: one of the largest pages that the system
/// caches, which a mapping then translates as one.
const PIECE: u64 = 2 << 20;

/// The page in which the header lies.
const HEADER_PAGE: u64 = 4096;

/// The part of a sidecar that is being written; the page of the header comes last.
struct Section<'a> {
    file: &'a SysFile,
    offset: u64,
    /// The bytes in front of `offset`, back to a multiple of [`PIECE`].
    held: Vec<u8>,
    crc: crc32fast::Hasher,
}

impl<'a> Section<'a> {
    fn new(file: &'a SysFile) -> Self {
        let crc = crc32fast::Hasher::new();
        Self { file, offset: HEADER_PAGE, held: vec![0; keys::word_index(HEADER_PAGE)], crc }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc.update(bytes);
        self.hold(bytes)
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = PIECE - self.offset % PIECE;
            let (now, later) = rest.split_at(rest.len().min(keys::word_index(room)));
            self.held.extend_from_slice(now);
            self.offset += now.len() as u64;
            rest = later;
            if self.offset.is_multiple_of(PIECE) {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Goes on at `offset`; the bytes up to there are written later, or are zeros.
    fn skip_to(&mut self, offset: u64) -> Result<()> {
        const ZEROS: [u8; 4096] = [0; 4096];
        while self.offset < offset {
            let len = (offset - self.offset).min(ZEROS.len() as u64);
            self.hold(&ZEROS[..keys::word_index(len)])?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        self.file.write_at(self.offset - self.held.len() as u64, &self.held)?;
        self.held.clear();
        Ok(())
    }

    /// Forgets the section that began at `start`.
    fn cut(&mut self, start: u64) -> Result<()> {
        let kept = start % PIECE;
        if self.offset - (self.held.len() as u64) < start - kept + PIECE {
            self.held.truncate(keys::word_index(kept));
        } else {
            // What is in front is zeros, here and in the file.
            self.file.truncate(start - kept)?;
            self.held = vec![0; keys::word_index(kept)];
        }
        (self.offset, self.crc) = (start, crc32fast::Hasher::new());
        Ok(())
    }

    /// Ends the section that began at `start`: its length and checksum.
    fn end(&mut self, start: u64) -> (U64, U32) {
        let len = self.offset - start;
        let crc = std::mem::take(&mut self.crc).finalize();
        (len.into(), crc.into())
    }
}

/// Writes accelerator and checksums, as far as `options` ask for them, in one pass over the
/// records where their keys lie evenly.
fn write_sections(
    core: &Core,
    options: SidecarOptions,
    (header, out): (&mut SidecarHeader, &mut Section<'_>),
) -> Result<()> {
    let size = core.record_size();
    let records = block_records(size);
    // The checksums lie in front, and are known last.
    let place = out.offset;
    if options.checksums {
        let len = core.len().div_ceil(records).saturating_mul(4);
        out.skip_to(place.saturating_add(len).next_multiple_of(4096))?;
    }
    let start = out.offset;
    // Counts lead each search past two lines fewer, where keys lie evenly enough for them.
    let mut counts = match (options.accelerate, core.len().checked_sub(1)) {
        (Some(field), Some(last)) => {
            let word = |index| keys::lead_word(core, field.leading(), index);
            counts::Builder::new(core.len(), (word(0)?, word(last)?))
        }
        _ => None,
    };
    let (mut checksums, mut bytes) = (Vec::new(), Vec::new());
    for first in (0..core.len()).step_by(usize::try_from(records).unwrap_or(1)) {
        if !options.checksums && counts.is_none() {
            break;
        }
        read_block(core, (first, records), &mut bytes)?;
        if options.checksums {
            checksums.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        }
        if let (Some(builder), Some(field)) = (&mut counts, options.accelerate) {
            let len = (bytes.len() / size) as u64;
            if keys::with_copied((&bytes, size), field, Extend { builder, len }) {
                out.put(&builder.take())?;
            } else {
                counts = None;
            }
        }
    }
    if let Some(field) = options.accelerate {
        header.accelerated = StoredField::encode(field);
        header.accelerator_offset = start.into();
        let form = if let Some(rest) = counts.and_then(counts::Builder::finish) {
            out.put(&rest)?;
            Form::Counts
        } else {
            out.cut(start)?;
            keys::with_in_order(core, field, BuildTree { out, count: core.len() })??;
            Form::Nodes
        };
        header.accelerator_form = form.code().into();
        (header.accelerator_len, header.accelerator_crc) = out.end(start);
    }
    if HEADER_PAGE < out.offset {
        out.flush()?;
    }
    if options.checksums {
        out.file.write_at(place, &checksums)?;
        header.block_records = records.into();
        header.checksums_offset = place.into();
        header.checksums_len = (checksums.len() as u64).into();
        header.checksums_crc = crc32fast::hash(&checksums).into();
    }
    Ok(())
}

/// How many records of `record_size` bytes are under one checksum.
pub(crate) fn block_records(record_size: usize) -> u64 {
    (BLOCK / record_size as u64).max(1)
}

/// The checksum of up to `records` records from `first` on, read by way of `bytes`.
pub(crate) fn block_crc(
    core: &Core,
    (first, records): (u64, u64),
    bytes: &mut Vec<u8>,
) -> Result<u32> {
    read_block(core, (first, records), bytes)?;
    Ok(crc32fast::hash(bytes))
}

/// Reads up to `records` records from `first` on into `bytes`.
fn read_block(core: &Core, (first, records): (u64, u64), bytes: &mut Vec<u8>) -> Result<()> {
    let count = records.min(core.len().saturating_sub(first));
    bytes.resize(usize::try_from(core.offset(count)).unwrap_or(usize::MAX), 0);
    // By `read` even where the file is mapped: a page that the device cannot give is an error.
    match core.bytes().file() {
        Some(file) => file.read_at(core.offset(first), bytes),
        None => core.read(first, 0, bytes),
    }
}

struct Extend<'a> {
    builder: &'a mut counts::Builder,
    len: u64,
}

impl keys::Visit for Extend<'_> {
    type Output = bool;

    fn visit(self, keys: impl keys::Keys) -> bool {
        self.builder.extend(keys, self.len)
    }
}

struct BuildTree<'a, 'f> {
    out: &'a mut Section<'f>,
    count: u64,
}

impl keys::Visit for BuildTree<'_, '_> {
    type Output = Result<()>;

    fn visit(self, keys: impl keys::Keys) -> Result<()> {
        let Self { out, count } = self;
        Tree::build(count, keys, |bytes| out.put(bytes))
    }
}
