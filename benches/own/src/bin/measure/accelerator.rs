//! Bytes of the accelerator: the whole sidecar, header and all, over the records.

use std::fs;

use bench_own::{Accelerator, Folder, Result, Scale, Sorted};

use crate::{Measurement, float};

pub(crate) fn measure(scale: Scale) -> Result<Vec<Measurement>> {
    let folder = Folder::new()?;
    let count = scale.count(10_000_000);
    Sorted::create(&folder.trusted(), ("sorted", count), Accelerator::Simd)?;
    let bytes = fs::metadata(folder.path("sorted.meta"))?.len();
    let per_record = float(bytes) / float(count as u64);
    Ok(vec![Measurement::new("accelerator_bytes", per_record, "bytes/record")])
}
