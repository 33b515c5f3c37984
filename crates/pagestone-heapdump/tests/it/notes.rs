//! Notes stay.

use std::{
    fs::{self, File, OpenOptions},
    ops::ControlFlow,
    os::unix::fs::FileExt as _,
    path::Path,
};

use pagestone_heap::RegionFile;
use pagestone_heapdump::{
    BuildOptions, BuildReport, ErrorKind, Existing, Notes, Phase, Progress, Result,
};
use pagestone_testkit::{
    child::{self, Child},
    hprof::{self, IdSize},
};

use crate::{
    shop::{Era, shop},
    support::{Built, files, folder, names, open, small, trusted},
};

#[test]
fn notes_are_kept_in_their_order() {
    let built = Built::new(&shop(Era::Compact, IdSize::Eight, &[]));
    let dir = trusted(&built.path());
    let notes = Notes::of(&dir).unwrap();
    assert_eq!(notes.list().unwrap(), []);
    let first = notes.add(None, "looks like a leak").unwrap();
    let second = Notes::of(&dir).unwrap().add(Some(0x30), "\u{3b1}\n\"quoted\"").unwrap();

    let found = notes.list().unwrap();
    let seen: Vec<_> = found.iter().map(|it| (it.number, it.object, it.text.as_str())).collect();
    let expected =
        [(first, None, "looks like a leak"), (second, Some(0x30), "\u{3b1}\n\"quoted\"")];
    assert_eq!(seen, expected);
    assert!(1_700_000_000_000 < found[0].timestamp_ms);
    // The index is one as before.
    open(&built.path()).unwrap().verify().unwrap();
}

fn replace(folder: &Path) -> Result<BuildReport> {
    let options = BuildOptions::new().existing(Existing::Replace);
    options.build(folder.join("dump"), folder.join("index"))
}

#[test]
fn an_index_that_is_replaced_keeps_its_notes() {
    let built = Built::new(small().bytes());
    let (folder, index) = (built.folder.path(), built.path());
    let notes = Notes::of(&trusted(&index)).unwrap();
    notes.add(Some(0x40), "one").unwrap();
    let one = notes.list().unwrap();
    replace(folder).unwrap();
    assert_eq!(notes.list().unwrap(), one);

    // Another dump, in which no object has the id.
    fs::write(folder.join("dump"), hprof::missing_class().bytes()).unwrap();
    replace(folder).unwrap();
    assert_eq!(notes.list().unwrap(), one);
    notes.add(None, "two").unwrap();
    let two = notes.list().unwrap();
    assert_eq!((two.len(), &two[..1]), (2, &one[..]));

    fs::write(folder.join("dump"), b"no dump").unwrap();
    assert_eq!(replace(folder).unwrap_err().kind(), ErrorKind::NotADump);
    assert_eq!(notes.list().unwrap(), two);
    fs::write(folder.join("dump"), small().bytes()).unwrap();

    // What is damaged stays for whoever can repair it; what is no file is no notes.
    let path = index.join("notes.pgs");
    fs::write(&path, b"nonsense").unwrap();
    replace(folder).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"nonsense");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    replace(folder).unwrap();
    assert!(!path.exists());
    assert_eq!(names(folder), ["dump", "index"]);
}

#[test]
fn notes_that_come_while_an_index_is_replaced_stay() {
    let built = Built::new(small().bytes());
    let notes = Notes::of(&trusted(&built.path())).unwrap();
    let mut phases = Vec::new();
    let options = BuildOptions::new().existing(Existing::Replace);
    let hook = |progress: Progress| {
        if phases.last() != Some(&progress.phase) {
            phases.push(progress.phase);
            notes.add(None, &format!("{:?}", progress.phase)).unwrap();
        }
        ControlFlow::Continue(())
    };
    options.build_with(built.folder.path().join("dump"), built.path(), hook).unwrap();
    let texts: Vec<String> = notes.list().unwrap().into_iter().map(|note| note.text).collect();
    let expected: Vec<String> = Phase::ALL.iter().map(|phase| format!("{phase:?}")).collect();
    assert_eq!((phases, texts), (Phase::ALL.to_vec(), expected));
}

#[test]
fn whoever_adds_notes_to_the_former_index_is_the_only_one() {
    let built = Built::new(small().bytes());
    let notes = Notes::of(&trusted(&built.path())).unwrap();
    notes.add(None, "one").unwrap();
    let held = RegionFile::options()
        .reserve(1 << 32)
        .open(trusted(&built.path()).file("notes.pgs"))
        .unwrap();
    replace(built.folder.path()).unwrap();
    assert_eq!(notes.add(None, "two").unwrap_err().kind(), ErrorKind::Locked);
    drop(held);
    notes.add(None, "two").unwrap();
    assert_eq!(notes.list().unwrap().len(), 2);
}

const TEST: &str = "notes::a_killed_build_leaves_the_notes_where_they_are";

#[test]
fn a_killed_build_leaves_the_notes_where_they_are() {
    if let Some(errand) = child::errand() {
        let (last, folder) = errand.split_once(' ').unwrap();
        let (last, folder): (usize, &Path) = (last.parse().unwrap(), Path::new(folder));
        let hook = |progress: Progress| {
            if progress.phase == Phase::ALL[last] {
                child::acknowledge(last as u64);
                assert_eq!(child::order(), None);
            }
            ControlFlow::Continue(())
        };
        let options = BuildOptions::new().existing(Existing::Replace);
        options.build_with(folder.join("dump"), folder.join("index"), hook).unwrap();
        return;
    }
    let built = Built::new(small().bytes());
    let (folder, index) = (built.folder.path(), built.path());
    let notes = Notes::of(&trusted(&index)).unwrap();
    notes.add(Some(0x40), "one").unwrap();
    let expected = notes.list().unwrap();
    for last in 0..Phase::ALL.len() {
        let mut killed = Child::start(TEST, &format!("{last} {}", folder.display()));
        killed.wait_for(last as u64);
        killed.kill(0);
        assert_eq!(notes.list().unwrap(), expected);
        open(&index).unwrap().verify().unwrap();
        replace(folder).unwrap();
        assert_eq!(notes.list().unwrap(), expected);
        assert_eq!(names(folder), ["dump", "index"]);
    }
}

/// Between the two renames of a publication there is no index: the old one lies beside its place,
/// the finished one has the same file of notes.
#[test]
fn an_index_without_its_name_is_taken_back_with_its_notes() {
    for existing in [Existing::Replace, Existing::Refuse] {
        let built = Built::new(small().bytes());
        let (folder, index) = (built.folder.path(), built.path());
        let notes = Notes::of(&trusted(&index)).unwrap();
        notes.add(Some(0x40), "one").unwrap();
        let expected = notes.list().unwrap();
        let (replaced, building) = (folder.join(".index.replaced"), folder.join(".index.building"));
        fs::create_dir(&building).unwrap();
        for name in files(&index) {
            fs::create_dir_all(building.join(&name).parent().unwrap()).unwrap();
            fs::hard_link(index.join(&name), building.join(&name)).unwrap();
        }
        fs::rename(&index, &replaced).unwrap();

        let options = BuildOptions::new().existing(existing);
        let result = options.build(folder.join("dump"), &index);
        let kind = result.err().map(|error| error.kind());
        let refused = Some(ErrorKind::AlreadyExists).filter(|_| existing == Existing::Refuse);
        assert_eq!(kind, refused);
        assert_eq!(notes.list().unwrap(), expected);
        open(&index).unwrap().verify().unwrap();
        assert!(!replaced.exists());
    }
}

#[test]
fn a_build_that_publishes_is_not_disturbed() {
    let built = Built::new(small().bytes());
    let (folder, index) = (built.folder.path(), built.path());
    let (replaced, building) = (folder.join(".index.replaced"), folder.join(".index.building"));
    fs::create_dir(&building).unwrap();
    let held = File::open(&building).unwrap();
    held.lock().unwrap();
    fs::rename(&index, &replaced).unwrap();
    assert_eq!(replace(folder).unwrap_err().kind(), ErrorKind::Locked);
    assert!(replaced.exists() && !index.exists());
    drop(held);
    replace(folder).unwrap();
    assert_eq!(names(folder), ["dump", "index"]);
}

#[test]
fn a_flipped_byte_gives_errors_or_the_notes_of_before() {
    let built = Built::new(small().bytes());
    let (dir, path) = (trusted(&built.path()), built.path().join("notes.pgs"));
    let notes = Notes::of(&dir).unwrap();
    notes.add(Some(0x40), "one").unwrap();
    notes.add(None, &"long ".repeat(100)).unwrap();
    let expected = notes.list().unwrap();
    let bytes = fs::read(&path).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|&place| bytes[place] != 0).collect();
    let zeros = (0..bytes.len()).step_by((bytes.len() / 50) | 1);
    let mut refused = 0;
    // All bytes of all notes, and every third of the rest.
    let is_text = |place: &usize| bytes[*place].is_ascii_graphic();
    let others = used.iter().filter(|place| !is_text(place)).step_by(3);
    for place in used.iter().filter(|place| is_text(place)).chain(others).copied().chain(zeros) {
        let flip = if place % 2 == 0 { 0xff } else { 1 << (place / 2 % 8) };
        write_at(&path, place, bytes[place] ^ flip);
        match notes.list() {
            Ok(found) => assert_eq!(found, expected, "{place}"),
            Err(error) => refused += usize::from(!error.to_string().is_empty()),
        }
        write_at(&path, place, bytes[place]);
    }
    assert!(500 < refused, "{refused} of {}", used.len());
    assert_eq!(notes.list().unwrap(), expected);
}

fn write_at(path: &Path, place: usize, byte: u8) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[byte], place as u64).unwrap();
}

#[test]
fn what_is_no_index_has_no_notes() {
    let folder = folder();
    assert_eq!(Notes::of(&trusted(folder.path())).unwrap_err().kind(), ErrorKind::NotAnIndex);
}
