//! What holds for every command: usage errors, completions, closed and full outputs.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use crate::support::{Ran, Records, program};

#[track_caller]
fn check(words: &str, code: i32) -> Ran {
    Ran::from(program().args(words.split_whitespace()).output().unwrap()).code(code)
}

#[test]
fn wrong_usage_is_told_apart() {
    check("", 2);
    check("heapdump", 2);
    check("records fly", 2).says(&["fly"]);
    check("records head some.rec --record 12x", 2).says(&["expected bytes"]);
    check("records head some.rec --record 8 --field u65@0", 2).says(&["KIND[le|be]@OFFSET"]);
    check("heapdump top some.index --by size", 2);
    check("info", 2);
    check("get some.pgs posts", 2);
    check("--help", 0).shows(&["heapdump", "records", "verify", "Exit codes"]);
    check("--version", 0).shows(&["pagestone 0.1.0"]);
}

#[test]
fn completions_are_scripts() {
    for (shell, part) in
        [("bash", "complete -F"), ("zsh", "#compdef pagestone"), ("fish", "complete -c pagestone")]
    {
        check(&format!("completions {shell}"), 0).shows(&[part, "heapdump", "stats"]);
    }
    check("completions csh", 2);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let many: Vec<(i64, u32)> = (0..200_000).map(|key| (key, 0)).collect();
    let records = Records::new(&many);
    for rest in ["export", "head --count 999999 --json", "head --count 999999"] {
        let (command, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut child = program()
            .args(["records", command, "--record", "12"])
            .args(rest.split_whitespace())
            .arg(&records.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(!first.is_empty());
        let ran = Ran::from(child.wait_with_output().unwrap()).code(0);
        assert_eq!(ran.err, "", "{command}");
    }
}

#[test]
fn a_full_output_is_an_error() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let records = Records::new(&[(1, 1)]);
    for command in ["head", "export", "info"] {
        let out = OpenOptions::new().write(true).open(full).unwrap();
        let mut program = program();
        program.args(["records", command, "--record", "12"]).arg(&records.path).stdout(out);
        let ran =
            Ran::from(program.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
        drop(ran.code(3).says(&["pagestone: write standard output: "]));
    }
}
