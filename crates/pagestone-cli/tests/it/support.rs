//! A folder, a run of the program, what it said.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own, in memory where the machine has such a place.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagestone"));
    command.stdin(Stdio::null());
    command
}

/// What a run of the program said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Asserts the exit code.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "{self:#?}");
        self
    }

    /// Asserts that standard error holds these parts.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "`{part}` in {self:#?}");
        }
        self
    }

    /// Asserts that standard output holds these parts.
    #[track_caller]
    pub(crate) fn shows(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.out.contains(part), "`{part}` in {self:#?}");
        }
        self
    }

    /// The lines of standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs the program with arguments separated by spaces, then `paths` and `rest`.
#[track_caller]
pub(crate) fn run(words: &str, path: &Path, rest: &str) -> Ran {
    let mut command = program();
    command.args(words.split_whitespace()).arg(path).args(rest.split_whitespace());
    command.output().unwrap().into()
}

/// Runs the program with something to read.
#[track_caller]
pub(crate) fn feed(words: &str, (path, rest): (&Path, &str), input: &[u8]) -> Ran {
    let mut command = program();
    command.args(words.split_whitespace()).arg(path).args(rest.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments may be gone before it reads.
    let fed = child.stdin.take().unwrap().write_all(input);
    assert!(fed.is_ok() || fed.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe));
    child.wait_with_output().unwrap().into()
}

/// Twelve bytes: a key that is signed, and what it belongs to.
pub(crate) fn record(key: i64, belongs: u32) -> Vec<u8> {
    [&key.to_le_bytes()[..], &belongs.to_le_bytes()].concat()
}

/// A file of twelve-byte records.
pub(crate) struct Records {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Records {
    pub(crate) fn new(records: &[(i64, u32)]) -> Self {
        let folder = folder();
        let path = folder.path().join("some.rec");
        let bytes: Vec<u8> =
            records.iter().flat_map(|&(key, belongs)| record(key, belongs)).collect();
        fs::write(&path, bytes).unwrap();
        Self { folder, path }
    }

    #[track_caller]
    pub(crate) fn run(&self, command: &str, rest: &str) -> Ran {
        run(&format!("records {command}"), &self.path, &format!("--record 12 {rest}"))
    }

    /// What the file holds, a partial record left out.
    pub(crate) fn read(&self) -> Vec<(i64, u32)> {
        let bytes = fs::read(&self.path).unwrap();
        let (records, _) = bytes.as_chunks::<12>();
        let split = |record: &[u8; 12]| {
            let key = i64::from_le_bytes(record[..8].try_into().unwrap());
            (key, u32::from_le_bytes(record[8..].try_into().unwrap()))
        };
        records.iter().map(split).collect()
    }
}
