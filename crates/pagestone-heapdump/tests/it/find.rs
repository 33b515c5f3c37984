//! What filters find.

use pagestone_heapdump::{ErrorKind, Filter, FindOptions, HeapIndex, Subclasses};
use pagestone_testkit::hprof::IdSize;

use crate::{
    shop::{Era, Order, shop},
    support::Built,
};

fn order(id: u64, status: Option<&'static str>, total: i32) -> Order {
    Order { id, status, total, is_rush: false }
}

fn built() -> Built {
    let orders = [
        order(0x110, Some("PAID"), -3),
        order(0x120, Some("paid late"), 0),
        order(0x130, None, 5),
        order(0x140, Some("\u{3b1}\u{1f600}"), 90),
        Order { is_rush: true, ..order(0x150, Some("PAID"), 7) },
    ];
    Built::new(&shop(Era::Compact, IdSize::Eight, &orders))
}

fn find(index: &HeapIndex, text: &str, subclasses: Subclasses) -> Vec<u64> {
    let filter = Filter::parse(text).unwrap();
    let options = FindOptions { subclasses, ..FindOptions::default() };
    let found = index.find(&filter, options).unwrap();
    assert_eq!(found.count, found.ids.len() as u64);
    found.ids
}

#[track_caller]
fn check(built: &Built, condition: &str, expected: &[u64]) {
    let text = format!("shop.Order where {condition}");
    assert_eq!(find(&built.index, &text, Subclasses::Without), expected, "{condition}");
}

#[test]
fn every_type_of_field_is_compared() {
    let built = built();
    check(&built, "total = 5", &[0x130]);
    check(&built, "total != 5", &[0x110, 0x120, 0x140]);
    check(&built, "total < 0", &[0x110]);
    check(&built, "total >= 0 and total <= 5", &[0x120, 0x130]);
    check(&built, "total > 4.5", &[0x130, 0x140]);
    check(&built, "big = 42949672960", &[0x130]);
    check(&built, "big < -1", &[0x110]);
    check(&built, "small > 5", &[0x140]);
    check(&built, "tiny = -3", &[0x110]);
    check(&built, "letter = 'f'", &[0x130]);
    check(&built, "letter > 102", &[0x110, 0x140]);
    check(&built, "price = 2.5", &[0x130]);
    check(&built, "rate <= 0", &[0x110, 0x120]);
    check(&built, "open = true", &[0x130, 0x140]);
    check(&built, "open != true", &[0x110, 0x120]);
    check(&built, "status = null", &[0x130]);
    check(&built, "status != null and next = null", &[0x110, 0x120, 0x140]);
    check(&built, "status = 0x108", &[0x110]);
    check(&built, "status = 'PAID'", &[0x110]);
    check(&built, "status != 'PAID'", &[0x120, 0x130, 0x140]);
    check(&built, "status ~ 'id l'", &[0x120]);
    check(&built, "status ~ '\u{1f600}'", &[0x140]);
    check(&built, "status > 'PAID'", &[0x120, 0x140]);
    check(&built, "status <= 'PAI'", &[]);
}

#[test]
fn subclasses_are_looked_at_if_wished() {
    let index = &built().index;
    let all = find(index, "shop.Order", Subclasses::With);
    assert_eq!(all, [0x110, 0x120, 0x130, 0x140, 0x150]);
    assert_eq!(find(index, "shop.Order where status = 'PAID'", Subclasses::With), [0x110, 0x150]);
    // Behind a field of the subclass, the others lie elsewhere.
    assert_eq!(find(index, "shop.Rush where total = 7", Subclasses::Without), [0x150]);
    assert_eq!(find(index, "shop.Order where hurry = 8", Subclasses::With), [0x150]);
    let none = find(index, "shop.Rush where hurry = 7", Subclasses::With);
    assert!(none.is_empty());
}

#[test]
fn a_limit_leaves_the_count() {
    let filter = Filter::parse("shop.Order").unwrap();
    let options = FindOptions { limit: 2, ..FindOptions::default() };
    let found = built().index.find(&filter, options).unwrap();
    assert_eq!((&found.ids[..], found.count, found.looked_at), (&[0x110, 0x120][..], 4, 4));
}

#[track_caller]
fn check_refused(built: &Built, text: &str, expected: &str) {
    let filter = Filter::parse(text).unwrap();
    let error = built.index.find(&filter, FindOptions::default()).unwrap_err();
    assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::InvalidFilter, expected));
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_column() {
    let built = built();
    check_refused(&built, "shop.Nothing", "column 1: no class is called \"shop.Nothing\"");
    check_refused(
        &built,
        "shop.Order where hurry = 7",
        "column 18: shop.Order has no field \"hurry\"",
    );
    let what = "is int and cannot be compared so with a string";
    check_refused(&built, "shop.Order where total = 'x'", &format!("column 26: \"total\" {what}"));
    let what = "is a reference and cannot be compared so with an integer";
    check_refused(&built, "shop.Order where next < 7", &format!("column 25: \"next\" {what}"));
    let what = "is boolean and cannot be compared so with a truth value";
    check_refused(&built, "shop.Order where open > true", &format!("column 25: \"open\" {what}"));
}
