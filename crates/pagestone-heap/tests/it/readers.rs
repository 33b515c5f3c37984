//! Readers in other processes: what they see, what they hold, and what they survive.
//!
//! A second open of the file in the same process is as good as one in another: its locks belong to
//! its own descriptor, and it shares nothing with the writer but the file.

use std::process::Command;

use pagestone_heap::{BlockId, ErrorKind, Heap, HeapMut, RegionFile};
use pagestone_testkit::child::{self, Child};

use crate::support::{Scene, bytes, check_clean, contents, mark_of, marked, options, say, trusted};

fn reading(scene: &Scene) -> RegionFile {
    options().open_read_only(scene.at("file.pgs")).unwrap()
}

/// A file with one committed block in one heap.
fn with_a_block() -> (Scene, RegionFile, Heap, BlockId) {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), b"first").unwrap();
    file.commit().unwrap();
    (scene, file, heap, id)
}

/// Replaces a block until space is used again, several commits long.
fn churn(file: &RegionFile, heap: &Heap, id: BlockId) {
    for round in 0..40_u64 {
        for nth in 0..50 {
            heap.put(&mut file.writer(), id, &marked(100 * round + nth, 3000)).unwrap();
        }
        file.commit().unwrap();
    }
}

#[test]
fn a_reader_follows_commits_and_nothing_else() {
    let (scene, file, heap, id) = with_a_block();
    let reader = reading(&scene);
    let seen = reader.heap("blocks").unwrap();
    let look = || seen.read(id, <[u8]>::to_vec).unwrap();
    assert_eq!((look(), reader.sequence()), (b"first".to_vec(), file.generation()));
    heap.put(&mut file.writer(), id, b"second").unwrap();
    file.writer().set_root("front", id).unwrap();
    let other = file.heap("other").unwrap();
    let later = other.allocate_from(&mut file.writer(), b"later").unwrap();
    assert_eq!(look(), b"first", "what is not committed is not seen");
    assert_eq!((reader.root("front"), reader.stores()), (None, vec!["blocks".to_owned()]));
    assert_eq!(reader.heap("other").unwrap_err().kind(), ErrorKind::NotFound);
    let pin = reader.pin();
    let held = seen.get(&pin, id).unwrap();
    let before = reader.sequence();
    file.commit().unwrap();
    assert_eq!(reader.sequence(), before + 1);
    assert_eq!(seen.get(&pin, id).unwrap(), b"second", "each get sees what is committed then");
    assert_eq!(held, b"first");
    assert_eq!(look(), b"second");
    assert_eq!((reader.root("front"), reader.stores().len()), (Some(id), 2));
    let other = reader.heap("other").unwrap();
    other.read(later, |bytes| assert_eq!(bytes, b"later")).unwrap();
    drop(pin);
    heap.free(&mut file.writer(), id).unwrap();
    file.writer().remove_root("front").unwrap();
    assert_eq!((look(), reader.root("front")), (b"second".to_vec(), Some(id)));
    file.commit().unwrap();
    assert_eq!(seen.read(id, |_| ()).unwrap_err().kind(), ErrorKind::StaleId);
    assert_eq!(reader.refresh().unwrap(), file.generation());
    assert_eq!(reader.root("front"), None);
    check_clean(&reader);
    assert_eq!(reader.stats().stores, file.stats().stores);
}

#[test]
fn a_reader_follows_growth() {
    let (scene, file, heap, _) = with_a_block();
    let reader = reading(&scene);
    let seen = reader.heap("blocks").unwrap();
    let pin = reader.pin();
    let mut ids = Vec::new();
    // More slots than the first part of a table has, regions by the dozen, blocks of their own.
    for round in 0..12_u64 {
        for nth in 0..1000 {
            let block = marked(round << 16 | nth, 16 + 4 * usize::try_from(nth).unwrap());
            ids.push(heap.allocate_from(&mut file.writer(), &block).unwrap());
        }
        ids.push(heap.allocate_from(&mut file.writer(), &marked(round, 700_000)).unwrap());
        file.commit().unwrap();
        for id in &ids {
            // Under one pin of before, and under one of its own.
            mark_of(seen.get(&pin, *id).unwrap()).unwrap();
        }
        let last = *ids.last().unwrap();
        seen.read(last, |bytes| assert_eq!(bytes, marked(round, 700_000))).unwrap();
    }
    assert_eq!(contents(&seen), contents(&heap));
    let mut many = 0;
    seen.get_many(&pin, &ids, |_, block| many += u64::from(mark_of(block.unwrap()).is_some()));
    assert_eq!(many, ids.len() as u64);
    drop(pin);
    check_clean(&reader);
}

#[test]
fn a_reader_may_come_before_the_first_commit() {
    let scene = Scene::new();
    let file = scene.create();
    let reader = reading(&scene);
    assert_eq!((reader.sequence(), reader.stores()), (1, Vec::new()));
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), b"first").unwrap();
    assert_eq!(reader.heap("blocks").unwrap_err().kind(), ErrorKind::NotFound);
    file.commit().unwrap();
    reader.heap("blocks").unwrap().read(id, |bytes| assert_eq!(bytes, b"first")).unwrap();
    assert_eq!(reader.sequence(), 2);
}

#[test]
fn what_a_reader_holds_is_not_used_again() {
    let (scene, file, heap, id) = with_a_block();
    let large = heap.allocate_from(&mut file.writer(), &bytes(9, 600_000)).unwrap();
    file.commit().unwrap();
    let reader = reading(&scene);
    let seen = reader.heap("blocks").unwrap();
    let pin = reader.pin();
    let (small, long) = (seen.get(&pin, id).unwrap(), seen.get(&pin, large).unwrap());
    heap.free(&mut file.writer(), large).unwrap();
    churn(&file, &heap, id);
    assert_eq!((small, long), (&b"first"[..], &bytes(9, 600_000)[..]));
    // All 39 replaced versions that were committed, and the long block.
    let held = file.stats();
    assert!(600_000 + 39 * 3000 <= held.pinned, "{held:?}");
    assert_eq!((held.pins, held.quarantined), (0, 0));
    // A later pin does not see what was retired before it, but the older one still holds.
    let later = reader.pin();
    churn(&file, &heap, id);
    assert_eq!(small, b"first");
    drop(pin);
    drop(later);
    let len = file.stats().file_len;
    churn(&file, &heap, id);
    let free = file.stats();
    assert!(free.pinned < 400_000, "{free:?}");
    assert!(free.file_len <= len);
    check_clean(&file);
    check_clean(&reader);
}

#[test]
fn a_pin_of_now_holds_nothing_of_before() {
    let (scene, file, heap, id) = with_a_block();
    let reader = reading(&scene);
    churn(&file, &heap, id);
    let before = file.stats().file_len;
    for _ in 0..5 {
        let pin = reader.pin();
        churn(&file, &heap, id);
        drop(pin);
        churn(&file, &heap, id);
    }
    assert!(file.stats().file_len <= before + (1 << 23), "{} {before}", file.stats().file_len);
}

#[test]
fn the_tail_is_not_cut_under_a_reader() {
    let (scene, file, heap, _) = with_a_block();
    let short = file.stats().file_len;
    let large = heap.allocate_from(&mut file.writer(), &bytes(5, 3_000_000)).unwrap();
    file.commit().unwrap();
    let reader = reading(&scene);
    let seen = reader.heap("blocks").unwrap();
    let pin = reader.pin();
    let held = seen.get(&pin, large).unwrap();
    heap.free(&mut file.writer(), large).unwrap();
    for _ in 0..3 {
        file.writer().set_root("changed", large).unwrap();
        file.commit().unwrap();
    }
    assert_eq!(held, bytes(5, 3_000_000));
    assert!(short + 3_000_000 <= file.stats().file_len);
    drop(pin);
    file.writer().set_root("changed", large).unwrap();
    file.commit().unwrap();
    file.writer().set_root("changed", large).unwrap();
    file.commit().unwrap();
    assert!(file.stats().file_len < short + 1_000_000);
    assert_eq!(seen.read(large, |_| ()).unwrap_err().kind(), ErrorKind::StaleId);
    check_clean(&reader);
}

#[test]
fn a_reader_outlives_its_writer() {
    let (scene, file, heap, id) = with_a_block();
    let reader = reading(&scene);
    let seen = reader.heap("blocks").unwrap();
    let pin = reader.pin();
    let held = seen.get(&pin, id).unwrap();
    churn(&file, &heap, id);
    drop((file, heap));
    for close in [false, true, true] {
        let file = scene.open();
        let heap = file.heap("blocks").unwrap();
        assert!(0 < file.stats().pinned, "free space waits: nobody knows what is looked at");
        check_clean(&file);
        churn(&file, &heap, id);
        assert_eq!(held, b"first");
        assert_eq!(seen.get(&pin, id).unwrap(), marked(3949, 3000));
        heap.put(&mut file.writer(), id, b"not committed").unwrap();
        assert_eq!(seen.get(&pin, id).unwrap(), marked(3949, 3000));
        if close {
            file.commit().unwrap();
            assert_eq!(seen.get(&pin, id).unwrap(), b"not committed");
            drop(heap);
            file.close().unwrap();
        }
    }
    drop(pin);
    let file = scene.open();
    assert_eq!(file.stats().pinned, 0);
    check_clean(&file);
}

/// Reads a block under a pin, tells so, and waits to be killed or sent on.
#[test]
fn child_holds() {
    let Some(errand) = child::errand() else { return };
    let path = std::path::Path::new(&errand);
    let location = trusted(path.parent().unwrap()).file(path.file_name().unwrap());
    let file = options().open_read_only(location).unwrap();
    let heap = file.heap("blocks").unwrap();
    let pin = file.pin();
    let id = file.root("block").unwrap();
    let held = heap.get(&pin, id).unwrap();
    let copy = held.to_vec();
    child::acknowledge(1);
    while child::order().is_some() {
        child::acknowledge(u64::from(held == copy) + 2 * u64::from(heap.get(&pin, id).is_ok()));
    }
}

#[test]
fn a_dead_reader_holds_nothing() {
    let (scene, file, heap, id) = with_a_block();
    file.writer().set_root("block", id).unwrap();
    churn(&file, &heap, id);
    let errand = scene.path("file.pgs").to_str().unwrap().to_owned();
    let mut children = ["one", "other"].map(|_| Child::start("readers::child_holds", &errand));
    for child in &mut children {
        child.wait_for(1);
    }
    churn(&file, &heap, id);
    for child in &mut children {
        child.send(0);
        child.wait_for(3);
    }
    let held = file.stats().pinned;
    assert!(39 * 3000 <= held, "{held} bytes are held");
    let [first, second] = children;
    drop(first);
    churn(&file, &heap, id);
    assert!(held < file.stats().pinned, "the other still holds");
    drop(second);
    churn(&file, &heap, id);
    let left = file.stats();
    assert!(left.pinned < 400_000, "{left:?}");
}

#[test]
fn readers_see_the_file_of_a_lost_machine_as_committed() {
    let (scene, file, heap, id) = with_a_block();
    heap.put(&mut file.writer(), id, b"lost").unwrap();
    drop((heap, file));
    // Another inode: what the owner page says is of another life of the file.
    scene.copy("copy.pgs");
    let reader = options().open_read_only(scene.at("copy.pgs")).unwrap();
    let seen = reader.heap("blocks").unwrap();
    seen.read(id, |bytes| assert_eq!(bytes, b"first")).unwrap();
    assert!(!scene.path("copy.pgs.lock").exists());
    // Without a lock file there is nothing to hold by, so no writer may come.
    let refused = options().open(scene.at("copy.pgs")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    drop((seen, reader));
    // With one, a reader of before the writer follows it from its first commit on.
    std::fs::write(scene.path("copy.pgs.lock"), b"").unwrap();
    let reader = options().open_read_only(scene.at("copy.pgs")).unwrap();
    let seen = reader.heap("blocks").unwrap();
    let pin = reader.pin();
    let held = seen.get(&pin, id).unwrap();
    let file = options().open(scene.at("copy.pgs")).unwrap();
    let heap = file.heap("blocks").unwrap();
    heap.put(&mut file.writer(), id, b"newer").unwrap();
    assert_eq!(seen.get(&pin, id).unwrap(), b"first");
    file.commit().unwrap();
    assert_eq!((held, seen.get(&pin, id).unwrap()), (&b"first"[..], &b"newer"[..]));
    churn(&file, &heap, id);
    assert_eq!(held, b"first");
}

#[test]
fn what_changes_committed_bytes_keeps_readers_out() {
    let scene = Scene::new();
    let mut heap = HeapMut::new(scene.create(), "heap").unwrap();
    let id = heap.allocate_from(b"committed").unwrap();
    heap.commit().unwrap();
    let reader = reading(&scene);
    assert_eq!(heap.in_place(id).unwrap_err().kind(), ErrorKind::Locked);
    let seen = reader.heap("heap").unwrap();
    // A private copy is nobody else's.
    heap.modify_private(id).unwrap().copy_from_slice(b"a private");
    seen.read(id, |bytes| assert_eq!(bytes, b"committed")).unwrap();
    heap.commit().unwrap();
    seen.read(id, |bytes| assert_eq!(bytes, b"a private")).unwrap();
    drop((seen, reader));
    let lent = heap.in_place(id).unwrap();
    let refused = options().open_read_only(scene.at("file.pgs")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    drop(lent);
    let reader = reading(&scene);
    assert_eq!(HeapMut::new(reader, "heap").unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn a_medium_that_nobody_can_write_is_read() {
    let (scene, file, heap, id) = with_a_block();
    drop(heap);
    file.close().unwrap();
    let medium = scene.path("medium");
    std::fs::create_dir(&medium).unwrap();
    let run = |command: &str, options: &[&str]| {
        let run = Command::new(command).args(options).arg(&medium).output();
        run.is_ok_and(|output| output.status.success())
    };
    if !run("mount", &["-t", "tmpfs", "none"]) {
        return say("readers: skipped, no file system can be mounted here");
    }
    let read = || {
        for name in ["file.pgs", "file.pgs.lock"] {
            let (from, to) = (scene.path(name), medium.join(name));
            std::fs::copy(from, to).unwrap();
            if name == "file.pgs" {
                // Once without a lock file, then with one that cannot be written.
                assert!(run("mount", &["-o", "remount,ro"]));
                check_medium(&medium, id);
                assert!(run("mount", &["-o", "remount,rw"]));
            }
        }
        assert!(run("mount", &["-o", "remount,ro"]));
        check_medium(&medium, id);
    };
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    assert!(run("umount", &["-l"]));
    done.unwrap();
}

fn check_medium(medium: &std::path::Path, id: BlockId) {
    let location = trusted(medium).file("file.pgs");
    let reader = options().open_read_only(location.clone()).unwrap();
    let seen = reader.heap("blocks").unwrap();
    seen.read(id, |bytes| assert_eq!(bytes, b"first")).unwrap();
    check_clean(&reader);
    assert_eq!(options().open(location).unwrap_err().kind(), ErrorKind::ReadOnly);
}
