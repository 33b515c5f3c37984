//! fst: an automaton over sorted keys of bytes, which gives the ordinal of each.

use std::{fs, hint::black_box, time::Duration};

use bench_own::{Clock, Folder, Result, Scale, entries::Told, index::WordRows};
use fst::{Map, MapBuilder};

/// Build, lookups and bytes: the automaton holds no rows, so their bytes come on top.
pub(crate) fn words(scale: Scale) -> Result<Vec<Told>> {
    let (folder, rows) = (Folder::new()?, WordRows::new(scale));
    let path = folder.path("fst");
    let (build, built) = Clock::Process.time(|| -> Result<()> {
        let mut builder = MapBuilder::new(std::io::BufWriter::new(fs::File::create(&path)?))?;
        for (key, value) in rows.keys.iter().zip(0u64..) {
            builder.insert(key, value)?;
        }
        let written = builder.into_inner()?;
        Ok(written.into_inner().map_err(|error| error.to_string())?.sync_all()?)
    });
    built?;
    let map = Map::new(fs::read(&path)?)?;
    let mut sum = 0u64;
    let (stream, looked) = Clock::Thread.time(|| -> Result<()> {
        for &probe in &rows.probes {
            sum = sum.wrapping_add(map.get(rows.keys[probe]).ok_or("no such key")?);
        }
        Ok(())
    });
    looked?;
    black_box(sum);
    Ok(vec![
        Told::new("load", each(build, rows.keys.len()), "ns/row"),
        Told::new("stream", each(stream, rows.probes.len()), "ns/lookup"),
        Told::new("file", fs::metadata(&path)?.len() as f64 / rows.keys.len() as f64, "bytes/row"),
    ])
}

fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}
