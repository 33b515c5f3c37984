//! Who is told when a block or an entry moves.

use std::fmt;

use crate::id::BlockId;

/// A block or an entry that moves: its id stays, the place of its payload changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relocation {
    /// The id of the block or entry.
    pub id: BlockId,
    /// Where the payload starts, in bytes from the start of the file.
    pub from: u64,
    /// Where it will start.
    pub to: u64,
}

/// The hook of a file, if it has one.
#[derive(Default)]
pub(crate) struct Hook(Option<Box<dyn FnMut(Relocation) + Send>>);

impl fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}

impl Hook {
    pub(crate) fn new(hook: impl FnMut(Relocation) + Send + 'static) -> Self {
        Self(Some(Box::new(hook)))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn tell(&mut self, relocation: Relocation) {
        if let Some(hook) = &mut self.0 {
            hook(relocation);
        }
    }
}
