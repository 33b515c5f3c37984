//! What is measured but is no time of criterion: `measure NAME [--quick | --tiny]`.
//!
//! Prints JSON lines, `{"name":…,"value":…,"unit":…}`: the quantity asked for, and all others that
//! the same work tells. What needs a process of its own runs as `measure child …`.

mod scratch; // memory of a sort beside the records
mod external; // a sort larger than its budget
mod accelerator; // bytes of the accelerator
mod cold; // first reads after the pages were dropped
mod curve; // cost per record, from ten thousand to a hundred million
mod crates; // what the storage crate costs to build
mod heapdump; // the index of a heap dump: build and questions
mod buffer; // workload E: entries that are added, changed, removed, and compacted
mod heap; // workload H: blocks that are made, freed, made again, and kept
mod index; // workload S: rows by key, relations, opening
mod slab; // workloads B and I: equal values, and strings that come again
mod stream; // one long block, in and out

use std::{
    env,
    io::{self, Write},
};

use bench_own::{Result, Scale};
use heap::Uncommitted;

/// One quantity.
struct Measurement {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Measurement {
    fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = io::stdout().lock();
    match *arguments.as_slice() {
        ["child", "scratch", distribution, count] => {
            scratch::child(&mut out, distribution, count.parse()?)
        }
        ["child", "external", way, budget, records] => {
            external::child(&mut out, way, (budget.parse()?, records.parse()?))
        }
        ["child", "heap_open", contender, folder, id] => {
            heap::child_open(&mut out, (contender, folder), id.parse()?)
        }
        ["child", way @ ("heap_hold_little" | "heap_hold_much"), contender, folder, count] => {
            let uncommitted = match way {
                "heap_hold_little" => Uncommitted::Little,
                _ => Uncommitted::Much,
            };
            heap::child_hold(&mut out, (contender, folder), (count.parse()?, uncommitted))
        }
        ["child", way @ ("buffer_open" | "buffer_hold"), contender, folder, count]
        | ["child", "buffer_memory", contender, folder, count, way] => {
            buffer::child(&mut out, (way, contender), (folder, count.parse()?))
        }
        ["child", way @ ("slab_open" | "slab_hold"), folder, count] => {
            slab::child(&mut out, way, (folder, count.parse()?))
        }
        ["child", "stream", folder] => stream::child(&mut out, folder),
        ["child", "heapdump", dump, index] => heapdump::child(&mut out, dump, index),
        ["child", "heapdump_ask", index] => heapdump::child_ask(&mut out, index),
        ["child", "heapdump_histogram", index] => heapdump::child_histogram(&mut out, index),
        ["child", "heapdump_peer", name, programs] => {
            heapdump::child_peer(&mut out, (name, programs), Scale::Full)
        }
        ["child", "heapdump_peer", name, programs, scale] => {
            let scale = Scale::of_argument(Some(scale)).ok_or("--quick or --tiny")?;
            heapdump::child_peer(&mut out, (name, programs), scale)
        }
        [name] => print(&mut out, &measure(name, Scale::Full)?),
        [name, scale] => {
            let scale = Scale::of_argument(Some(scale)).ok_or("--quick or --tiny")?;
            print(&mut out, &measure(name, scale)?)
        }
        _ => Err("measure NAME [--quick | --tiny]".into()),
    }
}

/// Measures the family that `name` belongs to.
fn measure(name: &str, scale: Scale) -> Result<Vec<Measurement>> {
    match name.split('_').next().unwrap_or(name) {
        "scratch" => scratch::measure(scale),
        "external" => external::measure(scale),
        "accelerator" => accelerator::measure(scale),
        "cold" => cold::measure(scale),
        "curve" => curve::measure(scale),
        "crates" => crates::measure(),
        "buffer" => buffer::measure(name, scale),
        "heap" => heap::measure(name, scale),
        "heapdump" => heapdump::measure(name, scale),
        "index" => index::measure(name, scale),
        "slab" => slab::measure(name, scale),
        "stream" => stream::measure(scale),
        _ => Err(format!("nothing is called {name}").into()),
    }
}

fn print(out: &mut impl Write, measurements: &[Measurement]) -> Result<()> {
    for Measurement { name, value, unit } in measurements {
        if !value.is_finite() {
            return Err(format!("{name} is {value}").into());
        }
        writeln!(out, r#"{{"name":"{name}","value":{value},"unit":"{unit}"}}"#)?;
    }
    Ok(())
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits of a count")]
const fn float(count: u64) -> f64 {
    count as f64
}
