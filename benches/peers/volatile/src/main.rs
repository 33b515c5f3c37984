//! Workloads B and I on other crates: `volatile PEER_GROUP_QUANTITY [--quick | --tiny]`.
//!
//! The allocator of this program is that of the system, as in the program `measure` of benches/own;
//! it counts, so that interners need not say what they take.

mod slots; // slab, slotmap, thunderdome, sharded-slab
mod strings; // string-interner, lasso, internment, ustr

use std::{
    env,
    io::{self, Write as _},
};

use bench_own::{
    Counting, Result, Scale,
    entries::Told,
    slots::{SlotStore, phases},
    strings::{StringStore, packages, words},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, scale @ ..] = arguments.as_slice() else { return Err("NAME [--quick]".into()) };
    let scale = scale.first().map(String::as_str);
    let scale = Scale::of_argument(scale).ok_or("--quick or --tiny")?;
    let mut parts = name.split('_');
    let (Some(peer), Some(group)) = (parts.next(), parts.next()) else {
        return Err("PEER_GROUP_QUANTITY".into());
    };
    let told = match peer {
        "shardedslab" => slots_of::<slots::Sharded<2>, slots::Sharded<8>>(group, scale),
        "slab" => slots_of::<slots::Slab<2>, slots::Slab<8>>(group, scale),
        "slotmap" => slots_of::<slots::SlotMap<2>, slots::SlotMap<8>>(group, scale),
        "thunderdome" => slots_of::<slots::Arena<2>, slots::Arena<8>>(group, scale),
        "arcintern" => strings_of::<strings::Arc>(group, scale),
        "internment" => strings_of::<strings::Internment>(group, scale),
        "lasso" => strings_of::<strings::Lasso>(group, scale),
        "stringinterner" => strings_of::<strings::StringInterner>(group, scale),
        "ustr" => strings_of::<strings::Ustr>(group, scale),
        _ => Err(format!("no peer is called {peer}").into()),
    };
    let mut out = io::stdout().lock();
    for Told { name, value, unit } in told? {
        writeln!(out, r#"{{"name":"{peer}_{group}_{name}","value":{value},"unit":"{unit}"}}"#)?;
    }
    Ok(())
}

fn slots_of<S: SlotStore<2>, L: SlotStore<8>>(group: &str, scale: Scale) -> Result<Vec<Told>> {
    match group {
        "16" => phases::<S, 2>(scale),
        "64" => phases::<L, 8>(scale),
        _ => Err(format!("no group is called {group}").into()),
    }
}

fn strings_of<S: StringStore>(group: &str, scale: Scale) -> Result<Vec<Told>> {
    match group {
        "words" => words::<S>(scale),
        "packages" => packages::<S>(scale),
        _ => Err(format!("no group is called {group}").into()),
    }
}
