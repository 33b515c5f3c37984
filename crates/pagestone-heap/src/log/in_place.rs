//! Payloads of entries changed where they lie, by who has the log alone.

use std::sync::Arc;

use super::Log;
use crate::{
    engine::{Engine, Given},
    error::{Error, ErrorKind, Result},
    id::BlockId,
    options::Durability,
    region::lifecycle::{Keeper, entry_mut, published_entry},
};

/// The right to change payloads of a [`Log`] where they lie: no other view of the file is alive in
/// this process, and other processes cannot open it for reading.
///
/// The weakest promise there is, for each [`update`](Self::update) that found room: a crash before
/// the next commit leaves the old content, the new one, or an entry that
/// [`get`](Log::get) says is damaged, also where the old content was committed; never a mixture
/// that passes for either. A discard does not undo it. The container cannot break, and such an
/// entry can be updated or removed as any other.
#[derive(Debug)]
pub struct InPlace<'l> {
    log: &'l mut Log,
    /// Whether readers of other processes are kept out meanwhile.
    alone: bool,
}

impl Drop for InPlace<'_> {
    fn drop(&mut self) {
        if self.alone {
            self.log.shared().raw.let_readers_in();
        }
    }
}

impl Log {
    /// Takes the right to change payloads where they lie, while no other view of the file is alive:
    /// no clone of it, no other store, no pin.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` while another view is alive; `Locked` while another process has the file
    /// open for reading; `ReadOnly`; `Poisoned`; `Io`.
    pub fn in_place(&mut self) -> Result<InPlace<'_>> {
        if Arc::get_mut(&mut self.file.shared).is_none() {
            let what = "another view of the file is alive";
            return Err(Error::refused(ErrorKind::InvalidArgument, self.file.path(), what));
        }
        let shared = self.shared();
        shared.check_writable()?;
        // Scratch content has no readers in other processes at all.
        let alone = shared.options.durability != Durability::Scratch;
        if alone {
            shared.raw.keep_readers_out()?;
        }
        Ok(InPlace { log: self, alone })
    }
}

impl InPlace<'_> {
    /// Borrows the content of an entry.
    ///
    /// # Errors
    ///
    /// As [`Log::get`].
    pub fn get(&self, id: BlockId) -> Result<&[u8]> {
        let shared = self.log.shared();
        let found = shared.find_entry(&self.log.store, id)?;
        let bytes = published_entry(&shared.raw, Keeper::owner(self), (found.at, found.len));
        if shared.has_room(found.at) {
            shared.check_change(found.at, bytes)?;
        }
        Ok(bytes)
    }

    /// As [`Log::room_for`].
    ///
    /// # Errors
    ///
    /// As `room_for`.
    pub fn room_for(&self, len: usize, factor: f64) -> Result<u64> {
        self.log.room_for(len, factor)
    }

    /// Replaces the content of an entry where it lies if it has room for it, without a copy; else
    /// it is appended as [`Log::update_with_room`] does, with room for `room` bytes. Returns
    /// whether it was replaced where it lies.
    ///
    /// # Errors
    ///
    /// `StaleId`; `Corrupt`; `Poisoned`; as `update_with_room` where it is appended.
    pub fn update(&mut self, id: BlockId, (bytes, room): (&[u8], u64)) -> Result<bool> {
        let Log { file, store } = &mut *self.log;
        let shared = &*file.shared;
        let mut state = shared.lock();
        let mut engine = Engine { shared, state: &mut state };
        let Some(change) = engine.begin_change(store, id, bytes)? else {
            engine.log_update(store, id, Given { payload: bytes, room: Some(room) })?;
            return Ok(false);
        };
        let place = change.place();
        entry_mut(&shared.raw, store, (place, bytes.len())).copy_from_slice(bytes);
        shared.raw.stored(place, bytes.len() as u64);
        engine.end_change(&change);
        store.count_change();
        Ok(true)
    }

    /// Commits, as [`Writer::commit`](crate::Writer::commit): what was changed in place survives
    /// power loss from here on.
    ///
    /// # Errors
    ///
    /// As `Writer::commit`.
    pub fn commit(&mut self) -> Result<()> {
        self.log.file.writer().commit()
    }
}
