//! Owns the class records and objects of a generated dump, and what they refer to.

#![expect(clippy::cast_possible_truncation, reason = "random bits are cut to the field's width")]

use std::io;

use super::{
    super::{
        BasicType, IdSize,
        encode::{Encoder, count_u2},
    },
    addresses::Addresses,
    catalog::{Catalog, Class, known, payload_len},
    preamble::field_symbol,
    random::{Random, mix},
    sink::Sink,
};

/// How many objects ahead a reference can lead. As many follow when the end is in sight.
const FORWARD: u64 = 1024;

/// Bytes kept for those.
const FORWARD_LEN: u64 = FORWARD * 76;

/// Bytes of file from one array of [`HUGE_LEN`] bytes to the next.
const HUGE_EVERY: u64 = 64_000_000;

/// Elements of a byte array that has a segment of its own.
const HUGE_LEN: usize = 2 << 20;

/// Letters that strings are cut from.
const TEXT_LEN: usize = 1 << 16;

/// Different texts of strings.
const TEXTS: u64 = 1 << 22;

/// Writes objects one by one. An object is known by its position: how many were written before.
#[derive(Debug)]
pub(super) struct ObjectStream<'a> {
    catalog: &'a Catalog,
    addresses: &'a Addresses,
    class_ids: Vec<u64>,
    /// Instances and payload by class.
    counts: Vec<(u64, u64)>,
    random: Random,
    text: Vec<u8>,
    /// Objects written.
    position: u64,
    /// Positions from here on will not be written.
    limit: u64,
    dangling_count: u64,
}

impl<'a> ObjectStream<'a> {
    pub(super) fn new(catalog: &'a Catalog, addresses: &'a Addresses, mut random: Random) -> Self {
        let class_count = catalog.classes().len();
        let letters = b"etaoin shrdlu/cmfwyp.vbgkq_jxz-0123456789";
        let letter = |_| letters[random.below(letters.len() as u64) as usize];
        let text = (0..TEXT_LEN).map(letter).collect();
        Self {
            catalog,
            addresses,
            class_ids: (0..class_count).map(|index| addresses.class(index)).collect(),
            counts: vec![(0, 0); class_count],
            random,
            text,
            position: 0,
            limit: FORWARD,
            dangling_count: 0,
        }
    }

    pub(super) fn class_ids(&self) -> impl Iterator<Item = u64> {
        self.class_ids.iter().copied()
    }

    /// Instances of a class and the bytes of their payload.
    pub(super) fn count(&self, class: usize) -> (u64, u64) {
        self.counts[class]
    }

    pub(super) fn dangling_count(&self) -> u64 {
        self.dangling_count
    }

    /// One of the objects written, chosen by the bits.
    pub(super) fn existing_object(&self, bits: u64) -> u64 {
        self.addresses.object(bits % self.position)
    }

    /// Writes all class records. Their statics lead to the first [`FORWARD`] objects.
    pub(super) fn class_dumps(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        for (index, class) in self.catalog.classes().iter().enumerate() {
            self.class_dump(sink, index, class)?;
        }
        self.limit = u64::MAX;
        Ok(())
    }

    fn class_dump(&mut self, sink: &mut Sink<'_>, index: usize, class: &Class) -> io::Result<()> {
        let static_types: Vec<_> = class.statics.iter().map(|&(_, kind)| kind).collect();
        let entries_len = 9 * (class.statics.len() + class.fields.len());
        let len = 71 + entries_len + payload_len(&static_types);
        let out = sink.subrecord(0x20, len)?;
        out.u8(self.class_ids[index]);
        out.u4(1);
        out.u8(class.super_index.map_or(0, |parent| self.class_ids[parent]));
        // No loader, signers, protection domain; two reserved ids.
        out.bytes(&[0; 40]);
        out.u4(class.payload_len as u32);
        out.u2(0);
        out.u2(count_u2(class.statics.len()));
        for &(name, basic_type) in &class.statics {
            out.u8(field_symbol(name));
            out.u1(basic_type.code());
            self.value(out, basic_type);
        }
        out.u2(count_u2(class.fields.len()));
        for &(name, basic_type) in &class.fields {
            out.u8(field_symbol(name));
            out.u1(basic_type.code());
        }
        Ok(())
    }

    /// Writes objects until the file is `end` bytes long.
    pub(super) fn objects(&mut self, sink: &mut Sink<'_>, end: u64) -> io::Result<()> {
        let mut next_huge = HUGE_EVERY;
        while sink.position() + FORWARD_LEN < end {
            let room = end - FORWARD_LEN - sink.position();
            if next_huge < sink.position() && (HUGE_LEN as u64) < room {
                self.byte_array(sink, HUGE_LEN)?;
                next_huge += HUGE_EVERY;
            }
            let big = self.random.below(20_000) == 0 && 1 << 17 < room;
            if big {
                let len = (1 << 14) + self.random.below(3 << 14) as usize;
                self.byte_array(sink, len)?;
            }
            self.some_object(sink)?;
        }
        self.limit = self.position + FORWARD;
        while self.position + 2 < self.limit {
            self.some_object(sink)?;
        }
        while self.position < self.limit {
            self.instance(sink, known::LONG)?;
        }
        // What is left over becomes one array.
        let left = end.saturating_sub(sink.position() + 18);
        self.byte_array(sink, left as usize)
    }

    /// Writes one object, or a string and its array.
    fn some_object(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        match self.random.below(384) {
            0..128 => self.string(sink),
            128..184 => self.instance(sink, known::HASH_NODE),
            184..210 => self.instance(sink, known::CONCURRENT_NODE),
            210..246 => self.object_array(sink, known::OBJECT_ARRAY),
            246..262 => self.object_array(sink, known::NODE_ARRAY),
            262..276 => self.instance(sink, known::HASH_MAP),
            276..300 => self.instance(sink, known::LONG),
            300..314 => self.instance(sink, known::INTEGER),
            314..320 => self.instance(sink, known::OBJECT),
            320..322 => self.instance(sink, known::ARRAY_LIST),
            322..336 => self.primitive_array(sink),
            _ => {
                // The lower the index, the more instances.
                let made_up = (self.class_ids.len() - known::FIRST_MADE_UP) as u64;
                let below = self.random.below(made_up) + 1;
                let class = known::FIRST_MADE_UP + self.random.below(below) as usize;
                self.instance(sink, class)
            }
        }
    }

    /// A string, and right after it its array of 4 to 99 letters, one in 32 of them in UTF-16.
    /// Some texts come more often than others.
    fn string(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        let below = self.random.below(TEXTS) + 1;
        let bits = mix(self.random.below(below));
        let len = 4 + ((bits >> 32) % 96) as usize;
        let from = bits as usize % (TEXT_LEN - 100);
        let wide = (bits >> 40).is_multiple_of(32);

        let out = self.instance_head(sink, known::STRING)?;
        out.u8(self.addresses.object(self.position));
        out.u1(u8::from(wide));
        out.u4((bits >> 24) as u32);
        out.u1(0);
        let out = self.primitive_head(sink, BasicType::Byte, len << u32::from(wide))?;
        let text = &self.text[from..from + len];
        if wide {
            for &letter in text {
                out.bytes(&[letter, 4]);
            }
        } else {
            out.bytes(text);
        }
        Ok(())
    }

    /// An instance whose fields hold values of their types.
    fn instance(&mut self, sink: &mut Sink<'_>, class: usize) -> io::Result<()> {
        let layout = &self.catalog.classes()[class].layout;
        let out = self.instance_head(sink, class)?;
        for &basic_type in layout {
            self.value(out, basic_type);
        }
        Ok(())
    }

    fn object_array(&mut self, sink: &mut Sink<'_>, class: usize) -> io::Result<()> {
        let (count, empty_places) = if class == known::NODE_ARRAY {
            (16 << self.random.below(2), 1)
        } else {
            let below = self.random.below(72) + 1;
            (self.random.below(below), 0)
        };
        let len = 25 + 8 * count as usize;
        let id = self.added(class, 8 * count);
        let out = sink.subrecord(0x22, len)?;
        out.u8(id);
        out.u4(1);
        out.u4(count as u32);
        out.u8(self.class_ids[class]);
        for place in 0..count {
            let element = if place & empty_places == 0 { self.reference() } else { 0 };
            out.u8(element);
        }
        Ok(())
    }

    /// An array of up to 31 times 8 bytes of any primitive type.
    fn primitive_array(&mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        let basic_type = BasicType::PRIMITIVES[self.random.below(8) as usize];
        let below = self.random.below(32) + 1;
        let words = self.random.below(below);
        // Keeps the values in a usual range: truth values, letters, small numbers.
        let mask = match basic_type {
            BasicType::Boolean => 0x0101_0101_0101_0101,
            BasicType::Char | BasicType::Short => 0x007f_007f_007f_007f,
            BasicType::Int => 0x000f_ffff_000f_ffff,
            _ => 0x3fff_ffff_3fff_ffff,
        };
        let out = self.primitive_head(sink, basic_type, 8 * words as usize)?;
        (0..words).for_each(|_| out.u8(self.random.bits() & mask));
        Ok(())
    }

    /// A byte array with the text over and over.
    fn byte_array(&mut self, sink: &mut Sink<'_>, len: usize) -> io::Result<()> {
        let out = self.primitive_head(sink, BasicType::Byte, len)?;
        let mut left = len;
        while 0 < left {
            let piece = left.min(TEXT_LEN);
            out.bytes(&self.text[..piece]);
            left -= piece;
        }
        Ok(())
    }

    #[inline]
    fn instance_head<'s>(
        &mut self,
        sink: &'s mut Sink<'_>,
        class: usize,
    ) -> io::Result<&'s mut Encoder> {
        let payload_len = self.catalog.classes()[class].payload_len;
        let id = self.added(class, payload_len as u64);
        let out = sink.subrecord(0x21, 25 + payload_len)?;
        out.u8(id);
        out.u4(1);
        out.u8(self.class_ids[class]);
        out.u4(payload_len as u32);
        Ok(out)
    }

    /// `len` is in bytes, a multiple of 8 for other types than bytes.
    #[inline]
    fn primitive_head<'s>(
        &mut self,
        sink: &'s mut Sink<'_>,
        element_type: BasicType,
        len: usize,
    ) -> io::Result<&'s mut Encoder> {
        let class = known::BOOLEAN_ARRAY + usize::from(element_type.code()) - 4;
        let id = self.added(class, len as u64);
        let out = sink.subrecord(0x23, 18 + len)?;
        out.u8(id);
        out.u4(1);
        out.u4(len as u32 / element_type.size(IdSize::Eight));
        out.u1(element_type.code());
        Ok(out)
    }

    /// Counts the object about to be written and answers its id.
    #[inline]
    fn added(&mut self, class: usize, payload_len: u64) -> u64 {
        let (instances, payload) = &mut self.counts[class];
        *instances += 1;
        *payload += payload_len;
        self.position += 1;
        self.addresses.object(self.position - 1)
    }

    #[inline]
    fn value(&mut self, out: &mut Encoder, basic_type: BasicType) {
        match basic_type {
            BasicType::Object => out.u8(self.reference()),
            BasicType::Boolean => out.u1(self.random.bits() as u8 & 1),
            BasicType::Byte => out.u1(self.random.bits() as u8),
            BasicType::Char => out.u2(self.random.bits() as u16 & 0x7f),
            BasicType::Short => out.u2(self.random.bits() as u16),
            BasicType::Int | BasicType::Float => out.u4(self.random.bits() as u32 >> 2),
            BasicType::Long | BasicType::Double => out.u8(self.random.bits() >> 20),
        }
    }

    /// Null, an object nearby or anywhere before, one of the next [`FORWARD`], a class, or
    /// now and then an id of nothing.
    #[inline]
    fn reference(&mut self) -> u64 {
        let bits = self.random.bits();
        let choice = bits & 0xfff;
        let scatter = bits >> 32;
        let position = match choice {
            0 => {
                self.dangling_count += 1;
                return Addresses::dangling(scatter);
            }
            1..600 => return 0,
            600..700 => {
                let class = (scatter * self.class_ids.len() as u64) >> 32;
                return self.class_ids[class as usize];
            }
            700..2400 => self.position.saturating_sub(scatter & 0xff),
            2400..3200 => (scatter * self.position) >> 32,
            _ => self.position + (scatter & (FORWARD - 1)),
        };
        self.addresses.object(position.min(self.limit - 1))
    }
}
