//! Owns the words of the format: identifier sizes, versions, basic types, values and roots.

/// Bytes of an identifier, as the header of a dump says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdSize {
    /// 32-bit JVMs and Android.
    Four,
    /// 64-bit JVMs.
    Eight,
}

impl IdSize {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// The version of the format, as the header text names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `JAVA PROFILE 1.0.1`: one heap-dump record, no segments.
    V101,
    /// `JAVA PROFILE 1.0.2`: what `HotSpot` writes.
    V102,
    /// `JAVA PROFILE 1.0.3`: Android, with more kinds of sub-records.
    V103,
}

impl Version {
    /// The header text without its closing zero byte.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::V101 => "JAVA PROFILE 1.0.1",
            Self::V102 => "JAVA PROFILE 1.0.2",
            Self::V103 => "JAVA PROFILE 1.0.3",
        }
    }
}

/// Which record carries the sub-records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentStyle {
    /// `HEAP_DUMP` (0x0C), meant to occur once.
    Single,
    /// `HEAP_DUMP_SEGMENT` (0x1C), any number of them.
    Segments,
}

/// The type of a field, a constant or an array element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BasicType {
    /// A reference, as wide as an identifier.
    Object = 2,
    /// One byte.
    Boolean = 4,
    /// Two bytes.
    Char = 5,
    /// Four bytes.
    Float = 6,
    /// Eight bytes.
    Double = 7,
    /// One byte.
    Byte = 8,
    /// Two bytes.
    Short = 9,
    /// Four bytes.
    Int = 10,
    /// Eight bytes.
    Long = 11,
}

impl BasicType {
    /// The types other than references, in the order of their codes.
    pub const PRIMITIVES: [Self; 8] = [
        Self::Boolean,
        Self::Char,
        Self::Float,
        Self::Double,
        Self::Byte,
        Self::Short,
        Self::Int,
        Self::Long,
    ];

    /// The byte that stands for the type in a dump.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Bytes of one value.
    #[must_use]
    pub const fn size(self, id_size: IdSize) -> u32 {
        match self {
            Self::Object => id_size.bytes(),
            Self::Boolean | Self::Byte => 1,
            Self::Char | Self::Short => 2,
            Self::Float | Self::Int => 4,
            Self::Double | Self::Long => 8,
        }
    }
}

/// One value with its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A reference; 0 is null.
    Object(u64),
    /// A truth value, stored as 0 or 1.
    Boolean(bool),
    /// A UTF-16 unit.
    Char(u16),
    /// A 32-bit float.
    Float(f32),
    /// A 64-bit float.
    Double(f64),
    /// A signed byte.
    Byte(i8),
    /// A signed 16-bit number.
    Short(i16),
    /// A signed 32-bit number.
    Int(i32),
    /// A signed 64-bit number.
    Long(i64),
}

impl Value {
    /// The type of the value.
    #[must_use]
    pub const fn basic_type(self) -> BasicType {
        match self {
            Self::Object(_) => BasicType::Object,
            Self::Boolean(_) => BasicType::Boolean,
            Self::Char(_) => BasicType::Char,
            Self::Float(_) => BasicType::Float,
            Self::Double(_) => BasicType::Double,
            Self::Byte(_) => BasicType::Byte,
            Self::Short(_) => BasicType::Short,
            Self::Int(_) => BasicType::Int,
            Self::Long(_) => BasicType::Long,
        }
    }
}

/// One root sub-record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the format, under the same names")]
pub enum Root {
    /// 0xFF.
    Unknown { object: u64 },
    /// 0x01; the reference is an address, not an object.
    JniGlobal { object: u64, reference: u64 },
    /// 0x02; frame `u32::MAX` means none.
    JniLocal { object: u64, thread_serial: u32, frame: u32 },
    /// 0x03.
    JavaFrame { object: u64, thread_serial: u32, frame: u32 },
    /// 0x04.
    NativeStack { object: u64, thread_serial: u32 },
    /// 0x05.
    StickyClass { object: u64 },
    /// 0x06.
    ThreadBlock { object: u64, thread_serial: u32 },
    /// 0x07.
    MonitorUsed { object: u64 },
    /// 0x08; the object may be 0.
    ThreadObject { object: u64, thread_serial: u32, trace_serial: u32 },
    /// 0x89, Android.
    InternedString { object: u64 },
    /// 0x8A, Android.
    Finalizing { object: u64 },
    /// 0x8B, Android.
    Debugger { object: u64 },
    /// 0x8C, Android.
    ReferenceCleanup { object: u64 },
    /// 0x8D, Android.
    VmInternal { object: u64 },
    /// 0x8E, Android.
    JniMonitor { object: u64, thread_serial: u32, frame: u32 },
    /// 0x90, Android.
    Unreachable { object: u64 },
}

impl Root {
    /// The type byte of the sub-record.
    #[must_use]
    pub const fn tag(self) -> u8 {
        match self {
            Self::Unknown { .. } => 0xff,
            Self::JniGlobal { .. } => 0x01,
            Self::JniLocal { .. } => 0x02,
            Self::JavaFrame { .. } => 0x03,
            Self::NativeStack { .. } => 0x04,
            Self::StickyClass { .. } => 0x05,
            Self::ThreadBlock { .. } => 0x06,
            Self::MonitorUsed { .. } => 0x07,
            Self::ThreadObject { .. } => 0x08,
            Self::InternedString { .. } => 0x89,
            Self::Finalizing { .. } => 0x8a,
            Self::Debugger { .. } => 0x8b,
            Self::ReferenceCleanup { .. } => 0x8c,
            Self::VmInternal { .. } => 0x8d,
            Self::JniMonitor { .. } => 0x8e,
            Self::Unreachable { .. } => 0x90,
        }
    }

    /// The object the root names, present in the dump or not.
    #[must_use]
    pub const fn object(self) -> u64 {
        match self {
            Self::Unknown { object }
            | Self::JniGlobal { object, .. }
            | Self::JniLocal { object, .. }
            | Self::JavaFrame { object, .. }
            | Self::NativeStack { object, .. }
            | Self::StickyClass { object }
            | Self::ThreadBlock { object, .. }
            | Self::MonitorUsed { object }
            | Self::ThreadObject { object, .. }
            | Self::InternedString { object }
            | Self::Finalizing { object }
            | Self::Debugger { object }
            | Self::ReferenceCleanup { object }
            | Self::VmInternal { object }
            | Self::JniMonitor { object, .. }
            | Self::Unreachable { object } => object,
        }
    }
}
