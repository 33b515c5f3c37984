//! The roots.

use serde::Serialize;

use super::HeapIndex;
use crate::{
    error::Result,
    format::{self, sub_record},
    layout::RootRecord,
};

/// A root that names an object of the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Root {
    /// The id of the object.
    pub object: u64,
    /// Why it is a root: `java_frame`, `sticky_class` and the like.
    pub kind: &'static str,
    /// The number of the thread, for kinds that name one.
    pub thread_serial: Option<u32>,
    /// The number of the frame in the stack trace of the thread, for kinds that name one.
    pub frame: Option<u32>,
    /// The number of the stack trace of a thread object.
    pub trace_serial: Option<u32>,
}

impl HeapIndex {
    /// Iterates the roots that name an object of the dump, in the order of the objects' ids; an
    /// object may be named by several.
    pub fn roots(&self) -> impl ExactSizeIterator<Item = Result<Root>> + '_ {
        let roots = &self.tables.roots;
        (0..roots.len()).map(|place| self.root(&roots.at(place)?))
    }

    /// Returns the roots that name an object; O(log roots).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn roots_of(&self, id: u64) -> Result<Vec<Root>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(Vec::new()) };
        let roots = &self.tables.roots;
        let first = roots.partition_point(|root| root.object.get() < ordinal)?;
        let after = roots.partition_point(|root| root.object.get() <= ordinal)?;
        let named = roots.range(first..after.max(first))?;
        named.iter().map(|record| self.root(record)).collect()
    }

    fn root(&self, record: &RootRecord) -> Result<Root> {
        let number = Some(record.number.get());
        let (is_thread, has_frame, has_thread) = match record.tag {
            sub_record::ROOT_THREAD_OBJ => (true, false, true),
            sub_record::ROOT_JNI_LOCAL
            | sub_record::ROOT_JAVA_FRAME
            | sub_record::ROOT_JNI_MONITOR => (false, number != Some(u32::MAX), true),
            sub_record::ROOT_NATIVE_STACK | sub_record::ROOT_THREAD_BLOCK => (false, false, true),
            _ => (false, false, false),
        };
        Ok(Root {
            object: self.tables.id(record.object.get())?,
            kind: format::root_name(record.tag).unwrap_or("unknown"),
            thread_serial: Some(record.thread_serial.get()).filter(|_| has_thread),
            frame: number.filter(|_| has_frame),
            trace_serial: number.filter(|_| is_thread),
        })
    }
}
