//! References of objects, from both sides.

use std::{cmp::Ordering, iter::Peekable};

use super::HeapIndex;
use crate::{error::Result, layout::KindCode};

/// Ids of objects, ascending and each once.
///
/// An error ends it: the files of the index contradict each other.
pub struct ObjectIds<'i> {
    index: &'i HeapIndex,
    numbers: Box<dyn Iterator<Item = Result<u32>> + 'i>,
}

impl<'i> ObjectIds<'i> {
    pub(super) fn new(
        index: &'i HeapIndex,
        numbers: impl Iterator<Item = Result<u32>> + 'i,
    ) -> Self {
        Self { index, numbers: Box::new(numbers) }
    }
}

impl Iterator for ObjectIds<'_> {
    type Item = Result<u64>;

    #[inline]
    fn next(&mut self) -> Option<Result<u64>> {
        Some(self.numbers.next()?.and_then(|ordinal| self.index.tables.id(ordinal)))
    }
}

impl std::fmt::Debug for ObjectIds<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ObjectIds").finish_non_exhaustive()
    }
}

impl HeapIndex {
    /// Returns what an object refers to: its class, what its fields or elements name, of a class
    /// object its superclass, loader, signers, protection domain and static fields; only what is
    /// in the dump. None when there is no such object.
    ///
    /// Primitive arrays refer to nothing. The referents of weak references count.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn outbound(&self, id: u64) -> Result<Option<ObjectIds<'_>>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        Ok(Some(ObjectIds::new(self, self.outbound_numbers(ordinal)?)))
    }

    /// Returns the objects that refer to an object; for a class object its instances and arrays,
    /// too. None when there is no such object.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn inbound(&self, id: u64) -> Result<Option<ObjectIds<'_>>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        Ok(Some(ObjectIds::new(self, self.inbound_numbers((ordinal, id))?)))
    }

    pub(super) fn outbound_numbers(
        &self,
        ordinal: u32,
    ) -> Result<impl Iterator<Item = Result<u32>> + '_> {
        let record = self.tables.object(ordinal)?;
        let class = match record.kind {
            KindCode::Class | KindCode::PrimitiveArray => None,
            KindCode::Instance | KindCode::ObjectArray => {
                let class = self.tables.class(record.class)?;
                match class.id.get() {
                    0 => None,
                    id => self.tables.ordinal(id)?,
                }
            }
        };
        let numbers = self.tables.outbound.numbers(ordinal)?;
        Ok(Merge { left: numbers.peekable(), right: class.map(Ok).into_iter().peekable() })
    }

    pub(super) fn inbound_numbers(
        &self,
        (ordinal, id): (u32, u64),
    ) -> Result<impl Iterator<Item = Result<u32>> + '_> {
        let instances = match self.class_ordinal(id)? {
            Some(class) => Some(self.tables.instances.numbers(class)?),
            None => None,
        };
        let numbers = self.tables.inbound.numbers(ordinal)?;
        Ok(Merge { left: numbers.peekable(), right: instances.into_iter().flatten().peekable() })
    }
}

/// Two ascending lists as one, each number once.
struct Merge<L: Iterator, R: Iterator> {
    left: Peekable<L>,
    right: Peekable<R>,
}

impl<L, R> Iterator for Merge<L, R>
where
    L: Iterator<Item = Result<u32>>,
    R: Iterator<Item = Result<u32>>,
{
    type Item = Result<u32>;

    #[inline]
    fn next(&mut self) -> Option<Result<u32>> {
        let order = match (self.left.peek(), self.right.peek()) {
            (Some(Ok(left)), Some(Ok(right))) => left.cmp(right),
            (Some(_), _) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => self.left.next(),
            Ordering::Equal => {
                self.right.next();
                self.left.next()
            }
            Ordering::Greater => self.right.next(),
        }
    }
}
