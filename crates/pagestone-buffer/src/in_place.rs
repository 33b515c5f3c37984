//! Contents changed where they lie, by who has the buffer alone.

use pagestone_heap::Result;

use crate::{EntryBuffer, EntryId};

/// The right to change contents where they lie: no other view of the file is alive in this process,
/// and other processes cannot open it for reading.
///
/// Of use for entries with room ([`BufferOptions`](crate::BufferOptions)). The promise is weaker
/// than that of an update which appends: a crash before the next commit leaves the old content, the
/// new one, or an entry whose reads say that it is damaged, also where the old content was
/// committed. It is never a mixture that passes for either. A discard does not undo it. A damaged
/// entry can be updated and removed as any other; a compaction leaves its segment as it is.
///
/// ```
/// use pagestone_buffer::{BufferOptions, Buffers};
/// use pagestone_heap::RegionFile;
///
/// let file = RegionFile::options().in_memory()?;
/// let mut counts = file.buffer_with("counts", BufferOptions::new().extension_factor(2.0))?;
/// let id = counts.add(&mut file.writer(), b"41 visits")?;
/// drop(file); // the buffer is the only view that is left
///
/// let mut place = counts.in_place()?;
/// assert!(place.update(id, b"42 visits")?);
/// // Too long for its place, so this is an update as any other, with new room.
/// assert!(!place.update(id, b"43 visits, of them 7 this morning")?);
/// assert!(place.update(id, b"44 visits")?);
/// place.commit()?;
/// assert_eq!(place.get(id)?, b"44 visits");
/// # Ok::<(), pagestone_heap::Error>(())
/// ```
#[derive(Debug)]
pub struct InPlace<'b> {
    place: pagestone_heap::InPlace<'b>,
    factor: f64,
}

impl EntryBuffer {
    /// Takes the right to change contents where they lie, while this is the only view of the file:
    /// no clone of it or of the buffer, no other store is alive.
    ///
    /// Cost: a lock of the file's lock file, which keeps readers out until this is dropped.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` while another view is alive; `Locked` while another process has the file
    /// open for reading; `ReadOnly`; `Poisoned`; `Io`.
    pub fn in_place(&mut self) -> Result<InPlace<'_>> {
        let factor = self.extension_factor().unwrap_or(1.0);
        Ok(InPlace { place: self.log.in_place()?, factor })
    }
}

impl InPlace<'_> {
    /// Borrows the content of an entry.
    ///
    /// # Errors
    ///
    /// As [`EntryBuffer::get`].
    pub fn get(&self, id: EntryId) -> Result<&[u8]> {
        self.place.get(id)
    }

    /// Replaces the content of an entry where it lies if it has room for it, without a copy; else
    /// it is appended with new room. Returns whether it was replaced where it lies.
    ///
    /// # Errors
    ///
    /// As [`EntryBuffer::update`].
    pub fn update(&mut self, id: EntryId, bytes: &[u8]) -> Result<bool> {
        let room = self.place.room_for(bytes.len(), self.factor)?;
        self.place.update(id, (bytes, room))
    }

    /// Commits: what was changed in place survives power loss from here on.
    ///
    /// # Errors
    ///
    /// As [`Writer::commit`](pagestone_heap::Writer::commit).
    pub fn commit(&mut self) -> Result<()> {
        self.place.commit()
    }
}
