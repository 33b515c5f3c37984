//! Versions that become current by a region file's commit, together with a block of a heap:
//! refusals, kills, power losses and failures at every step.

use std::{io, ops::ControlFlow, path::PathBuf};

use pagestone_heap::{BlockId, FileOptions, RegionFile, Unclean, Writer};
use pagestone_index::{AtRoot, ErrorKind, Record, Relation, Sealed, Table, TableOptions};
use pagestone_storage::{
    TrustedDir,
    le::U64,
    seam::{Call, Event, Machine, Plan, Trace, set_machine, watch},
};
use pagestone_testkit::{
    child::{self, Child},
    images::{Device, Mix},
    random::Random,
};

use crate::support::{Dir, build, rows};

/// A row of few files.
#[derive(Debug, Clone, Copy, PartialEq, Record)]
#[repr(C)]
struct Row {
    #[index(canonical)]
    place: U64,
    #[index(unique)]
    id: U64,
}

impl Row {
    fn new(place: u64, id: u64) -> Self {
        Self { place: place.into(), id: id.into() }
    }
}

const ROOT: &str = "rows";
const MACHINE: Machine = Machine { boot: [7, 7], mount: 7 };
const AFTER_POWER_LOSS: Machine = Machine { boot: [8, 8], mount: 7 };

/// A short range of addresses: some memory is kept for all of it.
fn options() -> FileOptions {
    RegionFile::options().reserve(1 << 28)
}

/// A directory with a region file beside a directory of a table.
struct Place {
    dir: Dir,
}

impl Place {
    fn new() -> Self {
        Self { dir: Dir::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.table().with_file_name(name)
    }

    fn file(&self, name: &str) -> pagestone_storage::Location {
        trusted(&self.path("")).file(name)
    }

    fn create(&self) -> RegionFile {
        options().create(self.file("app.pgs")).unwrap()
    }

    fn open(&self) -> RegionFile {
        options().open(self.file("app.pgs")).unwrap()
    }

    fn open_in(&self, file: &RegionFile) -> pagestone_index::Result<Table<Row>> {
        TableOptions::new().open_in(self.dir.trusted(), at(file))
    }

    /// A table of so many rows that nothing names.
    fn seal(&self, file: &RegionFile, round: u64) -> pagestone_index::Result<Sealed<Table<Row>>> {
        let mut builder = TableOptions::new().build_in::<Row>(self.dir.trusted(), at(file))?;
        builder.extend((0..round).map(|id| Row::new(id, id)))?;
        builder.seal_unpublished()
    }

    /// What a region file and the directory show together.
    fn shown(&self, file: &RegionFile) -> (Option<u64>, Option<u64>) {
        let table = match self.open_in(file) {
            Ok(table) => {
                table.verify(|_| ControlFlow::Continue(())).unwrap();
                Some(table.len())
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                assert!(file.root(ROOT).is_none(), "files of a named version are gone: {error}");
                None
            }
        };
        (table, block(file))
    }

    fn versions(&self) -> Vec<u64> {
        let names = self.dir.names();
        let rows = names.iter().filter_map(|name| {
            name.strip_prefix("rows.")?.strip_suffix(".rec")?.parse::<u64>().ok()
        });
        rows.collect()
    }
}

fn trusted(path: &std::path::Path) -> TrustedDir {
    #[expect(unsafe_code, reason = "the directory is this test's own")]
    // SAFETY: nobody else knows the temporary directory.
    unsafe {
        TrustedDir::assert(path)
    }
}

fn at(file: &RegionFile) -> AtRoot<'_> {
    AtRoot { file, root: ROOT }
}

/// Puts a number into a block of a heap.
fn put_block(writer: &mut Writer<'_>, round: u64) -> pagestone_heap::Result<()> {
    let heap = writer.heap("notes")?;
    let bytes = round.to_le_bytes();
    if let Some(id) = writer.file().root("note") {
        return heap.put(writer, id, &bytes);
    }
    let id = heap.allocate_from(writer, &bytes)?;
    writer.set_root("note", id)
}

fn block(file: &RegionFile) -> Option<u64> {
    let id = file.root("note")?;
    let heap = file.heap("notes").unwrap();
    Some(heap.read(id, |bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap())
}

/// A block and a table of this round, in one commit.
fn publish(place: &Place, file: &RegionFile, round: u64) {
    let sealed = place.seal(file, round).unwrap();
    let mut writer = file.writer();
    put_block(&mut writer, round).unwrap();
    sealed.publish_in(&mut writer).unwrap();
    writer.commit().unwrap();
}

#[track_caller]
fn check_kind<T: std::fmt::Debug>(result: pagestone_index::Result<T>, kind: ErrorKind, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn a_version_is_current_when_it_is_published_and_lasts_when_it_is_committed() {
    let place = Place::new();
    let file = place.create();
    check_kind(place.open_in(&file), ErrorKind::NotFound, "no manifest");
    let sealed = place.seal(&file, 3).unwrap();
    check_kind(place.open_in(&file), ErrorKind::NotFound, "there is no root");
    assert_eq!(sealed.get().by(Row::ID).get(2).unwrap(), Some(Row::new(2, 2)));
    let first = sealed.publish_in(&mut file.writer()).unwrap();
    assert_eq!(place.open_in(&file).unwrap().len(), 3);
    file.commit().unwrap();
    publish(&place, &file, 5);
    let reader = options().open_read_only(place.file("app.pgs")).unwrap();
    let second = place.seal(&file, 8).unwrap().publish_in(&mut file.writer()).unwrap();
    assert_eq!(place.shown(&file), (Some(8), Some(5)));
    assert_eq!(place.shown(&reader), (Some(5), Some(5)), "not committed yet");
    file.writer().discard().unwrap();
    assert_eq!(place.shown(&file), (Some(5), Some(5)));
    assert_eq!((first.len(), second.len()), (3, 8), "who has a version keeps it");
    check_kind(
        place.open_in(&reader).map(drop).and(place.seal(&reader, 1)),
        ErrorKind::ReadOnly,
        "",
    );
    publish(&place, &file, 9);
    assert_eq!(place.shown(&reader), (Some(9), Some(9)));
    file.close().unwrap();
    let file = place.open();
    assert_eq!(place.shown(&file), (Some(9), Some(9)));
}

#[test]
fn files_stay_until_the_commit_that_makes_others_current() {
    let place = Place::new();
    let file = place.create();
    publish(&place, &file, 1);
    assert_eq!(place.versions(), [1]);
    place.seal(&file, 2).unwrap().publish_in(&mut file.writer()).unwrap();
    // Not committed: a power loss brings the first version back, whatever was built since.
    for round in [3, 4] {
        place.seal(&file, round).unwrap().publish_in(&mut file.writer()).unwrap();
    }
    assert_eq!(place.versions(), [1, 2, 3, 4]);
    drop(place.seal(&file, 9).unwrap());
    assert_eq!(place.versions(), [1, 2, 3, 4], "what was sealed and dropped is gone");
    file.commit().unwrap();
    drop(place.seal(&file, 5).unwrap());
    assert_eq!(place.versions(), [4]);
    // A name that was taken away may come back, too.
    file.writer().remove_root(ROOT).unwrap();
    place.seal(&file, 6).unwrap().publish_in(&mut file.writer()).unwrap();
    assert_eq!(place.versions(), [4, 5]);
    file.writer().discard().unwrap();
    assert_eq!(place.open_in(&file).unwrap().len(), 4);
}

#[test]
fn directories_and_roots_of_something_else_are_refused() {
    let place = Place::new();
    let file = place.create();
    publish(&place, &file, 2);
    let directory = || place.dir.trusted();
    // By no way but the root is the directory read or built in.
    check_kind(Table::<Row>::open(directory()), ErrorKind::Foreign, "\"rows\" of a region file");
    check_kind(Table::<Row>::builder(directory()), ErrorKind::Foreign, "open_in");
    check_kind(TableOptions::new().replace::<Row>(directory()), ErrorKind::Foreign, "open_in");
    check_kind(TableOptions::new().append_to::<Row>(directory()), ErrorKind::Foreign, "open_in");
    check_kind(Relation::open(directory()), ErrorKind::Foreign, "open_in");
    let other = AtRoot { file: &file, root: "others" };
    check_kind(
        TableOptions::new().open_in::<Row>(directory(), other),
        ErrorKind::Foreign,
        "others",
    );
    check_kind(TableOptions::new().build_in::<Row>(directory(), other), ErrorKind::Foreign, "rows");
    check_kind(
        TableOptions::new().open_relation_in(directory(), at(&file)),
        ErrorKind::Foreign,
        "",
    );
    let stranger = options().in_memory().unwrap();
    check_kind(place.seal(&stranger, 1), ErrorKind::Foreign, "directory of the root");
    let sealed = place.seal(&file, 1).unwrap();
    check_kind(place.seal(&file, 1), ErrorKind::Locked, "somebody else builds");
    check_kind(sealed.publish_in(&mut stranger.writer()), ErrorKind::InvalidArgument, "another");
    // A root that is a block of another heap stays.
    let sealed = place.seal(&file, 1).unwrap();
    let note = file.root("note").unwrap();
    file.writer().set_root(ROOT, note).unwrap();
    check_kind(sealed.publish_in(&mut file.writer()), ErrorKind::Foreign, "names no table");
    check_kind(place.open_in(&file), ErrorKind::Foreign, "names no table");
    file.writer().set_root(ROOT, BlockId::from_bits(77)).unwrap();
    check_kind(place.open_in(&file), ErrorKind::Foreign, "names no table");
    file.writer().discard().unwrap();
    assert_eq!(place.shown(&file), (Some(2), Some(2)));
    // A table that was published by itself is not taken over.
    let own = Place::new();
    build(&own.dir, &rows(3));
    check_kind(own.seal(&file, 1), ErrorKind::AlreadyExists, "by itself");
    check_kind(own.open_in(&file), ErrorKind::Foreign, "");
    // Each way to seal goes with its way to begin.
    let begun = TableOptions::new().build_in::<Row>(directory(), at(&file)).unwrap();
    check_kind(begun.seal(), ErrorKind::InvalidArgument, "publish_in");
    let begun = TableOptions::new().replace::<Row>(own.dir.trusted()).unwrap();
    check_kind(begun.seal_unpublished(), ErrorKind::InvalidArgument, "`seal`");
}

#[test]
fn a_table_a_schema_and_a_relation_change_by_one_commit() {
    let (place, pairs, any) = (Place::new(), Place::new(), Place::new());
    let file = place.create();
    let tables = TableOptions::new();
    let related = AtRoot { file: &file, root: "related" };
    let anything = AtRoot { file: &file, root: "anything" };
    for round in 1..4 {
        let sealed = place.seal(&file, round).unwrap();
        let mut builder =
            tables.build_relation_in(pairs.dir.trusted(), (round, round), related).unwrap();
        builder.extend((0..round).map(|row| (row, round - 1))).unwrap();
        let relation = builder.seal_unpublished().unwrap();
        let mut builder = tables.build_any_in(any.dir.trusted(), Row::schema(), anything).unwrap();
        builder.append(&[u8::try_from(round).unwrap(); 16]).unwrap();
        let mut writer = file.writer();
        sealed.publish_in(&mut writer).unwrap();
        relation.publish_in(&mut writer).unwrap();
        builder.seal_unpublished().unwrap().publish_in(&mut writer).unwrap();
        writer.commit().unwrap();
    }
    let relation = tables.open_relation_in(pairs.dir.trusted(), related).unwrap();
    assert_eq!((relation.len(), relation.degree(2).unwrap()), (3, 1));
    assert_eq!(place.open_in(&file).unwrap().len(), 3);
    let found = tables.open_any_in(any.dir.trusted(), anything).unwrap();
    assert_eq!((found.len(), found.version()), (1, 3));
    check_kind(tables.open_in::<Row>(pairs.dir.trusted(), related), ErrorKind::Foreign, "no");
}

#[test]
fn a_copy_of_the_region_file_takes_the_directory_over() {
    let place = Place::new();
    let file = place.create();
    publish(&place, &file, 4);
    file.copy_compact(place.file("copy.pgs"), &options()).unwrap();
    let copy = options().open(place.file("copy.pgs")).unwrap();
    assert_eq!(place.shown(&copy), (Some(4), Some(4)));
    publish(&place, &copy, 6);
    assert_eq!(place.shown(&copy), (Some(6), Some(6)));
}

#[test]
fn a_damaged_root_is_an_error_and_can_be_replaced() {
    let place = Place::new();
    let file = place.create();
    publish(&place, &file, 2);
    let heap = file.heap("pagestone-index").unwrap();
    let id = file.root(ROOT).unwrap();
    let text = heap.read(id, <[u8]>::to_vec).unwrap();
    for nth in 0..text.len() {
        let mut changed = text.clone();
        changed[nth] ^= 1;
        heap.put(&mut file.writer(), id, &changed).unwrap();
        assert!(place.open_in(&file).is_err(), "byte {nth}");
    }
    publish(&place, &file, 3);
    assert_eq!(place.shown(&file), (Some(3), Some(3)));
}

/// Rounds of a block and a table in one commit; after each store to the region file a power loss
/// leaves both or neither, and files of what it leaves.
#[test]
fn power_losses_leave_the_block_and_the_table_of_one_commit() {
    let (place, mut random) = (Place::new(), Random::new(41));
    set_machine(Some(MACHINE));
    place.create().close().unwrap();
    let mut device = Device::of(std::fs::read(place.path("app.pgs")).unwrap());
    let (file, trace) = watch(Plan::record(), || place.open());
    trace.events.iter().for_each(|event| device.apply(event));
    let mut looked = 0;
    for round in 1..5u64 {
        // Removes what the commit before made superfluous.
        let sealed = place.seal(&file, round).unwrap();
        let ((), trace) = watch(Plan::record(), || {
            let mut writer = file.writer();
            put_block(&mut writer, round).unwrap();
            sealed.publish_in(&mut writer).unwrap();
            writer.commit().unwrap();
        });
        let committed = Some(round - 1).filter(|round| 0 < *round);
        for (nth, event) in trace.events.iter().enumerate() {
            device.apply(event);
            // Every boundary of the commit, some of the stores before it.
            let is_late = trace.events[nth..].iter().take(9).any(|event| *event == Event::Synced);
            if matches!(event, Event::Call(_)) || !is_late && nth % 11 != 0 {
                continue;
            }
            let mix = random.pick(&Mix::ALL).unwrap();
            std::fs::write(place.path("left.pgs"), device.survivors(mix, &mut random)).unwrap();
            set_machine(Some(AFTER_POWER_LOSS));
            let left = options().open(place.file("left.pgs")).unwrap();
            let shown = place.shown(&left);
            set_machine(Some(MACHINE));
            let right = [(committed, committed), (Some(round), Some(round))];
            assert!(right.contains(&shown), "round {round}, event {nth}: {shown:?}");
            looked += 1;
        }
        // The commit has returned.
        std::fs::write(place.path("left.pgs"), device.survivors(Mix::MostlyOld, &mut random))
            .unwrap();
        set_machine(Some(AFTER_POWER_LOSS));
        let left = options().open(place.file("left.pgs")).unwrap();
        assert_eq!(place.shown(&left), (Some(round), Some(round)));
        set_machine(Some(MACHINE));
    }
    assert!(60 < looked, "{looked}");
    set_machine(None);
}

/// The calls of a work, in order.
fn calls(trace: &Trace) -> Vec<Call> {
    let call = |event: &Event| if let Event::Call(call) = event { Some(*call) } else { None };
    trace.events.iter().filter_map(call).collect()
}

/// Fails when a file does not get its sidecar last, or a sidecar's name is not synced.
#[test]
fn files_and_their_names_are_on_the_device_before_the_first_store() {
    let place = Place::new();
    let file = place.create();
    let (sealed, trace) = watch(Plan::record(), || place.seal(&file, 40).unwrap());
    let calls = calls(&trace);
    let last = |call| calls.iter().rposition(|other| *other == call).unwrap();
    assert!(last(Call::Write) < last(Call::Sync), "{calls:?}");
    assert!(last(Call::Rename) < last(Call::SyncDirectory), "{calls:?}");
    assert!(last(Call::Sync) < last(Call::SyncDirectory), "names last of all: {calls:?}");
    check_names(&calls);
    sealed.publish_in(&mut file.writer()).unwrap();
    let at = AtRoot { file: &file, root: "related" };
    let pairs = Place::new();
    let ((), trace) = watch(Plan::record(), || {
        let mut builder =
            TableOptions::new().build_relation_in(pairs.dir.trusted(), (1 << 20, 40), at).unwrap();
        builder.extend((0..40).map(|row| (row * 9, row))).unwrap();
        drop(builder.seal_unpublished().unwrap());
    });
    check_names(&self::calls(&trace));
}

/// Nothing gets a name that a sync does not follow before the next one.
#[track_caller]
fn check_names(calls: &[Call]) {
    let is_of_names = |call: &Call| matches!(call, Call::Rename | Call::SyncDirectory);
    let names: Vec<Call> = calls.iter().copied().filter(is_of_names).collect();
    assert!(names.contains(&Call::Rename), "{calls:?}");
    for pair in names.windows(2).filter(|pair| pair[0] == Call::Rename) {
        assert_eq!(pair[1], Call::SyncDirectory, "a name that is not synced: {calls:?}");
    }
    assert_eq!(names.last(), Some(&Call::SyncDirectory), "{calls:?}");
}

/// Every call of a build, a publish and a commit fails, once or from there on; then the power is
/// lost, or the program killed.
fn fail_each_call(kind: io::ErrorKind, is_lasting: bool, after: Machine) {
    set_machine(Some(MACHINE));
    for nth in 0.. {
        let place = Place::new();
        let file = place.create();
        publish(&place, &file, 3);
        let plan = if is_lasting { Plan::fail_from(nth, kind) } else { Plan::fail(nth, kind) };
        let (answer, trace) = watch(plan, || -> Result<(), Box<dyn std::error::Error>> {
            let sealed = place.seal(&file, 7)?;
            let mut writer = file.writer();
            put_block(&mut writer, 7)?;
            sealed.publish_in(&mut writer)?;
            writer.commit()?;
            Ok(())
        });
        if !trace.failed {
            answer.unwrap();
            assert!(30 < nth, "{nth} calls");
            break;
        }
        drop(file);
        set_machine(Some(after));
        let file = place.open();
        let (table, block) = place.shown(&file);
        if after == MACHINE {
            assert!([Some(3), Some(7)].contains(&table) && [Some(3), Some(7)].contains(&block));
            file.writer().discard().unwrap();
        }
        let committed = place.shown(&file);
        let right = if answer.is_ok() { &[Some(7)][..] } else { &[Some(3), Some(7)] };
        assert!(right.contains(&committed.0) && committed.0 == committed.1, "call {nth}");
        // The next build leaves one version.
        publish(&place, &file, 9);
        drop(place.seal(&file, 1).unwrap());
        assert_eq!(place.versions().len(), 1, "call {nth}");
        assert_eq!(place.shown(&file), (Some(9), Some(9)));
        set_machine(Some(MACHINE));
    }
    set_machine(None);
}

#[test]
fn any_call_may_fail_before_a_power_loss() {
    fail_each_call(io::ErrorKind::Other, false, AFTER_POWER_LOSS);
}

#[test]
fn power_may_be_lost_at_any_call() {
    fail_each_call(io::ErrorKind::Other, true, AFTER_POWER_LOSS);
}

#[test]
fn a_disk_may_fill_at_any_call_of_a_publish() {
    fail_each_call(io::ErrorKind::StorageFull, true, MACHINE);
}

#[test]
fn a_publisher_may_be_killed_at_any_moment() {
    let open = |path: &str| {
        let path = std::path::Path::new(path);
        let options = options().unclean(Unclean::Refuse);
        let file = options.open(trusted(path.parent().unwrap()).file("app.pgs")).unwrap();
        (path.to_path_buf(), file)
    };
    if let Some(path) = child::errand() {
        let (table, file) = open(&path);
        let first = block(&file).unwrap();
        for round in first + 1.. {
            let begun = TableOptions::new().build_in::<Row>(trusted(&table), at(&file));
            let mut builder = begun.unwrap();
            builder.extend((0..round).map(|id| Row::new(id, id))).unwrap();
            let sealed = builder.seal_unpublished().unwrap();
            let mut writer = file.writer();
            put_block(&mut writer, round).unwrap();
            sealed.publish_in(&mut writer).unwrap();
            writer.commit().unwrap();
            child::acknowledge(round);
        }
        return;
    }
    let place = Place::new();
    let file = place.create();
    publish(&place, &file, 1);
    drop(file);
    for kill in 0..8 {
        let test = "regions::a_publisher_may_be_killed_at_any_moment";
        let mut child = Child::start(test, place.dir.table().to_str().unwrap());
        child.told().unwrap();
        let told = child.kill(kill * 37).unwrap();
        let (_, file) = open(place.dir.table().to_str().unwrap());
        // Each by itself survives a kill; what was not committed can be undone together.
        let (table, noted) = place.shown(&file);
        assert!(Some(told) <= table && table <= noted && noted <= Some(told + 1));
        file.writer().discard().unwrap();
        let (table, noted) = place.shown(&file);
        assert!(table == noted && Some(told) <= table, "{told}: {table:?}, {noted:?}");
    }
}
