//! Every way to sort against a sort of the standard library.

use std::cmp::Ordering;

use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    ErrorKind, Field, Kind, Options, SORT_MEMORY_MIN, Storage, Value,
};
use rstest::rstest;

use crate::{
    accelerated::compare,
    support::{Dir, mix, names, options},
};

const SIZE: usize = 40;
/// Where the records say where they stood before.
const PLACE: usize = 36;

/// What a sort goes by.
#[derive(Debug, Clone)]
enum By {
    Fields(Vec<Field>),
    Key,
    Comparator,
}

/// How a sort is done.
#[derive(Debug, Clone, Copy)]
struct Way {
    place: Place,
    stability: Stability,
    threads: usize,
    memory: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Copy,
    InPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stability {
    Stable,
    Unstable,
}

fn ways(memory: Option<u64>) -> impl Iterator<Item = Way> {
    (0..8).map(move |bits| Way {
        place: if bits & 1 == 0 { Place::Copy } else { Place::InPlace },
        stability: if bits & 2 == 0 { Stability::Stable } else { Stability::Unstable },
        threads: if bits & 4 == 0 { 1 } else { 2 },
        memory,
    })
}

fn field(text: &str) -> Field {
    text.parse().unwrap()
}

impl By {
    fn field(text: &str) -> Self {
        Self::Fields(vec![field(text)])
    }

    /// The order, said a second time.
    fn compare(&self, left: &[u8], right: &[u8]) -> Ordering {
        fn value<'r>(field: &Field, record: &'r [u8]) -> Value<'r> {
            field.decode(&record[field.offset() as usize..][..field.size() as usize]).unwrap()
        }
        match self {
            Self::Fields(fields) => fields
                .iter()
                .map(|field| compare(&value(field, left), &value(field, right)))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal),
            Self::Key => left[3..9].cmp(&right[3..9]),
            Self::Comparator => right[5].cmp(&left[5]),
        }
    }

    fn run(&self, storage: &mut Storage, way: Way) -> pagestone_storage::Result<()> {
        let sort = match self {
            Self::Fields(fields) => storage.sort_by(fields.clone()),
            Self::Key => storage.sort_by_key(|record| <[u8; 6]>::try_from(&record[3..9]).unwrap()),
            Self::Comparator => storage.sort_with(|left, right| right[5].cmp(&left[5])),
        };
        let sort = sort.threads(way.threads);
        let sort = if way.place == Place::InPlace { sort.in_place() } else { sort };
        let sort = if way.stability == Stability::Stable { sort.stable() } else { sort };
        match way.memory {
            Some(memory) => sort.memory(memory).run(),
            None => sort.run(),
        }
    }
}

/// Records of noise in which few values come often.
fn noise(count: u32, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count as usize * SIZE);
    for place in 0..count {
        let word = mix(seed ^ u64::from(place));
        let bits = if word.is_multiple_of(3) { word & 0x8001_00ff_8001_00ff } else { mix(word) };
        let mut record: Vec<u8> = [bits, bits.rotate_left(20), mix(bits), !bits, bits << 7]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        record[PLACE..].copy_from_slice(&place.to_le_bytes());
        bytes.extend(record);
    }
    bytes
}

/// Sorts these records this way and compares the outcome with the standard library's.
#[track_caller]
fn check((backing, by, way): (Backing, &By, Way), bytes: &[u8], size: usize) {
    let dir = Dir::fast();
    let options: Options = options(backing).record_size(size);
    let mut storage: Storage = options.create(dir.file("a")).unwrap();
    storage.append(bytes).unwrap();
    by.run(&mut storage, way).unwrap();
    let mut expected: Vec<&[u8]> = bytes.chunks_exact(size).collect();
    expected.sort_by(|left, right| by.compare(left, right));
    let mut found = vec![0; bytes.len()];
    storage.read_into(0, &mut found).unwrap();
    check_sorted((by, way), &found, &expected);
    drop(storage);
    if backing != Memory {
        assert_eq!(names(&dir), ["a", "a.lock"], "{way:?}");
        assert!(std::fs::read(dir.path("a")).unwrap() == found, "{way:?}: on disk as in memory");
    }
}

#[track_caller]
fn check_sorted((by, way): (&By, Way), found: &[u8], expected: &[&[u8]]) {
    let size = expected.first().map_or(1, |record| record.len());
    let mut found: Vec<&[u8]> = found.chunks_exact(size).collect();
    assert_eq!(found.len(), expected.len());
    if way.stability == Stability::Stable {
        let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
        assert_eq!(differs, None, "{by:?} {way:?}");
        return;
    }
    let unsorted = found.iter().zip(expected).position(|(l, r)| by.compare(l, r).is_ne());
    assert_eq!(unsorted, None, "{by:?} {way:?}");
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    found.sort_unstable();
    assert!(found == expected, "{by:?} {way:?}: the same records, each once");
}

#[rstest]
fn by_a_field_of_every_kind(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(
        "u8@0",
        "i8@1",
        "u16le@3",
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
    let bytes = noise(400, 1);
    for way in ways(None) {
        check((backing, &By::field(field), way), &bytes, SIZE);
    }
}

#[rstest]
fn by_composite_key_function_and_comparator(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
) {
    let bytes = noise(700, 2);
    let composite = ["u8@0 i32be@4", "u16le@0 f64le@8 bytes20@3", "bytes12@0 u64le@16"];
    let composite =
        composite.iter().map(|fields| By::Fields(fields.split(' ').map(field).collect()));
    for by in composite.chain([By::Key, By::Comparator]) {
        for way in ways(None) {
            check((backing, &by, way), &bytes, SIZE);
        }
    }
}

#[rstest]
fn whatever_order_they_came_in(#[values(Map, Memory)] backing: Backing) {
    let mut sorted: Vec<Vec<u8>> = noise(3_000, 3).chunks_exact(SIZE).map(<[u8]>::to_vec).collect();
    sorted.sort_by_key(|record| u64::from_le_bytes(record[..8].try_into().unwrap()));
    let reversed: Vec<Vec<u8>> = sorted.iter().rev().cloned().collect();
    let two_runs = [&sorted[1_700..], &sorted[..1_700]].concat();
    let saw: Vec<Vec<u8>> = (0..3_000).map(|place| sorted[place * 7 % 3_000].clone()).collect();
    let displaced: Vec<Vec<u8>> = {
        let mut displaced = sorted.clone();
        (0..2_900).step_by(300).for_each(|place| displaced.swap(place, place + 55));
        displaced
    };
    let equal = vec![sorted[5].clone(); 2_000];
    let inputs = [
        ("sorted", sorted.clone()),
        ("reversed", reversed),
        ("two runs", two_runs),
        ("saw", saw),
        ("displaced", displaced),
        ("equal", equal),
        ("two", sorted[..2].to_vec()),
        ("one", sorted[..1].to_vec()),
        ("none", Vec::new()),
    ];
    for (_, input) in inputs {
        let mut bytes = input.concat();
        for (place, record) in (0u32..).zip(bytes.chunks_exact_mut(SIZE)) {
            record[PLACE..].copy_from_slice(&place.to_le_bytes());
        }
        for by in [By::field("u64le@0"), By::field("bytes20@0"), By::Comparator] {
            for way in ways(None) {
                check((backing, &by, way), &bytes, SIZE);
            }
        }
    }
}

#[rstest]
fn enough_records_for_every_algorithm(#[values(1, 2)] threads: usize) {
    let bytes = noise(20_000, 4);
    for by in [By::field("u64le@0"), By::field("f64be@8"), By::Comparator] {
        for stability in [Stability::Stable, Stability::Unstable] {
            let way = Way { place: Place::Copy, stability, threads, memory: None };
            check((Map, &by, way), &bytes, SIZE);
        }
    }
}

#[test]
fn floats_in_total_order() {
    let floats = [
        f64::NAN,
        -f64::NAN,
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        -f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
    ];
    let all: Vec<f64> = floats.iter().cycle().take(floats.len() * 20).copied().collect();
    for order in ["le", "be"] {
        let field = field(&format!("f64{order}@0"));
        let ordered = |mut bytes: [u8; 8]| {
            if order == "be" {
                bytes.reverse();
            }
            bytes
        };
        let bytes: Vec<u8> = all.iter().flat_map(|float| ordered(float.to_le_bytes())).collect();
        let mut expected = all.clone();
        expected.sort_by(f64::total_cmp);
        for way in ways(None) {
            let mut storage: Storage = options(Memory).record_size(8).in_memory().unwrap();
            storage.append(&bytes).unwrap();
            By::Fields(vec![field]).run(&mut storage, way).unwrap();
            let found: Vec<u64> = storage
                .iter()
                .map(|record| (*record.unwrap()).try_into().unwrap())
                .map(|bytes| u64::from_le_bytes(ordered(bytes)))
                .collect();
            let expected: Vec<u64> = expected.iter().map(|float| float.to_bits()).collect();
            assert_eq!(found, expected, "{order} {way:?}");
        }
    }
}

#[rstest]
fn more_than_the_budget(#[values(File, Map, Windowed)] backing: Backing) {
    // 4.8 MB: six runs unstable, ten runs and so two passes stable.
    let size = 400;
    let bytes = widened(&noise(12_000, 5), size);
    let composite = By::Fields(vec![field("u8@0"), field("bytes12@9")]);
    let orders = match backing {
        File => vec![By::field("u64le@0")],
        Map => vec![composite, By::field("bytes20@0")],
        _ => vec![By::Comparator],
    };
    for by in orders {
        for way in ways(Some(SORT_MEMORY_MIN)).filter(|way| way.place == Place::Copy) {
            check((backing, &by, way), &bytes, size);
        }
    }
}

/// The same records with zeros behind, `size` bytes long.
fn widened(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut wide = vec![0; bytes.len() / SIZE * size];
    for (wide, record) in wide.chunks_exact_mut(size).zip(bytes.chunks_exact(SIZE)) {
        wide[..SIZE].copy_from_slice(record);
    }
    wide
}

#[test]
fn so_many_runs_that_they_are_merged_three_times() {
    // 65 runs of half a budget each, eight of which are merged at once.
    let size = 64 << 10;
    let count = 520;
    let mut bytes = vec![0; size * count];
    for (place, record) in (0u64..).zip(bytes.chunks_exact_mut(size)) {
        record[..8].copy_from_slice(&(mix(place) % 300).to_le_bytes());
        record[size - 8..].copy_from_slice(&place.to_le_bytes());
    }
    let way = Way {
        place: Place::Copy,
        stability: Stability::Stable,
        threads: 1,
        memory: Some(SORT_MEMORY_MIN),
    };
    check((File, &By::field("u64le@0"), way), &bytes, size);
    let by = By::Fields(vec![field("u64le@0"), Field::new(65_528, Kind::U64)]);
    check((Map, &by, Way { stability: Stability::Unstable, ..way }), &bytes, size);
}

#[test]
fn parts_lie_beside_the_storage_while_they_are_merged() {
    let dir = Dir::fast();
    let size = 64 << 10;
    let mut storage: Storage = options(File).record_size(size).create(dir.file("a")).unwrap();
    storage.append(&vec![7; 300 * size]).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let look = |_| {
        seen.extend(names(&dir));
        std::ops::ControlFlow::Continue(())
    };
    let sort = storage.sort_by(field("u64le@0")).stable().memory(SORT_MEMORY_MIN);
    sort.progress(look).run().unwrap();
    // 38 runs are merged into 5 and these into one.
    let expected = [".a.new", ".a.part0", ".a.part1", "a", "a.lock"];
    assert!(seen.iter().eq(&expected), "{seen:?}");
    assert_eq!(names(&dir), ["a", "a.lock"]);
}

#[test]
fn records_larger_than_the_budget() {
    let size = 3 << 20;
    let mut bytes = vec![7; size * 5];
    for (record, key) in bytes.chunks_exact_mut(size).zip([4, 2, 5, 1, 3]) {
        record[0] = key;
    }
    for way in ways(Some(0)) {
        check((File, &By::field("u8@0"), way), &bytes, size);
    }
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let dir = Dir::new();
    let mut storage: Storage = options(File).record_size(SIZE).create(dir.file("a")).unwrap();
    storage.append(&noise(3, 6)).unwrap();
    let refused = |result: pagestone_storage::Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidArgument);
    };
    refused(storage.sort_by(vec![]).run());
    refused(storage.sort_by(field("u64le@33")).run());
    refused(storage.sort_by([field("u8@0"), Field::new(u32::MAX, Kind::U128)]).run());
    refused(storage.sort_by(field("bytes0@0")).in_place().run());
    assert_eq!(std::fs::read(dir.path("a")).unwrap(), noise(3, 6));
}
