//! An index whose files were forged, with the right checksums, or replaced by what is no file:
//! errors or some answers, never a panic, a wait or memory without bounds.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use pagestone_heapdump::ErrorKind;
use pagestone_testkit::hprof::gzip;
use serde_json::{Value, json};

use crate::support::{Built, ask_all, files, open, small, trusted};

/// The index is of a few KiB, with a region file of some MiB.
const ALLOCATED_MAX: u64 = 16 << 20;

/// Numbers that lengths and counts may claim to be.
const CLAIMS: [u64; 7] = [0, 1, 17, u32::MAX as u64, 1 << 32, 1 << 40, u64::MAX];

/// An index, and what its manifest says.
struct Forge {
    built: Built,
    index: PathBuf,
    ids: Vec<u64>,
    manifest: Value,
    seed: u64,
}

impl Forge {
    fn new() -> Self {
        let dump = small();
        let ids = dump.objects().iter().map(|object| object.id).collect();
        let built = Built::new(&gzip(dump.bytes()));
        let index = built.path();
        let text = fs::read_to_string(index.join("manifest")).unwrap();
        let (_, rest) = text.split_once('\n').unwrap();
        let (json, _) = rest.trim_end().rsplit_once('\n').unwrap();
        Self { index, built, ids, manifest: serde_json::from_str(json).unwrap(), seed: 1 }
    }

    fn random(&mut self) -> u64 {
        // Of Steele, Lea and Flood: SplitMix64.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below some bound, small ones more often.
    fn number(&mut self) -> u64 {
        let width = self.random() % 64;
        self.random() >> width
    }

    fn tables(&self) -> Vec<String> {
        let tables = self.manifest["tables"].as_array().unwrap();
        tables.iter().map(|table| table["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Bytes of a table that were changed: all of them at random, all small, or a few words.
    fn forged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut forged = bytes.to_vec();
        match self.random() % 4 {
            0 => forged.chunks_mut(8).for_each(|word| {
                let random = self.random().to_le_bytes();
                word.copy_from_slice(&random[..word.len()]);
            }),
            1 => forged.iter_mut().for_each(|byte| *byte = (self.random() % 4) as u8),
            _ => {
                for _ in 0..=self.random() % 3 {
                    let number = self.number().to_le_bytes();
                    let (places, len) = (forged.len() as u64, forged.len());
                    let place = usize::try_from(self.random() % places.max(1)).unwrap();
                    let end = len.min(place + [1, 2, 4, 8][place % 4]);
                    forged[place..end].copy_from_slice(&number[..end - place]);
                }
            }
        }
        forged
    }

    /// Writes checksums and a manifest for the files as they are.
    fn seal(&self) {
        let mut manifest = self.manifest.clone();
        let mut sums: Vec<u8> = Vec::new();
        for table in manifest["tables"].as_array_mut().unwrap() {
            let bytes = fs::read(self.index.join(table["name"].as_str().unwrap())).unwrap();
            if table["name"] != "checks.rec" {
                table["crc32"] = json!(crc32fast::hash(&bytes));
                sums.extend(sums_of(&bytes));
            }
        }
        let roots = sums_of(&sums);
        sums.extend_from_slice(&roots);
        sums.extend(crc32fast::hash(&roots).to_le_bytes());
        fs::write(self.index.join("checks.rec"), &sums).unwrap();
        for table in manifest["tables"].as_array_mut().unwrap() {
            if table["name"] == "checks.rec" {
                table["crc32"] = json!(crc32fast::hash(&sums));
            }
        }
        self.write(&manifest);
    }

    /// Writes a manifest with the right checksum.
    fn write(&self, manifest: &Value) {
        let text = fs::read_to_string(self.index.join("manifest")).unwrap();
        let (first, _) = text.split_once('\n').unwrap();
        let checked = format!("{first}\n{}\n", serde_json::to_string_pretty(manifest).unwrap());
        let text = format!("{checked}crc32 {:08x}\n", crc32fast::hash(checked.as_bytes()));
        fs::write(self.index.join("manifest"), text).unwrap();
    }

    /// Asks everything; says whether the index opened.
    #[track_caller]
    fn ask(&self) -> bool {
        let mut is_open = false;
        let allocated = allocation_counter::measure(|| {
            if let Ok(opened) = open(&self.index) {
                is_open = true;
                ask_all(&opened, self.ids.iter().copied());
                drop(opened.verify());
            }
        });
        assert!(allocated.bytes_max < ALLOCATED_MAX, "{} bytes allocated", allocated.bytes_max);
        is_open
    }
}

fn sums_of(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(32 << 10).flat_map(|block| crc32fast::hash(block).to_le_bytes()).collect()
}

#[test]
fn forged_tables_give_errors_or_answers() {
    let mut forge = Forge::new();
    forge.seal();
    open(&forge.index).unwrap().verify().unwrap();
    let (mut opened, mut asked) = (0, 0);
    for name in forge.tables() {
        let path = forge.index.join(&name);
        let bytes = fs::read(&path).unwrap();
        for _ in 0..if bytes.is_empty() || name == "checks.rec" { 0 } else { 40 } {
            fs::write(&path, forge.forged(&bytes)).unwrap();
            forge.seal();
            asked += 1;
            opened += u32::from(forge.ask());
        }
        fs::write(&path, bytes).unwrap();
    }
    // The checksums are right, so most of it is found by what reads it.
    assert!(asked < 2 * opened, "{opened} of {asked}");
    forge.seal();
    open(&forge.index).unwrap().verify().unwrap();
}

#[test]
fn a_manifest_that_lies_about_lengths_is_refused() {
    let forge = Forge::new();
    let tables = forge.tables();
    for (number, name) in tables.iter().enumerate() {
        for field in ["byte_len", "record_count"] {
            let stated = forge.manifest["tables"][number][field].as_u64().unwrap();
            let near = [stated.wrapping_sub(1), stated + 1, stated * 2];
            for claim in CLAIMS.into_iter().chain(near).filter(|claim| *claim != stated) {
                let mut manifest = forge.manifest.clone();
                manifest["tables"][number][field] = json!(claim);
                forge.write(&manifest);
                assert!(!forge.ask(), "{name}: {claim} instead of {stated} as {field}");
            }
        }
        for other in ["../dump", "/etc/passwd", "", ".", "objects.rec\0", "manifest"] {
            let mut manifest = forge.manifest.clone();
            manifest["tables"][number]["name"] = json!(other);
            forge.write(&manifest);
            assert!(!forge.ask(), "{name} as {other:?}");
        }
        let mut manifest = forge.manifest.clone();
        manifest["tables"].as_array_mut().unwrap().remove(number);
        forge.write(&manifest);
        // An unpacked dump is needed by some questions only.
        assert!(!forge.ask() || name == "dump.hprof", "without {name}");
    }
}

#[test]
fn a_manifest_that_lies_about_the_dump_gives_errors_or_answers() {
    let forge = Forge::new();
    let summary = forge.manifest["summary"].as_object().unwrap();
    for name in summary.keys().filter(|name| summary[*name].is_u64()) {
        for claim in CLAIMS {
            let mut manifest = forge.manifest.clone();
            manifest["summary"][name] = json!(claim);
            forge.write(&manifest);
            forge.ask();
        }
    }
    for path in ["", "/", "/dev/zero", "../index/manifest", "nothing"] {
        let mut manifest = forge.manifest.clone();
        manifest["summary"]["dump_path"] = json!(path);
        manifest["summary"]["packing"] = json!("plain");
        forge.write(&manifest);
        forge.ask();
    }
}

/// A path of exactly so many bytes that leads to a name beside it.
fn path_of_len(name: &str, len: usize) -> Option<String> {
    let rest = len.checked_sub(name.len()).filter(|_| len < 4_000)?;
    let slashes = if rest % 2 == 0 { String::new() } else { "/".to_owned() };
    match rest {
        0 => Some(name.to_owned()),
        1 => None,
        _ => Some(format!("{}{slashes}{name}", "./".repeat(rest / 2))),
    }
}

#[test]
fn what_is_no_file_in_place_of_one_is_refused() {
    let forge = Forge::new();
    for name in files(&forge.index) {
        let path = forge.index.join(&name);
        let kept = path.with_file_name("kept");
        fs::rename(&path, &kept).unwrap();
        let len = fs::metadata(&kept).unwrap().len();

        fs::create_dir(&path).unwrap();
        assert!(!forge.ask(), "{name}: a directory");
        fs::remove_dir(&path).unwrap();

        symlink("kept", &path).unwrap();
        assert!(!forge.ask(), "{name}: a link");
        fs::remove_file(&path).unwrap();
        if let Some(target) = path_of_len("kept", usize::try_from(len).unwrap()) {
            symlink(&target, &path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), fs::read(&kept).unwrap());
            assert!(!forge.ask(), "{name}: a link of its length");
            fs::remove_file(&path).unwrap();
        }

        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert!(!forge.ask(), "{name}: a pipe");
        fs::remove_file(&path).unwrap();

        File::create(&path).unwrap();
        assert!(!forge.ask() || len == 0, "{name}: empty");
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(!forge.ask(), "{name}: 1 TiB of zeros");
        fs::remove_file(&path).unwrap();
        fs::rename(&kept, &path).unwrap();
    }
    assert!(forge.ask());
}

/// The manifest may be right about it.
#[test]
fn a_table_of_one_tebibyte_gives_errors_or_answers() {
    let forge = Forge::new();
    let tables = forge.manifest["tables"].as_array().unwrap();
    for (number, table) in tables.iter().enumerate() {
        let name = table["name"].as_str().unwrap();
        let (path, kept) = (forge.index.join(name), forge.index.join("kept"));
        fs::rename(&path, &kept).unwrap();
        let count = (1 << 40) / table["record_size"].as_u64().unwrap();
        let len = count * table["record_size"].as_u64().unwrap();
        File::create(&path).unwrap().set_len(len).unwrap();
        let mut manifest = forge.manifest.clone();
        manifest["tables"][number]["byte_len"] = json!(len);
        manifest["tables"][number]["record_count"] = json!(count);
        forge.write(&manifest);
        // Its blocks would have more checksums than there are.
        assert!(!forge.ask(), "{name}");
        fs::remove_file(&path).unwrap();
        fs::rename(&kept, &path).unwrap();
    }
}

#[test]
fn notes_that_are_no_file_are_refused() {
    let forge = Forge::new();
    let path = forge.index.join("notes.pgs");
    let notes = || pagestone_heapdump::Notes::of(&trusted(&forge.index)).unwrap();
    let refused = |what: &str| {
        for result in [notes().list().map(drop), notes().add(None, "x").map(drop)] {
            let error = result.unwrap_err();
            assert_ne!(error.kind(), ErrorKind::NotFound, "{what}: {error}");
        }
    };
    fs::create_dir(&path).unwrap();
    refused("a directory");
    fs::remove_dir(&path).unwrap();
    symlink(forge.built.folder.path().join("elsewhere"), &path).unwrap();
    refused("a link to nothing");
    fs::remove_file(&path).unwrap();
    symlink(Path::new("objects.rec"), &path).unwrap();
    refused("a link to a table");
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"no notes").unwrap();
    refused("another file");
    fs::write(&path, vec![0xa5; 1 << 16]).unwrap();
    refused("another file");
    File::create(&path).unwrap().set_len(1 << 40).unwrap();
    refused("1 TiB of zeros");
}
