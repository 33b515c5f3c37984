//! Files that take their name when they are whole.

use std::{io, os::unix::fs::PermissionsExt};

use pagestone_storage::{
    ErrorKind,
    raw::{NewFile, Opening, RawFile},
    seam::{Plan, watch},
};

use crate::support::{Dir, names};

/// A file that others are made like.
fn like(dir: &Dir) -> RawFile {
    let file = RawFile::open(&dir.file("like"), Opening::Create, 1 << 20).unwrap();
    std::fs::set_permissions(dir.path("like"), PermissionsExt::from_mode(0o640)).unwrap();
    file
}

fn kind<T: std::fmt::Debug>(result: pagestone_storage::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn it_has_its_name_once_it_is_whole() {
    let dir = Dir::new();
    let like = like(&dir);
    let file = NewFile::create(&dir.file("copy"), &like).unwrap();
    file.write_at(70_000, b"end").unwrap();
    file.write_at(0, b"begin").unwrap();
    file.set_len(80_000).unwrap();
    assert!(!dir.path("copy").exists());
    assert_eq!(kind(NewFile::create(&dir.file("copy"), &like)), ErrorKind::Locked);
    file.publish().unwrap();
    let found = std::fs::read(dir.path("copy")).unwrap();
    assert_eq!(
        (found.len(), &found[..5], &found[70_000..70_003]),
        (80_000, &b"begin"[..], &b"end"[..])
    );
    let mode = std::fs::metadata(dir.path("copy")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(kind(NewFile::create(&dir.file("copy"), &like)), ErrorKind::AlreadyExists);
    assert_eq!(names(&dir), ["copy", "copy.lock", "like", "like.lock"]);
}

#[test]
fn it_is_gone_when_it_is_given_up() {
    let dir = Dir::new();
    let like = like(&dir);
    drop(NewFile::create(&dir.file("copy"), &like).unwrap());
    assert_eq!(names(&dir), ["copy.lock", "like", "like.lock"]);
    // Who was killed left the temporary file; the next one takes its place.
    std::fs::write(dir.path(".copy.new"), b"half of another").unwrap();
    let file = NewFile::create(&dir.file("copy"), &like).unwrap();
    std::fs::write(dir.path("copy"), b"somebody's").unwrap();
    assert_eq!(kind(file.publish()), ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(dir.path("copy")).unwrap(), b"somebody's");
    assert_eq!(names(&dir), ["copy", "copy.lock", "like", "like.lock"]);
}

#[test]
fn each_call_that_fails_leaves_nothing_or_all() {
    for nth in 0.. {
        let dir = Dir::fast();
        let like = like(&dir);
        let (made, trace) = watch(Plan::fail(nth, io::ErrorKind::StorageFull), || {
            let file = NewFile::create(&dir.file("copy"), &like)?;
            file.write_at(10, b"content")?;
            file.publish()
        });
        if !trace.failed {
            made.unwrap();
            break;
        }
        assert_eq!(kind(made), ErrorKind::OutOfSpace, "call {nth}");
        let left = names(&dir);
        assert!(!left.iter().any(|name| name == ".copy.new"), "call {nth}: {left:?}");
    }
}
