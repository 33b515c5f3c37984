//! What a caller can tell the system about its next reads.

/// How the records will be read: a hint, never needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// No special order; undoes the others.
    Normal,
    /// Here and there: no read-ahead. Also keeps the page cache of a fresh file in small pages,
    /// so that one changed record does not cost a megabyte at the next sync.
    Random,
    /// From front to back: aggressive read-ahead.
    Sequential,
    /// All of it, soon.
    WillNeed,
}
