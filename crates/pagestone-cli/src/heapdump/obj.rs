//! `pagestone heapdump obj`: one object.

use pagestone_heapdump::{Object, ObjectKind};
use serde::Serialize;

use super::open_to_ask;
use crate::{
    args::ObjArgs,
    output::{Facts, Format, Output, thousands},
};

#[derive(Serialize)]
struct Described<'a> {
    id: u64,
    kind: ObjectKind,
    class: &'a str,
    class_id: u64,
    bytes: u64,
    value_offset: u64,
}

pub(super) fn run(args: &ObjArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let Some(object) = index.object(args.id)? else {
        let directory = args.index.directory.display();
        return out.finding(format_args!("{directory}: no object {:#x}", args.id));
    };
    if out.format() == Format::Json {
        return out.json(&Described {
            id: object.id,
            kind: object.kind,
            class: object.class_name,
            class_id: object.class_id,
            bytes: object.payload_len,
            value_offset: object.value_offset,
        });
    }
    tell_people(&object, out)
}

fn tell_people(object: &Object<'_>, out: &mut Output) -> anyhow::Result<()> {
    let kind = match object.kind {
        ObjectKind::Class => "class",
        ObjectKind::Instance => "instance",
        ObjectKind::ObjectArray => "array of references",
        ObjectKind::PrimitiveArray => "array of primitives",
    };
    let mut facts = Facts::new();
    facts
        .add("object", format!("{} @ {:#x}", object.class_name, object.id))
        .add("kind", kind)
        .add("payload", format!("{} bytes", thousands(object.payload_len)));
    if object.class_id != 0 {
        facts.add("class", format!("{:#x}", object.class_id));
    }
    let offset = thousands(object.value_offset);
    facts.add("values", format!("at offset {offset} of the unpacked dump")).show(out)?;
    out.took()
}
