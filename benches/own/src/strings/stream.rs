//! The strings, the same for all contenders and in every run.

use std::{collections::HashSet, fs::File, io::Read as _, path::Path};

use flate2::read::GzDecoder;

use crate::{Random, Result, Scale};

/// Strings, and how many of them differ.
const STRINGS: usize = 2_000_000;
const DISTINCT: usize = 200_000;

const SYLLABLES: [&str; 24] = [
    "ka", "ro", "mi", "ten", "sol", "ver", "an", "est", "ing", "or", "lu", "da", "per", "con",
    "ti", "us", "e", "al", "th", "is", "qu", "ob", "fen", "wy",
];
const KEYS: [&str; 8] =
    ["host:", "service:", "env=", "region=", "device:", "metric=", "status:", "container="];

/// Strings one after the other, as they are read: none of them at a place of its own.
#[derive(Debug)]
pub struct Stream {
    text: String,
    ends: Vec<usize>,
}

impl Stream {
    /// 2 M strings, three of five words, the others metric tags; 13.4 bytes in the mean of the
    /// 200 k distinct ones. Each of those comes once, the rest is drawn by Zipf's law.
    #[must_use]
    pub fn words(scale: Scale) -> Self {
        let mut random = Random::new(23);
        let distinct = distinct(scale.count(DISTINCT), &mut random);
        let count = scale.count(STRINGS).max(distinct.len());
        let drawn = (distinct.len()..count).map(|_| zipf(distinct.len(), &mut random));
        let mut order: Vec<usize> = (0..distinct.len()).chain(drawn).collect();
        random.shuffle(&mut order);
        Self::of(order.into_iter().filter_map(|rank| distinct.get(rank)).map(String::as_str))
    }

    /// The tags and dependency names of the sample of packages, in its order.
    ///
    /// # Errors
    ///
    /// When the sample cannot be read.
    pub fn packages(scale: Scale) -> Result<Self> {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/packages.gz");
        let mut text = String::new();
        GzDecoder::new(File::open(sample)?).read_to_string(&mut text)?;
        let stream = Self::of(strings_of_stanzas(&text));
        // A short stream already: only debug builds take a part of it.
        let count = if scale == Scale::Tiny { 2_000 } else { stream.ends.len() };
        Ok(Self::of(stream.strings().into_iter().take(count)))
    }

    fn of<'a>(strings: impl Iterator<Item = &'a str>) -> Self {
        let mut stream = Self { text: String::new(), ends: vec![] };
        for string in strings {
            stream.text.push_str(string);
            stream.ends.push(stream.text.len());
        }
        stream
    }

    /// All of them in their order.
    #[must_use]
    pub fn strings(&self) -> Vec<&str> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.text.get(start..*end)).collect()
    }
}

/// The tags and the names of dependencies in a list of packages, in its order.
pub fn strings_of_stanzas(list: &str) -> impl Iterator<Item = &str> {
    let mut field = "";
    list.lines().flat_map(move |line| {
        // A field goes on in lines that begin with a space.
        let rest = match line.split_once(": ") {
            Some((name, rest)) if !line.starts_with(' ') => {
                field = name;
                rest
            }
            _ => line,
        };
        let (separators, is_name): (&[char], bool) = match field {
            "Tag" => (&[','], false),
            "Depends" | "Pre-Depends" => (&[',', '|'], true),
            _ => (&[], false),
        };
        let parts = if separators.is_empty() { "" } else { rest };
        parts.split(separators).map(str::trim).filter_map(move |part| {
            let name = if is_name { part.split([' ', ':', '(', '[']).next() } else { Some(part) };
            name.filter(|name| !name.is_empty())
        })
    })
}

/// So many different strings in random order.
fn distinct(count: usize, random: &mut Random) -> Vec<String> {
    let mut known = HashSet::with_capacity(count);
    let mut strings = Vec::with_capacity(count);
    while strings.len() < count {
        let string = if random.below(5) < 3 {
            word(4 + random.below(11), random)
        } else {
            let key = KEYS[random.below(KEYS.len())];
            let value = word(5 + random.below(5), random);
            format!("{key}{value}-{}", random.below(10_000))
        };
        if known.insert(string.clone()) {
            strings.push(string);
        }
    }
    strings
}

/// A word of so many letters.
fn word(len: usize, random: &mut Random) -> String {
    let mut word = String::with_capacity(len + 3);
    while word.len() < len {
        word.push_str(SYLLABLES[random.below(SYLLABLES.len())]);
    }
    word.truncate(len);
    word
}

/// A rank below `count`, each as often as one over it says.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "rounded on purpose, between 1 and the count"
)]
fn zipf(count: usize, random: &mut Random) -> usize {
    let unit = (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
    let rank = ((count + 1) as f64).powf(unit) as usize;
    rank.saturating_sub(1).min(count.saturating_sub(1))
}
