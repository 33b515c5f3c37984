//! `pagestone records sidecar`: writes NAME.meta.

use pagestone_storage::{Mutability, SidecarOptions};
use serde::Serialize;

use super::{
    columns,
    files::{self, Opening},
    info::{SidecarState, sidecar_text},
};
use crate::{
    args::{FileArgs, SidecarArgs, SidecarFileArgs},
    output::{Format, Output},
};

#[derive(Serialize)]
struct Written {
    file: String,
    sidecar: SidecarState,
}

pub(super) fn run(args: &SidecarFileArgs, out: &mut Output) -> anyhow::Result<()> {
    check(&args.content, &args.file)?;
    let mut storage = files::write(&args.file, Mutability::AppendOnly, Opening::Open)?;
    storage.write_sidecar(options(&args.content))?;
    if out.format() == Format::Json {
        let file = args.file.file.to_string_lossy().into_owned();
        return out.json(&Written { file, sidecar: storage.sidecar().into() });
    }
    let path = args.file.file.display();
    out.line(format_args!("{path}.meta: {}", sidecar_text(storage.sidecar())))?;
    out.took()
}

/// Refuses a field to accelerate that does not lie inside a record.
pub(super) fn check(content: &SidecarArgs, file: &FileArgs) -> anyhow::Result<()> {
    content.accelerate.map_or(Ok(()), |field| columns::check(field, file))
}

pub(super) fn options(content: &SidecarArgs) -> SidecarOptions {
    let mut options = SidecarOptions::new();
    if content.checksums {
        options = options.checksums();
    }
    match content.accelerate {
        Some(field) => options.accelerate(field),
        None => options,
    }
}
