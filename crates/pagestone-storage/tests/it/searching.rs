//! Bounds and biased searches against a plain slice.

use pagestone_storage::{
    Backing::{self, File, Map, Memory, Windowed},
    Bias, ErrorKind, Field, Kind, Storage, Value,
};
use rstest::rstest;

use crate::support::{Dir, options};

/// A storage of one field's values, in the order given.
fn stored(backing: Backing, field: Field, values: &[Value<'_>]) -> (Dir, Storage) {
    let dir = Dir::new();
    let size = field.size() as usize;
    let mut storage: Storage = options(backing).record_size(size).create(dir.file("a")).unwrap();
    let mut bytes = vec![0; size * values.len()];
    for (record, value) in bytes.chunks_exact_mut(size).zip(values) {
        field.encode(value, record).unwrap();
    }
    storage.append(&bytes).unwrap();
    (dir, storage)
}

#[rstest]
fn bounds_of_all_integer_kinds(
    #[values(File, Map, Windowed, Memory)] backing: Backing,
    #[values(
        "u8@0", "u16be@0", "u32le@0", "u64be@0", "u128le@0", "i8@0", "i16le@0", "i32be@0",
        "i64le@0", "i128be@0"
    )]
    field: &str,
) {
    let field: Field = field.parse().unwrap();
    let low = if field.to_string().starts_with('i') { -100 } else { 10 };
    let sorted: Vec<i64> = (0..60).map(|step| low + step / 3 * 3).collect();
    let values: Vec<Value<'_>> = sorted
        .iter()
        .map(|&value| u8::try_from(value).map_or(Value::from(value), Value::from))
        .collect();
    let (_dir, storage) = stored(backing, field, &values);
    for probe in low - 5..low + 70 {
        let lower = sorted.partition_point(|&value| value < probe) as u64;
        let upper = sorted.partition_point(|&value| value <= probe) as u64;
        assert_eq!(storage.lower_bound(field, probe).unwrap(), lower, "{probe}");
        assert_eq!(storage.upper_bound(field, probe).unwrap(), upper, "{probe}");
        assert_eq!(storage.equal_range(field, probe).unwrap(), lower..upper, "{probe}");
    }
}

#[rstest]
fn the_bias_chooses_when_nothing_is_equal(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    let field = Field::new(0, Kind::U16);
    let (_dir, storage) = stored(backing, field, &[5, 5, 9, 9, 9, 20].map(Value::from));
    let find = |value: i32, bias| storage.binary_search(field, value, bias).unwrap();
    for (probe, expected) in [
        (4, [None, None, Some(0), Some(0)]),
        (5, [Some(0); 4]),
        (7, [None, Some(0), Some(2), Some(0)]),
        (8, [None, Some(0), Some(2), Some(2)]),
        (9, [Some(2); 4]),
        (14, [None, Some(2), Some(5), Some(2)]),
        (15, [None, Some(2), Some(5), Some(5)]),
        (21, [None, Some(5), None, Some(5)]),
        (-1, [None, None, Some(0), Some(0)]),
        (1 << 20, [None, Some(5), None, Some(5)]),
    ] {
        let found =
            [Bias::Exact, Bias::Before, Bias::After, Bias::Nearest].map(|bias| find(probe, bias));
        assert_eq!(found, expected, "{probe}");
    }
}

#[rstest]
fn nearest_is_by_distance_at_the_ends_of_a_kind(#[values(File, Memory)] backing: Backing) {
    let field = Field::new(0, Kind::I128);
    let (_dir, storage) = stored(backing, field, &[i128::MIN, i128::MAX].map(Value::from));
    let nearest = |value: i128| storage.binary_search(field, value, Bias::Nearest).unwrap();
    assert_eq!([nearest(-2), nearest(0), nearest(i128::MAX - 1)], [Some(0), Some(1), Some(1)]);

    let field = Field::new(0, Kind::F64);
    let floats = [f64::NEG_INFINITY, -1.0, -0.0, 0.0, 2.0, f64::NAN].map(Value::from);
    let (_dir, storage) = stored(backing, field, &floats);
    let nearest = |value: f64| storage.binary_search(field, value, Bias::Nearest).unwrap();
    assert_eq!([nearest(-0.6), nearest(0.9), nearest(1.1)], [Some(1), Some(3), Some(4)]);
    assert_eq!(storage.equal_range(field, -0.0).unwrap(), 2..3);
    assert_eq!(storage.equal_range(field, 0.0).unwrap(), 3..4);
    assert_eq!(storage.equal_range(field, f64::NAN).unwrap(), 5..6);
    assert_eq!(storage.lower_bound(field, 1).unwrap(), 4);

    let field = Field::new(0, Kind::Bytes(20));
    let words = [&[1; 20], &[3; 20], &[9; 20]].map(Value::from);
    let (_dir, storage) = stored(backing, field, &words);
    let nearest = |value: &[u8; 20]| storage.binary_search(field, value, Bias::Nearest).unwrap();
    assert_eq!(
        [nearest(&[2; 20]), nearest(&[5; 20]), nearest(&[7; 20])],
        [Some(0), Some(1), Some(2)]
    );
    assert_eq!(storage.equal_range(field, &[3; 20]).unwrap(), 1..2);
    assert_eq!(storage.lower_bound(field, &[3; 19]).unwrap(), 1);
    assert_eq!(storage.upper_bound(field, &[3; 21]).unwrap(), 2);
    assert_eq!(storage.binary_search(field, &[4; 20], Bias::Before).unwrap(), Some(1));
}

#[rstest]
fn an_empty_storage_answers(#[values(File, Map, Windowed, Memory)] backing: Backing) {
    let field = Field::new(0, Kind::U64);
    let (_dir, storage) = stored(backing, field, &[]);
    assert_eq!(storage.equal_range(field, 5).unwrap(), 0..0);
    for bias in [Bias::Exact, Bias::Before, Bias::After, Bias::Nearest] {
        assert_eq!(storage.binary_search(field, 5, bias).unwrap(), None);
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let field = Field::new(0, Kind::U64);
    let (_dir, storage) = stored(Memory, field, &[Value::from(1)]);
    let kind = |field, value: Value<'static>| storage.lower_bound(field, value).unwrap_err().kind();
    assert_eq!(kind(field, Value::from(b"abc")), ErrorKind::InvalidArgument);
    assert_eq!(kind(field, Value::from(1.5)), ErrorKind::InvalidArgument);
    assert_eq!(kind(Field::new(1, Kind::U64), Value::from(1)), ErrorKind::InvalidArgument);
}

#[test]
fn a_long_run_of_equals_costs_no_scan() {
    let field = Field::new(0, Kind::U8);
    let mut storage: Storage = options(Memory).record_size(1).in_memory().unwrap();
    storage.append(&vec![7; 10_000_000]).unwrap();
    storage.append(&[9]).unwrap();
    for _ in 0..100_000 {
        assert_eq!(storage.binary_search(field, 8, Bias::Before).unwrap(), Some(0));
    }
}
