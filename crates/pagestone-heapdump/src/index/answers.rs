//! What an index answers.

use serde::Serialize;

use crate::layout::{ClassRecord, origin};

/// What comes first in a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Rank {
    /// The class with the most instances.
    #[default]
    Count,
    /// The class with the most bytes.
    Bytes,
}

/// The instances of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ClassCount<'a> {
    /// The class's name, as `java.lang.String` or `int[]`; `<class 0x…>` when the dump has none.
    pub name: &'a str,
    /// Its id; 0 for the arrays of a primitive type.
    pub class_id: u64,
    /// Instances of exactly this class; its class object is not one.
    pub count: u64,
    /// Bytes of their fields or elements as the dump stores them.
    pub bytes: u64,
}

/// A class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Class<'a> {
    /// Its id, also that of its class object; 0 for the arrays of a primitive type.
    pub id: u64,
    /// Its name, as in [`ClassCount::name`].
    pub name: &'a str,
    /// The id of its superclass.
    pub super_id: Option<u64>,
    /// The id of its class loader, none for the boot loader.
    pub loader_id: Option<u64>,
    /// The instance size that the dump states; not comparable between JVMs.
    pub instance_size: u32,
    /// Instances of exactly this class.
    pub instance_count: u64,
    /// Bytes of their fields or elements as the dump stores them.
    pub payload_len: u64,
    /// Offset in the unpacked dump of the id in its description; none when there is none.
    pub dump_offset: Option<u64>,
}

impl<'a> Class<'a> {
    pub(super) fn new(record: &ClassRecord, name: &'a str) -> Self {
        let present = |id: u64| Some(id).filter(|&id| id != 0);
        let is_dumped = record.origin.get() & origin::DUMPED != 0;
        Self {
            id: record.id.get(),
            name,
            super_id: present(record.super_id.get()),
            loader_id: present(record.loader_id.get()),
            instance_size: record.instance_size.get(),
            instance_count: record.instance_count.get(),
            payload_len: record.payload_len.get(),
            dump_offset: Some(record.dump_offset.get()).filter(|_| is_dumped),
        }
    }
}

/// The kind of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A class object.
    Class,
    /// An instance of a class.
    Instance,
    /// An array of references.
    ObjectArray,
    /// An array of numbers, characters or truth values.
    PrimitiveArray,
}

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Object<'a> {
    /// Its id.
    pub id: u64,
    /// Its kind.
    pub kind: ObjectKind,
    /// The id of its class; for a class object the class it stands for, which is its own id; 0
    /// for a primitive array.
    pub class_id: u64,
    /// The name of that class.
    pub class_name: &'a str,
    /// Bytes of its fields or elements as the dump stores them; for a class object those of its
    /// static fields.
    pub payload_len: u64,
    /// Offset in the unpacked dump of its first field or element; for a class object, whose
    /// values do not lie together, of the id in its description.
    pub value_offset: u64,
}
