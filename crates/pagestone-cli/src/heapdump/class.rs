//! `pagestone heapdump class`: the classes of a name.

use pagestone_heapdump::{Class, HeapIndex, Rank, Subclasses};
use serde::Serialize;

use super::{open_to_ask, references};
use crate::{
    args::ClassArgs,
    output::{Align, Cell, Facts, Format, Listing, Output, thousands},
};

/// Names suggested in place of one that is not there.
const SUGGESTIONS: usize = 5;

#[derive(Serialize)]
struct Described<'a> {
    class: &'a str,
    id: u64,
    count: u64,
    bytes: u64,
    #[serde(rename = "super")]
    super_name: Option<&'a str>,
    super_id: Option<u64>,
    loader_id: Option<u64>,
    instance_size: u32,
    dump_offset: Option<u64>,
}

pub(super) fn run(args: &ClassArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open_to_ask(&args.index.directory)?;
    let classes = index.classes_named(&args.name)?;
    for class in &classes {
        let superclass = match class.super_id {
            Some(id) => index.class(id)?,
            None => None,
        };
        let super_name = superclass.map(|class| class.name);
        if out.format() == Format::Json {
            tell_programs(class, super_name, out)?;
        } else {
            tell_people(class, super_name, out)?;
        }
        if args.subclasses {
            list_subclasses(&index, class, out)?;
        }
        if let Some(limit) = args.instances {
            list_instances(&index, (class, args.subclasses, limit), out)?;
        }
    }
    if classes.is_empty() {
        let hint = suggest(&index, &args.name)?;
        let directory = args.index.directory.display();
        out.finding(format_args!("{directory}: no class `{}`{hint}", args.name))?;
    }
    out.took()
}

fn tell_programs(
    class: &Class<'_>,
    super_name: Option<&str>,
    out: &mut Output,
) -> anyhow::Result<()> {
    out.json(&Described {
        class: class.name,
        id: class.id,
        count: class.instance_count,
        bytes: class.payload_len,
        super_name,
        super_id: class.super_id,
        loader_id: class.loader_id,
        instance_size: class.instance_size,
        dump_offset: class.dump_offset,
    })
}

fn tell_people(
    class: &Class<'_>,
    super_name: Option<&str>,
    out: &mut Output,
) -> anyhow::Result<()> {
    let mut facts = Facts::new();
    let id = if class.id == 0 { String::new() } else { format!(" @ {:#x}", class.id) };
    facts
        .add("class", format!("{}{id}", class.name))
        .add("instances", thousands(class.instance_count))
        .add("payload", format!("{} bytes", thousands(class.payload_len)));
    if let Some(id) = class.super_id {
        facts.add("super", format!("{} @ {id:#x}", super_name.unwrap_or("<not in the dump>")));
    }
    if let Some(offset) = class.dump_offset {
        let loader = class.loader_id.map_or("boot".to_owned(), |id| format!("{id:#x}"));
        facts
            .add("loader", loader)
            .add("instance", format!("{} bytes, says the dump", thousands(class.instance_size)))
            .add("described", format!("at offset {} of the unpacked dump", thousands(offset)));
    }
    facts.show(out)?;
    out.line("")
}

fn list_subclasses(index: &HeapIndex, class: &Class<'_>, out: &mut Output) -> anyhow::Result<()> {
    let columns = [("subclass", Align::Left), ("count", Align::Right), ("bytes", Align::Right)];
    let mut listing = Listing::new(out.format(), columns);
    for below in index.subclasses(class.id)? {
        let (count, bytes) = (below.instance_count.into(), below.payload_len.into());
        listing.row(out, vec![Cell::text(below.name), count, bytes])?;
    }
    listing.end(out)
}

fn list_instances(
    index: &HeapIndex,
    (class, with_subclasses, limit): (&Class<'_>, bool, usize),
    out: &mut Output,
) -> anyhow::Result<()> {
    let subclasses = if with_subclasses { Subclasses::With } else { Subclasses::Without };
    let ids = match class.id {
        0 => index.primitive_arrays(class.name)?,
        id => index.instances(id, subclasses)?,
    };
    match ids {
        Some(ids) => references::list(index, (ids, limit), out),
        None => Ok(()),
    }
}

/// Names of classes with instances that end like `name`, whatever the case and the package.
fn suggest(index: &HeapIndex, name: &str) -> anyhow::Result<String> {
    let wanted = name.replace('/', ".").to_lowercase();
    let histogram = index.histogram(Rank::Count)?;
    let similar = histogram.iter().filter(|class| {
        let found = class.name.to_lowercase();
        let before = found.strip_suffix(&wanted);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['.', '$']))
    });
    let similar: Vec<&str> = similar.map(|class| class.name).take(SUGGESTIONS).collect();
    if similar.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(", but {}", similar.join(", ")))
}
