//! A file as its owner or a forger knows it: where what lies, and checksums made right again.

/// A file in memory with what is needed to change it with a plan.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
}

/// A region as the directory has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    pub(crate) number: usize,
    pub(crate) kind: u8,
    pub(crate) start: usize,
    pub(crate) len: usize,
}

pub(crate) const UNIT: usize = 64 << 10;
/// Kinds of regions.
pub(crate) const TABLE: u8 = 2;
pub(crate) const HEAP: u8 = 3;

impl Image {
    pub(crate) fn word(&self, at: usize) -> u64 {
        u64::from_le_bytes(*self.bytes[at..].first_chunk().unwrap())
    }

    pub(crate) fn set_word(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    pub(crate) fn set(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn sum(&mut self, at: usize, ranges: impl IntoIterator<Item = std::ops::Range<usize>>) {
        let mut hasher = crc32fast::Hasher::new();
        for range in ranges {
            hasher.update(&self.bytes[range]);
        }
        self.set(at, &hasher.finalize().to_le_bytes());
    }

    /// The place of the superblock that counts.
    pub(crate) fn superblock(&self) -> usize {
        let generation = |at: usize| self.word(at + 40);
        if generation(4096) < generation(0) { 0 } else { 4096 }
    }

    pub(crate) fn sum_superblock(&mut self, at: usize) {
        self.sum(at + 508, std::iter::once(at..at + 508));
    }

    pub(crate) fn sum_region(&mut self, at: usize) {
        self.sum(at + 60, std::iter::once(at..at + 60));
    }

    /// Of a block without a checksum of its payload, or with.
    pub(crate) fn sum_block(&mut self, at: usize) {
        let summed = self.bytes[at + 14] == 1;
        let len = usize::try_from(self.word(at + 8) & 0xffff_ffff_ffff).unwrap();
        let end = (at + 24).saturating_add(if summed { len } else { 0 });
        if end <= self.bytes.len() {
            self.sum(at + 20, [at..at + 20, at + 24..end]);
        }
    }

    /// The newest word of a pair: both are of few epochs, so that no tag has wrapped.
    pub(crate) fn newest(&self, at: usize) -> (usize, u64) {
        let words = [at, at + 8].map(|at| (at, self.word(at)));
        if words[0].1 >> 48 < words[1].1 >> 48 { words[1] } else { words[0] }
    }

    /// Where the directory pairs lie that are in use.
    pub(crate) fn directory(&self) -> Vec<usize> {
        (UNIT + 64..UNIT + 64 + 64 * 16)
            .step_by(16)
            .filter(|at| self.word(*at) | self.word(at + 8) != 0)
            .collect()
    }

    pub(crate) fn regions(&self) -> Vec<Region> {
        let pairs = self.directory();
        let decode = |at: &usize| {
            let (_, word) = self.newest(*at);
            let code = usize::try_from(word >> 32 & 0xff).unwrap();
            let units = if code < 8 { code } else { (8 + (code & 7)) << ((code >> 3) - 1) };
            let start = usize::try_from(word & 0xffff_ffff).unwrap() * UNIT;
            let kind = word.to_le_bytes()[5];
            Region { number: (at - UNIT) / 32, kind, start, len: units * UNIT }
        };
        pairs.iter().map(decode).filter(|region| (1..=6).contains(&region.kind)).collect()
    }

    /// The slots of all tables that are in use: where the pair lies, and its newest word.
    pub(crate) fn slots(&self) -> Vec<(usize, u64)> {
        let tables = self.regions().into_iter().filter(|region| region.kind == TABLE);
        let len = self.bytes.len();
        tables
            .flat_map(|table| (table.start + 64..(table.start + table.len).min(len)).step_by(16))
            .filter(|at| self.word(*at) | self.word(at + 8) != 0)
            .map(|at| (at, self.newest(at).1))
            .collect()
    }

    /// Where live blocks start.
    pub(crate) fn blocks(&self) -> Vec<usize> {
        let words = self.slots().into_iter().map(|(_, word)| word);
        let live = words.filter(|word| word.to_le_bytes()[5] != 254 && word >> 48 != 0);
        live.map(|word| usize::try_from(word & 0xff_ffff_ffff).unwrap() * 16).collect()
    }

    /// Where the record of free space starts.
    pub(crate) fn snapshot(&self) -> usize {
        usize::try_from(self.word(self.superblock() + 72)).unwrap()
    }

    /// Where the record's entries of regions and of stores lie.
    pub(crate) fn entries(&self) -> (Vec<usize>, Vec<usize>) {
        let at = self.snapshot();
        let count = |at: usize| {
            usize::try_from(u32::from_le_bytes(*self.bytes[at..].first_chunk().unwrap())).unwrap()
        };
        let (regions, stores) = (count(at + 16), count(at + 20));
        let all: Vec<usize> = (0..regions + stores).map(|nth| at + 32 + 32 * nth).collect();
        let (regions, stores) = all.split_at(regions);
        (regions.to_vec(), stores.to_vec())
    }

    /// Makes the checksums of the record right.
    pub(crate) fn sum_snapshot(&mut self) {
        let at = self.snapshot();
        let (regions, stores) = self.entries();
        let generation = self.word(at + 8);
        for entry in &regions {
            let number = u32::from_le_bytes(*self.bytes[*entry..].first_chunk().unwrap());
            let known = self.regions();
            let Some(region) = known.iter().find(|region| region.number == number as usize) else {
                continue;
            };
            let Ok(offset) = usize::try_from(self.word(entry + 8)) else { continue };
            let from = at.saturating_add(offset);
            let Some(bitmap) = self.bytes.get(from..from.saturating_add(region.len / 128)) else {
                continue;
            };
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&generation.to_le_bytes());
            hasher.update(&number.to_le_bytes());
            hasher.update(bitmap);
            self.set(entry + 28, &hasher.finalize().to_le_bytes());
        }
        let end = at + 32 + 32 * (regions.len() + stores.len());
        self.sum(at + 28, [at..at + 28, at + 32..end]);
    }

    /// Makes every checksum right that stands where one is expected.
    pub(crate) fn sum_all(&mut self) {
        for block in self.blocks() {
            if block + 24 <= self.bytes.len() {
                self.sum_block(block);
            }
        }
        for region in self.regions() {
            if region.start.saturating_add(64) <= self.bytes.len() {
                self.sum_region(region.start);
            }
        }
        let (at, len) = (self.snapshot(), self.bytes.len());
        if at != 0 && at.checked_add(32).is_some_and(|end| end <= len) {
            let count = (self.word(at + 16) & 0xffff_ffff) + (self.word(at + 16) >> 32);
            let lists = usize::try_from(count).unwrap().saturating_mul(32);
            if at + 32 + lists.min(len) <= len && lists < len {
                self.sum_snapshot();
            }
        }
        self.sum_superblock(0);
        self.sum_superblock(4096);
    }
}
