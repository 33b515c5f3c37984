//! Create, open, close, read-only, and what a crash leaves.

use pagestone_heap::{Durability, ErrorKind, RegionFile, Unclean};
use pagestone_storage::Location;

use crate::support::{Scene, bytes, check_clean, contents, options};

#[test]
fn a_closed_file_is_as_it_was() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    for (seed, len) in (0..5000).zip((50..450).cycle()) {
        heap.allocate_from(&mut file.writer(), &bytes(seed, len)).unwrap();
    }
    let root = *contents(&heap).keys().next().unwrap();
    file.writer().set_root("first", root).unwrap();
    let before = contents(&heap);
    drop(heap);
    file.close().unwrap();
    for round in 0..3 {
        let file = scene.open();
        let heap = file.heap("blocks").unwrap();
        assert_eq!(contents(&heap), before, "{round}");
        assert_eq!(file.root("first"), Some(root));
        assert_eq!(file.stats().stores, [("blocks".to_owned(), 5000)]);
        let id = heap.allocate_from(&mut file.writer(), b"more").unwrap();
        heap.free(&mut file.writer(), id).unwrap();
        check_clean(&file);
        drop(heap);
        file.close().unwrap();
    }
}

#[test]
fn a_kill_keeps_all_and_a_power_loss_keeps_the_commit() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let kept = heap.allocate_from(&mut file.writer(), b"committed").unwrap();
    file.commit().unwrap();
    let committed = contents(&heap);
    let more = heap.allocate_from(&mut file.writer(), &bytes(1, 400_000)).unwrap();
    heap.put(&mut file.writer(), kept, b"replaced").unwrap();
    file.writer().set_root("more", more).unwrap();
    let newest = contents(&heap);
    scene.copy("copy.pgs");
    drop((heap, file));
    let file = scene.open();
    assert_eq!(contents(&file.heap("blocks").unwrap()), newest);
    assert_eq!(file.root("more"), Some(more));
    check_clean(&file);
    let file = options().open(scene.at("copy.pgs")).unwrap();
    assert_eq!(contents(&file.heap("blocks").unwrap()), committed);
    assert_eq!(file.root("more"), None);
    check_clean(&file);
}

#[test]
fn a_reader_sees_what_was_committed() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), b"committed").unwrap();
    file.commit().unwrap();
    heap.put(&mut file.writer(), id, b"newer").unwrap();
    drop((heap, file));
    let file = options().open_read_only(scene.at("file.pgs")).unwrap();
    let heap = file.heap("blocks").unwrap();
    heap.read(id, |bytes| assert_eq!(bytes, b"committed")).unwrap();
    check_clean(&file);
    let refused = heap.allocate_from(&mut file.writer(), b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert_eq!(file.heap("others").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn discard_undoes_all_stores_together() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let kept = heap.allocate_from(&mut file.writer(), b"kept").unwrap();
    file.commit().unwrap();
    let mut writer = file.writer();
    let other = writer.heap("other").unwrap();
    let void = other.allocate_from(&mut writer, b"void").unwrap();
    heap.free(&mut writer, kept).unwrap();
    for seed in 0..9000 {
        heap.allocate_from(&mut writer, &bytes(seed, 300)).unwrap();
    }
    heap.allocate_from(&mut writer, &bytes(1, 1 << 20)).unwrap();
    writer.set_root("void", void).unwrap();
    writer.discard().unwrap();
    drop(writer);
    assert_eq!(contents(&heap).into_values().collect::<Vec<_>>(), [b"kept".to_vec()]);
    assert_eq!(file.root("void"), None);
    assert_eq!(other.read(void, |_| ()).unwrap_err().kind(), ErrorKind::StaleId);
    check_clean(&file);
    let again = file.heap("other").unwrap();
    again.allocate_from(&mut file.writer(), b"again").unwrap();
    file.commit().unwrap();
    check_clean(&file);
}

#[test]
fn scratch_content_is_refused_after_a_kill() {
    let scene = Scene::new();
    let scratch = options().durability(Durability::Scratch);
    let file = scene.create_with(&scratch);
    file.heap("blocks").unwrap().allocate_from(&mut file.writer(), b"scratch").unwrap();
    drop(file);
    let refused = scratch.open(scene.at("file.pgs")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unclean);
    assert_eq!(options().open(scene.at("file.pgs")).unwrap_err().kind(), ErrorKind::Unclean);
    let file = scratch.unclean(Unclean::Discard).open(scene.at("file.pgs")).unwrap();
    assert_eq!(file.stores(), Vec::<String>::new());
    file.heap("blocks").unwrap().allocate_from(&mut file.writer(), b"kept").unwrap();
    file.close().unwrap();
    assert_eq!(contents(&scene.open().heap("blocks").unwrap()).len(), 1);
}

#[test]
fn files_that_are_none_are_refused() {
    let scene = Scene::new();
    assert_eq!(options().open(scene.at("absent")).unwrap_err().kind(), ErrorKind::NotFound);
    for (len, kind) in [(0, ErrorKind::Truncated), (100, ErrorKind::Truncated)] {
        std::fs::write(scene.path("short"), vec![0; len]).unwrap();
        assert_eq!(options().open(scene.at("short")).unwrap_err().kind(), kind, "{len}");
    }
    std::fs::write(scene.path("zeros"), vec![0; 200_000]).unwrap();
    assert_eq!(options().open(scene.at("zeros")).unwrap_err().kind(), ErrorKind::Corrupt);
    let untrusted: Location = scene.path("zeros").into();
    assert_eq!(options().open(untrusted).unwrap_err().kind(), ErrorKind::Unsupported);
    drop(scene.create());
    assert_eq!(
        options().create(scene.at("file.pgs")).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    let refused = options().region_size(3 << 20).in_memory().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_shorter_file_is_refused() {
    let scene = Scene::new();
    let file = scene.create();
    file.heap("blocks").unwrap().allocate_from(&mut file.writer(), b"block").unwrap();
    file.close().unwrap();
    let len = std::fs::metadata(scene.path("file.pgs")).unwrap().len();
    for cut in [len - 1, len / 2, 20_000] {
        scene.copy("cut.pgs");
        std::fs::File::options()
            .write(true)
            .open(scene.path("cut.pgs"))
            .unwrap()
            .set_len(cut)
            .unwrap();
        let refused = options().open(scene.at("cut.pgs")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Truncated, "{cut} {refused}");
        let refused = options().open_read_only(scene.at("cut.pgs")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Truncated, "{cut} {refused}");
    }
}

#[test]
fn an_empty_file_is_small() {
    let scene = Scene::new();
    let file = scene.create();
    file.heap("blocks").unwrap();
    file.commit().unwrap();
    assert!(file.stats().file_len <= 1_258_291, "{}", file.stats().file_len);
}

#[test]
fn tags_survive_their_wrap() {
    let file: RegionFile = options().in_memory().unwrap();
    let heap = file.heap("blocks").unwrap();
    let old = heap.allocate_from(&mut file.writer(), b"old").unwrap();
    let gone = heap.allocate_from(&mut file.writer(), b"gone").unwrap();
    file.commit().unwrap();
    heap.free(&mut file.writer(), gone).unwrap();
    let hot = heap.allocate_from(&mut file.writer(), b"hot").unwrap();
    for round in 0_u32..70_000 {
        let mut writer = file.writer();
        heap.put(&mut writer, hot, &round.to_le_bytes()).unwrap();
        writer.commit().unwrap();
        if round % 9999 == 0 {
            drop(writer);
            heap.read(old, |bytes| assert_eq!(bytes, b"old")).unwrap();
            heap.read(hot, |bytes| assert_eq!(bytes, round.to_le_bytes())).unwrap();
            assert_eq!(heap.read(gone, |_| ()).unwrap_err().kind(), ErrorKind::StaleId);
        }
    }
    let mut writer = file.writer();
    heap.put(&mut writer, old, b"void").unwrap();
    writer.discard().unwrap();
    drop(writer);
    heap.read(old, |bytes| assert_eq!(bytes, b"old")).unwrap();
    assert_eq!(file.generation(), 70_002);
    check_clean(&file);
}

#[test]
fn a_file_says_what_it_is() {
    let scene = Scene::new();
    let file = scene.create_with(&options().region_size(2 << 20));
    let (uuid, other) = (file.uuid(), options().in_memory().unwrap().uuid());
    assert_ne!(uuid, other);
    assert!(file.is_clean() && file.version() == 1);
    file.heap("blocks").unwrap();
    assert!(!file.is_clean());
    let again = file.clone();
    file.close().unwrap();
    assert!(again.is_clean());
    again.heap("more").unwrap();
    drop(again);
    let file = options().open_read_only(scene.at("file.pgs")).unwrap();
    assert!(!file.is_clean());
    drop(file);
    scene.open().close().unwrap();
    let file = options().open_read_only(scene.at("file.pgs")).unwrap();
    assert!(file.is_clean());
    assert_eq!((file.uuid(), file.region_size()), (uuid, 2 << 20));
}

#[test]
fn free_space_is_counted_before_it_is_listed() {
    let scene = Scene::new();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let mut writer = file.writer();
    for (seed, len) in (0..9000).zip((0..900).cycle()) {
        let id = heap.allocate_from(&mut writer, &bytes(seed, len)).unwrap();
        if seed % 3 == 0 {
            heap.free(&mut writer, id).unwrap();
        }
    }
    heap.allocate_from(&mut writer, &bytes(0, 300_000)).unwrap();
    drop((writer, heap));
    file.close().unwrap();
    let file = options().open_read_only(scene.at("file.pgs")).unwrap();
    let reader = file.stats();
    drop(file);
    let file = scene.open();
    let before = file.stats();
    assert_eq!(reader.free, before.free);
    // A block of 40 bytes takes 64; freed in the same epoch, it waits for nothing but a reclaim.
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), &[1; 40]).unwrap();
    assert_eq!(file.stats().free, before.free - 64);
    heap.free(&mut file.writer(), id).unwrap();
    let after = file.stats();
    assert_eq!(after.free + after.pinned, before.free);
    let taken: u64 = reader.region_lens.iter().sum();
    assert_eq!(taken + reader.free_ranges + (64 << 10), reader.file_len);
}

#[test]
fn a_creation_that_was_killed_is_made_again() {
    let scene = Scene::new();
    drop(scene.create());
    let whole = std::fs::read(scene.path("file.pgs")).unwrap();
    for words in [0, 1, 5, 63] {
        let mut bytes = vec![0; whole.len()];
        let kept = 4096..4096 + 8 * words;
        bytes[kept.clone()].copy_from_slice(&whole[kept]);
        for len in [bytes.len(), 8192, 4096, 0] {
            std::fs::write(scene.path("begun.pgs"), &bytes[..len]).unwrap();
            let refused = options().open(scene.at("begun.pgs")).unwrap_err().kind();
            assert!(matches!(refused, ErrorKind::Corrupt | ErrorKind::Truncated), "{refused:?}");
            let file = options().open_or_create(scene.at("begun.pgs")).unwrap();
            file.heap("blocks").unwrap();
            file.close().unwrap();
            options().open(scene.at("begun.pgs")).unwrap();
        }
    }
}

#[test]
fn the_file_of_somebody_else_is_not_made_anew() {
    let scene = Scene::new();
    let files = [(100_000, 0, 1), (100_000, 4096, b'X'), (100_000, 5000, 1), (200_000, 0, 0)];
    for (len, at, byte) in files {
        let mut bytes = vec![0; len];
        bytes[at] = byte;
        std::fs::write(scene.path("other"), &bytes).unwrap();
        let refused = options().open_or_create(scene.at("other")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
        assert_eq!(std::fs::read(scene.path("other")).unwrap(), bytes);
    }
}

#[test]
fn an_unclean_file_opened_for_scratch_is_scratch() {
    let scene = Scene::new();
    let file = scene.create();
    file.heap("blocks").unwrap().allocate_from(&mut file.writer(), b"kept").unwrap();
    file.commit().unwrap();
    drop(file);
    let scratch = options().durability(Durability::Scratch);
    let file = scratch.open(scene.at("file.pgs")).unwrap();
    file.heap("blocks").unwrap().allocate_from(&mut file.writer(), b"scratch").unwrap();
    drop(file);
    assert_eq!(options().open(scene.at("file.pgs")).unwrap_err().kind(), ErrorKind::Unclean);
}

#[test]
fn a_heap_whose_making_was_undone_takes_nothing() {
    let scene = Scene::new();
    let file = scene.create();
    let undone = file.heap("undone").unwrap();
    undone.allocate_from(&mut file.writer(), b"first").unwrap();
    file.writer().discard().unwrap();
    // A store that is made now has its number.
    let other = file.heap("other").unwrap();
    let id = other.allocate_from(&mut file.writer(), b"kept").unwrap();
    for _ in 0..2 {
        let refused = undone.allocate_from(&mut file.writer(), b"lost").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
        file.commit().unwrap();
    }
    other.read(id, |bytes| assert_eq!(bytes, b"kept")).unwrap();
    check_clean(&file);
}
