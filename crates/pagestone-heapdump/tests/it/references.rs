//! What objects refer to, retain and hold, in small dumps whose answers are known.
#![expect(clippy::result_large_err, reason = "the error of proptest's macro")]

use std::collections::{BTreeMap, BTreeSet};

use pagestone_heapdump::{Follow, HeapIndex, ObjectIds, Result, Subclasses, Value};
use pagestone_testkit::hprof::{
    BasicType, ClassDump, Dump, DumpOptions, DumpWriter, IdSize, Root, Value as Stored, Version,
    duplicate_object, ids, payload_mismatch, tiny,
};
use proptest::prelude::*;
use rstest::rstest;

use crate::support::Built;

fn all(ids: Result<Option<ObjectIds<'_>>>) -> Vec<u64> {
    ids.unwrap().unwrap().map(Result::unwrap).collect()
}

#[track_caller]
fn check_outbound(index: &HeapIndex, id: u64, expected: &[u64]) {
    assert_eq!(all(index.outbound(id)), expected, "{id:#x}");
    for &target in expected {
        assert!(all(index.inbound(target)).contains(&id), "{id:#x} of {target:#x}");
    }
}

#[rstest]
fn references_of_every_kind_are_found(
    #[values(IdSize::Four, IdSize::Eight)] id_size: IdSize,
    #[values(Version::V101, Version::V102, Version::V103)] version: Version,
) {
    let built = Built::new(tiny(id_size, version).bytes());
    let index = &built.index;
    let high = ids::high(id_size);
    check_outbound(index, ids::LEAF_FULL, &[ids::LEAF, ids::BASE_OBJECT, high]);
    check_outbound(index, ids::LEAF_ZERO, &[ids::LEAF]);
    check_outbound(index, ids::BASE_OBJECT, &[ids::BASE]);
    check_outbound(index, ids::MIDDLE_OBJECT, &[ids::MIDDLE, ids::MIDDLE_OBJECT]);
    check_outbound(index, ids::LATE_OBJECTS + 0x10, &[ids::LATE, ids::LATE_OBJECTS]);
    check_outbound(index, ids::ARRAY, &[ids::LEAF, ids::OBJECT_ARRAY, ids::LEAF_FULL]);
    check_outbound(index, ids::ARRAY_EMPTY, &[ids::OBJECT_ARRAY]);
    let nested = [ids::OBJECT_ARRAY_2, ids::ARRAY, ids::ARRAY_EMPTY];
    check_outbound(index, ids::ARRAY_OF_ARRAYS, &nested);
    check_outbound(index, ids::PRIMITIVES, &[]);
    check_outbound(index, ids::STRING_LATIN, &[ids::STRING, ids::STRING_LATIN + 8]);
    let relatives = all(index.outbound(ids::LEAF));
    for relative in [ids::MIDDLE, ids::LOADER, ids::SIGNERS, ids::DOMAIN] {
        assert!(relatives.contains(&relative), "{relative:#x}");
    }
    assert!(index.outbound(ids::ABSENT).unwrap().is_none());
    // Its instances refer to a class.
    let strings = all(index.instances(ids::STRING, Subclasses::Without));
    assert_eq!(strings.len(), 5);
    let inbound = all(index.inbound(ids::STRING));
    assert!(strings.iter().all(|id| inbound.contains(id)));
}

#[test]
fn fields_of_three_levels_are_decoded() {
    let built = Built::new(tiny(IdSize::Eight, Version::V102).bytes());
    let fields = built.index.fields(ids::LEAF_FULL).unwrap().unwrap();
    let names: Vec<_> =
        fields.iter().map(|field| (field.class_name, field.name.as_str())).collect();
    let own = ["shadowed", "flag", "letter", "ratio", "amount", "small", "medium", "count"];
    assert_eq!(names[..8], own.map(|name| ("demo.Leaf", name)));
    let rest = [("demo.Middle", "shadowed"), ("demo.Base", "shadowed"), ("demo.Base", "next")];
    assert_eq!(names[9..], rest);
    assert_eq!(fields[9].value, Value::Long(1 << 40));
    assert_eq!(fields[10].value, Value::Int(7));
    assert_eq!(fields[11].value, Value::Reference(ids::BASE_OBJECT));
    let statics = built.index.statics(ids::LEAF).unwrap().unwrap();
    assert!(statics.iter().all(|field| field.name == "value"), "{statics:?}");
    assert!(statics.iter().any(|field| field.value == Value::Long(-4)), "{statics:?}");
    let pairs = [
        Value::Boolean(true),
        Value::Char(0x20ac),
        Value::Float(1.5),
        Value::Double(-2.25),
        Value::Byte(-1),
        Value::Short(-2),
        Value::Int(-3),
        Value::Long(-4),
    ];
    for (step, first) in (0..).zip(pairs) {
        let elements = built.index.elements(ids::PRIMITIVES + 0x10 * step, (0, 9)).unwrap();
        let elements = elements.unwrap();
        assert_eq!((elements.len(), elements[0]), (2, first));
    }
    let array = built.index.elements(ids::ARRAY, (1, 2)).unwrap().unwrap();
    assert_eq!(array, [Value::Reference(ids::LEAF), Value::Reference(ids::LEAF_FULL)]);
}

#[test]
fn roots_and_stacks_are_kept() {
    let built = Built::new(tiny(IdSize::Four, Version::V102).bytes());
    let kinds: Vec<_> = built.index.roots_of(ids::LEAF_FULL).unwrap();
    let found: Vec<_> = kinds.iter().map(|root| (root.kind, root.frame)).collect();
    let frames = [("java_frame", Some(1)), ("java_frame", Some(3)), ("jni_local", None)];
    assert_eq!(found[..3], frames);
    let trace = built.index.stack_trace_of(ids::LOADER).unwrap().unwrap();
    assert_eq!((trace.serial, trace.thread_serial, trace.frames.len()), (2, 1, 4));
    let first = &trace.frames[0];
    assert_eq!((first.class_name, first.method.as_deref()), (Some("demo.Leaf"), Some("main")));
    assert_eq!((first.source.as_deref(), first.line), (Some("Leaf.java"), 42));
    assert_eq!((trace.frames[3].source.as_deref(), trace.frames[3].line), (None, -3));
    assert_eq!(built.index.stack_trace_of(ids::LEAF_FULL).unwrap(), None);
}

#[test]
fn subclasses_and_their_instances_are_found() {
    let built = Built::new(tiny(IdSize::Eight, Version::V102).bytes());
    let below = built.index.subclasses(ids::BASE).unwrap();
    let names: BTreeSet<_> = below.iter().map(|class| class.name).collect();
    assert_eq!(names, BTreeSet::from(["demo.Late", "demo.Leaf", "demo.Middle"]));
    let own = all(built.index.instances(ids::BASE, Subclasses::Without));
    assert_eq!(own, [ids::BASE_OBJECT]);
    let with: BTreeSet<u64> =
        all(built.index.instances(ids::BASE, Subclasses::With)).into_iter().collect();
    assert_eq!(with.len(), 6);
    let ints = built.index.primitive_arrays("int[]").unwrap().unwrap();
    assert_eq!(ints.map(Result::unwrap).collect::<Vec<_>>().len(), 2);
}

const OBJECT: u64 = 0x100;
const ARRAYS: u64 = 0x110;

/// Object arrays that refer to each other: element lists by object number, and roots.
fn graph(edges: &[Vec<u64>], roots: &[u64]) -> Dump {
    let mut writer = DumpWriter::new(DumpOptions::default());
    writer.utf8(1, b"java/lang/Object").utf8(2, b"[Ljava/lang/Object;");
    writer.load_class(1, OBJECT, 1).load_class(2, ARRAYS, 2);
    writer.class_dump(&ClassDump { id: OBJECT, ..ClassDump::default() });
    writer.class_dump(&ClassDump { id: ARRAYS, super_id: OBJECT, ..ClassDump::default() });
    for (number, targets) in (0..).zip(edges) {
        let elements: Vec<u64> = targets.iter().map(|&target| node(target)).collect();
        writer.object_array(node(number), ARRAYS, &elements);
    }
    for &root in roots {
        writer.root(Root::JniGlobal { object: node(root), reference: 1 });
    }
    writer.heap_dump_end().finish()
}

/// The id of the object with a number.
fn node(number: u64) -> u64 {
    0x1_0000 + number * 8
}

#[test]
fn a_diamond_is_dominated_from_above_and_a_cycle_from_its_entry() {
    // 0 → 1, 2 → 3 → 4 ⇄ 5; 6 is not reached.
    let edges = [vec![1, 2], vec![3], vec![3], vec![4], vec![5], vec![4], vec![0]];
    let built = Built::new(graph(&edges, &[0]).bytes());
    let retained = |number| built.index.retained(node(number)).unwrap().unwrap();
    let dominators = (0..7).map(|number| retained(number).dominator);
    let expected = [None, Some(0), Some(0), Some(0), Some(3), Some(4), None];
    assert_eq!(dominators.collect::<Vec<_>>(), expected.map(|number| number.map(node)));
    let distances: Vec<_> = (0..7).map(|number| retained(number).distance).collect();
    assert_eq!(distances, [Some(0), Some(1), Some(1), Some(2), Some(3), Some(4), None]);
    assert_eq!((retained(3).count, retained(3).bytes), (3, 24));
    assert_eq!((retained(6).count, retained(6).bytes), (0, 0));
    let path = built.index.shortest_path(node(5), Follow::All).unwrap().unwrap();
    assert_eq!(path, [0, 1, 3, 4, 5].map(node));
    let strong = built.index.shortest_path(node(5), Follow::Strong).unwrap().unwrap();
    assert_eq!(strong, path);
    assert_eq!(built.index.shortest_path(node(6), Follow::All).unwrap(), None);
    assert_eq!(built.index.shortest_path(node(6), Follow::Strong).unwrap(), None);
}

#[test]
fn weak_references_are_skipped_when_asked() {
    let mut writer = DumpWriter::new(DumpOptions::default());
    for (id, text) in (1..).zip([
        &b"java/lang/Object"[..],
        b"java/lang/ref/Reference",
        b"java/lang/ref/WeakReference",
        b"referent",
        b"queue",
    ]) {
        writer.utf8(id, text);
    }
    writer.load_class(1, 0x100, 1).load_class(2, 0x110, 2).load_class(3, 0x120, 3);
    writer.class_dump(&ClassDump { id: 0x100, ..ClassDump::default() });
    let fields = [(4, BasicType::Object), (5, BasicType::Object)];
    let reference = ClassDump { id: 0x110, super_id: 0x100, ..ClassDump::default() };
    writer.class_dump(&ClassDump { fields: &fields, ..reference });
    writer.class_dump(&ClassDump { id: 0x120, super_id: 0x110, ..ClassDump::default() });
    let pair = |referent, queue| [Stored::Object(referent), Stored::Object(queue)];
    writer.instance(0x200, 0x120, &pair(0x210, 0x220)).instance(0x210, 0x100, &[]);
    writer.instance(0x220, 0x120, &pair(0, 0x210));
    writer.instance(0x230, 0x120, &pair(0x240, 0)).instance(0x240, 0x100, &[]);
    writer.root(Root::Unknown { object: 0x200 }).root(Root::Unknown { object: 0x230 });
    let built = Built::new(writer.heap_dump_end().finish().bytes());
    let path = |id, follow| built.index.shortest_path(id, follow).unwrap();
    assert_eq!(path(0x210, Follow::All), Some(vec![0x200, 0x210]));
    assert_eq!(path(0x210, Follow::Strong), Some(vec![0x200, 0x220, 0x210]));
    assert_eq!(path(0x240, Follow::All), Some(vec![0x230, 0x240]));
    assert_eq!(path(0x240, Follow::Strong), None);
}

#[test]
fn a_long_chain_is_followed_to_its_end() {
    const LEN: u64 = 1_000_000;
    let edges: Vec<Vec<u64>> = (1..LEN).map(|next| vec![next]).chain([vec![]]).collect();
    let built = Built::new(graph(&edges, &[0]).bytes());
    let last = built.index.retained(node(LEN - 1)).unwrap().unwrap();
    assert_eq!(last.distance.map(u64::from), Some(LEN - 1));
    assert_eq!(last.dominator, Some(node(LEN - 2)));
    let first = built.index.retained(node(0)).unwrap().unwrap();
    // The two classes, too.
    assert_eq!((first.count, first.bytes), (LEN + 2, (LEN - 1) * 8));
    let path = built.index.shortest_path(node(LEN - 1), Follow::All).unwrap().unwrap();
    assert_eq!(path.len() as u64, LEN);
}

#[test]
fn repeated_ids_and_short_instances_have_the_references_that_fit() {
    let built = Built::new(duplicate_object().bytes());
    assert_eq!(built.index.summary().duplicate_count, 1);
    for object in payload_mismatch().objects() {
        let built = Built::new(payload_mismatch().bytes());
        let fields = built.index.fields(object.id).unwrap().unwrap();
        let references = all(built.index.outbound(object.id));
        for field in fields {
            if let Value::Reference(target) = field.value {
                let is_there = built.index.object(target).unwrap().is_some();
                assert_eq!(references.contains(&target), is_there && target != 0);
            }
        }
    }
}

/// All objects that can be reached from the roots without passing one.
fn reached(edges: &[Vec<u64>], roots: &[u64], without: Option<u64>) -> BTreeSet<u64> {
    let mut seen = BTreeSet::new();
    let mut queue: Vec<u64> = roots.to_vec();
    while let Some(number) = queue.pop() {
        let targets = edges.get(usize::try_from(number).unwrap());
        if let Some(targets) = targets.filter(|_| Some(number) != without)
            && seen.insert(number)
        {
            queue.extend(targets);
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_are_answered_as_by_plain_search(
        edges in prop::collection::vec(prop::collection::vec(0_u64..90, 0..5), 1..80),
        roots in prop::collection::vec(0_u64..80, 0..4),
    ) {
        let built = Built::new(graph(&edges, &roots).bytes());
        let count = edges.len() as u64;
        let mut inbound: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (number, targets) in (0..).zip(&edges) {
            let known = targets.iter().copied().filter(|&target| target < count);
            let expected: BTreeSet<u64> = known.map(node).chain([ARRAYS]).collect();
            let found = all(built.index.outbound(node(number)));
            prop_assert_eq!(&found, &expected.iter().copied().collect::<Vec<_>>());
            for target in expected {
                inbound.entry(target).or_default().insert(node(number));
            }
        }
        let live = reached(&edges, &roots, None);
        for number in 0..count {
            let expected = inbound.remove(&node(number)).unwrap_or_default();
            let found = all(built.index.inbound(node(number)));
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
            let retained = built.index.retained(node(number)).unwrap().unwrap();
            let without = reached(&edges, &roots, Some(number));
            let is_live = live.contains(&number);
            // What is left alone with the classes of all retains them, too.
            let classes = if without.is_empty() { 2 } else { 0 };
            let expected = if is_live { live.len() - without.len() + classes } else { 0 };
            prop_assert_eq!(retained.count, expected as u64);
            prop_assert_eq!(retained.distance.is_some(), is_live);
        }
    }
}
