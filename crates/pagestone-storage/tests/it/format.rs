//! The sidecar's structs are as docs/format.md says.

use std::{fs, mem::offset_of, path::Path};

use pagestone_testkit::{LayoutField, check_layout};
use zerocopy::FromZeros;

// The private file itself, so that no struct becomes public for a test.
#[path = "../../src/sidecar/layout.rs"]
#[expect(dead_code, reason = "only the places of the fields are looked at")]
mod private;

use private::{SidecarHeader, StoredField};

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
fn sidecar_header() {
    check(
        "Sidecar header",
        &fields!(SidecarHeader: magic version record_size record_count fingerprint flags
            order_count block_records checksums_offset checksums_len accelerator_offset
            accelerator_len checksums_crc accelerator_crc accelerated order ends_crc
            accelerator_form reserved checksum),
    );
}

#[test]
fn stored_field() {
    check("Stored field", &fields!(StoredField: offset size kind byte_order reserved));
}
