//! What every test needs: a folder, a build, an open index, and the comparison with a dump.
#![expect(unsafe_code, reason = "the one line that asserts the trusted directory")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use pagestone_heapdump::{
    BuildOptions, BuildReport, Follow, HeapIndex, ObjectKind, Rank, Result, Subclasses,
};
use pagestone_storage::TrustedDir;
use pagestone_testkit::hprof::{
    self, BasicType, ClassDump, Dump, DumpObject, DumpOptions, DumpWriter, Frame, IdSize, Root,
    Value,
};
use tempfile::TempDir;

/// Of how many bytes of a dump one is damaged: `usual`, or as `cargo xtask large heapdump` wants.
pub(crate) fn step(usual: usize) -> usize {
    let given = std::env::var("PAGESTONE_STEP").ok();
    given.map_or(usual, |step| step.parse().unwrap())
}

/// A folder in memory where there is one, so that thousands of syncs cost nothing.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

/// A dump of a few hundred bytes with an object of each kind, a string, a stack trace, and two
/// segments.
pub(crate) fn small() -> Dump {
    let (object, node, string) = (0x10, 0x20, 0x30);
    let mut writer =
        DumpWriter::new(DumpOptions { id_size: IdSize::Four, ..DumpOptions::default() });
    writer.utf8(1, b"java/lang/Object").utf8(2, b"Node").utf8(3, b"java/lang/String");
    writer.utf8(4, b"next").utf8(5, b"value").utf8(6, b"coder");
    writer.load_class(1, object, 1).load_class(2, node, 2).load_class(3, string, 3);
    let frame = Frame { id: 7, method_name: 4, class_serial: 2, line: 9, ..Frame::default() };
    writer.frame(&frame).trace(1, 1, &[7]);
    writer.class_dump(&ClassDump { id: object, ..ClassDump::default() });
    writer.class_dump(&ClassDump {
        id: node,
        super_id: object,
        instance_size: 4,
        statics: &[(5, Value::Object(0x60))],
        fields: &[(4, BasicType::Object)],
        ..ClassDump::default()
    });
    writer.class_dump(&ClassDump {
        id: string,
        super_id: object,
        instance_size: 5,
        fields: &[(5, BasicType::Object), (6, BasicType::Byte)],
        ..ClassDump::default()
    });
    writer.instance(0x40, node, &[Value::Object(0x50)]).instance(0x50, node, &[Value::Object(0)]);
    writer.end_segment();
    writer.instance(0x60, string, &[Value::Object(0x70), Value::Byte(0)]).byte_array(0x70, b"hi");
    writer.object_array(0x80, object, &[0x40, 0x60, 0x99]);
    writer.root(Root::ThreadObject { object: 0x40, thread_serial: 1, trace_serial: 1 });
    writer.root(Root::Unknown { object: 0x80 });
    writer.heap_dump_end().finish()
}

/// An index of some bytes, in a folder of its own.
pub(crate) struct Built {
    pub(crate) folder: TempDir,
    pub(crate) report: BuildReport,
    pub(crate) index: HeapIndex,
}

impl Built {
    #[track_caller]
    pub(crate) fn new(dump: &[u8]) -> Self {
        Self::try_new(dump).unwrap()
    }

    pub(crate) fn try_new(dump: &[u8]) -> Result<Self> {
        let folder = folder();
        let path = folder.path().join("dump");
        fs::write(&path, dump).unwrap();
        let out = folder.path().join("index");
        let built = BuildOptions::new().build(&path, &out);
        if built.is_err() {
            assert_eq!(names(folder.path()), ["dump"], "a failed build leaves nothing");
        }
        let report = built?;
        let index = open(&out)?;
        assert_eq!(index.summary(), &report.summary);
        Ok(Self { folder, report, index })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    /// Asserts that the index holds exactly these objects.
    #[track_caller]
    pub(crate) fn check_objects(&self, expected: &[DumpObject]) {
        assert_eq!(self.index.summary().object_count, expected.len() as u64);
        for object in expected {
            self.check_object(object);
        }
    }

    #[track_caller]
    fn check_object(&self, expected: &DumpObject) {
        let id = expected.id;
        let found = self.index.object(id).unwrap().unwrap_or_else(|| panic!("no object {id:#x}"));
        let (kind, class_id) = match expected.kind {
            hprof::ObjectKind::Class => (ObjectKind::Class, id),
            hprof::ObjectKind::Instance => (ObjectKind::Instance, expected.class_id),
            hprof::ObjectKind::ObjectArray => (ObjectKind::ObjectArray, expected.class_id),
            hprof::ObjectKind::PrimitiveArray(element) => {
                assert_eq!(found.class_name, array_name(element), "{id:#x}");
                (ObjectKind::PrimitiveArray, 0)
            }
        };
        assert_eq!(
            (found.id, found.kind, found.class_id, found.payload_len, found.value_offset),
            (id, kind, class_id, expected.payload_len, expected.value_offset),
            "{id:#x}"
        );
    }
}

/// The name of the class of arrays of a type.
pub(crate) fn array_name(element: BasicType) -> String {
    format!("{element:?}[]").to_lowercase()
}

pub(crate) fn open(path: &Path) -> Result<HeapIndex> {
    HeapIndex::open(&trusted(path))
}

pub(crate) fn trusted(path: &Path) -> TrustedDir {
    // SAFETY: the tests change an index only while it is not open.
    unsafe { TrustedDir::assert(path) }
}

/// Asks everything that can be asked; the answers may be errors.
pub(crate) fn ask_all(index: &HeapIndex, ids: impl IntoIterator<Item = u64>) {
    for rank in [Rank::Count, Rank::Bytes] {
        for class in index.histogram(rank).into_iter().flatten() {
            drop(index.classes_named(class.name));
        }
    }
    drop(index.biggest(usize::MAX));
    drop(index.roots().collect::<Result<Vec<_>>>());
    drop(index.repeated_strings(10));
    drop(index.string_values(10));
    drop(index.strings_of("x").map(Iterator::count));
    drop(index.stack_trace(1));
    drop(index.stack_trace(2));
    drop(index.primitive_arrays("int[]").map(|ids| ids.map(Iterator::count)));
    for id in ids {
        for id in [id, id.wrapping_add(1)] {
            drop(index.object(id));
            drop(index.class(id));
            drop(index.outbound(id).map(|ids| ids.map(Iterator::count)));
            drop(index.inbound(id).map(|ids| ids.map(Iterator::count)));
            drop(index.retained(id));
            drop(index.fields(id));
            drop(index.string(id, 50));
            drop(index.elements(id, (0, 50)));
            drop(index.payload(id, (0, 50)));
            drop(index.statics(id));
            drop(index.roots_of(id));
            drop(index.stack_trace_of(id));
            drop(index.subclasses(id));
            drop(index.instances(id, Subclasses::With).map(|ids| ids.map(Iterator::count)));
            drop(index.shortest_path(id, Follow::All));
            drop(index.shortest_path(id, Follow::Strong));
        }
    }
}

/// The files of an index, in order: those of the folder, and of folders in it.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for name in names(folder) {
        if folder.join(&name).is_dir() {
            let inner = names(&folder.join(&name));
            files.extend(inner.into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            files.push(name);
        }
    }
    files
}

/// The names in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
