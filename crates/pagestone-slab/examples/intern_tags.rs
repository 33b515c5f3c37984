//! The tags and dependency names of a Debian package index, each string once.
//!
//! ```text
//! cargo run --release --example intern_tags [LIST]
//! ```
//!
//! A list is a file `Packages` of an archive, plain or packed by gzip; without one, the sample of
//! `testdata`. Packages have the same few hundred tags over and over, and depend on names that many
//! others depend on too: what is kept is a symbol of 4 bytes for each, and the text once. In the
//! end the packages of one section are dropped, and with them the strings that nobody else has.
//!
//! Read [`main`] first, then [`tour`] and [`Packages`].

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use flate2::read::GzDecoder;
use pagestone_slab::{Interner, Symbol};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The section whose packages are dropped.
const DROPPED: &str = "games";

fn main() -> Result<()> {
    let path = env::args().nth(1).map_or_else(sample, PathBuf::from);
    let list = read_list(&path)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {} bytes", path.display(), list.len())?;
    tour(&list, &mut out)?;
    Ok(())
}

/// What the tour has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    packages: usize,
    /// Tags and names as they stand in the list, and their bytes.
    strings: usize,
    strings_len: usize,
    /// Those that differ, and their bytes.
    distinct: usize,
    distinct_len: usize,
    /// Packages of the section that is dropped, and strings that went with them.
    dropped: usize,
    gone: usize,
    /// Memory of the strings with all that finds and counts them.
    mapped: u64,
}

/// The packages of a list by what their strings are called.
struct Packages<'a> {
    strings: Interner<str>,
    /// Section and strings of each.
    packages: Vec<(&'a str, Vec<Symbol>)>,
}

/// Interns a list, says what it takes, finds the tag that most packages have, drops a section.
fn tour(list: &str, out: &mut impl Write) -> Result<Counts> {
    let start = Instant::now();
    let mut all = Packages::read(list)?;
    let time = start.elapsed();
    let mut counts = all.counts()?;
    let each = time.as_nanos() / u128::try_from(counts.strings.max(1))?;
    writeln!(out, "{} strings of {} packages", counts.strings, counts.packages)?;
    writeln!(out, "  read and interned in {time:.1?}, {each} ns each")?;
    writeln!(
        out,
        "  {} bytes in the list, {} distinct strings",
        counts.strings_len, counts.distinct
    )?;
    writeln!(out, "  text {:.1} times shorter", ratio(counts.strings_len, counts.distinct_len))?;
    let text = ratio(counts.distinct_len, counts.distinct);
    let memory = ratio(usize::try_from(counts.mapped)?, counts.distinct);
    writeln!(out, "  {memory:.1} bytes each, of them {text:.1} text")?;
    if let Some((string, count)) = all.most_frequent()? {
        writeln!(out, "  {count} times {string:?}")?;
    }
    (counts.dropped, counts.gone) = all.drop_section(DROPPED)?;
    writeln!(out, "without the {} packages of section {DROPPED}:", counts.dropped)?;
    writeln!(out, "  {} strings less, {} left", counts.gone, all.strings.len())?;
    Ok(counts)
}

impl<'a> Packages<'a> {
    /// Interns what the packages of a list have; each of their strings is counted.
    fn read(list: &'a str) -> Result<Self> {
        let mut strings = Interner::counted()?;
        let mut packages = Vec::new();
        for stanza in stanzas(list) {
            let symbols = strings_of(stanza).map(|string| strings.intern(string));
            let symbols = symbols.collect::<pagestone_slab::Result<Vec<Symbol>>>()?;
            packages.push((field(stanza, "Section").unwrap_or_default(), symbols));
        }
        Ok(Self { strings, packages })
    }

    fn counts(&self) -> Result<Counts> {
        let mut counts = Counts {
            packages: self.packages.len(),
            distinct: usize::try_from(self.strings.len())?,
            distinct_len: self.strings.iter().map(|(_, string)| string.len()).sum(),
            mapped: self.strings.stats().mapped,
            ..Counts::default()
        };
        for symbol in self.packages.iter().flat_map(|(_, symbols)| symbols) {
            counts.strings += 1;
            counts.strings_len += self.strings.resolve(*symbol)?.len();
        }
        Ok(counts)
    }

    /// The string that comes most often, and how often: its count says so.
    fn most_frequent(&self) -> Result<Option<(&str, u32)>> {
        let mut most = None;
        for (symbol, string) in self.strings.iter() {
            let count = self.strings.ref_count(symbol)?;
            if most.is_none_or(|(_, known)| known < count) {
                most = Some((string, count));
            }
        }
        Ok(most)
    }

    /// Drops the packages of a section and what they hold; how many packages and strings went.
    fn drop_section(&mut self, section: &str) -> Result<(usize, usize)> {
        let before = self.strings.len();
        let (gone, kept) = self.packages.drain(..).partition::<Vec<_>, _>(|(of, _)| *of == section);
        self.packages = kept;
        for (_, symbols) in &gone {
            self.strings.release_many(symbols.iter().copied())?;
        }
        Ok((gone.len(), usize::try_from(before - self.strings.len())?))
    }
}

/// The tags of a package and the names it depends on.
fn strings_of(stanza: &str) -> impl Iterator<Item = &str> {
    let tags = value(stanza, "Tag").split(',').map(str::trim);
    let fields = ["Pre-Depends", "Depends"].map(|name| value(stanza, name));
    tags.filter(|tag| !tag.is_empty()).chain(fields.into_iter().flat_map(names))
}

/// The stanzas of a list.
fn stanzas(list: &str) -> impl Iterator<Item = &str> {
    list.split("\n\n").map(|stanza| stanza.trim_matches('\n')).filter(|stanza| !stanza.is_empty())
}

/// The first line of a field.
fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    value(stanza, name).lines().next()
}

/// A field with all of its lines; nothing where it is absent.
fn value<'a>(stanza: &'a str, name: &str) -> &'a str {
    let mut start = 0;
    for line in stanza.split_inclusive('\n') {
        let value = line.strip_prefix(name).and_then(|line| line.strip_prefix(": "));
        if value.is_some() {
            let rest = &stanza[start + name.len() + 2..];
            // It goes on in lines that begin with a space.
            let ends = rest.match_indices('\n').find(|(at, _)| !rest[at + 1..].starts_with(' '));
            return ends.map_or(rest, |(at, _)| &rest[..at]);
        }
        start += line.len();
    }
    ""
}

/// The names in a field of dependencies: `a (>= 1) | b:any, c`.
fn names(field: &str) -> impl Iterator<Item = &str> {
    let names = field.split([',', '|']).map(str::trim);
    names.filter_map(|name| name.split([' ', ':', '(', '[']).next()).filter(|name| !name.is_empty())
}

/// The list that comes with the sources.
fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/packages.gz")
}

/// The text of a list, unpacked if need be.
fn read_list(path: &Path) -> Result<String> {
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(File::open(path)?).read_to_string(&mut text)?;
    } else {
        File::open(path)?.read_to_string(&mut text)?;
    }
    Ok(text)
}

#[expect(clippy::cast_precision_loss, reason = "a ratio to print")]
fn ratio(all: usize, of: usize) -> f64 {
    all as f64 / of.max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_tour_of_the_sample_counts_as_a_map_does() {
        let list = read_list(&sample()).unwrap();
        let mut out = Vec::new();
        let counts = tour(&list, &mut out).unwrap();

        let mut map: HashMap<&str, (usize, usize)> = HashMap::new();
        let (mut strings, mut strings_len, mut dropped) = (0, 0, 0);
        for stanza in stanzas(&list) {
            let is_dropped = stanza.contains(&format!("\nSection: {DROPPED}"));
            dropped += usize::from(is_dropped);
            for string in strings_of(stanza) {
                strings += 1;
                strings_len += string.len();
                let (all, of_section) = map.entry(string).or_default();
                *all += 1;
                *of_section += usize::from(is_dropped);
            }
        }
        let expected = Counts {
            packages: 15_860,
            strings,
            strings_len,
            distinct: map.len(),
            distinct_len: map.keys().map(|string| string.len()).sum(),
            dropped,
            gone: map.values().filter(|(all, of_section)| all == of_section).count(),
            mapped: counts.mapped,
        };
        assert_eq!(counts, expected);
        assert!(counts.dropped > 100 && counts.gone > 100);
        // Text, and what finds and counts it, in less than the text of the list.
        assert!(counts.mapped < u64::try_from(counts.strings_len).unwrap() / 2);
        let most = map.iter().max_by_key(|(_, (all, _))| *all);
        let (string, (all, _)) = most.unwrap();
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains(&format!("  {all} times {string:?}")), "{told}");
    }

    #[test]
    fn fields_go_on_in_lines_with_a_space() {
        let stanza = "Package: x\nTag: a::b, c::d,\n e::f\nDepends: y (>= 1) | z:any";
        assert_eq!(strings_of(stanza).collect::<Vec<_>>(), ["a::b", "c::d", "e::f", "y", "z"]);
        assert_eq!(field(stanza, "Package"), Some("x"));
        assert_eq!(field(stanza, "Section"), None);
    }
}
