//! Strings: what they say, which say the same.

use std::cmp::Reverse;

use serde::Serialize;

use super::{HeapIndex, references::ObjectIds};
use crate::{
    error::{Error, Result},
    format::Primitive,
    layout::{KindCode, StringRecord},
    pages::Pages,
    strings::{self, CharArray, StringShape, Text},
};

/// UTF-16 units of a value that a list of values shows.
const SHOWN_MAX: u64 = 1_000;

/// A value of strings, and how many have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StringValue {
    /// The first 1,000 UTF-16 units of the value; U+FFFD for what is no character.
    pub value: String,
    /// UTF-16 units of the whole value.
    pub len: u64,
    /// Strings that have the value.
    pub count: u64,
    /// The id of the first of them.
    pub first_id: u64,
}

/// The classes of strings.
#[derive(Debug)]
pub(super) struct StringClasses(Vec<(u32, StringShape)>);

impl HeapIndex {
    /// Returns what an instance of `java.lang.String` says, at most its first `limit` UTF-16
    /// units, U+FFFD for what is no character; none for what is no string, and for one whose
    /// characters are not in the dump.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields).
    pub fn string(&self, id: u64, limit: u64) -> Result<Option<String>> {
        let Some(ordinal) = self.tables.ordinal(id)? else { return Ok(None) };
        let Some(text) = self.text(&self.string_classes()?, ordinal)? else { return Ok(None) };
        self.content.with_dump(self.summary(), |dump| text.read(dump, limit)).map(Some)
    }

    /// Returns the strings that say `value`, by ascending id; O(log values) and a look into the
    /// dump.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields).
    pub fn strings_of(&self, value: &str) -> Result<ObjectIds<'_>> {
        let numbers = match self.value_place(value)? {
            None => None,
            Some(place) => {
                let (first, others) = self.value(place)?;
                Some(std::iter::once(first).chain(others.iter().map(|object| object.get())))
            }
        };
        Ok(ObjectIds::new(self, numbers.into_iter().flatten().map(Ok)))
    }

    /// Returns the values that more than one string has, most strings first, those of as many by
    /// the id of their first string; at most `limit`. O(values) and `limit` looks into the dump.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields).
    pub fn repeated_strings(&self, limit: usize) -> Result<Vec<StringValue>> {
        self.top_strings(2, limit)
    }

    /// Returns the values of strings as [`repeated_strings`](Self::repeated_strings) does, those
    /// that only one string has, too.
    ///
    /// # Errors
    ///
    /// As [`fields`](Self::fields).
    pub fn string_values(&self, limit: usize) -> Result<Vec<StringValue>> {
        self.top_strings(1, limit)
    }

    fn top_strings(&self, count_min: u32, limit: usize) -> Result<Vec<StringValue>> {
        let mut found: Vec<(Reverse<u32>, u32)> = Vec::new();
        let mut start = 0;
        for value in self.tables.strings()? {
            let value = value?;
            let end = value.end.get();
            // What a damaged file says is bounded by its length when it is looked up.
            let count = end.saturating_sub(start).saturating_add(1);
            start = end;
            if count_min <= count {
                found.push((Reverse(count), value.object.get()));
            }
        }
        if limit < found.len() {
            found.select_nth_unstable(limit);
            found.truncate(limit);
        }
        found.sort_unstable();
        let classes = self.string_classes()?;
        let value = |(Reverse(count), object)| self.shown(&classes, (object, u64::from(count)));
        found.into_iter().map(value).collect()
    }

    pub(super) fn shown(
        &self,
        classes: &StringClasses,
        (object, count): (u32, u64),
    ) -> Result<StringValue> {
        let first_id = self.tables.id(object)?;
        let text = self.text(classes, object)?.ok_or_else(|| self.no_string(object))?;
        let value = self.content.with_dump(self.summary(), |dump| text.read(dump, SHOWN_MAX))?;
        Ok(StringValue { value, len: text.unit_count(), count, first_id })
    }

    #[cold]
    fn no_string(&self, object: u32) -> Error {
        let expected = "the number of a string";
        Error::corrupt(&self.tables.strings_path(), "object", (expected, object))
    }

    /// The number of a value among all.
    fn value_place(&self, value: &str) -> Result<Option<u64>> {
        let fingerprint = strings::high_half(strings::fingerprint_of(value));
        let values = self.tables.strings()?.by(StringRecord::FINGERPRINT);
        let first = values.rank(fingerprint)?;
        let classes = self.string_classes()?;
        for (place, found) in (first..).zip(values.equal(fingerprint)?) {
            let found = found?;
            let object = found.object.get();
            let text = self.text(&classes, object)?.ok_or_else(|| self.no_string(object))?;
            if self.content.with_dump(self.summary(), |dump| text.is(dump, value))? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The first string of a value, and the others.
    fn value(&self, place: u64) -> Result<(u32, &[pagestone_storage::le::U32])> {
        let row = |place| -> Result<StringRecord> {
            self.tables.strings()?.row(place)?.ok_or_else(|| {
                Error::corrupt(&self.tables.strings_path(), "value of strings", ("one", place))
            })
        };
        let StringRecord { object, end, .. } = row(place)?;
        let start = match place.checked_sub(1) {
            Some(before) => row(before)?.end.get(),
            None => 0,
        };
        let others = self.tables.string_objects.range(start as usize..end.get() as usize)?;
        Ok((object.get(), others))
    }

    /// The classes of strings, from their layouts.
    pub(super) fn string_classes(&self) -> Result<StringClasses> {
        let mut shapes = Vec::new();
        for class in self.classes_named(strings::CLASS_NAME)? {
            let Some(ordinal) = self.class_ordinal(class.id)? else { continue };
            let layout = self.content.layout(ordinal)?;
            let mut fields = Vec::new();
            for field in layout.fields {
                fields.push((self.content.name(field.name)?, field.field_type));
            }
            let fields = fields.iter().map(|(name, field_type)| (name.as_str(), *field_type));
            shapes.push((ordinal, StringShape::new(fields, self.id_size())));
        }
        Ok(StringClasses(shapes))
    }

    /// Where the characters of a string lie; none for what is no string or has none.
    fn text(&self, classes: &StringClasses, ordinal: u32) -> Result<Option<Text>> {
        self.content.with_dump(self.summary(), |dump| self.text_in(dump, classes, ordinal))
    }

    pub(super) fn text_in(
        &self,
        dump: &mut Pages,
        classes: &StringClasses,
        ordinal: u32,
    ) -> Result<Option<Text>> {
        let record = self.tables.object(ordinal)?;
        let class = record.class;
        let shape = classes.0.iter().find(|(of, _)| *of == class);
        let (Some((_, shape)), KindCode::Instance) = (shape, record.kind) else {
            return Ok(None);
        };
        let place = (record.value_offset, record.payload_len);
        let Some(parts) = shape.read(dump, place)? else { return Ok(None) };
        let Some(array) = self.tables.ordinal(parts.array_id)? else { return Ok(None) };
        let record = self.tables.object(array)?;
        let primitive = Primitive::ALL.get(record.class as usize).copied();
        let (Some(primitive), KindCode::PrimitiveArray) = (primitive, record.kind) else {
            return Ok(None);
        };
        let len = record.payload_len;
        Ok(Text::new(&parts, &CharArray { primitive, offset: record.value_offset, len }))
    }
}
