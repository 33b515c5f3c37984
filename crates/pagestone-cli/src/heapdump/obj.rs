//! `pagestone heapdump obj`: one object with its values.

use pagestone_heapdump::{Field, HeapIndex, Object, ObjectKind, Retained, StackTrace, Value};
use serde::Serialize;

use super::{no_object, open_to_ask};
use crate::{
    args::ObjArgs,
    output::{Align, Cell, Facts, Format, Listing, Output, complain, thousands},
};

/// Elements of an array that are shown.
const ELEMENTS: usize = 20;

#[derive(Serialize)]
struct Described<'a> {
    id: u64,
    kind: ObjectKind,
    class: &'a str,
    class_id: u64,
    bytes: u64,
    value_offset: u64,
    retained: Retained,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statics: Vec<Shown<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    elements: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<StackTrace<'a>>,
}

/// A field, and of a reference the class of what it leads to.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    field: Field<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referent: Option<&'a str>,
}

/// What the dump says, which may be gone.
#[derive(Default)]
struct Values<'a> {
    fields: Vec<Shown<'a>>,
    statics: Vec<Shown<'a>>,
    elements: Vec<Value>,
    stack: Option<StackTrace<'a>>,
}

pub(super) fn run(args: &ObjArgs, out: &mut Output) -> anyhow::Result<()> {
    let mut index = open_to_ask(&args.index.directory)?;
    if let Some(dump) = &args.dump {
        index.set_dump(dump);
    }
    let (Some(object), Some(retained)) = (index.object(args.id)?, index.retained(args.id)?) else {
        return no_object(&args.index, args.id, out);
    };
    let values = match values(&index, &object) {
        Ok(values) => values,
        // The index still knows the rest.
        Err(error) => {
            complain(format_args!("note: no values: {error}"));
            Values::default()
        }
    };
    if out.format() != Format::Json {
        return tell_people(&index, (&object, &retained), values, out);
    }
    let Values { fields, statics, elements, stack } = values;
    out.json(&Described {
        id: object.id,
        kind: object.kind,
        class: object.class_name,
        class_id: object.class_id,
        bytes: object.payload_len,
        value_offset: object.value_offset,
        retained,
        fields,
        statics,
        elements,
        stack,
    })
}

fn values<'a>(
    index: &'a HeapIndex,
    object: &Object<'_>,
) -> Result<Values<'a>, pagestone_heapdump::Error> {
    type Failed = pagestone_heapdump::Error;
    let show = |fields: Option<Vec<Field<'a>>>| -> Result<Vec<Shown<'a>>, Failed> {
        let shown = fields.unwrap_or_default().into_iter().map(|field| {
            let referent = referent(index, field.value)?;
            Ok::<_, Failed>(Shown { field, referent })
        });
        shown.collect()
    };
    let statics = match object.kind {
        ObjectKind::Class => show(index.statics(object.id)?)?,
        _ => Vec::new(),
    };
    Ok(Values {
        fields: show(index.fields(object.id)?)?,
        statics,
        elements: index.elements(object.id, (0, ELEMENTS))?.unwrap_or_default(),
        stack: index.stack_trace_of(object.id)?,
    })
}

/// The class of what a value leads to, with the length of an array.
fn referent(index: &HeapIndex, value: Value) -> Result<Option<&str>, pagestone_heapdump::Error> {
    match value {
        Value::Reference(id) if id != 0 => {
            Ok(Some(index.object(id)?.map_or("<not in the dump>", |object| object.class_name)))
        }
        _ => Ok(None),
    }
}

/// The word for a kind of object.
pub(super) fn kind(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Class => "class",
        ObjectKind::Instance => "instance",
        ObjectKind::ObjectArray => "array of references",
        ObjectKind::PrimitiveArray => "array of primitives",
    }
}

/// How an object is reached, and through what.
pub(super) fn reached(index: &HeapIndex, retained: &Retained) -> anyhow::Result<String> {
    let Some(distance) = retained.distance else { return Ok("from no root".to_owned()) };
    let through = match retained.dominator {
        None => "dominated by no object alone".to_owned(),
        Some(id) => {
            let class = index.object(id)?.map_or("", |object| object.class_name);
            format!("dominated by {class} @ {id:#x}")
        }
    };
    Ok(match distance {
        0 => "a root".to_owned(),
        1 => format!("1 step from a root, {through}"),
        steps => format!("{} steps from a root, {through}", thousands(steps)),
    })
}

fn tell_people(
    index: &HeapIndex,
    (object, retained): (&Object<'_>, &Retained),
    values: Values<'_>,
    out: &mut Output,
) -> anyhow::Result<()> {
    let (bytes, count) = (thousands(retained.bytes), thousands(retained.count));
    let mut facts = Facts::new();
    facts
        .add("object", format!("{} @ {:#x}", object.class_name, object.id))
        .add("kind", kind(object.kind))
        .add("payload", format!("{} bytes", thousands(object.payload_len)));
    if object.class_id != 0 {
        facts.add("class", format!("{:#x}", object.class_id));
    }
    let offset = thousands(object.value_offset);
    facts
        .add("values", format!("at offset {offset} of the unpacked dump"))
        .add("retains", format!("{bytes} bytes in {count} objects"))
        .add("reached", reached(index, retained)?)
        .show(out)?;
    for (title, fields) in [("field", values.fields), ("static field", values.statics)] {
        if !fields.is_empty() {
            out.line("")?;
            show_fields(title, fields, out)?;
        }
    }
    show_elements(index, (object, &values.elements), out)?;
    if let Some(stack) = &values.stack {
        show_stack(stack, out)?;
    }
    out.took()
}

fn show_fields(title: &str, fields: Vec<Shown<'_>>, out: &mut Output) -> anyhow::Result<()> {
    let columns =
        [(title, Align::Left), ("value", Align::Right), ("of", Align::Left), ("in", Align::Left)];
    let mut listing = Listing::new(Format::People, columns);
    for Shown { field, referent } in fields {
        let cells = vec![
            Cell::text(&field.name),
            Cell::text(text(field.value)),
            Cell::text(referent.unwrap_or_default()),
            Cell::text(field.class_name),
        ];
        listing.row(out, cells)?;
    }
    listing.end(out)
}

fn show_elements(
    index: &HeapIndex,
    (object, elements): (&Object<'_>, &[Value]),
    out: &mut Output,
) -> anyhow::Result<()> {
    if elements.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let columns = [("element", Align::Right), ("value", Align::Right), ("of", Align::Left)];
    let mut listing = Listing::new(Format::People, columns);
    for (place, &value) in elements.iter().enumerate() {
        let class = referent(index, value)?.unwrap_or_default();
        let cells = vec![Cell::from(place as u64), Cell::text(text(value)), Cell::text(class)];
        listing.row(out, cells)?;
    }
    listing.end(out)?;
    if elements.len() == ELEMENTS {
        let bytes = thousands(object.payload_len);
        out.line(format_args!("the first {ELEMENTS} elements, of {bytes} bytes"))?;
    }
    Ok(())
}

fn show_stack(stack: &StackTrace<'_>, out: &mut Output) -> anyhow::Result<()> {
    out.line("")?;
    for frame in &stack.frames {
        let class = frame.class_name.unwrap_or("?");
        let method = frame.method.as_deref().unwrap_or("?");
        let source = frame.source.as_deref().unwrap_or("unknown");
        let place = match frame.line {
            line @ 1.. => format!("{source}:{line}"),
            -3 => "native".to_owned(),
            -2 => format!("{source}, compiled"),
            _ => source.to_owned(),
        };
        out.line(format_args!("  at {class}.{method}({place})"))?;
    }
    Ok(())
}

/// A value as people read it.
fn text(value: Value) -> String {
    match value {
        Value::Reference(0) => "null".to_owned(),
        Value::Reference(id) => format!("{id:#x}"),
        Value::Boolean(value) => value.to_string(),
        Value::Char(unit) => match char::from_u32(u32::from(unit)) {
            Some(letter) => format!("{letter:?}"),
            None => format!("{unit:#x}"),
        },
        Value::Float(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        Value::Byte(value) => value.to_string(),
        Value::Short(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Long(value) => value.to_string(),
    }
}
