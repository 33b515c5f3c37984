//! Bytes that the device of a file has written, by the statistics of the block layer.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::fs::{major, minor, sync};

use crate::Result;

/// How long the device has to be quiet before it counts as settled.
const QUIET: Duration = Duration::from_millis(20);
/// How often it is looked at before it is given up: somebody else writes all the time.
const LOOKS: usize = 50;

/// A block device.
#[derive(Debug)]
pub struct Device(PathBuf);

impl Device {
    /// The device that the file or folder at `path` is on.
    ///
    /// # Errors
    ///
    /// When it is on no block device.
    pub fn of(path: &Path) -> Result<Self> {
        let number = fs::metadata(path)?.dev();
        let stat = format!("/sys/dev/block/{}:{}/stat", major(number), minor(number));
        let device = Self(PathBuf::from(stat));
        device.written()?;
        Ok(device)
    }

    /// Bytes written since the system started, by whomever.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn written(&self) -> Result<u64> {
        let text = fs::read_to_string(&self.0)?;
        let sectors = text.split_whitespace().nth(6).ok_or("no sectors written")?;
        // Sectors of 512 bytes, whatever those of the device are.
        Ok(sectors.parse::<u64>()? * 512)
    }

    /// Writes back all there is, and waits until the device is quiet.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn settle(&self) -> Result<()> {
        sync();
        for _ in 0..LOOKS {
            let before = self.written()?;
            thread::sleep(QUIET);
            if self.written()? == before {
                break;
            }
        }
        Ok(())
    }
}
