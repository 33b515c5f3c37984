//! What the exit code says: 0 done, 1 a finding, 2 wrong usage, 3 nothing could be done.

use std::{fmt, process::ExitCode};

use pagestone_heap as heap;
use pagestone_heapdump as heapdump;
use pagestone_index as index;
use pagestone_slab as slab;
use pagestone_storage as storage;

use crate::output::{Closed, Output, complain};

const FINDING: u8 = 1;
const USAGE: u8 = 2;
const FAILURE: u8 = 3;

/// An argument that parses but means nothing for this file.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Something is wrong with a file, not with the call.
#[derive(Debug)]
pub(crate) struct Finding(pub(crate) String);

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Finding {}

/// Prints what clap has to say: help, the version, or what is wrong with the arguments.
pub(crate) fn usage(refused: &clap::Error) -> ExitCode {
    // There is nobody left to tell when standard error is gone too.
    drop(refused.print());
    ExitCode::from(u8::try_from(refused.exit_code()).unwrap_or(USAGE))
}

/// Prints what went wrong, if anything did, and tells it as an exit code.
pub(crate) fn code(done: anyhow::Result<()>, out: &Output) -> ExitCode {
    let found = if out.has_finding() { FINDING } else { 0 };
    match done {
        Ok(()) => ExitCode::from(found),
        // Who reads has seen enough: `pagestone … | head`.
        Err(error) if error.is::<Closed>() => ExitCode::from(found),
        Err(error) => {
            complain(told(&error));
            ExitCode::from(of_error(&error))
        }
    }
}

/// The error with its causes; one that says again what the one before said is left out.
fn told(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = error.chain().map(ToString::to_string).collect();
    parts.dedup();
    parts.join(": ")
}

fn of_error(error: &anyhow::Error) -> u8 {
    let known = error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<storage::Error>() {
            Some(of_storage(error.kind()))
        } else if let Some(error) = cause.downcast_ref::<heapdump::Error>() {
            Some(of_heapdump(error.kind()))
        } else if let Some(error) = cause.downcast_ref::<heap::Error>() {
            Some(of_heap(error.kind()))
        } else if let Some(error) = cause.downcast_ref::<slab::Error>() {
            of_slab(error.kind())
        } else if let Some(error) = cause.downcast_ref::<index::Error>() {
            Some(of_index(error.kind()))
        } else if cause.is::<Usage>() {
            Some(USAGE)
        } else {
            cause.is::<Finding>().then_some(FINDING)
        }
    });
    known.unwrap_or(FAILURE)
}

fn of_storage(kind: storage::ErrorKind) -> u8 {
    use storage::ErrorKind;
    match kind {
        ErrorKind::Corrupt
        | ErrorKind::Truncated
        | ErrorKind::InterruptedSort
        | ErrorKind::OutOfRange => FINDING,
        ErrorKind::InvalidArgument => USAGE,
        _ => FAILURE,
    }
}

fn of_heap(kind: heap::ErrorKind) -> u8 {
    use heap::ErrorKind;
    match kind {
        ErrorKind::Corrupt | ErrorKind::Truncated | ErrorKind::Unclean | ErrorKind::StaleId => {
            FINDING
        }
        ErrorKind::InvalidArgument => USAGE,
        _ => FAILURE,
    }
}

/// `None` where the cause says more.
fn of_slab(kind: slab::ErrorKind) -> Option<u8> {
    use slab::ErrorKind;
    match kind {
        ErrorKind::Corrupt | ErrorKind::StaleId => Some(FINDING),
        ErrorKind::InvalidArgument => Some(USAGE),
        _ => None,
    }
}

fn of_index(kind: index::ErrorKind) -> u8 {
    use index::ErrorKind;
    match kind {
        ErrorKind::Corrupt
        | ErrorKind::Truncated
        | ErrorKind::Duplicate
        | ErrorKind::OutOfRange => FINDING,
        ErrorKind::InvalidArgument => USAGE,
        _ => FAILURE,
    }
}

fn of_heapdump(kind: heapdump::ErrorKind) -> u8 {
    match kind {
        heapdump::ErrorKind::Corrupt | heapdump::ErrorKind::Truncated => FINDING,
        heapdump::ErrorKind::InvalidFilter => USAGE,
        _ => FAILURE,
    }
}
