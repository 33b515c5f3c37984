//! The words of the HPROF format: record and sub-record tags with their names, basic types.

/// Tags of the records that the scanner looks into.
pub(crate) mod record {
    pub(crate) const UTF8: u8 = 0x01;
    pub(crate) const LOAD_CLASS: u8 = 0x02;
    pub(crate) const FRAME: u8 = 0x04;
    pub(crate) const TRACE: u8 = 0x05;
    pub(crate) const HEAP_DUMP: u8 = 0x0c;
    pub(crate) const HEAP_DUMP_SEGMENT: u8 = 0x1c;
    pub(crate) const HEAP_DUMP_END: u8 = 0x2c;
}

/// Type bytes of sub-records.
pub(crate) mod sub_record {
    pub(crate) const ROOT_UNKNOWN: u8 = 0xff;
    pub(crate) const ROOT_JNI_GLOBAL: u8 = 0x01;
    pub(crate) const ROOT_JNI_LOCAL: u8 = 0x02;
    pub(crate) const ROOT_JAVA_FRAME: u8 = 0x03;
    pub(crate) const ROOT_NATIVE_STACK: u8 = 0x04;
    pub(crate) const ROOT_STICKY_CLASS: u8 = 0x05;
    pub(crate) const ROOT_THREAD_BLOCK: u8 = 0x06;
    pub(crate) const ROOT_MONITOR_USED: u8 = 0x07;
    pub(crate) const ROOT_THREAD_OBJ: u8 = 0x08;
    pub(crate) const CLASS_DUMP: u8 = 0x20;
    pub(crate) const INSTANCE_DUMP: u8 = 0x21;
    pub(crate) const OBJECT_ARRAY_DUMP: u8 = 0x22;
    pub(crate) const PRIMITIVE_ARRAY_DUMP: u8 = 0x23;
    pub(crate) const ROOT_INTERNED_STRING: u8 = 0x89;
    pub(crate) const ROOT_FINALIZING: u8 = 0x8a;
    pub(crate) const ROOT_DEBUGGER: u8 = 0x8b;
    pub(crate) const ROOT_REFERENCE_CLEANUP: u8 = 0x8c;
    pub(crate) const ROOT_VM_INTERNAL: u8 = 0x8d;
    pub(crate) const ROOT_JNI_MONITOR: u8 = 0x8e;
    pub(crate) const ROOT_UNREACHABLE: u8 = 0x90;
    pub(crate) const PRIMITIVE_ARRAY_NODATA: u8 = 0xc3;
    pub(crate) const HEAP_DUMP_INFO: u8 = 0xfe;
}

/// The name of a record tag; none for tags outside the format.
pub(crate) fn record_name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        record::UTF8 => "UTF8",
        record::LOAD_CLASS => "LOAD_CLASS",
        0x03 => "UNLOAD_CLASS",
        record::FRAME => "FRAME",
        record::TRACE => "TRACE",
        0x06 => "ALLOC_SITES",
        0x07 => "HEAP_SUMMARY",
        0x0a => "START_THREAD",
        0x0b => "END_THREAD",
        record::HEAP_DUMP => "HEAP_DUMP",
        0x0d => "CPU_SAMPLES",
        0x0e => "CONTROL_SETTINGS",
        record::HEAP_DUMP_SEGMENT => "HEAP_DUMP_SEGMENT",
        record::HEAP_DUMP_END => "HEAP_DUMP_END",
        _ => return None,
    })
}

/// The name of a sub-record's type byte; none for bytes outside the format.
pub(crate) fn sub_record_name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        sub_record::CLASS_DUMP => "CLASS_DUMP",
        sub_record::INSTANCE_DUMP => "INSTANCE_DUMP",
        sub_record::OBJECT_ARRAY_DUMP => "OBJECT_ARRAY_DUMP",
        sub_record::PRIMITIVE_ARRAY_DUMP => "PRIMITIVE_ARRAY_DUMP",
        sub_record::PRIMITIVE_ARRAY_NODATA => "PRIMITIVE_ARRAY_NODATA",
        sub_record::HEAP_DUMP_INFO => "HEAP_DUMP_INFO",
        _ => return root_name(tag),
    })
}

/// The kind of root that a type byte stands for; none for what is not a root.
pub(crate) fn root_name(tag: u8) -> Option<&'static str> {
    Some(match tag {
        sub_record::ROOT_UNKNOWN => "unknown",
        sub_record::ROOT_JNI_GLOBAL => "jni_global",
        sub_record::ROOT_JNI_LOCAL => "jni_local",
        sub_record::ROOT_JAVA_FRAME => "java_frame",
        sub_record::ROOT_NATIVE_STACK => "native_stack",
        sub_record::ROOT_STICKY_CLASS => "sticky_class",
        sub_record::ROOT_THREAD_BLOCK => "thread_block",
        sub_record::ROOT_MONITOR_USED => "monitor_used",
        sub_record::ROOT_THREAD_OBJ => "thread_obj",
        sub_record::ROOT_INTERNED_STRING => "interned_string",
        sub_record::ROOT_FINALIZING => "finalizing",
        sub_record::ROOT_DEBUGGER => "debugger",
        sub_record::ROOT_REFERENCE_CLEANUP => "reference_cleanup",
        sub_record::ROOT_VM_INTERNAL => "vm_internal",
        sub_record::ROOT_JNI_MONITOR => "jni_monitor",
        sub_record::ROOT_UNREACHABLE => "unreachable",
        _ => return None,
    })
}

/// A type of array elements other than references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Primitive {
    Boolean,
    Char,
    Float,
    Double,
    Byte,
    Short,
    Int,
    Long,
}

impl Primitive {
    /// All of them in the order of their codes, which is the order of their class ordinals.
    pub(crate) const ALL: [Self; 8] = [
        Self::Boolean,
        Self::Char,
        Self::Float,
        Self::Double,
        Self::Byte,
        Self::Short,
        Self::Int,
        Self::Long,
    ];

    /// The type that the code of a dump stands for.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code.checked_sub(4)?)).copied()
    }

    /// The code of the type in a dump.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Boolean => 4,
            Self::Char => 5,
            Self::Float => 6,
            Self::Double => 7,
            Self::Byte => 8,
            Self::Short => 9,
            Self::Int => 10,
            Self::Long => 11,
        }
    }

    /// Bytes of one value.
    pub(crate) const fn size(self) -> u8 {
        match self {
            Self::Boolean | Self::Byte => 1,
            Self::Char | Self::Short => 2,
            Self::Float | Self::Int => 4,
            Self::Double | Self::Long => 8,
        }
    }

    /// The name of the type in Java.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Char => "char",
            Self::Float => "float",
            Self::Double => "double",
            Self::Byte => "byte",
            Self::Short => "short",
            Self::Int => "int",
            Self::Long => "long",
        }
    }
}
