//! Readers in other processes: what each holds, what the writer asks, and how a reader follows.

use std::sync::{PoisonError, atomic::Ordering};

use super::{Lock, RawFile, Source};
use crate::{
    error::{Cause, Error, ErrorKind, Result},
    holds::Holds,
};

impl RawFile {
    /// Says to the writer in whatever process that this reader may look at generation `number` of
    /// the content and all later ones, until [`release`](Self::release).
    ///
    /// The system gives it up when the process dies. Where there is no lock file, no writer can
    /// open, and this does nothing; nor does it for memory.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a forked child; `Io` when the system has no lock to give.
    pub fn hold(&self, number: u64) -> Result<()> {
        self.reader_holds().map_or(Ok(()), |holds| holds.take(number))
    }

    /// Takes one [`hold`](Self::hold) of `number` back.
    pub fn release(&self, number: u64) {
        if let Some(holds) = self.reader_holds() {
            holds.give_back(number);
        }
    }

    /// For the writer: the lowest number below `below` that a reader holds.
    ///
    /// # Errors
    ///
    /// `Io`: then any may be held.
    pub fn oldest_hold(&self, below: u64) -> Result<Option<u64>> {
        self.writer_holds().map_or(Ok(None), |holds| holds.oldest(below))
    }

    /// For the writer: keeps readers from opening the file until
    /// [`let_readers_in`](Self::let_readers_in).
    ///
    /// # Errors
    ///
    /// `Locked` while a reader has it open; `Io`.
    pub fn keep_readers_out(&self) -> Result<()> {
        let kept = self.writer_holds().map_or(Ok(()), Holds::keep_readers_out);
        kept.map_err(|error| match error.kind() {
            ErrorKind::Locked => {
                let what = "another process has it open for reading";
                Error::refused(ErrorKind::Locked, self.path(), what)
            }
            _ => error,
        })
    }

    /// Undoes [`keep_readers_out`](Self::keep_readers_out).
    pub fn let_readers_in(&self) {
        if let Some(holds) = self.writer_holds() {
            holds.let_readers_in();
        }
    }

    /// For a reader: asks the system how long the file is, and shows what it has grown by.
    ///
    /// What it was cut by is shown still: who looks where no published word leads is killed by
    /// `SIGBUS`. Returns the length of the file.
    ///
    /// # Errors
    ///
    /// `OutOfSpace` when the file has grown beyond [`capacity`](Self::capacity); `Io`.
    pub fn follow(&self) -> Result<u64> {
        let found = self.refresh_len()?;
        let _guard = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.capacity() < found {
            let (path, reserved) = (self.path().to_path_buf(), self.capacity());
            return Err(Cause::Reserve { path, wanted: found, reserved }.into());
        }
        if self.len() < found {
            if self.range.is_some() {
                self.shown.store(found, Ordering::Release);
            }
            self.len.store(found, Ordering::Release);
        }
        Ok(found)
    }

    fn reader_holds(&self) -> Option<&Holds> {
        match &self.source {
            Source::File { lock: Lock::Reader { holds }, .. } => holds.as_ref(),
            _ => None,
        }
    }

    fn writer_holds(&self) -> Option<&Holds> {
        match &self.source {
            Source::File { lock: Lock::Writer { holds }, .. } => Some(holds),
            _ => None,
        }
    }
}
