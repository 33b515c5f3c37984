//! Every system call of a change of a log failed in turn: nothing lost, and the change works later.

use std::io::{self, Write};

use pagestone_heap::{BlockId, EntryWriter, ErrorKind, Log, RegionFile, Result};
use pagestone_storage::seam::{Plan, watch};
use rstest::rstest;

use crate::support::{Scene, check_clean, marked, options};

/// A change of the log of a file.
type Work = fn(&mut Log) -> Result<()>;

/// All contents, in the order of their bytes.
fn contents(log: &Log) -> Vec<Vec<u8>> {
    let pin = log.file().pin();
    let mut found: Vec<Vec<u8>> =
        log.ids(&pin).map(|id| log.get(&pin, id).unwrap().to_vec()).collect();
    found.sort_unstable();
    found
}

fn nth(log: &Log, nth: usize) -> BlockId {
    log.ids(&log.file().pin()).nth(nth).unwrap()
}

/// A file with a log that has garbage, and `left` bytes of room in its newest segment, closed.
fn base(scene: &Scene, left: u64) {
    let file = scene.create();
    let log = file.log("log").unwrap();
    let mut writer = file.writer();
    let mut ids = Vec::new();
    for seed in 0..40 {
        ids.push(log.add_with_room(&mut writer, &marked(seed, 30_000), 31_000).unwrap());
    }
    for id in ids.iter().step_by(3) {
        log.remove(&mut writer, *id).unwrap();
    }
    let newest = *log.segments(&mut writer).unwrap().last().unwrap();
    let len = newest.len - newest.used - 64 - left - 32;
    log.add(&mut writer, &marked(100, usize::try_from(len).unwrap())).unwrap();
    drop(writer);
    drop(log);
    file.close().unwrap();
}

fn open(scene: &Scene, name: &str) -> Log {
    options().open(scene.at(name)).unwrap().log("log").unwrap()
}

fn write(stream: Result<EntryWriter<'_, '_>>, len: usize) -> Result<()> {
    let mut stream = stream?;
    for piece in marked(7, len).chunks(100_000) {
        stream
            .write_all(piece)
            .map_err(|error| error.downcast::<pagestone_heap::Error>().unwrap())?;
    }
    stream.finish().map(drop)
}

/// Moves out of the oldest segment what lives there.
fn evacuate(log: &mut Log) -> Result<()> {
    let mut writer = log.file().writer();
    let oldest = log.segments(&mut writer)?[0].number;
    log.evacuate(&mut writer, (oldest, 0), |_| false).map(drop)
}

fn update_in_place(log: &mut Log) -> Result<()> {
    let id = nth(log, 3);
    assert!(log.in_place()?.update(id, (&marked(8, 30_500), 0))?);
    Ok(())
}

/// Says of a closure that it is one.
fn work(work: Work) -> Work {
    work
}

#[rstest]
#[case::add(100, work(|log| log.add(&mut log.file().writer(), &marked(7, 5000)).map(drop)))]
#[case::add_long(100, work(|log| log.add(&mut log.file().writer(), &marked(7, 1_200_000)).map(drop)))]
#[case::update(100, work(|log| log.update(&mut log.file().writer(), nth(log, 3), &marked(7, 200))))]
#[case::remove(16, work(|log| log.remove(&mut log.file().writer(), nth(log, 3))))]
#[case::stream(700_000, work(|log| write(log.add_stream(&mut log.file().writer()), 600_000)))]
#[case::stream_apart(100, work(|log| write(log.add_stream(&mut log.file().writer()), 1_500_000)))]
#[case::stream_that_moves(700_000, work(|log| {
    write(log.update_stream(&mut log.file().writer(), nth(log, 3)), 1_500_000)
}))]
#[case::in_place(100, work(update_in_place))]
#[case::evacuate(100, work(evacuate))]
#[case::evacuate_and_commit(100, work(|log| {
    evacuate(log)?;
    log.file().commit()
}))]
fn each_call_of(
    #[case] left: u64,
    #[case] work: Work,
    #[values(Plan::fail, Plan::fail_from)] plan: fn(u64, io::ErrorKind) -> Plan,
) {
    let scene = Scene::fast();
    base(&scene, left);
    scene.copy("after.pgs");
    let mut log = open(&scene, "after.pgs");
    let before = contents(&log);
    work(&mut log).unwrap();
    let after = contents(&log);
    drop(log);
    for call in 0.. {
        scene.copy("tried.pgs");
        let mut log = open(&scene, "tried.pgs");
        let (done, trace) = watch(plan(call, io::ErrorKind::StorageFull), || work(&mut log));
        if !trace.failed {
            assert!(0 < call, "no call to fail");
            return;
        }
        let about = format!("call {call}: {done:?}");
        let found = contents(&log);
        assert!(found == if done.is_ok() { after.clone() } else { before.clone() }, "{about}");
        let poisoned = log.file().commit().is_err_and(|error| error.kind() == ErrorKind::Poisoned);
        if let Err(error) = &done
            && !poisoned
        {
            assert!(matches!(error.kind(), ErrorKind::OutOfSpace | ErrorKind::Io), "{about}");
            check_clean(log.file());
            work(&mut log).unwrap();
            assert!(contents(&log) == after, "{about}: later");
            check_clean(log.file());
        }
        let shown = contents(&log);
        drop(log);
        let log = open(&scene, "tried.pgs");
        let found = contents(&log);
        assert!(found == shown || poisoned && (found == before || found == after), "{about}");
        check_clean(log.file());
        let file: RegionFile = log.file().clone();
        drop(log);
        file.close().unwrap();
    }
}
