//! What criterion leaves below `target/criterion`: the one place that knows its files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::rounds::Reading;

/// `new/benchmark.json`: which benchmark the folder belongs to.
#[derive(Debug, Deserialize)]
struct Benchmark {
    full_id: String,
    throughput: Option<Throughput>,
}

/// How much one iteration does, as the benchmark declared it.
#[derive(Debug, Deserialize)]
enum Throughput {
    Bits(u64),
    Bytes(u64),
    BytesDecimal(u64),
    Elements(u64),
    ElementsAndBytes { elements: u64, bytes: u64 },
}

/// `new/estimates.json`: statistics of the time per iteration, in nanoseconds.
#[derive(Debug, Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Debug, Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// The median time of benchmark `id`, provided that it ran at or after `since`.
pub(super) fn read(criterion: &Path, id: &str, since: SystemTime) -> Result<Reading> {
    for folder in folders(criterion)? {
        let benchmark: Benchmark = parse(&folder.join("benchmark.json"))?;
        if benchmark.full_id != id {
            continue;
        }
        let path = folder.join("estimates.json");
        if fs::metadata(&path)?.modified()? < since {
            bail!("benchmark {id} did not run: {} is old", path.display());
        }
        let estimates: Estimates = parse(&path)?;
        let (elements, bytes) = benchmark.throughput.map_or((None, None), Throughput::counts);
        let value = estimates.median.point_estimate;
        return Ok(Reading { value, unit: "ns".to_owned(), elements, bytes });
    }
    bail!("no benchmark {id} below {}", criterion.display())
}

impl Throughput {
    fn counts(self) -> (Option<u64>, Option<u64>) {
        match self {
            Self::Bits(bits) => (None, Some(bits / 8)),
            Self::Bytes(bytes) | Self::BytesDecimal(bytes) => (None, Some(bytes)),
            Self::Elements(elements) => (Some(elements), None),
            Self::ElementsAndBytes { elements, bytes } => (Some(elements), Some(bytes)),
        }
    }
}

/// Every folder `new` that holds the latest run of a benchmark.
fn folders(criterion: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![criterion.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if !path.is_dir() {
                continue;
            }
            if path.ends_with("new") && path.join("benchmark.json").is_file() {
                found.push(path);
            } else {
                open.push(path);
            }
        }
    }
    Ok(found)
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))
}

/// One reading per contender, many rounds: the medians, with the latest counts.
pub(super) fn medians<K: Ord>(readings: BTreeMap<K, Vec<Reading>>) -> BTreeMap<K, Reading> {
    let mut medians = BTreeMap::new();
    for (key, mut readings) in readings {
        let mut values: Vec<f64> = readings.iter().map(|reading| reading.value).collect();
        if let (Some(value), Some(reading)) = (median(&mut values), readings.pop()) {
            medians.insert(key, Reading { value, ..reading });
        }
    }
    medians
}

/// The middle of the values, the mean of the middle two of an even number.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[middle - 1], upper))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ESTIMATES: &str = r#"{"mean":{"confidence_interval":{"confidence_level":0.95,
        "lower_bound":1.0,"upper_bound":3.0},"point_estimate":2.0,"standard_error":0.1},
        "median":{"confidence_interval":{"confidence_level":0.95,"lower_bound":1.0,
        "upper_bound":2.0},"point_estimate":1500.5,"standard_error":0.1},"slope":null}"#;

    /// A folder as criterion writes it, with `throughput` as JSON.
    fn fixture(throughput: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sort/1_000/new");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(dir.path().join("sort/report")).unwrap();
        let benchmark = format!(
            r#"{{"group_id":"sort","function_id":"1 000","value_str":null,
            "throughput":{throughput},"full_id":"sort/1 000","directory_name":"sort/1_000",
            "title":"sort/1 000"}}"#
        );
        fs::write(folder.join("benchmark.json"), benchmark).unwrap();
        fs::write(folder.join("estimates.json"), ESTIMATES).unwrap();
        dir
    }

    #[track_caller]
    fn check(throughput: &str, elements: Option<u64>, bytes: Option<u64>) {
        let dir = fixture(throughput);
        let reading = read(dir.path(), "sort/1 000", SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(reading, Reading { value: 1500.5, unit: "ns".into(), elements, bytes });
    }

    #[test]
    fn a_reading_has_median_and_counts() {
        check("null", None, None);
        check(r#"{"Elements":1000}"#, Some(1000), None);
        check(r#"{"Bytes":4096}"#, None, Some(4096));
        check(r#"{"Bits":64}"#, None, Some(8));
        check(r#"{"ElementsAndBytes":{"elements":3,"bytes":4}}"#, Some(3), Some(4));
    }

    #[test]
    fn what_did_not_run_is_an_error() {
        let dir = fixture("null");
        assert!(read(dir.path(), "sort/2 000", SystemTime::UNIX_EPOCH).is_err());
        let later = SystemTime::now() + Duration::from_mins(1);
        assert!(read(dir.path(), "sort/1 000", later).is_err());
        assert!(read(&dir.path().join("absent"), "sort", SystemTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 9.0]), Some(3.0));
        let reading = |value| Reading { value, unit: "ns".into(), elements: None, bytes: Some(8) };
        let readings = BTreeMap::from([("a", vec![reading(5.0), reading(1.0), reading(2.0)])]);
        assert_eq!(medians(readings), BTreeMap::from([("a", reading(2.0))]));
    }
}
