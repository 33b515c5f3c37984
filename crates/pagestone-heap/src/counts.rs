//! Numbers by index, committed with the rest of the file: what ref-counts are kept in.

use std::sync::Arc;

use crate::{
    error::{Error, ErrorKind, Result},
    file::RegionFile,
    parts::{HIDDEN, PAIR, PARTS, first_of, nth, part_len},
    pin::Pin,
    shared::Shared,
    store::Store,
    word::{BODY_MAX, COUNT},
    writer::Writer,
};

/// The numbers of a name in a [`RegionFile`]; clones are views of the same numbers.
///
/// Each index has a number of 40 bits, 0 until it is set; 16 bytes of the file for each index up to
/// the largest that was set. Reads take no lock.
///
/// ```
/// use pagestone_heap::{FileOptions, RegionFile};
///
/// let file = RegionFile::options().in_memory()?;
/// let uses = file.counts("uses")?;
/// uses.set(&mut file.writer(), 7, 2)?;
/// assert_eq!((uses.get(&file.pin(), 7)?, uses.get(&file.pin(), 8)?), (2, 0));
/// # Ok::<(), pagestone_heap::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Counts {
    file: RegionFile,
    store: Arc<Store>,
}

impl Counts {
    /// The largest number.
    pub const MAX: u64 = BODY_MAX;

    pub(crate) fn new(file: &RegionFile, store: Arc<Store>) -> Self {
        Self { file: file.clone(), store }
    }

    pub(crate) fn known(file: &RegionFile, name: &str) -> Result<Option<Self>> {
        let Some(store) = file.known_store(name) else { return Ok(None) };
        if !store.has_counts() {
            let what = format!("store {name:?} has no numbers");
            return Err(Error::refused(ErrorKind::InvalidArgument, file.path(), what));
        }
        Ok(Some(Self::new(file, store)))
    }

    /// Returns the file that the numbers are in.
    #[must_use]
    pub fn file(&self) -> &RegionFile {
        &self.file
    }

    fn shared(&self) -> &Shared {
        &self.file.shared
    }

    /// The number of an index.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the slot has something else; `InvalidArgument` for a pin of another file.
    pub fn get(&self, pin: &Pin<'_>, index: u32) -> Result<u64> {
        if !std::ptr::eq(pin.shared(), self.shared()) {
            let what = "the pin is of another file";
            return Err(Error::refused(ErrorKind::InvalidArgument, self.shared().path(), what));
        }
        let Some(slot) = nth(index.into()) else { return Ok(0) };
        let at = self.store.parts.quick(slot);
        let mut word = self.shared().select(at);
        if word.is_empty() && self.shared().scan_if_behind() {
            word = self.shared().select(self.store.parts.quick(slot));
        }
        match word.class() {
            _ if word.is_empty() => Ok(0),
            COUNT => Ok(word.body()),
            _ => Err(Error::corrupt(self.shared().path(), ("number", at), 0, word.0)),
        }
    }

    /// The indices whose number is not 0, lowest first; those whose slot has something else, too.
    pub fn indices<'p>(&'p self, pin: &'p Pin<'_>) -> impl Iterator<Item = u32> + 'p {
        let parts = (0..PARTS).filter(|part| self.store.parts.has(*part));
        let indices = parts.flat_map(|part| {
            let first = first_of(part) - HIDDEN * part as u64;
            first..first + part_len(part) / PAIR - HIDDEN
        });
        let indices = indices.filter_map(|index| u32::try_from(index).ok());
        indices.filter(|index| self.get(pin, *index).map_or(true, |number| number != 0))
    }

    /// Sets the number of an index.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a number above [`MAX`](Self::MAX), and for a writer of another file;
    /// `OutOfSpace`, with nothing changed; `ReadOnly`; `Poisoned`; `Io`.
    pub fn set(&self, writer: &mut Writer<'_>, index: u32, number: u64) -> Result<()> {
        writer.check(self.shared())?;
        writer.engine().set_count(&self.store, index, number)
    }
}
