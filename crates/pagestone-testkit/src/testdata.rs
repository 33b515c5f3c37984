//! Owns the place of the recorded samples in the workspace.

use std::path::{Path, PathBuf};

/// The path of the recorded sample `name` in the `testdata` folder of the workspace.
///
/// The file need not exist; `testdata/README.md` lists those that do.
#[must_use]
pub fn testdata(name: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}
