//! How an index is built: options, progress, and what came out.

use std::{ops::ControlFlow, path::Path, time::Duration};

use serde::Serialize;

use crate::{
    builder,
    error::Result,
    summary::{Summary, TableFacts},
};

/// What to do when something lies where the index is to be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Leave it and answer `AlreadyExists`.
    #[default]
    Refuse,
    /// Replace an index, whole or damaged, once the one that takes its place is complete; its notes
    /// stay. What is no index is refused all the same.
    Replace,
}

/// A step of a build, in the order of [`Phase::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// The dump is read, and unpacked if need be.
    Scan,
    /// The objects are sorted.
    Objects,
    /// The symbols are sorted.
    Symbols,
    /// The classes get their names.
    Classes,
    /// The characters of strings are read and compared.
    Strings,
    /// The dump is read again for what each object refers to.
    References,
    /// References are turned round, and the instances of each class gathered.
    Inverse,
    /// Dominators, retained sizes and distances from the roots.
    Dominators,
    /// Everything is synced and given its name.
    Publish,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 9] = [
        Self::Scan,
        Self::Objects,
        Self::Symbols,
        Self::Classes,
        Self::Strings,
        Self::References,
        Self::Inverse,
        Self::Dominators,
        Self::Publish,
    ];
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes of the dump's file, as it is packed, that were read.
    pub done: u64,
    /// Bytes of that file.
    pub total: u64,
}

/// How long a phase took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PhaseTime {
    /// The phase.
    pub phase: Phase,
    /// Its time by the clock.
    pub elapsed: Duration,
}

/// What a build came to.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BuildReport {
    /// What the index says about the dump; [`Summary::damages`] lists what could not be read.
    pub summary: Summary,
    /// The files of the index.
    pub tables: Vec<TableFacts>,
    /// How long each phase took; those that a killed build had finished are not among them.
    pub phases: Vec<PhaseTime>,
}

/// How to build an index.
///
/// A value that is set once and used as often as wished; every method returns a changed copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuildOptions {
    existing: Existing,
}

impl BuildOptions {
    /// The defaults: [`Existing::Refuse`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses what to do when something lies where the index is to be built.
    #[must_use]
    pub fn existing(self, existing: Existing) -> Self {
        Self { existing }
    }

    /// Builds the index of the file `dump` as the directory `out`.
    ///
    /// The directory appears whole, after everything in it is synced, or not at all. Damage in
    /// the dump is no error: what can be read is in the index, and the report lists the rest.
    /// An empty directory `out` is taken. A killed build leaves its finished tables beside it: the
    /// next build of the same dump goes on from there, that of another removes them.
    ///
    /// # Errors
    ///
    /// `NotFound` and `NotADump`, with nothing created; `AlreadyExists`; `Locked` while another
    /// process builds `out`; `OutOfSpace`; `Unsupported` for more than 2²⁸ classes; `Io`.
    pub fn build(&self, dump: impl AsRef<Path>, out: impl AsRef<Path>) -> Result<BuildReport> {
        self.build_with(dump, out, |_| ControlFlow::Continue(()))
    }

    /// Builds like [`build`](Self::build) and calls `progress` with every buffer that was read,
    /// some 256 KiB, and at the start of every phase. Its `Break` ends the build.
    ///
    /// # Errors
    ///
    /// As `build`; `Cancelled`, with nothing left behind.
    pub fn build_with(
        &self,
        dump: impl AsRef<Path>,
        out: impl AsRef<Path>,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<BuildReport> {
        builder::build((dump.as_ref(), out.as_ref()), self.existing, &mut progress)
    }
}
