//! What stores and roots were called, from the slot table of store 0 and its blocks.

use std::collections::BTreeMap;

use zerocopy::FromBytes;

use super::{source::Source, survey::Survey};
use crate::{
    class::{CLASS_MAX, GRAIN, room_of},
    id::BlockId,
    layout::{BLOCK_HEADER, BlockHeader, KIND_SUMMED},
    names::{NAME_LEN_MAX, Named, decode},
    parts::{HIDDEN, PAIR, first_of, part_len},
    store::{Keeps, SYSTEM},
    units::Kind,
    word::{Pair, View, Word},
};

/// The longest block that can hold a name: its header, the name's, the name.
const BLOCK_MAX: u64 = BLOCK_HEADER + 24 + NAME_LEN_MAX as u64;

/// Names that could be read.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By number: name, first generation, what it keeps.
    pub(super) stores: BTreeMap<u32, (String, u32, Keeps)>,
    pub(super) roots: BTreeMap<String, BlockId>,
}

/// Reads the names as of the last commit; what cannot be read is left out.
pub(super) fn read(survey: &Survey, source: &mut Source) -> Names {
    let mut names = Names::default();
    let tables = survey.known.values().filter(|known| known.kind == Kind::Table);
    for table in tables.filter(|table| table.store == SYSTEM) {
        let part = usize::from(table.part);
        if table.range.len != part_len(part) {
            continue;
        }
        let first = first_of(part);
        for index in first + HIDDEN..first + part_len(part) / PAIR {
            let at = table.range.start + (index - first) * PAIR;
            if source.len() < at + PAIR {
                break;
            }
            let pair = Pair([Word(source.word(at)), Word(source.word(at + 8))]);
            let word = pair.word(survey.tag, View::Committed);
            if word.is_empty() || CLASS_MAX < word.class() {
                continue;
            }
            match read_one(survey, source, (index, word)) {
                Some((name, Named::Store { number, generation, keeps })) => {
                    names.stores.entry(number).or_insert((name, generation, keeps));
                }
                Some((name, Named::Root(bits))) => {
                    names.roots.insert(name, BlockId::from_bits(bits));
                }
                None => {}
            }
        }
    }
    names
}

/// The name in the block that a slot names.
fn read_one(
    survey: &Survey,
    source: &mut Source,
    (index, word): (u64, Word),
) -> Option<(String, Named)> {
    let (at, room) = (word.body() * GRAIN, room_of(word.class()));
    let mut heaps = survey.known.values().filter(|known| known.kind == Kind::Heap);
    heaps.find(|heap| heap.range.start < at && at + room <= heap.range.end())?;
    let bytes = source.get(at, room.min(BLOCK_MAX));
    let (header, payload) = BlockHeader::read_from_prefix(bytes).ok()?;
    let payload = payload.get(..usize::try_from(header.len()).ok()?)?;
    let id = BlockId::from_bits(header.id.get());
    let right = id.index() == index
        && header.kind == KIND_SUMMED
        && header.sum_with(payload) == header.checksum.get();
    if right { decode(payload) } else { None }
}
