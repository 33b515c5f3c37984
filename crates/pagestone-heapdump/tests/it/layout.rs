//! The records are as docs/format.md says.

use std::{fs, mem::offset_of, path::Path};

use pagestone_testkit::{LayoutField, check_layout};

// The private file itself, so that no record becomes public for a test.
#[path = "../../src/layout.rs"]
#[expect(dead_code, reason = "only the places of the fields are looked at")]
mod private;

use private::{
    ClassOrderRecord, ClassRecord, FormRecord, FoundRecord, FoundRootRecord, FoundStringRecord,
    IdBlockRecord, RootRecord, StringRecord, SymbolRecord, TraceRecord,
};

/// The fields of a struct, whose sizes are told by a value of it.
macro_rules! fields {
    ($record:ty: $($field:ident)*) => {{
        let record: $record = bytemuck::Zeroable::zeroed();
        [$(LayoutField {
            name: stringify!($field),
            offset: offset_of!($record, $field),
            size: size_of_val(&record.$field),
        }),*]
    }};
}

#[track_caller]
fn check(section: &str, fields: &[LayoutField]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/format.md");
    let markdown = fs::read_to_string(path).unwrap();
    check_layout(&markdown, section, fields).unwrap();
}

#[test]
fn form_and_id_records() {
    check("Form record", &fields!(FormRecord: class_and_kind payload_len unit lead));
    check("Id block record", &fields!(IdBlockRecord: first_id place));
}

#[test]
fn root_and_trace_records() {
    check("Root record", &fields!(RootRecord: object thread_serial number tag));
    check("Trace record", &fields!(TraceRecord: block serial thread_serial));
}

#[test]
fn string_records() {
    check("String record", &fields!(StringRecord: fingerprint object end));
    check("Found string record", &fields!(FoundStringRecord: fingerprint object));
}

#[test]
fn records_of_a_build() {
    check("Found record", &fields!(FoundRecord: id value_offset payload_len class_and_kind));
    check("Found root record", &fields!(FoundRootRecord: id thread_serial number tag));
}

#[test]
fn class_record() {
    check(
        "Class record",
        &fields!(ClassRecord: id super_id loader_id dump_offset instance_count payload_len
            name_offset name_len name_rank instance_size origin),
    );
}

#[test]
fn class_order_record() {
    check("Class order record", &fields!(ClassOrderRecord: by_id by_name));
}

#[test]
fn symbol_record() {
    check("Symbol record", &fields!(SymbolRecord: id text_offset text_len));
}
