//! What was measured on: processor, memory, kernel, file system, compiler, load.

use std::{env, fs, path::Path, process::Command, thread};

/// The facts, one per line; what this system does not tell is "unknown".
pub(super) fn facts(scratch: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let scratch = scratch.canonicalize().unwrap_or_else(|_| scratch.to_path_buf());
    let facts = [
        ("cpu", field(&read("/proc/cpuinfo"), "model name")),
        ("cores", Some(cores.to_string())),
        ("memory", field(&read("/proc/meminfo"), "MemTotal")),
        ("kernel", first_line(&read("/proc/sys/kernel/osrelease"))),
        ("file system", file_system(&read("/proc/mounts"), &scratch)),
        ("rustc", rustc_version()),
        ("load average", first_line(&read("/proc/loadavg"))),
    ];
    let lines = facts.map(|(name, fact)| {
        let fact = fact.unwrap_or_else(|| "unknown".to_owned());
        format!("{name}: {fact}")
    });
    lines.join("\n")
}

fn first_line(text: &str) -> Option<String> {
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The value of the first `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// The type of the file system that `path` is on: the last of its longest mount points.
fn file_system(mounts: &str, path: &Path) -> Option<String> {
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let around = fields.filter(|fields| fields.get(1).is_some_and(|point| path.starts_with(point)));
    let nearest = around.max_by_key(|fields| fields.get(1).map_or(0, |point| point.len()))?;
    nearest.get(2).map(|&kind| kind.to_owned())
}

fn rustc_version() -> Option<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().ok()?;
    first_line(&String::from_utf8_lossy(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let text = "processor\t: 0\nmodel name\t: A: B\nmodel name\t: C\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A: B"));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "a / overlay rw\nb /work ext4 rw\nc /workshop xfs rw\nd / btrfs rw\n";
        let check = |path: &str, expected| {
            assert_eq!(file_system(mounts, Path::new(path)).as_deref(), Some(expected));
        };
        check("/work/target", "ext4");
        check("/workshop", "xfs");
        check("/tmp", "btrfs");
        assert_eq!(file_system("", Path::new("/tmp")), None);
    }

    #[test]
    fn every_fact_has_a_line() {
        assert_eq!(facts(Path::new(".")).lines().count(), 7);
    }
}
