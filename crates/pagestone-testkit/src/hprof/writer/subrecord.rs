//! Owns the sub-records of a hand-made dump and what each adds to the expected answers.

use super::{
    super::{
        BasicType, Boundary, BoundaryKind, DumpObject, ObjectKind, Root, Value,
        encode::{Encoder, count_u2, count_u4},
    },
    DumpWriter,
};

/// The stack trace every object names: the empty one.
const NO_TRACE: u32 = 1;

/// One `CLASS_DUMP` (0x20). All ids are 0 and all lists empty by default.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub struct ClassDump<'a> {
    pub id: u64,
    pub super_id: u64,
    pub loader_id: u64,
    pub signers_id: u64,
    pub protection_domain_id: u64,
    pub instance_size: u32,
    /// Index and value.
    pub constant_pool: &'a [(u16, Value)],
    /// Name and value.
    pub statics: &'a [(u64, Value)],
    /// Name and type of the class's own fields.
    pub fields: &'a [(u64, BasicType)],
}

impl DumpWriter {
    /// One root.
    pub fn root(&mut self, root: Root) -> &mut Self {
        self.roots.push(root);
        self.subrecord(root.tag(), |out| {
            out.id(root.object());
            match root {
                Root::JniGlobal { reference, .. } => out.id(reference),
                Root::JniLocal { thread_serial, frame: second, .. }
                | Root::JavaFrame { thread_serial, frame: second, .. }
                | Root::JniMonitor { thread_serial, frame: second, .. }
                | Root::ThreadObject { thread_serial, trace_serial: second, .. } => {
                    out.u4(thread_serial);
                    out.u4(second);
                }
                Root::NativeStack { thread_serial, .. }
                | Root::ThreadBlock { thread_serial, .. } => out.u4(thread_serial),
                _ => {}
            }
        });
        self
    }

    /// `CLASS_DUMP` (0x20).
    pub fn class_dump(&mut self, class: &ClassDump<'_>) -> &mut Self {
        let start = self.subrecord(0x20, |out| {
            out.id(class.id);
            out.u4(NO_TRACE);
            out.id(class.super_id);
            out.id(class.loader_id);
            out.id(class.signers_id);
            out.id(class.protection_domain_id);
            out.id(0);
            out.id(0);
            out.u4(class.instance_size);
            out.u2(count_u2(class.constant_pool.len()));
            for &(index, value) in class.constant_pool {
                out.u2(index);
                out.u1(value.basic_type().code());
                out.value(value);
            }
            out.u2(count_u2(class.statics.len()));
            for &(name, value) in class.statics {
                out.id(name);
                out.u1(value.basic_type().code());
                out.value(value);
            }
            out.u2(count_u2(class.fields.len()));
            for &(name, basic_type) in class.fields {
                out.id(name);
                out.u1(basic_type.code());
            }
        });
        let id_size = self.options.id_size;
        let static_sizes = class.statics.iter().map(|(_, value)| value.basic_type().size(id_size));
        self.objects.push(DumpObject {
            id: class.id,
            kind: ObjectKind::Class,
            class_id: 0,
            payload_len: static_sizes.map(u64::from).sum(),
            value_offset: start + 1,
        });
        self
    }

    /// `INSTANCE_DUMP` (0x21): own fields first, then those of the superclasses upwards. Nothing
    /// compares the values with the class.
    pub fn instance(&mut self, id: u64, class: u64, values: &[Value]) -> &mut Self {
        let mut encoded = Encoder::new(self.options.id_size);
        for &value in values {
            encoded.value(value);
        }
        self.subrecord(0x21, |out| {
            out.id(id);
            out.u4(NO_TRACE);
            out.id(class);
            out.u4(count_u4(encoded.bytes.len()));
            out.bytes(&encoded.bytes);
        });
        self.object_ended(id, ObjectKind::Instance, (class, encoded.len()))
    }

    /// `OBJECT_ARRAY_DUMP` (0x22); `class` is the class of the array.
    pub fn object_array(&mut self, id: u64, class: u64, elements: &[u64]) -> &mut Self {
        self.subrecord(0x22, |out| {
            out.id(id);
            out.u4(NO_TRACE);
            out.u4(count_u4(elements.len()));
            out.id(class);
            for &element in elements {
                out.id(element);
            }
        });
        let payload_len = elements.len() as u64 * u64::from(self.options.id_size.bytes());
        self.object_ended(id, ObjectKind::ObjectArray, (class, payload_len))
    }

    /// `PRIMITIVE_ARRAY_DUMP` (0x23).
    ///
    /// # Panics
    ///
    /// When an element is not of `element_type`.
    pub fn primitive_array(
        &mut self,
        id: u64,
        element_type: BasicType,
        elements: &[Value],
    ) -> &mut Self {
        self.subrecord(0x23, |out| {
            out.id(id);
            out.u4(NO_TRACE);
            out.u4(count_u4(elements.len()));
            out.u1(element_type.code());
            for &element in elements {
                assert!(element.basic_type() == element_type, "{element:?} in array {id:#x}");
                out.value(element);
            }
        });
        let element_size = u64::from(element_type.size(self.options.id_size));
        let payload_len = elements.len() as u64 * element_size;
        self.object_ended(id, ObjectKind::PrimitiveArray(element_type), (0, payload_len))
    }

    /// A `PRIMITIVE_ARRAY_DUMP` (0x23) of bytes.
    pub fn byte_array(&mut self, id: u64, elements: &[u8]) -> &mut Self {
        self.subrecord(0x23, |out| {
            out.id(id);
            out.u4(NO_TRACE);
            out.u4(count_u4(elements.len()));
            out.u1(BasicType::Byte.code());
            out.bytes(elements);
        });
        let kind = ObjectKind::PrimitiveArray(BasicType::Byte);
        self.object_ended(id, kind, (0, elements.len() as u64))
    }

    /// Android's primitive array without its elements (0xC3).
    pub fn primitive_array_without_elements(
        &mut self,
        id: u64,
        element_type: BasicType,
        element_count: u32,
    ) -> &mut Self {
        self.subrecord(0xc3, |out| {
            out.id(id);
            out.u4(NO_TRACE);
            out.u4(element_count);
            out.u1(element_type.code());
        });
        self.object_ended(id, ObjectKind::PrimitiveArray(element_type), (0, 0))
    }

    /// Android's note (0xFE) that the objects which follow lie in the named heap.
    pub fn android_heap(&mut self, heap: u32, name: u64) -> &mut Self {
        self.subrecord(0xfe, |out| {
            out.u4(heap);
            out.id(name);
        });
        self
    }

    /// A sub-record of any type byte with any body. It adds no expected object or root.
    pub fn raw_subrecord(&mut self, tag: u8, body: &[u8]) -> &mut Self {
        self.subrecord(tag, |out| out.bytes(body));
        self
    }

    /// Writes one sub-record and answers where it begins.
    fn subrecord(&mut self, tag: u8, body: impl FnOnce(&mut Encoder)) -> u64 {
        if self.open_segment.is_none() {
            self.begin_segment();
        }
        let start = self.encoder.len();
        self.encoder.u1(tag);
        body(&mut self.encoder);
        let end = self.encoder.len();
        self.boundaries.push(Boundary { kind: BoundaryKind::SubRecord, tag, start, end });
        start
    }

    /// Notes the object just written, whose payload ends here; the pair is its class and the
    /// length of the payload.
    fn object_ended(
        &mut self,
        id: u64,
        kind: ObjectKind,
        (class_id, payload_len): (u64, u64),
    ) -> &mut Self {
        let value_offset = self.encoder.len() - payload_len;
        self.objects.push(DumpObject { id, kind, class_id, payload_len, value_offset });
        self
    }
}
