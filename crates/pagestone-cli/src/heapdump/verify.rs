//! `pagestone heapdump verify`: every file of an index against its checksum.

use pagestone_heapdump::ErrorKind;

use super::open;
use crate::{
    args::IndexArgs,
    output::{Format, Output, thousands},
};

pub(super) fn run(args: &IndexArgs, out: &mut Output) -> anyhow::Result<()> {
    let index = open(&args.directory)?;
    if let Err(error) = index.verify() {
        return match error.kind() {
            ErrorKind::Corrupt | ErrorKind::Truncated => out.finding(&error),
            _ => Err(error)?,
        };
    }
    let (files, bytes) =
        (index.tables().len() as u64, index.tables().iter().map(|t| t.byte_len).sum());
    if out.format() == Format::Json {
        return out.json(&Verified { files, bytes });
    }
    out.line(format_args!("{} files with {} bytes are whole", thousands(files), thousands(bytes)))?;
    out.took()
}

#[derive(serde::Serialize)]
struct Verified {
    files: u64,
    bytes: u64,
}
