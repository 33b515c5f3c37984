//! The names of classes.

use std::sync::Arc;

use super::mapped::{Files, Mapped};
use crate::{
    error::{Error, Result},
    layout::ClassRecord,
    manifest::file,
};

/// All class names in one text.
pub(super) struct Names(Mapped<u8>);

impl Names {
    pub(super) fn new(files: &Arc<Files>) -> Result<Self> {
        Ok(Self(Mapped::new(files, file::CLASS_NAMES)?))
    }

    /// The name of a class.
    pub(super) fn get(&self, class: &ClassRecord) -> Result<&str> {
        let (offset, len) = (class.name_offset.get(), class.name_len.get());
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let name = self.0.range(start..start.saturating_add(len as usize))?;
        std::str::from_utf8(name).map_err(|_| {
            let found = format!("other bytes, {len} at {offset}");
            Error::corrupt(self.0.path(), "name", ("UTF-8", found))
        })
    }
}
