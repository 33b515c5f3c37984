//! Creating and opening: what is there already, who holds it, files that are none.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    ErrorKind, Mutability, Options, RECORD_SIZE_MAX, Records, Storage, TrustedDir,
};
use rstest::rstest;

use crate::support::{Dir, Pair, keys, options, pair};

#[track_caller]
fn check<T: std::fmt::Debug>(result: pagestone_storage::Result<T>, kind: ErrorKind, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let full = format!("{error}: {:?}", std::error::Error::source(&error));
    assert!(full.contains(words), "{full} does not say {words}");
}

#[rstest]
fn create_wants_nothing_there_and_open_wants_a_file(
    #[values(File, Map, Windowed)] backing: Backing,
) {
    let dir = Dir::new();
    let options = options(backing);
    check(options.open::<Pair>(dir.file("a")), ErrorKind::NotFound, "open");
    check(options.open_read_only::<Pair>(dir.file("a")), ErrorKind::NotFound, "open");
    options.create::<Pair>(dir.file("a")).unwrap().append(&[pair(1, 1)]).unwrap();
    check(options.create::<Pair>(dir.file("a")), ErrorKind::AlreadyExists, "create");
    let mut storage = options.open_or_create::<Pair>(dir.file("a")).unwrap();
    assert_eq!(storage.append(&[pair(2, 2)]).unwrap(), 1);
    drop(storage);
    assert_eq!(keys(options.open::<Pair>(dir.file("a")).unwrap().iter()), [1, 2]);
    let mode = fs::metadata(dir.path("a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[rstest]
fn a_second_writer_is_refused_by_name(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let first: Storage<Pair> = options(backing).create(dir.file("pairs.rec")).unwrap();
    check(options(backing).open::<Pair>(dir.file("pairs.rec")), ErrorKind::Locked, "pairs.rec");
    drop(first);
    options(backing).open::<Pair>(dir.file("pairs.rec")).unwrap();
}

#[test]
fn a_mapped_reader_and_changes_in_place_exclude_each_other() {
    let dir = Dir::new();
    let writer: Storage<Pair> = options(Map).create(dir.file("a")).unwrap();
    check(options(Map).open_read_only::<Pair>(dir.file("a")), ErrorKind::Locked, "in place");
    options(File).open_read_only::<Pair>(dir.file("a")).unwrap();
    drop(writer);
    let reader: Records<Pair> = options(Map).open_read_only(dir.file("a")).unwrap();
    check(options(File).open::<Pair>(dir.file("a")), ErrorKind::Locked, "mapped");
    let append_only = options(Map).mutability(Mutability::AppendOnly);
    append_only.open::<Pair>(dir.file("a")).unwrap();
    drop(reader);
    options(Map).open::<Pair>(dir.file("a")).unwrap();
}

#[rstest]
fn a_partial_tail_is_reported_and_kept_until_the_first_change(
    #[values(File, Map, Windowed)] backing: Backing,
) {
    let dir = Dir::new();
    let mut bytes = bytemuck::bytes_of(&[pair(1, 1), pair(2, 2)]).to_vec();
    bytes.extend([0xee; 7]);
    fs::write(dir.path("a"), &bytes).unwrap();
    let reader: Records<Pair> = options(File).open_read_only(dir.file("a")).unwrap();
    assert_eq!(keys(reader.iter()), [1, 2]);
    let mut storage: Storage<Pair> = options(backing).open(dir.file("a")).unwrap();
    assert_eq!((storage.len(), storage.partial_tail()), (2, 7));
    assert_eq!(fs::read(dir.path("a")).unwrap(), bytes);
    storage.append(&[pair(3, 3)]).unwrap();
    assert_eq!((keys(storage.iter()), storage.partial_tail()), (vec![1, 2, 3], 0));
    assert_eq!(fs::metadata(dir.path("a")).unwrap().len(), 36);
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let dir = Dir::new();
    let bad = |options: Options| {
        check(options.create::<[u8]>(dir.file("a")), ErrorKind::InvalidArgument, "record");
    };
    bad(Options::new());
    bad(Options::new().record_size(0));
    bad(Options::new().record_size(RECORD_SIZE_MAX + 1));
    check(
        Options::new().record_size(13).create::<Pair>(dir.file("a")),
        ErrorKind::InvalidArgument,
        "12 bytes",
    );
    check(Options::new().create::<()>(dir.file("a")), ErrorKind::InvalidArgument, "0");
    assert_eq!(fs::read_dir(dir.path("")).unwrap().count(), 0);
    Options::new().record_size(RECORD_SIZE_MAX).create::<[u8]>(dir.file("a")).unwrap();
}

#[rstest]
fn what_is_no_regular_file_is_refused(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    let fifo = Command::new("mkfifo").arg(dir.path("fifo")).status().unwrap();
    assert!(fifo.success());
    fs::create_dir(dir.path("dir")).unwrap();
    std::os::unix::fs::symlink("/dev/null", dir.path("link")).unwrap();
    let options = options(backing);
    check(options.open_read_only::<Pair>(dir.file("fifo")), ErrorKind::Unsupported, "fifo");
    check(options.open::<Pair>(dir.file("fifo")), ErrorKind::Unsupported, "fifo");
    check(options.open_read_only::<Pair>(dir.file("dir")), ErrorKind::Unsupported, "dir");
    check(options.open_read_only::<Pair>("/dev/null"), ErrorKind::Unsupported, "/dev/null");
    check(options.open_read_only::<Pair>(dir.file("link")), ErrorKind::Io, "link");
}

#[rstest]
fn a_medium_that_cannot_be_written_is_read(#[values(File, Map, Windowed)] backing: Backing) {
    let dir = Dir::new();
    options(backing).create::<Pair>(dir.file("a")).unwrap().append(&[pair(4, 4)]).unwrap();
    fs::remove_file(dir.path("a.lock")).unwrap();
    fs::set_permissions(dir.path("a"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(dir.path(""), fs::Permissions::from_mode(0o555)).unwrap();
    let reader: Records<Pair> = options(backing).open_read_only(dir.file("a")).unwrap();
    assert_eq!(keys(reader.iter()), [4]);
    assert!(!dir.path("a.lock").exists());
    let opened = options(backing).open::<Pair>(dir.file("a"));
    // Root may write everywhere.
    if !rustix_is_root() {
        check(opened, ErrorKind::ReadOnly, "a.lock");
    }
    fs::set_permissions(dir.path(""), fs::Permissions::from_mode(0o755)).unwrap();
}

fn rustix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

#[test]
fn a_trusted_directory_covers_plain_names_only() {
    let dir = Dir::new();
    let trusted: TrustedDir = dir.trusted();
    for name in ["../a", "a/b", "/etc/passwd", "..", "."] {
        check(
            Options::new().create::<Pair>(trusted.file(name)),
            ErrorKind::InvalidArgument,
            "plain",
        );
        check(trusted.subdirectory(name), ErrorKind::InvalidArgument, "plain");
    }
    assert_eq!(trusted.subdirectory("sub").unwrap().path(), dir.path("sub"));
}

#[rstest]
fn without_the_promise_a_mapped_file_is_copied(#[values(1, 5, 12)] size: usize) {
    let dir = Dir::new();
    fs::write(dir.path("a"), [7; 60]).unwrap();
    let options = options(Map).record_size(size);
    let bare: Records = options.open_read_only(dir.path("a")).unwrap();
    assert!(!bare.get(3).unwrap().is_borrowed());
    assert_eq!(*bare.get(3).unwrap(), vec![7; size]);
    let trusted: Records = options.open_read_only(dir.file("a")).unwrap();
    assert!(trusted.get(3).unwrap().is_borrowed());
}

#[test]
fn an_address_range_that_is_full_is_an_error_that_names_the_option() {
    let dir = Dir::new();
    let options = Options::new().backing(Map).reserve(64 << 10);
    let mut storage: Storage<Pair> = options.create(dir.file("a")).unwrap();
    storage.append(&vec![pair(1, 1); 5_000]).unwrap();
    check(storage.append(&vec![pair(1, 1); 1_000]), ErrorKind::OutOfSpace, "Options::reserve");
    assert_eq!(storage.len(), 5_000);
    let mut memory: Storage<Pair> = Options::new().reserve(64 << 10).in_memory().unwrap();
    check(memory.append(&vec![pair(1, 1); 6_000]), ErrorKind::OutOfSpace, "Options::reserve");
}

#[test]
fn a_lock_is_given_up_although_a_child_was_just_forked() {
    let dir = Dir::new();
    std::thread::scope(|scope| {
        let forking = scope.spawn(|| {
            for _ in 0..50 {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        while !forking.is_finished() {
            options(Map).open_or_create::<Pair>(dir.file("a")).unwrap();
        }
    });
}
