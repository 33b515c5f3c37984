//! Every system call of a scripted operation failed in turn: old or new, told, and open again.

use std::{
    io::{self, Seek, Write},
    sync::LazyLock,
};

use pagestone_heap::{
    BlockId, BlockWriter, ErrorKind, Heap, HeapOptions, RegionFile, Result, Shrink, Verify,
};
use pagestone_storage::seam::{Call, Event, Plan, Trace, watch};
use rstest::rstest;

use crate::crash::{model::Contents, place::Place, session::Manner, view::contents};

const OVER: usize = 300_000;

/// One operation on an open file.
type Work = fn(&RegionFile) -> Result<()>;

/// Says of a closure that it is one.
fn work(work: Work) -> Work {
    work
}

fn blocks(file: &RegionFile) -> Heap {
    file.heap_with("blocks", HeapOptions::new().checksums(true)).unwrap()
}

fn nth(file: &RegionFile, nth: u64) -> BlockId {
    blocks(file).nth(&file.pin(), nth).unwrap().unwrap()
}

fn allocate(file: &RegionFile, len: usize) -> Result<()> {
    blocks(file).allocate_from(&mut file.writer(), &vec![7; len]).map(drop)
}

/// Writes as many bytes, with a gap, and tells the crate's own error.
fn write(out: &mut BlockWriter<'_, '_>, len: usize) -> io::Result<()> {
    out.write_all(&vec![5; len / 3])?;
    out.seek(io::SeekFrom::Current(1000))?;
    out.write_all(&vec![6; len - len / 3 - 1000])
}

fn stream(file: &RegionFile, len: usize) -> Result<()> {
    let done = blocks(file).allocate_by(&mut file.writer(), |out| write(out, len));
    done.map(drop).map_err(|error| error.downcast().unwrap())
}

fn stream_over(file: &RegionFile, len: usize) -> Result<()> {
    let id = nth(file, 0);
    let done = blocks(file).put_by(&mut file.writer(), id, |out| write(out, len));
    done.map_err(|error| error.downcast().unwrap())
}

static BASE: LazyLock<(Vec<u8>, Contents)> = LazyLock::new(base);

/// A file with a small, a large and an oversize block, closed; the bytes and what they hold.
fn base() -> (Vec<u8>, Contents) {
    let mut place = Place::new();
    let file = Manner::PLAIN.options().create(place.at()).unwrap();
    for len in [20, 20_000, OVER] {
        allocate(&file, len).unwrap();
    }
    let found = contents(&file).unwrap();
    file.close().unwrap();
    place.look();
    (place.bytes().to_vec(), found)
}

/// The same, opened, with a change that was not committed if one is asked for.
fn prepare(bytes: &[u8], change: Option<Work>) -> (Place, RegionFile) {
    let mut place = Place::new();
    place.install(bytes);
    let file = Manner::PLAIN.options().open(place.at()).unwrap();
    if let Some(change) = change {
        change(&file).unwrap();
    }
    (place, file)
}

/// What a discard after the change goes back to.
fn committed(bytes: &[u8], change: Option<Work>) -> Contents {
    let (_place, file) = prepare(bytes, change);
    file.writer().discard().unwrap();
    contents(&file).unwrap()
}

/// The call that the plan failed.
fn failed_call(trace: &Trace, nth: u64) -> (Call, usize) {
    let calls = trace.events.iter().filter_map(|event| match event {
        Event::Call(call) => Some(*call),
        _ => None,
    });
    let calls: Vec<Call> = calls.collect();
    let at = usize::try_from(nth).unwrap();
    let syncs = calls[..at].iter().filter(|call| **call == Call::Sync).count();
    (calls[at], syncs)
}

/// How calls fail, and with what.
type Fault = (fn(u64, io::ErrorKind) -> Plan, io::ErrorKind);

const FULL_ONCE: Fault = (Plan::fail, io::ErrorKind::StorageFull);
const FULL_FOR_GOOD: Fault = (Plan::fail_from, io::ErrorKind::StorageFull);
const BROKEN_ONCE: Fault = (Plan::fail, io::ErrorKind::Other);

/// Runs `work` with its first call failed, then its second, until it makes no more.
fn each_call(change: Option<Work>, work: Work, (plan, kind): Fault) {
    let (bytes, _) = &*BASE;
    let (_place, file) = prepare(bytes, change);
    let before = contents(&file).unwrap();
    let committed = committed(bytes, change);
    work(&file).unwrap();
    let after = contents(&file).unwrap();
    drop(file);
    for nth in 0.. {
        let (place, file) = prepare(bytes, change);
        let (done, trace) = watch(plan(nth, kind), || work(&file));
        if !trace.failed {
            return;
        }
        let (call, syncs) = failed_call(&trace, nth);
        let about = format!("call {nth}, {call:?} after {syncs} syncs, {kind:?}: {done:?}");
        let found = contents(&file).unwrap();
        assert!(found == before || found == after, "{about}");
        let next = allocate(&file, 10);
        let poisoned = next.as_ref().is_err_and(|error| error.kind() == ErrorKind::Poisoned);
        match &done {
            Ok(()) => assert!(found == after && next.is_ok(), "{about}"),
            Err(error) => {
                // Where every later call fails too, the one that poisons may be a later one.
                let later = format!("{error:?}").contains(", Sync\"");
                let poisons = matches!(call, Call::Sync | Call::Stat) || later;
                assert_eq!(poisoned, poisons, "{about}");
                let unknown = error.kind() == ErrorKind::CommitOutcomeUnknown;
                assert!(!unknown || poisoned, "{about}");
                if kind == io::ErrorKind::StorageFull && !poisoned {
                    assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{about}");
                }
            }
        }
        if !poisoned {
            next.unwrap();
            assert!(file.verify(Verify::new()).unwrap().is_clean(), "{about}");
        }
        let shown = contents(&file).unwrap();
        drop(file);
        let expected = if poisoned { vec![&committed, &after] } else { vec![&shown] };
        check_reopened(&place, &expected, &about);
    }
}

/// The file opens, shows one of these, and is of use.
#[track_caller]
fn check_reopened(place: &Place, expected: &[&Contents], about: &str) {
    let open = || Manner::PLAIN.options().open(place.at()).unwrap();
    let file = open();
    let found = contents(&file).unwrap();
    assert!(expected.contains(&&found), "{about}: another state");
    assert!(file.verify(Verify::new()).unwrap().is_clean(), "{about}");
    drop(file);
    let file = open();
    assert!(contents(&file).unwrap() == found, "{about}: the second open");
    allocate(&file, OVER).unwrap();
    allocate(&file, 50).unwrap();
    file.commit().unwrap();
    let found = contents(&file).unwrap();
    assert!(file.verify(Verify::new()).unwrap().is_clean(), "{about}");
    file.close().unwrap();
    assert!(contents(&open()).unwrap() == found, "{about}: after a close");
}

const CHANGE: Option<Work> = Some(|file| {
    let heap = blocks(file);
    let (first, last) = (nth(file, 0), nth(file, 2));
    let mut writer = file.writer();
    heap.put(&mut writer, first, &[1; 300])?;
    heap.free(&mut writer, last)?;
    heap.allocate_from(&mut writer, &[2; OVER])?;
    writer.set_root("root", first)
});

/// So much that the next block needs another region.
const FULL: Option<Work> = Some(|file| (0..4).try_for_each(|_| allocate(file, 240_000)));

/// A commit that freed a region, and a change.
const COMMITTED: Option<Work> = Some(|file| {
    let heap = blocks(file);
    heap.free(&mut file.writer(), nth(file, 2))?;
    file.commit()?;
    heap.put(&mut file.writer(), nth(file, 0), &[3; 30])
});

/// Several regions with much free space, of which no two can be one.
const HALF_FREE: Option<Work> = Some(|file| {
    let heap = blocks(file);
    let mut writer = file.writer();
    let ids: Result<Vec<_>> =
        (0..18).map(|_| heap.allocate_from(&mut writer, &vec![6; 60_000])).collect();
    for (nth, id) in ids?.into_iter().enumerate() {
        if nth % 5 < 3 {
            heap.free(&mut writer, id)?;
        }
    }
    writer.commit()
});

#[rstest]
#[case::allocate(None, work(|file| allocate(file, 100)))]
#[case::allocate_oversize(None, work(|file| allocate(file, OVER)))]
#[case::allocate_oversize_later(CHANGE, work(|file| allocate(file, OVER)))]
#[case::stream(None, work(|file| stream(file, 2_000_000)))]
#[case::stream_later(CHANGE, work(|file| stream(file, OVER)))]
#[case::stream_over_a_block(COMMITTED, work(|file| stream_over(file, 1_500_000)))]
#[case::short_stream(FULL, work(|file| stream(file, 240_000)))]
#[case::grow(FULL, work(|file| allocate(file, 240_000)))]
#[case::make_a_heap(None, work(|file| file.heap("more").map(drop)))]
#[case::free_oversize(None, work(|file| blocks(file).free(&mut file.writer(), nth(file, 2))))]
#[case::commit(CHANGE, work(|file| file.writer().commit()))]
#[case::commit_shared(CHANGE, work(RegionFile::commit))]
#[case::discard(CHANGE, work(|file| file.writer().discard()))]
#[case::close(CHANGE, work(|file| file.clone().close()))]
#[case::shrink(CHANGE, work(|file| file.shrink(Shrink::new()).map(drop)))]
#[case::shrink_committed(COMMITTED, work(|file| file.shrink(Shrink::new()).map(drop)))]
#[case::shrink_half_free(HALF_FREE, work(|file| file.shrink(Shrink::new()).map(drop)))]
#[case::commit_again(COMMITTED, work(|file| file.writer().commit()))]
fn each_call_of(
    #[case] change: Option<Work>,
    #[case] work: Work,
    #[values(FULL_ONCE, BROKEN_ONCE, FULL_FOR_GOOD)] (plan, kind): Fault,
) {
    each_call(change, work, (plan, kind));
}

#[rstest]
fn each_call_of_an_open(
    #[values(None, CHANGE)] change: Option<Work>,
    #[values(false, true)] other_file: bool,
    #[values(FULL_ONCE, BROKEN_ONCE, FULL_FOR_GOOD)] (plan, kind): Fault,
) {
    let (bytes, committed) = &*BASE;
    for nth in 0.. {
        let (mut place, file) = prepare(bytes, change);
        let newest = contents(&file).unwrap();
        drop(file);
        if other_file {
            place.look();
            let bytes = place.bytes().to_vec();
            place.remove();
            place.install(&bytes);
        }
        let open = || Manner::PLAIN.options().open(place.at());
        let (opened, trace) = watch(plan(nth, kind), open);
        let about = format!("call {nth}, {kind:?}: {:?}", opened.as_ref().map(|_| ()));
        let failed = trace.failed;
        drop(opened);
        check_reopened(&place, &[committed, &newest], &about);
        if !failed {
            break;
        }
    }
}

#[rstest]
fn each_call_of_a_creation(#[values(FULL_ONCE, BROKEN_ONCE, FULL_FOR_GOOD)] (plan, kind): Fault) {
    for nth in 0.. {
        let place = Place::new();
        let create = || Manner::PLAIN.options().create(place.at());
        let (created, trace) = watch(plan(nth, kind), create);
        if !trace.failed {
            break;
        }
        if created.is_err() {
            let again = create();
            assert!(again.is_ok(), "call {nth}: {created:?}, then {again:?}");
        }
        drop(created);
        check_reopened(&place, &[&Contents::default()], &format!("call {nth}"));
    }
}

#[test]
fn a_failed_sync_poisons_and_the_second_of_a_commit_leaves_it_unknown() {
    let (bytes, committed) = &*BASE;
    for (nth, expected) in [(0, ErrorKind::Io), (1, ErrorKind::CommitOutcomeUnknown)] {
        let (place, file) = prepare(bytes, CHANGE);
        let after = contents(&file).unwrap();
        let plan = Plan::fail(nth, io::ErrorKind::Other).only(Call::Sync);
        let (done, trace) = watch(plan, || file.writer().commit());
        assert!(trace.failed);
        assert_eq!(done.unwrap_err().kind(), expected);
        let poisoned = |done: Result<()>| {
            assert_eq!(done.unwrap_err().kind(), ErrorKind::Poisoned);
        };
        poisoned(allocate(&file, 1));
        poisoned(file.writer().commit());
        poisoned(file.commit());
        poisoned(file.writer().discard());
        poisoned(file.clone().close());
        assert!(contents(&file).unwrap() == after, "reads go on");
        drop(file);
        check_reopened(&place, &[committed, &after], "poisoned");
    }
}
