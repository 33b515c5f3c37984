//! A real file that is made to show any image, and known to the byte.
#![expect(unsafe_code, reason = "the one promise that a test makes for its own directory")]

use std::{
    fs::File,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use pagestone_storage::{
    Location, TrustedDir,
    seam::{Plan, Trace, watch},
};
use pagestone_testkit::images::Device;

/// A directory with one file in it.
#[derive(Debug)]
pub(crate) struct Place {
    dir: tempfile::TempDir,
    /// What the file holds.
    now: Device,
}

impl Place {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { dir: dir.unwrap(), now: Device::default() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("file.pgs")
    }

    pub(crate) fn at(&self) -> Location {
        self.beside("file.pgs")
    }

    /// Another file of the directory.
    pub(crate) fn beside(&self, name: &str) -> Location {
        // SAFETY: only this test writes in its directory, through this library or while nothing
        // is open.
        let dir = unsafe { TrustedDir::assert(self.dir.path()) };
        dir.file(name)
    }

    /// Takes what the file holds for known.
    pub(crate) fn look(&mut self) {
        self.now = Device::of(std::fs::read(self.path()).unwrap());
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.now.cache()
    }

    /// Makes the file hold `image`, in place.
    pub(crate) fn install(&mut self, image: &[u8]) {
        let options = File::options().write(true).create(true).truncate(false).open(self.path());
        let file = options.unwrap();
        if image.len() != self.now.cache().len() {
            file.set_len(image.len() as u64).unwrap();
        }
        for at in self.now.replace(image) {
            let page = &image[at..image.len().min(at + 4096)];
            file.write_all_at(page, at as u64).unwrap();
        }
    }

    /// Runs `work`, which leaves the file closed; a panic is an error.
    pub(crate) fn watched<R>(
        &mut self,
        work: impl FnOnce() -> Result<R, String>,
    ) -> (Result<R, String>, Trace) {
        let caught = || catch_unwind(AssertUnwindSafe(work));
        let (answer, trace) = watch(Plan::record(), caught);
        for event in &trace.events {
            self.now.apply(event);
        }
        let answer = answer.unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
            Err(format!("panic: {}", text.unwrap_or("of another kind")))
        });
        (answer, trace)
    }

    /// Whether every change of the file was announced: it holds what the events say.
    pub(crate) fn is_known(&self) -> bool {
        std::fs::read(self.path()).unwrap() == self.now.cache()
    }

    pub(crate) fn remove(&mut self) {
        std::fs::remove_file(self.path()).ok();
        self.now = Device::default();
    }
}
