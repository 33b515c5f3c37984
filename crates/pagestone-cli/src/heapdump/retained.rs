//! `pagestone heapdump retained`: what an object keeps alive.

use serde::Serialize;

use super::{no_object, open_to_ask};
use crate::{
    args::ObjArgs,
    output::{Facts, Format, Output, thousands},
};

#[derive(Serialize)]
struct Described<'a> {
    id: u64,
    class: &'a str,
    bytes: u64,
    retained_bytes: u64,
    retained_objects: u64,
    dominator: Option<u64>,
    distance: Option<u32>,
}

pub(super) fn run(args: &ObjArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let (Some(object), Some(retained)) = (index.object(args.id)?, index.retained(args.id)?) else {
        return no_object(&args.index, args.id, out);
    };
    if out.format() == Format::Json {
        return out.json(&Described {
            id: object.id,
            class: object.class_name,
            bytes: object.payload_len,
            retained_bytes: retained.bytes,
            retained_objects: retained.count,
            dominator: retained.dominator,
            distance: retained.distance,
        });
    }
    let (bytes, count) = (thousands(retained.bytes), thousands(retained.count));
    Facts::new()
        .add("object", format!("{} @ {:#x}", object.class_name, object.id))
        .add("payload", format!("{} bytes", thousands(object.payload_len)))
        .add("retains", format!("{bytes} bytes in {count} objects"))
        .add("reached", super::obj::reached(&index, &retained)?)
        .show(out)?;
    out.took()
}
