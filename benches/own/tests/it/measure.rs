//! The plain program `measure`, asked for one quantity of every family that is cheap.

use std::process::Command;

#[track_caller]
fn check(name: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure"));
    let output = command.args([name, "--tiny"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted = format!("{{\"name\":\"{name}\",\"value\":");
    assert!(text.lines().any(|line| line.starts_with(&wanted)), "{text}");
}

#[test]
fn sorts_are_measured() {
    check("scratch_most");
    check("external_cpu");
}

#[test]
fn reads_are_measured() {
    check("accelerator_bytes");
    check("cold_get_device");
    check("curve_search_1m");
}

#[test]
fn heap_dumps_are_measured() {
    check("heapdump_build_mb_per_cpu_second");
}

#[test]
fn what_is_not_known_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measure"));
    assert!(!command.arg("unknown").output().unwrap().status.success());
}
