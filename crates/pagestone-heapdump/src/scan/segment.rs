//! The sub-records of a heap dump record.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions)]

use super::{
    ClassFacts, ObjectFacts, RootFacts, Scan, Shape, Visitor,
    body::{Body, Stop},
    count,
    layout::{
        ClassHead, ConstantHead, Count, FieldHead, Id, InstanceHead, ObjectArrayHead,
        PrimitiveArrayHead, RootNumbers, Serial,
    },
};
use crate::{
    damage::DamageKind,
    format::{Primitive, sub_record as tag},
};

/// What was made of a sub-record.
enum Step {
    Read,
    Unknown,
}

impl<V: Visitor> Scan<'_, V> {
    /// Reads sub-records to the end of the segment; what cannot be read is listed and the rest
    /// of the segment left to be skipped.
    pub(super) fn segment<I: Id>(&mut self, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        let (_, record_tag) = self.part;
        while 0 < body.left() {
            let start = body.offset();
            self.part = (start, record_tag);
            let type_byte = *body.take::<u8>()?;
            self.part = (start, type_byte);
            count(&mut self.done.sub_records, type_byte);
            let damage = match self.sub_record::<I>(type_byte, body) {
                Ok(Step::Read) => continue,
                Ok(Step::Unknown) => DamageKind::UnknownSubRecord,
                Err(Stop::Overrun) => DamageKind::Overrun,
                Err(Stop::UnknownType) => DamageKind::UnknownType,
                Err(stop @ (Stop::EndOfFile | Stop::Failed(_))) => return Err(stop),
            };
            self.done.damages.add(damage, start, type_byte);
            break;
        }
        Ok(())
    }

    #[inline]
    fn sub_record<I: Id>(&mut self, type_byte: u8, body: &mut Body<'_, '_>) -> Result<Step, Stop> {
        match type_byte {
            tag::INSTANCE_DUMP => self.instance::<I>(body)?,
            tag::OBJECT_ARRAY_DUMP => self.object_array::<I>(body)?,
            tag::PRIMITIVE_ARRAY_DUMP => {
                let (id, primitive, element_count) = primitive_array::<I>(body)?;
                let size = u64::from(primitive.size());
                let payload_len = u64::from(element_count).saturating_mul(size);
                self.object(body, (id, Shape::PrimitiveArray(primitive)), payload_len)?;
            }
            tag::PRIMITIVE_ARRAY_NODATA => {
                let (id, primitive, _) = primitive_array::<I>(body)?;
                self.object(body, (id, Shape::PrimitiveArray(primitive)), 0)?;
            }
            tag::CLASS_DUMP => self.class::<I>(body)?,
            tag::HEAP_DUMP_INFO => body.skip(u64::from(I::SIZE).saturating_add(4))?,
            _ => match root_shape(type_byte) {
                Some(shape) => self.root::<I>((type_byte, shape), body)?,
                None => return Ok(Step::Unknown),
            },
        }
        Ok(Step::Read)
    }

    #[inline]
    fn instance<I: Id>(&mut self, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        let head = body.take::<InstanceHead<I>>()?;
        let shape = Shape::Instance { class_id: head.class_id.get() };
        let (id, payload_len) = (head.id.get(), u64::from(head.payload_len.get()));
        self.object(body, (id, shape), payload_len)
    }

    #[inline]
    fn object_array<I: Id>(&mut self, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        let head = body.take::<ObjectArrayHead<I>>()?;
        let shape = Shape::ObjectArray { class_id: head.class_id.get() };
        let payload_len = u64::from(head.element_count.get()).saturating_mul(u64::from(I::SIZE));
        let id = head.id.get();
        self.object(body, (id, shape), payload_len)
    }

    /// Tells of an object once its payload is known to be there.
    #[inline]
    fn object(
        &mut self,
        body: &mut Body<'_, '_>,
        (id, shape): (u64, Shape),
        payload_len: u64,
    ) -> Result<(), Stop> {
        let value_offset = body.offset();
        body.skip(payload_len)?;
        // Not longer than its record, whose length has 32 bits.
        let payload_len = u32::try_from(payload_len).map_err(|_| Stop::Overrun)?;
        self.visitor.object(&ObjectFacts { id, shape, value_offset, payload_len })?;
        Ok(())
    }

    fn root<I: Id>(
        &mut self,
        (tag, shape): (u8, RootShape),
        body: &mut Body<'_, '_>,
    ) -> Result<(), Stop> {
        let id = body.take::<I>()?.get();
        let (thread_serial, number) = match shape {
            RootShape::Nothing => (0, 0),
            RootShape::Address => {
                body.take::<I>()?;
                (0, 0)
            }
            RootShape::Thread => (Serial::get(*body.take::<Serial>()?), 0),
            RootShape::ThreadAndNumber => {
                let numbers = body.take::<RootNumbers>()?;
                (numbers.thread_serial.get(), numbers.number.get())
            }
        };
        self.visitor.root(&RootFacts { tag, id, thread_serial, number })?;
        Ok(())
    }

    fn class<I: Id>(&mut self, body: &mut Body<'_, '_>) -> Result<(), Stop> {
        let offset = body.offset();
        let head = *body.take::<ClassHead<I>>()?;
        for _ in 0..body.take::<Count>()?.get() {
            let value_type = body.take::<ConstantHead>()?.value_type;
            body.skip(u64::from(value_size::<I>(value_type)?))?;
        }
        let mut statics_len = 0_u32;
        for _ in 0..body.take::<Count>()?.get() {
            let value_type = body.take::<FieldHead<I>>()?.value_type;
            let size = value_size::<I>(value_type)?;
            body.skip(u64::from(size))?;
            statics_len = statics_len.saturating_add(u32::from(size));
        }
        for _ in 0..body.take::<Count>()?.get() {
            value_size::<I>(body.take::<FieldHead<I>>()?.value_type)?;
        }
        self.visitor.class(&ClassFacts {
            id: head.id.get(),
            super_id: head.super_id.get(),
            loader_id: head.loader_id.get(),
            instance_size: head.instance_size.get(),
            statics_len,
            offset,
        })?;
        Ok(())
    }
}

/// The head of a primitive array: its id, the type and the number of its elements.
#[inline]
fn primitive_array<I: Id>(body: &mut Body<'_, '_>) -> Result<(u64, Primitive, u32), Stop> {
    let head = body.take::<PrimitiveArrayHead<I>>()?;
    let primitive = Primitive::from_code(head.element_type).ok_or(Stop::UnknownType)?;
    Ok((head.id.get(), primitive, head.element_count.get()))
}

/// Bytes of a field value.
fn value_size<I: Id>(code: u8) -> Result<u8, Stop> {
    if code == 2 {
        return Ok(I::SIZE);
    }
    Primitive::from_code(code).map(Primitive::size).ok_or(Stop::UnknownType)
}

/// What follows the id of a root.
#[derive(Debug, Clone, Copy)]
enum RootShape {
    Nothing,
    /// The address of a reference.
    Address,
    Thread,
    ThreadAndNumber,
}

/// What a kind of root looks like; none for what is no root.
fn root_shape(type_byte: u8) -> Option<RootShape> {
    match type_byte {
        tag::ROOT_JNI_GLOBAL => Some(RootShape::Address),
        tag::ROOT_NATIVE_STACK | tag::ROOT_THREAD_BLOCK => Some(RootShape::Thread),
        tag::ROOT_JNI_LOCAL
        | tag::ROOT_JAVA_FRAME
        | tag::ROOT_THREAD_OBJ
        | tag::ROOT_JNI_MONITOR => Some(RootShape::ThreadAndNumber),
        tag::ROOT_UNKNOWN
        | tag::ROOT_STICKY_CLASS
        | tag::ROOT_MONITOR_USED
        | tag::ROOT_INTERNED_STRING
        | tag::ROOT_FINALIZING
        | tag::ROOT_DEBUGGER
        | tag::ROOT_REFERENCE_CLEANUP
        | tag::ROOT_VM_INTERNAL
        | tag::ROOT_UNREACHABLE => Some(RootShape::Nothing),
        _ => None,
    }
}
