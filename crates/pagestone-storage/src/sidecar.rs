//! What is known of a storage beside its records: `NAME.meta`, derived and never trusted.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use zerocopy::{FromBytes, IntoBytes};

use crate::{
    core::Core,
    error::{Error, ErrorKind, Result},
    field::Field,
    search::{count::Simd, tree::Form},
    sys::{self, Opening, SysFile},
};

pub(crate) mod accelerator; // the search tree of a sidecar
pub(crate) mod build; // writing a sidecar
mod layout; // what the bytes mean; see docs/format.md

pub use build::SidecarOptions;
pub(crate) use layout::ORDER_FIELDS_MAX;
use layout::{
    FLAG_FINGERPRINT, FLAG_SORTING, HEADER_SIZE, MAGIC, SidecarHeader, StoredField, VERSION,
};

/// What a storage's sidecar says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sidecar {
    /// How many records it describes; appends since are not covered.
    pub record_count: u64,
    /// The fingerprint of the schema that its writer gave.
    pub fingerprint: Option<u64>,
    /// What the records were sorted by, most significant field first; empty when unknown.
    pub sorted_by: Vec<Field>,
    /// The field whose searches it accelerates.
    pub accelerated: Option<Field>,
    /// Records under one checksum, 0 without checksums.
    pub block_records: u64,
}

/// Whether a storage has a sidecar that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SidecarStatus {
    /// There is none.
    Absent,
    /// It describes these records.
    Usable(Sidecar),
    /// It is damaged, stale or another file's; searches go on without it.
    Unusable(String),
}

/// A sidecar as it was found when the storage was opened or refreshed.
#[derive(Debug)]
pub(crate) struct Loaded {
    status: SidecarStatus,
    contents: Option<Contents>,
}

/// The file behind a usable sidecar.
#[derive(Debug)]
struct Contents {
    file: SysFile,
    header: SidecarHeader,
    accelerator: accelerator::Lazy,
}

/// Why a sidecar cannot be used.
enum Flaw {
    Unusable(String),
    Interrupted,
    Failed(Error),
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Loaded {
    pub(crate) fn absent() -> Self {
        Self { status: SidecarStatus::Absent, contents: None }
    }

    /// Looks for the sidecar of the records of `core`.
    ///
    /// # Errors
    ///
    /// `InterruptedSort` when it says that an in-place sort never ended; `Io` when the device
    /// fails. Whatever else is wrong with it is in the status.
    pub(crate) fn of(core: &Core, simd: Simd) -> Result<Self> {
        let Some(data) = core.bytes().file() else { return Ok(Self::absent()) };
        let path = sidecar_path(data.path());
        let file = match SysFile::open(&path, Opening::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::absent()),
            Err(error) => return Self::unread(error),
        };
        match Contents::read(file, core, simd) {
            Ok((sidecar, contents)) => {
                Ok(Self { status: SidecarStatus::Usable(sidecar), contents: Some(contents) })
            }
            Err(Flaw::Unusable(reason)) => Ok(Self::unusable(reason)),
            Err(Flaw::Failed(error)) => Self::unread(error),
            Err(Flaw::Interrupted) => {
                let what = "an in-place sort never ended, records may be doubled or lost; \
                            Options::accept_interrupted_sort opens it all the same";
                Err(Error::refused(ErrorKind::InterruptedSort, data.path(), what))
            }
        }
    }

    /// A device that fails, or a mode that forbids reading, might hide the mark of an in-place
    /// sort; anything else is no sidecar.
    fn unread(error: Error) -> Result<Self> {
        match error.kind() {
            ErrorKind::Io if sys::is_link(&error) => Ok(Self::unusable(error)),
            ErrorKind::Io | ErrorKind::ReadOnly => Err(error),
            _ => Ok(Self::unusable(error)),
        }
    }

    pub(crate) fn unusable(reason: impl fmt::Display) -> Self {
        Self { status: SidecarStatus::Unusable(reason.to_string()), contents: None }
    }

    pub(crate) fn status(&self) -> &SidecarStatus {
        &self.status
    }

    /// The accelerator of searches by `field`, where there is one over all records of `core`.
    #[inline]
    pub(crate) fn accelerator(
        &self,
        core: &Core,
        field: Field,
    ) -> Option<&accelerator::Accelerator> {
        let contents = self.contents.as_ref()?;
        contents.accelerator.get(contents, core, field)
    }

    /// How many searches the accelerator led astray.
    pub(crate) fn miss_count(&self) -> u64 {
        let accelerator = self.contents.as_ref().and_then(|found| found.accelerator.fetched());
        accelerator.map_or(0, |found| found.tree().stale_count())
    }

    /// The checksums of all blocks, in order, checked against their own checksum.
    pub(crate) fn checksums(&self) -> Result<Option<Vec<u32>>> {
        let Some(contents) = self.contents.as_ref().filter(|found| found.has_checksums()) else {
            return Ok(None);
        };
        let header = &contents.header;
        let (offset, len) = (header.checksums_offset.get(), header.checksums_len.get());
        let bytes = contents.section(offset, len)?;
        if crc32fast::hash(&bytes) != header.checksums_crc.get() {
            let what = "checksum table does not match its checksum";
            return Err(Error::refused(ErrorKind::Corrupt, contents.file.path(), what));
        }
        let (words, _) = bytes.as_chunks::<4>();
        Ok(Some(words.iter().map(|&word| u32::from_le_bytes(word)).collect()))
    }

    /// Whether the bytes of the accelerator are what was written.
    pub(crate) fn check_accelerator(&self) -> Result<()> {
        let Some(contents) = &self.contents else { return Ok(()) };
        let header = &contents.header;
        let (offset, len) = (header.accelerator_offset.get(), header.accelerator_len.get());
        if crc32fast::hash(&contents.section(offset, len)?) == header.accelerator_crc.get() {
            return Ok(());
        }
        let what = format!("search accelerator at offset {offset} does not match its checksum");
        Err(Error::refused(ErrorKind::Corrupt, contents.file.path(), what))
    }
}

impl Contents {
    fn read(file: SysFile, core: &Core, simd: Simd) -> Result<(Sidecar, Self), Flaw> {
        let mut bytes = [0; HEADER_SIZE];
        let len = file.len()?;
        if len < HEADER_SIZE as u64 {
            return Err(Flaw::Unusable(format!("{len} bytes are no sidecar")));
        }
        file.read_at(0, &mut bytes)?;
        let header = check_header(&bytes)?;
        let sidecar = check_content(&header, (core, len))?;
        if ends_crc(core, header.record_count.get())? != header.ends_crc.get() {
            let what = "it describes other records: those at the ends differ";
            return Err(Flaw::Unusable(what.to_owned()));
        }
        let accelerator = accelerator::Lazy::new(sidecar.accelerated, simd);
        Ok((sidecar, Self { file, header, accelerator }))
    }

    fn has_checksums(&self) -> bool {
        0 < self.header.block_records.get()
    }

    /// Reads a section whose extent was checked against the file's length.
    fn section(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        bytes.try_reserve_exact(len).map_err(|_| {
            let what = format!("{len} bytes of the sidecar do not fit memory");
            Error::refused(ErrorKind::OutOfSpace, self.file.path(), what)
        })?;
        bytes.resize(len, 0);
        self.file.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }
}

fn check_header(bytes: &[u8; HEADER_SIZE]) -> Result<SidecarHeader, Flaw> {
    let unusable = |what: &str| Err(Flaw::Unusable(what.to_owned()));
    let Ok(header) = SidecarHeader::read_from_bytes(bytes) else {
        return unusable("no header");
    };
    if header.magic != MAGIC {
        return unusable("not a sidecar");
    }
    if crc32fast::hash(&bytes[..HEADER_SIZE - 4]) != header.checksum.get() {
        return unusable("the header does not match its checksum");
    }
    if header.version.get() != VERSION {
        let found = header.version.get();
        return Err(Flaw::Unusable(format!("version {found}, this library knows {VERSION}")));
    }
    if header.reserved != [0; 48] {
        return unusable("reserved bytes are not zero");
    }
    if header.flags.get() & FLAG_SORTING != 0 {
        return Err(Flaw::Interrupted);
    }
    Ok(header)
}

fn check_content(header: &SidecarHeader, (core, len): (&Core, u64)) -> Result<Sidecar, Flaw> {
    let (size, count) = (core.record_size(), header.record_count.get());
    if header.record_size.get() as usize != size {
        let found = header.record_size.get();
        return Err(Flaw::Unusable(format!("it describes records of {found} bytes, not {size}")));
    }
    if core.len() < count {
        let found = core.len();
        return Err(Flaw::Unusable(format!("it describes {count} records, there are {found}")));
    }
    let field = |stored: &StoredField| stored.decode().filter(|field| field.check(size).is_ok());
    let order = header.order.get(..header.order_count.get() as usize);
    let sorted_by: Option<Vec<Field>> = order.and_then(|order| order.iter().map(field).collect());
    let form = Form::of_code(header.accelerator_form.get());
    let is_accelerated = 0 < header.accelerator_len.get();
    let accelerated = field(&header.accelerated).filter(|_| is_accelerated);
    let block_records = header.block_records.get();
    // No larger than what this library writes: a block is read whole.
    let is_bounded = block_records <= build::block_records(size);
    let blocks = if block_records == 0 { 0 } else { count.div_ceil(block_records) };
    let is_whole = is_bounded
        && header.checksums_len.get() == blocks.saturating_mul(4)
        && fits(header.checksums_offset.get(), header.checksums_len.get(), len)
        && fits(header.accelerator_offset.get(), header.accelerator_len.get(), len)
        && (!is_accelerated
            || accelerated.is_some()
                && form.map(|form| form.byte_len(count)) == Some(header.accelerator_len.get()));
    match sorted_by {
        Some(sorted_by) if is_whole => {
            let has_fingerprint = header.flags.get() & FLAG_FINGERPRINT != 0;
            let fingerprint = has_fingerprint.then(|| header.fingerprint.get());
            Ok(Sidecar { record_count: count, fingerprint, sorted_by, accelerated, block_records })
        }
        _ => Err(Flaw::Unusable("its sections contradict each other or its length".to_owned())),
    }
}

fn fits(offset: u64, section: u64, len: u64) -> bool {
    // An empty section may lie behind the end: nothing was written for it.
    section == 0 || offset.checked_add(section).is_some_and(|end| end <= len)
}

/// A checksum of the first and the last of `count` records: cheap, and it tells files apart.
fn ends_crc(core: &Core, count: u64) -> Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut record = vec![0; core.record_size()];
    if let Some(last) = count.checked_sub(1) {
        for index in [0, last] {
            core.read(index, 0, &mut record)?;
            hasher.update(&record);
        }
    }
    Ok(hasher.finalize())
}

/// Returns the path of the sidecar of the storage at `path`.
pub(crate) fn sidecar_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".meta");
    name.into()
}

/// The bytes of a header, with its checksum.
fn sealed(mut header: SidecarHeader) -> [u8; HEADER_SIZE] {
    let mut bytes = [0; HEADER_SIZE];
    bytes.copy_from_slice(header.as_bytes());
    header.checksum = crc32fast::hash(&bytes[..HEADER_SIZE - 4]).into();
    bytes.copy_from_slice(header.as_bytes());
    bytes
}
