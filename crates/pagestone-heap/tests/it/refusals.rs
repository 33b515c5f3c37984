//! Full disks, failed calls, and other processes: an error, with nothing changed.

use std::{collections::BTreeMap, io, io::Write, process::Command};

use pagestone_heap::{BlockId, Durability, ErrorKind, Heap, RegionFile};
use pagestone_storage::seam::{Call, Plan, watch};
use pagestone_testkit::{
    child::{self, Child},
    faults::Scenario,
};

use crate::support::{Scene, check_clean, contents, marked, options, trusted};

/// A directory that is a file system of 3 MiB, unmounted when dropped.
struct Small(Scene);

impl Small {
    /// `None` where this process may not mount, which is said on standard error.
    fn mount() -> Option<Self> {
        let scene = Scene::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "none"])
            .arg(scene.path(""))
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(scene));
        }
        let line = b"refusals: skipped, a tmpfs of limited size cannot be mounted here\n";
        io::stderr().write_all(line).unwrap();
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path("")).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_full_disk_refuses_growth_and_nothing_else() {
    let Some(small) = Small::mount() else { return };
    let scene = &small.0;
    let file = options().create(scene.at("file.pgs")).unwrap();
    let heap = file.heap("blocks").unwrap();
    let mut model = BTreeMap::new();
    let refused = loop {
        let content = marked(model.len() as u64, 3000);
        match heap.allocate_from(&mut file.writer(), &content) {
            Ok(id) => drop(model.insert(id, content)),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::OutOfSpace, "{refused}");
    let mut filler = std::fs::File::create(scene.path("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    for len in [70_000, 300_000, 1 << 20] {
        let refused = heap.allocate_from(&mut file.writer(), &vec![1; len]);
        if let Ok(id) = refused {
            heap.free(&mut file.writer(), id).unwrap();
        }
    }
    assert!(contents(&heap) == model, "nothing changed");
    // What is there can be changed: its blocks were reserved.
    let ids: Vec<BlockId> = model.keys().copied().collect();
    for id in &ids[..100] {
        heap.free(&mut file.writer(), *id).unwrap();
        model.remove(id);
    }
    file.commit().unwrap();
    for id in &ids[100..150] {
        heap.put(&mut file.writer(), *id, &marked(9, 2900)).unwrap();
        model.insert(*id, marked(9, 2900));
    }
    file.commit().unwrap();
    check_clean(&file);
    drop(heap);
    // A close may find no room for its record; what was committed stays either way.
    if let Err(error) = file.close() {
        assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{error}");
    }
    let file = scene.open();
    assert!(contents(&file.heap("blocks").unwrap()) == model);
    check_clean(&file);
}

type Opened = (Scene, RegionFile, Heap, BlockId, BTreeMap<BlockId, Vec<u8>>);

fn prepared() -> Opened {
    let scene = Scene::fast();
    let file = scene.create();
    let heap = file.heap("blocks").unwrap();
    let id = heap.allocate_from(&mut file.writer(), &marked(1, 500)).unwrap();
    file.commit().unwrap();
    let model = contents(&heap);
    (scene, file, heap, id, model)
}

/// Grows tables, regions and the file; frees a region of its own; discards; closes.
fn work((_, file, heap, id, model): &mut Opened) -> pagestone_heap::Result<()> {
    let large = heap.allocate_from(&mut file.writer(), &marked(2, 1 << 20))?;
    model.insert(large, marked(2, 1 << 20));
    for seed in 0..4200 {
        let made = heap.allocate_from(&mut file.writer(), &marked(seed, 270))?;
        model.insert(made, marked(seed, 270));
    }
    file.commit()?;
    heap.put(&mut file.writer(), *id, &marked(3, 300_000))?;
    model.insert(*id, marked(3, 300_000));
    heap.free(&mut file.writer(), large)?;
    model.remove(&large);
    file.commit()?;
    heap.resize(&mut file.writer(), *id, 16)?;
    file.writer().discard()?;
    file.writer().set_root("root", *id)?;
    file.clone().close()
}

#[test]
fn every_call_that_fails_changes_nothing() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        let check = |(scene, file, heap, id, mut model): Opened,
                     done: pagestone_heap::Result<()>| {
            if let Err(error) = &done {
                let said = error.to_string();
                assert!(said.contains("file.pgs"), "{said}");
            }
            let found = contents(&heap);
            // A discard that could not be finished may have left the resized block.
            if found != model {
                model.insert(id, found[&id].clone());
            }
            assert!(found == model, "{done:?}: the newest state is what was answered");
            let poisoned = file.commit().is_err();
            drop((heap, file));
            let file = scene.open();
            let found = contents(&file.heap("blocks").unwrap());
            if !poisoned {
                assert!(found == model, "{done:?}: after a reopen too");
            }
            check_clean(&file);
        };
        let calls = Scenario { prepare: prepared, work, check }.fail_each_call(kind);
        assert!(12 < calls, "{calls} calls");
    }
}

#[test]
fn a_failed_sync_poisons_until_the_file_is_reopened() {
    for nth in 0.. {
        let mut opened = prepared();
        let plan = Plan::fail(nth, io::ErrorKind::Other).only(Call::Sync);
        let (done, trace) = watch(plan, || work(&mut opened));
        if !trace.failed {
            assert!(3 < nth, "{nth} syncs");
            return;
        }
        let (scene, file, heap, id, _) = opened;
        let kind = done.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Io | ErrorKind::CommitOutcomeUnknown), "{kind:?}");
        let check = |refused: pagestone_heap::Result<()>| {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        };
        check(heap.put(&mut file.writer(), id, b""));
        check(heap.allocate_from(&mut file.writer(), b"").map(drop));
        check(heap.free(&mut file.writer(), id));
        check(file.commit());
        check(file.clone().close());
        drop(contents(&heap));
        drop((heap, file));
        let file = scene.open();
        let heap = file.heap("blocks").unwrap();
        check_clean(&file);
        heap.put(&mut file.writer(), id, b"works again").unwrap();
        file.close().unwrap();
    }
}

/// Opens the file, for writing or reading, and tells the kind of the error.
#[test]
fn child_opens() {
    let Some(errand) = child::errand() else { return };
    let path = std::path::Path::new(&errand);
    let location = trusted(path.parent().unwrap()).file(path.file_name().unwrap());
    let locked = |result: pagestone_heap::Result<RegionFile>| {
        u64::from(result.is_err_and(|error| error.kind() == ErrorKind::Locked))
    };
    child::acknowledge(locked(options().open(location.clone())));
    child::acknowledge(locked(options().open_read_only(location)));
}

#[test]
fn a_second_process_is_locked_out() {
    let (scene, file, heap, id, _) = prepared();
    let errand = scene.path("file.pgs").to_str().unwrap().to_owned();
    let told = |expected: [u64; 2]| {
        let mut child = Child::start("refusals::child_opens", &errand);
        let answers = [child.told(), child.told()];
        assert_eq!(answers, expected.map(Some));
        child.end();
    };
    told([1, 0]);
    heap.put(&mut file.writer(), id, b"still ours").unwrap();
    drop(heap);
    file.close().unwrap();
    let readers = options().open_read_only(scene.at("file.pgs")).unwrap();
    told([0, 0]);
    drop(readers);
    told([0, 0]);
    let scratch = options().durability(Durability::Scratch);
    let readers = options().open_read_only(scene.at("file.pgs")).unwrap();
    assert_eq!(scratch.open(scene.at("file.pgs")).unwrap_err().kind(), ErrorKind::Locked);
    drop(readers);
    let scratch = scratch.open(scene.at("file.pgs")).unwrap();
    told([1, 1]);
    drop(scratch);
}
