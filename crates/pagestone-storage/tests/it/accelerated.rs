//! Searches with an accelerator against a scan of the values, for every kind of field.

use std::cmp::Ordering;

use pagestone_storage::{
    Backing::{self, File, Map, Windowed},
    Bias, Field, Kind, Location, Mutability, Records, SidecarOptions, SidecarStatus, Storage,
    Value,
};
use rstest::rstest;

use crate::support::{Dir, mix, options};

/// The order of two values of one field, said a second time.
pub(crate) fn compare(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Unsigned(left), Value::Unsigned(right)) => left.cmp(right),
        (Value::Signed(left), Value::Signed(right)) => left.cmp(right),
        (Value::Float(left), Value::Float(right)) => left.total_cmp(right),
        (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
        _ => unreachable!("one field has one kind"),
    }
}

/// Writes records with these field bytes, sorts and accelerates them, and compares every search
/// of a reader with a scan.
#[track_caller]
fn check(backing: Backing, field: Field, contents: &[Vec<u8>]) {
    let dir = Dir::fast();
    let size = (field.offset() + field.size()) as usize + 3;
    let options = options(backing).mutability(Mutability::AppendOnly).record_size(size);
    let locations: [Location; 2] = [dir.file("a"), dir.path("b").into()];
    for location in locations {
        let mut storage: Storage = options.create(location.clone()).unwrap();
        let mut bytes = vec![0x77; size * contents.len()];
        for (record, content) in bytes.chunks_exact_mut(size).zip(contents) {
            record[field.offset() as usize..][..content.len()].copy_from_slice(content);
        }
        storage.append(&bytes).unwrap();
        storage.sort_by(field).run().unwrap();
        storage.write_sidecar(SidecarOptions::new().accelerate(field)).unwrap();
        storage.close().unwrap();
        let reader: Records = options.open_read_only(location).unwrap();
        let SidecarStatus::Usable(sidecar) = reader.sidecar() else { unreachable!("{field}") };
        assert_eq!(sidecar.accelerated.is_some(), !contents.is_empty());
        check_searches(&reader, field, contents);
        assert_eq!(reader.accelerator_misses(), 0, "{field}");
    }
}

#[track_caller]
fn check_searches(reader: &Records, field: Field, contents: &[Vec<u8>]) {
    let mut sorted: Vec<Value<'_>> =
        contents.iter().map(|bytes| field.decode(bytes).unwrap()).collect();
    sorted.sort_by(compare);
    let size = field.size() as usize;
    let zeros = [vec![0; size], vec![0xff; size], vec![0x80; size], vec![0x7f; size]];
    let noise = (0..20).map(|seed| content(field, seed));
    let probes: Vec<Vec<u8>> =
        contents.iter().step_by(37).take(60).cloned().chain(zeros).chain(noise).collect();
    let probes: Vec<Value<'_>> = probes.iter().map(|bytes| field.decode(bytes).unwrap()).collect();
    let mut exact = Vec::new();
    for probe in &probes {
        let lower = sorted.partition_point(|value| compare(value, probe).is_lt()) as u64;
        let upper = sorted.partition_point(|value| compare(value, probe).is_le()) as u64;
        let what = format!("{field}: {probe}");
        assert_eq!(reader.lower_bound(field, probe.clone()).unwrap(), lower, "{what}");
        assert_eq!(reader.upper_bound(field, probe.clone()).unwrap(), upper, "{what}");
        assert_eq!(reader.equal_range(field, probe.clone()).unwrap(), lower..upper, "{what}");
        let first = (lower < upper).then_some(lower);
        assert_eq!(reader.binary_search(field, probe.clone(), Bias::Exact).unwrap(), first);
        exact.push(first);
    }
    assert_eq!(many(reader, field, &probes), exact, "{field}");
}

/// `get_many` of values of any kind.
fn many(reader: &Records, field: Field, probes: &[Value<'_>]) -> Vec<Option<u64>> {
    fn all<'v, V: Copy + Into<Value<'v>>>(
        (reader, field): (&Records, Field),
        probes: &'v [Value<'_>],
        pick: impl Fn(&'v Value<'_>) -> Option<V>,
    ) -> Vec<Option<u64>> {
        let probes: Vec<V> = probes.iter().filter_map(pick).collect();
        let mut found = vec![None; probes.len()];
        reader.get_many(field, &probes, &mut found).unwrap();
        found
    }
    let place = (reader, field);
    match probes[0] {
        Value::Unsigned(_) => all(place, probes, |value| match value {
            Value::Unsigned(number) => Some(*number),
            _ => None,
        }),
        Value::Signed(_) => all(place, probes, |value| match value {
            Value::Signed(number) => Some(*number),
            _ => None,
        }),
        Value::Float(_) => all(place, probes, |value| match value {
            Value::Float(number) => Some(*number),
            _ => None,
        }),
        _ => all(place, probes, |value| match value {
            Value::Bytes(bytes) => Some(&**bytes),
            _ => None,
        }),
    }
}

/// Some bytes of a field: mostly noise, now and then an end of the kind's range.
fn content(field: Field, seed: u64) -> Vec<u8> {
    let byte = |place: u32| match seed % 11 {
        0 => 0xff,
        1 => 0x00,
        2 => u8::from(place == 0) << 7,
        // Long common starts, so that wide keys differ only behind their first 8 bytes.
        3..6 if place < 9 => 0x42,
        _ => mix(seed << 8 | u64::from(place)).to_le_bytes()[3],
    };
    let bytes: Vec<u8> = (0..field.size()).map(byte).collect();
    // A NaN read and written again is the same value, but not through f32 <-> f64.
    let is_nan = match field.decode(&bytes).unwrap() {
        Value::Float(float) => float.is_nan() && field.kind() == Kind::F32,
        _ => false,
    };
    if is_nan { vec![0; bytes.len()] } else { bytes }
}

#[rstest]
fn every_kind(
    #[values(File, Map, Windowed)] backing: Backing,
    #[values(
        "u8@0",
        "i8@1",
        "u16le@0",
        "u16be@3",
        "i16le@2",
        "i16be@0",
        "u32le@4",
        "u32be@0",
        "i32le@0",
        "i32be@1",
        "u64le@0",
        "u64be@5",
        "i64le@3",
        "i64be@0",
        "u128le@0",
        "u128be@2",
        "i128le@1",
        "i128be@0",
        "f32le@0",
        "f32be@4",
        "f64le@0",
        "f64be@1",
        "bytes1@0",
        "bytes3@2",
        "bytes8@0",
        "bytes12@4",
        "bytes16@0",
        "bytes20@3"
    )]
    field: &str,
) {
    let field: Field = field.parse().unwrap();
    let contents: Vec<Vec<u8>> = (0..1_500).map(|seed| content(field, seed)).collect();
    check(backing, field, &contents);
}

#[rstest]
fn odd_numbers_of_records_and_runs(#[values(File, Map, Windowed)] backing: Backing) {
    for field in ["u64le@0", "u32be@2", "bytes12@0"] {
        let field: Field = field.parse().unwrap();
        let size = field.size() as usize;
        for count in [0, 1, 2, 3, 4, 5, 127, 128, 129, 640, 4_096, 4_099] {
            let equal = vec![vec![9; size]; count];
            check(backing, field, &equal);
            let most = vec![vec![0xff; size]; count];
            check(backing, field, &most);
        }
        // Runs of equals that are shorter and longer than a stretch and a group.
        let runs = [1, 3, 4, 5, 100, 128, 129, 500, 1_000].into_iter().zip(1u8..);
        let runs: Vec<Vec<u8>> =
            runs.flat_map(|(len, byte)| vec![vec![byte * 3; size]; len]).collect();
        check(backing, field, &runs);
    }
}

/// The form of the accelerator over these records, and how long it is.
#[track_caller]
fn form(field: Field, contents: &[Vec<u8>]) -> (u8, u64) {
    let dir = Dir::fast();
    let (skip, size) = (field.offset() as usize, field.size() as usize);
    let mut storage: Storage =
        options(File).record_size(skip + size).create(dir.path("a")).unwrap();
    let mut bytes = vec![0; (skip + size) * contents.len()];
    for (record, content) in bytes.chunks_exact_mut(skip + size).zip(contents) {
        record[skip..].copy_from_slice(content);
    }
    storage.append(&bytes).unwrap();
    storage.sort_by(field).run().unwrap();
    storage.write_sidecar(SidecarOptions::new().accelerate(field)).unwrap();
    let meta = std::fs::read(dir.path("a.meta")).unwrap();
    (meta[200], u64::from_le_bytes(meta[72..80].try_into().unwrap()))
}

/// Keys that lie evenly, in steps or at random, for kinds of 4 bytes and more.
#[rstest]
fn even_keys(
    #[values(File, Map, Windowed)] backing: Backing,
    #[values("u32be@1", "i32le@0", "u64le@0", "i64be@3", "u128be@0", "bytes8@0", "bytes12@2")]
    field: &str,
    #[values(1, 2, 15, 16, 17, 111, 112, 113, 224, 5_000)] count: u64,
    #[values(1, 1 << 20, 0)] step: u64,
) {
    let field: Field = field.parse().unwrap();
    let content = |index: u64| {
        let key = if step == 0 { mix(index) } else { index.wrapping_mul(step) };
        // High byte first and signed kinds: the order does not matter, evenness does.
        let narrow = u32::try_from(key >> if step == 0 { 32 } else { 0 }).unwrap_or(u32::MAX / 3);
        match (field.size(), &*field.to_string()) {
            (4, name) if name.contains("be") => narrow.swap_bytes().to_le_bytes().to_vec(),
            (4, _) => narrow.to_le_bytes().to_vec(),
            (8, name) if name.contains("le") => key.to_le_bytes().to_vec(),
            (size, _) => {
                let mut bytes = key.swap_bytes().to_le_bytes().to_vec();
                bytes.resize(size as usize, 7);
                bytes
            }
        }
    };
    let contents: Vec<Vec<u8>> = (0..count).map(content).collect();
    check(backing, field, &contents);
    if field.size() == 8 {
        let (form, len) = form(field, &contents);
        assert_eq!((form, len), (1, 64 * (1 + count.div_ceil(112))));
    }
}

/// Fails when a line of too many records, or the squares of what cells hold, are not looked at.
#[test]
fn keys_choose_the_form() {
    let field = Field::new(0, Kind::U64);
    let of = |key: &dyn Fn(u64) -> u64| {
        form(field, &(0..20_000).map(|index| key(index).to_le_bytes().to_vec()).collect::<Vec<_>>())
            .0
    };
    assert_eq!(of(&mix), 1, "random");
    assert_eq!(of(&|index| 1_700_000_000_000 + index * 40 + mix(index) % 30), 1, "times");
    assert_eq!(of(&|index| mix(index) >> (index % 60)), 0, "of all magnitudes");
    assert_eq!(of(&|index| index % 10), 0, "runs of equals");
    assert_eq!(of(&|index| ((index / 10) << 40) | (index % 10)), 0, "bursts, which fill no line");
    assert_eq!(of(&|index| if index == 7 { u64::MAX } else { index }), 0, "one far off");
}

#[test]
fn a_reader_that_gets_a_tree_later_uses_it_then() {
    let dir = Dir::new();
    let field = Field::new(0, Kind::U64);
    let options = options(Map).mutability(Mutability::AppendOnly);
    let mut storage: Storage<u64> = options.create(dir.file("a")).unwrap();
    storage.append(&(0..10_000).collect::<Vec<_>>()).unwrap();
    let mut reader: Records<u64> = options.open_read_only(dir.file("a")).unwrap();
    storage.append(&[10_000]).unwrap();
    storage.sort_by(field).run().unwrap();
    storage.write_sidecar(SidecarOptions::new().accelerate(field)).unwrap();
    assert_eq!(*reader.sidecar(), SidecarStatus::Absent);
    assert!(reader.refresh().unwrap());
    assert!(matches!(reader.sidecar(), SidecarStatus::Usable(_)));
    assert_eq!(reader.lower_bound(field, 10_000).unwrap(), 10_000);
}

#[rstest]
fn without_simd_the_answers_are_the_same(#[values(1, 127, 128, 129, 5_000, 70_000)] count: u64) {
    let dir = Dir::new();
    let options = options(Map).mutability(Mutability::AppendOnly);
    let mut storage: Storage<u64> = options.create(dir.file("a")).unwrap();
    // Runs of equals, gaps, and both ends of the kind.
    let key = |index: u64| (index / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut keys: Vec<u64> = (0..count).map(key).collect();
    keys.extend([0, u64::MAX]);
    keys.sort_unstable();
    storage.append(&keys).unwrap();
    let field = Field::new(0, Kind::U64);
    storage.write_sidecar(SidecarOptions::new().accelerate(field)).unwrap();
    let fast: Records<u64> = options.open_read_only(dir.file("a")).unwrap();
    let portable: Records<u64> = options.portable_search().open_read_only(dir.file("a")).unwrap();
    let probes: Vec<u64> =
        keys.iter().step_by(7).flat_map(|&key| [key, key.wrapping_add(1)]).collect();
    let (mut found, mut expected) = (vec![None; probes.len()], vec![None; probes.len()]);
    portable.get_many(field, &probes, &mut found).unwrap();
    fast.get_many(field, &probes, &mut expected).unwrap();
    assert_eq!(found, expected);
    for &probe in &probes {
        let lower = keys.partition_point(|&key| key < probe) as u64;
        let upper = keys.partition_point(|&key| key <= probe) as u64;
        for records in [&fast, &portable] {
            assert_eq!(records.equal_range(field, probe).unwrap(), lower..upper, "{probe}");
        }
    }
    assert_eq!((fast.accelerator_misses(), portable.accelerator_misses()), (0, 0));
}
