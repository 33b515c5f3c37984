//! Rows with keys of bytes: our index over `[u8; 16]`, for automata to be held against.

use std::hint::black_box;

use pagestone_index::{Record, TableOptions};
use zerocopy::little_endian::U64;

use super::{each, share};
use crate::{Clock, Folder, Random, Result, Scale, entries::Told};

/// Bytes of a key: the hexadecimal digits of a random number.
pub const WORD_SIZE: usize = 16;

/// Keys in order, and which of them are looked up.
#[derive(Debug)]
pub struct WordRows {
    /// The keys, each with its ordinal for a value.
    pub keys: Vec<[u8; WORD_SIZE]>,
    /// Ordinals to look up.
    pub probes: Vec<usize>,
}

impl WordRows {
    /// Two million at the full scale.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        let mut random = Random::new(55);
        let mut numbers: Vec<u64> = (0..scale.count(2_000_000)).map(|_| random.next()).collect();
        numbers.sort_unstable();
        let digit = |number: u64, place: usize| {
            let byte = number.to_le_bytes()[7 - place / 2];
            b"0123456789abcdef"[usize::from(byte >> (4 - place % 2 * 4) & 15)]
        };
        let keys = numbers.iter().map(|&number| std::array::from_fn(|place| digit(number, place)));
        let keys: Vec<[u8; WORD_SIZE]> = keys.collect();
        let probes = (0..scale.count(1 << 20)).map(|_| random.below(keys.len())).collect();
        Self { keys, probes }
    }
}

#[derive(Debug, Clone, Copy, Record)]
#[repr(C)]
struct Word {
    #[index(canonical, unique)]
    text: [u8; WORD_SIZE],
    value: U64,
}

/// Lookups, bytes beside the rows, and the build of our table of words.
///
/// # Errors
///
/// Those of the table.
pub fn words_ours(scale: Scale) -> Result<Vec<Told>> {
    let (folder, rows) = (Folder::new()?, WordRows::new(scale));
    let count = rows.keys.len();
    let (build, table) = Clock::Process.time(|| -> pagestone_index::Result<_> {
        let mut builder = TableOptions::new().create::<Word>(folder.trusted_at("words"))?;
        let all = rows.keys.iter().zip(0u64..);
        builder.extend(all.map(|(&text, value)| Word { text, value: value.into() }))?;
        builder.seal()
    });
    let table = table?;
    let by = table.by(Word::TEXT);
    let mut sum = 0u64;
    let look = || -> Result<()> {
        for &probe in &rows.probes {
            let row = by.get(rows.keys[probe])?.ok_or("no such key")?;
            sum = sum.wrapping_add(row.value.get());
        }
        Ok(())
    };
    let (stream, looked) = Clock::Thread.time(look);
    looked?;
    black_box(sum);
    Ok(vec![
        Told::new("load", each(build, count), "ns/row"),
        Told::new("stream", each(stream, rows.probes.len()), "ns/lookup"),
        Told::new("file", share(folder.files_taken()?[1], count), "bytes/row"),
    ])
}
