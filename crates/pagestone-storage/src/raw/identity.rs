//! Which boot of which machine shows which file: what tells a kill from a power loss.

use super::{RawFile, Source};
use crate::{
    error::Result,
    sys::{self, SysFile},
};

/// Which boot of which machine shows which file.
///
/// As long as all but `links` are what they were, what was stored to the file before is what the
/// page cache shows, on the device or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The number of the boot. Zeros where the system does not tell: two such must not be taken
    /// for the same boot.
    pub boot: [u64; 2],
    /// The device of the file.
    pub device: u64,
    /// The number of the file on its device.
    pub inode: u64,
    /// The id of the mount that shows the file. 0 where the system does not tell, which again is
    /// no sign of the same; before Linux 6.8 an id may be used again after an unmount.
    pub mount: u64,
    /// How many names the file has, 0 once it was removed.
    pub links: u64,
}

impl RawFile {
    /// Asks the system who shows the file; for memory all is zero but a number of its own.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub fn identity(&self) -> Result<Identity> {
        let file = match &self.source {
            Source::File { file, .. } => file,
            Source::Memory { number } => {
                let (boot, inode) = ([0; 2], *number);
                return Ok(Identity { boot, device: 0, inode, mount: 0, links: 0 });
            }
        };
        let (device, inode, links) = file.numbers()?;
        let (boot, mount) = machine(file);
        Ok(Identity { boot, device, inode, mount, links })
    }

    /// Waits until the name of the file is on the device; nothing to wait for in memory.
    ///
    /// # Errors
    ///
    /// `Io`; what is on the device is then unknown.
    pub fn sync_directory(&self) -> Result<()> {
        self.file().map_or(Ok(()), |file| sys::sync_parent(file.path()))
    }

    /// Returns whether [`path`](Self::path) still names this file; `true` for memory.
    #[must_use]
    pub fn names_this(&self) -> bool {
        self.file().is_none_or(|file| {
            file.identity().is_ok_and(|identity| sys::names(file.path(), identity))
        })
    }
}

/// The boot and the mount.
fn machine(file: &SysFile) -> ([u64; 2], u64) {
    #[cfg(feature = "crash-sim")]
    if let Some(machine) = crate::seam::machine() {
        return (machine.boot, machine.mount);
    }
    (sys::boot(), file.mount())
}
