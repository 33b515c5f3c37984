//! What a crash leaves of one file: its page cache, or any mix of words that the device may have.

use std::collections::BTreeMap;

use pagestone_storage::seam::Event;

use crate::random::Random;

const WORD: usize = 8;
const PAGE: usize = 4096;

/// How a power loss picks, for each aligned word, one of its values since the last sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Any value, each word for itself.
    Any,
    /// The newest for nine words in ten.
    MostlyNew,
    /// The oldest for nine words in ten.
    MostlyOld,
    /// The oldest or the newest.
    AllOrNothing,
    /// The newest for all words but one or two.
    AllButFew,
    /// All words of an aligned unit of this many bytes as they were at one moment.
    Units(u64),
}

impl Mix {
    /// Every way to mix.
    pub const ALL: [Self; 7] = [
        Self::Any,
        Self::MostlyNew,
        Self::MostlyOld,
        Self::AllOrNothing,
        Self::AllButFew,
        Self::Units(512),
        Self::Units(4096),
    ];
}

/// The values of one word, the one of the last sync first, each with the moment it was stored.
type Values = Vec<(u32, u64)>;

/// One file as the system shows it, and all that the device may have of it.
///
/// Fed with the [`Event`]s of one traced file, in order.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// What the page cache shows.
    cache: Vec<u8>,
    /// The address of the mapping's first byte.
    base: usize,
    /// Words that changed since the last sync, by their offset.
    unsynced: BTreeMap<u64, Values>,
    /// Lengths since the last sync, the one of the sync first.
    lens: Vec<u64>,
    moment: u32,
}

impl Device {
    /// A file of these bytes, all of them synced.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { lens: vec![bytes.len() as u64], cache: bytes, ..Self::default() }
    }

    /// Takes another file's bytes over, all of them synced; returns where the pages start that
    /// differed.
    pub fn replace(&mut self, bytes: &[u8]) -> Vec<usize> {
        self.cache.resize(bytes.len(), 0);
        self.unsynced.clear();
        self.lens = vec![bytes.len() as u64];
        let mut changed = Vec::new();
        let pages = self.cache.chunks_mut(PAGE).zip(bytes.chunks(PAGE)).enumerate();
        for (nth, (old, new)) in pages.filter(|(_, (old, new))| *old != *new) {
            old.copy_from_slice(new);
            changed.push(nth * PAGE);
        }
        changed
    }

    /// What a kill leaves.
    #[must_use]
    pub fn cache(&self) -> &[u8] {
        &self.cache
    }

    /// How many words the device may have another value of.
    #[must_use]
    pub fn unsynced_count(&self) -> usize {
        self.unsynced.len()
    }

    /// Goes on by one event.
    ///
    /// # Panics
    ///
    /// For events of another file: stores outside of this one.
    pub fn apply(&mut self, event: &Event) {
        self.apply_part(event, usize::MAX);
    }

    /// Goes on by the first `words` words of a store, or by one whole event of another kind.
    ///
    /// # Panics
    ///
    /// As `apply`.
    pub fn apply_part(&mut self, event: &Event, words: usize) {
        self.moment += 1;
        match event {
            Event::Mapped(base) => self.base = *base,
            Event::Store { at, bytes } => {
                let offset = at - self.base;
                let end = (offset / WORD).saturating_add(words).saturating_mul(WORD);
                let len = end.saturating_sub(offset).min(bytes.len());
                self.store(offset, &bytes[..len]);
            }
            Event::Written { offset, bytes } => {
                let offset = size(*offset);
                if self.cache.len() < offset + bytes.len() {
                    self.set_len(offset + bytes.len());
                }
                self.store(offset, bytes);
            }
            Event::Zeroed { offset, len } => {
                for at in (*offset..offset + len).step_by(PAGE) {
                    let len = PAGE.min(size(offset + len - at));
                    self.store(size(at), &[0; PAGE][..len]);
                }
            }
            Event::Length(len) => self.set_len(size(*len)),
            Event::Synced => {
                self.unsynced.clear();
                self.lens = vec![self.cache.len() as u64];
            }
            Event::Call(_) | Event::Mark(_) => {}
        }
    }

    /// The length of a file on which nothing was stored yet is one of its values too; bytes
    /// beyond the end are zeros that the device may not have.
    fn set_len(&mut self, len: usize) {
        if len < self.cache.len() {
            let rest = self.cache.len() - len;
            for at in (len..len + rest).step_by(PAGE) {
                let part = PAGE.min(len + rest - at);
                self.store(at, &[0; PAGE][..part]);
            }
        }
        self.cache.resize(len, 0);
        self.lens.push(len as u64);
    }

    fn store(&mut self, offset: usize, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done;
            let len = (PAGE - at % PAGE).min(bytes.len() - done);
            let (part, new) = (at..at + len, &bytes[done..done + len]);
            if self.cache[part.clone()] != *new {
                self.store_in_page(at, new);
            }
            done += len;
        }
    }

    fn store_in_page(&mut self, offset: usize, bytes: &[u8]) {
        let first = offset / WORD * WORD;
        let end = (offset + bytes.len()).div_ceil(WORD) * WORD;
        let before: Vec<u64> = (first..end).step_by(WORD).map(|at| self.word(at)).collect();
        self.cache[offset..offset + bytes.len()].copy_from_slice(bytes);
        for (at, old) in (first..end).step_by(WORD).zip(before) {
            let new = self.word(at);
            if new != old {
                let values = self.unsynced.entry(at as u64).or_insert_with(|| vec![(0, old)]);
                values.push((self.moment, new));
            }
        }
    }

    fn word(&self, at: usize) -> u64 {
        let bytes = self.cache[at..at + WORD].try_into();
        bytes.map_or(0, u64::from_le_bytes)
    }

    /// What one power loss leaves, picked at random.
    pub fn survivors(&self, mix: Mix, random: &mut Random) -> Vec<u8> {
        let len = random.pick(&self.lens).unwrap_or(0);
        let mut image = self.cache.clone();
        image.resize(size(len), 0);
        let count = u32::try_from(self.unsynced.len()).unwrap_or(u32::MAX);
        let few = [random.below(count), random.below(count)];
        let mut units: BTreeMap<u64, u32> = BTreeMap::new();
        for (nth, (at, values)) in (0..).zip(&self.unsynced) {
            let newest = values.len() - 1;
            let any = random.below(u32::try_from(values.len()).unwrap_or(u32::MAX)) as usize;
            let pick = match mix {
                Mix::MostlyNew if random.chance(90) => newest,
                Mix::MostlyOld if random.chance(90) => 0,
                Mix::Any | Mix::MostlyNew | Mix::MostlyOld => any,
                Mix::AllOrNothing => newest * usize::from(random.chance(50)),
                Mix::AllButFew if few.contains(&nth) => any.min(newest.saturating_sub(1)),
                Mix::AllButFew => newest,
                Mix::Units(len) => {
                    let any = if random.chance(50) { values[any].0 } else { self.moment };
                    let moment = *units.entry(at / len).or_insert(any);
                    values.iter().rposition(|(stored, _)| *stored <= moment).unwrap_or(0)
                }
            };
            put(&mut image, *at, values[pick].1);
        }
        image
    }

    /// Everything that a power loss can leave, where that is at most `most` images.
    #[must_use]
    pub fn all_survivors(&self, most: usize) -> Option<Vec<Vec<u8>>> {
        let counts = self.unsynced.values().map(Vec::len);
        let all = counts.fold(self.lens.len(), usize::saturating_mul);
        if most < all {
            return None;
        }
        let image = |mut number: usize| {
            let mut image = self.cache.clone();
            image.resize(size(self.lens[number % self.lens.len()]), 0);
            number /= self.lens.len();
            for (at, values) in &self.unsynced {
                put(&mut image, *at, values[number % values.len()].1);
                number /= values.len();
            }
            image
        };
        Some((0..all).map(image).collect())
    }
}

fn put(image: &mut [u8], at: u64, value: u64) {
    if let Some(word) = image.get_mut(size(at)..size(at) + WORD) {
        word.copy_from_slice(&value.to_le_bytes());
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
