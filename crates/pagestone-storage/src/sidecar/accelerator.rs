//! The search tree that a sidecar holds, mapped or read at its first use.
#![expect(unsafe_code, reason = "the tree borrows from the blob that lies beside it")]

use std::sync::OnceLock;

use super::Contents;
use crate::{
    bytes::{Access, Range},
    core::Core,
    error::Result,
    field::Field,
    search::{
        count::Simd,
        tree::{Form, Tree},
    },
};

/// An accelerator that is fetched when it is first asked for.
#[derive(Debug)]
pub(crate) struct Lazy {
    field: Option<Field>,
    simd: Simd,
    fetched: OnceLock<Option<Accelerator>>,
}

/// A search tree and the bytes it lies in.
#[derive(Debug)]
pub(crate) struct Accelerator {
    /// Borrows from `_blob`; declared first, so dropped first. Never handed out as `'static`.
    tree: Tree<'static>,
    _blob: Blob,
    record_count: u64,
}

/// Bytes that stay where they are until dropped.
#[derive(Debug)]
enum Blob {
    /// A mapping of the sidecar: trusted, and a published sidecar never changes.
    Mapped(Range),
    /// A copy.
    Copied(Box<[u8]>),
}

impl Lazy {
    pub(super) fn new(field: Option<Field>, simd: Simd) -> Self {
        Self { field, simd, fetched: OnceLock::new() }
    }

    /// The accelerator, if a search has asked for it and it could be had.
    pub(super) fn fetched(&self) -> Option<&Accelerator> {
        self.fetched.get()?.as_ref()
    }

    #[inline]
    pub(super) fn get(
        &self,
        contents: &Contents,
        core: &Core,
        field: Field,
    ) -> Option<&Accelerator> {
        if self.field != Some(field) {
            return None;
        }
        // One that cannot be read is done without, like one that is not there.
        let fetched =
            self.fetched.get_or_init(|| Accelerator::fetch(contents, core, self.simd).ok());
        fetched.as_ref().filter(|found| found.record_count == core.len())
    }
}

impl Accelerator {
    fn fetch(contents: &Contents, core: &Core, simd: Simd) -> Result<Self> {
        let header = &contents.header;
        let (offset, len) = (header.accelerator_offset.get(), header.accelerator_len.get());
        let blob = if core.borrows() {
            let end = offset.saturating_add(len);
            Blob::Mapped(Range::of_file(&contents.file, end, (0, Access::Read))?)
        } else {
            Blob::Copied(contents.section(offset, len)?.into_boxed_slice())
        };
        let bytes: *const [u8] = match &blob {
            // SAFETY: the section lies inside the file, checked when the header was read, and a
            // published sidecar is never written: the directory is trusted, else `core` would
            // not lend.
            Blob::Mapped(range) => unsafe {
                range.slice(offset, usize::try_from(len).unwrap_or(usize::MAX))
            },
            Blob::Copied(bytes) => &raw const **bytes,
        };
        // SAFETY: the bytes belong to `blob`, which neither moves nor changes them and is dropped
        // after the tree.
        let bytes: &'static [u8] = unsafe { &*bytes };
        let record_count = header.record_count.get();
        let form = Form::of_code(header.accelerator_form.get());
        match form.and_then(|form| Tree::open(bytes, record_count, (form, simd))) {
            Some(tree) => Ok(Self { tree, _blob: blob, record_count }),
            None => Err(crate::Error::argument("the accelerator is too short")),
        }
    }

    #[inline]
    pub(crate) fn tree(&self) -> &Tree<'_> {
        &self.tree
    }
}
