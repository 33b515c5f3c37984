//! Workload B on boxes in jemalloc, which is the allocator of this program:
//! `jemalloc jemalloc_LEN_QUANTITY [--quick | --tiny]`.

use std::{
    env,
    io::{self, Write as _},
};

use bench_own::{
    Result, Scale,
    entries::Told,
    slots::{self, Boxed},
};
use tikv_jemallocator::Jemalloc;

/// As it comes: freed pages go back to the system after a time, without threads of its own.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, scale @ ..] = arguments.as_slice() else { return Err("NAME [--quick]".into()) };
    let scale = scale.first().map(String::as_str);
    let scale = Scale::of_argument(scale).ok_or("--quick or --tiny")?;
    let group = name.split('_').nth(1).unwrap_or_default();
    let told = match group {
        "16" => slots::phases::<Boxed, 2>(scale)?,
        "64" => slots::phases::<Boxed, 8>(scale)?,
        _ => return Err(format!("no group is called {group}").into()),
    };
    let mut out = io::stdout().lock();
    for Told { name, value, unit } in told {
        writeln!(out, r#"{{"name":"jemalloc_{group}_{name}","value":{value},"unit":"{unit}"}}"#)?;
    }
    Ok(())
}
