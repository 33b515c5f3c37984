//! What of a dump could not be read, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format;

/// Why a part of a dump could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DamageKind {
    /// The file ends inside the record; it was not read further.
    Truncated,
    /// The file ends between two records, with no end of the heap dump before.
    MissingEnd,
    /// The compressed file is damaged or cut; it was not unpacked further.
    Compression,
    /// A record is too short for what it must hold; it was skipped.
    ShortRecord,
    /// A sub-record runs past its segment; the rest of the segment was skipped.
    Overrun,
    /// A sub-record of unknown type, so of unknown length; the rest of the segment was skipped.
    UnknownSubRecord,
    /// A sub-record names a type that does not exist; the rest of the segment was skipped.
    UnknownType,
    /// A text is longer than a JVM can make it; only its beginning was kept.
    LongText,
}

/// A part of a dump that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Damage {
    /// Why.
    pub kind: DamageKind,
    /// Offset in the unpacked dump of the record or sub-record that could not be read; of the
    /// end of the file where none had begun.
    pub offset: u64,
    /// The record's tag or the sub-record's type byte; 0 where none had begun.
    pub tag: u8,
}

impl Damage {
    /// Returns whether the dump stops there: nothing behind it was read.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match self.kind {
            DamageKind::Truncated | DamageKind::MissingEnd | DamageKind::Compression => true,
            DamageKind::ShortRecord
            | DamageKind::Overrun
            | DamageKind::UnknownSubRecord
            | DamageKind::UnknownType
            | DamageKind::LongText => false,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, offset, tag } = *self;
        let record = format::record_name(tag).unwrap_or("unknown record");
        let sub_record = format::sub_record_name(tag).unwrap_or("unknown sub-record");
        write!(formatter, "offset {offset}: ")?;
        match kind {
            DamageKind::Truncated => write!(formatter, "the dump ends inside a record"),
            DamageKind::MissingEnd => {
                write!(formatter, "the dump ends without the end of its heap dump")
            }
            DamageKind::Compression => write!(formatter, "the compressed file is damaged or cut"),
            DamageKind::ShortRecord => {
                write!(formatter, "{record} ({tag:#04x}) is too short, skipped")
            }
            DamageKind::Overrun => write!(
                formatter,
                "{sub_record} ({tag:#04x}) runs past its segment, rest of the segment skipped"
            ),
            DamageKind::UnknownSubRecord => {
                write!(formatter, "{sub_record} ({tag:#04x}), rest of the segment skipped")
            }
            DamageKind::UnknownType => write!(
                formatter,
                "{sub_record} ({tag:#04x}) names an unknown type, rest of the segment skipped"
            ),
            DamageKind::LongText => write!(formatter, "{record} ({tag:#04x}) is too long, cut"),
        }
    }
}
