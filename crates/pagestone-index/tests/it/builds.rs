//! Builds: several threads, little memory, duplicates, failures at every call, left-overs.

use std::{collections::BTreeSet, io};

use pagestone_index::{ErrorKind, Record, Table, TableBuilder, TableOptions};
use pagestone_storage::seam::{Call, Event, Plan, watch};
use pagestone_testkit::child::{self, Child};

use crate::{
    lookups::check_table,
    support::{Dir, Row, build, build_with, rows},
};

#[track_caller]
fn check_kind<T: std::fmt::Debug>(result: pagestone_index::Result<T>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn writers_of_several_threads_make_one_table() {
    let (dir, rows) = (Dir::new(), rows(40_000));
    let builder = Table::<Row>::builder(dir.trusted()).unwrap();
    std::thread::scope(|scope| {
        for share in rows.chunks(rows.len() / 3 + 1) {
            let mut writer = builder.writer();
            scope.spawn(move || {
                writer.extend(share).unwrap();
                writer.finish().unwrap();
            });
        }
    });
    let table = builder.seal().unwrap();
    assert_eq!(table.len(), 40_000);
    let places: Vec<u64> = table.iter().map(|row| row.unwrap().place.get()).collect();
    assert!(places.is_sorted());
    for row in &rows {
        assert_eq!(table.by(Row::ID).get(row.id.get()).unwrap(), Some(*row));
    }
    let found: BTreeSet<u64> = table.iter().map(|row| row.unwrap().id.get()).collect();
    assert_eq!(found.len(), rows.len());
}

#[test]
fn a_writer_that_was_dropped_counts_and_one_that_lives_is_waited_for() {
    let dir = Dir::new();
    let builder = Table::<Row>::builder(dir.trusted()).unwrap();
    let mut writer = builder.writer();
    writer.append(&Row::new(1, 1)).unwrap();
    drop(writer);
    let table = builder.seal().unwrap();
    assert_eq!(table.len(), 1);
    let builder = TableOptions::new().replace::<Row>(dir.trusted()).unwrap();
    let writer = builder.writer();
    check_kind(builder.seal(), ErrorKind::InvalidArgument, "has not finished");
    drop(writer);
    assert_eq!(Table::<Row>::open(dir.trusted()).unwrap().version(), 1);
}

#[test]
fn rows_that_could_not_be_kept_are_not_left_out_in_silence() {
    let dir = Dir::new();
    let builder = Table::<Row>::builder(dir.trusted()).unwrap();
    let mut writer = builder.writer();
    // Enough that some are written before the seal, which the last ones are not.
    let append = || {
        let appended = (0..500_000).try_for_each(|n| writer.append(&Row::new(n, n)));
        drop(writer);
        appended
    };
    let (appended, trace) = watch(Plan::fail(0, io::ErrorKind::StorageFull), append);
    assert!(trace.failed);
    check_kind(appended, ErrorKind::OutOfSpace, "");
    check_kind(builder.seal(), ErrorKind::InvalidArgument, "rows are missing");
    assert!(dir.names().is_empty());
}

#[test]
fn a_table_larger_than_its_memory() {
    let (other, rows) = (Dir::new(), rows(60_000));
    let in_memory = build(&other, &rows);
    // 4 MiB of rows go through parts; keys through several passes, through parts where those were
    // too many, and where too many rows have one key for a pass.
    for memory in [1 << 20, 200 << 10, 100 << 10] {
        let dir = Dir::new();
        let table = build_with(&dir, &rows, TableOptions::new().memory(memory).threads(2));
        assert_eq!(table.len(), 60_000);
        assert!(table.iter().map(Result::unwrap).eq(in_memory.iter().map(Result::unwrap)));
        let orders = |table: &Table<Row>| {
            let id = table.by(Row::ID).range(..).unwrap().indexes();
            let score = table.by(Row::SCORE).range(..).unwrap().indexes();
            let group = table.by(Row::GROUP).range(..).unwrap().indexes();
            let tag = table.by(Row::TAG).range(..).unwrap().indexes();
            let name = table.by(Row::NAME).range(..).unwrap().indexes();
            [id, score, group, tag, name].map(|order| order.map(Result::unwrap).collect::<Vec<_>>())
        };
        assert!(orders(&table) == orders(&in_memory), "{memory}");
        table.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
    }
}

#[test]
fn duplicates_are_found_whatever_the_memory() {
    let mut rows = rows(20_000);
    rows.push(Row { place: 1_000_000.into(), ..rows[777] });
    for memory in [1 << 20, 100 << 10, 10 << 10] {
        let dir = Dir::new();
        let options = TableOptions::new().memory(memory);
        let mut builder = options.create::<Row>(dir.trusted()).unwrap();
        builder.extend(&rows).unwrap();
        let one = "1 of its keys are on several rows";
        check_kind(builder.seal(), ErrorKind::Duplicate, one);
        assert!(dir.names().is_empty());
    }
}

#[test]
fn duplicates_are_refused_with_their_keys_and_rows() {
    let dir = Dir::new();
    let mut builder = Table::<Row>::builder(dir.trusted()).unwrap();
    let ids = [5u64, 7, 5, 8, 7, 5, 9];
    builder.extend((0..).zip(ids).map(|(place, id)| Row::new(place, id))).unwrap();
    let error = builder.seal().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Duplicate);
    let text = error.to_string();
    assert!(text.contains("index `id` is unique, and 2 of its keys"), "{text}");
    assert!(text.contains("5 on rows {0, 2, 5}; 7 on rows {1, 4}"), "{text}");
    assert!(dir.names().is_empty(), "{:?}", dir.names());
    check_kind(Table::<Row>::open(dir.trusted()), ErrorKind::NotFound, "no manifest");
}

#[derive(Debug, Record)]
#[repr(C)]
#[index(canonical, unique, both(high, low))]
struct Pair {
    high: u32,
    low: u32,
}

#[test]
fn duplicates_of_a_canonical_key_and_at_the_ends_of_blocks() {
    let dir = Dir::new();
    let mut builder = Table::<Pair>::builder(dir.trusted()).unwrap();
    let pairs = [(2, 1), (1, 2), (1, 1), (1, 2)].map(|(high, low)| Pair { high, low });
    builder.extend(&pairs).unwrap();
    let kind = ErrorKind::Duplicate;
    check_kind(
        builder.seal(),
        kind,
        "index `both` is unique, and 1 of its keys are on several rows: 1, 2 on rows {1, 2}",
    );
    // Entries of 12 bytes are looked at in blocks of a megabyte, of 87,381 entries.
    let dir = Dir::new();
    let mut builder = Table::<Row>::builder(dir.trusted()).unwrap();
    let id = |number| if number == 87_381 { 87_380 } else { number };
    builder.extend((0..90_000).map(|number| Row::new(number, id(number)))).unwrap();
    check_kind(builder.seal(), kind, "87380 on rows {87380, 87381}");
}

#[test]
fn one_builder_at_a_time_and_no_table_is_built_over() {
    let dir = Dir::new();
    let builder = Table::<Row>::builder(dir.trusted()).unwrap();
    check_kind(Table::<Row>::builder(dir.trusted()), ErrorKind::Locked, "somebody else builds");
    builder.seal().unwrap();
    check_kind(Table::<Row>::builder(dir.trusted()), ErrorKind::AlreadyExists, "published");
}

#[test]
fn a_published_version_stays_with_those_that_have_it() {
    let (dir, old, new) = (Dir::new(), rows(300), rows(200));
    let first = build(&dir, &old);
    let second = build(&dir, &new);
    assert_eq!((first.version(), second.version()), (1, 2));
    check_table(&second, &new);
    check_table(&first, &old);
    drop(first);
    let names = dir.names();
    assert!(names.iter().all(|name| name == "manifest" || name.contains(".2.")), "{names:?}");
}

#[test]
fn left_overs_of_a_killed_build_are_removed_by_the_next() {
    let (dir, old) = (Dir::new(), rows(50));
    build(&dir, &old);
    let kept = dir.names();
    for name in [
        "rows.9.rec",
        "rows.9.rec.meta",
        "rows.9.rec.lock",
        ".rows.9.rec.new",
        "key-3.9.idx",
        ".key-3.9.idx.part0",
        ".key-3.9.idx.meta.new",
        "rows.1.rec.lock",
    ] {
        std::fs::write(dir.table().join(name), b"left").unwrap();
    }
    let own = dir.table().join("rows.of.mine");
    std::fs::write(&own, b"mine").unwrap();
    check_table(&Table::open(dir.trusted()).unwrap(), &old);
    let builder = TableOptions::new().replace::<Row>(dir.trusted()).unwrap();
    drop(builder);
    let mut names = dir.names();
    names.retain(|name| name != "rows.of.mine");
    assert_eq!(names, kept);
    assert!(own.exists());
    assert_eq!(build(&dir, &old).version(), 2);
}

fn sealed(builder: TableBuilder<Row>, rows: &[Row]) -> pagestone_index::Result<Table<Row>> {
    let mut builder = builder;
    builder.extend(rows)?;
    builder.seal()
}

/// Every call of a build fails once, or every call from some one on, as after a kill there or on
/// a full disk: what opens is the old table or the new one, whole.
fn fail_each_call(kind: io::ErrorKind, is_lasting: bool) {
    let (old, new) = (rows(40), rows(70));
    for nth in 0.. {
        let dir = Dir::new();
        build(&dir, &old);
        let plan = if is_lasting { Plan::fail_from(nth, kind) } else { Plan::fail(nth, kind) };
        let (answer, trace) = watch(plan, || {
            sealed(TableOptions::new().memory(1 << 20).replace(dir.trusted())?, &new)
        });
        if !trace.failed {
            assert!(50 < nth, "{nth} calls");
            return;
        }
        let table = Table::<Row>::open(dir.trusted()).unwrap();
        match (answer, table.version()) {
            (Ok(_) | Err(_), 2) => assert_eq!(table.len(), 70, "call {nth}"),
            (Err(_), 1) => assert_eq!(table.len(), 40, "call {nth}"),
            (answer, version) => panic!("call {nth}: version {version} after {answer:?}"),
        }
        table.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
        // The next build finds nothing in its way and leaves nothing of the failed one.
        assert_eq!(build(&dir, &new).len(), 70);
        let version = Table::<Row>::open(dir.trusted()).unwrap().version();
        let stays = |name: &String| name == "manifest" || name.contains(&format!(".{version}."));
        assert!(dir.names().iter().all(stays), "call {nth}: {:?}", dir.names());
    }
}

#[test]
fn any_call_may_fail() {
    fail_each_call(io::ErrorKind::Other, false);
}

#[test]
fn a_build_may_be_killed_at_any_call() {
    fail_each_call(io::ErrorKind::Other, true);
}

#[test]
fn a_disk_may_fill_at_any_call() {
    fail_each_call(io::ErrorKind::StorageFull, true);
}

/// After each rename, and before it, a build ends as by a kill: of its names those of the older
/// version count, or those of the new one, and the last rename decides.
#[test]
fn the_last_rename_of_a_build_makes_it_current() {
    let (old, new) = (rows(20), rows(30));
    let renames = |trace: &pagestone_storage::seam::Trace| {
        trace.events.iter().filter(|event| **event == Event::Call(Call::Rename)).count() as u64
    };
    let dir = Dir::new();
    build(&dir, &old);
    let rebuild = || sealed(TableOptions::new().replace(dir.trusted())?, &new);
    let (built, trace) = watch(Plan::record(), rebuild);
    built.unwrap();
    let count = renames(&trace);
    assert!(7 <= count, "a sidecar of each of six files, and the manifest: {count}");
    for nth in 0..count {
        let dir = Dir::new();
        build(&dir, &old);
        let plan = Plan::fail_from(nth, io::ErrorKind::Other).only(Call::Rename);
        let (answer, _) = watch(plan, || sealed(TableOptions::new().replace(dir.trusted())?, &new));
        answer.unwrap_err();
        check_table(&Table::open(dir.trusted()).unwrap(), &old);
    }
}

#[test]
fn a_process_that_seals_may_be_killed_at_any_moment() {
    if let Some(path) = child::errand() {
        for count in 1u64.. {
            let path = std::path::Path::new(&path);
            let mut builder = TableOptions::new().replace::<Row>(path).unwrap();
            builder.extend((0..count).map(|id| Row::new(id, id))).unwrap();
            child::acknowledge(builder.seal().unwrap().version());
        }
        return;
    }
    let dir = Dir::new();
    build(&dir, &[]);
    let mut first = 1;
    for round in 0..8 {
        let test = "builds::a_process_that_seals_may_be_killed_at_any_moment";
        let mut child = Child::start(test, dir.table().to_str().unwrap());
        for _ in 0..=round % 3 {
            child.told().unwrap();
        }
        let told = child.kill(round * 31).unwrap();
        let table = Table::<Row>::open(dir.trusted()).unwrap();
        // The version that was told of, or the one behind it.
        assert!((told..=told + 1).contains(&table.version()), "{told}, {}", table.version());
        let expected: Vec<Row> = (0..table.len()).map(|id| Row::new(id, id)).collect();
        check_table(&table, &expected);
        table.verify(|_| std::ops::ControlFlow::Continue(())).unwrap();
        assert!(first < table.version());
        first = table.version();
        // The next builder removes what the kill left.
        drop(TableOptions::new().replace::<Row>(dir.trusted()).unwrap());
        let stays = |name: &String| name == "manifest" || name.contains(&format!(".{first}."));
        assert!(dir.names().iter().all(stays), "{:?}", dir.names());
    }
}
