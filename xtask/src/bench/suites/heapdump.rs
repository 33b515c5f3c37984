//! The rows of the heap dump's index; how they are measured stands in the program `measure`.

use super::{
    Row,
    Target::{AtLeast, AtMost, RatioAtMost, Reported},
    measured, program,
};

/// The same rows for dumps of several sizes.
macro_rules! rows {
    ($($megabytes:literal)*) => {
        &[$(
            Row::new(
                concat!($megabytes, " MB: build, objects and names"),
                measured(concat!("heapdump_", $megabytes, "_build_objects")),
                AtLeast(300.0),
            )
            .against("hprof-slurp", program(concat!("hprofslurp_", $megabytes, "_build_objects"))),
            Row::new(
                concat!($megabytes, " MB: build, references and strings, too"),
                measured(concat!("heapdump_", $megabytes, "_build_references")),
                AtLeast(140.0),
            ),
            Row::new(
                concat!($megabytes, " MB: build, dominators, too"),
                measured(concat!("heapdump_", $megabytes, "_build_all")),
                AtLeast(90.0),
            )
            .against("hprof-analyzer", program(concat!("hprofanalyzer_", $megabytes, "_build_all"))),
            Row::new(
                concat!($megabytes, " MB: build, by the wall"),
                measured(concat!("heapdump_", $megabytes, "_build_wall")),
                Reported,
            ),
            Row::new(
                concat!($megabytes, " MB: build, peak private memory"),
                measured(concat!("heapdump_", $megabytes, "_build_private")),
                AtMost(0.25),
            )
            .against(
                "hprof-analyzer, resident",
                program(concat!("hprofanalyzer_", $megabytes, "_build_resident")),
            ),
            Row::new(
                concat!($megabytes, " MB: index"),
                measured(concat!("heapdump_", $megabytes, "_index_len")),
                AtMost(0.5),
            ),
            Row::new(
                concat!($megabytes, " MB: open"),
                measured(concat!("heapdump_", $megabytes, "_open")),
                AtMost(1.0),
            ),
            Row::new(
                concat!($megabytes, " MB: histogram"),
                measured(concat!("heapdump_", $megabytes, "_histogram")),
                AtMost(5.0),
            ),
            Row::new(
                concat!($megabytes, " MB: object by id"),
                measured(concat!("heapdump_", $megabytes, "_object")),
                AtMost(10.0),
            ),
            Row::new(
                concat!($megabytes, " MB: references of an object"),
                measured(concat!("heapdump_", $megabytes, "_references")),
                AtMost(1.0),
            ),
            Row::new(
                concat!($megabytes, " MB: string by value"),
                measured(concat!("heapdump_", $megabytes, "_string")),
                AtMost(50.0),
            ),
            Row::new(
                concat!($megabytes, " MB: biggest retained"),
                measured(concat!("heapdump_", $megabytes, "_biggest")),
                AtMost(1.0),
            ),
            Row::new(
                concat!($megabytes, " MB: histogram, whole process"),
                measured(concat!("heapdump_", $megabytes, "_process")),
                AtMost(5.0),
            ),
            Row::new(
                concat!($megabytes, " MB: the same, and hprof-analyzer's cache"),
                measured(concat!("heapdump_", $megabytes, "_process")),
                RatioAtMost(0.1),
            )
            .against("hprof-analyzer", program(concat!("hprofanalyzer_", $megabytes, "_process"))),
            Row::new(
                concat!($megabytes, " MB: the same, and hprof-slurp"),
                measured(concat!("heapdump_", $megabytes, "_process")),
                Reported,
            )
            .against("hprof-slurp", program(concat!("hprofslurp_", $megabytes, "_process"))),
        )*]
    };
}

pub(super) const ROWS: &[Row] = rows!("50" "500");
