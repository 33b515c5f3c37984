//! A search index over text, kept in one region file: a tour of blocks, roots, commits and streams.
//!
//! ```text
//! cargo run --example posting_lists [FOLDER]
//! ```
//!
//! Every paragraph of every `.txt` file of a folder is a *document*. For each word there is a
//! *posting list*: the numbers of the documents that have it, in order. Who searches for several
//! words walks their lists side by side. A database would keep this in tables; here each part has
//! the shape that its use asks for:
//!
//! | what | where |
//! | --- | --- |
//! | text of a document | a block of the heap `documents` |
//! | posting list of a word | a block of the heap `postings`: gaps between numbers, a byte or two each |
//! | document number → block | one block, under the root `documents` |
//! | word → block of its list | one block, under the root `words`, sorted |
//!
//! Read [`main`] first, then [`Index::build`], [`Index::search`] and [`Index::replace`].

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use pagestone_heap::{BlockId, BlockWriter, Heap, RegionFile, Shrink, Writer};
use pagestone_storage::{Location, TrustedDir};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = env::args().nth(1).map_or_else(licences, PathBuf::from);
    let place = tempfile::tempdir()?;
    tour(&folder, place.path(), &mut io::stdout().lock())
}

/// The texts that come with the sources.
fn licences() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/licences")
}

/// Builds an index, asks it, changes it, closes it, opens it and asks it again.
fn tour(folder: &Path, place: &Path, out: &mut impl Write) -> Result<()> {
    let at = trusted(place, "search.pgs");

    let texts = paragraphs(folder)?;
    let mut index = Index::build(&RegionFile::options().create(at.clone())?, &texts)?;
    writeln!(out, "{} documents, {} words", index.documents.len(), index.words.len())?;
    show(out, &index, "free software foundation")?;
    show(out, &index, "patent litigation")?;
    show(out, &index, "purple")?;

    let number = *index.search("patent litigation")?.first().ok_or("no such text")?;
    writeln!(out, "document {number} becomes another text")?;
    index.replace(number, "A purple text about nothing: free of all software.")?;
    show(out, &index, "patent litigation")?;
    show(out, &index, "purple")?;

    index.tidy()?;
    index.close()?;

    let index = Index::open(RegionFile::options().open(at)?)?;
    writeln!(out, "opened again, with {} documents", index.documents.len())?;
    show(out, &index, "purple")?;
    index.close()
}

/// Says who may write the file: a mapped file that somebody else cuts is a signal to whoever reads.
#[expect(unsafe_code, reason = "the one promise that every program makes for its files")]
fn trusted(folder: &Path, name: &str) -> Location {
    // SAFETY: the folder was just made for this program, which writes in it through this library.
    unsafe { TrustedDir::assert(folder) }.file(name)
}

/// A search index: the file, and what is small enough to be kept in memory.
struct Index {
    file: RegionFile,
    texts: Heap,
    postings: Heap,
    /// The block of each document.
    documents: Vec<BlockId>,
    /// The block of each word's posting list.
    words: BTreeMap<String, BlockId>,
}

impl Index {
    /// Makes an index of these texts.
    ///
    /// All changes go through the one [`Writer`] of the file. Each is there when its call has
    /// returned, and survives a kill of the program; together they survive power loss from the
    /// commit on, all or nothing: nobody ever sees half an index.
    fn build(file: &RegionFile, texts: &[String]) -> Result<Self> {
        let mut index = Self {
            texts: file.heap("documents")?,
            postings: file.heap("postings")?,
            file: file.clone(),
            documents: Vec::new(),
            words: BTreeMap::new(),
        };
        let mut lists: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut writer = file.writer();
        for (number, text) in (0..).zip(texts) {
            index.documents.push(index.texts.allocate_from(&mut writer, text.as_bytes())?);
            for word in words(text) {
                lists.entry(word).or_default().push(number);
            }
        }
        for (word, list) in lists {
            let id = index.postings.allocate_from(&mut writer, &encode(&list))?;
            index.words.insert(word, id);
        }
        index.store_tables(&mut writer)?;
        writer.commit()?;
        drop(writer);
        Ok(index)
    }

    /// Opens what `build` made: from the roots to the tables, from the tables to everything.
    fn open(file: RegionFile) -> Result<Self> {
        let (texts, postings) = (file.heap("documents")?, file.heap("postings")?);
        let root = |name: &str| file.root(name).ok_or_else(|| format!("no root {name}"));
        let (documents, table) = (root("documents")?, root("words")?);
        // The pin keeps the bytes that `get` lends as they are while they are looked at.
        let pin = file.pin();
        let documents = texts.get(&pin, documents)?.chunks_exact(8);
        let documents = documents.map(id_of).collect::<Result<_>>()?;
        let words = decode_words(postings.get(&pin, table)?)?;
        drop(pin);
        Ok(Self { file, texts, postings, documents, words })
    }

    /// The numbers of the documents that have all of these words.
    fn search(&self, query: &str) -> Result<Vec<u32>> {
        let pin = self.file.pin();
        let mut found: Option<Vec<u32>> = None;
        for word in words(query) {
            let Some(id) = self.words.get(&word) else { return Ok(vec![]) };
            let list = decode(self.postings.get(&pin, *id)?);
            found = Some(match found {
                None => list,
                Some(others) => both(&others, &list),
            });
        }
        Ok(found.unwrap_or_default())
    }

    /// Puts another text in the place of a document.
    ///
    /// Its id stays, so the table of documents does too. Only the lists of words that came or went
    /// are written anew; `put` replaces a block as a whole, so readers in other threads see the old
    /// list or the new one.
    fn replace(&mut self, number: u32, text: &str) -> Result<()> {
        let before = words(&self.text(number)?);
        let after = words(text);
        let file = self.file.clone();
        let mut writer = file.writer();
        let place = usize::try_from(number)?;
        self.texts.put(&mut writer, self.documents[place], text.as_bytes())?;
        for word in before.difference(&after) {
            self.change_list(&mut writer, word, |list| list.retain(|other| *other != number))?;
        }
        for word in after.difference(&before) {
            self.change_list(&mut writer, word, |list| {
                list.push(number);
                list.sort_unstable();
            })?;
        }
        self.store_tables(&mut writer)?;
        // Without this, `writer.discard()` would undo all of the above at once.
        writer.commit()?;
        Ok(())
    }

    /// Changes the posting list of a word; an empty one is freed.
    fn change_list(
        &mut self,
        writer: &mut Writer<'_>,
        word: &str,
        change: impl FnOnce(&mut Vec<u32>),
    ) -> Result<()> {
        let known = self.words.get(word).copied();
        let mut list = match known {
            Some(id) => self.postings.read(id, decode)?,
            None => Vec::new(),
        };
        change(&mut list);
        match known {
            Some(id) if list.is_empty() => {
                self.postings.free(writer, id)?;
                self.words.remove(word);
            }
            Some(id) => self.postings.put(writer, id, &encode(&list))?,
            None => {
                let id = self.postings.allocate_from(writer, &encode(&list))?;
                self.words.insert(word.to_owned(), id);
            }
        }
        Ok(())
    }

    /// Writes both tables and points the roots at them.
    ///
    /// A table may become longer than anybody wants to have in memory twice, so it is written as a
    /// stream: nothing of it is seen before its end.
    fn store_tables(&self, writer: &mut Writer<'_>) -> Result<()> {
        let write_documents = |out: &mut BlockWriter<'_, '_>| {
            self.documents.iter().try_for_each(|id| out.write_all(&id.to_bits().to_le_bytes()))
        };
        let write_words = |out: &mut BlockWriter<'_, '_>| {
            self.words.iter().try_for_each(|(word, id)| {
                out.write_all(&[u8::try_from(word.len()).unwrap_or(u8::MAX)])?;
                out.write_all(word.as_bytes())?;
                out.write_all(&id.to_bits().to_le_bytes())
            })
        };
        if let Some(id) = self.file.root("documents") {
            self.texts.put_by(writer, id, write_documents)?;
        } else {
            let id = self.texts.allocate_by(writer, write_documents)?;
            writer.set_root("documents", id)?;
        }
        if let Some(id) = self.file.root("words") {
            self.postings.put_by(writer, id, write_words)?;
        } else {
            let id = self.postings.allocate_by(writer, write_words)?;
            writer.set_root("words", id)?;
        }
        Ok(())
    }

    fn text(&self, number: u32) -> Result<String> {
        let id = self.documents.get(usize::try_from(number)?).ok_or("no such document")?;
        Ok(self.texts.read(*id, |bytes| String::from_utf8_lossy(bytes).into_owned())?)
    }

    /// Gives space back that replaced blocks have left: what a program does when it is idle.
    ///
    /// Blocks are moved together in steps of a millisecond, between which searches and updates go
    /// on; their ids stay. What is free then goes back to the file system.
    fn tidy(&self) -> Result<()> {
        self.file.shrink(Shrink::new())?;
        Ok(())
    }

    /// Commits, and leaves a record of free space so that the next open is instant.
    fn close(self) -> Result<()> {
        Ok(self.file.close()?)
    }
}

/// Numbers in order as gaps, each in as many bytes as it needs, seven bits in one.
fn encode(list: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut before = 0;
    for number in list {
        let mut gap = number - before;
        before = *number;
        while 0x80 <= gap {
            bytes.push(gap.to_le_bytes()[0] | 0x80);
            gap >>= 7;
        }
        bytes.push(gap.to_le_bytes()[0]);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Vec<u32> {
    let (mut list, mut number, mut gap, mut shift) = (Vec::new(), 0_u32, 0_u32, 0);
    for byte in bytes {
        gap |= u32::from(byte & 0x7f).wrapping_shl(shift);
        shift += 7;
        if byte & 0x80 == 0 {
            number = number.wrapping_add(gap);
            list.push(number);
            (gap, shift) = (0, 0);
        }
    }
    list
}

/// What two lists have in common: one walk over both.
fn both(one: &[u32], other: &[u32]) -> Vec<u32> {
    let mut other = other.iter().peekable();
    let mut found = Vec::new();
    for number in one {
        while other.next_if(|next| *next < number).is_some() {}
        if other.peek() == Some(&number) {
            found.push(*number);
        }
    }
    found
}

fn decode_words(mut bytes: &[u8]) -> Result<BTreeMap<String, BlockId>> {
    let mut words = BTreeMap::new();
    while let Some((len, rest)) = bytes.split_first() {
        let (word, rest) = rest.split_at_checked(usize::from(*len)).ok_or("half a word")?;
        let (bits, rest) = rest.split_at_checked(8).ok_or("a word without its list")?;
        words.insert(std::str::from_utf8(word)?.to_owned(), id_of(bits)?);
        bytes = rest;
    }
    Ok(words)
}

fn id_of(bits: &[u8]) -> Result<BlockId> {
    Ok(BlockId::from_bits(u64::from_le_bytes(bits.try_into()?)))
}

/// The words of a text, each once: letters and digits, in small letters.
fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty() && word.len() < 100);
    words.map(str::to_lowercase).collect()
}

/// The paragraphs of all `.txt` files of a folder, in the order of their names.
fn paragraphs(folder: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        let text = String::from_utf8_lossy(&fs::read(path)?).replace("\r\n", "\n");
        let texts_of = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
        texts.extend(texts_of.map(str::to_owned));
    }
    Ok(texts)
}

/// Prints how many documents have all words of a query, and the first of them.
fn show(out: &mut impl Write, index: &Index, query: &str) -> Result<()> {
    let found = index.search(query)?;
    writeln!(out, "{query:?}: {} documents", found.len())?;
    for number in found.iter().take(2) {
        let text = index.text(*number)?;
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(out, "  {number}: {}", line.chars().take(70).collect::<String>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Index, RegionFile, both, decode, encode, licences, paragraphs, tour, words};

    #[test]
    fn the_tour_is_as_told() {
        let place = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        tour(&licences(), place.path(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let counts: Vec<&str> = out.lines().filter(|line| !line.starts_with(' ')).collect();
        assert!(counts[0].ends_with(" words") && counts[0].starts_with(char::is_numeric), "{out}");
        assert_eq!(counts[3], "\"purple\": 0 documents", "{out}");
        assert_eq!(counts.last(), Some(&"\"purple\": 1 documents"), "{out}");
    }

    #[test]
    fn a_search_finds_what_a_look_at_all_texts_finds() {
        let texts = paragraphs(&licences()).unwrap();
        let file = RegionFile::options().in_memory().unwrap();
        let mut index = Index::build(&file, &texts).unwrap();
        let mut texts = texts;
        for round in 0..5 {
            for query in ["license", "free software", "the work of the copyright holder", "absent"]
            {
                let wanted = words(query);
                let has = |text: &String| wanted.is_subset(&words(text));
                let expected: Vec<u32> =
                    (0..).zip(&texts).filter(|(_, text)| has(text)).map(|(n, _)| n).collect();
                assert_eq!(index.search(query).unwrap(), expected, "{query}");
            }
            let number = round * 31;
            let other = format!("The free license number {round}");
            index.replace(number, &other).unwrap();
            texts[usize::try_from(number).unwrap()] = other;
        }
        // Whatever was replaced, every block is reached from the tables.
        let pin = index.file.pin();
        let lists = index.words.values().copied().chain(index.file.root("words"));
        assert_eq!(index.postings.orphans(&pin, lists).unwrap().count(), 0);
        let texts = index.documents.iter().copied().chain(index.file.root("documents"));
        assert_eq!(index.texts.orphans(&pin, texts).unwrap().count(), 0);
    }

    #[test]
    fn lists_are_read_back_and_met() {
        for list in [vec![], vec![0], vec![127, 128, 300, 70_000, u32::MAX]] {
            assert_eq!(decode(&encode(&list)), list);
        }
        assert_eq!(both(&[1, 3, 5, 9], &[0, 3, 4, 9, 10]), [3, 9]);
    }
}
