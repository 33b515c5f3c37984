//! A Debian package index as a map from names to stanzas: real keys, real values, a real trace.
//!
//! ```text
//! cargo run --release --example package_index [LIST [LATER_LIST]]
//! ```
//!
//! A list is a file `Packages` of an archive, plain or compressed. Without one, the longest of
//! apt's own lists on this machine is taken, and where there is none, the sample of `testdata`.
//! The map is loaded, the later list is applied to it (without one, a made one that differs in
//! fixed shares), and the names that packages depend on are looked up in the order of the list: few
//! names are wanted often, most hardly ever, some are not there at all.
//!
//! Read [`main`] first, then [`tour`], [`apply`] and [`look_up`].

use std::{
    collections::HashSet,
    env,
    error::Error,
    fs::{self, File},
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use pagestone_buffer::{Compact, EntryMap, Raw};
use pagestone_heap::RegionFile;
use pagestone_storage::{Location, TrustedDir};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Stanzas by the name of their package.
type Index = EntryMap<str, str, Raw>;

fn main() -> Result<()> {
    let mut lists = env::args().skip(1).map(PathBuf::from);
    let path = lists.next().or_else(longest_list).unwrap_or_else(sample);
    let list = read_list(&path)?;
    let later = match lists.next() {
        Some(path) => read_list(&path)?,
        None => made_later(&list),
    };
    let place = tempfile::tempdir()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {} bytes", path.display(), list.len())?;
    tour((&list, &later), place.path(), &mut out)?;
    Ok(())
}

/// What the tour has found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    loaded: usize,
    inserted: usize,
    changed: usize,
    removed: usize,
    kept: usize,
    /// Names that were looked up, and those that are there.
    wanted: usize,
    found: usize,
}

/// Loads a list, looks names up in it, makes it the later one, gives space back, opens it again.
fn tour((list, later): (&str, &str), place: &Path, out: &mut impl Write) -> Result<Counts> {
    let at = trusted(place, "packages.pgs");
    let file = RegionFile::options().create(at.clone())?;
    let index = Index::open(&file, "packages")?;

    // Each insert survives a kill once it returned; power loss only from the commit on.
    let start = Instant::now();
    let loaded = apply((&index, &file), "", list)?;
    tell(out, "loaded", loaded.inserted, start.elapsed())?;

    let start = Instant::now();
    let (wanted, found) = look_up(&index, list)?;
    tell(out, "dependency names looked up", wanted, start.elapsed())?;
    writeln!(out, "  {found} of them are packages of the list")?;

    let start = Instant::now();
    let mut counts = apply((&index, &file), list, later)?;
    let changes = counts.inserted + counts.changed + counts.removed;
    tell(out, "changes of the later list", changes, start.elapsed())?;
    writeln!(
        out,
        "  {} inserted, {} changed, {} removed, {} as they were",
        counts.inserted, counts.changed, counts.removed, counts.kept
    )?;

    // What changes have left behind goes in short steps, beside which others read and write.
    let (before, start) = (file.stats().file_len, Instant::now());
    index.buffer().compact(Compact::new())?;
    let (after, len) = (file.stats().file_len, index.len()?);
    writeln!(out, "compacted in {:.1?}: {before} bytes before, {after} after", start.elapsed())?;
    drop(index);
    file.close()?;

    let start = Instant::now();
    let file = RegionFile::options().open(at)?;
    let index = Index::open(&file, "packages")?;
    tell(out, "opened again with packages", index.len()?, start.elapsed())?;
    if index.len()? != len || apply((&index, &file), later, later)?.kept != len {
        return Err("the index is not what the later list says".into());
    }
    counts.loaded = loaded.inserted;
    (counts.wanted, counts.found) = (wanted, found);
    Ok(counts)
}

/// Makes an index of the list `before` one of `list`, in one commit: whoever reads sees each package
/// as it was or as it is, and power loss leaves the one list or the other.
fn apply((index, file): (&Index, &RegionFile), before: &str, list: &str) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut gone: HashSet<&str> = packages(before).into_iter().map(|(name, _)| name).collect();
    let mut writer = file.writer();
    for (name, stanza) in packages(list) {
        gone.remove(name);
        // Compared where it lies, without a copy.
        match index.get_with(name, |known| known == stanza.as_bytes())? {
            Some(true) => counts.kept += 1,
            known => {
                index.insert(&mut writer, name, stanza)?;
                match known {
                    Some(_) => counts.changed += 1,
                    None => counts.inserted += 1,
                }
            }
        }
    }
    for name in gone {
        index.remove(&mut writer, name)?;
        counts.removed += 1;
    }
    writer.commit()?;
    Ok(counts)
}

/// Looks up every name that a package of the list depends on; how many, and how many are there.
fn look_up(index: &Index, list: &str) -> Result<(usize, usize)> {
    let (mut wanted, mut found) = (0, 0);
    for stanza in stanzas(list) {
        for name in ["Pre-Depends", "Depends"].iter().filter_map(|name| field(stanza, name)) {
            for name in names(name) {
                wanted += 1;
                found += usize::from(index.get_with(name, |_| ())?.is_some());
            }
        }
    }
    Ok((wanted, found))
}

/// The stanzas of a list.
fn stanzas(list: &str) -> impl Iterator<Item = &str> {
    list.split("\n\n").map(|stanza| stanza.trim_matches('\n')).filter(|stanza| !stanza.is_empty())
}

/// The packages of a list by name, in its order. A name that is there twice, with two versions,
/// counts where it comes last.
fn packages(list: &str) -> Vec<(&str, &str)> {
    let named = stanzas(list).filter_map(|stanza| Some((field(stanza, "Package")?, stanza)));
    let mut packages: Vec<(&str, &str)> = named.collect();
    let mut known = HashSet::new();
    packages.reverse();
    packages.retain(|(name, _)| known.insert(*name));
    packages.reverse();
    packages
}

/// The first line of a field: of those that are looked for here, the only one.
fn field<'a>(stanza: &'a str, name: &str) -> Option<&'a str> {
    stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The names in a field of dependencies: `a (>= 1) | b:any, c`.
fn names(field: &str) -> impl Iterator<Item = &str> {
    let names = field.split([',', '|']).map(str::trim);
    names.filter_map(|name| name.split([' ', ':', '(', '[']).next()).filter(|name| !name.is_empty())
}

/// A list as it may be some weeks later: of a hundred packages one is gone, five have another
/// version, and two are new.
fn made_later(list: &str) -> String {
    let mut later = String::with_capacity(list.len());
    let mut random = 1_u64;
    for stanza in stanzas(list) {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let name = field(stanza, "Package").unwrap_or_default();
        let version = field(stanza, "Version").unwrap_or_default();
        match (random >> 33) % 100 {
            0 => continue,
            1..=5 => {
                let next = format!("Version: {version}+later1");
                later.push_str(&stanza.replacen(&format!("Version: {version}"), &next, 1));
            }
            6 | 7 => {
                let other = format!("Package: {name}-later\n");
                later.push_str(&stanza.replacen(&format!("Package: {name}\n"), &other, 1));
                later.push_str("\n\n");
                later.push_str(stanza);
            }
            _ => later.push_str(stanza),
        }
        later.push_str("\n\n");
    }
    later
}

/// The longest list of this machine that can be read; none where there is no apt.
fn longest_list() -> Option<PathBuf> {
    let entries = fs::read_dir("/var/lib/apt/lists").ok()?;
    let lists = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.ends_with("_Packages") || name.ends_with("_Packages.lz4") || name.ends_with(".gz")
    });
    let lists = lists.filter(|entry| entry.file_name().to_string_lossy().contains("_Packages"));
    let longest = lists.max_by_key(|entry| entry.metadata().map_or(0, |metadata| metadata.len()));
    longest.map(|entry| entry.path()).filter(|path| read_list(path).is_ok())
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
    } else if path.extension().is_some_and(|extension| extension == "lz4") {
        // What apt keeps compressed, it unpacks itself.
        let output = Command::new("/usr/lib/apt/apt-helper").arg("cat-file").arg(path).output()?;
        if !output.status.success() {
            return Err(format!("apt-helper: {}", output.status).into());
        }
        text = String::from_utf8(output.stdout)?;
    } else {
        File::open(path)?.read_to_string(&mut text)?;
    }
    Ok(text)
}

/// Prints how many of what took how long.
fn tell(out: &mut impl Write, what: &str, count: usize, time: Duration) -> Result<()> {
    let each = time.as_nanos() / u128::try_from(count.max(1))?;
    Ok(writeln!(out, "{count} {what} in {time:.1?}, {each} ns each")?)
}

/// Says who may write the file: a mapped file that somebody else cuts is a signal to whoever reads.
#[expect(unsafe_code, reason = "the one promise that every program makes for its files")]
fn trusted(folder: &Path, name: &str) -> Location {
    // SAFETY: the folder was just made for this program, which writes in it through this library.
    unsafe { TrustedDir::assert(folder) }.file(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_tour_of_the_sample_counts_as_a_tree_does() {
        let list = read_list(&sample()).unwrap();
        let later = made_later(&list);
        let place = tempfile::tempdir().unwrap();
        let counts = tour((&list, &later), place.path(), &mut Vec::new()).unwrap();

        let tree = |list: &'_ str| -> BTreeMap<String, String> {
            let pair =
                |stanza: &str| Some((field(stanza, "Package")?.to_owned(), stanza.to_owned()));
            stanzas(list).filter_map(pair).collect()
        };
        let (before, after) = (tree(&list), tree(&later));
        let known = |name: &&String| before.contains_key(*name);
        let same = after.iter().filter(|(name, stanza)| before.get(*name) == Some(*stanza));
        let kept = same.count();
        let inserted = after.keys().filter(|name| !known(name)).count();
        let depends = before.values().flat_map(|stanza| {
            let fields = ["Pre-Depends", "Depends"].map(|name| field(stanza, name));
            fields.into_iter().flatten().flat_map(names).collect::<Vec<_>>()
        });
        let depends: Vec<&str> = depends.collect();
        let expected = Counts {
            loaded: before.len(),
            inserted,
            changed: after.len() - inserted - kept,
            removed: before.keys().filter(|name| !after.contains_key(*name)).count(),
            kept,
            wanted: depends.len(),
            found: depends.iter().filter(|name| before.contains_key(**name)).count(),
        };
        assert_eq!(counts, expected);
        assert_eq!((counts.loaded, counts.wanted, counts.found), (15_860, 71_313, 19_102));
        assert!(list.contains("\nTag: "));
        assert!(counts.inserted > 100 && counts.changed > 100 && counts.removed > 100);
    }

    #[test]
    fn names_of_dependencies_are_found() {
        let found: Vec<&str> = names("a (>= 1) | b:any, c, d [amd64]").collect();
        assert_eq!(found, ["a", "b", "c", "d"]);
        assert_eq!(field("Package: x\nPre-Depends: y\nDepends: z", "Depends"), Some("z"));
    }
}
