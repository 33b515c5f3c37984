//! What the segments alone tell of a log, by docs/format.md: worked out here a second time.

use std::collections::BTreeMap;

use pagestone_heap::{RegionFile, Salvage};

use super::{
    model::{Contents, Expected, LOG},
    place::Place,
    session::Manner,
    view::contents,
};

/// An image, and the tag of its open epoch.
struct Image<'i> {
    bytes: &'i [u8],
    open: u64,
}

/// The newest entry of an index: generation, sequence, and its payload unless it is a tombstone.
type Newest<'i> = (u64, u64, Option<&'i [u8]>);

const UNIT: usize = 64 << 10;

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl<'i> Image<'i> {
    fn number(&self, at: usize, len: usize) -> Result<u64, String> {
        let bytes = self.bytes.get(at..at.saturating_add(len)).ok_or("beyond the end")?;
        let mut word = [0; 8];
        word[..len].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(word))
    }

    /// Class and body of the committed word of a pair.
    fn committed(&self, at: usize) -> Result<Option<u64>, String> {
        let words = [self.number(at, 8)?, self.number(at + 8, 8)?];
        let age = |word: &u64| (self.open + 65_535 - (word >> 48)) % 65_535;
        let counts = words.into_iter().filter(|word| word >> 48 != 0 && age(word) != 0);
        Ok(counts.min_by_key(age).map(|word| word & 0xffff_ffff_ffff))
    }

    /// Takes the entries of one segment up to its committed end.
    fn read(
        &self,
        (at, end): (usize, usize),
        found: &mut BTreeMap<u64, Newest<'i>>,
    ) -> Result<(), String> {
        let mut next = at + 64;
        while next < end {
            let (id, sequence) = (self.number(next, 8)?, self.number(next + 8, 8)?);
            let len = self.number(next + 16, 4)?;
            let payload = if len == 0xffff_ffff { 0 } else { size(len) };
            let bytes = self.bytes.get(next + 32..next + 32 + payload).ok_or("beyond the end")?;
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&self.bytes[at + 32..at + 40]);
            hasher.update(&self.bytes[next..next + 20]);
            hasher.update(bytes);
            if u64::from(hasher.finalize()) != self.number(next + 20, 4)? || id == 0 {
                return Err(format!("no whole entry at {next} of a segment of {at}..{end}"));
            }
            let newest = (id & 0xff_ffff, sequence, (len != 0xffff_ffff).then_some(bytes));
            let known = found.entry(id >> 24).or_insert(newest);
            if (known.0, known.1) < (newest.0, newest.1) {
                *known = newest;
            }
            next += (32 + payload).next_multiple_of(16);
        }
        if next == end { Ok(()) } else { Err(format!("an entry passes the end {end}")) }
    }
}

/// Compares what the segments committed in `generation` tell with the log of `contents`.
pub(crate) fn check(bytes: &[u8], generation: u64, contents: &Contents) -> Result<(), String> {
    let image = Image { bytes, open: (generation + 1) % 65_535 + 1 };
    let mut found = BTreeMap::new();
    for number in 2..2048 {
        let pair = UNIT + 32 * number;
        let Some(word) = image.committed(pair)?.filter(|word| word >> 40 == 5) else { continue };
        let at = size(word & 0xffff_ffff) * UNIT;
        let told = image.committed(pair + 16)?.ok_or_else(|| format!("no end of {number}"))?;
        let end = at + size(told & 0x7fff_ffff_ffff);
        image.read((at, end), &mut found).map_err(|error| format!("region {number}: {error}"))?;
    }
    let salvaged: BTreeMap<u64, &[u8]> = found
        .into_iter()
        .filter_map(|(index, (generation, _, payload))| Some((index << 24 | generation, payload?)))
        .collect();
    let entries = contents.heaps.get(LOG).into_iter().flatten();
    let expected: BTreeMap<u64, &[u8]> =
        entries.map(|(id, entry)| (id.to_bits(), &entry.bytes[..])).collect();
    if salvaged == expected {
        return Ok(());
    }
    let differs = |id: &&u64| salvaged.get(*id) != expected.get(*id);
    let wrong: Vec<u64> = salvaged.keys().chain(expected.keys()).filter(differs).copied().collect();
    let known = |id: &u64| (salvaged.contains_key(id), expected.contains_key(id));
    let wrong: Vec<String> = wrong.iter().map(|id| format!("{id:#x} {:?}", known(id))).collect();
    Err(format!("salvage differs (id, salvaged, committed): {wrong:?}"))
}

/// The same by the salvage of the crate: it tells what one of the commits had that may be the last.
pub(crate) fn check_own(place: &Place, expected: &Expected) -> Result<(), String> {
    let mut known = expected.committed.iter().map(|(_, model)| model.contents.heaps.get(LOG));
    if known.clone().all(|log| log.is_none()) {
        return Ok(());
    }
    let text = |error: pagestone_heap::Error| format!("salvage: {error}");
    let to = place.beside("salvaged.pgs");
    let report = RegionFile::salvage(place.at(), to.clone(), Salvage::new()).map_err(text)?;
    let file = Manner::PLAIN.options().open_read_only(to.clone()).map_err(text)?;
    let found = contents(&file)?.heaps.remove(LOG).unwrap_or_default();
    drop(file);
    std::fs::remove_file(to.path()).map_err(|error| error.to_string())?;
    let right = known.any(|log| log.is_none_or(|log| *log == found));
    if right && report.is_clean() {
        return Ok(());
    }
    let ids: Vec<String> =
        found.iter().map(|(id, entry)| format!("{id:?}:{}", entry.bytes.len())).collect();
    Err(format!("salvage: {report:?}, found {ids:?}"))
}
