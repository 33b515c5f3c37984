//! The shortest way from a root to an object.

use std::collections::HashMap;

use super::HeapIndex;
use crate::{
    error::{Error, Result},
    layout::{KindCode, NONE},
};

/// Which references a path may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Follow {
    /// All of them.
    #[default]
    All,
    /// Not the `referent` of a `java.lang.ref.Reference`: what is left keeps objects alive.
    Strong,
}

/// The class of weak, soft and phantom references.
const REFERENCE: &str = "java.lang.ref.Reference";

impl HeapIndex {
    /// Returns the shortest way from a root to an object: the ids of the objects on it, the one
    /// that a root names first. None when there is no such object or no such way.
    ///
    /// O(references to the objects on the way) for [`Follow::All`], from stored distances;
    /// [`Follow::Strong`] searches back from the object and reads the dump for references that
    /// may be weak.
    ///
    /// # Errors
    ///
    /// `Corrupt`; for `Follow::Strong` as [`fields`](Self::fields).
    pub fn shortest_path(&self, id: u64, follow: Follow) -> Result<Option<Vec<u64>>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let numbers = match follow {
            Follow::All => self.nearest(ordinal)?,
            Follow::Strong => self.search(ordinal)?,
        };
        numbers
            .map(|numbers| numbers.into_iter().map(|ordinal| self.tables.id(ordinal)).collect())
            .transpose()
    }

    /// Goes from each object to one that is a step nearer to the roots.
    fn nearest(&self, ordinal: u32) -> Result<Option<Vec<u32>>> {
        let mut distance = self.distance(ordinal)?;
        if distance == NONE {
            return Ok(None);
        }
        let mut way = vec![ordinal];
        let mut object = ordinal;
        while 0 < distance {
            let mut nearer = None;
            for source in self.inbound_numbers((object, self.tables.id(object)?))? {
                let source = source?;
                if self.distance(source)? == distance - 1 {
                    nearer = Some(source);
                    break;
                }
            }
            let Some(source) = nearer else {
                let path = self.tables.tree.path();
                let found = format!("none of object {object}");
                return Err(Error::corrupt(path, "object nearer to the roots", ("one", found)));
            };
            way.push(source);
            object = source;
            distance -= 1;
        }
        way.reverse();
        Ok(Some(way))
    }

    /// Searches back from an object, without weak references, until a root is met.
    fn search(&self, ordinal: u32) -> Result<Option<Vec<u32>>> {
        let weak_classes = self.with_subclasses_named(REFERENCE)?;
        let roots = self.tables.roots.all()?;
        let is_root =
            |object: u32| roots.binary_search_by_key(&object, |root| root.object.get()).is_ok();
        // For each object that was met, the next one on the way.
        let mut next: HashMap<u32, u32> = HashMap::from([(ordinal, NONE)]);
        let mut queue = vec![ordinal];
        let mut met = Vec::new();
        while !queue.is_empty() {
            for &object in &queue {
                if is_root(object) {
                    return Ok(Some(way(&next, object)));
                }
                for source in self.inbound_numbers((object, self.tables.id(object)?))? {
                    let source = source?;
                    if next.contains_key(&source)
                        || self.is_weak((source, object), &weak_classes)?
                    {
                        continue;
                    }
                    next.insert(source, object);
                    met.push(source);
                }
            }
            queue.clear();
            std::mem::swap(&mut queue, &mut met);
        }
        Ok(None)
    }

    /// Whether an object refers to another as the referent of a weak reference, and not otherwise.
    fn is_weak(&self, (source, target): (u32, u32), weak_classes: &[u32]) -> Result<bool> {
        let record = self.tables.object(source)?;
        let is_reference =
            record.kind == KindCode::Instance && weak_classes.binary_search(&record.class).is_ok();
        if !is_reference {
            return Ok(false);
        }
        let (source, target) = (self.tables.id(source)?, self.tables.id(target)?);
        let class_id = self.tables.class(record.class)?.id.get();
        let fields = self.fields(source)?.unwrap_or_default();
        let is_strong = fields.iter().any(|field| {
            let is_referent = field.class_name == REFERENCE && field.name == "referent";
            field.value == super::Value::Reference(target) && !is_referent
        });
        Ok(!is_strong && class_id != target)
    }
}

fn way(next: &HashMap<u32, u32>, first: u32) -> Vec<u32> {
    let mut way = vec![first];
    let mut object = first;
    while let Some(&after) = next.get(&object)
        && after != NONE
    {
        way.push(after);
        object = after;
    }
    way
}
