//! The instances that a filter finds.

use std::cmp::Ordering;

use serde::Serialize;

use super::{HeapIndex, Subclasses, strings::StringClasses};
use crate::{
    class_dump::FieldType,
    error::{Error, Result},
    filter::{Condition, Filter, Literal, Operator},
    format::Primitive,
    pages::Pages,
};

/// Superclasses that are followed: no program has as many, but a damaged index can.
const DEPTH_MAX: usize = 512;

/// UTF-16 units of a string that is looked into for another one.
const SEARCHED_MAX: u64 = 1 << 20;

/// How to look for instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindOptions {
    /// Whether instances of subclasses are looked at, too.
    pub subclasses: Subclasses,
    /// How many ids are returned; all are counted.
    pub limit: usize,
}

impl Default for FindOptions {
    /// The class alone, all ids.
    fn default() -> Self {
        Self { subclasses: Subclasses::Without, limit: usize::MAX }
    }
}

/// What a filter found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The ids of the first instances, class by class, ascending.
    pub ids: Vec<u64>,
    /// All that were found.
    pub count: u64,
    /// All that were looked at.
    pub looked_at: u64,
}

/// A condition for the instances of one class.
#[derive(Debug, Clone, Copy)]
struct Test<'f> {
    /// Where in the instance the field lies.
    offset: u32,
    field_type: FieldType,
    operator: Operator,
    value: &'f Literal,
}

impl HeapIndex {
    /// Returns the instances that `filter` finds; O(instances of the class), whose fields are
    /// looked up where they lie in the dump.
    ///
    /// A class that has no field of a name is left out where another one has it.
    ///
    /// # Errors
    ///
    /// `InvalidFilter` for a class or field that is not there and for values that a field cannot
    /// be compared with; as [`fields`](Self::fields).
    pub fn find(&self, filter: &Filter, options: FindOptions) -> Result<Found> {
        let mut classes = Vec::new();
        for class in self.classes_named(&filter.class_name)? {
            classes.extend(self.class_ordinal(class.id)?);
        }
        if classes.is_empty() {
            let what = format!("no class is called {:?}", filter.class_name);
            return Err(Error::filter(1, what));
        }
        if options.subclasses == Subclasses::With {
            classes = self.with_subclasses(&classes)?;
        }
        let mut known = vec![false; filter.conditions.len()];
        let mut plans = Vec::new();
        for class in classes {
            if let Some(tests) = self.tests(filter, class, &mut known)? {
                plans.push((class, tests));
            }
        }
        if let Some(missing) = known.iter().position(|is_known| !is_known) {
            let Condition { field, field_column, .. } = &filter.conditions[missing];
            let what = format!("{} has no field {field:?}", filter.class_name);
            return Err(Error::filter(*field_column, what));
        }
        let strings = self.string_classes()?;
        let mut found = Found { ids: Vec::new(), count: 0, looked_at: 0 };
        self.content.with_dump(self.summary(), |dump| {
            let mut search = Search { index: self, strings: &strings, dump };
            for (class, tests) in &plans {
                search.class((*class, tests), options.limit, &mut found)?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// What to test in the instances of a class; none when it lacks a field.
    fn tests<'f>(
        &self,
        filter: &'f Filter,
        class: u32,
        known: &mut [bool],
    ) -> Result<Option<Vec<Test<'f>>>> {
        let fields = self.places(class)?;
        let mut tests = Vec::new();
        for (condition, known) in filter.conditions.iter().zip(known) {
            let place = fields.iter().find(|(name, ..)| *name == condition.field);
            let Some(&(_, offset, field_type)) = place else { continue };
            *known = true;
            let Condition { operator, value, value_column, .. } = condition;
            check(condition, field_type).map_err(|what| Error::filter(*value_column, what))?;
            tests.push(Test { offset, field_type, operator: *operator, value });
        }
        Ok((tests.len() == filter.conditions.len()).then_some(tests))
    }

    /// The fields of the instances of a class and where they lie, those of the class first.
    fn places(&self, class: u32) -> Result<Vec<(String, u32, FieldType)>> {
        let (mut places, mut offset, mut class) = (Vec::new(), 0_u32, Some(class));
        for _ in 0..DEPTH_MAX {
            let Some(declaring) = class else { break };
            for field in self.content.layout(declaring)?.fields {
                places.push((self.content.name(field.name)?, offset, field.field_type));
                offset = offset.saturating_add(u32::from(field.field_type.size(self.id_size())));
            }
            class = self.class_ordinal(self.tables.class(declaring)?.super_id.get())?;
        }
        Ok(places)
    }
}

/// Whether a field of a type can be compared so.
fn check(condition: &Condition, field_type: FieldType) -> Result<(), String> {
    let Condition { field, operator, value, .. } = condition;
    let can = match (field_type, value) {
        (FieldType::Reference, Literal::Text(_)) => true,
        (FieldType::Reference, Literal::Null | Literal::Integer(_))
        | (FieldType::Primitive(Primitive::Boolean), Literal::Boolean(_)) => {
            !operator.is_ordering()
        }
        (FieldType::Primitive(Primitive::Boolean) | FieldType::Reference, _) => false,
        (FieldType::Primitive(Primitive::Char), Literal::Text(text)) => {
            text.encode_utf16().count() == 1 && *operator != Operator::Contains
        }
        (FieldType::Primitive(_), Literal::Integer(_) | Literal::Fraction(_)) => {
            *operator != Operator::Contains
        }
        (FieldType::Primitive(_), _) => false,
    };
    if can {
        return Ok(());
    }
    let kind = match field_type {
        FieldType::Reference => "a reference",
        FieldType::Primitive(primitive) => primitive.name(),
    };
    Err(format!("{field:?} is {kind} and cannot be compared so with {value}"))
}

/// A search under way.
struct Search<'s> {
    index: &'s HeapIndex,
    strings: &'s StringClasses,
    dump: &'s mut Pages,
}

impl Search<'_> {
    fn class(
        &mut self,
        (class, tests): (u32, &[Test<'_>]),
        limit: usize,
        found: &mut Found,
    ) -> Result<()> {
        let tables = &self.index.tables;
        for ordinal in tables.instances.numbers(class)? {
            let ordinal = ordinal?;
            let record = tables.object(ordinal)?;
            let payload_len = record.payload_len;
            found.looked_at += 1;
            let mut holds = true;
            for test in tests {
                if !self.holds(test, (record.value_offset, payload_len))? {
                    holds = false;
                    break;
                }
            }
            if holds {
                found.count += 1;
                if found.ids.len() < limit {
                    found.ids.push(tables.id(ordinal)?);
                }
            }
        }
        Ok(())
    }

    /// Whether a condition holds for an instance; it does not where the dump cuts the field.
    #[inline]
    fn holds(&mut self, test: &Test<'_>, (offset, payload_len): (u64, u32)) -> Result<bool> {
        let size = test.field_type.size(self.index.id_size());
        if payload_len < test.offset.saturating_add(u32::from(size)) {
            return Ok(false);
        }
        let at = offset.saturating_add(u64::from(test.offset));
        let bytes = self.dump.bytes(at, usize::from(size))?;
        let bits = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if let (FieldType::Reference, Literal::Text(text)) = (test.field_type, test.value) {
            return self.holds_text(test.operator, bits, text);
        }
        Ok(test.operator.holds(compare(test.field_type, bits, test.value)))
    }

    /// Whether a condition holds for the string with an id; of what is no string, that it is not
    /// equal.
    fn holds_text(&mut self, operator: Operator, id: u64, text: &str) -> Result<bool> {
        let found = match self.index.tables.ordinal(id)? {
            Some(ordinal) => self.index.text_in(self.dump, self.strings, ordinal)?,
            None => None,
        };
        let Some(found) = found else { return Ok(operator == Operator::NotEqual) };
        match operator {
            Operator::Equal => found.is(self.dump, text),
            Operator::NotEqual => Ok(!found.is(self.dump, text)?),
            Operator::Contains => Ok(found.read(self.dump, SEARCHED_MAX)?.contains(text)),
            _ => {
                // What comes behind the length of the other cannot change the order.
                let limit = text.encode_utf16().count() as u64 + 1;
                let found = found.read(self.dump, limit)?;
                Ok(operator.holds(Some(found.as_str().cmp(text))))
            }
        }
    }
}

/// How the bits of a field compare with a value.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the value is in the low bits")]
fn compare(field_type: FieldType, bits: u64, value: &Literal) -> Option<Ordering> {
    let primitive = match field_type {
        FieldType::Reference => return compare_integer(i128::from(bits), value),
        FieldType::Primitive(primitive) => primitive,
    };
    match primitive {
        Primitive::Boolean => match value {
            Literal::Boolean(value) => Some((bits != 0).cmp(value)),
            _ => None,
        },
        Primitive::Char => match value {
            Literal::Text(text) => Some((bits as u16).cmp(&text.encode_utf16().next()?)),
            value => compare_integer(i128::from(bits as u16), value),
        },
        Primitive::Float => compare_fraction(f64::from(f32::from_bits(bits as u32)), value),
        Primitive::Double => compare_fraction(f64::from_bits(bits), value),
        Primitive::Byte => compare_integer(i128::from((bits as u8).cast_signed()), value),
        Primitive::Short => compare_integer(i128::from((bits as u16).cast_signed()), value),
        Primitive::Int => compare_integer(i128::from((bits as u32).cast_signed()), value),
        Primitive::Long => compare_integer(i128::from(bits.cast_signed()), value),
    }
}

#[inline]
fn compare_integer(found: i128, value: &Literal) -> Option<Ordering> {
    match value {
        Literal::Integer(value) => Some(found.cmp(value)),
        Literal::Null => Some(found.cmp(&0)),
        #[expect(clippy::cast_precision_loss, reason = "a fraction is compared as one")]
        Literal::Fraction(value) => (found as f64).partial_cmp(value),
        Literal::Boolean(_) | Literal::Text(_) => None,
    }
}

#[inline]
fn compare_fraction(found: f64, value: &Literal) -> Option<Ordering> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "compared as the field's type")]
        Literal::Integer(value) => found.partial_cmp(&(*value as f64)),
        Literal::Fraction(value) => found.partial_cmp(value),
        Literal::Null | Literal::Boolean(_) | Literal::Text(_) => None,
    }
}
