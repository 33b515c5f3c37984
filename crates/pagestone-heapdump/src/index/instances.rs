//! The instances of classes, and classes below classes.

use super::{HeapIndex, references::ObjectIds};
use crate::{error::Result, index::Class};

/// Whether the subclasses of a class are meant, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Subclasses {
    /// The class alone.
    #[default]
    Without,
    /// Those below it, too.
    With,
}

impl HeapIndex {
    /// Iterates the instances and arrays of the class with an id, by ascending id, those of its
    /// subclasses behind them, class by class. None when there is no such class.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn instances(
        &self,
        class_id: u64,
        subclasses: Subclasses,
    ) -> Result<Option<ObjectIds<'_>>> {
        let Some(class) = self.class_ordinal(class_id)? else { return Ok(None) };
        let classes = match subclasses {
            Subclasses::Without => vec![class],
            Subclasses::With => self.with_subclasses(&[class])?,
        };
        let lists = classes.into_iter().map(|class| self.tables.instances.numbers(class));
        let lists: Result<Vec<_>> = lists.collect();
        Ok(Some(ObjectIds::new(self, lists?.into_iter().flatten())))
    }

    /// Iterates the arrays of a primitive type, named as in `int[]`, by ascending id.
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn primitive_arrays(&self, name: &str) -> Result<Option<ObjectIds<'_>>> {
        let place = crate::format::Primitive::ALL
            .iter()
            .position(|primitive| name.strip_suffix("[]") == Some(primitive.name()));
        let Some(class) = place.and_then(|place| u32::try_from(place).ok()) else {
            return Ok(None);
        };
        Ok(Some(ObjectIds::new(self, self.tables.instances.numbers(class)?)))
    }

    /// Returns the classes below the class with an id, direct subclasses and theirs, not the class
    /// itself; O(classes).
    ///
    /// # Errors
    ///
    /// `Corrupt`.
    pub fn subclasses(&self, class_id: u64) -> Result<Vec<Class<'_>>> {
        let Some(class) = self.class_ordinal(class_id)? else { return Ok(Vec::new()) };
        let below = self.with_subclasses(&[class])?;
        let below = below.into_iter().filter(|&other| other != class);
        below
            .map(|ordinal| {
                let class = self.tables.class(ordinal)?;
                Ok(Class::new(&class, self.names.get(&class)?))
            })
            .collect()
    }

    /// The ordinals of all classes of a name and those below them, ascending.
    pub(super) fn with_subclasses_named(&self, name: &str) -> Result<Vec<u32>> {
        let mut classes = Vec::new();
        for class in self.classes_named(name)? {
            classes.extend(self.class_ordinal(class.id)?);
        }
        let mut all = self.with_subclasses(&classes)?;
        all.sort_unstable();
        Ok(all)
    }

    /// Some classes, then those below them, nearer ones first.
    pub(super) fn with_subclasses(&self, classes: &[u32]) -> Result<Vec<u32>> {
        let mut by_super = Vec::new();
        for ordinal in 0..self.tables.class_count() {
            let super_id = self.tables.class(ordinal)?.super_id.get();
            if super_id != 0 {
                by_super.push((super_id, ordinal));
            }
        }
        by_super.sort_unstable();
        let mut is_known = vec![false; self.tables.class_count() as usize];
        let mut all = classes.to_vec();
        for &class in classes {
            is_known[class as usize] = true;
        }
        let mut next = 0;
        while let Some(&class) = all.get(next) {
            next += 1;
            let id = self.tables.class(class)?.id.get();
            let first = by_super.partition_point(|&(super_id, _)| super_id < id);
            for &(super_id, below) in &by_super[first..] {
                if super_id != id || id == 0 {
                    break;
                }
                // A damaged dump may have classes in a circle.
                if !std::mem::replace(&mut is_known[below as usize], true) {
                    all.push(below);
                }
            }
        }
        Ok(all)
    }
}
