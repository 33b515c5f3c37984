//! Entries of an mmcb file, also those that mmcb itself does not find any more, put into a buffer.
//!
//! ```text
//! cargo run --example import_mmcb [--recover] MMCB_FILE BUFFER_FILE
//! ```
//!
//! An mmcb file has 16 bytes of header, then entries one behind the other, then a zero byte:
//!
//! | where | what |
//! | --- | --- |
//! | entry + 0 | 0x7F |
//! | + 1 | 1 for an entry, 2 for a removed one |
//! | + 2 | its size with all that follows, a signed varint of up to 6 bytes |
//! | + 8 | the length of its data, a signed varint; the data; room to grow |
//!
//! mmcb stops to look where that does not hold, and drops without a word what follows: after a
//! compaction, which leaves zeros at the start of the file, everything; after a damaged header, all
//! behind it. Here it is an error that names the offset; with `--recover`, the next place where
//! entries go on is looked for, and what was left out is told.
//!
//! Read [`import`] first, then [`Reader`].

use std::{
    env,
    error::Error,
    fmt, fs,
    io::{self, Write},
    path::Path,
};

use pagestone_buffer::{Buffers as _, EntryBuffer};
use pagestone_heap::RegionFile;
use pagestone_storage::{Location, TrustedDir};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const HEADER: usize = 16;
/// Before the length of the data: mark, status, size.
const ENTRY_HEADER: usize = 8;
const MARK: u8 = 0x7F;
const VALID: u8 = 1;
const REMOVED: u8 = 2;

fn main() -> Result<()> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let count = arguments.len();
    arguments.retain(|argument| argument != "--recover");
    let on_damage = if arguments.len() < count { OnDamage::Recover } else { OnDamage::Refuse };
    let [from, to] = arguments.as_slice() else {
        return Err("import_mmcb [--recover] MMCB_FILE BUFFER_FILE".into());
    };
    let bytes = fs::read(from).map_err(|error| format!("read {from}: {error}"))?;
    let file = RegionFile::options().open_or_create(trusted(Path::new(to))?)?;
    let buffer = file.buffer("entries")?;
    let report = import(&bytes, &buffer, on_damage).map_err(|error| format!("{from}: {error}"))?;
    file.close()?;
    let mut out = io::stdout().lock();
    for damage in &report.damages {
        writeln!(out, "{damage}")?;
    }
    Ok(writeln!(out, "{} entries, {} removed ones left out", report.entries, report.removed)?)
}

/// What to do where the bytes are no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDamage {
    /// Nothing is imported.
    Refuse,
    /// What can be found is imported.
    Recover,
}

/// What an import has done.
#[derive(Debug, Default)]
struct Report {
    entries: u64,
    removed: u64,
    damages: Vec<Damage>,
}

/// Puts all entries of an mmcb file into a buffer, in one commit: all of them, or none.
fn import(bytes: &[u8], buffer: &EntryBuffer, on_damage: OnDamage) -> Result<Report> {
    let mut report = Report::default();
    let mut writer = buffer.file().writer();
    for found in Reader::new(bytes)? {
        match found {
            Ok(Found::Entry(content)) => {
                buffer.add(&mut writer, content)?;
                report.entries += 1;
            }
            Ok(Found::Removed) => report.removed += 1,
            Err(damage) if on_damage == OnDamage::Recover => report.damages.push(damage),
            Err(damage) => {
                writer.discard()?;
                return Err(damage.into());
            }
        }
    }
    writer.commit()?;
    Ok(report)
}

/// What lies at a place of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found<'a> {
    Entry(&'a [u8]),
    Removed,
}

/// Bytes that are no entry, and where entries go on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Damage {
    offset: usize,
    what: String,
    end: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, what, end } = self;
        write!(formatter, "{what} at offset {offset}; entries go on at {end}, or the file ends")
    }
}

impl Error for Damage {}

/// Walks over an mmcb file. Each step goes forward, so it ends, whatever the bytes are.
#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What the header of an entry says: where it ends, and where its data lies.
#[derive(Debug)]
struct Extent<'a> {
    found: Found<'a>,
    end: usize,
}

impl<'a> Reader<'a> {
    /// Starts behind the header.
    fn new(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() <= HEADER {
            return Err(format!("{} bytes are no mmcb file", bytes.len()).into());
        }
        let (id, len) = varint(&bytes[1..HEADER]).ok_or("offset 1: no id of a buffer")?;
        if !(0..=255).contains(&id) || bytes[1 + len..HEADER].iter().any(|byte| *byte != 0) {
            return Err(format!("offset 1: no header of an mmcb file: id {id}").into());
        }
        Ok(Self { bytes, at: HEADER })
    }

    /// The entry at `at`, or what is wrong there.
    fn entry(&self, at: usize) -> std::result::Result<Extent<'a>, String> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let header = rest.get(..ENTRY_HEADER).ok_or("half a header")?;
        if header[0] != MARK {
            return Err(format!("mark {:#x}, expected {MARK:#x},", header[0]));
        }
        if header[1] != VALID && header[1] != REMOVED {
            return Err(format!("status {}, expected {VALID} or {REMOVED},", header[1]));
        }
        let (size, _) = varint(&header[2..]).ok_or("a size that does not end")?;
        let size = usize::try_from(size).map_err(|_| format!("size {size}"))?;
        // One of nothing would be met again and again.
        let entry = rest.get(..size).filter(|entry| ENTRY_HEADER < entry.len());
        let entry = entry.ok_or_else(|| format!("size {size}, with {} bytes left,", rest.len()))?;
        let body = &entry[ENTRY_HEADER..];
        let (len, prefix) = varint(body).ok_or("a length that does not end")?;
        let data = usize::try_from(len).ok().and_then(|len| body[prefix..].get(..len));
        let data = data.ok_or_else(|| format!("length {len} in an entry of {size} bytes"))?;
        let found = if header[1] == VALID { Found::Entry(data) } else { Found::Removed };
        Ok(Extent { found, end: at + size })
    }

    /// Whether entries may end at `at`: with the file, or with a zero.
    fn is_end(&self, at: usize) -> bool {
        self.bytes.get(at).is_none_or(|byte| *byte == 0)
    }

    /// The next place from `at` on where an entry starts behind which another one or the end comes:
    /// data may look like the one, hardly like both.
    fn next_entry(&self, mut at: usize) -> usize {
        while let Some(skipped) =
            self.bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == MARK))
        {
            at += skipped;
            if let Ok(extent) = self.entry(at)
                && (self.is_end(extent.end) || self.entry(extent.end).is_ok())
            {
                return at;
            }
            at += 1;
        }
        self.bytes.len()
    }

    fn damage(&mut self, what: String) -> Damage {
        let offset = self.at;
        self.at = self.next_entry(offset + 1);
        Damage { offset, what, end: self.at }
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = std::result::Result<Found<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        if rest[0] == 0 {
            // The end of the entries, unless something follows: then it is the hole that a
            // compaction has left, or a damaged mark.
            if rest.iter().all(|byte| *byte == 0) {
                return None;
            }
            return Some(Err(self.damage("an end with something behind it".to_owned())));
        }
        match self.entry(self.at) {
            Ok(extent) => {
                self.at = extent.end;
                Some(Ok(extent.found))
            }
            Err(what) => Some(Err(self.damage(what))),
        }
    }
}

/// A signed number in groups of seven bits, lowest first, its sign in the lowest bit; and how many
/// bytes it has. `None` for one that does not end, or has more than 64 bits.
fn varint(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0_u64;
    for (byte, nth) in bytes.iter().zip(0_u32..10) {
        let bits = u64::from(byte & 0x7F);
        if nth == 9 && 1 < bits {
            return None;
        }
        value |= bits << (7 * nth);
        if byte & 0x80 == 0 {
            let half = (value >> 1).cast_signed();
            let len = usize::try_from(nth + 1).ok()?;
            return Some((if value & 1 == 0 { half } else { !half }, len));
        }
    }
    None
}

/// Says who may write the file: a mapped file that somebody else cuts is a signal to whoever reads.
#[expect(unsafe_code, reason = "the one promise that every program makes for its files")]
fn trusted(path: &Path) -> Result<Location> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("no name of a file")?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // SAFETY: whoever runs this program names a file that it makes, and that no other program
    // writes meanwhile.
    Ok(unsafe { TrustedDir::assert(folder.unwrap_or(Path::new("."))) }.file(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What mmcb writes, made by hand.
    struct Made {
        bytes: Vec<u8>,
        /// Where each entry starts.
        starts: Vec<usize>,
    }

    fn zigzag(value: i64) -> Vec<u8> {
        let mut bits = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let mut bytes = Vec::new();
        while 0x80 <= bits {
            bytes.push(bits.to_le_bytes()[0] | 0x80);
            bits >>= 7;
        }
        bytes.push(bits.to_le_bytes()[0]);
        bytes
    }

    fn content(number: usize) -> Vec<u8> {
        let byte = |nth| u8::try_from((number * 7 + nth * 13) % 256).unwrap();
        (0..10 + number % 300).map(byte).collect()
    }

    impl Made {
        fn new() -> Self {
            let mut bytes = vec![0; HEADER];
            bytes[1..3].copy_from_slice(&zigzag(77));
            Self { bytes, starts: vec![] }
        }

        fn add(&mut self, content: &[u8], status: u8) {
            let len = zigzag(content.len().try_into().unwrap());
            let size = content.len() * 13 / 10 + ENTRY_HEADER + len.len();
            let mut entry = vec![MARK, status];
            entry.extend(zigzag(size.try_into().unwrap()));
            entry.resize(ENTRY_HEADER, 0);
            entry.extend(len);
            entry.extend(content);
            entry.resize(size, 0);
            self.starts.push(self.bytes.len());
            self.bytes.extend(entry);
        }

        /// Entries 0 to 99, of which every seventh was removed.
        fn hundred() -> Self {
            let mut made = Self::new();
            for number in 0..100 {
                made.add(&content(number), if number % 7 == 0 { REMOVED } else { VALID });
            }
            made
        }

        fn grown(mut self) -> Vec<u8> {
            self.bytes.resize(self.bytes.len().next_multiple_of(128 << 10), 0);
            self.bytes
        }
    }

    fn expected(without: &[usize]) -> Vec<Vec<u8>> {
        let numbers = (0..100).filter(|number| number % 7 != 0 && !without.contains(number));
        numbers.map(content).collect()
    }

    #[track_caller]
    fn imported(bytes: &[u8], on_damage: OnDamage) -> Result<(Vec<Vec<u8>>, Report)> {
        let file = RegionFile::options().reserve(1 << 30).in_memory()?;
        let buffer = file.buffer("entries")?;
        let report = import(bytes, &buffer, on_damage);
        let pin = file.pin();
        let read = |id| buffer.get(&pin, id).map(<[u8]>::to_vec);
        let found: pagestone_heap::Result<Vec<_>> =
            buffer.ids_as_written(&pin)?.into_iter().map(read).collect();
        let found = found?;
        assert!(report.is_ok() || found.is_empty(), "half an import");
        Ok((found, report?))
    }

    #[test]
    fn entries_come_in_their_order_without_the_removed() {
        for bytes in [Made::hundred().bytes, Made::hundred().grown()] {
            let (found, report) = imported(&bytes, OnDamage::Refuse).unwrap();
            assert_eq!(found, expected(&[]));
            assert_eq!((report.entries, report.removed), (85, 15));
        }
        let (found, _) = imported(&Made::new().grown(), OnDamage::Refuse).unwrap();
        assert!(found.is_empty());
    }

    /// mmcb refuses for ever a file whose end mark is among its last 8 bytes.
    #[test]
    fn an_end_close_to_that_of_the_file_is_an_end() {
        for zeros in 0..9 {
            let mut bytes = Made::hundred().bytes;
            bytes.resize(bytes.len() + zeros, 0);
            assert_eq!(imported(&bytes, OnDamage::Refuse).unwrap().0, expected(&[]));
        }
    }

    /// A compaction of mmcb writes what lives behind the old end, and leaves a hole before it.
    #[test]
    fn what_a_compaction_has_hidden_is_recovered() {
        let made = Made::hundred();
        let mut bytes = made.bytes[..HEADER].to_vec();
        bytes.resize(300_000, 0);
        bytes.extend(&made.bytes[HEADER..]);
        bytes.resize(500_000, 0);
        let error = imported(&bytes, OnDamage::Refuse).unwrap_err().to_string();
        assert!(error.contains("offset 16; entries go on at 300000"), "{error}");
        let (found, report) = imported(&bytes, OnDamage::Recover).unwrap();
        assert_eq!(found, expected(&[]));
        assert_eq!(report.damages.len(), 1);
    }

    #[test]
    fn what_a_damaged_header_has_hidden_is_recovered() {
        // Mark, status, size: whichever byte it is, and zero too, which looks like the end.
        for (nth, damaged) in [(0, 0x7E), (0, 0), (1, 9), (2, 0xFF), (2, 0)] {
            let mut made = Made::hundred();
            let at = made.starts[10];
            made.bytes[at + nth] = damaged;
            let bytes = made.grown();
            let error = imported(&bytes, OnDamage::Refuse).unwrap_err().to_string();
            assert!(error.contains(&format!("offset {at}")), "{error}");
            let (found, report) = imported(&bytes, OnDamage::Recover).unwrap();
            assert_eq!((found, report.damages.len()), (expected(&[10]), 1), "byte {nth}");
        }
    }

    #[test]
    fn lengths_beyond_the_file_and_loops_are_errors() {
        let with = |nth: usize, bytes: &[u8]| {
            let mut made = Made::hundred();
            let at = made.starts[99] + nth;
            made.bytes[at..at + bytes.len()].copy_from_slice(bytes);
            imported(&made.bytes, OnDamage::Refuse).unwrap_err().to_string()
        };
        assert!(with(2, &zigzag(1 << 40)).contains("size 1099511627776"));
        assert!(with(2, &zigzag(0)).contains("size 0"));
        assert!(with(2, &zigzag(-60)).contains("size -60"));
        assert!(with(2, &zigzag(8)).contains("size 8"));
        assert!(with(2, &[0xFF; 6]).contains("does not end"));
        assert!(with(8, &zigzag(5000)).contains("length 5000"));
        assert!(with(8, &zigzag(-1)).contains("length -1"));
        assert!(with(8, &[0xFF; 10]).contains("does not end"));
        for short in [0, 1, 16] {
            assert!(imported(&Made::hundred().bytes[..short], OnDamage::Recover).is_err());
        }
        assert!(imported(&[0xFF; 100], OnDamage::Recover).is_err());
    }

    #[test]
    fn any_bytes_are_walked_to_their_end() {
        let mut made = Made::new();
        (0..5).for_each(|number| made.add(&content(number), VALID));
        for at in 0..made.bytes.len() {
            for bit in 0..8 {
                made.bytes[at] ^= 1 << bit;
                for bytes in [&made.bytes[..], &made.bytes[..at]] {
                    if let Ok(reader) = Reader::new(bytes) {
                        assert!(reader.count() <= bytes.len());
                    }
                }
                made.bytes[at] ^= 1 << bit;
            }
        }
        // Nothing but what looks like the start of an entry.
        let mut marks = vec![MARK; 100_000];
        marks[..HEADER].fill(0);
        assert!(Reader::new(&marks).unwrap().count() <= marks.len());
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for value in [0, 1, -1, 63, 64, -64, -65, 1 << 40, i64::MAX, i64::MIN] {
            let bytes = zigzag(value);
            assert_eq!(varint(&bytes), Some((value, bytes.len())));
        }
        assert_eq!(varint(&[0x80; 10]), None);
        assert_eq!(varint(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2]), None);
    }
}
