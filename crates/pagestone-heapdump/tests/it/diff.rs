//! What differs between two dumps.

use pagestone_testkit::hprof::IdSize;

use crate::{
    shop::{Era, Order, shop},
    support::Built,
};

#[test]
fn classes_and_strings_are_compared() {
    let orders = |statuses: &[Option<&'static str>]| -> Vec<Order> {
        let order = |(id, status): (u64, Option<&'static str>)| Order {
            id,
            status,
            total: 1,
            is_rush: status.is_none(),
        };
        (0x110..).step_by(16).zip(statuses.iter().copied()).map(order).collect()
    };
    let before = orders(&[Some("a"), Some("a"), Some("b"), Some("same")]);
    let after = orders(&[Some("b"), Some("same"), Some("new"), Some("a"), None, Some("b")]);
    // The strings lie differently in the two.
    let before = Built::new(&shop(Era::Compact, IdSize::Eight, &before));
    let after = Built::new(&shop(Era::Old, IdSize::Eight, &after));

    let classes = before.index.diff_classes(&after.index).unwrap();
    let found: Vec<(&str, [u64; 2], [u64; 2])> =
        classes.iter().map(|class| (&*class.name, class.counts, class.bytes)).collect();
    let expected = [
        ("shop.Rush", [0, 1], [0, 50]),
        ("shop.Order", [4, 5], [4 * 46, 5 * 46]),
        ("char[]", [0, 5], [0, 20]),
        ("java.lang.String", [4, 5], [4 * 13, 5 * 12]),
        ("byte[]", [4, 0], [7, 0]),
    ];
    assert_eq!(found, expected);
    assert_eq!(before.index.diff_classes(&before.index).unwrap(), []);

    let strings = before.index.diff_strings(&after.index, 10).unwrap();
    let mut found: Vec<(&str, [u64; 2])> =
        strings.iter().map(|string| (&*string.value, string.counts)).collect();
    found.sort_unstable();
    assert_eq!(found, [("a", [2, 1]), ("b", [1, 2]), ("new", [0, 1])]);
    assert_eq!(before.index.diff_strings(&after.index, 2).unwrap(), strings[..2]);
    assert_eq!(before.index.diff_strings(&before.index, 10).unwrap(), []);
}
