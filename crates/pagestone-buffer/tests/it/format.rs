//! The layouts are as docs/format.md says.

use std::{fs, mem::offset_of, path::Path};

use pagestone_testkit::{LayoutField, check_layout};
use zerocopy::FromZeros;

// The private file itself, so that no struct becomes public for a test.
#[path = "../../src/layout.rs"]
#[expect(dead_code, reason = "only the places of the fields are looked at")]
mod private;

use private::{TableHeader, TableShard};

/// The fields of a struct, whose sizes are told by a value of it.
macro_rules! fields {
    ($stored:ty: $($field:ident)*) => {{
        let stored = <$stored>::new_zeroed();
        [$(LayoutField {
            name: stringify!($field),
            offset: offset_of!($stored, $field),
            size: size_of_val(&stored.$field),
        }),*]
    }};
}

#[track_caller]
fn check(section: &str, fields: &[LayoutField]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format.md");
    check_layout(&fs::read_to_string(path).unwrap(), section, fields).unwrap();
}

#[test]
fn table_header() {
    check(
        "Table header",
        &fields!(TableHeader: magic version page_size seed incarnation sequence entries cells
            reserved checksum),
    );
}

#[test]
fn table_shard() {
    check("Table shard", &fields!(TableShard: homes cells entries));
}
