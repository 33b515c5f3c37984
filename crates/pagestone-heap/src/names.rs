//! The names of a file: stores and roots, each a small block of the system store.

use std::collections::BTreeMap;

use zerocopy::{
    FromBytes, IntoBytes,
    little_endian::{U16, U32, U64},
};

use crate::{id::BlockId, layout::NameHeader, store::Keeps};

const KIND_STORE: u8 = 1;
const KIND_ROOT: u8 = 2;
/// The flags of a store, which say what it keeps.
const FLAGS: [(u8, Keeps); 5] = [
    (0, Keeps::Blocks),
    (1, Keeps::SummedBlocks),
    (2, Keeps::Entries),
    (3, Keeps::Slabs),
    (4, Keeps::Counts),
];

/// Longest name, in bytes.
pub(crate) const NAME_LEN_MAX: usize = 4096;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// A store: its number, its first generation and what it keeps.
    Store { number: u32, generation: u32, keeps: Keeps },
    /// A root: bits of an id.
    Root(u64),
}

/// All names, with the blocks that hold them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) stores: BTreeMap<String, (Named, BlockId)>,
    pub(crate) roots: BTreeMap<String, (u64, BlockId)>,
}

impl Names {
    /// Whether a name of this kind is there.
    pub(crate) fn has(&self, name: &str, named: Named) -> bool {
        match named {
            Named::Store { .. } => self.stores.contains_key(name),
            Named::Root(_) => self.roots.contains_key(name),
        }
    }

    pub(crate) fn add(&mut self, name: String, named: Named, block: BlockId) {
        match named {
            Named::Store { .. } => {
                self.stores.insert(name, (named, block));
            }
            Named::Root(bits) => {
                self.roots.insert(name, (bits, block));
            }
        }
    }
}

/// The bytes of a name's block.
pub(crate) fn encode(name: &str, named: Named) -> Vec<u8> {
    let (kind, flags, generation, value) = match named {
        Named::Store { number, generation, keeps } => {
            let flags = FLAGS.iter().find(|(_, its)| *its == keeps).map_or(0, |(flags, _)| *flags);
            (KIND_STORE, flags, generation, u64::from(number))
        }
        Named::Root(bits) => (KIND_ROOT, 0, 0, bits),
    };
    let header = NameHeader {
        kind,
        flags,
        spare: U16::new(0),
        generation: U32::new(generation),
        value: U64::new(value),
        reserved: [0; 8],
    };
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    bytes
}

/// What the bytes of a name's block say; `None` where they make no sense.
pub(crate) fn decode(bytes: &[u8]) -> Option<(String, Named)> {
    let (header, name) = NameHeader::read_from_prefix(bytes).ok()?;
    let plain = header.reserved == [0; 8] && header.spare.get() == 0;
    if !plain || NAME_LEN_MAX < name.len() {
        return None;
    }
    let name = String::from_utf8(name.to_vec()).ok()?;
    let named = match header.kind {
        KIND_STORE => Named::Store {
            number: u32::try_from(header.value.get()).ok().filter(|number| *number != 0)?,
            generation: header.generation.get(),
            keeps: FLAGS.iter().find(|(flags, _)| *flags == header.flags)?.1,
        },
        KIND_ROOT if header.flags == 0 => Named::Root(header.value.get()),
        _ => return None,
    };
    Some((name, named))
}

#[cfg(test)]
mod tests {
    use super::{Keeps, Named, decode, encode};

    #[test]
    fn names_are_read_back() {
        let store = |keeps| Named::Store { number: 3, generation: 0x12_3456, keeps };
        for (name, named) in [
            ("posts", store(Keeps::Blocks)),
            ("sums", store(Keeps::SummedBlocks)),
            ("notes", store(Keeps::Entries)),
            ("tags", store(Keeps::Slabs)),
            ("uses", store(Keeps::Counts)),
            ("", Named::Root(u64::MAX)),
            ("ä", Named::Root(0)),
        ] {
            assert_eq!(decode(&encode(name, named)), Some((name.to_owned(), named)));
        }
    }

    #[test]
    fn damaged_names_are_no_names() {
        let bytes = encode("posts", Named::Root(7));
        for len in 0..24 {
            assert_eq!(decode(&bytes[..len]), None);
        }
        for place in [0, 1, 2, 16, 23] {
            let mut bytes = bytes.clone();
            bytes[place] ^= 0x40;
            assert_eq!(decode(&bytes), None, "{place}");
        }
        let mut bytes = bytes;
        bytes[24] = 0xff;
        assert_eq!(decode(&bytes), None, "not UTF-8");
    }
}
