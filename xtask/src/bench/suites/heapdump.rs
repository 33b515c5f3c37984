//! The rows of the heap dump's index; how they are measured stands in the program `measure`.

use super::{
    Row,
    Target::{AtLeast, AtMost, Reported},
    measured,
};

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "build, objects and names",
        measured("heapdump_build_mb_per_cpu_second"),
        AtLeast(200.0),
    ),
    Row::new("build, by the wall", measured("heapdump_build_mb_per_second"), Reported),
    Row::new(
        "build, peak private memory / dump",
        measured("heapdump_build_peak_private_share"),
        AtMost(0.25),
    ),
];
