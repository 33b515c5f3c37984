//! Derived schemas against tables written by hand, and against those made at run time.
#![expect(clippy::result_large_err, reason = "proptest's own error")]

use pagestone_index::{Column, ErrorKind, Key, KeyOrder, KeyValue, Record, Schema};
use pagestone_storage::{Field, Kind, le};
use proptest::prelude::*;
use zerocopy::{big_endian, little_endian};

#[derive(Debug, PartialEq, Clone, Copy, Record)]
#[repr(transparent)]
struct UserId(u32);

#[derive(Debug, PartialEq, Clone, Copy, Record)]
#[repr(C)]
struct Place {
    x: i16,
    y: big_endian::I16,
}

#[derive(Debug, PartialEq, Clone, Record)]
#[repr(C)]
#[index(unique, by_user(user, id))]
struct Visit {
    #[index(canonical, unique)]
    id: u64,
    place: Place,
    #[index(multi)]
    user: UserId,
    height: little_endian::F64,
    width: f32,
    #[index(multi)]
    tag: [u8; 3],
    kind: i8,
    #[record(since = 2)]
    #[index(multi)]
    wide: big_endian::U128,
    depth: le::I64,
}

fn visit() -> Visit {
    Visit {
        id: 0x0102_0304_0506_0708,
        place: Place { x: -2, y: big_endian::I16::new(-3) },
        user: UserId(77),
        height: little_endian::F64::new(1.5),
        width: -0.0,
        tag: *b"abc",
        kind: -1,
        wide: big_endian::U128::new(5),
        depth: le::I64::new(-9),
    }
}

const TABLE: [(&str, &str, u32); 10] = [
    ("id", "u64le@0", 1),
    ("place.x", "i16le@8", 1),
    ("place.y", "i16be@10", 1),
    ("user", "u32le@12", 1),
    ("height", "f64le@16", 1),
    ("width", "f32le@24", 1),
    ("tag", "bytes3@28", 1),
    ("kind", "i8@31", 1),
    ("wide", "u128be@32", 2),
    ("depth", "i64le@48", 1),
];

fn by_hand() -> Schema {
    let mut builder = Schema::builder("Visit", 56);
    for (name, field, since) in TABLE {
        builder = builder.column_since(name, field.parse().unwrap(), since);
    }
    builder
        .key("id", KeyOrder::CanonicalUnique, &["id"])
        .key("user", KeyOrder::Multi, &["user"])
        .key("tag", KeyOrder::Multi, &["tag"])
        .key("wide", KeyOrder::Multi, &["wide"])
        .key("by_user", KeyOrder::Unique, &["user", "id"])
        .build()
        .unwrap()
}

#[test]
#[cfg(target_endian = "little")]
fn a_derived_schema_is_the_one_written_by_hand() {
    assert_eq!(Visit::schema(), by_hand());
    assert_eq!(Visit::FINGERPRINT, by_hand().fingerprint());
    assert_eq!(Visit::SIZE, 56);
    let by_user: Key<Visit, (u32, u64)> = Visit::BY_USER;
    let tag: Key<Visit, [u8; 3]> = Visit::TAG;
    assert_eq!(format!("{by_user:?} {tag:?}"), "Key { number: 4 } Key { number: 2 }");
}

#[test]
fn a_record_reads_what_it_wrote_and_fields_agree() {
    let mut bytes = [0xee; 56];
    visit().write(&mut bytes);
    assert_eq!(Visit::read(&bytes), visit());
    let value = |name: &str| {
        let field = Visit::schema().column(name).unwrap().field();
        let from = field.offset() as usize;
        field.decode(&bytes[from..from + field.size() as usize]).unwrap().into_owned()
    };
    assert_eq!(value("place.y").to_string(), "-3");
    assert_eq!(value("user").to_string(), "77");
    assert_eq!(value("height").to_string(), "1.5");
    assert_eq!(value("kind").to_string(), "-1");
    assert_eq!(value("wide").to_string(), "5");
    assert_eq!(value("depth").to_string(), "-9");
}

#[test]
fn every_change_changes_the_fingerprint() {
    let base = || Schema::builder("a", 16).column("x", "u64le@0".parse().unwrap());
    let y = |field: &str| base().column("y", field.parse().unwrap());
    let key = |order| y("u64le@8").key("k", order, &["x"]);
    let all = [
        base(),
        y("u64le@8"),
        y("u64be@8"),
        y("i64le@8"),
        y("f64le@8"),
        y("u32le@8"),
        y("u32le@12"),
        y("bytes8@8"),
        base().column("z", "u64le@8".parse().unwrap()),
        key(KeyOrder::Canonical),
        key(KeyOrder::CanonicalUnique),
        key(KeyOrder::Unique),
        key(KeyOrder::Multi),
        y("u64le@8").key("k", KeyOrder::Multi, &["x", "y"]),
        y("u64le@8").key("k", KeyOrder::Multi, &["y", "x"]),
        y("u64le@8").key("l", KeyOrder::Multi, &["x"]),
    ];
    let prints: std::collections::BTreeSet<u64> =
        all.iter().map(|builder| builder.clone().build().unwrap().fingerprint()).collect();
    assert_eq!(prints.len(), all.len());
}

#[track_caller]
fn check_refused(builder: pagestone_index::SchemaBuilder, expected: &str) {
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn run_time_schemas_are_checked() {
    let base = || Schema::builder("a", 8).column("x", Field::new(0, Kind::U32));
    check_refused(Schema::builder("a", 8), "0 columns");
    check_refused(Schema::builder("a", 0).column("x", Field::new(0, Kind::U8)), "0 bytes");
    check_refused(base().column("y", Field::new(6, Kind::U32)), "does not lie inside");
    check_refused(base().column("y", Field::new(0, Kind::Bytes(0))), "does not lie inside");
    check_refused(base().column("x", Field::new(4, Kind::U32)), "two of name");
    check_refused(base().column("", Field::new(4, Kind::U32)), "is named");
    check_refused(base().key("k", KeyOrder::Multi, &["z"]), "no column `z`");
    check_refused(base().key("k", KeyOrder::Multi, &[]), "has 0 bytes");
    let twice = base().key("k", KeyOrder::Canonical, &["x"]);
    check_refused(
        twice.clone().key("l", KeyOrder::CanonicalUnique, &["x"]),
        "another is canonical",
    );
    check_refused(twice.key("k", KeyOrder::Multi, &["x"]), "two of name");
}

/// The image of a key equals that of a field that holds it, and orders as expected.
#[track_caller]
fn check_images<K: KeyValue + Column + std::fmt::Debug>(ascending: &[K]) {
    let pagestone_index::Shape::Leaf(kind, order) = K::SHAPE else { panic!("a leaf") };
    let field = Field::new(0, kind).order(order);
    let images: Vec<Vec<u8>> = ascending
        .iter()
        .map(|key| {
            let (mut image, mut bytes, mut of_field) =
                (vec![0; K::LEN], vec![0; K::SIZE], vec![0; K::LEN]);
            key.put_image(&mut image);
            key.write(&mut bytes);
            field.put_image(&bytes, &mut of_field).unwrap();
            assert_eq!(image, of_field, "{key:?}");
            image
        })
        .collect();
    assert!(images.is_sorted_by(|low, high| low < high), "{ascending:?}: {images:?}");
}

#[test]
fn images_keep_the_order_of_values() {
    check_images(&[u8::MIN, 1, 127, 128, u8::MAX]);
    check_images(&[i8::MIN, -1, 0, 1, i8::MAX]);
    check_images(&[i128::MIN, -1, 0, i128::MAX]);
    check_images(&[0, 1, u128::from(u64::MAX), u128::MAX]);
    check_images(&[-f32::NAN, f32::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-40, f32::INFINITY, f32::NAN]);
    check_images(&[-f64::NAN, f64::MIN, -1e-310, -0.0, 0.0, f64::MAX, f64::NAN]);
    check_images(&[*b"\0a", *b"aa", *b"ab", *b"\xff\0"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn images_of_any_two_keys(a: (i32, u16, f64), b: (i32, u16, f64)) {
        let image = |(x, y, z): (i32, u16, f64)| {
            let mut image = [0; 14];
            (x, y, z).put_image(&mut image);
            image
        };
        let order = a.0.cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.total_cmp(&b.2));
        prop_assert_eq!(image(a).cmp(&image(b)), order);
    }
}
