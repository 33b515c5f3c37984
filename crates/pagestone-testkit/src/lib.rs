//! Generators, models and checks shared by the tests and benches of the workspace.
//!
//! Used by `tests/it`, benches and fuzz targets; never by unit tests inside `src/` and never by a
//! published crate. It is not a model of how the other crates work: what it says a file holds is
//! worked out here a second time, so that a mistake in one place shows against the other.

#[cfg(all(feature = "sim", target_os = "linux", target_arch = "x86_64"))]
pub mod audit; // every store to a mapping, seen by page protection
pub mod child; // a test that runs again in a process of its own
pub mod notes; // what the threads of a killed child did
#[cfg(feature = "sim")]
pub mod faults; // every system call of a scenario failed in turn
#[cfg(feature = "sim")]
pub mod images; // what a crash leaves of a file
pub mod hprof; // small hand-made and big generated Java heap dumps
pub mod layout; // a table of docs/format.md against a struct
pub mod protocol; // a model of the commit protocol with crashes at every moment
pub mod random; // choices by seed
mod testdata; // where the recorded samples lie

pub use crate::{
    layout::{LayoutField, check_layout},
    testdata::testdata,
};
